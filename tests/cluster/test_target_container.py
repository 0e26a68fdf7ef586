"""An adopted workload of which one container's image is the agent's work, by the running operator."""

import itertools
from typing import Any

import pytest

from support import agents
from support.kube import Object
from support.runs import template
from support.versions import revisions, states, until_serves
from support.workplace import Workplace

OWNER = "argocd-controller"
ONE, TWO, THREE = (f"registry.example/agent:{number}" for number in (1, 2, 3))
MEASURED = '{{"measurements": [{{"name": "accuracy", "value": "{}"}}]}}'


def _get(place: Workplace, kind: str = "Deployment") -> Object:
    return place.admin.get("apps/v1", kind, "router", namespace=place.namespace)


def _image(place: Workplace, kind: str = "Deployment") -> str:
    image: str = _get(place, kind)["spec"]["template"]["spec"]["containers"][0]["image"]
    return image


def _own(place: Workplace, image: str = ONE, **target: Any) -> Object:
    return agents.target("router", image=image, **target)


def _edit(place: Workplace, image: str) -> None:
    place.change("triage", workload={"container": {"image": image}})


def _until_runs(place: Workplace, image: str, kind: str = "Deployment") -> Object:
    place.admin.wait_for(lambda: _image(place, kind) == image, what=f"the target to run {image}")
    return place.until_ready("triage")


def _without_image(wanted: Object) -> Object:
    """The owner's manifest, once the operator has the image."""
    (container,) = wanted["spec"]["template"]["spec"]["containers"]
    spare = {key: value for key, value in container.items() if key != "image"}
    template_ = wanted["spec"]["template"]
    pod = template_["spec"] | {"containers": [spare]}
    return wanted | {"spec": wanted["spec"] | {"template": template_ | {"spec": pod}}}


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_its_image_follows_revisions_and_comes_back_when_the_agent_leaves(place: Workplace, kind: str) -> None:
    wanted = agents.workload(place.namespace, "router", kind=kind, replicas=2)
    place.admin.apply(wanted, manager=OWNER)
    place.employ("triage", place.new_role(), workload=_own(place, kind=kind))
    place.until_ready("triage")
    place.admin.apply(_without_image(wanted), manager=OWNER)
    assert _image(place, kind) == ONE, "what the owner lets go of stays, since the operator owns it too"

    _edit(place, TWO)
    _until_runs(place, TWO, kind)
    until_serves(place, 2)
    assert states(place) == {1: "Superseded", 2: "Stable"}
    assert revisions(place)[2]["spec"]["work"]["images"] == [{"container": "app", "image": TWO}]

    place.admin.apply(_without_image(wanted), manager=OWNER)
    place.until_settled("triage")
    assert _image(place, kind) == TWO, "the owner's next apply changes nothing of it"

    place.dismiss("triage")
    place.until_gone("triage")
    assert _image(place, kind) == ONE
    assert "workforce.dev" not in str({k: v for k, v in _get(place, kind).items() if k != "status"})


def test_an_order_goes_back_without_an_edit_of_the_spec(place: Workplace) -> None:
    place.admin.create(agents.workload(place.namespace, "router"))
    place.employ("triage", place.new_role(), workload=_own(place, take_over=True))
    place.until_ready("triage")
    _edit(place, TWO)
    _until_runs(place, TWO)

    place.order("Rollback", "back", "triage")
    place.until_ordered("back", "Complete", "CarriedOut", "Revision 1 serves")
    assert _image(place) == ONE
    place.until("triage", lambda a: a["status"]["revision"].get("heldBack") == 2, what="revision 2 to be held back")
    place.until_settled("triage")
    assert _image(place) == ONE, "the spec still asks for the other one, and does not get it"


def test_what_fails_its_evaluation_never_runs_in_the_target(place: Workplace) -> None:
    place.admin.create(agents.workload(place.namespace, "router"))
    measured = {"name": "held-out", "metrics": [{"name": "accuracy", "min": "0.8"}]}
    good, bad = (measured | {"job": template(message=MEASURED.format(value))} for value in ("0.9", "0.5"))
    target = _own(place, take_over=True)
    place.employ("triage", place.new_role(), workload=target, retraining={"evaluations": [good]})
    place.until_ready("triage")
    generation = _get(place)["metadata"]["generation"]

    place.change("triage", workload={"container": {"image": TWO}}, retraining={"evaluations": [bad]})
    place.until_reason("triage", "Ready", "EvaluationFailed", "0.5 is below min 0.8", "revision 1 serves")
    place.installed.operator().until_idle()
    assert (_image(place), _get(place)["metadata"]["generation"]) == (ONE, generation)
    assert states(place) == {1: "Stable", 2: "Rejected"}


def test_an_image_that_the_owner_goes_on_setting_is_a_conflict_with_a_remedy(place: Workplace) -> None:
    wanted = agents.workload(place.namespace, "router")
    place.admin.apply(wanted, manager=OWNER)
    place.employ("triage", place.new_role(), workload=_own(place))
    place.until_ready("triage")

    _edit(place, TWO)
    place.until_reason("triage", "Ready", "FieldConflict", "containers[app].image", OWNER, TWO, "TakeOver")
    assert _image(place) == ONE

    place.admin.apply(_without_image(wanted), manager=OWNER)
    _until_runs(place, TWO)


def test_it_is_taken_over_once_and_not_flipped_back(place: Workplace) -> None:
    wanted = agents.workload(place.namespace, "router")
    place.admin.apply(wanted, manager=OWNER)
    place.employ("triage", place.new_role(), workload=_own(place, TWO, take_over=True))
    _until_runs(place, TWO)
    assert _get(place)["metadata"]["annotations"]["workforce.dev/prior-image"] == f"app={ONE}"

    wanted["spec"]["template"]["spec"]["containers"][0]["image"] = THREE
    place.admin.apply(wanted, manager=OWNER, force=True)
    place.until_reason("triage", "Ready", "FieldConflict", OWNER, "not taken a second time")
    assert _image(place) == THREE
    _edit(place, THREE)
    place.until_ready("triage")
    place.dismiss("triage")
    place.until_gone("triage")
    assert _image(place) == THREE, "what its owner has set since is its owner's"


def test_a_container_that_the_target_lacks_is_named(place: Workplace) -> None:
    place.admin.create(agents.workload(place.namespace, "router"))
    workload = agents.target("router") | {"container": {"name": "main", "image": ONE}}
    place.employ("triage", place.new_role(), workload=workload)
    place.until_reason("triage", "Ready", "ContainerNotFound", "no container main", "name one of app")
    place.change("triage", workload={"container": {"name": "app"}, "targetRef": {"onConflict": "TakeOver"}})
    place.until_ready("triage")


def test_an_edit_of_the_rest_by_its_owner_is_live_on_record_and_said(place: Workplace) -> None:
    wanted = agents.workload(place.namespace, "router")
    place.admin.apply(wanted, manager=OWNER)
    place.employ("triage", place.new_role(), workload=_own(place))
    place.until_settled("triage")
    wanted["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "MODE", "value": "fast"}]
    place.admin.apply(wanted, manager=OWNER)

    place.until_reason("triage", "WorkloadReady", "UngatedChange", "Revision 2", "Deployment router")
    place.until_settled("triage")
    assert states(place) == {1: "Stable", 2: "Superseded"}
    assert revisions(place)[2]["spec"]["trigger"] == "TargetChanged"
    told = [event for event in place.events("triage") if event["reason"] == "UngatedChange"]
    assert len(told) == 1
    where = {"namespace": place.namespace}
    restart = {"spec": {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "now"}}}}}
    place.admin.patch("apps/v1", "deployments", "router", restart, **where)
    place.until_settled("triage")
    assert len(revisions(place)) == 2


def test_a_converged_target_costs_no_write(place: Workplace) -> None:
    wanted = agents.workload(place.namespace, "router")
    place.admin.apply(wanted, manager=OWNER)
    place.employ("triage", place.new_role(), workload=_own(place, TWO, take_over=True))
    _until_runs(place, TWO)
    place.until_settled("triage")
    mark = place.plane.audit_mark()
    for _ in itertools.repeat(None, 3):
        place.touch(_get(place))
        place.touch(place.get("triage"))
        place.until_settled("triage")
    assert place.writes(mark) == []
