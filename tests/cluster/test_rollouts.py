"""Rollouts by pods on a real control plane: Canary and Recreate, to their end, back, and through what comes between."""

import pytest

from support import agents
from support.kube import Object, wait_for
from support.operator import OperatorProcess
from support.versions import (
    deployments,
    edit,
    edit_badly,
    employ,
    ready,
    rollout,
    running,
    states,
    until_rejected,
    until_serves,
    until_waits,
)
from support.workplace import Workplace

pytestmark = pytest.mark.cluster

CANARY: Object = {"strategy": "Canary", "steps": [{"weight": 25}, {"pause": {}}, {"weight": 50}, {"pause": {}}]}
SHORT = {"progressDeadlineSeconds": 3}


def test_a_canary_goes_step_by_step_as_people_promote_it(place: Workplace, operator: OperatorProcess) -> None:
    employ(place, CANARY)
    wait_for(lambda: ready(place) == 4, what="four pods to be ready")
    edit(place)

    agent = until_waits(place, 2, "Person", step=1, weight=25)
    place.until_reason("triage", "Ready", "RolloutPaused", "AgentAction Promote goes on")
    assert agent["status"]["phase"] == "Active"
    assert deployments(place) == {"triage-1": 3, "triage-2": 1}
    assert states(place) == {1: "Stable", 2: "RollingOut"}

    place.order("Promote", "on", "triage")
    place.until_ordered("on", "Complete", "CarriedOut", "The pause of step 1 is over")
    until_waits(place, 2, "Person", step=3, weight=50)
    assert deployments(place) == {"triage-1": 2, "triage-2": 2}

    place.order("Promote", "again", "triage")
    fewest = 4
    while not (place.is_ready("triage") and deployments(place) == {"triage-2": 4}):
        fewest = min(fewest, ready(place))
    assert fewest >= 4
    place.until_ordered("again", "Complete", "CarriedOut", "The pause of step 3 is over")
    until_serves(place, 2)
    assert states(place) == {1: "Superseded", 2: "Stable"}
    operator.until_idle()
    assert rollout(place) == {}

    mark = place.plane.audit_mark()
    operator.restart()
    operator.until_idle()
    place.touch(place.get("triage"))
    operator.until_idle()
    assert place.writes(mark) == [], "a rollout that is over costs nothing"


def test_a_canary_that_is_aborted_gives_everything_back(place: Workplace) -> None:
    employ(place, CANARY)
    edit(place)
    until_waits(place, 2, "Person", step=1)
    place.order("Abort", "stop", "triage", reason="Answers in the wrong language")

    place.until_ordered("stop", "Complete", "CarriedOut", "Deployment triage-2 is rolled back")
    until_rejected(place, 2, "AgentAction stop", "wrong language")
    assert deployments(place) == {"triage-1": 4}
    assert states(place) == {1: "Stable", 2: "Rejected"}

    place.order("Rollback", "retry", "triage", revision=2)
    place.until_ordered("retry", "Complete", "CarriedOut", "Revision 2 serves")
    until_serves(place, 2)
    assert deployments(place) == {"triage-2": 4}


def test_pods_that_fail_are_given_up_at_the_deadline(place: Workplace, operator: OperatorProcess) -> None:
    employ(place, {**CANARY, **SHORT})
    edit_badly(place)
    until_rejected(place, 2, "no progress for 3s", "Deployment triage-2 has 1 pods, 0 of them ready")
    operator.until_idle()
    assert deployments(place) == {"triage-1": 4}
    assert "AgentRevision" in str([event["message"] for event in place.events("triage")])

    edit_on = agents.template(replicas=4, restartPolicy="Always")
    place.replace_workload("triage", edit_on)
    until_waits(place, 3, "Person", step=1)


def test_a_frozen_rollout_waits_for_a_person(place: Workplace, operator: OperatorProcess) -> None:
    employ(place, {**CANARY, **SHORT, "onFailure": "Freeze"})
    edit_badly(place)
    place.until_reason("triage", "Ready", "RolloutStopped", "no progress for 3s")
    operator.until_idle()
    assert deployments(place) == {"triage-1": 4, "triage-2": 1}
    assert agents.condition(place.get("triage"), "Stalled")

    place.order("Abort", "stop", "triage")
    until_rejected(place, 2, "AgentAction stop")
    assert deployments(place) == {"triage-1": 4}


def test_full_passes_over_all_that_is_left(place: Workplace) -> None:
    employ(place, CANARY)
    edit(place)
    until_waits(place, 2, "Person", step=1)
    place.order("Promote", "all", "triage", full=True)
    place.until_ordered("all", "Complete", "CarriedOut", "All remaining steps")
    until_serves(place, 2)
    assert deployments(place) == {"triage-2": 4}


def test_a_pause_has_its_time_and_ends_by_itself(place: Workplace) -> None:
    employ(place, {"strategy": "Canary", "steps": [{"weight": 50}, {"pause": {"duration": "2s"}}]})
    edit(place)
    until_serves(place, 2)


def test_orders_without_anything_to_do_fail(place: Workplace) -> None:
    employ(place, CANARY)
    for action in ("Promote", "Abort"):
        place.order(action, action.lower(), "triage")
        place.until_ordered(action.lower(), "Failed", "NoRollout", "No revision takes over")
    wait_for(lambda: rollout(place) == {}, what="what was done about orders to be forgotten")
    place.order("Promote", "nobody", "ghost")
    place.until_ordered("nobody", "Failed", "NoAgent", "ghost")


def test_a_rollback_during_a_rollout_ends_it(place: Workplace) -> None:
    employ(place, CANARY)
    edit(place)
    until_waits(place, 2, "Person", step=1)
    place.order("Rollback", "back", "triage")
    place.until_ordered("back", "Complete", "CarriedOut", "Revision 1 serves")
    until_serves(place, 1)
    assert states(place) == {1: "Stable", 2: "RolledBack"}
    assert deployments(place) == {"triage-1": 4}
    assert rollout(place) == {}


def test_a_suspension_in_the_middle_takes_all_pods_and_goes_on(place: Workplace) -> None:
    employ(place, CANARY)
    edit(place)
    until_waits(place, 2, "Person", step=1)
    place.order("Suspend", "stop", "triage")
    place.until_reason("triage", "Ready", "Suspended")
    assert set(deployments(place).values()) == {0}

    place.order("Promote", "early", "triage")
    place.until_ordered("early", "Failed", "NoRollout", "resume it, then order Promote again")
    place.order("Resume", "go-on", "triage")
    until_waits(place, 2, "Person", step=1, weight=25)
    assert deployments(place) == {"triage-1": 3, "triage-2": 1}


def test_another_edit_begins_another_rollout(place: Workplace, operator: OperatorProcess) -> None:
    employ(place, CANARY)
    edit(place)
    until_waits(place, 2, "Person", step=1)
    edit(place)
    until_waits(place, 3, "Person", step=1)
    operator.until_idle()
    assert deployments(place) == {"triage-1": 3, "triage-3": 1}
    assert states(place) == {1: "Stable", 2: "Superseded", 3: "RollingOut"}


def test_an_operator_that_restarts_in_the_middle_changes_nothing(place: Workplace, operator: OperatorProcess) -> None:
    employ(place, CANARY)
    edit(place)
    until_waits(place, 2, "Person", step=1)
    operator.until_idle()
    before, mark = rollout(place), place.plane.audit_mark()
    operator.restart()
    operator.until_idle()
    assert (place.writes(mark), rollout(place)) == ([], before)

    place.order("Promote", "on", "triage")
    until_waits(place, 2, "Person", step=3)


def test_recreate_never_runs_two_revisions(place: Workplace) -> None:
    employ(place, {"strategy": "Recreate", **SHORT}, replicas=2)
    edit(place)
    while not (place.is_ready("triage") and deployments(place) == {"triage-2": 2}):
        assert len(running(place)) <= 1
    until_serves(place, 2)

    edit_badly(place, replicas=2)
    while "rejected" not in place.get("triage")["status"]["revision"]:
        assert len(running(place)) <= 1
    until_rejected(place, 3, "no progress for 3s")
    assert deployments(place) == {"triage-2": 2}


def test_recreate_is_aborted(place: Workplace) -> None:
    employ(place, {"strategy": "Recreate"}, replicas=2)
    edit_badly(place, replicas=2)
    until_waits(place, 2, "Pods")
    wait_for(lambda: deployments(place) == {"triage-1": 0, "triage-2": 2}, what="the candidate's pods to be asked for")
    place.order("Abort", "stop", "triage")
    until_rejected(place, 2, "AgentAction stop")
    assert deployments(place) == {"triage-1": 2}
