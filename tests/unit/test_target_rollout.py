"""How a revision takes over in an adopted workload: by pods beside it, or after them."""

from __future__ import annotations

import copy
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagent_operator.api import meta
from aiagent_operator.core.objects import ChildKind, ObjectKey, TrafficKind
from aiagent_operator.core.plan import Verb
from aiagent_operator.core.rollout import beside
from aiagent_operator.core.rollout.facts import OrderKind
from aiagent_operator.core.versions.revisions import RollbackOrder
from support import agents
from support.agents import permission
from support.decisions import HOME, said
from support.documents import ROOT, table
from support.gates import template
from support.targetdesk import KEY, OWNER, TargetDesk

ONE, TWO, THREE = agents.IMAGE, "registry.example/agent:2", "registry.example/agent:3"
CANARY = {"strategy": "Canary", "steps": [{"weight": 20}, {"pause": {}}]}
NAME = "router-canary"
AUTOSCALERS = ObjectKey(TrafficKind.AUTOSCALER, HOME, "")


def at_work(rollout: dict[str, Any], *, replicas: int = 10, **spec: Any) -> TargetDesk:
    """An agent whose first revision serves, and whose owner has let go of the image."""
    desk = TargetDesk(permission("refund"), retraining={"rollout": rollout}, **spec)
    desk.body["spec"]["replicas"] = replicas
    desk.controlled()
    assert said(desk.settle(), "Ready")[0] is True
    desk.owner_lets_go()
    desk.want(TWO)
    return desk


def test_a_candidate_comes_beside_the_untouched_target_and_waits_for_a_person() -> None:
    desk = at_work(CANARY)
    before = desk.body["spec"]
    plan = desk.settle()
    assert desk.body["spec"] == before
    assert desk.counts(NAME) == (3, 3), "of thirteen pods"
    assert said(plan, "Ready")[:2] == (False, "RolloutPaused")
    assert (plan.status["rollout"]["revision"], plan.status["rollout"]["weight"]) == (2, 20)
    assert (plan.status["replicas"], plan.status["readyReplicas"]) == (13, 13)

    desk.order(OrderKind.PROMOTE)
    assert said(desk.settle(), "Ready")[0] is True
    assert (desk.images["app"], set(desk.of(ChildKind.DEPLOYMENT))) == (TWO, {"router"})
    assert desk.states() == {"triage-1": "Superseded", "triage-2": "Stable"}
    assert desk.body["spec"]["replicas"] == 10


def test_the_pods_beside_it_are_the_targets_own_but_for_image_and_handbook() -> None:
    desk = at_work(CANARY)
    pod = desk.body["spec"]["template"]
    pod["spec"]["containers"][0]["env"] = [{"name": "MODE", "value": "fast"}]
    pod["spec"]["nodeSelector"] = {"disk": "ssd"}
    desk.spec["handbook"] = {"instructions": {"inline": "Be brief."}}
    desk.settle()
    made = desk.of(ChildKind.DEPLOYMENT)[NAME]
    spec = made["spec"]["template"]["spec"]
    first, second = spec["containers"]
    assert (first["image"], second["image"]) == (TWO, "registry.example/log:1")
    assert first["env"] == [{"name": "MODE", "value": "fast"}]
    assert spec["nodeSelector"] == {"disk": "ssd"}
    assert spec["serviceAccountName"] == "aiagent.triage"
    books = {v["configMap"]["name"] for v in spec["volumes"] if v["name"] == "workforce-handbook"}
    assert len(books) == 1
    theirs = {v["configMap"]["name"] for v in pod["spec"]["volumes"] if v["name"] == "workforce-handbook"}
    assert books.isdisjoint(theirs)
    labels = made["spec"]["template"]["metadata"]["labels"]
    assert labels["app"] == "router", "the target's Services select them"
    assert labels.items() >= made["spec"]["selector"]["matchLabels"].items()
    assert labels[meta.LABEL_REVISION] == "3", "the edit of the owner is on record as 2"


def test_an_abort_leaves_the_target_as_it_was() -> None:
    desk = at_work(CANARY)
    before = desk.body["spec"]
    desk.settle()
    desk.order(OrderKind.ABORT)
    plan = desk.settle()
    assert desk.body["spec"] == before
    assert set(desk.of(ChildKind.DEPLOYMENT)) == {"router"}
    assert desk.states() == {"triage-1": "Stable", "triage-2": "Rejected"}
    assert said(plan, "Ready")[:2] == (False, "RevisionRejected")


def test_pods_beside_it_that_never_become_ready_are_given_up_at_the_deadline() -> None:
    desk = at_work({**CANARY, "progressDeadlineSeconds": 60})
    desk.broken = {NAME}
    desk.settle()
    assert desk.counts(NAME) == (3, 0)
    desk.later(60)
    desk.settle()
    assert (desk.images["app"], desk.states()["triage-2"]) == (ONE, "Rejected")
    assert set(desk.of(ChildKind.DEPLOYMENT)) == {"router"}


def test_a_target_that_does_not_become_ready_goes_back_before_the_pods_beside_it_go() -> None:
    desk = at_work({**CANARY, "progressDeadlineSeconds": 60})
    desk.settle()
    desk.broken = {"router"}
    desk.order(OrderKind.PROMOTE)
    desk.settle()
    assert (desk.images["app"], desk.counts(NAME)) == (TWO, (3, 3))
    desk.later(60)
    order = []
    while (plan := desk.decide()).writes:
        for write in plan.writes:
            order += [(write.verb, write.key.name)] if write.key.kind is ChildKind.DEPLOYMENT else []
            desk.write(write)
        desk.status |= plan.status
    assert order[0] == (Verb.APPLY, "router")
    assert {name for _, name in order[1:]} >= {NAME}
    assert (desk.images["app"], desk.states()["triage-2"]) == (ONE, "Rejected")


def test_an_order_goes_back_without_steps() -> None:
    desk = at_work(CANARY)
    desk.settle()
    desk.order(OrderKind.PROMOTE)
    desk.settle()
    desk.facts["rollback"] = RollbackOrder("back", "uid-back", "AgentAction back by ann")
    desk.settle()
    assert (desk.images["app"], desk.states()["triage-1"]) == (ONE, "Stable")
    assert set(desk.of(ChildKind.DEPLOYMENT)) == {"router"}


def test_another_candidate_takes_the_place_of_the_one_before() -> None:
    desk = at_work(CANARY)
    desk.settle()
    selector = desk.of(ChildKind.DEPLOYMENT)[NAME]["spec"]["selector"]
    desk.want(THREE)
    plan = desk.settle()
    made = desk.of(ChildKind.DEPLOYMENT)[NAME]
    assert made["spec"]["selector"] == selector, "nobody can change it"
    assert made["spec"]["template"]["spec"]["containers"][0]["image"] == THREE
    assert (plan.status["rollout"]["revision"], desk.states()["triage-2"]) == (3, "Superseded")


def test_an_edit_of_the_rest_by_its_owner_reaches_the_pods_beside_it() -> None:
    desk = at_work(CANARY)
    desk.settle()
    desk.body["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "MODE", "value": "fast"}]
    desk.controlled()
    desk.settle()
    made = desk.of(ChildKind.DEPLOYMENT)[NAME]["spec"]["template"]["spec"]["containers"][0]
    assert made["env"] == [{"name": "MODE", "value": "fast"}]


def test_a_conflict_about_the_image_is_said_when_the_target_is_to_get_it() -> None:
    desk = TargetDesk(retraining={"rollout": CANARY})
    desk.settle()
    desk.want(TWO)
    assert said(desk.settle(), "Ready")[1] == "RolloutPaused"
    desk.order(OrderKind.PROMOTE)
    status, reason, text = said(desk.settle(), "WorkloadReady")
    assert (status, reason) == (False, "FieldConflict")
    assert OWNER in text
    assert desk.counts(NAME)[1] == 1, "what takes over goes on where it is"


def test_a_suspended_agent_has_pods_neither_here_nor_there() -> None:
    desk = at_work(CANARY)
    desk.settle()
    desk.spec["suspended"] = True
    desk.settle()
    assert (desk.counts(), desk.counts(NAME)) == ((0, 0), (0, 0))
    desk.spec["suspended"] = False
    assert said(desk.settle(), "Ready")[1] == "RolloutPaused"
    assert (desk.counts(), desk.counts(NAME)) == ((10, 10), (3, 3))


def test_without_the_rollout_the_targets_own_update_finishes_it() -> None:
    desk = at_work(CANARY)
    desk.settle()
    del desk.spec["retraining"]
    assert said(desk.settle(), "Ready")[0] is True
    assert (desk.images["app"], set(desk.of(ChildKind.DEPLOYMENT))) == (TWO, {"router"})


def test_recreate_changes_the_target_while_it_has_no_pod() -> None:
    desk = at_work({"strategy": "Recreate"})
    seen: list[tuple[int, str]] = []
    while (plan := desk.decide()).writes:
        for write in plan.writes:
            desk.write(write)
            if write.key == KEY:
                seen.append((desk.body["spec"]["replicas"], desk.images["app"]))
        desk.status |= plan.status
    assert list(dict.fromkeys(seen)) == [(0, ONE), (0, TWO), (10, TWO)]
    assert desk.states() == {"triage-1": "Superseded", "triage-2": "Stable"}
    assert meta.ANNOTATION_PRIOR_REPLICAS not in desk.body["metadata"]["annotations"]


def test_recreate_goes_back_when_the_pods_do_not_become_ready() -> None:
    desk = at_work({"strategy": "Recreate", "progressDeadlineSeconds": 60})
    desk.broken = {"router"}
    desk.settle()
    assert (desk.images["app"], desk.counts()) == (TWO, (10, 0))
    desk.later(60)
    desk.broken = set()
    desk.settle()
    assert (desk.images["app"], desk.counts()) == (ONE, (10, 10))
    assert desk.states() == {"triage-1": "Stable", "triage-2": "Rejected"}


def test_an_evaluation_that_fails_beside_the_target_gives_the_candidate_up() -> None:
    steps = [{"weight": 20}, {"evaluation": {"name": "live"}}]
    how = {"rollout": {"strategy": "Canary", "steps": steps}, "evaluations": [template("live")]}
    desk = TargetDesk(permission("refund"), retraining=how)
    desk.settle()
    desk.owner_lets_go()
    desk.answer = lambda *_: "F"
    desk.want(TWO)
    desk.settle()
    assert (desk.images["app"], desk.states()) == (ONE, {"triage-1": "Stable", "triage-2": "Rejected"})
    assert set(desk.of(ChildKind.DEPLOYMENT)) == {"router"}

    desk.answer = lambda *_: "S"
    desk.want(THREE)
    desk.settle()
    assert (desk.images["app"], desk.states()["triage-3"]) == (THREE, "Stable")


def scaled_by(name: str) -> dict[str, Any]:
    """The list of autoscalers with one of this Deployment."""
    ref = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
    return {"kind": "List", "items": [{"metadata": {"name": "load"}, "spec": {"scaleTargetRef": ref}}]}


def test_an_autoscaler_of_the_target_keeps_pods_from_coming_beside_it() -> None:
    desk = at_work(CANARY)
    desk.bodies[AUTOSCALERS] = scaled_by("router")
    desk.order(OrderKind.PROMOTE)
    plan = desk.settle()
    status, reason, text = said(plan, "Ready")
    assert (status, reason) == (False, "Autoscaled")
    for part in ("HorizontalPodAutoscaler load", "Deployment router", "name trafficRouting", "strategy Recreate"):
        assert part in text
    assert (desk.images["app"], desk.counts(NAME), plan.requeue_after) == (ONE, (0, 0), 60)
    ((outcome,),) = (plan.status["rollout"]["orders"],)
    assert outcome["done"] is False

    desk.facts["steering"] = ()
    desk.bodies[AUTOSCALERS] = scaled_by("other")
    assert said(desk.settle(), "Ready")[1] == "RolloutPaused"


def test_a_rollout_stands_after_its_step_where_an_autoscaler_comes_after_its_candidate() -> None:
    steps = [{"weight": 20}, {"pause": {"duration": "10m"}}, {"weight": 50}]
    desk = at_work({"strategy": "Canary", "steps": steps})
    assert desk.settle().requeue_after == 60
    desk.bodies[AUTOSCALERS] = scaled_by("router")
    desk.later(900)
    plan = desk.settle()
    assert said(plan, "Ready")[1] == "RolloutPaused"
    assert "stands after step 1: HorizontalPodAutoscaler load" in said(plan, "Ready")[2]
    assert (desk.counts(NAME), plan.requeue_after) == ((3, 3), 60)

    desk.bodies[AUTOSCALERS] = scaled_by("other")
    desk.settle()
    assert (desk.images["app"], set(desk.of(ChildKind.DEPLOYMENT))) == (TWO, {"router"})


def test_a_person_ends_what_stands_for_an_autoscaler() -> None:
    for kind, image in ((OrderKind.ABORT, ONE), (OrderKind.PROMOTE_FULL, TWO)):
        desk = at_work(CANARY)
        desk.settle()
        desk.bodies[AUTOSCALERS] = scaled_by("router")
        desk.order(kind)
        desk.settle()
        assert (desk.images["app"], set(desk.of(ChildKind.DEPLOYMENT))) == (image, {"router"})


def test_an_autoscaler_does_not_keep_a_suspended_agent_from_its_pods() -> None:
    desk = at_work(CANARY)
    desk.bodies[AUTOSCALERS] = scaled_by("router")
    desk.settle()
    desk.spec["suspended"] = True
    assert said(desk.settle(), "Ready")[:2] == (False, "Suspended")
    assert desk.counts() == (0, 0)
    desk.spec["suspended"] = False
    assert said(desk.settle(), "Ready")[1] == "Autoscaled"
    assert (desk.counts(), desk.images["app"]) == ((10, 10), ONE)


def test_a_target_that_comes_anew_meanwhile_gets_what_serves_and_not_the_candidate() -> None:
    desk = at_work(CANARY)
    fresh = copy.deepcopy(desk.body)
    desk.settle()
    fresh["metadata"] |= {"uid": "uid-anew", "labels": {}, "annotations": {}, "managedFields": []}
    pod = fresh["spec"]["template"]["spec"]
    del pod["serviceAccountName"], pod["serviceAccount"], pod["volumes"]
    for container in pod["containers"]:
        del container["volumeMounts"]
    fresh["spec"]["template"]["metadata"]["labels"] = {"app": "router"}
    desk.bodies[KEY] = fresh
    desk.controlled()
    assert said(desk.settle(), "Ready")[1] == "RolloutPaused"
    assert (desk.adopted, desk.images["app"], desk.counts(NAME)) == (True, ONE, (3, 3))


def test_an_autoscaler_does_not_keep_anybody_from_going_back() -> None:
    desk = at_work({"strategy": "Recreate"})
    desk.bodies[AUTOSCALERS] = scaled_by("router")
    assert said(desk.settle(), "Ready")[0] is True
    desk.spec["retraining"] = {"rollout": CANARY}
    desk.facts["rollback"] = RollbackOrder("back", "uid-back", "AgentAction back by ann")
    desk.settle()
    assert (desk.images["app"], desk.states()["triage-1"]) == (ONE, "Stable")


# Arithmetic -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("replicas", "weight", "pods", "share"), table(ROOT / "docs" / "targets.md", "target"))
def test_the_table_of_pods_beside_a_target(replicas: str, weight: str, pods: str, share: str) -> None:
    found = beside.part(int(replicas), int(weight))
    assert found == int(pods)
    assert f"{100 * found / (int(replicas) + found):.1f}".removesuffix(".0") == share


@pytest.mark.parametrize(("replicas", "weight"), [(0, 20), (10, 0)])
def test_nothing_comes_beside_nothing_and_for_nothing(replicas: int, weight: int) -> None:
    assert beside.part(replicas, weight) == 0


@given(st.integers(1, 1000), st.integers(1, 50))
def test_no_other_number_comes_nearer_and_never_more_than_half(replicas: int, weight: int) -> None:
    def off(count: int) -> Fraction:
        return abs(Fraction(count * 100, replicas + count) - weight)

    found = beside.part(replicas, weight)
    assert 1 <= found <= replicas
    assert off(found) == min(off(count) for count in range(1, replicas + 1))
