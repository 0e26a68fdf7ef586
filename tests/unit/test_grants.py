"""Decisions about permissions, case by case: what is granted, what is refused, and what people are told."""

from __future__ import annotations

from typing import Any

import pytest

from aiagent_operator.api.agentrole import AgentRole
from aiagent_operator.api.agentstatus import PermissionState
from aiagent_operator.api.aiagent import AIAgentSpec
from aiagent_operator.api.conditions import Reason
from aiagent_operator.core.objects import AgentIdentity
from aiagent_operator.core.rights.grants import (
    CompiledRole,
    Grants,
    NamespaceFacts,
    decide,
    permissions_verdict,
    role_verdict,
)
from aiagent_operator.core.rights.rules import Ceiling, Rule

AGENT = AgentIdentity("support", "triage", "0001")
GRANTABLE = Ceiling([Rule(("crm.example", ""), ("tickets", "refunds", "invoices", "pods"), ("get", "list", "create"))])
NAMESPACES = {
    "support": NamespaceFacts(),
    "crm": NamespaceFacts({"team": "crm"}),
    "old": NamespaceFacts(terminating=True),
}


def rule(verbs: str, resources: str, *names: str, group: str = "crm.example") -> dict[str, Any]:
    found: dict[str, Any] = {"apiGroups": [group], "resources": resources.split(), "verbs": verbs.split()}
    return found | ({"resourceNames": list(names)} if names else {})


def _letters(prefix: str) -> str:
    return " ".join(f"{prefix}{letter}" for letter in "abcdefghijklmnop")


def named(name: str, *rules: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "description": name, "rules": list(rules)}


def ask(name: str, *rules: dict[str, Any], namespaces: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"name": name, "rules": list(rules), "namespaces": list(namespaces)}


def agent(*permissions: dict[str, Any], functions: tuple[str, ...] = ("Product",)) -> AIAgentSpec:
    return AIAgentSpec.model_validate(
        {
            "roleRef": {"name": "customer-support"},
            "purpose": "Answers tickets",
            "owners": [
                {
                    "name": function.lower(),
                    "function": function,
                    "responsibility": "Responsible" if number else "Accountable",
                    "subject": {"kind": "User", "name": "somebody@corp.example"},
                }
                for number, function in enumerate(functions)
            ],
            "permissions": list(permissions),
            "workload": {"targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "triage"}},
        }
    )


def job(**spec: Any) -> CompiledRole:
    body = {
        "description": "Support",
        "lifecycle": {"state": "Approved"},
        "namespaces": {"names": ["crm", "old", "soon"]},
        "permissionSets": [
            named("read-tickets", rule("list get", "tickets")),
            named("refund", rule("create", "refunds")),
            named("bill", rule("create", "invoices")),
        ],
        "ceiling": [rule("get list", "invoices")],
    } | spec
    return CompiledRole.of(AgentRole.model_validate({"metadata": {"name": "customer-support"}, "spec": body}))


SEPARATED = {
    "name": "pay-and-bill",
    "description": "who bills does not refund",
    "duties": [
        {"name": "pays", "rules": [rule("create", "refunds")]},
        {"name": "bills", "rules": [rule("create", "invoices")]},
    ],
}


def granted(spec: AIAgentSpec, role: CompiledRole | None = None, exposed: tuple[str, ...] = ()) -> Grants:
    return decide(spec, AGENT, role or job(), GRANTABLE, NAMESPACES, exposed)


def test_a_permission_set_is_granted_in_the_namespaces_asked_for() -> None:
    grants = granted(agent(ask("read-tickets", namespaces=("support", "crm")), ask("refund")))
    assert [d.state for d in grants.decisions] == [PermissionState.GRANTED] * 2
    assert grants.decisions[0].namespaces == ("crm", "support")
    assert grants.decisions[0].message == "granted in crm, support"
    tickets = Rule(("crm.example",), ("tickets",), ("get", "list"))
    assert grants.rules == {
        "crm": (tickets,),
        "support": (Rule(("crm.example",), ("refunds",), ("create",)), tickets),
    }
    assert permissions_verdict(grants.decisions).message == "2 of 2 permissions granted"


def test_defaults_of_the_role_hold_where_nothing_is_asked_for() -> None:
    grants = granted(agent(), job(defaults={"permissions": [ask("read-tickets", namespaces=("crm",))]}))
    assert list(grants.rules) == ["crm"]
    wrong = granted(agent(), job(defaults={"permissions": [ask("own", rule("delete", "tickets"))]}))
    assert 'AgentRole "customer-support" spec.defaults.permissions[own].rules' in wrong.decisions[0].message


def test_nothing_asked_for_is_no_fault() -> None:
    verdict = permissions_verdict(granted(agent()).decisions)
    assert (verdict.status, verdict.reason) == (True, Reason.NONE_REQUESTED)


@pytest.mark.parametrize(
    ("asked", "reason", "told"),
    [
        (
            ask("writes"),
            Reason.SET_NOT_FOUND,
            ('"writes"', '"bill", "read-tickets", "refund"', "spec.permissions[writes]"),
        ),
        (
            ask("refund", namespaces=("crm", "prod")),
            Reason.NAMESPACE_NOT_ALLOWED,
            ('"prod"', "the agent's own namespace; crm, old, soon", "spec.permissions[refund].namespaces"),
        ),
        (
            ask("own", rule("get list delete", "tickets")),
            Reason.BEYOND_ROLE_CEILING,
            ("delete tickets.crm.example", "spec.permissions[own].rules", "spec.ceiling"),
        ),
        (
            ask("own", rule("create", "pods/exec", group="")),
            Reason.FORBIDDEN_RIGHT,
            ("pods/exec", "spec.permissions[own].rules"),
        ),
        (
            ask("own", rule(_letters("v"), _letters("r"), "a", "b", "c")),
            Reason.TOO_MANY_RIGHTS,
            ("spec.permissions[own] asks for 768 rights in 1 namespace(s)", "at most 512"),
        ),
    ],
)
def test_a_refusal_names_the_reason_the_field_and_the_remedy(
    asked: dict[str, Any], reason: Reason, told: tuple[str, ...]
) -> None:
    grants = granted(agent(asked, ask("read-tickets")))
    refused, kept = grants.decisions
    assert (refused.state, refused.reason) == (PermissionState.REFUSED, reason)
    assert all(part in refused.message for part in told), refused.message
    assert kept.state is PermissionState.GRANTED
    assert refused.namespaces == refused.rules == ()
    verdict = permissions_verdict(grants.decisions)
    assert (verdict.status, verdict.reason) == (False, reason)
    assert verdict.message.startswith(
        f'1 of 2 permissions granted; permission "{asked["name"]}" is refused ({reason}): '
    )


def test_what_is_not_grantable_is_refused_with_the_remedy() -> None:
    decision = decide(agent(ask("refund")), AGENT, job(), Ceiling([]), NAMESPACES).decisions[0]
    assert decision.reason is Reason.NOT_GRANTABLE
    assert "create refunds.crm.example" in decision.message
    assert "ClusterRole that holds it with workforce.dev/grantable=true" in decision.message


def test_a_forbidden_right_of_a_set_is_the_roles_fault() -> None:
    role = job(permissionSets=[named("debug", rule("create", "pods/attach", group=""))])
    decision = granted(agent(ask("debug")), role).decisions[0]
    assert decision.reason is Reason.FORBIDDEN_RIGHT
    assert 'permission set "debug" of AgentRole "customer-support"' in decision.message


@pytest.mark.parametrize(
    ("namespace", "reason"),
    [("soon", Reason.NAMESPACE_NOT_FOUND), ("old", Reason.NAMESPACE_TERMINATING)],
)
def test_a_missing_namespace_is_waited_for_and_the_others_are_served(namespace: str, reason: Reason) -> None:
    grants = granted(agent(ask("refund", namespaces=(namespace, "crm"))))
    decision = grants.decisions[0]
    assert (decision.state, decision.reason) == (PermissionState.PENDING, reason)
    assert decision.namespaces == ("crm",)
    assert f'"{namespace}"' in decision.message
    assert list(grants.rules) == ["crm"]
    alone = granted(agent(ask("refund", namespaces=(namespace,)))).decisions[0]
    assert (alone.state, alone.namespaces, alone.rules) == (PermissionState.PENDING, (), ())


def test_namespaces_are_allowed_by_labels_and_an_empty_selector_allows_none() -> None:
    by_label = job(namespaces={"matchLabels": {"team": "crm"}, "own": False})
    grants = granted(
        agent(ask("refund", namespaces=("crm",)), ask("bill"), ask("read-tickets", namespaces=("new",))), by_label
    )
    assert [d.reason for d in grants.decisions] == [
        Reason.GRANTED,
        Reason.NAMESPACE_NOT_ALLOWED,
        Reason.NAMESPACE_NOT_FOUND,
    ]
    none = granted(agent(ask("refund")), job(namespaces={"own": False})).decisions[0]
    assert none.reason is Reason.NAMESPACE_NOT_ALLOWED
    assert "it allows none" in none.message


def test_the_later_permission_of_a_forbidden_combination_is_refused() -> None:
    role = job(forbiddenCombinations=[SEPARATED])
    grants = granted(agent(ask("refund", namespaces=("crm",)), ask("read-tickets"), ask("bill")), role)
    assert [d.state.value for d in grants.decisions] == ["Granted", "Granted", "Refused"]
    told = grants.decisions[2].message
    assert all(
        part in told for part in ('"refund"', '"pay-and-bill"', "who bills does not refund", '"bill" or "refund"')
    )
    backwards = granted(agent(ask("bill"), ask("refund")), role)
    assert [d.state.value for d in backwards.decisions] == ["Granted", "Refused"]


def test_a_permission_that_holds_a_combination_alone_is_refused_alone() -> None:
    role = job(
        forbiddenCombinations=[SEPARATED],
        permissionSets=[
            named("all", rule("create", "refunds invoices")),
            named("refund", rule("create", "refunds", "r1")),
        ],
    )
    grants = granted(agent(ask("all"), ask("refund")), role)
    assert [d.reason for d in grants.decisions] == [Reason.FORBIDDEN_COMBINATION, Reason.GRANTED]
    assert "alone" in grants.decisions[0].message


def test_a_lost_duty_does_not_turn_into_its_opposite() -> None:
    """An agent that refunded yesterday must not bill today because refunds are no longer grantable."""
    role = job(forbiddenCombinations=[SEPARATED])
    only_bills = Ceiling([Rule(("crm.example",), ("invoices",), ("create",))])
    grants = decide(agent(ask("refund"), ask("bill")), AGENT, role, only_bills, NAMESPACES)
    assert [d.reason for d in grants.decisions] == [Reason.NOT_GRANTABLE, Reason.FORBIDDEN_COMBINATION]
    assert grants.rules == {}


def test_rights_are_bounded_over_all_namespaces_together() -> None:
    rules = (rule("get list", "invoices", *(f"{letter}{number}" for number in range(16))) for letter in "abcdefgh")
    some = ask("some", *rules, namespaces=("crm", "support"))
    grants = granted(agent(some, ask("refund")))
    assert [d.reason for d in grants.decisions] == [Reason.GRANTED, Reason.TOO_MANY_RIGHTS]
    assert "those before it for 512" in grants.decisions[1].message


def test_an_enormous_permission_is_refused_without_being_expanded() -> None:
    many = tuple(f"x{number}" for number in range(5000))
    permission = agent(ask("own", rule("get", "pods"))).permissions[0]
    wide = permission.rules[0].model_copy(update={"api_groups": many, "resources": many, "verbs": many})
    spec = agent().model_copy(update={"permissions": (permission.model_copy(update={"rules": (wide,)}),)})
    assert granted(spec).decisions[0].reason is Reason.TOO_MANY_RIGHTS


def test_required_isolation_withholds_everything_while_others_can_act_as_the_agent() -> None:
    spec = agent(ask("read-tickets"), ask("refund"))
    role = job(identityIsolation="Required")
    grants = granted(spec, role, exposed=("RoleBinding support/editors",))
    assert {d.reason for d in grants.decisions} == {Reason.NOT_ISOLATED}
    assert "RoleBinding support/editors" in grants.decisions[0].message
    assert grants.rules == {}
    assert granted(spec, role).rules == granted(spec, exposed=("RoleBinding support/editors",)).rules != {}


@pytest.mark.parametrize(
    ("role", "reason", "told"),
    [
        (None, Reason.ROLE_NOT_FOUND, '"customer-support" does not exist'),
        (job(lifecycle={"state": "Draft"}), Reason.ROLE_NOT_APPROVED, "is a draft"),
        (job(requiredOwnerFunctions=["Product", "Legal", "HR"]), Reason.OWNER_MISSING, "HR, Legal"),
    ],
)
def test_a_role_that_is_not_accepted_grants_nothing(role: CompiledRole | None, reason: Reason, told: str) -> None:
    spec = agent(ask("read-tickets"))
    verdict = role_verdict(spec, role)
    assert (verdict.status, verdict.reason) == (False, reason)
    assert told in verdict.message
    grants = decide(spec, AGENT, role, GRANTABLE, NAMESPACES)
    assert grants.rules == {}
    assert [(d.reason, d.message) for d in grants.decisions] == [(reason, verdict.message)]


def test_a_deprecated_role_grants_and_names_its_successor() -> None:
    role = job(lifecycle={"state": "Deprecated", "successor": "support-v2"})
    verdict = role_verdict(agent(), role)
    assert (verdict.status, verdict.reason) == (True, Reason.ROLE_DEPRECATED)
    assert '"support-v2" in spec.roleRef.name' in verdict.message
    assert granted(agent(ask("refund")), role).rules
