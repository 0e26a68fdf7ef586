"""Onboarding, through the API server: what an agent gets, what it may do, and what the operator says of it."""

import orjson

from support import agents
from support.agents import permission, rule
from support.kube import Object
from support.workplace import Workplace, foreign_name

LABELS = ("workforce.dev/agent", "workforce.dev/agent-namespace", "workforce.dev/agent-uid")


def _ours(obj: Object, agent: Object) -> bool:
    meta = agent["metadata"]
    labels = obj["metadata"].get("labels", {})
    return [labels.get(label) for label in LABELS] == [meta["name"], meta["namespace"], meta["uid"]]


def test_an_agent_gets_exactly_its_objects(place: Workplace) -> None:
    crm = place.new_namespace("crm")
    asked = (permission("read-tickets", crm), permission("refund"))
    place.employ("triage", place.new_role(), *asked)

    agent = place.until_ready("triage")

    home, uid = place.namespace, agent["metadata"]["uid"]
    children = place.children(uid)
    book = agent["status"]["handbook"]["configMap"]
    abroad = foreign_name("triage", uid)
    assert set(children) == {
        ("ServiceAccount", home, "aiagent.triage"),
        ("NetworkPolicy", home, "aiagent.triage"),
        ("ConfigMap", home, book),
        ("Role", home, "aiagent.triage"),
        ("RoleBinding", home, "aiagent.triage"),
        ("Role", crm, abroad),
        ("RoleBinding", crm, abroad),
        ("Deployment", home, "triage"),
    }
    for obj in children.values():
        assert _ours(obj, agent)
        assert obj["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "aiagent-operator"
        assert "ownerReferences" not in obj["metadata"]
    assert agent["metadata"]["finalizers"] == [agents.FINALIZER]
    assert children["ServiceAccount", home, "aiagent.triage"]["automountServiceAccountToken"] is False
    assert children["Role", crm, abroad]["rules"] == [rule("get list", "tickets")]
    assert children["Role", home, "aiagent.triage"]["rules"] == [rule("create", "refunds")]
    subject = {"kind": "ServiceAccount", "name": "aiagent.triage", "namespace": home}
    for namespace, name in ((home, "aiagent.triage"), (crm, abroad)):
        assert children["RoleBinding", namespace, name]["subjects"] == [subject]
        assert children["RoleBinding", namespace, name]["roleRef"]["name"] == name
    handbook = children["ConfigMap", home, book]
    assert handbook["immutable"] is True
    assert handbook["data"]["instructions.md"] == "Be kind."
    assert orjson.loads(handbook["data"]["handbook.json"])["purpose"] == "Answer tickets"


def test_the_status_says_what_is_true(place: Workplace) -> None:
    place.employ("triage", place.new_role(), permission("read-tickets"))

    agent = place.until_ready("triage")

    status, uid = agent["status"], agent["metadata"]["uid"]
    children = place.children(uid)
    listed = {(e["kind"], e["namespace"], e["name"], e["uid"]) for e in status["inventory"]}
    assert listed == {(*key, obj["metadata"]["uid"]) for key, obj in children.items()}
    assert status["permissions"] == [
        {
            "name": "read-tickets",
            "state": "Granted",
            "reason": "Granted",
            "message": f"granted in {place.namespace}",
            "namespaces": [place.namespace],
            "rules": [rule("get list", "tickets")],
        }
    ]
    assert (status["phase"], status["granted"], status["serviceAccount"]) == ("Active", "1/1", "aiagent.triage")
    assert (status["accountable"], status["replicas"], status["readyReplicas"]) == ("product@corp.example", 1, 1)
    assert status["selector"] == f"workforce.dev/agent-uid={uid}"
    reasons = {c["type"]: (c["status"], c["reason"]) for c in status["conditions"]}
    assert reasons == {
        "Ready": ("True", "Onboarded"),
        "RoleAccepted": ("True", "Accepted"),
        "PermissionsGranted": ("True", "Granted"),
        "WorkloadReady": ("True", "Available"),
    }
    assert all(c["observedGeneration"] == agent["metadata"]["generation"] for c in status["conditions"])
