"""An agent that has adopted a workload: `triage`, with four pods of a target called `router`."""

from support import agents
from support.kube import Object
from support.workplace import Workplace

ONE, TWO, THREE = (f"registry.example/agent:{number}" for number in (1, 2, 3))


def employ(place: Workplace, rollout: Object, *, kind: str = "Deployment") -> None:
    """The target with the first image, adopted with its container; returns when there is nothing left to do."""
    place.admin.create(agents.workload(place.namespace, "router", kind=kind, replicas=4))
    workload = agents.target("router", kind=kind, image=ONE, take_over=True)
    place.employ("triage", place.new_role(), workload=workload, retraining={"rollout": rollout})
    place.until_settled("triage")


def edit(place: Workplace, image: str = TWO) -> None:
    """Another image for the agent."""
    place.change("triage", workload={"container": {"image": image}})


def target(place: Workplace, kind: str = "Deployment") -> Object:
    """The target as it is."""
    return place.admin.get("apps/v1", kind, "router", namespace=place.namespace)


def image_of(place: Workplace, kind: str = "Deployment") -> str:
    """The image of its template."""
    found: str = target(place, kind)["spec"]["template"]["spec"]["containers"][0]["image"]
    return found


def scale(place: Workplace) -> None:
    """An autoscaler of the target, by the name `load`."""
    ref = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "router"}
    spec = {"scaleTargetRef": ref, "minReplicas": 4, "maxReplicas": 8}
    metadata = {"name": "load", "namespace": place.namespace}
    place.admin.create(
        {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": metadata, "spec": spec}
    )
