"""`lint` as people call it: files, lines, manifests together, output and exit codes."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from aiagent_operator.cli.app import app
from aiagent_operator.cli.lint import documents
from support import agents
from support.documents import SAMPLES
from support.gates import by_job, template

NO_COLOR = {"NO_COLOR": "1"}


def lint(*args: str, text: str | None = None) -> Result:
    return CliRunner().invoke(app, ["lint", *args], input=text, env=NO_COLOR, catch_exceptions=False)


def write(path: Path, *manifests: Any) -> str:
    path.write_text("---\n".join(yaml.safe_dump(manifest, sort_keys=False) for manifest in manifests))
    return str(path)


def role(**spec: Any) -> Any:
    return agents.role("support", **spec)


def agent(*permissions: Any, name: str = "triage", namespace: str = "home", **spec: Any) -> Any:
    return agents.agent(namespace, name, "support", *permissions, **spec)


def fields(*manifests: Any, args: tuple[str, ...] = ()) -> list[tuple[str, str, str]]:
    """(object, field, rule) of what is found in these manifests."""
    text = "---\n".join(yaml.safe_dump(manifest) for manifest in manifests)
    result = lint("-", "-o", "json", *args, text=text)
    found = json.loads(result.stdout)["findings"]
    assert result.exit_code == int(any(f["severity"] == "error" for f in found) or ("--strict" in args and bool(found)))
    return [(f["object"], f["field"], f["rule"]) for f in found]


def test_the_samples_have_no_findings() -> None:
    result = lint(str(SAMPLES))
    assert (result.exit_code, result.stdout) == (0, "")
    assert "Checked 5 AIAgents, 1 AgentPolicy, 3 AgentRoles; skipped " in result.stderr


def test_a_finding_names_file_line_object_field_and_what_to_do(tmp_path: Path) -> None:
    text = yaml.safe_dump(agent(), sort_keys=False).replace("Accountable", "Informed")
    (tmp_path / "agent.yaml").write_text(f"# head\napiVersion: v1\nkind: ConfigMap\n---\n{text}")
    result = lint(str(tmp_path))
    line = 5 + text.splitlines().index("  owners:")
    message = "exactly one owner must be Accountable: one person or group answers for the agent's outcomes"
    assert result.stdout == f"{tmp_path}/agent.yaml:{line}: AIAgent/triage: spec.owners: {message}\n"
    assert result.exit_code == 1
    assert "skipped 1 other document: 1 error, 0 warnings." in result.stderr


def test_lines_of_json_and_of_lists_are_those_of_the_file(tmp_path: Path) -> None:
    bad = agent(suspended="yes")
    path = tmp_path / "list.json"
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": [role(), bad]}, indent="\t"))
    line = 1 + next(n for n, text in enumerate(path.read_text().splitlines()) if '"suspended"' in text)
    assert lint(str(path)).stdout.startswith(f"{path}:{line}: AIAgent/triage: spec.suspended: ")


def test_wide_names_the_rule_and_yaml_can_be_read() -> None:
    text = yaml.safe_dump(agent(suspended="yes"))
    assert lint("-", "-o", "wide", text=text).stdout.endswith(" [InvalidField]\n")
    assert yaml.safe_load(lint("-", "-o", "yaml", text=text).stdout)["findings"][0]["rule"] == "InvalidField"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("apiVersion: [", "is no YAML or JSON"),
        ("a: b: c", "is no YAML or JSON"),
        ("&a {b: [*a]}", "is no YAML or JSON"),
        ("a: &b [*b]", "is no YAML or JSON"),
        ("\ta: b", "is no YAML or JSON"),
    ],
)
def test_what_is_no_yaml_is_said_with_its_line(text: str, words: str) -> None:
    result = lint("-", text=f"# first\n{text}\n")
    assert result.exit_code == 1
    assert result.stdout.startswith("<stdin>:")
    assert words in result.stdout


def test_templates_in_folders_are_left_alone_unless_they_speak_of_our_kinds(tmp_path: Path) -> None:
    (tmp_path / "chart.yaml").write_text("{{- if x }}\na: b\n{{ end }}")
    assert lint(str(tmp_path)).exit_code == 0
    (tmp_path / "agent.yaml").write_text("{{- if x }}\napiVersion: workforce.dev/v1alpha1\n{{ end }}")
    assert lint(str(tmp_path)).stdout.startswith(f"{tmp_path}/agent.yaml:")


def test_hidden_folders_and_other_suffixes_are_not_read(tmp_path: Path) -> None:
    for name in (".git/a.yaml", "notes.txt", ".hidden.yaml"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        write(path, agent(suspended="yes"))
    assert lint(str(tmp_path)).exit_code == 0


def test_a_key_that_stands_there_twice_is_found() -> None:
    text = yaml.safe_dump(agent(), sort_keys=False) + "  suspended: true\n  suspended: false\n"
    result = lint("-", text=text)
    assert "spec.suspended: stands there twice" in result.stdout


def test_aliases_and_merge_keys_are_followed() -> None:
    text = yaml.safe_dump(agent(), sort_keys=False)
    text = text.replace("  owners:\n  - name: product", "  owners:\n  - &one\n    name: product")
    text += "  connections:\n  - &c {name: a, audience: x}\n  - {<<: *c, name: b}\n  - {<<: *c}\n"
    assert 'spec.connections[2]: there is an entry of name "a" before it' in lint("-", text=text).stdout


def test_control_characters_do_not_reach_the_terminal() -> None:
    result = lint("-", text=yaml.safe_dump(agent(**{"new\x1b[31m": 1})))
    assert "\x1b" not in result.stdout
    assert "spec.new [31m" in result.stdout


# Manifests together ---------------------------------------------------------------------------------------------------


def test_an_agent_within_its_role_has_no_findings() -> None:
    own = agents.permission("own", rules=[agents.rule("get", "tickets", "a")])
    assert fields(role(), agent(agents.permission("read-tickets"), own)) == []


def test_without_any_role_agents_are_not_judged_and_that_is_said() -> None:
    result = lint("-", text=yaml.safe_dump(agent(agents.permission("no-such-set"))))
    assert result.exit_code == 0
    assert "1 of 1 AIAgents were not judged by their role" in result.stderr


@pytest.mark.parametrize(
    ("the_role", "the_agent", "field", "rule"),
    [
        (agents.role("other"), agent(), "spec.roleRef.name", "RoleNotFound"),
        (role(state="Draft"), agent(), "spec.roleRef.name", "RoleNotApproved"),
        (role(requiredOwnerFunctions=["Legal"]), agent(), "spec.owners", "OwnerMissing"),
        (role(), agent(agents.permission("gone")), "spec.permissions[0]", "PermissionSetNotFound"),
        (
            role(),
            agent(agents.permission("refund"), agents.permission("own", rules=[agents.rule("delete", "tickets")])),
            "spec.permissions[1]",
            "BeyondRoleCeiling",
        ),
        (
            role(ceiling=[agents.rule("create", "pods/exec", group="")]),
            agent(agents.permission("own", rules=[agents.rule("create", "pods/exec", group="")])),
            "spec.permissions[0]",
            "ForbiddenRight",
        ),
        (
            role(namespaces={"names": ["crm"]}),
            agent(agents.permission("refund", "hr")),
            "spec.permissions[0]",
            "NamespaceNotAllowed",
        ),
        (
            role(
                forbiddenCombinations=[
                    {
                        "name": "pay",
                        "description": "Who refunds does not bill.",
                        "duties": [{"name": "a", "rules": [agents.REFUND]}, {"name": "b", "rules": [agents.BILL]}],
                    }
                ]
            ),
            agent(agents.permission("refund"), agents.permission("bill")),
            "spec.permissions[1]",
            "ForbiddenCombination",
        ),
        (
            role(defaults={"permissions": [{"name": "gone"}]}),
            agent(),
            "spec.roleRef.name",
            "PermissionSetNotFound",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_what_the_operator_would_refuse_is_found(the_role: Any, the_agent: Any, field: str, rule: str) -> None:
    assert fields(the_role, the_agent) == [("AIAgent/triage", field, rule)]


def test_too_many_rights_are_found() -> None:
    verbs = [f"verb-{'a' * n}" for n in range(1, 17)]
    rules = [agents.rule(" ".join(verbs), " ".join(f"r{n}" for n in range(16))) for _ in range(1)]
    places = [f"n{n}" for n in range(3)]
    asked = agent(agents.permission("all", *places, rules=rules))
    assert fields(role(ceiling=rules), asked) == [("AIAgent/triage", "spec.permissions[0]", "TooManyRights")]


def test_a_role_that_offers_what_no_agent_may_hold_is_found() -> None:
    bad = role(sets={"shell": [agents.rule("create", "pods/exec", group="")]})
    assert fields(bad) == [("AgentRole/support", "spec.permissionSets", "ForbiddenRight")]


def test_warnings_fail_only_where_they_are_asked_to() -> None:
    old = role(state="Deprecated", lifecycle={"state": "Deprecated", "successor": "support-v2"})
    found = [
        ("AIAgent/triage", "spec.roleRef.name", "RoleDeprecated"),
        ("AgentRole/support", "spec.lifecycle.successor", "RoleNotFound"),
    ]
    assert sorted(fields(old, agent())) == found
    assert sorted(fields(old, agent(), args=("--strict",))) == found


def test_nothing_is_said_of_namespaces_where_the_agents_own_is_unknown() -> None:
    homeless = agent(agents.permission("refund"))
    del homeless["metadata"]["namespace"]
    only = role(namespaces={"names": ["crm"], "own": False})
    assert fields(only, homeless) == []
    assert fields(only, homeless, args=("-n", "home")) == [
        ("AIAgent/triage", "spec.permissions[0]", "NamespaceNotAllowed")
    ]


def test_a_role_with_errors_of_its_own_does_not_judge() -> None:
    found = fields(role(unknown=1, identityIsolation="Maybe"), agent(agents.permission("gone")))
    assert {name for name, _, _ in found} == {"AgentRole/support"}


def test_an_object_that_stands_there_twice_is_found() -> None:
    assert fields(role(), agent(), agent(namespace="other"), agent()) == [
        ("AIAgent/triage", "metadata.name", "DuplicateObject")
    ]


def test_two_agents_with_one_workload_are_found() -> None:
    one, two = (agent(name=name, workload=agents.target("app")) for name in ("one", "two"))
    far = agent(name="far", namespace="other", workload=agents.target("app"))
    assert fields(role(), one, far, two) == [("AIAgent/two", "spec.workload", "TargetClaimed")]
    assert fields(role(), agent(name="app"), two) == [("AIAgent/two", "spec.workload", "TargetClaimed")]


@pytest.mark.parametrize("args", [("no-such-file",), (), ("-", "-o", "name"), ("-", "-o", "frob")])
def test_wrong_usage_is_2(args: tuple[str, ...]) -> None:
    result = lint(*args, text="")
    assert result.exit_code == 2
    assert result.stderr


def test_all_suffixes_that_kubectl_reads_are_read(tmp_path: Path) -> None:
    for suffix in documents.SUFFIXES:
        (tmp_path / f"a{suffix}").write_text(json.dumps(agent(name=f"a{suffix[1:]}", suspended="yes")))
    assert len(lint(str(tmp_path)).stdout.splitlines()) == 3


def test_a_role_whose_hiring_evaluation_reads_the_agents_namespaces() -> None:
    loot = by_job("interview")
    loot["job"]["spec"]["template"]["spec"]["volumes"] = [{"name": "v", "secret": {"secretName": "payroll"}}]
    assert fields(role(hiringEvaluations=[by_job("interview")]), agent()) == []
    assert fields(role(hiringEvaluations=[loot]), agent()) == [
        ("AgentRole/support", "spec.hiringEvaluations", "EvaluationInvalid")
    ]


NAMES_SAFETY = {"requiredEvaluations": [{"name": "safety"}]}


@pytest.mark.parametrize(
    ("selector", "of_agent", "of_role", "found"),
    [
        ({}, [], [], True),
        ({}, ["tone"], ["tone"], True),
        ({}, ["safety"], [], False),
        ({}, [], ["safety"], False),
        ({"roles": ["other"]}, [], [], False),
        ({"agentSelector": {"matchLabels": {"tier": "gold"}}}, [], [], True),
        ({"agentSelector": {"matchLabels": {"tier": "silver"}}}, [], [], False),
        ({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "home"}}}, [], [], True),
        ({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "other"}}}, [], [], False),
    ],
)
def test_an_evaluation_that_a_policy_requires(selector: Any, of_agent: Any, of_role: Any, found: bool) -> None:
    retraining = {"retraining": {"evaluations": [template(name) for name in of_agent]}} if of_agent else {}
    employed = agent(**retraining)
    employed["metadata"]["labels"] = {"tier": "gold"}
    rules = agents.policy("corp", selector, **NAMES_SAFETY)
    manifests = [role(hiringEvaluations=[template(name) for name in of_role]), employed, rules]
    wanted = [("AIAgent/triage", "spec.retraining.evaluations", "EvaluationRequired")] if found else []
    assert fields(*manifests) == wanted


def test_an_evaluation_that_only_a_rollout_names_is_not_the_required_one() -> None:
    rollout = {"strategy": "Canary", "steps": [{"weight": 50}, {"evaluation": {"name": "safety"}}]}
    employed = agent(retraining={"evaluations": [template("safety")], "rollout": rollout})
    found = fields(role(), employed, agents.policy("corp", {}, **NAMES_SAFETY))
    assert ("AIAgent/triage", "spec.retraining.evaluations", "EvaluationRequired") in found


def test_a_required_evaluation_that_may_not_hold_anything_up_is_a_warning() -> None:
    adopted = agent(workload=agents.target("router"))
    result = lint("-", text=yaml.safe_dump_all([role(), adopted, agents.policy("corp", {}, **NAMES_SAFETY)]))
    assert 'warning: AgentPolicy "corp" requires evaluation "safety"' in result.stdout
    assert result.exit_code == 0


def test_a_policy_that_the_api_server_would_take_and_the_operator_could_not_read(tmp_path: Path) -> None:
    window = {"name": "nights", "kind": "Allow", "schedule": "0 22 * * *", "duration": "6h", "timeZone": "Mars"}
    value: dict[str, Any] = {
        "apiVersion": "workforce.dev/v1alpha1",
        "kind": "AgentPolicy",
        "metadata": {"name": "nights"},
        "spec": {"description": "Train at night", "selector": {}, "windows": [window]},
    }
    wrong = lint(write(tmp_path / "policy.yaml", value))
    assert wrong.exit_code == 1
    assert "AgentPolicy/nights: spec: spec.windows[nights]" in wrong.stdout
    value["spec"]["windows"] = [{**window, "timeZone": "UTC"}]
    assert lint(write(tmp_path / "policy.yaml", value)).exit_code == 0


def test_a_review_that_the_api_server_would_take_and_the_operator_could_not_carry_out() -> None:
    def found(metric: dict[str, str], **cadence: str) -> list[tuple[str, str, str]]:
        evaluation = {"name": "live", "prometheus": {}, "metrics": [{"name": "m", "query": "up", **metric}]}
        supervision = {"evaluations": [evaluation], "reviews": [{"name": "live", **cadence}]}
        return fields(role(), agent(supervision=supervision))

    right = {"min": "1"}
    wrong = [("AIAgent/triage", "spec.supervision.reviews[0]", "ReviewInvalid")]
    assert found(right, schedule="0 6 1 * *") == []
    assert found(right, schedule="0 6 30 2 *") == wrong
    assert found(right, schedule="0 6 1 * *", timeZone="Mars") == wrong
    assert found({"maxIncrease": "1", "query": "up{r={{revision}}}"}, every="24h") == wrong
