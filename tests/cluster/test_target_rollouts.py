"""How a revision takes over in an adopted workload, by the running operator."""

import time

from support.kube import Object
from support.router import ONE, TWO, edit, employ, image_of, scale, target
from support.runs import template as run_template
from support.services import make_services, ready_pods
from support.versions import deployments, states, until_rejected, until_serves, until_waits
from support.workplace import Workplace

CANARY = {"strategy": "Canary", "steps": [{"weight": 20}, {"pause": {}}]}


def test_a_canary_beside_the_target_is_promoted_into_it(place: Workplace) -> None:
    make_services(place, "theirs", app="router")
    employ(place, CANARY)
    before = target(place)["spec"]
    edit(place)

    until_waits(place, 2, "Person", step=1, weight=20)
    assert target(place)["spec"] == before, "the target is untouched"
    assert deployments(place) == {"router": 4, "router-canary": 1}
    place.admin.wait_for(
        lambda: ready_pods(place.admin, place.namespace, "theirs") == 5,
        what="the target's Service to select all five pods",
    )

    place.order("Promote", "go", "triage")
    until_serves(place, 2)
    assert (image_of(place), deployments(place)) == (TWO, {"router": 4})
    assert states(place) == {1: "Superseded", 2: "Stable"}


def test_an_abort_removes_the_pods_beside_the_target(place: Workplace) -> None:
    employ(place, CANARY)
    before = target(place)["spec"]
    edit(place)
    until_waits(place, 2, "Person", step=1)
    place.order("Abort", "stop", "triage")
    until_rejected(place, 2, "AgentAction stop")
    place.admin.wait_gone("apps/v1", "deployments", "router-canary", namespace=place.namespace)
    assert target(place)["spec"] == before


def test_an_agent_that_leaves_takes_the_pods_beside_the_target_with_it(place: Workplace) -> None:
    employ(place, CANARY)
    edit(place)
    until_waits(place, 2, "Person", step=1)
    place.dismiss("triage")
    place.until_gone("triage")
    assert (image_of(place), deployments(place)) == (ONE, {"router": 4})


def _pods(place: Workplace) -> list[Object]:
    """The StatefulSet's pods, by their ordinals."""
    found = place.admin.list("v1", "pods", namespace=place.namespace, labels="app=router")
    return sorted(found, key=lambda pod: int(pod["metadata"]["name"].rpartition("-")[2]))


def _run(place: Workplace) -> list[str]:
    """Their images."""
    return [pod["spec"]["containers"][0]["image"] for pod in _pods(place)]


def _partition(place: Workplace) -> int:
    found: int = target(place, "StatefulSet")["spec"]["updateStrategy"].get("rollingUpdate", {}).get("partition", 0)
    return found


def test_a_canary_of_a_statefulset_is_its_last_pods_first(place: Workplace) -> None:
    steps = [{"weight": 20}, {"pause": {}}, {"weight": 75}, {"pause": {}}]
    employ(place, {"strategy": "Canary", "steps": steps}, kind="StatefulSet")
    first = _pods(place)[0]["metadata"]["uid"]
    edit(place)
    until_waits(place, 2, "Person", step=1, weight=20)
    assert _run(place) == [ONE, ONE, ONE, TWO]
    place.order("Promote", "on", "triage")
    until_waits(place, 2, "Person", step=3, weight=75)
    assert _run(place) == [ONE, TWO, TWO, TWO]
    assert _pods(place)[0]["metadata"]["uid"] == first, "it was not restarted"

    place.order("Promote", "go", "triage")
    until_serves(place, 2)
    assert _run(place) == [TWO] * 4
    assert _partition(place) == 0
    assert deployments(place) == {}
    assert states(place) == {1: "Superseded", 2: "Stable"}


def test_an_abort_restarts_only_the_pods_of_a_statefulset_that_had_the_candidate(place: Workplace) -> None:
    employ(place, CANARY, kind="StatefulSet")
    before = target(place, "StatefulSet")["spec"]["template"]
    kept = {pod["metadata"]["uid"] for pod in _pods(place)}
    edit(place)
    until_waits(place, 2, "Person", step=1)
    place.order("Abort", "stop", "triage")
    until_rejected(place, 2, "AgentAction stop")
    place.admin.wait_for(lambda: _run(place) == [ONE] * 4, what="all pods to have the stable revision's work")
    assert (target(place, "StatefulSet")["spec"]["template"], _partition(place)) == (before, 0)
    now = {pod["metadata"]["uid"] for pod in _pods(place)}
    assert len(kept & now) == 3


def test_an_agent_that_leaves_in_the_middle_leaves_no_partition(place: Workplace) -> None:
    employ(place, CANARY, kind="StatefulSet")
    edit(place)
    until_waits(place, 2, "Person", step=1)
    place.dismiss("triage")
    place.until_gone("triage")
    assert _partition(place) == 0
    place.admin.wait_for(lambda: _run(place) == [ONE] * 4, what="all pods to be the owner's again")


def test_a_partition_of_the_owners_keeps_a_canary_from_beginning(place: Workplace) -> None:
    employ(place, CANARY, kind="StatefulSet")

    def stage(partition: int) -> None:
        own = {"spec": {"updateStrategy": {"rollingUpdate": {"partition": partition}}}}
        place.admin.patch("apps/v1", "statefulsets", "router", own, namespace=place.namespace)

    stage(2)
    edit(place)
    place.until_reason("triage", "Ready", "CanaryNotPossible", "partition 2, by which its owner holds pods back")
    assert _run(place) == [ONE] * 4
    stage(0)
    until_waits(place, 2, "Person", step=1, weight=20)
    assert _run(place) == [ONE, ONE, ONE, TWO]


def test_recreate_changes_a_statefulset_while_it_has_no_pod(place: Workplace) -> None:
    employ(place, {"strategy": "Recreate"}, kind="StatefulSet")
    mark = place.plane.audit_mark()
    edit(place)
    until_serves(place, 2)
    assert (image_of(place, "StatefulSet"), target(place, "StatefulSet")["spec"]["replicas"]) == (TWO, 4)
    written = [w.verb for w in place.writes(mark) if w.resource == "statefulsets"]
    assert len(written) >= 3, "down, the image, up"


def test_an_autoscaler_that_comes_in_the_middle_keeps_the_next_step_from_beginning(place: Workplace) -> None:
    steps = [{"weight": 20}, {"pause": {"duration": "8s"}}, {"weight": 50}, {"pause": {}}]
    employ(place, {"strategy": "Canary", "steps": steps})
    edit(place)
    until_waits(place, 2, "Time", step=1, weight=20)
    scale(place)
    place.touch(place.get("triage"))
    until_waits(place, 2, "Person", step=1, weight=20)
    place.until_reason("triage", "Ready", "RolloutPaused", "stands after step 1", "HorizontalPodAutoscaler load")
    time.sleep(9)
    place.touch(place.get("triage"))
    place.installed.operator().until_idle()
    until_waits(place, 2, "Person", step=1, weight=20)
    assert (deployments(place), image_of(place)) == ({"router": 4, "router-canary": 1}, ONE)

    place.admin.delete("autoscaling/v2", "horizontalpodautoscalers", "load", namespace=place.namespace)
    place.touch(place.get("triage"))
    until_waits(place, 2, "Person", step=3, weight=50)
    assert deployments(place) == {"router": 4, "router-canary": 4}
    scale(place)
    place.order("Promote", "all", "triage", full=True)
    until_serves(place, 2)
    assert (image_of(place), deployments(place)) == (TWO, {"router": 4})


def test_a_finding_of_a_review_holds_a_revision_of_the_target_up(place: Workplace) -> None:
    job = run_template(message='{"measurements": [{"name": "wrong", "value": "0.4"}]}')
    evaluation = {"name": "wrong", "job": job, "metrics": [{"name": "wrong", "max": "0.1"}]}
    watched: Object = {"evaluations": [evaluation], "reviews": [{"name": "wrong", "every": "15s"}]}
    employ(place, CANARY)
    place.change("triage", supervision=watched)
    place.until_reason("triage", "ReviewsPassed", "Finding", "0.4 is above max 0.1")
    place.change("triage", supervision={"reviews": [{"name": "wrong", "every": "8760h"}]})
    before = target(place)["spec"]
    edit(place)
    place.until_reason("triage", "Ready", "HeldByFinding", "Revision 2 waits, and revision 1 serves")
    assert states(place) == {1: "Stable", 2: "Candidate"}
    assert (target(place)["spec"], deployments(place)) == (before, {"router": 4})

    place.order("Promote", "seen", "triage")
    until_waits(place, 2, "Person", step=1, weight=20)
    now = int(time.time())
    # Orders of the same second, which is all that their creation times tell, are about what was found until then.
    place.admin.wait_for(lambda: time.time() > now + 1, what="another second to have begun")
    place.order("Promote", "go", "triage")
    until_serves(place, 2)
    assert image_of(place) == TWO


def test_an_autoscaler_of_the_target_keeps_a_canary_from_beginning(place: Workplace) -> None:
    employ(place, CANARY)
    scale(place)
    edit(place)
    place.until_reason("triage", "Ready", "Autoscaled", "HorizontalPodAutoscaler load", "strategy Recreate")
    assert deployments(place) == {"router": 4}
    place.change("triage", retraining={"rollout": {"strategy": "Recreate", "steps": None}})
    until_serves(place, 2)
    assert image_of(place) == TWO
