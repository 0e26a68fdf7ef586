"""AgentArchives: what they say of an archive, in which form, what is refused, and that nothing of it can change."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from aiagent_operator.api.agentarchive import SHOWN_GAPS, AgentArchive, AgentArchiveSpec, AgentArchiveStatus
from aiagent_operator.api.archive import Gap, GapReason
from aiagent_operator.api.kinds import AGENTARCHIVE
from aiagent_operator.api.schema import crd, structural
from aiagent_operator.core.archive import layout, manifest, retention
from support import archives
from support.archiverecords import record, spec, wired
from support.schemacases import GONE

RECORD = record("triage-20261122t100000z")
MANIFEST: dict[str, Any] = json.loads(archives.example().manifest)


def changed(path: str, value: Any) -> Any:
    """The spec of the record with one field put, replaced or left out."""
    whole = copy.deepcopy(RECORD["spec"])
    *way, last = path.split(".")
    node = whole
    for part in way:
        node = node[part]
    if value is GONE:
        del node[last]
    else:
        node[last] = value
    return whole


def test_a_record_says_what_the_manifest_says_in_the_same_words() -> None:
    found = RECORD["spec"]
    for field in ("created", "reason", "mode", "journal", "retention", "notCaptured", "lineage"):
        assert found[field] == MANIFEST[field], field
    for field in ("namespace", "name", "uid", "role"):
        assert found["agent"][field] == MANIFEST["agent"][field], field
    assert found["manifest"]["items"] == len(MANIFEST["items"])
    assert found["manifest"]["size"] == sum(item["size"] for item in MANIFEST["items"])


def test_a_record_is_read_as_it_was_written() -> None:
    found = AgentArchive.model_validate_json(json.dumps(RECORD))
    assert found.spec == spec()
    assert wired(found.spec) == RECORD["spec"]


def test_the_accountable_owner_is_not_in_a_record() -> None:
    assert "accountable" in MANIFEST["agent"]
    assert "accountable" not in json.dumps(RECORD)


def test_of_many_gaps_the_record_has_the_first_and_counts_the_others() -> None:
    gaps = [Gap(path=f"decisions/{n:05}", reason=GapReason.NOT_FOUND, message="gone") for n in range(1000)]
    gaps.append(archives.GAPS[0])
    kept = retention.decide(archives.CLAIMS, archives.SEALED)
    found = spec(manifest.seal(archives.ARCHIVE, archives.leaving(), archives.stored(), gaps, kept))
    assert (len(found.not_captured), found.not_captured_more) == (SHOWN_GAPS, 1001 - SHOWN_GAPS)
    assert found.not_captured[0].path == "decisions/00000"


@given(st.text(max_size=200), st.text(max_size=200))
def test_every_place_of_an_archive_can_be_recorded(uid: str, archive: str) -> None:
    prefix = layout.Layout(uid, archive).prefix
    assert AgentArchiveSpec.model_validate(changed("path", prefix)).path == prefix


MOMENTS = ("2026-11-22T10:00:00.5Z", "2026-11-22T11:00:00+01:00", "2026-11-22 10:00:00Z", "2026-11-22T25:00:00Z", "")
WRONG = [
    *((field, GONE) for field in ("agent", "store", "path", "created", "reason", "mode", "retention")),
    *((field, when) for field in ("created", "retention.until") for when in MOMENTS),
    *(("path", path) for path in ("", "archives", "archives/u", "/archives/u/a", "archives/u/a/", "archives/../a")),
    ("path", "journals/u/a"),
    ("path", "archives/u/a/manifest.json"),
    ("path", f"archives/u/{'a' * 129}"),
    ("agent.role", "Customer Support"),
    ("agent.uid", "u" * 129),
    ("store", "the.vault"),
    ("manifest.digest", "0" * 64),
    ("manifest.items", 50_001),
    ("manifest.size", -1),
    ("manifest.size", 2**63),
    ("reason", "Fun"),
    ("mode", "planned"),
    ("journal.sequence", 0),
    ("retention.duration", "6y"),
    ("retention.sources", []),
    ("retention.sources", [f"AgentPolicy {n}" for n in range(65)]),
    ("notCaptured", [{"path": f"{n}", "reason": "NotFound", "message": "gone"} for n in range(65)]),
    ("notCaptured", [{"path": "decisions", "reason": "Lost", "message": "gone"}]),
    ("notCaptured", [{"path": "decisions", "reason": "NotFound", "message": ""}]),
    ("notCapturedMore", 0),
]


@pytest.mark.parametrize(("path", "value"), WRONG)
def test_what_no_record_may_say(path: str, value: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        AgentArchiveSpec.model_validate_json(json.dumps(changed(path, value)))
    assert {tuple(map(str, error["loc"]))[: path.count(".") + 1] for error in caught.value.errors()} == {
        tuple(path.split("."))
    }


STATUS: dict[str, Any] = {
    "observedGeneration": 1,
    "phase": "Certified",
    "verification": {"lastTime": "2026-11-22T10:01:00Z", "files": 9, "size": 5120},
    "certificate": {
        "digest": f"sha256:{'0' * 64}",
        "keyIds": ["a" * 64],
        "completionTime": "2026-11-22T10:05:00Z",
    },
    "handover": {
        "successor": {"name": "triage-v2", "uid": "0f0e"},
        "acceptance": {"name": "yes", "uid": "0f0f", "revision": 1},
        "delivery": {
            "store": "inheritances",
            "path": "inherited/crm/triage-v2/crm.triage.0a1b",
            "digest": f"sha256:{'a' * 64}",
        },
        "time": "2026-11-22T10:06:00Z",
        "message": "AIAgent triage-v2 has taken over",
    },
    "holds": [
        {
            "uid": "9d9a",
            "namespace": "legal",
            "order": "case-4711",
            "by": "counsel@corp.example",
            "since": "2026-11-22T10:06:00Z",
            "ground": "LegalClaims",
            "reason": "Case 4711",
            "orphaned": True,
        }
    ],
    "retainedUntil": "2033-11-20T10:00:00Z",
    "erasure": {
        "uid": "7f1c",
        "namespace": "privacy",
        "order": "forget-4711",
        "by": "dpo@corp.example",
        "reason": "Request 4711",
        "startTime": "2027-01-01T10:00:00Z",
        "completionTime": "2027-01-01T10:00:01Z",
    },
    "purge": {"startTime": "2032-11-20T10:00:00Z", "completionTime": "2032-11-20T10:00:05Z"},
    "conditions": [],
}


def test_a_status_is_read_as_it_was_written() -> None:
    found = AgentArchiveStatus.model_validate_json(json.dumps(STATUS))
    assert found.model_dump(mode="json", by_alias=True) == STATUS


@pytest.mark.parametrize("phase", ["Erased", "sealed"])
def test_a_phase_that_nothing_sets_is_none(phase: str) -> None:
    with pytest.raises(ValidationError, match="phase"):
        AgentArchiveStatus.model_validate({**STATUS, "phase": phase})


def test_a_record_never_changes() -> None:
    schema = crd(AGENTARCHIVE)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    # Else an update could leave out what carries the rule.
    assert "spec" in schema["required"]
    rules = schema["properties"]["spec"]["x-kubernetes-validations"]
    assert [rule["rule"] for rule in rules] == ["self == oldSelf", "has(self.manifest) != has(self.abandoned)"]


def test_nothing_in_a_record_is_open() -> None:
    """What a schema leaves open, `self == oldSelf` does not protect."""
    assert "x-kubernetes-preserve-unknown-fields" not in json.dumps(structural(AgentArchiveSpec))


def test_a_moment_can_be_written_in_one_way_only() -> None:
    """CEL compares moments, not texts: of two texts of one moment it says that they are equal."""
    created = structural(AgentArchiveSpec)["properties"]["created"]
    assert (created["type"], created["format"], created["maxLength"]) == ("string", "date-time", 20)
    assert created["pattern"].endswith("Z$")


def test_numbers_of_64_bits_are_bounded_by_their_format() -> None:
    """A bound in OpenAPI is a float, in which the largest of them is another number."""
    size = structural(AgentArchiveSpec)["properties"]["manifest"]["properties"]["size"]
    assert size["format"] == "int64"
    assert "maximum" not in size
