"""Orders to offboard: by plan, with the rights until the work has ended, or at once; who is out stays out."""

from collections.abc import Iterator
from contextlib import contextmanager

import orjson
import pytest

from aiagent_operator.core.archive import index
from aiagent_operator.core.objects import AgentIdentity
from support import agents
from support.agents import permission
from support.archivefolder import ArchiveFolder
from support.kube import ApiError, Object, wait_for
from support.operator import Installation, OperatorProcess
from support.workplace import Workplace

pytestmark = pytest.mark.cluster

HOLD = "test.workforce.dev/hold"


@pytest.fixture
def archive(installed: Installation) -> ArchiveFolder:
    return installed.archive


def pods(place: Workplace, uid: str) -> list[Object]:
    return place.admin.list("v1", "pods", namespace=place.namespace, labels=f"workforce.dev/agent-uid={uid}")


@contextmanager
def busy(place: Workplace, uid: str) -> Iterator[None]:
    """Meanwhile the agent's pods have something left to do when they are asked to end."""
    running = wait_for(lambda: pods(place, uid), what="pods of the agent")
    names = [pod["metadata"]["name"] for pod in running]
    for name in names:
        place.admin.patch("v1", "pods", name, {"metadata": {"finalizers": [HOLD]}}, namespace=place.namespace)
    try:
        yield
    finally:
        for name in names:
            place.admin.patch("v1", "pods", name, {"metadata": {"finalizers": None}}, namespace=place.namespace)


def steps(agent: Object) -> list[str]:
    return [step["name"] for step in agent["status"]["offboarding"]["steps"]]


def draining(agent: Object) -> bool:
    found = agents.condition(agent, "Ready")
    return bool(found and found["message"].startswith("draining"))


def retired(place: Workplace, name: str) -> Object:
    return place.until(name, lambda agent: agent["status"].get("phase") == "Retired", what=f"{name} to be retired")


def test_by_plan_it_keeps_its_rights_until_its_pods_have_ended(
    place: Workplace, archive: ArchiveFolder, operator: OperatorProcess
) -> None:
    crm = place.new_namespace("crm")
    place.employ("triage", place.new_role(), permission("read-tickets", crm), permission("refund"))
    before = place.until_ready("triage")
    uid = before["metadata"]["uid"]
    with busy(place, uid):
        place.order("Offboard", "bye", "triage", offboarding={"reason": "Replaced"})
        agent = place.until("triage", draining, what="the agent to drain")
        wait_for(
            lambda: all("deletionTimestamp" in pod["metadata"] for pod in pods(place, uid)),
            what="pods to be asked to end",
        )
        assert {verb for _, _, _, verb in place.rights(uid)} >= {"get", "create"}
        assert place.can("triage", "get", "tickets", namespace=crm)
        assert agent["status"]["phase"] == "Offboarding"
        assert agent["status"]["offboarding"]["mode"] == "Planned"
        assert steps(agent) == ["Cordon"]
        place.until_ordered("bye", "InForce", "WaitingForAgents", "waiting for triage")
    agent = retired(place, "triage")
    assert steps(agent) == ["Cordon", "Drain", "Revoke", "Terminate", "Archive"]
    assert agent["status"]["offboarding"]["order"]["name"] == "bye"
    assert agent["metadata"]["generation"] == before["metadata"]["generation"], "the spec belongs to its author"
    place.until_reason("triage", "Ready", "Retired", "AgentAction bye by", "AgentArchive", "order Rehire")
    place.until_ordered("bye", "InForce", "InForce", "triage is out")
    place.until_cannot("triage", "get", "tickets", namespace=crm)
    assert place.rights(uid) == set()
    assert place.children(uid) == {}

    manifest = archive.verified(uid)
    assert (manifest["reason"], manifest["mode"]) == ("Replaced", "Planned")
    told = [orjson.loads(raw) for _, raw in archive.entries(uid)]
    kinds = [record["type"].rpartition(".")[2] for record in told]
    course = ["OffboardingStarted", "Cordoned", "Drained", "Snapshotted", "Revoked", "Revoked", "Terminated"]
    assert [kind for kind in kinds if kind in course] == course
    started = next(record["data"] for record in told if record["type"].endswith("OffboardingStarted"))
    order = place.admin.get(agents.API, "agentactions", "bye", namespace=place.namespace)
    assert started == {"reason": "Replaced", "mode": "Planned", "order": order["metadata"]["uid"]}
    files = archive.archived(uid)
    assert f"actions/{order['metadata']['uid']}/bye.json" in files
    found = place.admin.get(agents.API, "agentarchives", index.name(AgentIdentity(place.namespace, "triage", uid)))
    assert (found["spec"]["reason"], found["spec"]["mode"]) == ("Replaced", "Planned")

    operator.until_idle()
    mark = place.plane.audit_mark()
    operator.restart()
    operator.until_idle()
    assert place.writes(mark) == [], "who is out costs no write"


def test_its_rights_end_with_the_drain_timeout_whatever_its_pods_do(place: Workplace, archive: ArchiveFolder) -> None:
    place.employ("triage", place.new_role(), permission("refund"), retirement={"drainTimeout": "2s"})
    uid = place.until_ready("triage")["metadata"]["uid"]
    with busy(place, uid):
        place.order("Offboard", "bye", "triage", offboarding={"reason": "Performance"})
        place.until_cannot("triage", "create", "refunds")
        assert pods(place, uid), "its work has not ended"
        agent = place.until("triage", lambda found: "Revoke" in steps(found), what="the end of the rights to be said")
        (drain,) = (step for step in agent["status"]["offboarding"]["steps"] if step["name"] == "Drain")
        assert drain["message"].startswith("its time was up")
    retired(place, "triage")
    assert archive.verified(uid)["mode"] == "Planned"


def test_in_an_emergency_the_rights_go_first(place: Workplace, archive: ArchiveFolder) -> None:
    place.employ("triage", place.new_role(), permission("refund"), retirement={"drainTimeout": "1h"})
    uid = place.until_ready("triage")["metadata"]["uid"]
    mark = place.plane.audit_mark()
    with busy(place, uid):
        place.order("Offboard", "bye", "triage", offboarding={"reason": "Incident", "mode": "Emergency"})
        place.until_cannot("triage", "create", "refunds")
    retired(place, "triage")
    writes = place.writes(mark)
    revoked = max(w.answered for w in writes if (w.resource, w.verb) == ("rolebindings", "delete"))
    assert revoked <= min(w.received for w in writes if w.resource == "deployments")
    manifest = archive.verified(uid)
    assert (manifest["reason"], manifest["mode"]) == ("Incident", "Emergency")


def test_an_emergency_ends_the_rights_of_one_that_drains(place: Workplace) -> None:
    place.employ("triage", place.new_role(), permission("refund"))
    uid = place.until_ready("triage")["metadata"]["uid"]
    with busy(place, uid):
        place.order("Offboard", "bye", "triage", offboarding={"reason": "Business"})
        place.until("triage", draining, what="the agent to drain")
        place.order("Offboard", "now", "triage", offboarding={"reason": "Incident", "mode": "Emergency"})
        place.until_cannot("triage", "create", "refunds")
    retired(place, "triage")


def test_a_deletion_drains_where_the_spec_says_for_how_long(place: Workplace, archive: ArchiveFolder) -> None:
    place.employ("triage", place.new_role(), permission("refund"), retirement={"drainTimeout": "1h"})
    uid = place.until_ready("triage")["metadata"]["uid"]
    with busy(place, uid):
        place.dismiss("triage")
        place.until("triage", draining, what="the agent to drain")
        assert place.can("triage", "create", "refunds")
    place.until_gone("triage")
    assert archive.verified(uid)["mode"] == "Planned"


def test_who_is_out_stays_out_until_rehired_and_comes_back_as_another(place: Workplace, archive: ArchiveFolder) -> None:
    role = place.new_role()
    place.employ("triage", role, permission("refund"))
    uid = place.until_ready("triage")["metadata"]["uid"]
    place.order("Offboard", "bye", "triage", offboarding={"reason": "Expired", "mode": "Emergency"})
    retired(place, "triage")
    changed = place.change("triage", purpose="Answer tickets again")["metadata"]["generation"]
    place.until("triage", lambda found: found["status"]["observedGeneration"] == changed, what="the edit to be seen")
    assert (place.get("triage")["status"]["phase"], place.children(uid)) == ("Retired", {})

    place.dismiss("triage")
    place.until_gone("triage")
    place.employ("triage", role, permission("refund"))
    again = place.until_reason("triage", "Ready", "Retired", "Not hired: offboarded by AgentAction bye")
    new = again["metadata"]["uid"]
    assert place.children(new) == {}
    place.until_ordered("bye", "InForce", "InForce", "triage is out")

    place.order("Rehire", "back", "triage")
    place.until_ordered("back", "Complete", "CarriedOut", "triage")
    place.until_ready("triage")
    assert place.can("triage", "create", "refunds")
    assert place.admin.find(agents.API, "agentactions", "bye", namespace=place.namespace) is None
    place.dismiss("triage")
    place.until_gone("triage")
    assert archive.verified(uid)["agent"]["uid"] != archive.verified(new)["agent"]["uid"]
    assert archive.verified(new)["lineage"]["former"]["uid"] == uid, "the same lineage"


def test_who_has_left_does_not_come_back_with_its_identity(place: Workplace) -> None:
    role = place.new_role()
    place.employ("triage", role, permission("refund"))
    uid = place.until_ready("triage")["metadata"]["uid"]
    place.order("Offboard", "bye", "triage", offboarding={"reason": "Expired", "mode": "Emergency"})
    retired(place, "triage")
    place.order("Rehire", "back", "triage")
    # It says first which order it ends.
    place.admin.wait_object(
        agents.API,
        "agentactions",
        "back",
        lambda order: "deleted and applied anew" in (agents.condition(order, "Ready") or {}).get("message", ""),
        what="the rehire to wait",
        namespace=place.namespace,
    )
    assert place.admin.find(agents.API, "agentactions", "bye", namespace=place.namespace) is None
    place.until_reason("triage", "Ready", "Retired")
    assert (place.get("triage")["status"]["phase"], place.children(uid)) == ("Retired", {})
    place.dismiss("triage")
    place.until_gone("triage")
    place.until_ordered("back", "Pending", "WaitingForAgents", "waiting for it to be applied")
    place.employ("triage", role, permission("refund"))
    place.until_ready("triage")
    place.until_ordered("back", "Complete", "CarriedOut")


def test_called_back_while_it_drains_it_goes_on(place: Workplace) -> None:
    place.employ("triage", place.new_role(), permission("refund"))
    uid = place.until_ready("triage")["metadata"]["uid"]
    with busy(place, uid):
        place.order("Offboard", "bye", "triage", offboarding={"reason": "Business"})
        place.until("triage", draining, what="the agent to drain")
        place.admin.delete(agents.API, "agentactions", "bye", namespace=place.namespace)
    agent = place.until_ready("triage")
    assert agent["metadata"]["uid"] == uid
    assert "offboarding" not in agent["status"]


def test_notice_is_given_and_can_be_withdrawn(place: Workplace) -> None:
    role = place.new_role()
    for name, notice in (("triage", "1h"), ("router", "3s")):
        place.employ(name, role, permission("refund"))
        place.until_ready(name)
        place.order("Offboard", f"bye-{name}", name, offboarding={"reason": "Replaced", "noticePeriod": notice})
    place.until_ordered("bye-triage", "Pending", "NoticePeriod", "Begins at", "for triage")
    retired(place, "router")
    assert place.is_ready("triage")
    place.admin.delete(agents.API, "agentactions", "bye-triage", namespace=place.namespace)
    place.until_settled("triage")
    assert place.is_ready("triage")


def test_a_dry_run_says_what_would_be_and_changes_nothing(place: Workplace) -> None:
    crm = place.new_namespace("crm")
    place.employ(
        "triage",
        place.new_role(),
        permission("read-tickets", crm),
        permission("refund"),
        retirement={"retention": "8760h"},
    )
    before = place.until_ready("triage")
    place.until_settled("triage")
    place.order("Offboard", "what-if", "triage", offboarding={"reason": "Business", "dryRun": True})
    order = place.until_ordered("what-if", "Complete", "Previewed", "nothing was changed")
    preview = order["status"]["preview"]
    assert (preview["rights"], preview["namespaces"], preview["pods"]) == (3, 2, 1)
    assert preview["files"] == 5
    assert preview["size"] > 1000
    assert preview["retainedUntil"].endswith("Z")
    assert preview["retainedFor"] == [f"AIAgent {place.namespace}/triage spec.retirement.retention"]
    assert place.is_ready("triage")
    assert place.get("triage")["status"]["permissions"] == before["status"]["permissions"]
    place.order("Offboard", "nobody", "router", offboarding={"reason": "Business", "dryRun": True})
    place.until_ordered("nobody", "Failed", "NoAgent", "AIAgent router")


def test_who_may_order_it_and_who_may_end_it(place: Workplace) -> None:
    place.employ("triage", place.new_role(), permission("refund"))
    place.until_ready("triage")
    leaver, rehirer = place.name("leaver@corp.example"), place.name("rehirer@corp.example")
    place.let(leaver, "offboard", place.namespace, "workforce-agents-offboard")
    place.let(rehirer, "rehire", place.namespace, "workforce-agents-rehire")
    how: Object = {"offboarding": {"reason": "Business", "noticePeriod": "1h"}}
    order = agents.order(place.namespace, "bye", "Offboard", rehirer, "triage", **how)
    with pytest.raises(ApiError, match="ask for the verb offboard on aiagents/triage"):
        place.admin.as_user(rehirer).create(order)
    order["spec"]["requestedBy"] = leaver
    with pytest.raises(ApiError, match="requestedBy must be"):
        place.admin.create(order)
    place.admin.as_user(leaver).create(order)
    with pytest.raises(ApiError, match="cannot delete resource"):
        place.admin.as_user(leaver).delete(agents.API, "agentactions", "bye", namespace=place.namespace)
    # Who may delete AgentActions and gives other orders lifts none of these.
    resumer = place.name("resumer@corp.example")
    place.let(resumer, "resume", place.namespace, "workforce-agents-resume")
    with pytest.raises(ApiError, match="ask for the verb rehire on aiagents"):
        place.admin.as_user(resumer).delete(agents.API, "agentactions", "bye", namespace=place.namespace)
    place.admin.as_user(rehirer).delete(agents.API, "agentactions", "bye", namespace=place.namespace)
    # A dry run stands for nothing, and goes as any object does.
    how["offboarding"] = {"reason": "Business", "dryRun": True}
    place.admin.as_user(leaver).create(agents.order(place.namespace, "if", "Offboard", leaver, "triage", **how))
    place.admin.as_user(resumer).delete(agents.API, "agentactions", "if", namespace=place.namespace)
    assert place.is_ready("triage")
