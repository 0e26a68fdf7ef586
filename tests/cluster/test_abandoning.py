"""An agent that leaves and cannot be archived is released by order: late enough, without rights, and on record."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from aiagent_operator.core.archive import abandoned, index, layout
from aiagent_operator.core.objects import AgentIdentity
from support import agents, archiverecords, archives, chart
from support.agents import permission
from support.archivefolder import ArchiveFolder
from support.committee import here, new_policy
from support.kube import Object, wait_for
from support.operator import Installation, OperatorProcess
from support.proxy import FaultProxy, When
from support.workplace import Workplace

pytestmark = pytest.mark.cluster

ARCHIVES = "agentarchives"


@pytest.fixture
def archive(installed: Installation) -> ArchiveFolder:
    return installed.archive


def named(namespace: str, name: str, uid: str) -> str:
    return index.name(AgentIdentity(namespace, name, uid))


def record(place: Workplace, name: str) -> Object:
    return place.admin.get(agents.API, ARCHIVES, name)


def employed(place: Workplace, name: str = "triage", **spec: Any) -> str:
    """Have an agent at work: its UID."""
    place.employ(name, place.new_role(f"of-{name}"), permission("refund"), **spec)
    return str(place.until_ready(name)["metadata"]["uid"])


def soon(place: Workplace, after: str = "1s") -> None:
    """A policy by which agents of the test may be abandoned so soon."""
    new_policy(place, "soon", here(place), archive={"abandonAfter": after})


def until_abandonable(place: Workplace, name: str = "triage", *, seconds: float = 1) -> None:
    """Wait until its rights have ended so long ago."""

    def late(agent: Object) -> bool:
        ended = (agent["status"].get("offboarding") or {}).get("rightsEnd")
        now = datetime.now(UTC)
        return bool(ended and datetime.fromisoformat(ended) + timedelta(seconds=seconds + 0.1) < now)

    place.until(name, late, what=f"{name} to be without rights for {seconds} s")
    wait_for(lambda: datetime.now(UTC).microsecond < 200_000, what="the next second", timeout=5)


def until_said(place: Workplace, name: str, status: str, reason: str, text: str) -> Object:
    """Wait until the AgentArchive says this of its record in the store."""

    def says(found: Object) -> bool:
        said = agents.condition(found, "Verified") or {}
        return (said.get("status"), said.get("reason")) == (status, reason) and text in said["message"]

    return place.admin.wait_object(agents.API, ARCHIVES, name, says, what=f"{name} to say {reason}: {text}")


def released_as_said(archive: ArchiveFolder, found: Object) -> None:
    """The store has the record of it, signed, and the AgentArchive says so."""
    files = archive.archived(found["spec"]["agent"]["uid"])
    data, signature = files[layout.ABANDONED], files[layout.ABANDONED_CERTIFICATE]
    assert data == abandoned.record(found["metadata"]["name"], found["spec"])
    said = abandoned.signed(signature, data, archives.KEYS).model_dump(mode="json", by_alias=True)
    assert found["status"]["certificate"] == said
    assert found["status"]["verification"]["size"] == len(data) + len(signature)


@contextmanager
def planted(archive: ArchiveFolder, place: Workplace, uid: str, name: str = "triage") -> Iterator[None]:
    """A manifest of somebody else's is where that of the agent belongs, so that no archive of it can be sealed."""
    path = archive.path / layout.ROOT / uid / named(place.namespace, name, uid) / layout.MANIFEST
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{}\n")
    try:
        yield
    finally:
        path.unlink()


def conditions(found: Object) -> dict[str, tuple[str, str]]:
    return {c["type"]: (c["status"], c["reason"]) for c in found["status"]["conditions"]}


def test_where_the_store_stays_down_it_goes_without_rights_and_what_is_lost_is_on_record(
    vacant: Workplace, installed: Installation, archive: ArchiveFolder
) -> None:
    place = vacant
    soon(place)
    with installed.alone(archive_proof_interval="1") as operator:
        uid = employed(place)
        operator.until_idle()
        head = place.get("triage")["status"]["journal"]["head"]
        with archive.away():
            place.dismiss("triage")
            place.until_reason("triage", "Ready", "Offboarding", "order Abandon then", 'AgentPolicy "soon')
            until_abandonable(place)
            place.order("Abandon", "give-up", "triage")
            place.until_gone("triage")
            place.until_ordered("give-up", "Complete", "CarriedOut", "was released without an archive")
            name = named(place.namespace, "triage", uid)
            found = until_said(place, name, "Unknown", "ArchiveStoreUnavailable", "is not in the store yet")
        assert place.rights(uid) == set()
        assert place.children(uid) == {}
        wait_for(lambda: operator.metric("aiagent_archives", found="Abandoned") >= 1, what="the metric")
        operator.restart()
        until_said(place, name, "True", "ReadBack", "was read back, and is signed")
        operator.until_idle()
        mark = place.plane.audit_mark()
        operator.restart()
        operator.until_idle()
        # A policy counts its agents when it comes to that, and may say only now that there is one less.
        assert [write for write in place.writes(mark) if write.resource != "agentpolicies"] == []
    spec, said = found["spec"], found["spec"]["abandoned"]
    order = place.admin.get(agents.API, "agentactions", "give-up", namespace=place.namespace)
    assert (said["uid"], said["by"]) == (order["metadata"]["uid"], place.admin.whoami())
    assert "archive store local" in said["message"]
    assert said["unrecorded"] >= 2, "its end, and that it was abandoned"
    assert "manifest" not in spec
    assert spec["journal"] == head
    assert {"spec.json", "journal.jsonl", "logs"} <= {gap["path"] for gap in spec["notCaptured"]}
    # Of the logs it was said before that the store is away.
    reasons = {gap["path"]: gap["reason"] for gap in spec["notCaptured"]}
    assert {reason for path, reason in reasons.items() if path != "logs"} == {"Abandoned"}
    assert found["status"]["phase"] == "Abandoned"
    assert conditions(found) == {
        "Ready": ("False", "Abandoned"),
        "Verified": ("Unknown", "ArchiveStoreUnavailable"),
        "Certified": ("False", "Abandoned"),
    }
    released_as_said(archive, record(place, name))
    assert layout.MANIFEST not in archive.archived(uid)
    about = f"involvedObject.name={found['metadata']['name']}"
    events = place.admin.list("v1", "events", namespace="default", fields=about)
    assert [event["reason"] for event in events] == ["Abandoned"]
    assert "Abandoned" in {event["reason"] for event in place.events("triage")}


def test_where_its_store_can_be_written_the_journal_tells_of_it(
    vacant: Workplace, installed: Installation, archive: ArchiveFolder
) -> None:
    place = vacant
    soon(place)
    with installed.alone():
        uid = employed(place)
        with planted(archive, place, uid):
            place.order("Offboard", "bye", "triage", offboarding={"reason": "Incident", "mode": "Emergency"})
            place.until_reason("triage", "Ready", "Offboarding", "somebody else has written it", "order Abandon then")
            until_abandonable(place)
            place.order("Abandon", "give-up", "triage")
            place.until_ordered("give-up", "Complete", "CarriedOut")
            agent = place.until_reason("triage", "Ready", "Retired", "it was abandoned by AgentAction give-up")
        assert archive.told(uid)[-2:] == ["Terminated", "Abandoned"]
        archive.whole(uid, agent["status"])
        assert place.children(uid) == {}
        spec = record(place, named(place.namespace, "triage", uid))["spec"]
        assert (spec["reason"], spec["mode"]) == ("Incident", "Emergency")
        assert spec["journal"] == agent["status"]["journal"]["head"]
        assert "unrecorded" not in spec["abandoned"]
        place.dismiss("triage")
        place.until_gone("triage")


def test_before_its_time_it_is_refused_with_the_time_and_so_it_is_where_it_stays_or_is_held(
    vacant: Workplace, installed: Installation, archive: ArchiveFolder
) -> None:
    place = vacant
    with installed.alone():
        uid = employed(place)
        place.order("Abandon", "stays", "triage")
        place.until_ordered("stays", "Failed", "NotLeaving", "order Offboard")
        place.order("Abandon", "nobody", "router")
        place.until_ordered("nobody", "Failed", "NoAgent")
        with planted(archive, place, uid):
            place.dismiss("triage")
            place.until_reason("triage", "Ready", "Offboarding", "72h by default, after the end of its rights")
            place.order("Abandon", "early", "triage")
            order = place.until_ordered("early", "Failed", "TooEarly", "72h by default")
            ended = datetime.fromisoformat(place.get("triage")["status"]["offboarding"]["rightsEnd"])
            begins = (ended + timedelta(hours=72)).strftime("%Y-%m-%dT%H:%M:%SZ")
            assert f"from {begins} on" in agents.condition(order, "Ready")["message"]

            # The longest of what policies ask for holds.
            soon(place)
            new_policy(place, "long", here(place), archive={"abandonAfter": "2h"})
            place.until_reason("triage", "Ready", "Offboarding", '2h of AgentPolicy "long')
            place.order("Abandon", "early-too", "triage")
            place.until_ordered("early-too", "Failed", "TooEarly", '2h of AgentPolicy "long')
            place.admin.delete(agents.API, "agentpolicies", place.name("long"))
            place.order("Hold", "case", "triage", ground="LegalClaims")
            place.until_ordered("case", "InForce", "NoArchive")
            until_abandonable(place)
            place.order("Abandon", "held", "triage")
            place.until_ordered("held", "Failed", "StillHeld", "/case: release it first")
            assert place.find("triage")
        place.touch(place.get("triage"))
        place.until_gone("triage")
        # Else nobody could clear its record away.
        place.order("Release", "over", "triage")
        place.until_ordered("over", "Complete", "CarriedOut")
    archive.verified(uid)


def test_what_is_sealed_and_can_be_read_is_not_abandoned(
    vacant: Workplace, installed: Installation, archive: ArchiveFolder
) -> None:
    place = vacant
    soon(place)
    with installed.alone():
        uid = employed(place)
        name = named(place.namespace, "triage", uid)
        operator_account = place.admin.as_serviceaccount(chart.NAMESPACE, chart.ACCOUNT)
        operator_account.create(archiverecords.record(name))
        place.dismiss("triage")
        place.until_reason("triage", "Ready", "Offboarding", "find out who has made it")
        until_abandonable(place)
        place.order("Abandon", "give-up", "triage")
        place.until_ordered("give-up", "Pending", "Abandoning", "a last attempt")
        place.until_reason("triage", "Ready", "Offboarding", "sealed and can be read, so it is not abandoned")
        archiverecords.clear(place.admin, name)
        place.touch(place.get("triage"))
        place.until_gone("triage")
        order = place.admin.wait_object(
            agents.API, "agentactions", "give-up", lambda o: o["status"]["phase"] != "Pending",
            what="the order to be over", namespace=place.namespace,
        )  # fmt: skip
        assert (order["status"]["phase"], conditions(order)["Ready"][1]) in {
            ("Failed", "NoAgent"), ("Failed", "Archived")
        }  # fmt: skip
    archive.verified(uid)


def test_in_a_namespace_that_is_being_deleted_by_an_order_from_elsewhere(
    vacant: Workplace, installed: Installation, archive: ArchiveFolder
) -> None:
    place = vacant
    home, crm = place.new_namespace("doomed"), place.new_namespace("crm")
    labels = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": home}}}
    new_policy(place, "soon", labels, archive={"abandonAfter": "1s"})
    with installed.alone(archive_proof_interval="1") as operator:
        role = place.new_role()
        place.admin.create(agents.agent(home, "triage", role, permission("read-tickets", crm)))
        agent = place.admin.wait_object(
            agents.API, "aiagents", "triage", lambda a: (agents.condition(a, "Ready") or {}).get("status") == "True",
            what="the agent to be onboarded", namespace=home,
        )  # fmt: skip
        operator.until_idle()
        with archive.away():
            place.admin.delete("v1", "namespaces", home)
            place.admin.wait_object(
                agents.API, "aiagents", "triage", lambda a: agents.condition(a, "JournalBehind"),
                what="its archive to wait", namespace=home,
            )  # fmt: skip
            threading.Event().wait(2.5)
            place.order("Abandon", "give-up", agentRef={"name": "triage", "namespace": home})
            place.until_ordered("give-up", "Complete", "CarriedOut", f"{home}/triage was released")
            place.admin.wait_gone("v1", "namespaces", home, timeout=120)
        uid = agent["metadata"]["uid"]
        assert place.rights(uid) == set()
        assert record(place, named(home, "triage", uid))["status"]["phase"] == "Abandoned"


@pytest.mark.timeout(600)
def test_killed_at_each_write_it_is_released_once_by_whoever_follows(
    vacant: Workplace, installed: Installation, archive: ArchiveFolder
) -> None:
    place = vacant
    soon(place)
    with FaultProxy.before(installed.cluster.kubeconfig) as proxy:
        operator = installed.alone(proxy.kubeconfig(installed.token()))
        try:
            operator.start()
            wanted, number = _undisturbed(place, archive, operator), 0
            while True:
                number += 1
                assert number < 20
                if not _killed(place, archive, proxy, operator, number, wanted):
                    break
        finally:
            operator.close()
            operator.forget_lease()
    assert number > 3, "acceptance, the agent's status, the record and its status"


def _undisturbed(place: Workplace, archive: ArchiveFolder, operator: OperatorProcess) -> Object:
    uid = employed(place, "n00")
    with planted(archive, place, uid, "n00"):
        _gives_up(place, operator, "n00")
        place.order("Abandon", "give-up-n00", "n00")
        place.until_gone("n00")
        place.until_ordered("give-up-n00", "Complete", "CarriedOut")
    return _outcome(place, archive, "n00", uid)


def _gives_up(place: Workplace, operator: OperatorProcess, name: str) -> None:
    place.dismiss(name)
    place.until_reason(name, "Ready", "Offboarding", "somebody else has written it")
    until_abandonable(place, name)
    operator.until_idle()


def _killed(
    place: Workplace,
    archive: ArchiveFolder,
    proxy: FaultProxy,
    operator: OperatorProcess,
    number: int,
    wanted: Object,
) -> bool:
    """A run with the operator's death just before that write; False where it comes to its end before that."""
    name = f"n{number:02}"
    uid = employed(place, name)
    with planted(archive, place, uid, name):
        _gives_up(place, operator, name)
        dead = threading.Event()

        def kill(_: Any) -> None:
            operator.kill9()
            dead.set()

        def over() -> bool:
            order = place.admin.get(agents.API, "agentactions", f"give-up-{name}", namespace=place.namespace)
            return dead.is_set() or (place.find(name) is None and order.get("status", {}).get("phase") == "Complete")

        proxy.reset()
        proxy.crash_at(number, When.BEFORE, kill)
        place.order("Abandon", f"give-up-{name}", name)
        wait_for(over, what=f"the operator to die at write {number}, or {name} to be gone", timeout=60)
        proxy.spare()
        if dead.is_set():
            operator.restart()
        place.until_gone(name)
        place.until_ordered(f"give-up-{name}", "Complete", "CarriedOut")
        operator.until_idle()
    assert _outcome(place, archive, name, uid) == wanted, f"after a death before write {number}"
    return dead.is_set()


def _outcome(place: Workplace, archive: ArchiveFolder, name: str, uid: str) -> Object:
    assert place.rights(uid) == set()
    assert place.children(uid) == {}
    archive.whole(uid)
    found = until_said(place, named(place.namespace, name, uid), "True", "ReadBack", "and is signed")
    released_as_said(archive, found)
    spec = json.loads(json.dumps(found["spec"]))
    order = place.admin.get(agents.API, "agentactions", f"give-up-{name}", namespace=place.namespace)
    assert spec["abandoned"]["uid"] == order["metadata"]["uid"]
    told = archive.told(uid)
    return {
        "ends": told[-2:],
        "abandoned": told.count("Abandoned"),
        "unrecorded": spec["abandoned"].get("unrecorded"),
        "lost": [(gap["path"], gap["reason"]) for gap in spec["notCaptured"]],
        "status": conditions(found),
        "phase": order["status"]["phase"],
    }
