"""How a revision takes over in an adopted workload, by the running operator."""

from support import agents
from support.kube import Object
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


def test_recreate_changes_a_statefulset_while_it_has_no_pod(place: Workplace) -> None:
    _employ(place, {"strategy": "Recreate"}, kind="StatefulSet")
    mark = place.plane.audit_mark()
    _edit(place)
    until_serves(place, 2)
    assert (_image(place, "StatefulSet"), _target(place, "StatefulSet")["spec"]["replicas"]) == (TWO, 4)
    written = [w.verb for w in place.writes(mark) if w.resource == "statefulsets"]
    assert len(written) >= 3, "down, the image, up"


def test_an_autoscaler_of_the_target_keeps_a_canary_from_beginning(place: Workplace) -> None:
    _employ(place, CANARY)
    ref = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "router"}
    spec = {"scaleTargetRef": ref, "minReplicas": 4, "maxReplicas": 8}
    metadata = {"name": "load", "namespace": place.namespace}
    place.admin.create(
        {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": metadata, "spec": spec}
    )
    _edit(place)
    place.until_reason("triage", "Ready", "Autoscaled", "HorizontalPodAutoscaler load", "strategy Recreate")
    assert deployments(place) == {"router": 4}
    place.change("triage", retraining={"rollout": {"strategy": "Recreate", "steps": None}})
    until_serves(place, 2)
    assert _image(place) == TWO
