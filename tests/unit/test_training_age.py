"""Policies about the age of training: announced, then suspended, then healed; and nothing said with the clock alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagent_operator.api.agentstatus import AIAgentStatus
from aiagent_operator.core import onboarding
from aiagent_operator.core.cadence.promise import Kept
from aiagent_operator.core.objects import ChildKind
from aiagent_operator.core.plan import Observed, Plan
from aiagent_operator.core.policies.merged import Limit, Merged
from aiagent_operator.core.retraining import facts
from aiagent_operator.core.retraining.due import Hold, InTraining, Start, View, Wait
from aiagent_operator.core.retraining.report import LONGEST, summary
from aiagent_operator.runtime.report import changes, worth_an_event
from support.agents import permission
from support.decisions import after, observed, said
from support.policies import NIGHTS, POLICIES, merged, policy

BORN = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
SUSPENDS = policy("corp", maxAge="24h", overdue={"grace": "2h", "action": "Suspend"})
ANNOUNCES = policy("corp", maxAge="24h", overdue={"grace": "2h"})


def at(after_birth: timedelta, policies: Merged, **more: Any) -> Observed:
    """The agent, so long after it was created."""
    now = f"{BORN + after_birth:%Y-%m-%dT%H:%M:%SZ}"
    o = observed(permission("read-tickets", "crm"), policies=policies, time=now, **more)
    metadata = o.agent.metadata.model_copy(update={"creation_timestamp": "2026-01-01T00:00:00Z"})
    return replace(o, agent=o.agent.model_copy(update={"metadata": metadata}))


def settled(o: Observed) -> tuple[Observed, Plan]:
    for _ in range(24):
        plan = onboarding.decide(o)
        if not plan.writes:
            return o, plan
        o = replace(o, children=after(o.children, plan))
    raise AssertionError("not settled")


def employed(policies: Merged, **more: Any) -> Observed:
    return settled(at(timedelta(), policies, **more))[0]


def rights_and_pods(o: Observed) -> tuple[int, int]:
    bound = sum(key.kind is ChildKind.ROLE_BINDING for key in o.children)
    return bound, sum(c.rollout.wanted for k, c in o.children.items() if k.kind is ChildKind.DEPLOYMENT and c.rollout)


def test_without_policies_nothing_is_said_of_training() -> None:
    _, plan = settled(at(timedelta(), Merged()))
    assert (plan.status["training"], plan.training, plan.requeue_after) == (None, None, None)
    assert "TrainingCurrent" not in {v.type.value for v in plan.verdicts}


def test_a_policy_that_demands_no_age_is_named_and_no_more() -> None:
    _, plan = settled(at(timedelta(), merged(policy("keeps", revisionHistoryLimit=3))))
    assert plan.status["training"] == {"policies": ["keeps"]}
    assert "TrainingCurrent" not in {v.type.value for v in plan.verdicts}


def test_the_course_of_an_agent_that_is_never_trained() -> None:
    o, plan = settled(at(HOUR, merged(SUSPENDS)))
    assert said(plan, "TrainingCurrent") == (
        True,
        "UpToDate",
        'Current until 2026-01-02T00:00:00Z: training may get 24h of AgentPolicy "corp" old',
    )
    assert plan.status["training"] == {
        "due": "2026-01-02T00:00:00Z",
        "maxAge": {"value": "24h", "policies": ["corp"]},
        "waitsFor": {"reason": "NoRetraining", "message": plan.status["training"]["waitsFor"]["message"]},
        "policies": ["corp"],
    }
    assert plan.requeue_after == LONGEST.total_seconds()

    o, plan = settled(replace(at(24 * HOUR, merged(SUSPENDS)), children=o.children))
    assert said(plan, "TrainingCurrent")[:2] == (False, "Overdue")
    assert 'AgentPolicy "corp" suspends the agent at 2026-01-02T02:00:00Z' in said(plan, "TrainingCurrent")[2]
    assert said(plan, "Ready")[0] is True, "an announcement takes nothing away"
    assert plan.requeue_after == 2 * 3600
    assert rights_and_pods(o) == (1, 1)

    o, plan = settled(replace(at(26 * HOUR, merged(SUSPENDS)), children=o.children))
    assert said(plan, "TrainingCurrent")[:2] == (False, "SuspendedForAge")
    assert said(plan, "Ready")[:2] == (False, "Suspended")
    assert 'have it trained, or have AgentPolicy "corp" changed' in said(plan, "Ready")[2]
    assert 'AgentPolicy "corp" suspends it' in said(plan, "WorkloadReady")[2]
    assert plan.status["training"]["suspendedBy"] == ["corp"]
    assert rights_and_pods(o) == (0, 0)
    assert "Stalled" not in {v.type.value for v in plan.verdicts}

    for healed in (Merged(), merged(ANNOUNCES), merged(policy("corp", maxAge="240h"))):
        o, plan = settled(replace(at(27 * HOUR, healed), children=o.children))
        assert said(plan, "Ready")[0] is True
        assert rights_and_pods(o) == (1, 1)
        assert "suspendedBy" not in (plan.status["training"] or {})


def test_a_policy_that_announces_takes_nothing_away() -> None:
    o, plan = settled(at(1000 * HOUR, merged(ANNOUNCES)))
    assert said(plan, "TrainingCurrent")[:2] == (False, "OverdueBeyondGrace")
    assert said(plan, "Ready")[0] is True
    assert rights_and_pods(o) == (1, 1)
    assert plan.requeue_after is None, "nothing changes with time any more"


def test_rights_go_before_pods() -> None:
    o = replace(at(26 * HOUR, merged(SUSPENDS)), children=employed(merged(SUSPENDS)).children)
    first = onboarding.decide(o)
    assert {w.key.kind for w in first.writes} == {ChildKind.ROLE_BINDING}
    assert first.revokes


def test_each_that_suspends_is_named_with_its_own_way_back() -> None:
    o = at(26 * HOUR, merged(SUSPENDS))
    o = replace(o, agent=o.agent.model_copy(update={"spec": o.agent.spec.model_copy(update={"suspended": True})}))
    _, plan = settled(o)
    assert "set spec.suspended to false and have it trained" in said(plan, "Ready")[2]
    assert 'spec.suspended is true; AgentPolicy "corp" suspends it' in said(plan, "WorkloadReady")[2]


def test_an_unreadable_policy_is_said_and_what_can_be_read_of_it_holds() -> None:
    mars = policy("mars", windows=[{**NIGHTS, "timeZone": "Mars/Olympus"}])
    _, plan = settled(at(HOUR, merged(mars)))
    status, reason, message = said(plan, "TrainingCurrent")
    assert (status, reason) == (False, "PolicyUnreadable")
    assert 'AgentPolicy "mars" cannot be read' in message
    assert "spec.windows[nights]" in message
    strict = policy(
        "mars", windows=[{**NIGHTS, "timeZone": "Mars"}], maxAge="1h", overdue={"grace": "0s", "action": "Suspend"}
    )
    _, plan = settled(at(2 * HOUR, merged(strict)))
    assert said(plan, "Ready")[1] == "Suspended"


def test_each_step_is_an_event_once() -> None:
    events = []
    old: dict[str, Any] = {}
    for hours in (1, 24, 25, 26, 30):
        _, plan = settled(at(hours * HOUR, merged(SUSPENDS)))
        events.append([v.reason.value for v in worth_an_event(old, plan.verdicts) if v.type.value == "TrainingCurrent"])
        old = {**old, **changes(old, plan.status, plan.verdicts, 1)}
    assert events == [[], ["Overdue"], [], ["SuspendedForAge"], []]


@given(POLICIES, st.integers(0, 2000), st.integers(1, 400))
def test_the_clock_alone_changes_nothing_before_the_agent_is_to_be_looked_at_again(
    policies: tuple[Any, ...], hours: int, later: int
) -> None:
    demanded = merged(*policies)
    plan = onboarding.decide(at(hours * HOUR, demanded))
    until = min(later * HOUR, timedelta(seconds=plan.requeue_after) if plan.requeue_after else later * HOUR)
    then = onboarding.decide(at(hours * HOUR + until - timedelta(seconds=1), demanded))
    assert (then.verdicts, then.status, then.writes) == (plan.verdicts, plan.status, plan.writes)


@given(POLICIES, st.integers(0, 2000))
def test_what_is_said_fits_into_the_status(policies: tuple[Any, ...], hours: int) -> None:
    plan = onboarding.decide(at(hours * HOUR, merged(*policies)))
    AIAgentStatus.model_validate({"training": plan.status["training"]})


def test_many_policies_fit_too() -> None:
    many = merged(*(policy(f"p{n:03}", maxAge="1h", overdue={"grace": "0s", "action": "Suspend"}) for n in range(100)))
    plan = onboarding.decide(at(2 * HOUR, many))
    read = AIAgentStatus.model_validate({"training": plan.status["training"]}).training
    assert read is not None
    assert len(read.policies) == len(read.suspended_by) == 64
    assert all(len(v.message) < 32768 for v in plan.verdicts)


@pytest.mark.parametrize("hours", [1, 30])
def test_an_agent_that_is_not_decided_about_keeps_no_slot_unless_it_trains(hours: int) -> None:
    o = at(hours * HOUR, merged(policy("p", maxConcurrent=1)))
    found = facts.bare(o.agent.metadata, o.policies, o.children.values(), o.now)
    assert not isinstance(found.step, InTraining)
    assert [limit.policy for limit in found.limits] == ["p"]


DUE = View(
    "0a1b", BORN, Start(BORN), Kept(None), None, suspend=False, announcement="", again=None, limits=(Limit("p", 1),)
)
SLOT = Wait(Hold.SLOT, "waits for a slot")


@pytest.mark.parametrize(
    ("facts_", "before", "reason"),
    [
        ({"admitted": True}, "Slot", None),
        ({"slot": SLOT}, "NotDue", "Slot"),
        ({}, "Slot", "Slot"),
        ({}, "NotDue", None),
    ],
    ids=["has a slot", "waits", "waited before a restart", "not known yet"],
)
def test_what_an_agent_that_is_due_waits_for(facts_: dict[str, Any], before: str, reason: str | None) -> None:
    o = observed(training=DUE, status={"training": {"waitsFor": {"reason": before, "message": "m"}}}, **facts_)
    found = summary(o)
    assert found is not None
    assert found.get("waitsFor", {}).get("reason") == reason
