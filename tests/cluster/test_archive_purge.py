"""Archives whose retention is over are purged where that is asked for, and by nobody else."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import orjson
import pytest

from aiagent_operator.api import meta
from aiagent_operator.core.archive import archivekey, index, layout
from aiagent_operator.core.archive.verify import verify
from aiagent_operator.core.objects import AgentIdentity
from aiagent_operator.runtime import report
from support import agents, archives, chart
from support.agents import permission
from support.archivefolder import ArchiveFolder
from support.committee import here, new_policy
from support.kube import Object, wait_for
from support.operator import Installation
from support.proxy import FaultProxy
from support.workplace import Workplace

pytestmark = pytest.mark.cluster

PLURAL = "agentarchives"
PURGES = {"archive_purge": "AfterRetention"}
LEFT = {layout.MANIFEST, layout.CERTIFICATE, layout.TOMBSTONE}


@pytest.fixture
def archive(installed: Installation) -> ArchiveFolder:
    return installed.archive


def leave(place: Workplace, retention: str, name: str = "triage") -> tuple[str, str]:
    """Have an agent come and go: its UID, and the name of its archive."""
    place.employ(name, place.new_role(f"of-{name}"), permission("refund"), retirement={"retention": retention})
    uid = place.until_ready(name)["metadata"]["uid"]
    place.dismiss(name)
    place.until_gone(name)
    return uid, index.name(AgentIdentity(place.namespace, name, uid))


def until(place: Workplace, name: str, holds: Callable[[Object], Any], what: str) -> Object:
    return place.admin.wait_object(meta.API_VERSION, PLURAL, name, holds, what=what)


def is_purged(archive: Object) -> bool:
    return bool(archive["status"]["phase"] == "Purged")


def test_what_is_over_its_retention_goes_with_its_journal_and_leaves_a_tombstone(
    vacant: Workplace, installed: Installation, archive: ArchiveFolder
) -> None:
    place = vacant
    with installed.alone(**PURGES) as operator:
        uid, name = leave(place, "1s")
        kept, kept_name = leave(place, "24h", "kept")
        found = until(place, name, is_purged, "it to be purged")
        operator.until_idle()
        mark = place.plane.audit_mark()
        operator.restart()
        operator.until_idle()
        assert place.writes(mark) == []

    files = archive.archived(uid)
    assert files.keys() == LEFT
    report = verify(files[layout.MANIFEST], [(p, [data]) for p, data in files.items()], keys=archives.KEYS)
    assert report.purged is not None
    assert report.findings == ()
    assert report.purged.order is None
    assert report.purged.reason == "its retention has ended"
    assert archive.entries(uid) == []
    assert place.admin.find("v1", "secrets", archivekey.of(name), namespace=chart.NAMESPACE) is None
    assert place.admin.find("v1", "secrets", archivekey.of(kept_name), namespace=chart.NAMESPACE) is not None
    assert not list((archive.path / "records" / uid).rglob("*.json"))
    status = found["status"]
    assert status["purge"]["startTime"] <= status["purge"]["completionTime"]
    assert orjson.loads(files[layout.TOMBSTONE])["at"] == status["purge"]["startTime"]
    told = {c["type"]: (c["status"], c["reason"]) for c in status["conditions"]}
    assert told == {
        "Ready": ("True", "Purged"), "Verified": ("Unknown", "Purged"), "Certified": ("True", "Certified")
    }  # fmt: skip
    archive.verified(kept)
    assert archive.entries(kept)


def test_by_default_nothing_is_purged(vacant: Workplace, installed: Installation, archive: ArchiveFolder) -> None:
    place = vacant
    with installed.alone(archive_verification_interval="1"):
        uid, name = leave(place, "1s")
        first = place.admin.get(meta.API_VERSION, PLURAL, name)["status"]["verification"]["lastTime"]
        until(place, name, lambda a: a["status"]["verification"]["lastTime"] > first, "it to be looked at again")
    assert "purge" not in place.admin.get(meta.API_VERSION, PLURAL, name)["status"]
    archive.verified(uid)


def test_a_clock_that_is_ahead_seals_and_destroys_nothing(
    vacant: Workplace, installed: Installation, archive: ArchiveFolder
) -> None:
    place = vacant
    with FaultProxy.before(installed.cluster.kubeconfig) as proxy:
        way = proxy.kubeconfig(installed.token())
        with installed.alone(way):
            place.employ("triage", place.new_role("of-triage"), permission("refund"), retirement={"retention": "1s"})
            uid = place.until_ready("triage")["metadata"]["uid"]
            proxy.clock = -timedelta(hours=1)
            place.dismiss("triage")
            place.until_reason(
                "triage", "Ready", "Offboarding", "ahead of the API server's", "set the one that is wrong"
            )
            proxy.clock = timedelta()
            place.until_gone("triage")
        name = index.name(AgentIdentity(place.namespace, "triage", uid))
        proxy.clock = -timedelta(hours=1)
        with installed.alone(way, **PURGES) as operator:
            place.admin.wait_for(lambda: _told(place, name), what="the operator to say that a clock is wrong")
            assert "set the one that is wrong" in _told(place, name)
            operator.until_idle()
            archive.verified(uid)
            assert "purge" not in place.admin.get(meta.API_VERSION, PLURAL, name)["status"]
            proxy.clock = timedelta()
            operator.restart()
            until(place, name, is_purged, "it to be purged")


def _told(place: Workplace, name: str) -> str:
    """What an Event of the reason Purging says of the AgentArchive."""
    fields = f"involvedObject.name={name},reason=Purging"
    found = place.admin.list("v1", "events", namespace="default", fields=fields)
    return found[0]["message"] if found else ""


def test_what_is_held_or_asked_for_longer_by_now_stays(
    vacant: Workplace, installed: Installation, archive: ArchiveFolder
) -> None:
    place = vacant
    place.order("Hold", "case", "triage", ground="LegalClaims")
    with installed.alone(**PURGES) as operator:
        place.until_ordered("case", "InForce", "NoArchive")
        uid, name = leave(place, "1s")
        until(place, name, lambda a: a["status"].get("holds"), "it to be held")
        other, _ = leave(place, "2s", "other")
        role = place.admin.get(meta.API_VERSION, PLURAL, name)["spec"]["agent"]["role"]
        operator.until_idle()
        archive.verified(uid)

        # The committee wants it longer now.
        new_policy(place, "long", here(place) | {"roles": [role]}, archive={"retention": "24h"})
        place.order("Release", "over", "triage")
        place.until_ordered("over", "Complete", "CarriedOut")
        place.admin.wait_for(lambda: archive.archived(other).keys() == LEFT, what="the other one to be purged")
        operator.until_idle()
        archive.verified(uid)
        status = until(
            place, name, lambda a: a["status"]["retainedUntil"] > a["spec"]["retention"]["until"], "the rule to be said"
        )["status"]
        assert "purge" not in status


def test_killed_on_the_way_it_is_ended_by_the_next_and_a_hold_comes_too_late(
    vacant: Workplace, installed: Installation, archive: ArchiveFolder
) -> None:
    place = vacant
    with installed.alone() as operator:
        uid, name = leave(place, "1s")
        early, forged = leave(place, "24h", "early")
        operator.until_idle()
    until_retained = place.admin.get(meta.API_VERSION, PLURAL, name)["spec"]["retention"]["until"]
    wait_for(lambda: report.now() >= until_retained, what="the end of its retention")
    began = report.now()
    operator_account = place.admin.as_serviceaccount(chart.NAMESPACE, chart.ACCOUNT)
    for each in (name, forged):
        begun = {"status": {"purge": {"startTime": began}}}
        operator_account.patch(meta.API_VERSION, PLURAL, each, begun, subresource="status")
    with installed.alone() as operator:
        operator.until_idle()
        archive.verified(uid)
        until(
            place,
            name,
            lambda a: any("stands still" in c["message"] for c in a["status"]["conditions"]),
            "it to be said that nothing is purged",
        )
    place.order("Hold", "case", "triage", ground="LegalClaims")
    with installed.alone(**PURGES) as operator:
        until(place, name, is_purged, "it to be purged")
        place.until_ordered("case", "InForce", "NoArchive", "nothing is left, since it was purged before")
        place.admin.delete(agents.API, "agentactions", "case", namespace=place.namespace)
        place.admin.wait_gone(agents.API, "agentactions", "case", namespace=place.namespace)
        operator.until_idle()
    assert archive.archived(uid).keys() == LEFT
    assert orjson.loads(archive.archived(uid)[layout.TOMBSTONE])["at"] == began
    archive.verified(early)
