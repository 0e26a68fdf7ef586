"""Canary by requests beside an adopted workload: at every moment whoever is asked has a pod that answers."""

from __future__ import annotations

from typing import Any

import pytest

from aiagent_operator.api import meta
from aiagent_operator.core.objects import ChildKind, ObjectKey, TrafficKind
from aiagent_operator.core.rollout.facts import OrderKind
from aiagent_operator.core.versions.revisions import RollbackOrder
from support import agents
from support.decisions import HOME, said
from support.routeddesk import BESIDE, CANARY, KEY, ROUTE, RoutedDesk, at_work, service

ONE, TWO, THREE = agents.IMAGE, "registry.example/agent:2", "registry.example/agent:3"


def names(desk: RoutedDesk) -> set[str]:
    return set(desk.of(ChildKind.DEPLOYMENT))


def promoted(desk: RoutedDesk) -> None:
    """All is over but the delays: of a Service's pods, and then of its requests, others have yet to learn."""
    for _ in range(2):
        desk.later(30)
        plan = desk.settle()
    assert desk.weights == (100, 0)
    assert said(plan, "Ready")[0] is True
    assert names(desk) == {"router"}


def paused(**fields: Any) -> RoutedDesk:
    """A candidate that has its first weight."""
    desk = at_work(**fields)
    desk.want(TWO)
    assert said(desk.settle(), "Ready")[1] == "RolloutPaused"
    assert (desk.weights, desk.selected, desk.label) == ((80, 20), ("1", "2"), "1")
    return desk


def test_the_target_bears_its_revision_before_services_select_it() -> None:
    desk = at_work()
    assert (desk.label, desk.selected, desk.weights) == ("1", ("1", "1"), (100, 0))
    assert desk.status["services"] == ["canary", "stable"]


def test_requests_follow_the_weights_to_the_end() -> None:
    desk = at_work()
    before = desk.body["spec"]
    desk.want(TWO)
    plan = desk.settle()
    assert said(plan, "Ready")[1] == "RolloutPaused"
    assert (desk.weights, desk.selected) == ((80, 20), ("1", "2"))
    assert (desk.counts(), desk.counts(BESIDE)) == ((10, 10), (2, 2))
    assert desk.body["spec"] == before, "the target is untouched"
    assert plan.requeue_after == 15

    desk.order(OrderKind.PROMOTE)
    desk.settle()
    assert (desk.images["app"], desk.label) == (TWO, "2")
    assert (desk.weights, desk.selected) == ((0, 100), ("2", "2")), "others have yet to learn of its pods"
    assert desk.states() == {"triage-1": "Superseded", "triage-2": "Stable"}
    desk.later(30)
    desk.settle()
    assert (desk.weights, desk.counts(BESIDE)) == ((100, 0), (10, 10)), "others have yet to learn of that"
    promoted(desk)
    assert not desk.decide().writes


def test_the_pods_beside_it_bear_none_of_the_labels_that_the_target_selects() -> None:
    desk = paused()
    labels = desk.of(ChildKind.DEPLOYMENT)[BESIDE]["spec"]["template"]["metadata"]["labels"]
    assert "app" not in labels
    assert labels[meta.LABEL_REVISION] == "2"
    assert labels.items() >= meta.child_labels("triage", HOME, desk.look({}, {}).identity.uid).items()


def test_an_abort_gives_requests_back_at_once_and_pods_go_later() -> None:
    desk = paused()
    before = desk.body["spec"]
    desk.order(OrderKind.ABORT)
    desk.settle()
    assert (desk.weights, desk.counts(BESIDE)) == ((100, 0), (2, 2))
    desk.later(30)
    desk.settle()
    assert (names(desk), desk.body["spec"]) == ({"router"}, before)
    assert desk.states() == {"triage-1": "Stable", "triage-2": "Rejected"}
    assert desk.selected == ("1", "1")


def landing(**fields: Any) -> RoutedDesk:
    """The target is half way to the candidate's work."""
    desk = paused(**fields)
    desk.order(OrderKind.PROMOTE)
    for _ in range(60):
        desk.step()
        desk.tick()
        if desk.images["app"] == TWO and sum(p.labels[meta.LABEL_REVISION] == "2" for p in desk.running["router"]) > 3:
            assert desk.weights == (0, 100)
            return desk
    raise AssertionError("it never lands")


def landed() -> RoutedDesk:
    """The target has the candidate's work in all its pods, and a person is waited for."""
    desk = paused(rollout={**CANARY, "steps": [{"weight": 20}, {"pause": {}}, {"weight": 100}, {"pause": {}}]})
    desk.order(OrderKind.PROMOTE)
    assert said(desk.settle(), "Ready")[1] == "RolloutPaused"
    assert (desk.images["app"], desk.label, desk.weights) == (TWO, "2", (0, 100))
    assert {pod.labels[meta.LABEL_REVISION] for pod in desk.running["router"]} == {"2"}
    return desk


BEGUN = [paused, landing, landed]


@pytest.mark.parametrize("begin", BEGUN)
def test_an_abort_at_any_time_leaves_what_serves(begin: Any) -> None:
    desk = begin()
    desk.order(OrderKind.ABORT)
    desk.settle()
    assert (desk.images["app"], desk.label, desk.weights) == (ONE, "1", (100, 0))
    assert desk.counts(BESIDE)[1] > 0
    desk.later(30)
    desk.settle()
    assert (names(desk), desk.states()["triage-2"]) == ({"router"}, "Rejected")


def test_a_target_whose_pods_do_not_become_ready_goes_back() -> None:
    desk = paused(rollout={**CANARY, "progressDeadlineSeconds": 60})
    desk.broken = {"router"}
    desk.order(OrderKind.PROMOTE)
    desk.settle()
    assert (desk.images["app"], desk.weights) == (TWO, (0, 100))
    desk.later(60)
    desk.settle()
    assert (desk.images["app"], desk.weights) == (ONE, (100, 0))
    desk.later(30)
    desk.settle()
    assert names(desk) == {"router"}
    assert desk.states()["triage-2"] == "Rejected"


@pytest.mark.parametrize("begin", [landing, landed])
def test_other_weights_while_it_lands_bring_it_back_to_them(begin: Any) -> None:
    desk = begin()
    desk.spec["retraining"] = {"rollout": {**CANARY, "steps": [{"weight": 30}, {"pause": {}}]}}
    assert said(desk.settle(), "Ready")[1] == "RolloutPaused"
    assert (desk.images["app"], desk.weights, desk.selected) == (ONE, (70, 30), ("1", "2"))


def test_a_suspension_while_it_lands_comes_back_to_where_requests_are_answered() -> None:
    desk = landing()
    desk.spec["suspended"] = True
    desk.settle()
    assert (desk.counts(), desk.counts(BESIDE), desk.weights) == ((0, 0), (0, 0), (0, 100))
    desk.spec["suspended"] = False
    desk.settle()
    assert desk.states()["triage-2"] == "Stable"
    promoted(desk)


def test_a_suspension_before_takes_requests_back() -> None:
    desk = paused()
    desk.spec["suspended"] = True
    desk.settle()
    assert (desk.counts(), desk.counts(BESIDE), desk.weights) == ((0, 0), (0, 0), (100, 0))
    desk.spec["suspended"] = False
    assert said(desk.settle(), "Ready")[1] == "RolloutPaused"
    assert (desk.weights, desk.counts(BESIDE)) == ((80, 20), (2, 2))


def test_another_candidate_comes_when_nobody_asks_the_one_before() -> None:
    desk = paused()
    desk.want(THREE)
    plan = desk.settle()
    assert (desk.weights, desk.selected) == ((100, 0), ("1", "3"))
    assert "which another candidate follows" in said(plan, "WorkloadReady")[2]
    desk.later(30)
    desk.settle()
    assert (desk.weights, desk.selected, desk.states()["triage-2"]) == ((80, 20), ("1", "3"), "Superseded")
    made = desk.of(ChildKind.DEPLOYMENT)[BESIDE]
    assert made["spec"]["template"]["spec"]["containers"][0]["image"] == THREE


@pytest.mark.parametrize("begin", [landing, landed])
def test_another_candidate_while_one_lands(begin: Any) -> None:
    desk = begin()
    desk.want(THREE)
    desk.settle()
    assert (desk.images["app"], desk.weights, desk.selected) == (ONE, (100, 0), ("1", "3"))
    desk.later(30)
    desk.settle()
    assert (desk.weights, desk.selected) == ((80, 20), ("1", "3"))


@pytest.mark.parametrize("begin", BEGUN)
def test_a_return_to_what_serves_ends_it(begin: Any) -> None:
    desk = begin()
    desk.want(ONE)
    desk.settle()
    promoted(desk)
    assert (desk.images["app"], desk.selected) == (ONE, ("1", "1"))


def test_an_order_goes_back_without_steps_and_without_a_gap() -> None:
    desk = paused()
    desk.order(OrderKind.PROMOTE)
    desk.settle()
    promoted(desk)
    desk.facts["rollback"] = RollbackOrder("back", "uid-back", "AgentAction back by ann")
    desk.settle()
    assert (desk.images["app"], desk.states()["triage-1"]) == (ONE, "Stable")
    promoted(desk)
    assert desk.selected == ("1", "1")


def test_an_autoscaler_is_no_hindrance_and_what_it_takes_away_is_made_up_for() -> None:
    desk = at_work()
    ref = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "router"}
    scaler = {"metadata": {"name": "load"}, "spec": {"scaleTargetRef": ref}}
    desk.bodies[ObjectKey(TrafficKind.AUTOSCALER, HOME, "")] = {"kind": "List", "items": [scaler]}
    desk.want(TWO)
    assert said(desk.settle(), "Ready")[1] == "RolloutPaused"
    for replicas, beside in ((20, 4), (4, 4), (30, 6)):
        desk.body["spec"]["replicas"] = replicas
        desk.controlled()
        desk.settle()
        assert desk.counts(BESIDE) == (beside, beside)
        assert desk.counts() == (replicas, replicas)
    desk.order(OrderKind.PROMOTE)
    desk.settle()
    promoted(desk)
    assert (desk.images["app"], desk.counts()) == (TWO, (30, 30))


def test_weights_above_50_and_a_last_one_of_100() -> None:
    steps = [{"weight": 90}, {"pause": {}}, {"weight": 100}, {"pause": {}}]
    desk = at_work({**CANARY, "steps": steps})
    desk.want(TWO)
    desk.settle()
    assert (desk.weights, desk.counts(BESIDE)) == ((10, 90), (9, 9))
    desk.order(OrderKind.PROMOTE)
    assert said(desk.settle(), "Ready")[1] == "RolloutPaused"
    assert (desk.weights, desk.images["app"]) == ((0, 100), TWO)
    desk.order(OrderKind.PROMOTE)
    desk.settle()
    promoted(desk)


def test_promote_with_full_passes_over_the_steps() -> None:
    desk = paused()
    desk.order(OrderKind.PROMOTE_FULL)
    desk.settle()
    promoted(desk)
    assert desk.images["app"] == TWO


def test_a_candidate_that_fails_and_freezes_stays_where_it_is() -> None:
    desk = at_work({**CANARY, "onFailure": "Freeze", "progressDeadlineSeconds": 60})
    desk.broken = {BESIDE}
    desk.want(TWO)
    desk.settle()
    desk.later(60)
    assert said(desk.settle(), "Ready")[1] == "RolloutStopped"
    assert (desk.weights, desk.counts(BESIDE)) == ((100, 0), (2, 0))
    desk.order(OrderKind.ABORT)
    desk.settle()
    desk.later(30)
    desk.settle()
    assert names(desk) == {"router"}


def test_an_edit_by_its_owner_reaches_both_and_nobody_is_left_without_an_answer() -> None:
    desk = paused()
    desk.body["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "MODE", "value": "fast"}]
    desk.controlled()
    desk.settle()
    made = desk.of(ChildKind.DEPLOYMENT)[BESIDE]["spec"]["template"]["spec"]["containers"][0]
    assert made["env"] == [{"name": "MODE", "value": "fast"}]
    assert (desk.weights, desk.label) == ((80, 20), "1")


@pytest.mark.parametrize("begin", [at_work, *BEGUN])
def test_another_container_takes_over_without_steps_and_without_a_gap(begin: Any) -> None:
    desk = begin()
    desk.want(THREE, "log")
    desk.settle()
    promoted(desk)
    assert (desk.images, desk.selected[0]) == ({"app": ONE, "log": THREE}, desk.label)


# Coming and going -----------------------------------------------------------------------------------------------------


def test_where_a_route_is_named_later_the_target_bears_its_revision_first() -> None:
    desk = at_work({"strategy": "Canary", "steps": [{"weight": 20}, {"pause": {}}]})
    assert (desk.label, desk.selected) == ("", ("", ""))
    desk.spec["retraining"] = {"rollout": CANARY}
    assert said(desk.settle(), "Ready")[0] is True
    assert (desk.label, desk.selected, desk.weights) == ("1", ("1", "1"), (100, 0))


@pytest.mark.parametrize("begin", [at_work, *BEGUN])
@pytest.mark.parametrize("rollout", [None, {"strategy": "Recreate"}])
def test_where_it_goes_services_are_released_before_the_label(begin: Any, rollout: dict[str, Any] | None) -> None:
    desk = begin()
    desk.spec["retraining"] = {"rollout": rollout} if rollout else {}
    while any(desk.selected):
        assert desk.label
        desk.step()
        desk.tick()
    # By Recreate nobody answers for a while: so it was chosen.
    desk.watched = rollout is None
    desk.settle()
    assert (desk.label, names(desk)) == ("", {"router"})
    assert desk.status["services"] is None


def test_where_it_comes_in_the_middle_the_rollout_begins_anew_by_requests() -> None:
    desk = at_work({"strategy": "Canary", "steps": [{"weight": 20}, {"pause": {}}]})
    desk.watched = False  # The owner's Service selects the pods beside it, until they are made anew.
    desk.want(TWO)
    desk.settle()
    desk.spec["retraining"] = {"rollout": CANARY}
    assert said(desk.settle(), "Ready")[1] == "RolloutPaused"
    desk.watched = True
    desk.check()
    assert (desk.weights, desk.selected, desk.label) == ((80, 20), ("1", "2"), "1")


def test_without_a_route_no_target_gets_the_label() -> None:
    desk = at_work({"strategy": "Recreate"})
    assert desk.label == ""
    assert desk.body["metadata"]["generation"] <= 4


# Bad input ------------------------------------------------------------------------------------------------------------


def test_a_canary_service_that_asks_for_labels_of_the_target_is_said() -> None:
    desk = at_work()
    desk.bodies[service("canary")]["spec"]["selector"]["app"] = "router"
    desk.want(TWO)
    plan = desk.settle()
    assert said(plan, "WorkloadReady")[1] == "TrafficNotFound"
    for part in ("Service home/canary", "app: router", "workforce.dev/agent: triage is enough"):
        assert part in said(plan, "WorkloadReady")[2]
    assert desk.weights == (100, 0)
    del desk.bodies[service("canary")]["spec"]["selector"]["app"]
    desk.settle()
    assert desk.weights == (80, 20)


def test_a_selector_that_only_denies_selects_the_pods_beside_it_too() -> None:
    desk = at_work()
    expressions = [{"key": "tier", "operator": "NotIn", "values": ["db"]}]
    desk.body["spec"]["selector"] = {"matchExpressions": expressions}
    desk.want(TWO)
    status, reason, text = said(desk.settle(), "WorkloadReady")
    assert (status, reason) == (False, "CanaryNotPossible")
    for part in ("spec.selector", "Recreate"):
        assert part in text
    assert (names(desk), desk.weights) == ({"router"}, (100, 0))


def test_a_route_that_goes_meanwhile_is_waited_for() -> None:
    desk = paused()
    route = desk.bodies.pop(ROUTE)
    desk.watched = False
    desk.order(OrderKind.PROMOTE)
    assert said(desk.settle(), "WorkloadReady")[1] == "TrafficNotFound"
    assert (desk.images["app"], desk.selected) == (ONE, ("1", "2"))
    desk.bodies[ROUTE] = route
    desk.watched = True
    desk.settle()
    assert desk.images["app"] == TWO


def test_the_number_goes_with_everything_else_when_the_target_is_given_back() -> None:
    from aiagent_operator.core.targets import release  # noqa: PLC0415
    from aiagent_operator.core.workload.result import patches  # noqa: PLC0415
    from support.decisions import IDENTITY  # noqa: PLC0415

    desk = at_work()
    desk.watched = False
    while steps := release.release(desk.body, IDENTITY):
        for write in patches(KEY, steps):
            desk.write(write)
    assert desk.body["spec"]["template"]["metadata"]["labels"] == {"app": "router"}
