"""Suspension: rights go first, then the pods; both come back."""

from support import agents
from support.agents import permission
from support.workplace import Workplace


def test_rights_go_before_the_pods_and_all_comes_back(place: Workplace) -> None:
    crm = place.new_namespace("crm")
    place.employ("triage", place.new_role(), permission("read-tickets", crm), permission("refund"))
    uid = place.until_ready("triage")["metadata"]["uid"]
    place.until_can("triage", "get", "tickets", namespace=crm)
    mark = place.plane.audit_mark()

    place.change("triage", suspended=True)
    agent = place.until_reason("triage", "Ready", "Suspended", "set spec.suspended to false")

    assert agent["status"]["phase"] == "Suspended"
    assert agents.condition(agent, "Stalled") is None
    assert agents.condition(agent, "Reconciling") is None
    assert place.rights(uid) == set()
    place.until_cannot("triage", "get", "tickets", namespace=crm)
    deployment = place.admin.get("apps/v1", "deployments", "triage-1", namespace=place.namespace)
    assert deployment["spec"]["replicas"] == 0
    writes = place.writes(mark)
    revoked = max(w.answered for w in writes if (w.resource, w.verb) == ("rolebindings", "delete"))
    stopped = min(w.received for w in writes if w.resource == "deployments")
    assert revoked <= stopped

    place.change("triage", suspended=False)
    place.until_ready("triage")
    place.until_can("triage", "get", "tickets", namespace=crm)
    place.until_can("triage", "create", "refunds")
    assert place.admin.get("apps/v1", "deployments", "triage-1", namespace=place.namespace)["spec"]["replicas"] == 1


def test_an_agent_can_be_employed_suspended(place: Workplace) -> None:
    place.employ("triage", place.new_role(), permission("read-tickets"), suspended=True)

    agent = place.until_reason("triage", "Ready", "Suspended")

    assert place.rights(agent["metadata"]["uid"]) == set()
    assert place.admin.get("apps/v1", "deployments", "triage-1", namespace=place.namespace)["spec"]["replicas"] == 0
    assert agent["status"]["replicas"] == 0


def test_a_suspended_agent_can_be_dismissed(place: Workplace) -> None:
    place.employ("triage", place.new_role(), permission("read-tickets"), suspended=True)
    uid = place.until_reason("triage", "Ready", "Suspended")["metadata"]["uid"]

    place.dismiss("triage")
    place.until_gone("triage")

    assert place.children(uid) == {}


def test_an_adopted_workload_gets_its_replicas_back(place: Workplace) -> None:
    place.admin.create(agents.workload(place.namespace, "router", replicas=3))
    place.employ("triage", place.new_role(), permission("read-tickets"), workload=agents.target("router"))
    place.until_ready("triage")

    place.change("triage", suspended=True)
    place.until_reason("triage", "Ready", "Suspended")
    router = place.admin.get("apps/v1", "deployments", "router", namespace=place.namespace)
    assert router["spec"]["replicas"] == 0
    assert router["metadata"]["annotations"]["workforce.dev/prior-replicas"].startswith("3")

    place.change("triage", suspended=False)
    place.until_ready("triage")
    router = place.admin.get("apps/v1", "deployments", "router", namespace=place.namespace)
    assert router["spec"]["replicas"] == 3
    assert "workforce.dev/prior-replicas" not in router["metadata"]["annotations"]


def test_another_manager_of_the_replicas_is_not_fought(place: Workplace) -> None:
    deployment = agents.workload(place.namespace, "router", replicas=2)
    place.admin.apply(deployment, manager="argocd-controller")
    place.employ("triage", place.new_role(), permission("read-tickets"), workload=agents.target("router"))
    uid = place.until_ready("triage")["metadata"]["uid"]
    place.change("triage", suspended=True)
    place.until_reason("triage", "Ready", "Suspended")

    place.admin.apply(deployment, manager="argocd-controller", force=True)

    place.until_reason("triage", "WorkloadReady", "FieldConflict", "argocd-controller", "run without rights")
    router = place.admin.get("apps/v1", "deployments", "router", namespace=place.namespace)
    assert router["spec"]["replicas"] == 2
    assert place.rights(uid) == set()
