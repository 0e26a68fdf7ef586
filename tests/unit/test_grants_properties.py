"""What holds of every decision, whatever is asked for and whatever the ceilings are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from aiagent_operator.api.agentrole import AgentRole, AgentRoleSpec
from aiagent_operator.api.aiagent import AIAgentSpec
from aiagent_operator.api.conditions import Reason
from aiagent_operator.api.permissions import PolicyRule
from aiagent_operator.core.objects import AgentIdentity
from aiagent_operator.core.rights.grants import CompiledRole, Grants, NamespaceFacts, decide
from aiagent_operator.core.rights.rules import Ceiling, Rule

AGENT = AgentIdentity("own", "triage", "0001")
PLACES = ("own", "crm", "hr", "missing")


class Draw(Random):
    """Draws parts of a case, so that grants and every kind of refusal are common."""

    def some(self, values: tuple[str, ...], *, least: int = 1, most: int = 2) -> list[str]:
        return self.sample(values, self.randint(least, most))

    def rule(self) -> dict[str, Any]:
        return {
            "apiGroups": self.some(("", "crm.example")),
            "resources": self.some(("pods", "tickets", "tickets/status")) + ["pods/exec"] * (self.random() < 0.02),
            "verbs": self.some(("get", "list", "update")) + ["bind"] * (self.random() < 0.02),
            "resourceNames": self.some(("a", "b")) if self.random() < 0.25 else [],
        }

    def rules(self, most: int = 2) -> list[dict[str, Any]]:
        return [self.rule() for _ in range(self.randint(1, most))]

    def narrow(self, rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """A part of rules that something already allows."""
        found = self.choice(rules)
        return [found | {"verbs": [self.choice(found["verbs"])], "resources": [self.choice(found["resources"])]}]

    def permission(self, name: str, within: list[dict[str, Any]]) -> dict[str, Any]:
        namespaces = self.some(PLACES, least=0) if self.random() < 0.6 else []
        if name.startswith("s"):
            return {"name": name, "namespaces": namespaces, "rules": []}
        rules = self.narrow(within) if self.random() < 0.7 else self.rules()
        return {"name": name, "namespaces": namespaces, "rules": rules}

    def permissions(self, within: list[dict[str, Any]]) -> list[dict[str, Any]]:
        names = self.sample(("s0", "s1", "s0", "p0", "p1", "p2", "s9"), self.randint(0, 5))
        return [self.permission(name, within) for name in dict.fromkeys(names)]

    def combination(self, name: str) -> dict[str, Any]:
        duties = [
            {
                "name": duty,
                "rules": [self.rule() | {"verbs": [self.choice(("get", "list", "update"))], "resources": ["pods"]}],
            }
            for duty in ("one", "two")
        ]
        return {"name": name, "description": "d", "duties": duties}


def make(seed: int) -> Case:
    """The case of a seed."""
    draw = Draw(seed)
    sets = [{"name": f"s{number}", "description": "d", "rules": draw.rules()} for number in range(2)]
    ceiling = draw.rules(3)
    within = [*ceiling, *(rule for entry in sets for rule in entry["rules"])]
    role = {
        "description": "d",
        "lifecycle": {"state": draw.choices(("Approved", "Deprecated", "Draft"), (8, 1, 1))[0]},
        "namespaces": {
            "names": draw.some(("crm", "missing"), least=0),
            "matchLabels": draw.choice(({}, {"team": "hr"})),
            "own": draw.random() < 0.8,
        },
        "permissionSets": sets,
        "ceiling": ceiling,
        "forbiddenCombinations": [draw.combination(f"c{number}") for number in range(draw.randint(0, 2))],
        "identityIsolation": draw.choice(("Required", "Preferred")),
        "defaults": {"permissions": draw.permissions(within)},
    }
    grantable = [*draw.sample(within, draw.randint(1, len(within))), draw.rule()]
    if draw.random() < 0.4:
        grantable.append({"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]})
    namespaces = {
        place: NamespaceFacts(draw.choice(({}, {"team": "hr"})), terminating=draw.random() < 0.1)
        for place in ("own", "crm", "hr")
        if draw.random() < 0.9
    }
    exposed = ("RoleBinding own/x",) if draw.random() < 0.15 else ()
    return Case(draw.permissions(within), role, grantable, namespaces, exposed)


@dataclass(frozen=True)
class Case:
    """Everything that one decision reads."""

    permissions: list[dict[str, Any]]
    role: dict[str, Any]
    grantable: list[dict[str, Any]]
    namespaces: Mapping[str, NamespaceFacts]
    exposed: tuple[str, ...]

    def decide(self) -> Grants:
        spec = AIAgentSpec.model_validate(
            {
                "roleRef": {"name": "r"},
                "purpose": "p",
                "owners": [
                    {
                        "name": "o",
                        "function": "IT",
                        "responsibility": "Accountable",
                        "subject": {"kind": "Group", "name": "it"},
                    }
                ],
                "permissions": self.permissions,
                "workload": {"targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "x"}},
            }
        )
        role = AgentRole.model_validate({"metadata": {"name": "r"}, "spec": self.role})
        ceiling = Ceiling(map(Rule.from_wire, self.grantable))
        return decide(spec, AGENT, CompiledRole.of(role), ceiling, self.namespaces, self.exposed)


SEED = st.integers(0, 2**32)
CASE = SEED.map(make)


def test_the_cases_reach_every_outcome() -> None:
    """Else the properties below would hold of nothing."""
    reached = Counter(decision.reason for seed in range(1000) for decision in make(seed).decide().decisions)
    outcomes = {
        Reason.GRANTED,
        Reason.SET_NOT_FOUND,
        Reason.BEYOND_ROLE_CEILING,
        Reason.NOT_GRANTABLE,
        Reason.FORBIDDEN_RIGHT,
        Reason.FORBIDDEN_COMBINATION,
        Reason.NAMESPACE_NOT_ALLOWED,
        Reason.NAMESPACE_NOT_FOUND,
        Reason.NAMESPACE_TERMINATING,
        Reason.NOT_ISOLATED,
        Reason.ROLE_NOT_APPROVED,
    }
    assert {reason for reason, times in reached.items() if times >= 10} == outcomes
    assert reached[Reason.GRANTED] >= 400


Atom = tuple[str, str, str, str]


def atoms(rules: Iterable[Rule | PolicyRule]) -> set[Atom]:
    """Concrete requests that the rules allow; the last name stands for every name that no rule has."""
    return {
        (group, resource, verb, name)
        for rule in rules
        for group in rule.api_groups
        for resource in rule.resources
        for verb in rule.verbs
        for name in rule.resource_names or ("a", "b", "other")
    }


def held(grants: Grants) -> set[tuple[str, Atom]]:
    return {(namespace, atom) for namespace, rules in grants.rules.items() for atom in atoms(rules)}


def grantable(case: Case) -> set[Atom] | None:
    """None where a wildcard makes everything grantable."""
    rules = [Rule.from_wire(rule) for rule in case.grantable]
    return None if any(rule.verbs == ("*",) for rule in rules) else atoms(rules)


@settings(max_examples=1000, deadline=None)
@given(CASE)
def test_no_grant_is_beyond_any_limit(case: Case) -> None:
    grants = case.decide()
    role = AgentRoleSpec.model_validate(case.role)
    rights = {atom for _, atom in held(grants)}
    assert rights <= atoms((*role.ceiling, *(rule for named in role.permission_sets for rule in named.rules)))
    limit = grantable(case)
    assert limit is None or rights <= limit
    assert not any(verb == "bind" or resource == "pods/exec" for _, resource, verb, _ in rights)
    for combination in role.forbidden_combinations:
        assert not all(rights & atoms(duty.rules) for duty in combination.duties)
    for namespace in grants.rules:
        facts = case.namespaces[namespace]
        assert not facts.terminating
        labels = role.namespaces.match_labels
        assert (
            namespace in role.namespaces.names
            or (namespace == "own" and role.namespaces.own)
            or (labels and labels.items() <= facts.labels.items())
        )
    if role.lifecycle.state == "Draft" or (case.exposed and role.identity_isolation == "Required"):
        assert not grants.rules


@settings(max_examples=600, deadline=None)
@given(CASE)
def test_decisions_and_rules_say_the_same(case: Case) -> None:
    grants = case.decide()
    said = {(ns, atom) for d in grants.decisions for ns in d.namespaces for atom in atoms(d.rules)}
    assert said == held(grants)
    asked = case.permissions or case.role["defaults"]["permissions"]
    assert [d.name for d in grants.decisions] == [permission["name"] for permission in asked]
    for decision in grants.decisions:
        assert bool(decision.namespaces) == bool(decision.rules)
        assert decision.state != "Refused" or not decision.rules
        assert len(decision.message) <= 2048


@settings(max_examples=600, deadline=None)
@given(CASE, SEED)
def test_one_more_permission_takes_nothing_from_those_before(case: Case, seed: int) -> None:
    permissions = case.permissions or case.role["defaults"]["permissions"]
    case = replace(case, permissions=permissions)
    more = Draw(seed).permission("last", case.role["ceiling"])
    if not permissions:
        return
    before = case.decide()
    after = replace(case, permissions=[*case.permissions, more]).decide()
    assert after.decisions[:-1] == before.decisions


@settings(max_examples=1000, deadline=None)
@given(CASE, st.data())
def test_a_smaller_ceiling_never_adds_a_right(case: Case, data: st.DataObject) -> None:
    def fewer(values: list[Any]) -> list[Any]:
        dropped = data.draw(st.integers(0, len(values)))
        return values[:dropped] + values[dropped + 1 :]

    names = fewer(case.role["namespaces"]["names"])
    role = case.role | {
        "ceiling": fewer(case.role["ceiling"]),
        "namespaces": case.role["namespaces"] | {"names": names},
    }
    # A namespace that is allowed by its labels is no longer refused once it is gone, but waited for.
    gone = None if case.role["namespaces"]["matchLabels"] else data.draw(st.sampled_from(PLACES))
    left = {name: facts for name, facts in case.namespaces.items() if name != gone}
    smaller = replace(case, role=role, grantable=fewer(case.grantable), namespaces=left)
    assert held(smaller.decide()) <= held(case.decide())


@settings(max_examples=600, deadline=None)
@given(CASE)
def test_the_order_of_rules_in_a_permission_does_not_matter(case: Case) -> None:
    def turned(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [entry | {"rules": entry["rules"][::-1]} for entry in entries]

    role = case.role | {
        "permissionSets": turned(case.role["permissionSets"]),
        "ceiling": case.role["ceiling"][::-1],
        "defaults": {"permissions": turned(case.role["defaults"]["permissions"])},
    }
    other = replace(case, permissions=turned(case.permissions), role=role, grantable=case.grantable[::-1])
    assert other.decide() == case.decide()
