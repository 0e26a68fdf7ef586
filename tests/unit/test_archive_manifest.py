"""Manifests: what they say, that they say it in one way, and what is refused when they are read."""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagent_operator.api.archive import Gap, GapReason
from aiagent_operator.core.archive import layout, manifest, retention, wire
from aiagent_operator.core.archive.errors import ArchiveError
from aiagent_operator.core.archive.manifest import Stored
from support import archives
from support.archives import ARCHIVE, CLAIMS, FILES, GAPS, SEALED

KEPT = retention.decide(CLAIMS, SEALED)
WHOLE = archives.archived().manifest
DIGEST = "0" * 64


def seal(files: list[Stored], gaps: tuple[Gap, ...] = GAPS, **changes: Any) -> bytes:
    return manifest.seal(ARCHIVE, archives.leaving(**changes), files, gaps, KEPT)


def content() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(WHOLE)
    return found


def test_a_manifest_says_what_is_in_the_archive_and_of_whom() -> None:
    found = manifest.read(WHOLE)
    assert {item.path: (item.digest, item.size) for item in found.items} == {
        path: (f"sha256:{hashlib.sha256(data).hexdigest()}", len(data)) for path, data in FILES.items()
    }
    assert found.agent == archives.AGENT
    assert (found.archive, found.created, found.reason.value, found.mode.value) == (
        ARCHIVE,
        SEALED,
        "Replaced",
        "Planned",
    )
    assert found.not_captured == GAPS
    assert found.lineage.successor is not None
    assert found.lineage.successor.name == "triage-v2"
    assert found.retention.duration == "52560h"
    assert found.retention.until == KEPT.until
    assert found.retention.sources == ("AIAgent crm/triage spec.retirement.retention",)


def test_what_was_left_over_is_named_once_and_is_no_item() -> None:
    def sealed(*left: str) -> bytes:
        return manifest.seal(ARCHIVE, archives.leaving(), archives.stored(), GAPS, KEPT, left)

    assert manifest.read(WHOLE).left_over is None
    assert b"leftOver" not in WHOLE
    assert manifest.read(sealed("revisions/2.json", "actions/u/a.json")).left_over == (
        "actions/u/a.json",
        "revisions/2.json",
    )
    with pytest.raises(ArchiveError, match="is in items and in leftOver"):
        sealed(layout.SPEC)
    with pytest.raises(ArchiveError, match=r"leftOver\.0\.path"):
        sealed("../spec.json")
    with pytest.raises(ArchiveError, match="about the archive"):
        sealed(layout.SUMS)
    # Of too many the first ones are named.
    many = [f"actions/u/{number:04}.json" for number in range(manifest.MOST_LEFT_OVER + 1)]
    assert manifest.read(sealed(*many)).left_over == tuple(many[:-1])


@given(st.randoms(use_true_random=False))
def test_the_same_archive_has_the_same_bytes_in_any_order(order: random.Random) -> None:
    files, gaps = archives.stored(), [*GAPS, Gap(path="logs", reason=GapReason.NOT_FOUND, message="no pods")]
    expected = seal(files, tuple(gaps))
    order.shuffle(files)
    order.shuffle(gaps)
    assert seal(files, tuple(gaps)) == expected
    assert manifest.read(expected).items == tuple(sorted(manifest.read(expected).items, key=lambda item: item.path))


def test_what_is_read_is_written_as_it_was() -> None:
    assert wire.written(manifest.read(WHOLE)) == WHOLE


@pytest.mark.parametrize("reason", GapReason)
def test_every_gap_has_a_reason_from_the_list(reason: GapReason) -> None:
    gap = manifest.gap(layout.MEMORY, reason, f"because {reason}")
    assert manifest.read(seal(archives.stored(), (gap,))).not_captured == (gap,)


def test_what_systems_say_about_a_gap_is_put_on_one_plain_line() -> None:
    gap = manifest.gap(layout.MEMORY, GapReason.UNREADABLE, "tar: \x1b[31mbad\n\u202eheader" + "x" * 5000)
    assert gap.message.startswith("tar: \\u001b[31mbad \\u202eheader")
    assert len(gap.message) == manifest.LONGEST_MESSAGE
    assert manifest.read(seal(archives.stored(), (gap,))).not_captured == (gap,)
    assert manifest.gap(layout.MEMORY, GapReason.UNREADABLE, " \n").message == "no more is known"


def test_sums_are_taken_by_sha256sum(tmp_path: Path) -> None:
    for path, data in FILES.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)
    (tmp_path / layout.SUMS).write_bytes(manifest.sums(manifest.read(WHOLE)))
    check = ["sha256sum", "--check", "--strict", layout.SUMS]
    good = subprocess.run(check, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert good.stdout.splitlines() == [f"{path}: OK" for path in sorted(FILES)]
    (tmp_path / layout.KPIS).write_bytes(b"")
    bad = subprocess.run(check, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert bad.returncode == 1
    assert "kpis.jsonl: FAILED" in bad.stdout


def of(path: str, **changes: Any) -> Stored:
    return Stored(path, changes.pop("digest", DIGEST), changes.pop("size", 1), **changes)


ATTEMPT = "0123456789abcdef" * 2
GAP_OF_X = Gap(path="x.json", reason=GapReason.NOT_FOUND, message="m")
UNSEALED: dict[str, tuple[Callable[[], bytes], str]] = {
    "a path that leaves": (lambda: seal([of("../x"), *archives.stored()]), r"items\.0\.path .* is unsafe"),
    "a gap that leaves": (
        lambda: seal(archives.stored(), (Gap(path="/x", reason=GapReason.NOT_FOUND, message="m"),)),
        r"notCaptured\.0\.path",
    ),
    "a file twice": (lambda: seal([of("a"), of("a"), *archives.stored()]), "write each once"),
    "a file and its folder": (lambda: seal([of("b"), of("b/c"), *archives.stored()]), "no directory can hold both"),
    "the manifest in itself": (lambda: seal([of("manifest.json"), *archives.stored()]), "is about the archive"),
    "what is there and is not": (
        lambda: seal(archives.stored(), (Gap(path="spec.json", reason=GapReason.NOT_FOUND, message="m"),)),
        "is in items and in notCaptured",
    ),
    "personal in clear": (
        lambda: seal([of("memory.tar", personal=True), *archives.stored()], ()),
        "is personal and not encrypted",
    ),
    "payload in clear": (
        lambda: seal([of("logs/p/c.log"), *archives.stored()], ()),
        r"logs/p/c\.log\"\) is personal and not encrypted",
    ),
    "two attempts at one item": (
        lambda: seal([of(f"{ATTEMPT}/x.json"), of("x.json"), *archives.stored()]),
        "are two attempts at one item",
    ),
    "payload of an attempt in clear": (
        lambda: seal([of(f"{ATTEMPT}/memory.tar"), *archives.stored()], ()),
        "is personal and not encrypted",
    ),
    "what an attempt has written and is not there": (
        lambda: seal([of(f"{ATTEMPT}/x.json"), *archives.stored()], (GAP_OF_X,)),
        "is in items and in notCaptured",
    ),
    "no digest": (lambda: seal([of("a", digest="x"), *archives.stored()]), "write 64 hex digits"),
    "a digest in capitals": (lambda: seal([of("a", digest="A" * 64), *archives.stored()]), "write 64 hex digits"),
    "a size below zero": (lambda: seal([of("a", size=-1), *archives.stored()]), "greater than or equal to 0"),
    "nothing of the journal": (
        lambda: seal([file for file in archives.stored() if file.path != layout.JOURNAL]),
        "journal.jsonl is neither in items nor in notCaptured",
    ),
    "a journal without its head": (lambda: seal(archives.stored(), journal=None), "write its sequence and digest"),
}


@pytest.mark.parametrize(("attempt", "message"), UNSEALED.values(), ids=UNSEALED)
def test_what_no_reader_would_take_is_not_sealed(attempt: Callable[[], bytes], message: str) -> None:
    with pytest.raises(ArchiveError, match=message) as caught:
        attempt()
    assert ARCHIVE in str(caught.value) or "digest of" in str(caught.value) or "size" in str(caught.value)


def test_a_journal_that_was_streamed_is_the_journal() -> None:
    files = [file for file in archives.stored() if file.path != layout.JOURNAL]
    found = manifest.read(seal([of(f"{ATTEMPT}/{layout.JOURNAL}"), *files]))
    assert not list(manifest.journal_faults(found))


def changed(**fields: Any) -> bytes:
    return json.dumps({**content(), **fields}).encode()


def item(**fields: Any) -> bytes:
    first = {**content()["items"][0], **fields}
    return changed(items=[first, *content()["items"][1:]])


REFUSED: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "manifest.json is empty"),
    "no JSON": (b"\x7fELF", "is not JSON"),
    "no UTF-8": (WHOLE[:20] + b"\xff" + WHOLE[20:], "is no UTF-8 at byte 20"),
    "cut": (WHOLE[:-40], "is not JSON"),
    "a list": (b"[]", "is a list"),
    "a name twice": (b'{"version": "x", "version": "y"}', "twice"),
    "nested too deep": (b'{"a":' * 20 + b"1" + b"}" * 20, "nested deeper"),
    "no version": (b"{}", 'has no version: this software reads "archive.workforce.dev/v1"'),
    "a newer version": (changed(version="archive.workforce.dev/v2"), "use newer software"),
    "a strange version": (changed(version=7), 'has the version "7"'),
    "no items": (json.dumps({k: v for k, v in content().items() if k != "items"}).encode(), "items: Field required"),
    "items that are none": (changed(items={}), "items: "),
    "a size as text": (item(size="51"), r"items\.0\.size: "),
    "a size as a fraction": (item(size=1.5), r"items\.0\.size: "),
    "a size beyond measure": (item(size=2**63), r"items\.0\.size: "),
    "personal as text": (item(personal="yes"), r"items\.0\.personal: "),
    "personal in clear": (item(personal=True), "is personal and not encrypted"),
    "a short digest": (item(digest="sha256:00"), r"items\.0\.digest: "),
    "another digest": (item(digest="md5:" + "0" * 32), r"items\.0\.digest: "),
    "a path that leaves": (item(path="../../x"), r"items\.0\.path .* is unsafe"),
    "a path with a null": (item(path="a\x00"), r"U\+0000"),
    "a path that is no text": (item(path=7), r"items\.0\.path: "),
    "items out of order": (changed(items=content()["items"][::-1]), "in the order of their bytes"),
    "an item twice": (changed(items=[content()["items"][0]] * 2), "write each once"),
    "a local moment": (changed(created="2026-11-22T10:00:00"), "write a moment in UTC"),
    "a moment as a number": (changed(created=1763805600), "created: "),
    "a moment as digits": (changed(created="1763805600"), "write a moment in UTC"),
    "no such day": (changed(created="2026-02-30T10:00:00Z"), "created: "),
    "an unknown reason": (changed(reason="Bored"), "reason: "),
    "an unknown gap": (
        changed(notCaptured=[{"path": "a", "reason": "Lost", "message": "m"}]),
        r"notCaptured\.0\.reason",
    ),
    "a retention that ends earlier": (
        changed(retention={**content()["retention"], "until": "2026-11-23T10:00:00Z"}),
        "retention.until is",
    ),
    "a retention without end": (
        changed(retention={**content()["retention"], "duration": "9999999h"}),
        "retention.duration .* is too long",
    ),
}


@pytest.mark.parametrize(("data", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_a_manifest_is_refused_with_what_is_wrong(data: bytes, message: str) -> None:
    with pytest.raises(ArchiveError, match=message) as caught:
        manifest.read(data)
    assert "manifest.json" in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1200


def test_fields_of_a_newer_version_are_passed_over() -> None:
    assert manifest.read(changed(notary={"x": [1]})) == manifest.read(WHOLE)


def test_a_manifest_beyond_its_bound_is_not_even_parsed() -> None:
    with pytest.raises(ArchiveError, match=f"at most {manifest.LIMIT} are read"):
        manifest.read(b" " * (manifest.LIMIT + 1))


@given(st.binary(max_size=200) | st.integers(0, len(WHOLE) - 1).map(lambda n: WHOLE[:n] + b"?" + WHOLE[n + 1 :]))
def test_no_bytes_make_reading_fail_otherwise(data: bytes) -> None:
    try:
        found = manifest.read(data)
    except ArchiveError:
        return
    assert wire.read(wire.written(found), type(found), "it", limit=manifest.LIMIT) == found


def test_the_keys_of_the_personal_payload_are_named_once_each() -> None:
    one, _ = archives.encrypted("memory.tar", b"m")
    two, _ = archives.encrypted("logs/p/c.log", b"l")
    found = manifest.read(seal([*archives.stored(), one, two], ()))
    assert manifest.personal_keys(found) == ("age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj",)
    assert [entry.path for entry in found.items if entry.personal] == ["logs/p/c.log.age", "memory.tar.age"]
