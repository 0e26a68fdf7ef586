"""How a revision takes over in an adopted StatefulSet: its last pods first."""

from __future__ import annotations

import copy
from datetime import timedelta
from typing import Any

import pytest

from aiagent_operator.api import meta
from aiagent_operator.core.objects import ChildKind
from aiagent_operator.core.plan import Plan
from aiagent_operator.core.rollout.facts import OrderKind
from aiagent_operator.core.targets import release
from aiagent_operator.core.versions.revisions import RollbackOrder
from aiagent_operator.core.workload.result import patches
from support import agents
from support.agents import permission
from support.decisions import IDENTITY, said
from support.documents import ROOT, table
from support.targetdesk import OWNER, TargetDesk

ONE, TWO, THREE = agents.IMAGE, "registry.example/agent:2", "registry.example/agent:3"
CANARY = {"strategy": "Canary", "steps": [{"weight": 20}, {"pause": {}}]}


def at_work(rollout: dict[str, Any] = CANARY, *, replicas: int = 10, **spec: Any) -> TargetDesk:
    """An agent whose first revision serves, and whose owner has let go of the image."""
    desk = TargetDesk(permission("refund"), kind="StatefulSet", retraining={"rollout": rollout}, **spec)
    desk.body["spec"]["replicas"] = replicas
    desk.controlled()
    assert said(desk.settle(), "Ready")[0] is True
    desk.owner_lets_go()
    desk.want(TWO)
    return desk


@pytest.mark.parametrize(("replicas", "weight", "pods", "staged"), table(ROOT / "docs" / "targets.md", "StatefulSet"))
def test_the_table_of_pods_within_a_statefulset(replicas: str, weight: str, pods: str, staged: str) -> None:
    desk = at_work({"strategy": "Canary", "steps": [{"weight": int(weight)}, {"pause": {}}]}, replicas=int(replicas))
    desk.settle()
    assert (len(with_image(desk, TWO)), desk.partition) == (int(pods), int(staged))


def with_image(desk: TargetDesk, image: str) -> list[int]:
    """Ordinals of the pods that have this image."""
    return [n for n, pod in enumerate(desk.set.pods) if f'"image": "{image}"' in pod.work]


def refused(plan: Plan) -> str:
    """Why it is not Ready: there is no canary of it."""
    status, reason, text = said(plan, "Ready")
    assert (status, reason) == (False, "CanaryNotPossible")
    return text


def test_its_last_pods_get_the_candidates_work_and_wait_for_a_person() -> None:
    desk = at_work()
    plan = desk.settle()
    assert (with_image(desk, TWO), desk.partition) == ([8, 9], 8)
    assert said(plan, "Ready")[:2] == (False, "RolloutPaused")
    assert (plan.status["rollout"]["revision"], plan.status["rollout"]["weight"]) == (2, 20)
    assert (plan.status["replicas"], plan.status["readyReplicas"]) == (10, 10)
    assert not desk.of(ChildKind.DEPLOYMENT)

    desk.order(OrderKind.PROMOTE)
    assert said(desk.settle(), "Ready")[0] is True
    assert (with_image(desk, TWO), desk.partition) == (list(range(10)), 0)
    assert desk.states() == {"triage-1": "Superseded", "triage-2": "Stable"}
    assert not desk.decide().writes


def test_an_abort_leaves_the_target_as_it_was() -> None:
    desk = at_work()
    before = copy.deepcopy(desk.body["spec"]["template"])
    pods = [pod.work for pod in desk.set.pods]
    desk.settle()
    desk.order(OrderKind.ABORT)
    desk.settle()
    assert (desk.body["spec"]["template"], [pod.work for pod in desk.set.pods], desk.partition) == (before, pods, 0)
    assert desk.states() == {"triage-1": "Stable", "triage-2": "Rejected"}


def test_a_revision_of_the_handbook_alone_goes_the_same_way() -> None:
    desk = at_work()
    desk.want(ONE)
    desk.spec["handbook"] = {"instructions": {"inline": "Be brief."}}
    desk.settle()
    assert (desk.partition, len({pod.work for pod in desk.set.pods})) == (8, 2)


def test_pods_that_fail_are_given_up_at_the_deadline_with_what_to_do_about_them() -> None:
    desk = at_work({**CANARY, "progressDeadlineSeconds": 60})
    before = desk.body["spec"]["template"]
    desk.fails = TWO
    desk.settle()
    assert (len(with_image(desk, TWO)), desk.set.facts(0, "").ready) == (1, 9), "one at a time"
    desk.later(60)
    plan = desk.settle()
    assert (desk.body["spec"]["template"], desk.partition) == (before, 0)
    assert "StatefulSet router does not replace a pod that is not ready" in said(plan, "Ready")[2]
    desk.set.delete_unready()
    desk.controlled()
    desk.settle()
    assert (with_image(desk, ONE), desk.states()["triage-2"]) == (list(range(10)), "Rejected")


def test_an_order_goes_back_without_steps() -> None:
    desk = at_work()
    desk.settle()
    desk.order(OrderKind.PROMOTE)
    desk.settle()
    desk.facts["rollback"] = RollbackOrder("back", "uid-back", "AgentAction back by ann")
    desk.settle()
    assert (with_image(desk, ONE), desk.partition, desk.states()["triage-1"]) == (list(range(10)), 0, "Stable")


def test_another_candidate_takes_the_place_of_the_one_before() -> None:
    desk = at_work()
    desk.settle()
    desk.want(THREE)
    desk.settle()
    assert (with_image(desk, THREE), with_image(desk, TWO), desk.partition) == ([8, 9], [], 8)
    assert desk.states()["triage-2"] == "Superseded"


def test_a_suspended_agent_takes_its_pods_and_gives_them_back_to_both() -> None:
    desk = at_work()
    desk.settle()
    desk.spec["suspended"] = True
    assert said(desk.settle(), "Ready")[:2] == (False, "Suspended")
    assert not desk.set.pods
    desk.spec["suspended"] = False
    desk.settle()
    assert (with_image(desk, TWO), len(desk.set.pods)) == ([8, 9], 10)


def test_the_owner_scales_it_in_the_middle_and_the_share_stays() -> None:
    desk = at_work()
    desk.settle()
    for replicas, ordinals in ((20, [16, 17, 18, 19]), (5, [4])):
        desk.body["spec"]["replicas"] = replicas
        desk.controlled()
        desk.settle()
        assert with_image(desk, TWO) == ordinals


@pytest.mark.parametrize("replicas", [1, 0])
def test_of_one_pod_there_is_no_part(replicas: int) -> None:
    desk = at_work(replicas=replicas)
    plan = desk.settle()
    if replicas == 0:
        assert said(plan, "Ready")[1] == "RolloutPaused", "nothing is asked of it, as of any other"
        return
    assert "has one pod, of which no part can be the candidate's: give it two or more" in refused(plan)
    assert with_image(desk, ONE) == [0]
    desk.body["spec"]["replicas"] = 3
    desk.controlled()
    desk.settle()
    assert with_image(desk, TWO) == [2]


def test_a_partition_of_the_owners_own_is_left_alone() -> None:
    desk = at_work()
    desk.body["metadata"]["managedFields"].append(
        {"manager": OWNER, "operation": "Apply", "fieldsV1": {"f:spec": {"f:template": {"f:spec": {}}}}}
    )
    desk.owner_stages(7)
    text = refused(desk.settle())
    assert ".spec.updateStrategy.rollingUpdate.partition 7, by which its owner holds pods back: set it to 0" in text
    assert (desk.partition, with_image(desk, TWO)) == (7, [])
    desk.owner_stages(0)
    desk.spec["workload"]["targetRef"]["onConflict"] = "TakeOver"
    desk.settle()
    assert (desk.partition, with_image(desk, TWO)) == (8, [8, 9])

    desk.owner_stages(0)
    status, reason, text = said(desk.settle(), "Ready")
    assert (status, reason) == (False, "FieldConflict")
    for part in ("StatefulSet home/router", "partition is 0", OWNER, "needs 8", "ignore the field"):
        assert part in text
    assert desk.partition == 0, "it is not taken a second time"


def test_where_the_owner_sets_it_and_nothing_may_be_taken_over_it_is_a_conflict() -> None:
    desk = at_work()
    desk.body["metadata"]["managedFields"].append(
        {"manager": OWNER, "operation": "Apply", "fieldsV1": {"f:spec": {"f:template": {"f:spec": {}}}}}
    )
    desk.owner_stages(0)
    plan = desk.settle()
    assert said(plan, "Ready")[1] == "FieldConflict"
    assert (desk.partition, with_image(desk, TWO)) == (0, [])


def test_on_delete_knows_no_partition() -> None:
    desk = at_work()
    desk.body["spec"]["updateStrategy"]["type"] = "OnDelete"
    assert "has the update strategy OnDelete, which knows no partition: give it RollingUpdate" in refused(desk.settle())
    desk.body["spec"]["updateStrategy"]["type"] = "RollingUpdate"
    assert said(desk.settle(), "Ready")[1] == "RolloutPaused"


def test_given_back_in_the_middle_it_has_no_partition_of_ours() -> None:
    desk = at_work()
    desk.settle()
    steps = 0
    while steps < 10 and (found := release.release(desk.body, IDENTITY)):
        for write in patches(desk.key, found):
            desk.write(write)
        steps += 1
        assert desk.partition == 0, "from the first step on"
    assert with_image(desk, ONE) == list(range(10))
    assert meta.ANNOTATION_CLAIMED_BY not in desk.body["metadata"]["annotations"]


def test_without_a_rollout_the_partition_goes_and_its_own_update_ends_it() -> None:
    desk = at_work()
    desk.settle()
    del desk.spec["retraining"]["rollout"]
    desk.spec["retraining"]["suspend"] = False
    desk.later(timedelta(hours=1).total_seconds())
    desk.settle()
    assert (desk.partition, with_image(desk, TWO)) == (0, list(range(10)))
