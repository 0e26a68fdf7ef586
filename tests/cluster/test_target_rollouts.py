"""How a revision takes over in an adopted workload, by the running operator."""

import time

from support import agents
from support.kube import Object
from support.runs import template as run_template
from support.services import make_services
from support.versions import deployments, states, until_rejected, until_serves, until_waits
from support.workplace import Workplace

ONE, TWO = (f"registry.example/agent:{number}" for number in (1, 2))
CANARY = {"strategy": "Canary", "steps": [{"weight": 20}, {"pause": {}}]}


def _employ(place: Workplace, rollout: Object, *, kind: str = "Deployment") -> Object:
    """An agent that has adopted a target of four pods, and its image."""
    place.admin.create(agents.workload(place.namespace, "router", kind=kind, replicas=4))
    workload = agents.target("router", kind=kind, image=ONE, take_over=True)
    place.employ("triage", place.new_role(), workload=workload, retraining={"rollout": rollout})
    return place.until_ready("triage")


def _edit(place: Workplace, image: str = TWO) -> None:
    place.change("triage", workload={"container": {"image": image}})


def _target(place: Workplace, kind: str = "Deployment") -> Object:
    return place.admin.get("apps/v1", kind, "router", namespace=place.namespace)


def _image(place: Workplace, kind: str = "Deployment") -> str:
    image: str = _target(place, kind)["spec"]["template"]["spec"]["containers"][0]["image"]
    return image


def _endpoints(place: Workplace, service: str) -> int:
    found = place.admin.list(
        "discovery.k8s.io/v1",
        "endpointslices",
        namespace=place.namespace,
        labels=f"kubernetes.io/service-name={service}",
    )
    return sum(each.get("conditions", {}).get("ready", False) for s in found for each in s.get("endpoints") or ())


def test_a_canary_beside_the_target_is_promoted_into_it(place: Workplace) -> None:
    make_services(place, "theirs", app="router")
    _employ(place, CANARY)
    before = _target(place)["spec"]
    _edit(place)

    until_waits(place, 2, "Person", step=1, weight=20)
    assert _target(place)["spec"] == before, "the target is untouched"
    assert deployments(place) == {"router": 4, "router-canary": 1}
    place.admin.wait_for(lambda: _endpoints(place, "theirs") == 5, what="the target's Service to select all five pods")

    place.order("Promote", "go", "triage")
    until_serves(place, 2)
    assert (_image(place), deployments(place)) == (TWO, {"router": 4})
    assert states(place) == {1: "Superseded", 2: "Stable"}


def test_an_abort_removes_the_pods_beside_the_target(place: Workplace) -> None:
    _employ(place, CANARY)
    before = _target(place)["spec"]
    _edit(place)
    until_waits(place, 2, "Person", step=1)
    place.order("Abort", "stop", "triage")
    until_rejected(place, 2, "AgentAction stop")
    place.admin.wait_gone("apps/v1", "deployments", "router-canary", namespace=place.namespace)
    assert _target(place)["spec"] == before


def test_an_agent_that_leaves_takes_the_pods_beside_the_target_with_it(place: Workplace) -> None:
    _employ(place, CANARY)
    _edit(place)
    until_waits(place, 2, "Person", step=1)
    place.dismiss("triage")
    place.until_gone("triage")
    assert (_image(place), deployments(place)) == (ONE, {"router": 4})


def _pods(place: Workplace) -> list[Object]:
    """The StatefulSet's pods, by their ordinals."""
    found = place.admin.list("v1", "pods", namespace=place.namespace, labels="app=router")
    return sorted(found, key=lambda pod: int(pod["metadata"]["name"].rpartition("-")[2]))


def _run(place: Workplace) -> list[str]:
    """Their images."""
    return [pod["spec"]["containers"][0]["image"] for pod in _pods(place)]


def _partition(place: Workplace) -> int:
    found: int = _target(place, "StatefulSet")["spec"]["updateStrategy"].get("rollingUpdate", {}).get("partition", 0)
    return found


def test_a_canary_of_a_statefulset_is_its_last_pods_first(place: Workplace) -> None:
    steps = [{"weight": 20}, {"pause": {}}, {"weight": 75}, {"pause": {}}]
    _employ(place, {"strategy": "Canary", "steps": steps}, kind="StatefulSet")
    first = _pods(place)[0]["metadata"]["uid"]
    _edit(place)
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
    _employ(place, CANARY, kind="StatefulSet")
    before = _target(place, "StatefulSet")["spec"]["template"]
    kept = {pod["metadata"]["uid"] for pod in _pods(place)}
    _edit(place)
    until_waits(place, 2, "Person", step=1)
    place.order("Abort", "stop", "triage")
    until_rejected(place, 2, "AgentAction stop")
    place.admin.wait_for(lambda: _run(place) == [ONE] * 4, what="all pods to have the stable revision's work")
    assert (_target(place, "StatefulSet")["spec"]["template"], _partition(place)) == (before, 0)
    now = {pod["metadata"]["uid"] for pod in _pods(place)}
    assert len(kept & now) == 3


def test_an_agent_that_leaves_in_the_middle_leaves_no_partition(place: Workplace) -> None:
    _employ(place, CANARY, kind="StatefulSet")
    _edit(place)
    until_waits(place, 2, "Person", step=1)
    place.dismiss("triage")
    place.until_gone("triage")
    assert _partition(place) == 0
    place.admin.wait_for(lambda: _run(place) == [ONE] * 4, what="all pods to be the owner's again")


def test_a_partition_of_the_owners_keeps_a_canary_from_beginning(place: Workplace) -> None:
    _employ(place, CANARY, kind="StatefulSet")

    def stage(partition: int) -> None:
        own = {"spec": {"updateStrategy": {"rollingUpdate": {"partition": partition}}}}
        place.admin.patch("apps/v1", "statefulsets", "router", own, namespace=place.namespace)

    stage(2)
    _edit(place)
    place.until_reason("triage", "Ready", "CanaryNotPossible", "partition 2, by which its owner holds pods back")
    assert _run(place) == [ONE] * 4
    stage(0)
    until_waits(place, 2, "Person", step=1, weight=20)
    assert _run(place) == [ONE, ONE, ONE, TWO]


def test_recreate_changes_a_statefulset_while_it_has_no_pod(place: Workplace) -> None:
    _employ(place, {"strategy": "Recreate"}, kind="StatefulSet")
    mark = place.plane.audit_mark()
    _edit(place)
    until_serves(place, 2)
    assert (_image(place, "StatefulSet"), _target(place, "StatefulSet")["spec"]["replicas"]) == (TWO, 4)
    written = [w.verb for w in place.writes(mark) if w.resource == "statefulsets"]
    assert len(written) >= 3, "down, the image, up"


def _autoscaler(place: Workplace) -> None:
    """One of the target, by the name `load`."""
    ref = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "router"}
    spec = {"scaleTargetRef": ref, "minReplicas": 4, "maxReplicas": 8}
    metadata = {"name": "load", "namespace": place.namespace}
    place.admin.create(
        {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": metadata, "spec": spec}
    )


def test_an_autoscaler_that_comes_in_the_middle_keeps_the_next_step_from_beginning(place: Workplace) -> None:
    steps = [{"weight": 20}, {"pause": {"duration": "8s"}}, {"weight": 50}, {"pause": {}}]
    _employ(place, {"strategy": "Canary", "steps": steps})
    _edit(place)
    until_waits(place, 2, "Time", step=1, weight=20)
    _autoscaler(place)
    place.touch(place.get("triage"))
    until_waits(place, 2, "Person", step=1, weight=20)
    place.until_reason("triage", "Ready", "RolloutPaused", "stands after step 1", "HorizontalPodAutoscaler load")
    time.sleep(9)
    place.touch(place.get("triage"))
    place.installed.operator().until_idle()
    until_waits(place, 2, "Person", step=1, weight=20)
    assert (deployments(place), _image(place)) == ({"router": 4, "router-canary": 1}, ONE)

    place.admin.delete("autoscaling/v2", "horizontalpodautoscalers", "load", namespace=place.namespace)
    place.touch(place.get("triage"))
    until_waits(place, 2, "Person", step=3, weight=50)
    assert deployments(place) == {"router": 4, "router-canary": 4}
    _autoscaler(place)
    place.order("Promote", "all", "triage", full=True)
    until_serves(place, 2)
    assert (_image(place), deployments(place)) == (TWO, {"router": 4})


def test_a_finding_of_a_review_holds_a_revision_of_the_target_up(place: Workplace) -> None:
    job = run_template(message='{"measurements": [{"name": "wrong", "value": "0.4"}]}')
    evaluation = {"name": "wrong", "job": job, "metrics": [{"name": "wrong", "max": "0.1"}]}
    watched: Object = {"evaluations": [evaluation], "reviews": [{"name": "wrong", "every": "15s"}]}
    _employ(place, CANARY)
    place.change("triage", supervision=watched)
    place.until_reason("triage", "ReviewsPassed", "Finding", "0.4 is above max 0.1")
    place.change("triage", supervision={"reviews": [{"name": "wrong", "every": "8760h"}]})
    before = _target(place)["spec"]
    _edit(place)
    place.until_reason("triage", "Ready", "HeldByFinding", "Revision 2 waits, and revision 1 serves")
    assert states(place) == {1: "Stable", 2: "Candidate"}
    assert (_target(place)["spec"], deployments(place)) == (before, {"router": 4})

    place.order("Promote", "seen", "triage")
    until_waits(place, 2, "Person", step=1, weight=20)
    now = int(time.time())
    # Orders of the same second, which is all that their creation times tell, are about what was found until then.
    place.admin.wait_for(lambda: time.time() > now + 1, what="another second to have begun")
    place.order("Promote", "go", "triage")
    until_serves(place, 2)
    assert _image(place) == TWO


def test_an_autoscaler_of_the_target_keeps_a_canary_from_beginning(place: Workplace) -> None:
    _employ(place, CANARY)
    _autoscaler(place)
    _edit(place)
    place.until_reason("triage", "Ready", "Autoscaled", "HorizontalPodAutoscaler load", "strategy Recreate")
    assert deployments(place) == {"router": 4}
    place.change("triage", retraining={"rollout": {"strategy": "Recreate", "steps": None}})
    until_serves(place, 2)
    assert _image(place) == TWO
