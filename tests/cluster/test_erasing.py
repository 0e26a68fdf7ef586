"""What is personal in an archive is erased by order: on record first, then its key goes; the rest still verifies."""

import threading
from collections.abc import Callable

import orjson
import pytest

from aiagent_operator.api import meta
from aiagent_operator.core.archive import archivekey, index, layout
from aiagent_operator.core.archive.verify import verify
from aiagent_operator.core.objects import AgentIdentity
from aiagent_operator.runtime import report
from support import archives, chart
from support.agents import permission
from support.archivefolder import ArchiveFolder
from support.kube import Object, wait_for
from support.operator import Installation, OperatorProcess
from support.proxy import FaultProxy, When
from support.workplace import Workplace

pytestmark = pytest.mark.cluster

PLURAL = "agentarchives"


@pytest.fixture
def archive(installed: Installation) -> ArchiveFolder:
    return installed.archive


def leave(place: Workplace, name: str = "triage", **spec: object) -> tuple[str, str]:
    """Have an agent come and go: its UID, and the name of its archive."""
    place.employ(name, place.new_role(f"of-{name}"), permission("refund"), **spec)
    uid = place.until_ready(name)["metadata"]["uid"]
    place.dismiss(name)
    place.until_gone(name)
    return uid, index.name(AgentIdentity(place.namespace, name, uid))


def has_key(place: Workplace, name: str) -> bool:
    return place.admin.find("v1", "secrets", archivekey.of(name), namespace=chart.NAMESPACE) is not None


def erase(place: Workplace, order: str, archive: str) -> Object:
    return place.order("Erase", order, archiveRef={"name": archive})


def until(place: Workplace, name: str, holds: Callable[[Object], object], what: str) -> Object:
    return place.admin.wait_object(meta.API_VERSION, PLURAL, name, holds, what=what)


def is_erased(found: Object) -> bool:
    return "completionTime" in (found["status"].get("erasure") or {})


def test_its_key_goes_and_all_else_stays_and_verifies(
    place: Workplace, archive: ArchiveFolder, operator: OperatorProcess
) -> None:
    uid, name = leave(place)
    before = archive.archived(uid)
    assert has_key(place, name)
    order = erase(place, "forget", name)
    place.until_ordered("forget", "Complete", "CarriedOut", name, "Destroy its backups too")
    assert not has_key(place, name)

    found = place.admin.get(meta.API_VERSION, PLURAL, name)
    said = found["status"]["erasure"]
    assert (said["uid"], said["by"]) == (order["metadata"]["uid"], place.admin.whoami())
    conditions = {c["type"]: (c["status"], c["reason"]) for c in found["status"]["conditions"]}
    assert conditions["Erased"] == ("True", "Erased")
    assert "Reconciling" not in conditions
    fields = f"involvedObject.name={name},reason=Erased"
    assert place.admin.list("v1", "events", namespace="default", fields=fields)

    files = archive.archived(uid)
    stone = orjson.loads(files.pop(layout.ERASURE))
    assert files == before
    assert (stone["at"], stone["order"]["uid"]) == (said["startTime"], order["metadata"]["uid"])
    assert {item["path"] for item in stone["items"]} == {path for path in files if layout.is_payload(path)}
    archive.verified(uid)
    given = [(path, [data]) for path, data in archive.archived(uid).items()]
    assert verify(files[layout.MANIFEST], given, keys=archives.KEYS).erased is not None

    erase(place, "again", name)
    place.until_ordered("again", "Failed", "NothingToErase", "was erased at")
    operator.until_idle()
    mark = place.plane.audit_mark()
    operator.restart()
    operator.until_idle()
    assert place.writes(mark) == []


def test_who_is_held_keeps_it_and_what_is_not_there_is_not_erased(place: Workplace, archive: ArchiveFolder) -> None:
    uid, name = leave(place)
    place.order("Hold", "case", "triage", ground="LegalClaims")
    erase(place, "forget", name)
    place.until_ordered("forget", "Failed", "StillHeld", "case")
    place.until_ordered("case", "InForce", "InForce")
    erase(place, "forget-too", name)
    place.until_ordered("forget-too", "Failed", "StillHeld", f"AgentAction {place.namespace}/case", "GDPR Art. 17(3)")
    assert has_key(place, name)
    erase(place, "nobody", "no-such-archive")
    place.until_ordered("nobody", "Failed", "NoArchive")
    assert layout.ERASURE not in archive.archived(uid)

    place.order("Release", "over", "triage")
    place.until_ordered("over", "Complete", "CarriedOut")
    erase(place, "forget-now", name)
    place.until_ordered("forget-now", "Complete", "CarriedOut")
    assert not has_key(place, name)


def test_begun_it_is_ended_whoever_leads_and_whatever_became_of_the_order(
    vacant: Workplace, installed: Installation, archive: ArchiveFolder
) -> None:
    place = vacant
    with installed.alone() as operator:
        uid, name = leave(place)
        kept, held = leave(place, "kept")
        operator.until_idle()
    said = {
        "uid": "u",
        "namespace": "legal",
        "order": "gone",
        "by": "ann",
        "reason": "A request",
        "startTime": report.now(),
    }
    account = place.admin.as_serviceaccount(chart.NAMESPACE, chart.ACCOUNT)
    account.patch(meta.API_VERSION, PLURAL, name, {"status": {"erasure": said}}, subresource="status")
    with installed.alone(archive_proof_interval="1") as operator:
        until(place, name, is_erased, "it to be erased")
        assert not has_key(place, name)
        # One that comes back with a backup is said at the next look.
        body = archivekey.build(AgentIdentity(place.namespace, "triage", uid), chart.NAMESPACE, "AGE-SECRET-KEY-1")
        place.admin.create(body)
        # While the store is away nothing is destroyed: it is on record there first.
        with archive.away():
            erase(place, "forget", held)
            place.until_ordered("forget", "Pending", "ArchiveStoreUnavailable")
            assert has_key(place, held)
        place.until_ordered("forget", "Complete", "CarriedOut")
    assert layout.ERASURE in archive.archived(kept)
    with installed.alone(archive_verification_interval="1"):
        until(place, name, lambda a: _altered(a, "its key is there again"), "the key that came back to be seen")
        place.admin.delete("v1", "secrets", archivekey.of(name), namespace=chart.NAMESPACE)
        until(place, name, lambda a: not _altered(a, ""), "it to be whole again")
        (folder,) = (archive.path / "archives" / uid).glob("*")
        (folder / layout.ERASURE).rename(folder / "aside")
        until(
            place, name, lambda a: _altered(a, "is not there, and it was erased"), "the loss of its record to be seen"
        )


def _altered(found: Object, text: str) -> bool:
    return any(c["reason"] == "Altered" and text in c["message"] for c in found["status"]["conditions"])


@pytest.mark.timeout(600)
def test_killed_at_each_write_it_is_erased_by_whoever_follows(
    vacant: Workplace, installed: Installation, archive: ArchiveFolder
) -> None:
    place, number = vacant, 0
    with FaultProxy.before(installed.cluster.kubeconfig) as proxy:
        operator = installed.alone(proxy.kubeconfig(installed.token()))
        try:
            operator.start()
            died = True
            while died:
                number += 1
                assert number < 12
                uid, name = leave(place, f"n{number:02}")
                operator.until_idle()
                died = _erased_with_a_death(place, proxy, operator, number, name)
                assert not has_key(place, name)
                archive.verified(uid)
                stone = orjson.loads(archive.archived(uid)[layout.ERASURE])
                said = place.admin.get(meta.API_VERSION, PLURAL, name)["status"]["erasure"]
                assert (stone["order"]["uid"], stone["at"]) == (said["uid"], said["startTime"])
        finally:
            operator.close()
            operator.forget_lease()
    assert number > 4, "what the archive says at first, the key, what it says at last, and the order"


def _erased_with_a_death(
    place: Workplace, proxy: FaultProxy, operator: OperatorProcess, number: int, name: str
) -> bool:
    """An erasure with the operator's death just before that write; False where it comes to its end before that."""
    dead = threading.Event()

    def kill(_: object) -> None:
        operator.kill9()
        dead.set()

    def over() -> bool:
        return dead.is_set() or place.is_ordered(f"forget-{number}", "Complete")

    proxy.reset()
    proxy.crash_at(number, When.BEFORE, kill)
    erase(place, f"forget-{number}", name)
    wait_for(over, what=f"the operator to die at write {number}, or {name} to be erased")
    proxy.spare()
    if dead.is_set():
        # Who is dead destroys nothing, and what it has begun is ended also without the order.
        if "erasure" in place.admin.get(meta.API_VERSION, PLURAL, name)["status"]:
            place.admin.delete(meta.API_VERSION, "agentactions", f"forget-{number}", namespace=place.namespace)
        operator.restart()
    until(place, name, is_erased, "it to be erased")
    operator.until_idle()
    return dead.is_set()
