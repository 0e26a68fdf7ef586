"""Orders: agents are suspended and resumed without an edit of their specs, and an order outlives its agent."""

import time
from typing import Any

import pytest

from support import agents
from support.agents import permission
from support.cluster import Cluster
from support.kube import ApiError, Kube
from support.operator import OperatorProcess
from support.workplace import Workplace

pytestmark = pytest.mark.cluster


def test_an_order_takes_the_rights_first_and_a_resume_gives_them_back(place: Workplace) -> None:
    crm = place.new_namespace("crm")
    place.employ("triage", place.new_role(), permission("read-tickets", crm))
    before = place.until_ready("triage")
    uid = before["metadata"]["uid"]
    mark = place.plane.audit_mark()

    place.order("Suspend", "stop", "triage")
    order = place.until_ordered("stop", "InForce", "InForce")

    assert (order["status"]["agents"], order["status"]["done"]) == (1, 1)
    # The order and the agent say so each in a write of its own, and either may come first.
    told = ("AgentAction stop by", "It answers nonsense", "verb resume")
    agent = place.until_reason("triage", "Ready", "Suspended", *told)
    assert agent["metadata"]["generation"] == before["metadata"]["generation"], "the spec belongs to its author"
    assert agent["status"]["phase"] == "Suspended"
    assert place.rights(uid) == set()
    place.until_cannot("triage", "get", "tickets", namespace=crm)
    writes = place.writes(mark)
    revoked = max(w.answered for w in writes if (w.resource, w.verb) == ("rolebindings", "delete"))
    assert revoked <= min(w.received for w in writes if w.resource == "deployments")

    place.order("Resume", "go-on", "triage")
    place.until_ordered("go-on", "Complete", "CarriedOut", "No order suspends triage any more")
    assert place.admin.find(agents.API, "agentactions", "stop", namespace=place.namespace) is None
    place.until_ready("triage")
    place.until_can("triage", "get", "tickets", namespace=crm)


def test_a_suspension_outlives_the_agent_and_a_restart(place: Workplace, operator: OperatorProcess) -> None:
    place.order("Suspend", "stop", "triage")
    place.until_ordered("stop", "InForce", "NoAgent", "no AIAgent triage")
    place.employ("triage", place.new_role(), permission("refund"))
    uid = place.until_reason("triage", "Ready", "Suspended", "AgentAction stop")["metadata"]["uid"]
    assert place.rights(uid) == set()
    place.until_ordered("stop", "InForce", "InForce")
    place.dismiss("triage")
    place.until_gone("triage")
    operator.restart()
    place.employ("triage", place.new_role("again"), permission("refund"))
    uid = place.until_reason("triage", "Ready", "Suspended", "AgentAction stop")["metadata"]["uid"]
    operator.until_idle()
    assert place.rights(uid) == set()
    mark = place.plane.audit_mark()
    operator.restart()
    operator.until_idle()
    assert place.writes(mark) == [], "converged orders cost no write"


def test_spec_and_orders_add_up(place: Workplace) -> None:
    place.employ("triage", place.new_role(), permission("refund"), suspended=True)
    place.order("Suspend", "one", "triage")
    place.order("Suspend", "two", "triage")
    place.until_reason(
        "triage", "Ready", "Suspended", "set spec.suspended to false", "AgentAction one", "AgentAction two"
    )
    place.change("triage", suspended=False)
    place.until_reason("triage", "Ready", "Suspended", "AgentAction one", "AgentAction two")
    place.admin.delete(agents.API, "agentactions", "one", namespace=place.namespace)
    agent = place.until(
        "triage",
        lambda a: "AgentAction one" not in (agents.condition(a, "Ready") or {})["message"],
        what="the first order to be forgotten",
    )
    assert agents.condition(agent, "Ready")["reason"] == "Suspended"  # type: ignore[index]
    place.order("Resume", "go-on", "triage", ttlSecondsAfterFinished=0)
    place.until_ready("triage")
    place.admin.wait_gone(agents.API, "agentactions", "go-on", namespace=place.namespace)


def test_many_are_suspended_by_their_labels_also_those_that_come_later(place: Workplace) -> None:
    role = place.new_role()
    names = [f"clerk-{number}" for number in range(6)]
    for name in names:
        agent = agents.agent(place.namespace, name, role, permission("refund"))
        agent["metadata"]["labels"] = {"team": "a" if name != names[-1] else "b"}
        place.admin.create(agent)
    for name in names:
        place.until_ready(name)

    selector = {"matchLabels": {"team": "a"}}
    place.order("Suspend", "stop", selector=selector)
    order = place.until_ordered("stop", "InForce", "InForce")
    assert (order["status"]["agents"], order["status"]["done"]) == (5, 5)
    assert place.is_ready(names[-1])

    labels = {"metadata": {"labels": {"team": "a"}}}
    place.admin.patch(agents.API, "aiagents", names[-1], labels, namespace=place.namespace)
    place.until_reason(names[-1], "Ready", "Suspended")
    place.order("Resume", "one", names[0])
    place.until_ordered("one", "Failed", "StillSuspended", "AgentAction stop")

    place.order("Resume", "all", selector=selector)
    place.until_ordered("all", "Complete", "CarriedOut")
    for name in names:
        place.until_ready(name)


def test_pods_are_stopped_though_the_role_or_the_handbook_is_gone(place: Workplace) -> None:
    place.admin.create(agents.config_map(place.namespace, "texts", guide="Be kind."))
    place.admin.create(agents.workload(place.namespace, "router", replicas=2))
    source = {"instructions": {"configMapKeyRef": {"name": "texts", "key": "guide"}}}
    role = place.new_role()
    place.employ("reader", place.new_role("other"), permission("refund"), handbook=source)
    place.employ("triage", role, permission("refund"))
    place.employ("adopter", role, permission("refund"), workload=agents.target("router"))
    for name in ("reader", "triage", "adopter"):
        place.until_ready(name)
    place.admin.delete("v1", "configmaps", "texts", namespace=place.namespace)
    place.admin.patch(agents.API, "agentroles", role, {"spec": {"lifecycle": {"state": "Draft"}}})
    place.until_reason("reader", "WorkloadReady", "HandbookSourceNotFound")
    for name in ("triage", "adopter"):
        place.until_reason(name, "Ready", "RoleNotApproved")

    for name, deployment in (("reader", "reader-1"), ("triage", "triage-1"), ("adopter", "router")):
        place.order("Suspend", f"stop-{name}", name)
        place.until_ordered(f"stop-{name}", "InForce", "InForce", "no pods run")
        assert _replicas(place, deployment) == 0

    place.admin.create(agents.config_map(place.namespace, "texts", guide="Be kind."))
    place.admin.patch(agents.API, "agentroles", role, {"spec": {"lifecycle": {"state": "Approved"}}})
    for name, deployment, replicas in (("reader", "reader-1", 1), ("triage", "triage-1", 1), ("adopter", "router", 2)):
        place.until_reason(name, "Ready", "Suspended")
        place.order("Resume", f"go-on-{name}", name)
        place.until_ready(name)
        assert _replicas(place, deployment) == replicas


def _replicas(place: Workplace, name: str) -> int:
    found = place.admin.get("apps/v1", "deployments", name, namespace=place.namespace)["spec"]["replicas"]
    assert isinstance(found, int)
    return found


def test_a_resume_of_nobody_fails_and_says_so(place: Workplace) -> None:
    place.order("Resume", "nobody", "nobody")
    place.until_ordered("nobody", "Failed", "NoAgent", "no AIAgent nobody")


def test_a_resume_that_nobody_carries_out_expires(vacant: Workplace) -> None:
    vacant.installed.end_shared()
    vacant.employ("triage", vacant.new_role(), permission("refund"))
    vacant.order("Resume", "late", "triage", activeDeadlineSeconds=1)
    vacant.order("Suspend", "stop", "triage")
    time.sleep(2.1)  # more than the deadline, whichever part of a second it began in
    vacant.installed.operator()
    vacant.until_ordered("late", "Expired", "Expired", "give the order again")
    vacant.until_reason("triage", "Ready", "Suspended")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"agentRef": {"name": "a"}, "selector": {"matchLabels": {"a": "b"}}}, "name one agent in agentRef"),
        ({"agentRef": None}, "name one agent in agentRef"),
        ({"activeDeadlineSeconds": 5}, "is in force while it exists"),
        ({"ttlSecondsAfterFinished": 5}, "is in force while it exists"),
        ({"action": "Fire"}, 'supported values: "Suspend", "Resume"'),
        ({"selector": {"matchLabels": {}}, "agentRef": None}, "should have at least 1 properties"),
    ],
)
def test_bad_orders_are_refused(
    kernel: Cluster, namespace: str, admin: Kube, spec: dict[str, Any], message: str
) -> None:
    obj = agents.order(namespace, "bad", "Suspend", admin.whoami(), "triage")
    obj["spec"] = {key: value for key, value in (obj["spec"] | spec).items() if value is not None}
    with pytest.raises(ApiError) as caught:
        admin.create(obj)
    assert caught.value.status == 422
    assert message in str(caught.value)
