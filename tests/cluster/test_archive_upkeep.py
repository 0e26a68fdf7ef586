"""Archives are read again from time to time, and their AgentArchives tell what was found."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from aiagent_operator.api import meta
from aiagent_operator.core.archive import index
from aiagent_operator.core.objects import AgentIdentity
from support import agents
from support.agents import permission
from support.archivefolder import ArchiveFolder
from support.kube import Object
from support.operator import Installation
from support.workplace import Workplace

pytestmark = pytest.mark.cluster

PLURAL = "agentarchives"
OFTEN = {"archive_verification_interval": "2", "archive_proof_interval": "1"}


@pytest.fixture
def archive(installed: Installation) -> ArchiveFolder:
    return installed.archive


def archived(place: Workplace) -> tuple[str, str]:
    """UID of an agent that has left, and the name of its archive."""
    place.employ("triage", place.new_role(), permission("refund"))
    uid = place.until_ready("triage")["metadata"]["uid"]
    place.dismiss("triage")
    place.until_gone("triage")
    return uid, index.name(AgentIdentity(place.namespace, "triage", uid))


def until(place: Workplace, name: str, holds: Callable[[Object], object], what: str) -> Object:
    return place.admin.wait_object(meta.API_VERSION, PLURAL, name, holds, what=what)


def verified(record: Object) -> tuple[str, str]:
    found = agents.condition(record, "Verified") or {}
    return found.get("status", ""), found.get("reason", "")


def folder(archive: ArchiveFolder, uid: str) -> Path:
    (found,) = (archive.path / "archives" / uid).iterdir()
    return found


def test_damage_is_found_and_told_and_forgotten_once_it_is_mended(
    vacant: Workplace, installed: Installation, archive: ArchiveFolder
) -> None:
    place = vacant
    with installed.alone(**OFTEN) as operator:
        uid, name = archived(place)
        first = place.admin.get(meta.API_VERSION, PLURAL, name)["status"]["verification"]
        until(place, name, lambda a: a["status"]["verification"]["lastTime"] > first["lastTime"], "it to be read again")
        file = folder(archive, uid) / "spec.json"
        whole = file.read_bytes()
        file.chmod(0o600)
        file.write_bytes(whole[:-2] + b" \n")

        told = until(place, name, lambda a: verified(a) == ("False", "Altered"), "the damage to be found")
        condition = agents.condition(told, "Ready") or {}
        assert (condition["status"], condition["reason"]) == ("False", "Altered")
        assert "spec.json: Altered" in condition["message"]
        assert "restore it from a copy" in condition["message"]
        assert (agents.condition(told, "Certified") or {})["status"] == "True"
        fields = f"involvedObject.name={name}"
        place.admin.wait_for(
            lambda: place.admin.list("v1", "events", namespace="default", fields=fields), what="the Event"
        )
        events = place.admin.list("v1", "events", namespace="default", fields=fields)
        assert [(event["type"], event["reason"]) for event in events] == [("Warning", "Altered")]
        place.admin.wait_for(lambda: operator.metric("aiagent_archives", found="Altered") == 1, what="the metric")
        assert operator.metric("aiagent_archive_reads_total", found="Whole") >= 1

        file.write_bytes(whole)
        until(place, name, lambda a: verified(a) == ("True", "ReadBack"), "it to be whole again")
        assert (agents.condition(told, "Certified") or {})["status"] == "True"

        with archive.away():
            until(
                place, name, lambda a: verified(a) == ("Unknown", "ArchiveStoreUnavailable"), "the store to be missed"
            )
        until(place, name, lambda a: verified(a) == ("True", "ReadBack"), "the store to be back")


def test_between_two_readings_nothing_is_written(vacant: Workplace, installed: Installation) -> None:
    place = vacant
    with installed.alone() as operator:
        _, name = archived(place)
        operator.until_idle()
        before = place.admin.get(meta.API_VERSION, PLURAL, name)
        mark = place.plane.audit_mark()
        operator.restart()
        operator.until_idle()
        assert place.writes(mark) == []
        assert place.admin.get(meta.API_VERSION, PLURAL, name) == before


def test_a_store_that_is_described_no_more_is_named(
    vacant: Workplace, installed: Installation, archive: ArchiveFolder
) -> None:
    place = vacant
    with installed.alone():
        _, name = archived(place)
    other = archive.path.with_name("other")
    other.mkdir(exist_ok=True)
    described = archive.path.with_name("other.yaml")
    described.write_text(yaml.safe_dump({"default": "other", "stores": [{"name": "other", "url": f"file://{other}"}]}))
    with installed.alone(archive_file=str(described)):
        told = until(place, name, lambda a: verified(a) == ("Unknown", "ArchiveStoreNotFound"), "it to be said")
        assert 'no archive store "local"' in (agents.condition(told, "Verified") or {})["message"]
    with installed.alone():
        until(place, name, lambda a: verified(a) == ("True", "ReadBack"), "it to be read again")
