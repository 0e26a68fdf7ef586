"""Services of an agent's author, and what they select."""

from support.kube import Kube
from support.workplace import Workplace


def make_services(place: Workplace, *names: str, **selector: str) -> None:
    """Services of the author's, which select the agent unless something else is said."""
    for name in names or ("triage", "preview"):
        spec = {"selector": selector or {"workforce.dev/agent": "triage"}, "ports": [{"port": 80}]}
        metadata = {"name": name, "namespace": place.namespace}
        place.admin.create({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})


def selected(place: Workplace) -> dict[str, str]:
    """The revision that each Service selects."""
    return {
        each["metadata"]["name"]: each["spec"]["selector"].get("workforce.dev/revision", "")
        for each in place.admin.list("v1", "services", namespace=place.namespace)
    }


def ready_pods(kube: Kube, namespace: str, service: str) -> int:
    """How many pods of a Service are ready, by its EndpointSlices."""
    found = kube.list(
        "discovery.k8s.io/v1", "endpointslices", namespace=namespace, labels=f"kubernetes.io/service-name={service}"
    )
    return sum(each.get("conditions", {}).get("ready", False) for s in found for each in s.get("endpoints") or ())
