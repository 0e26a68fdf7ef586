"""An agent with spec.retraining.rollout, round by round: what is written, in which order, and what is kept."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from aiagent_operator.api.agentrevision import RevisionState
from aiagent_operator.core import onboarding
from aiagent_operator.core.objects import ChildKind
from aiagent_operator.core.rollout.facts import OrderKind
from aiagent_operator.core.versions.revisions import RollbackOrder
from support.decisions import after, said
from support.stepwise import CANARY, employed


def test_a_canary_waits_for_a_person_and_goes_on_when_told() -> None:
    agent = employed(CANARY)
    plan = agent.settle()

    assert agent.pods == {"triage-1": 8, "triage-2": 2}
    assert said(plan, "Ready")[:2] == (False, "RolloutPaused")
    assert "AgentAction Promote" in said(plan, "Ready")[2]
    assert (agent.kept["revision"], agent.kept["step"], agent.kept["weight"]) == (2, 1, 20)
    assert (agent.kept["waitsFor"], agent.kept["steps"]) == ("Person", 3)
    assert agent.states == {1: RevisionState.STABLE, 2: RevisionState.ROLLING_OUT}

    agent.order(OrderKind.PROMOTE)
    plan = agent.settle()
    assert agent.pods == {"triage-2": 10}
    assert said(plan, "Ready")[0] is True
    assert agent.outcome("uid-0") == (True, "the pause of step 1 is over")
    assert "revision" not in agent.kept
    assert agent.states == {1: RevisionState.SUPERSEDED, 2: RevisionState.STABLE}
    assert agent.fewest >= 10

    agent.orders = ()
    agent.settle()
    assert agent.status["rollout"] is None


def test_an_order_acts_once_although_its_own_end_comes_late() -> None:
    agent = employed({"strategy": "Canary", "steps": [{"weight": 20}, {"pause": {}}, {"weight": 50}, {"pause": {}}]})
    agent.settle()
    agent.order(OrderKind.PROMOTE)
    agent.settle()
    assert (agent.kept["step"], agent.pods) == (3, {"triage-1": 5, "triage-2": 5})

    agent.text = "Be honest."
    agent.settle()
    assert (agent.kept["revision"], agent.kept["step"]) == (3, 1), "an order of before does not end its pause"
    assert agent.pods == {"triage-1": 8, "triage-3": 2}


def test_an_aborted_candidate_is_rejected_and_not_tried_again() -> None:
    agent = employed(CANARY)
    agent.settle()
    agent.order(OrderKind.ABORT)
    plan = agent.settle()

    assert agent.pods == {"triage-1": 10}
    assert agent.states == {1: RevisionState.STABLE, 2: RevisionState.REJECTED}
    assert agent.status["revision"] == {"latest": 2, "stable": 1, "rejected": 2}
    assert said(plan, "Ready")[:2] == (False, "RevisionRejected")
    assert agent.outcome("uid-0")[0] is True
    assert agent.fewest >= 10

    agent.text = "Be kind."
    assert said(agent.settle(), "Ready")[0] is True
    agent.text = "Be honest."
    agent.settle()
    assert (agent.kept["revision"], agent.pods) == (3, {"triage-1": 8, "triage-3": 2})


def test_pods_that_never_become_ready_are_given_up_at_the_deadline() -> None:
    agent = employed({**CANARY, "progressDeadlineSeconds": 60})
    agent.broken = {"triage-2"}
    plan = agent.settle()
    assert (said(plan, "Ready")[1], plan.requeue_after) == ("Progressing", 60)
    assert agent.pods == {"triage-1": 10, "triage-2": 2}

    agent.now += timedelta(seconds=60)
    agent.settle()
    assert agent.states[2] is RevisionState.REJECTED
    assert agent.pods == {"triage-1": 10}
    assert agent.fewest >= 10


def test_frozen_pods_stay_until_a_person_decides() -> None:
    agent = employed({**CANARY, "onFailure": "Freeze", "progressDeadlineSeconds": 60})
    agent.broken = {"triage-2"}
    agent.settle()
    agent.now += timedelta(seconds=60)
    plan = agent.settle()
    assert said(plan, "Ready")[:2] == (False, "RolloutStopped")
    assert said(plan, "Stalled")[0] is True
    assert agent.pods == {"triage-1": 10, "triage-2": 2}

    agent.order(OrderKind.ABORT)
    agent.settle()
    assert agent.states[2] is RevisionState.REJECTED


def test_recreate_never_runs_two_revisions() -> None:
    agent = employed({"strategy": "Recreate", "progressDeadlineSeconds": 60})
    agent.settle()
    assert agent.pods == {"triage-2": 10}
    assert agent.versions == 1

    agent.broken = {"triage-3"}
    agent.text = "Be honest."
    agent.settle()
    assert agent.pods == {"triage-2": 0, "triage-3": 10}
    agent.now += timedelta(seconds=60)
    agent.settle()
    assert (agent.pods, agent.versions) == ({"triage-2": 10}, 1)
    assert agent.states[3] is RevisionState.REJECTED


def test_recreate_waits_for_a_candidate_of_before() -> None:
    agent = employed({"strategy": "Recreate"})
    agent.broken = {"triage-2"}
    agent.settle()
    agent.text = "Be honest."
    agent.settle()
    assert (agent.pods, agent.versions) == ({"triage-3": 10}, 1)
    agent.text = "Be kind."
    agent.settle()
    assert (agent.pods, agent.versions) == ({"triage-1": 10}, 1)


def test_a_rollback_needs_no_steps_and_ends_a_rollout() -> None:
    agent = employed(CANARY)
    agent.settle()
    agent.rollback = RollbackOrder("back", "uid-back", "AgentAction back by ann")
    agent.settle()
    assert agent.pods == {"triage-1": 10}
    assert agent.states == {1: RevisionState.STABLE, 2: RevisionState.ROLLED_BACK}

    agent.rollback = RollbackOrder("forth", "uid-forth", "AgentAction forth by ann", 2)
    agent.settle()
    assert agent.pods == {"triage-2": 10}
    assert agent.states == {1: RevisionState.ROLLED_BACK, 2: RevisionState.STABLE}
    assert agent.fewest >= 10


def test_a_rollback_whose_pods_fail_is_given_up_too() -> None:
    agent = employed({"strategy": "Canary", "progressDeadlineSeconds": 60})
    agent.settle()
    agent.broken = {"triage-1"}
    agent.rollback = RollbackOrder("back", "uid-back", "AgentAction back by ann")
    agent.settle()
    agent.now += timedelta(seconds=60)
    agent.settle()
    assert agent.pods == {"triage-2": 10}
    assert agent.states == {1: RevisionState.REJECTED, 2: RevisionState.STABLE}
    assert agent.kept == {}


def test_a_suspended_agent_has_no_pods_of_either_and_goes_on_afterwards() -> None:
    agent = employed(CANARY)
    agent.settle()
    agent.suspended = True
    plan = agent.settle()
    assert set(agent.pods.values()) == {0}
    assert said(plan, "Ready")[1] == "Suspended"
    agent.now += timedelta(hours=1)
    agent.suspended = False
    agent.settle()
    assert (agent.pods, agent.kept["step"]) == ({"triage-1": 8, "triage-2": 2}, 1)

    agent.suspended = True
    agent.settle()
    agent.order(OrderKind.ABORT)
    agent.settle()
    assert agent.states[2] is RevisionState.REJECTED
    assert agent.pods == {"triage-1": 0}


def test_the_status_stands_before_anything_is_written() -> None:
    agent = employed(CANARY)
    plan = onboarding.decide(agent.observe())
    while "triage-2" not in {write.key.name for write in plan.writes if write.key.kind is ChildKind.DEPLOYMENT}:
        agent.bodies |= {w.key: w.body for w in plan.writes if w.key.kind is ChildKind.AGENT_REVISION}
        agent.children = after(agent.children, plan)
        plan = onboarding.decide(agent.observe())
    assert plan.first["rollout"]["revision"] == 2


def test_what_cannot_be_read_stops_everything_but_the_agent() -> None:
    agent = employed(CANARY)
    agent.settle()
    agent.status["rollout"] = {"revision": 2, "step": "many"}
    plan = agent.settle()
    assert said(plan, "WorkloadReady")[1] == "RolloutStopped"
    assert agent.pods == {"triage-1": 8, "triage-2": 2}
    assert "rollout" not in plan.status


@pytest.mark.parametrize("rollout", [None, CANARY])
def test_orders_without_a_rollout_fail_and_say_why(rollout: dict[str, Any] | None) -> None:
    agent = employed(rollout)
    agent.text = "Be kind."
    agent.order(OrderKind.PROMOTE)
    agent.settle()
    done, text = agent.outcome("uid-0")
    assert not done
    assert ("no revision takes over" if rollout else "spec.retraining.rollout is not set") in text


def test_a_rollout_taken_out_of_the_spec_goes_on_pod_by_pod() -> None:
    agent = employed(CANARY)
    agent.settle()
    agent.rollout = None
    agent.settle()
    assert agent.pods == {"triage-2": 10}
    assert agent.status["rollout"] is None
    assert agent.fewest >= 10
