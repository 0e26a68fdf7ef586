"""`lint` on single manifests: it must refuse what the cluster refuses, and accept what the cluster accepts."""

import copy
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from aiagent_operator.api.agentaction import AgentAction
from aiagent_operator.api.agentpolicy import AgentPolicy
from aiagent_operator.api.agentrole import AgentRole
from aiagent_operator.api.aiagent import AIAgent
from aiagent_operator.api.kinds import AGENTACTION, AGENTPOLICY, AGENTROLE, AIAGENT, KINDS
from aiagent_operator.api.schema import crd, structural
from aiagent_operator.cli.lint import cel_rules, findings, manifest
from aiagent_operator.cli.lint.documents import Document, parse
from aiagent_operator.cli.lint.findings import Issue, Rule
from cluster.test_schema_rules import AGENT, CONSTRAINTS, ROLE, RULES, Case, changed
from support.edges import nearly
from support.policycases import POLICY
from support.rolloutcases import WATCHED
from support.specs import Manifest, actions, agents, policies, roles

OWN = {Rule.UNKNOWN_FIELD, Rule.DUPLICATE_ENTRY, Rule.BROKEN_RULE}
"""What models do not see: they ignore unknown fields, and leave uniqueness and CEL to the API server."""

ORDER: Manifest = {
    "apiVersion": "workforce.dev/v1alpha1",
    "kind": "AgentAction",
    "metadata": {"name": "stop", "namespace": "crm"},
    "spec": {
        "action": "Suspend",
        "agentRef": {"name": "triage"},
        "requestedBy": "ops@corp.example",
        "reason": "It answers in verse",
    },
}

generated = settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))


def issues(value: Manifest) -> tuple[Issue, ...]:
    return manifest.check(Document("agent.yaml", value, {})).issues


def found(value: Manifest) -> list[tuple[str, str]]:
    return [(findings.path(issue.where), issue.message) for issue in issues(value)]


@pytest.mark.parametrize("value", [AGENT, ROLE], ids=lambda value: value["kind"])
def test_right_manifests_have_no_findings(value: Manifest) -> None:
    assert found(value) == []


def test_what_watches_a_canary_needs_no_end() -> None:
    assert found(changed(Case("spec.retraining", WATCHED, ""))) == []


@pytest.mark.parametrize("case", RULES, ids=str)
def test_what_a_rule_of_the_cluster_refuses_is_found_with_the_rules_own_words(case: Case) -> None:
    field = ".".join(f"[{part}]" if part.isdigit() else part for part in case.named.split(".")).replace(".[", "[")
    assert any(where == field and case.words in message for where, message in found(changed(case))), found(
        changed(case)
    )


@pytest.mark.parametrize("case", CONSTRAINTS, ids=str)
def test_what_the_schema_of_the_cluster_refuses_is_found_at_its_field(case: Case) -> None:
    field = ".".join(f"[{part}]" if part.isdigit() else part for part in case.named.split(".")).replace(".[", "[")
    assert any(field.split("[")[0] in where for where, _ in found(changed(case))), found(changed(case))


def rules_of(node: Any) -> list[str]:
    if isinstance(node, list):
        return [rule for item in node for rule in rules_of(item)]
    if not isinstance(node, dict):
        return []
    own = [entry["rule"] for entry in node.get("x-kubernetes-validations", ()) if isinstance(entry, dict)]
    return own + [rule for child in node.values() for rule in rules_of(child)]


@pytest.mark.parametrize("rule", sorted(set(rules_of([crd(kind) for kind in KINDS]))))
def test_every_rule_uses_only_functions_that_are_known_here(rule: str) -> None:
    operators = {"has", "size", "matches", "filter", "all", "exists", "startsWith", "endsWith", "contains", "map"}
    operators |= {"duration", "double"}  # CEL's own
    used = {name for name in cel_rules.cel.compile(rule).functions() if name.replace("_", "").isalpha()}
    assert used <= operators | set(cel_rules.FUNCTIONS), "define the function as Kubernetes does, in cel_rules"


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("203.0.113.0/24", True), ("0.0.0.0/0", True), ("2001:DB8:0:0::/64", True), ("::1/128", True),
        ("203.0.113.1/24", False), ("203.0.113.0", False), ("203.0.113.0/33", False), ("203.0.113.0/024", False),
        ("0203.0.113.0/24", False), ("203.0.113.0/24\n", False), ("203.0.113.0/255.255.255.0", False),
        ("::ffff:10.0.0.0/104", False), ("fe80::%eth0/64", False), ("2001:db8::1/32", False), ("/", False), ("", False),
        ("０.0.0.0/0", False), ("203.0.113.0/-1", False),
    ],
)  # fmt: skip
def test_address_ranges_are_judged_as_kubernetes_judges_them(text: str, right: bool) -> None:
    rule = "isCIDR(self) && cidr(self) == cidr(self).masked()"
    assert cel_rules.holds(rule, text) is right


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("1s", True), ("720h", True), ("1h30m", True), ("1.5h", True), ("87600h", True), ("1000000µs", True),
        ("0s", False), ("999ms", False), ("87601h", False), ("30d", False), ("1", False), ("", False),
    ],
)  # fmt: skip
def test_durations_are_read_as_go_reads_them(text: str, right: bool) -> None:
    rule = "duration(self) >= duration('1s') && duration(self) <= duration('87600h')"
    assert cel_rules.holds(rule, text) is right


def strict(model: type[BaseModel], value: Manifest) -> bool:
    """Whether the model takes the manifest as JSON without converting anything."""
    try:
        model.model_validate_json(json.dumps(value), strict=True)
    except ValidationError:
        return False
    return True


def without_nulls(value: Any) -> Any:
    """As the API server stores it: it drops nulls of fields, not of lists."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**63:
        return int(value)
    return value


KIND = pytest.mark.parametrize(
    ("kind", "model", "strategy"),
    [
        (AIAGENT, AIAgent, agents()),
        (AGENTROLE, AgentRole, roles()),
        (AGENTPOLICY, AgentPolicy, policies()),
        (AGENTACTION, AgentAction, actions()),
    ],
    ids=["AIAgent", "AgentRole", "AgentPolicy", "AgentAction"],
)


@KIND
def test_generated_right_manifests_have_no_findings(kind: Any, model: type[BaseModel], strategy: Any) -> None:
    @generated
    @given(strategy)
    def check(value: Manifest) -> None:
        assert found(value) == []
        assert manifest.check(Document("", value, {})).parsed == model.model_validate(
            {
                "metadata": {k: v for k, v in value["metadata"].items() if k in {"name", "namespace"}},
                "spec": value["spec"],
            }
        )

    check()


def judged(kind: Any, value: Manifest) -> str:
    """Of which sort the manifest is, once lint and models agree on it: `right`, `wrong` by its structure, or wrong by
    what lint alone sees (`own`)."""
    before = copy.deepcopy(value)
    problems = issues(value)
    assert value == before, "lint changed what it was given"
    spec = value.get("spec")
    accepted = isinstance(spec, dict) and strict(kind.spec, without_nulls(spec))
    structure = [i for i in problems if i.rule not in OWN and i.where[:1] == ("spec",)]
    assert bool(structure) is not accepted, (problems, accepted)
    return "wrong" if structure else "own" if problems else "right"


@KIND
def test_generated_nearly_right_manifests_are_judged_as_the_models_judge_them(
    kind: Any, model: type[BaseModel], strategy: Any
) -> None:
    """Both ways: what the model refuses is a finding, and a finding that is not lint's own is refused by the model."""
    seen = set()

    @generated
    @given(nearly(strategy, structural(kind.spec)))
    def check(value: Manifest) -> None:
        seen.add(judged(kind, value))

    check()
    # About 60 and 20 of 80; of each of the two other sorts there may be none.
    assert "wrong" in seen
    assert seen & {"right", "own"}


@pytest.mark.parametrize(
    ("kind", "right"),
    [(AIAGENT, AGENT), (AGENTROLE, ROLE), (AGENTPOLICY, POLICY), (AGENTACTION, ORDER)],
    ids=["AIAgent", "AgentRole", "AgentPolicy", "AgentAction"],
)
def test_each_sort_is_told_from_the_others(kind: Any, right: Manifest) -> None:
    assert judged(kind, right) == "right"
    assert judged(kind, {**right, "specc": {}}) == "own"
    assert judged(kind, {**right, "spec": None}) == "wrong"


def test_unknown_fields_are_found_wherever_they_stand() -> None:
    value = copy.deepcopy(AGENT)
    value["specc"] = {}
    value["metadata"]["lables"] = {}
    value["spec"]["purpos"] = "x"
    value["spec"]["owners"][0]["subject"]["nme"] = "x"
    value["spec"]["workload"]["template"]["spec"]["containers"][0]["whatever"] = {
        "newer": 1
    }  # Kubernetes' own business
    where = {findings.path(i.where) for i in issues(value)}
    assert where == {"specc", "metadata.lables", "spec.purpos", "spec.owners[0].subject.nme"}
    assert {i.rule for i in issues(value)} == {Rule.UNKNOWN_FIELD}


@pytest.mark.parametrize(
    ("metadata", "field"),
    [
        (None, "metadata"), ({}, "metadata.name"), ({"name": ""}, "metadata.name"), ({"name": "A"}, "metadata.name"),
        ({"name": "a\n"}, "metadata.name"), ({"name": "x" * 41}, "metadata.name"), ({"name": 5}, "metadata.name"),
        ({"name": "a", "namespace": "b.c"}, "metadata.namespace"),
        ({"name": "a", "namespace": 1}, "metadata.namespace"),
    ],
)  # fmt: skip
def test_names_are_judged(metadata: Any, field: str) -> None:
    assert field in [where for where, _ in found({**AGENT, "metadata": metadata})]


def test_a_role_is_not_in_namespaces() -> None:
    assert found({**ROLE, "metadata": {"name": "a", "namespace": "b"}})[0][0] == "metadata.namespace"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"apiVersion": "workforce.dev/v2"}, "write workforce.dev/v1alpha1"),
        ({"kind": "AIAgents"}, "there is no kind AIAgents"),
        ({"kind": None}, "there is no kind None"),
        ({"kind": "AgentRevision"}, "AgentRevisions are records, which only the operator writes"),
        ({"kind": "AgentArchive"}, "an AIAgent that has left has one"),
        ({"spec": None}, "is missing"),
        ({"spec": []}, "must be an object"),
    ],
)
def test_what_is_no_object_of_ours_is_said(change: Manifest, words: str) -> None:
    assert any(words in message for _, message in found({**AGENT, **change}))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
@generated
def test_nothing_in_a_spec_makes_lint_fall_over(spec: Any) -> None:
    assert issues({**AGENT, "spec": spec})


def parsed(text: str) -> list[Any]:
    return list(parse("a.yaml", text, named=True))


def test_words_mean_what_they_mean_to_kubectl() -> None:
    text = "a: yes\nb: 2024-01-01\nc: 1:30\nd: 017\ne: 0x1f\nf: 1_000\ng: n\nh: ~\ni: '5'\ntrue: x\n1: z\n"
    value = {"a": True, "b": "2024-01-01", "c": "1:30", "d": 15, "e": 31, "f": 1000, "g": False, "h": None, "i": "5"}
    assert parsed(text)[0].value == value | {"true": "x", "1": "z"}
