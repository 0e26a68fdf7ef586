"""Decisions about an agent that is employed: what is written at each step, and what is said of it."""

from dataclasses import replace

import pytest

from aiagent_operator.api.conditions import Reason
from aiagent_operator.core import onboarding
from aiagent_operator.core.objects import Child, ChildKind, ObjectKey, Rollout
from aiagent_operator.core.plan import Failure, Observed, Plan, Verb
from aiagent_operator.core.rights.grants import NamespaceFacts
from support.agents import owner, permission, rule
from support.decisions import HOME, NAMESPACES, after, compiled, kinds, observed, said

Children = dict[ObjectKey, Child]
ASKED = (permission("read-tickets", "crm"), permission("refund"))


def settle(o: Observed, *, ready: bool = True) -> tuple[Children, list[Plan]]:
    """All steps until nothing is left to write."""
    children, plans = dict(o.children), []
    for _ in range(12):
        plan = onboarding.decide(replace(o, children=children))
        if not plan.writes:
            return children, [*plans, plan]
        plans.append(plan)
        children = after(children, plan, ready=ready)
    raise AssertionError("not settled in twelve steps")


def test_the_steps_of_an_onboarding() -> None:
    _, plans = settle(observed(*ASKED))

    assert [kinds(plan) for plan in plans] == [
        [
            ("create", "AgentRevision", HOME),
            ("create", "ConfigMap", HOME),
            ("create", "NetworkPolicy", HOME),
            ("create", "Role", "crm"),
            ("create", "Role", HOME),
            ("create", "ServiceAccount", HOME),
        ],
        [
            ("create", "Deployment", HOME),
            ("create", "RoleBinding", "crm"),
            ("create", "RoleBinding", HOME),
        ],
        [("report", "AgentRevision", HOME)],
        [],
    ]
    assert said(plans[-1], "Ready")[:2] == (True, "Onboarded")
    assert said(plans[0], "Ready")[:2] == (False, "Progressing")


def test_only_what_widens_rights_needs_a_sure_leader() -> None:
    _, plans = settle(observed(*ASKED))

    granting = {(w.verb, w.key.kind) for plan in plans for w in plan.writes if w.grants}

    assert granting == {(Verb.CREATE, ChildKind.ROLE_BINDING)}


def test_a_converged_agent_is_left_alone_and_says_the_same_again() -> None:
    o = observed(*ASKED)
    children, plans = settle(o)

    again = onboarding.decide(replace(o, children=children))

    assert again.writes == ()
    assert (again.verdicts, again.status) == (plans[-1].verdicts, plans[-1].status)


@pytest.mark.parametrize(
    ("role", "reason"),
    [(None, "RoleNotFound"), (compiled(state="Draft"), "RoleNotApproved")],
    ids=["missing", "draft"],
)
def test_without_a_role_nothing_is_made_and_each_permission_says_why(role: object, reason: str) -> None:
    plan = onboarding.decide(observed(*ASKED, role=role, missing_role=role is None))  # type: ignore[arg-type]

    assert plan.writes == ()
    assert said(plan, "Ready")[1] == reason
    assert [(p["name"], p["reason"]) for p in plan.status["permissions"]] == [
        ("read-tickets", reason),
        ("refund", reason),
    ]
    assert plan.status["granted"] == "0/2"


def test_a_withdrawn_role_takes_bindings_first_and_leaves_the_work() -> None:
    children, _ = settle(observed(*ASKED))

    first = onboarding.decide(observed(*ASKED, role=compiled(state="Draft"), children=children.values()))
    second = onboarding.decide(observed(*ASKED, role=compiled(state="Draft"), children=after(children, first).values()))

    assert kinds(first) == [("delete", "RoleBinding", "crm"), ("delete", "RoleBinding", HOME)]
    assert kinds(second) == [("delete", "Role", "crm"), ("delete", "Role", HOME)]
    assert said(second, "WorkloadReady")[1] == "Pending"


def test_a_suspended_agent_loses_its_bindings_before_its_pods() -> None:
    children, _ = settle(observed(*ASKED))
    o = observed(*ASKED, spec={"suspended": True})

    first = onboarding.decide(replace(o, children=children))
    second = onboarding.decide(replace(o, children=after(children, first)))

    assert kinds(first) == [("delete", "RoleBinding", "crm"), ("delete", "RoleBinding", HOME)]
    assert said(first, "Ready")[1] == "Suspending"
    assert kinds(second) == [("replace", "Deployment", HOME)]
    assert second.writes[0].body is not None
    assert second.writes[0].body["spec"]["replicas"] == 0
    settled, plans = settle(replace(o, children=children))
    assert said(plans[-1], "Ready")[1] == "Suspended"
    assert {key.kind for key in settled} >= {ChildKind.ROLE, ChildKind.DEPLOYMENT}


def test_what_goes_is_gone_before_what_comes() -> None:
    children, _ = settle(observed(permission("read-tickets", "crm"), permission("refund")))
    o = observed(permission("refund", "crm"), permission("read-tickets", "archive"))

    first = onboarding.decide(replace(o, children=children))

    narrowing = [w for w in first.writes if w.key.kind is ChildKind.ROLE and w.key.namespace == "crm"]
    assert all(w.verb in (Verb.DELETE, Verb.REPLACE) for w in first.writes)
    assert narrowing
    assert narrowing[0].body is not None
    assert narrowing[0].body["rules"] == []
    assert not any(w.grants for w in first.writes)


def test_a_refused_write_is_not_repeated_and_is_said_where_it_belongs() -> None:
    children, plans = settle(observed(*ASKED))
    binding = next(w for w in plans[1].writes if w.key.kind is ChildKind.ROLE_BINDING and w.key.namespace == "crm")
    missing = {key: child for key, child in children.items() if key != binding.key}
    failure = Failure(binding.digest, Reason.NAME_TAKEN, "it exists already")

    plan = onboarding.decide(observed(*ASKED, children=missing.values(), failures={binding.key: failure}))

    assert plan.writes == ()
    assert said(plan, "Ready") == (False, "NameTaken", said(plan, "PermissionsGranted")[2])
    assert "it exists already" in said(plan, "Ready")[2]
    states = {p["name"]: (p["state"], p["reason"]) for p in plan.status["permissions"]}
    assert states == {"read-tickets": ("Pending", "NameTaken"), "refund": ("Granted", "Granted")}


def test_another_wish_is_tried_although_the_last_one_was_refused() -> None:
    _, plans = settle(observed(*ASKED))
    policy = next(w for w in plans[0].writes if w.key.kind is ChildKind.NETWORK_POLICY)
    failures = {policy.key: Failure("another digest", Reason.WORKLOAD_INVALID, "no")}

    plan = onboarding.decide(observed(*ASKED, failures=failures))

    assert policy.key in {w.key for w in plan.writes}


def test_work_that_was_refused_a_record_is_tried_again_when_it_is_other_work() -> None:
    _, plans = settle(observed())
    record = next(w for w in plans[0].writes if w.key.kind is ChildKind.AGENT_REVISION)
    failures = {record.key: Failure(record.digest, Reason.WORKLOAD_INVALID, "spec.work.template: Too long")}
    other = {"handbook": {"instructions": {"inline": "Be brief."}}}
    children, _ = settle(observed(failures=failures))

    refused = onboarding.decide(observed(failures=failures, children=children.values()))
    again = onboarding.decide(observed(failures=failures, children=children.values(), spec=other))

    assert refused.writes == ()
    assert said(refused, "Ready")[1:] == ("WorkloadInvalid", "spec.work.template: Too long")
    assert ("create", "AgentRevision", HOME) in kinds(again)


def test_nothing_is_made_in_a_namespace_that_goes_away() -> None:
    going = {**NAMESPACES, HOME: NamespaceFacts(terminating=True)}
    plan = onboarding.decide(observed(permission("refund"), namespaces=going))

    assert plan.writes == ()
    assert said(plan, "Ready")[1] == "NamespaceTerminating"


@pytest.mark.parametrize(
    ("rollout", "complete"),
    [
        (Rollout(replicas=2, wanted=2, updated=2, ready=2, observed_generation=3), True),
        (Rollout(replicas=3, wanted=2, updated=2, ready=3, observed_generation=3), False),
        (Rollout(replicas=2, wanted=2, updated=1, ready=2, observed_generation=3), False),
        (Rollout(replicas=2, wanted=2, updated=2, ready=1, observed_generation=3), False),
        (Rollout(replicas=2, wanted=2, updated=2, ready=2, observed_generation=2), False),
        (Rollout(replicas=0, wanted=0, updated=0, ready=0, observed_generation=3), True),
        (Rollout(replicas=1, wanted=0, updated=1, ready=0, observed_generation=3), False),
    ],
    ids=["complete", "old pods left", "not all new", "not all ready", "not seen yet", "scaled to none", "still one"],
)
def test_when_a_rollout_is_over(rollout: Rollout, complete: bool) -> None:
    assert rollout.complete(3) == complete


def test_a_foreign_edit_of_the_deployment_is_seen_in_its_generation() -> None:
    o = observed()
    children, _ = settle(o)
    key = next(key for key in children if key.kind is ChildKind.DEPLOYMENT)
    edited = {**children, key: replace(children[key], generation=2)}

    plan = onboarding.decide(replace(o, children=edited))
    own = onboarding.decide(replace(o, children=edited, generations={children[key].uid: 2}))

    assert kinds(plan) == [("replace", "Deployment", HOME)]
    assert own.writes == ()


def test_owners_are_in_no_child() -> None:
    children, _ = settle(observed(*ASKED))

    plan = onboarding.decide(observed(*ASKED, spec={"owners": [owner("support")]}, children=children.values()))

    assert plan.writes == ()
    assert plan.status["accountable"] == "support@corp.example"


def test_a_rule_beyond_the_role_leaves_the_rest_as_safe_as_before() -> None:
    wide = permission("wide", rules=[rule("delete", "tickets")])
    children, plans = settle(observed(*ASKED, wide))

    assert said(plans[-1], "Ready")[1] == "BeyondRoleCeiling"
    roles = {key.namespace: child.rules for key, child in children.items() if key.kind is ChildKind.ROLE}
    assert {right.verb for rules in roles.values() for each in rules for right in each.rights()} == {
        "get",
        "list",
        "create",
    }
