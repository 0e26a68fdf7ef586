"""The examples' manifests: accepted as they are by a real API server, and employed by the operator."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from aiagent_operator.api import meta
from support.kube import Kube, Object
from support.operator import OperatorProcess

pytestmark = pytest.mark.cluster

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
# What the Jobs of its evaluations would leave, and a volume for its claim: there is nobody here who runs or makes them.
MEASURED = {
    "held-out": [{"name": "accuracy", "value": "0.6037"}],
    "by-region": [
        {"name": "equalized-odds-difference", "value": "0.2188"},
        {"name": "accuracy-difference", "value": "0.0660"},
    ],
}
VOLUME: Object = {
    "apiVersion": "v1",
    "kind": "PersistentVolume",
    "metadata": {"name": "triage-models"},
    "spec": {
        "capacity": {"storage": "100Mi"},
        "accessModes": ["ReadWriteOnce"],
        "hostPath": {"path": "/tmp/triage-models"},
        "claimRef": {"namespace": "ticket-triage", "name": "models"},
    },
}


def _measures(document: Object) -> None:
    for evaluation in document["spec"]["retraining"]["evaluations"]:
        left = json.dumps({"measurements": MEASURED[evaluation["name"]]})
        evaluation["job"]["spec"]["template"]["metadata"] = {"annotations": {"localcluster/message": left}}


@pytest.fixture
def triage(operator: OperatorProcess, admin: Kube) -> Iterator[list[Object]]:
    """The objects of the ticket-triage example, applied in the order of its files, and removed in the end."""
    files = sorted((EXAMPLES / "ticket-triage" / "manifests").glob("*.yaml"))
    objects = [document for path in files for document in yaml.safe_load_all(path.read_text())]
    admin.create(VOLUME)
    for document in objects:
        if document["kind"] == "AIAgent":
            _measures(document)
        path = admin.path(
            document["apiVersion"],
            document["kind"],
            document["metadata"].get("namespace"),
            document["metadata"]["name"],
        )
        params = {"fieldValidation": "Strict", "fieldManager": "example", "force": "true"}
        admin.raw("PATCH", path, document, params=params, content_type="application/apply-patch+yaml")
    yield objects
    admin.delete(meta.API_VERSION, "AIAgent", "triage", namespace="ticket-triage")
    admin.wait_gone(meta.API_VERSION, "AIAgent", "triage", namespace="ticket-triage")
    for document in reversed(objects):
        if document["kind"] != "AIAgent":
            place = document["metadata"].get("namespace")
            admin.delete(document["apiVersion"], document["kind"], document["metadata"]["name"], namespace=place)
    admin.delete("v1", "PersistentVolume", VOLUME["metadata"]["name"])


def _ready(agent: Object) -> bool:
    conditions = agent.get("status", {}).get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def test_the_triage_agent_is_employed_and_its_service_selects_its_pods(triage: list[Object], admin: Kube) -> None:
    what = "AIAgent ticket-triage/triage to be Ready"
    agent = admin.wait_object(meta.API_VERSION, "AIAgent", "triage", _ready, what=what, namespace="ticket-triage")
    assert agent["status"]["readyReplicas"] == 2
    selects = [
        next(d["spec"]["selector"] for d in triage if d["kind"] == "Service"),
        next(d["spec"]["podSelector"]["matchLabels"] for d in triage if d["kind"] == "NetworkPolicy"),
    ]
    pods = admin.list("v1", "pods", namespace="ticket-triage")
    own = [pod for pod in pods if pod["metadata"]["labels"].get(meta.LABEL_AGENT_UID) == agent["metadata"]["uid"]]
    assert len(own) == 2
    for selector in selects:
        assert all(selector.items() <= pod["metadata"]["labels"].items() for pod in own)
