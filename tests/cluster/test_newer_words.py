"""Objects with words of a newer version, as they are there when an operator goes back to this one."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson
import pytest

from aiagent_operator.core.archive import layout
from support import agents
from support.agents import permission
from support.archivefolder import ArchiveFolder
from support.kube import ApiError, Object, wait_for
from support.operator import Installation
from support.workplace import Workplace

pytestmark = pytest.mark.cluster


@pytest.fixture
def archive(installed: Installation) -> ArchiveFolder:
    return installed.archive


@contextmanager
def newer(place: Workplace, plural: str, *way: str) -> Iterator[None]:
    """Meanwhile the definition knows words that this version does not, in the field that the way leads to."""
    definition = ("apiextensions.k8s.io/v1", "customresourcedefinitions", f"{plural}.workforce.dev")
    whole = place.admin.get(*definition)["spec"]["versions"]
    loose = copy.deepcopy(whole)
    field: Any = loose[0]["schema"]["openAPIV3Schema"]
    for part in way:
        field = field["items"] if part == "[]" else field["properties"][part]
    del field["enum"]

    def define(versions: Any) -> None:
        place.admin.patch(*definition, [{"op": "replace", "path": "/spec/versions", "value": versions}], kind="json")

    define(loose)
    try:
        yield
    finally:
        define(whole)


def accepted(place: Workplace, plural: str, name: str, change: Any) -> None:
    """Has the change made, once the API server goes by the definition."""

    def made() -> bool:
        try:
            change()
        except ApiError as error:
            if error.status != 422:
                raise
            return False
        return True

    wait_for(made, what=f"{plural} {place.namespace}/{name} to be accepted")


def test_an_offboard_with_them_stands_and_its_archive_has_what_it_said(
    place: Workplace, archive: ArchiveFolder
) -> None:
    place.employ("triage", place.new_role(), permission("refund"))
    uid = place.until_ready("triage")["metadata"]["uid"]
    how = {"reason": "Promoted", "mode": "Planned"}
    with newer(place, "agentactions", "spec", "offboarding", "reason"):
        accepted(place, "agentactions", "bye", lambda: place.order("Offboard", "bye", "triage", offboarding=how))
        agent = place.until("triage", lambda a: a["status"].get("phase") == "Retired", what="triage to be retired")
        order = place.until_ordered("bye", "InForce", "InForce", "triage is out")
    place.until_cannot("triage", "create", "refunds")
    stalled: Object = agents.condition(order, "Stalled") or {}
    assert (stalled["status"], stalled["reason"]) == ("True", "InvalidSpec")
    assert "spec.offboarding.reason" in stalled["message"]
    assert agent["status"]["offboarding"]["reason"] == "Business"
    assert archive.verified(uid)["reason"] == "Business"
    kept = archive.archived(uid)[layout.action(order["metadata"]["uid"], "bye")]
    assert orjson.loads(kept)["spec"]["offboarding"]["reason"] == "Promoted"


def test_an_agent_with_them_stays_as_it_is_and_can_be_let_go(place: Workplace, archive: ArchiveFolder) -> None:
    place.employ("triage", place.new_role(), permission("refund"))
    agent = place.until_ready("triage")
    uid, owner = agent["metadata"]["uid"], agent["spec"]["owners"][0]
    owners = [owner, {**owner, "name": "stars", "function": "Astrology", "responsibility": "Informed"}]
    with newer(place, "aiagents", "spec", "owners", "[]", "function"):
        accepted(place, "aiagents", "triage", lambda: place.change("triage", owners=owners))
        place.until_reason("triage", "Ready", "InvalidSpec", "spec.owners.1.function")
        place.until_can("triage", "create", "refunds")
        place.dismiss("triage")
        place.until_gone("triage")
    place.until_cannot("triage", "create", "refunds")
    assert place.children(uid) == {}
    archive.verified(uid)
    assert orjson.loads(archive.archived(uid)[layout.SPEC])["spec"]["owners"][1]["function"] == "Astrology"
