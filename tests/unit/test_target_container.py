"""An adopted workload of which one container's image is the agent's work: gated, rolled back, conflicts, given back."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from aiagent_operator.api import meta, runs
from aiagent_operator.core import texts
from aiagent_operator.core.objects import ChildKind, Manifest
from aiagent_operator.core.plan import Plan, Verb
from aiagent_operator.core.targets import release
from aiagent_operator.core.versions.revisions import RetrainOrder, RollbackOrder
from aiagent_operator.core.workload.result import patches
from support import agents
from support.agents import permission
from support.decisions import IDENTITY, said
from support.gates import BEGIN, by_job, template
from support.lessons import job_template
from support.targetdesk import KEY, OWNER, TargetDesk

ONE, TWO, THREE = agents.IMAGE, "registry.example/agent:2", "registry.example/agent:3"
ORDER = RetrainOrder("go", "uid-go", texts.moment(BEGIN), texts.moment(BEGIN + timedelta(hours=1)))
GATED: dict[str, Any] = {"retraining": {"evaluations": [template("live")]}}


def at_work(**spec: Any) -> TargetDesk:
    """An agent whose first revision serves, and whose owner has let go of the image."""
    desk = TargetDesk(permission("refund"), **spec)
    assert said(desk.settle(), "Ready")[0] is True
    desk.owner_lets_go()
    return desk


def numbers(plan: Plan) -> dict[str, int]:
    """What the status says of revisions."""
    return {name: number for name, number in plan.status["revision"].items() if name != "target"}


def test_an_image_that_is_there_already_is_shared_and_nothing_is_recorded() -> None:
    desk = TargetDesk(permission("refund"))
    plan = desk.settle()
    assert said(plan, "Ready")[0] is True
    assert desk.adopted
    assert sorted(desk.owners()) == [meta.MANAGER, OWNER]
    assert desk.owners("log") == [OWNER]
    assert meta.ANNOTATION_PRIOR_IMAGE not in desk.body["metadata"]["annotations"]
    (record,) = desk.of(ChildKind.AGENT_REVISION).values()
    assert record["spec"]["work"]["images"] == [{"container": "app", "image": ONE}]
    assert record["spec"]["work"]["container"] == "app"


def test_an_edit_of_the_image_takes_over_by_a_revision() -> None:
    desk = at_work()
    desk.want(TWO)
    assert said(desk.settle(), "Ready")[0] is True
    assert desk.images == {"app": TWO, "log": "registry.example/log:1"}
    assert desk.states() == {"triage-1": "Superseded", "triage-2": "Stable"}
    assert desk.body["metadata"]["annotations"][meta.ANNOTATION_PRIOR_IMAGE] == f"app={ONE}"

    desk.want(THREE)
    desk.settle()
    assert desk.images["app"] == THREE
    assert desk.body["metadata"]["annotations"][meta.ANNOTATION_PRIOR_IMAGE] == f"app={ONE}", "that of before the agent"


def test_until_it_has_passed_the_target_keeps_image_and_handbook_of_what_serves() -> None:
    desk = at_work(**GATED)
    before = desk.body["spec"]
    desk.answer = lambda *_: ""
    desk.want(TWO)
    desk.spec["handbook"] = {"instructions": {"inline": "Be brief."}}
    plan = desk.settle()
    assert desk.body["spec"] == before
    assert said(plan, "RevisionAccepted")[:2] == (None, "Evaluating")
    assert said(plan, "WorkloadReady")[0] is True

    desk.answer = lambda *_: "S"
    assert said(desk.settle(), "Ready")[0] is True
    assert desk.images["app"] == TWO


def test_what_fails_is_rejected_and_never_reaches_the_target() -> None:
    desk = at_work(**GATED)
    desk.answer = lambda *_: "F"
    desk.want(TWO)
    plan = desk.settle()
    assert (desk.images["app"], desk.states()) == (ONE, {"triage-1": "Stable", "triage-2": "Rejected"})
    assert said(plan, "Ready")[:2] == (False, "EvaluationFailed")


def test_a_target_is_not_adopted_before_the_first_revision_has_passed() -> None:
    desk = TargetDesk(permission("refund"), image=TWO, **GATED)
    desk.owner_lets_go()
    before = desk.body
    desk.answer = lambda *_: ""
    plan = desk.settle()
    assert desk.body == before
    assert not desk.of(ChildKind.ROLE_BINDING)
    assert said(plan, "Ready")[:2] == (False, "Evaluating")
    desk.answer = lambda *_: "S"
    assert said(desk.settle(), "Ready")[0] is True
    assert (desk.adopted, desk.images["app"]) == (True, TWO)


def test_an_order_goes_back_to_the_image_of_before_and_stays_there() -> None:
    desk = at_work()
    desk.want(TWO)
    desk.settle()
    desk.facts["rollback"] = RollbackOrder("back", "uid-back", "AgentAction back by ann")
    plan = desk.settle()
    assert desk.images["app"] == ONE
    assert numbers(plan) == {"latest": 2, "stable": 1, "heldBack": 2}
    desk.facts["rollback"] = None
    desk.settle()
    assert desk.images["app"] == ONE
    desk.want(THREE)
    desk.settle()
    assert (desk.images["app"], desk.states()["triage-3"]) == (THREE, "Stable")


def test_pods_that_fail_do_not_make_it_serve_and_an_order_ends_it() -> None:
    desk = at_work()
    desk.ready = False
    desk.want(TWO)
    plan = desk.settle()
    assert desk.images["app"] == TWO, "its own rolling update keeps the pods of before"
    assert numbers(plan) == {"latest": 2, "stable": 1, "rollingOut": 2}
    desk.facts["rollback"] = RollbackOrder("back", "uid-back", "AgentAction back by ann")
    desk.settle()
    assert desk.images["app"] == ONE
    assert desk.states() == {"triage-1": "Stable", "triage-2": "RolledBack"}


def test_an_image_that_another_manager_sets_is_a_conflict_with_a_remedy() -> None:
    desk = TargetDesk(image=TWO)
    plan = desk.settle()
    status, reason, text = said(plan, "WorkloadReady")
    assert (status, reason) == (False, "FieldConflict")
    for part in ("Deployment home/router", "containers[app].image", OWNER, TWO, "onConflict: TakeOver"):
        assert part in text
    assert (desk.images["app"], desk.adopted) == (ONE, False)


def test_it_is_taken_over_once_and_never_flipped_back() -> None:
    desk = TargetDesk(image=TWO, take_over=True)
    desk.settle()
    annotations = desk.body["metadata"]["annotations"]
    assert (desk.images["app"], desk.owners()) == (TWO, [meta.MANAGER])
    assert annotations[meta.ANNOTATION_PRIOR_IMAGE] == f"app={ONE}"
    assert annotations[meta.ANNOTATION_PRIOR_IMAGE_MANAGER] == OWNER

    desk.owner_sets(THREE)
    generation = desk.body["metadata"]["generation"]
    text = said(desk.settle(), "WorkloadReady")[2]
    assert "not taken a second time" in text
    assert desk.body["metadata"]["generation"] == generation

    desk.want(THREE)
    assert said(desk.settle(), "Ready")[0] is True
    assert sorted(desk.owners()) == [meta.MANAGER, OWNER]


def test_a_container_that_is_not_there_is_named_with_those_that_are() -> None:
    desk = TargetDesk()
    desk.want(TWO, "main")
    status, reason, text = said(desk.settle(), "WorkloadReady")
    assert (status, reason) == (False, "ContainerNotFound")
    for part in ("no container main", "app, log", "spec.workload.container"):
        assert part in text
    assert not desk.adopted


def test_another_container_gets_the_image_and_the_first_is_given_back() -> None:
    desk = at_work()
    desk.want(TWO)
    desk.settle()
    desk.want(THREE, "log")
    assert said(desk.settle(), "Ready")[0] is True
    assert desk.images == {"app": ONE, "log": THREE}
    assert meta.MANAGER not in desk.owners("app")
    assert desk.body["metadata"]["annotations"][meta.ANNOTATION_PRIOR_IMAGE] == "log=registry.example/log:1"


def test_without_the_container_all_images_are_their_owners_again() -> None:
    desk = at_work()
    desk.want(TWO)
    desk.settle()
    desk.spec["workload"] = agents.target("router")
    assert said(desk.settle(), "Ready")[0] is True
    assert desk.images["app"] == ONE
    assert meta.MANAGER not in desk.owners()
    assert meta.ANNOTATION_PRIOR_IMAGE not in desk.body["metadata"]["annotations"]


@pytest.mark.parametrize("theirs", [False, True])
def test_release_restores_the_image_unless_somebody_has_set_it_since(theirs: bool) -> None:
    desk = at_work()
    desk.want(TWO)
    desk.settle()
    if theirs:
        desk.owner_sets(THREE)
    count = 0
    while steps := release.release(desk.body, IDENTITY):
        for write in patches(KEY, steps):
            assert write.verb in (Verb.MERGE, Verb.APPLY)
            desk.write(write)
        count += 1
        assert count < 6
    assert desk.images["app"] == (THREE if theirs else ONE)
    assert meta.MANAGER not in desk.owners()
    assert not [name for name in desk.body["metadata"]["annotations"] if name.startswith(meta.GROUP)]


def test_release_gives_up_an_image_that_only_the_operator_owns_before_it_withdraws() -> None:
    """A required field would go with its last owner, and the API server refuse that."""
    desk = at_work()
    while steps := release.release(desk.body, IDENTITY):
        for write in patches(KEY, steps):
            desk.write(write)
    assert (desk.images["app"], desk.owners()) == (ONE, [])


def test_a_template_goes_on_serving_until_the_target_has_passed() -> None:
    desk = TargetDesk(permission("refund"), **GATED)
    workload, desk.spec["workload"] = desk.spec["workload"], agents.template()
    assert said(desk.settle(), "Ready")[0] is True
    desk.answer = lambda *_: ""
    desk.spec["workload"] = workload
    desk.settle()
    assert set(desk.of(ChildKind.DEPLOYMENT)) == {"router", "triage-1"}
    assert not desk.adopted
    desk.answer = lambda *_: "S"
    assert said(desk.settle(), "Ready")[0] is True
    assert (set(desk.of(ChildKind.DEPLOYMENT)), desk.adopted) == ({"router"}, True)


def test_a_suspended_agent_takes_its_pods_and_gives_them_back_with_the_image() -> None:
    desk = at_work()
    desk.spec["suspended"] = True
    desk.want(TWO)
    assert said(desk.settle(), "Ready")[:2] == (False, "Suspended")
    assert desk.body["spec"]["replicas"] == 0
    desk.spec["suspended"] = False
    assert said(desk.settle(), "Ready")[0] is True
    assert (desk.body["spec"]["replicas"], desk.images["app"]) == (1, TWO)


def trained(desk: TargetDesk) -> Manifest:
    """The record of a training by order whose result is another image."""
    desk.facts |= {
        "admitted": True,
        "retrains": (RetrainOrder("go", "uid-go", texts.moment(BEGIN), texts.moment(BEGIN + timedelta(hours=1))),),
    }
    desk.settle()
    ((name, _),) = desk.of(ChildKind.JOB).items()
    desk.finish(name, json.dumps({"image": THREE}))
    desk.settle()
    return desk.of(ChildKind.AGENT_REVISION)["triage-2"]


def test_a_training_puts_its_image_into_the_target_by_a_revision_of_its_own() -> None:
    how = {"jobTemplate": job_template(), "imageRepositories": ["registry.example/agent"]}
    desk = at_work(retraining=how)
    record = trained(desk)
    assert record["spec"]["base"] == {"image": ONE}
    assert record["status"]["work"]["images"] == [{"container": "app", "image": THREE}]
    assert (record["status"]["state"], desk.images["app"]) == ("Stable", THREE)

    desk.want(TWO)
    desk.settle()
    assert desk.images["app"] == TWO, "an edit of the field drops what was learned in its place"


def test_without_a_container_an_image_of_a_training_is_refused_with_the_remedy() -> None:
    how = {"jobTemplate": job_template(), "imageRepositories": ["registry.example/agent"]}
    desk = TargetDesk(retraining=how)
    desk.spec["workload"] = agents.target("router")
    desk.settle()
    record = trained(desk)
    assert record["status"]["state"] == "Rejected"
    assert "spec.workload.container" in record["status"]["message"]


def test_an_evaluation_by_a_job_is_told_the_image_that_it_judges_and_the_one_that_serves() -> None:
    desk = at_work()
    desk.spec["retraining"] = {"evaluations": [by_job("held-out")]}
    desk.want(TWO)
    desk.settle()
    (job,) = desk.of(ChildKind.JOB).values()
    (container,) = job["spec"]["template"]["spec"]["containers"]
    told = {each["name"]: each.get("value") for each in container["env"]}
    assert (told[runs.ENV_IMAGE], told[runs.ENV_STABLE_IMAGE]) == (TWO, ONE)


def other_part(desk: TargetDesk, **env: str) -> None:
    """The owner's edit of something else than the image."""
    container = desk.body["spec"]["template"]["spec"]["containers"][0]
    container["env"] = [{"name": name, "value": value} for name, value in env.items()]
    desk.controlled()


def edits(desk: TargetDesk) -> dict[str, str]:
    """Records of edits by the owner, with their state."""
    found = desk.of(ChildKind.AGENT_REVISION)
    return {name: body["status"]["state"] for name, body in found.items() if body["spec"]["trigger"] == "TargetChanged"}


def test_an_edit_of_the_rest_is_put_on_record_once_and_said() -> None:
    desk = at_work(**GATED)
    assert said(desk.settle(), "WorkloadReady")[1] == "Available"
    other_part(desk, MODE="fast")
    plan = desk.settle()
    assert edits(desk) == {"triage-2": "Superseded"}
    assert desk.phases() == {"triage-1-live": "Successful"}, "it is live already: there is nothing to evaluate"
    assert numbers(plan) == {"latest": 2, "stable": 1}
    status, reason, text = said(plan, "WorkloadReady")
    assert (status, reason) == (True, "UngatedChange")
    assert "Revision 2" in text
    assert "Deployment router" in text
    assert said(plan, "Ready")[0] is True

    other_part(desk, MODE="slow")
    desk.settle()
    other_part(desk, MODE="fast")
    desk.settle()
    assert list(edits(desk)) == ["triage-2", "triage-3", "triage-4"]

    desk.want(TWO)
    assert said(desk.settle(), "WorkloadReady")[1] == "Available", "what serves now has passed"
    assert desk.states()["triage-5"] == "Stable"


def test_an_edit_that_was_put_on_record_before_a_crash_is_not_put_there_twice() -> None:
    desk = at_work()
    before = desk.settle().status["revision"]
    other_part(desk, MODE="fast")
    desk.settle()
    desk.status["revision"] = before
    plan = desk.settle()
    assert list(edits(desk)) == ["triage-2"]
    assert plan.status["revision"]["target"] != before["target"]


def test_without_a_status_what_is_there_is_where_it_begins() -> None:
    desk = at_work()
    other_part(desk, MODE="fast")
    desk.status = {}
    desk.settle()
    assert edits(desk) == {}


def test_an_edit_by_the_owner_does_not_undo_a_rollback_nor_is_it_gone_back_to() -> None:
    desk = at_work()
    desk.want(TWO)
    desk.settle()
    desk.facts["rollback"] = RollbackOrder("back", "uid-back", "AgentAction back by ann")
    desk.settle()
    desk.facts["rollback"] = None
    other_part(desk, MODE="fast")
    plan = desk.settle()
    assert (desk.images["app"], plan.status["revision"]["heldBack"]) == (ONE, 2)
    assert list(edits(desk)) == ["triage-3"]
    desk.facts["rollback"] = RollbackOrder("there", "uid-there", "AgentAction there by ann", 3)
    desk.settle()
    assert (desk.images["app"], edits(desk)) == (ONE, {"triage-3": "Superseded"})


def test_edits_drive_out_nothing_that_can_be_gone_back_to() -> None:
    desk = at_work(revisionHistoryLimit=1)
    desk.want(TWO)
    desk.settle()
    for value in "abc":
        other_part(desk, MODE=value)
        desk.settle()
    assert desk.states() == {"triage-1": "Superseded", "triage-2": "Stable", "triage-5": "Superseded"}


def test_adoption_restarts_and_scaling_are_no_edits() -> None:
    desk = at_work()
    desk.settle()
    annotations = {"kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z"}
    desk.body["spec"]["template"]["metadata"]["annotations"] = annotations
    desk.body["spec"]["replicas"] = 3
    desk.controlled()
    desk.spec["connections"] = [{"name": "crm", "audience": "https://crm.example"}]
    desk.settle()
    assert edits(desk) == {}


def test_where_all_images_are_the_owners_an_edit_of_one_is_said_too() -> None:
    desk = TargetDesk()
    desk.spec["workload"] = agents.target("router")
    assert said(desk.settle(), "WorkloadReady")[1] == "Available"
    desk.owner_sets(TWO)
    assert said(desk.settle(), "WorkloadReady")[:2] == (True, "UngatedChange")
    desk.spec["handbook"] = {"instructions": {"inline": "Be brief."}}
    assert said(desk.settle(), "WorkloadReady")[1] == "Available"
