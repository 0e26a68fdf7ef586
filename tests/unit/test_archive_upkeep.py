"""Archives that are sealed: when each is read again, what is found then, and what its AgentArchive says of it."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagent_operator.api.conditions import Reason, Type, Verdict
from aiagent_operator.api.tombstone import Order
from aiagent_operator.core.archive import index, layout, retention, tombstone, upkeep, wire
from aiagent_operator.core.archive.tombstone import Destruction
from aiagent_operator.core.archive.upkeep import Altered, Unread, Whole
from aiagent_operator.runtime.archive.config import StoreConfig
from aiagent_operator.runtime.archive.keeper import Keeper
from aiagent_operator.runtime.archives import ArchiveBook, ArchiveRecord
from aiagent_operator.runtime.looking import read
from support import archiverecords, archives
from support.archive import directory_config

WEEK = timedelta(hours=168)
CREATED = datetime(2026, 11, 22, 10, tzinfo=UTC)
LAST = "2026-11-22T10:01:00Z"
EXAMPLE = archives.example()
WHY = Destruction(datetime(2040, 1, 1, tzinfo=UTC), "it is old", retention.decide(archives.CLAIMS, archives.SEALED))
PREFIX = archiverecords.spec().path


def status(verified: str | None = "True", *, certificate: str = "") -> dict[str, Any]:
    said = [{"type": "Verified", "status": verified, "reason": "ReadBack", "message": "-"}] if verified else []
    found: dict[str, Any] = {"conditions": said, "verification": {"lastTime": LAST, "files": 6, "size": 10}}
    return found | ({"certificate": {"digest": certificate}} if certificate else {})


# When ----------------------------------------------------------------------------------------------------------------


@given(st.uuids(), st.integers(60, 31_536_000).map(lambda seconds: timedelta(seconds=seconds)))
def test_each_is_read_again_within_the_interval_and_they_are_spread(uid: Any, interval: timedelta) -> None:
    last = datetime.fromisoformat(LAST)
    due = upkeep.due(str(uid), CREATED, status(), interval)
    assert last + interval * 3 / 4 < due + timedelta(seconds=1)
    assert due <= last + interval
    assert due == upkeep.due(str(uid), CREATED, status(), interval)


def test_whoever_makes_a_record_says_first_how_it_is_with_it_and_is_not_waited_for_for_ever() -> None:
    assert upkeep.unsaid(CREATED, {}, CREATED)
    assert upkeep.unsaid(CREATED, status(None), CREATED + upkeep.UNREAD - timedelta(seconds=1))
    assert not upkeep.unsaid(CREATED, {}, CREATED + upkeep.UNREAD), "it was cut off"
    for said in ("True", "False", "Unknown"):
        assert not upkeep.unsaid(CREATED, status(said), CREATED)


def test_those_that_were_sealed_in_one_night_are_read_in_different_hours() -> None:
    hours = {upkeep.due(f"uid-{n}", CREATED, status(), WEEK).replace(minute=0, second=0) for n in range(1000)}
    assert len(hours) > 35


@pytest.mark.parametrize("verified", ["False", "Unknown"])
def test_what_is_not_known_to_be_whole_is_due_now(verified: str) -> None:
    assert upkeep.due("u", CREATED, status(verified), WEEK) == CREATED


def test_whoever_makes_one_has_time_to_say_that_it_was_read_back() -> None:
    for fresh in ({}, status(None), {"conditions": status()["conditions"]}):
        assert upkeep.due("u", CREATED, fresh, WEEK) == CREATED + upkeep.UNREAD


# What follows --------------------------------------------------------------------------------------------------------


def told(found: upkeep.Found, before: dict[str, Any]) -> dict[str, tuple[str, str]]:
    said = upkeep.conditions(before["conditions"], upkeep.verdicts(found, before), "now")
    return {each["type"]: (each["status"], each["reason"]) for each in said}


def sealed(*, certified: bool) -> dict[str, Any]:
    said = upkeep.conditions((), index.standing(certified=certified), "before")
    return {"conditions": said, "verification": {"lastTime": LAST}} | ({"certificate": {}} if certified else {})


@pytest.mark.parametrize("certified", [True, False])
def test_a_whole_one_says_what_it_said_when_it_was_sealed(certified: bool) -> None:
    before = sealed(certified=certified)
    assert upkeep.conditions(before["conditions"], upkeep.verdicts(Whole(6, 10), before), "now") == before["conditions"]


def test_damage_is_said_until_it_was_read_whole() -> None:
    before = sealed(certified=True)
    damaged = told(Altered("spec.json"), before)
    assert damaged == {
        "Ready": ("False", "Altered"), "Verified": ("False", "Altered"), "Certified": ("True", "Certified")
    }  # fmt: skip
    text = upkeep.conditions(before["conditions"], upkeep.verdicts(Altered("spec.json"), before), "now")
    after = before | {"conditions": text}
    assert upkeep.verdicts(Unread(Reason.STORE_UNAVAILABLE, "away"), after) == ()
    assert told(Whole(6, 10), after)["Verified"] == ("True", "ReadBack")


def test_a_store_that_is_away_makes_it_unknown_and_says_when_it_was_whole() -> None:
    before = sealed(certified=True)
    away = Unread(Reason.STORE_UNAVAILABLE, "The store is away")
    assert told(away, before)["Verified"] == told(away, before)["Ready"] == ("Unknown", "ArchiveStoreUnavailable")
    (ready, _) = upkeep.verdicts(away, before)
    assert ready.message == f"The store is away. It was last whole at {LAST}"
    # The same again is no news.
    said = upkeep.conditions(before["conditions"], upkeep.verdicts(away, before), "now")
    again = before | {"conditions": said}
    assert upkeep.conditions(said, upkeep.verdicts(away, again), "later") == said


def test_conditions_of_others_stay_and_those_that_are_over_go() -> None:
    before = [{"type": "Held", "status": "True"}, {"type": "Ready", "status": "Unknown"}]
    verdict = Verdict(Type.READY, True, Reason.READ_BACK, "-")
    assert [c["type"] for c in upkeep.conditions(before, (verdict,), "now")] == ["Held", "Ready"]
    assert upkeep.conditions(before, (), "now", gone=(Type.READY,)) == before[:1]


# What is found -------------------------------------------------------------------------------------------------------


class Place:
    """The archive of the example in a directory store, and its AgentArchive."""

    def __init__(self, top: Path) -> None:
        self.config: StoreConfig = directory_config(top)
        self.top = top / PREFIX
        self.put(EXAMPLE)
        body = archiverecords.record("triage")
        body["metadata"] |= {"uid": "u", "resourceVersion": "1", "creationTimestamp": LAST}
        body["status"] = status(certificate=wire.digest(EXAMPLE.files[layout.CERTIFICATE]))
        book = ArchiveBook(lambda _: None)
        book.observe(body)
        self.record: ArchiveRecord = book.records["triage"]

    def put(self, archive: archives.Archived) -> None:
        """Puts the files of an archive there."""
        for path, data in archive.files.items():
            (self.top / path).parent.mkdir(parents=True, exist_ok=True)
            (self.top / path).write_bytes(data)

    def found(self, record: ArchiveRecord | None = None, **verdict: Any) -> upkeep.Found:
        async def look() -> upkeep.Found:
            self.keeper = Keeper(self.config, interval=1, restored=lambda _: None)
            self.keeper.usable = not verdict
            self.keeper.reads = verdict.get("reads", False)
            try:
                return await read(self.keeper, record or self.record)
            finally:
                await self.keeper.store.close()

        return asyncio.run(look())


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_all_of_it_is_read(place: Place) -> None:
    manifest = orjson.loads(EXAMPLE.manifest)
    assert place.found() == Whole(len(manifest["items"]), sum(item["size"] for item in manifest["items"]))


ERASED = tombstone.erased(EXAMPLE.manifest, dataclasses.replace(WHY, order=Order(name="a/b", uid="u", by="ann")))
ENDED = {"startTime": LAST, "completionTime": LAST}


@pytest.mark.parametrize(
    ("erasure", "there", "whole"),
    [(ENDED, True, True), (ENDED, False, False), ({"startTime": LAST}, True, True), ({"startTime": LAST}, False, True)],
)
def test_one_that_was_erased_is_whole_with_the_record_of_that(
    place: Place, erasure: dict[str, str], there: bool, whole: bool
) -> None:
    if there:
        (place.top / "erasure.json").write_bytes(ERASED)
    status = {**place.record.status, "erasure": erasure}
    record = dataclasses.replace(place.record, raw=orjson.dumps({"spec": place.record.spec, "status": status}))
    found = place.found(record)
    assert isinstance(found, Whole if whole else Altered)
    assert whole or "erasure.json is not there, and it was erased" in found.text  # type: ignore[union-attr]


def spoiled(path: str) -> Callable[[Path], object]:
    return lambda top: (top / path).write_bytes((top / path).read_bytes()[:-1] + b"!")


DAMAGE = {
    "a byte": (spoiled("spec.json"), "spec.json: Altered"),
    "a byte of what is encrypted": (spoiled("memory.tar.age"), "memory.tar.age: Altered"),
    "longer": (lambda top: (top / "rights.jsonl").write_bytes(b"x" * 500), "rights.jsonl: OtherSize"),
    "gone": (lambda top: (top / "journal.jsonl").unlink(), "journal.jsonl: Missing"),
    "a link": (
        lambda top: ((top / "spec.json").unlink(), (top / "spec.json").symlink_to("/etc/hostname")),
        "spec.json",
    ),
    "the manifest": (spoiled("manifest.json"), "manifest.json: its digest is"),
    "no manifest": (lambda top: (top / "manifest.json").unlink(), "manifest.json: there is none"),
    "a large manifest": (lambda top: (top / "manifest.json").write_bytes(b" " * 2**26), "manifest.json"),
    "the certificate": (spoiled("certificate.json"), "certificate.json: its digest is"),
    "no certificate": (lambda top: (top / "certificate.json").unlink(), "certificate.json: there is none"),
    "the sums": (spoiled("sha256sums"), "sha256sums: Altered"),
    "a tombstone that was made by the book": (
        lambda top: (top / "tombstone.json").write_bytes(tombstone.purged(EXAMPLE.manifest, WHY)),
        "tombstone.json says that it was purged, and nobody has",
    ),
    "an erasure that nobody has ordered": (
        lambda top: (top / "erasure.json").write_bytes(ERASED),
        "erasure.json says that it was erased, and nobody has",
    ),
    "a tombstone": (lambda top: (top / "tombstone.json").write_bytes(b"{}"), "tombstone.json: NotTrue"),
}


@pytest.mark.parametrize(("damage", "words"), DAMAGE.values(), ids=DAMAGE.keys())
def test_damage_is_found_and_named(place: Place, damage: Callable[[Path], object], words: str) -> None:
    damage(place.top)
    found = place.found()
    assert isinstance(found, Altered)
    assert words in found.text
    assert "is not what was sealed" in found.text
    assert place.keeper.usable, "the store is all right"


def test_another_archive_in_its_place_is_found(place: Place) -> None:
    place.put(archives.archived({**archives.FILES, layout.SPEC: b"{}\n"}))
    found = place.found()
    assert isinstance(found, Altered)
    assert "manifest.json: its digest is" in found.text


def test_what_somebody_has_put_beside_it_is_no_damage(place: Place) -> None:
    (place.top / "note.txt").write_text("hello")
    assert isinstance(place.found(), Whole)


def test_a_store_that_is_away_says_nothing_of_the_archive(place: Place, tmp_path: Path) -> None:
    tmp_path.rename(tmp_path.with_name("aside"))
    found = place.found()
    assert isinstance(found, Unread)
    assert not place.keeper.usable
    assert "local" in found.text


def test_one_in_a_store_that_takes_nothing_any_more_is_read(place: Place) -> None:
    assert isinstance(place.found(reads=True), Whole)
    assert isinstance(place.found(reads=False), Unread)


def test_a_path_that_leads_elsewhere_is_not_read(place: Place) -> None:
    spec = {**place.record.spec, "path": "archives/../../etc"}
    found = place.found(replace(place.record, raw=orjson.dumps({"spec": spec, "status": {}})))
    assert isinstance(found, Altered)


# Those that there are ------------------------------------------------------------------------------------------------


def test_the_book_knows_the_newest_of_each_and_whose_they_are() -> None:
    heard: list[ArchiveRecord] = []
    book = ArchiveBook(heard.append)

    def observe(name: str, uid: str, version: int, *, answer: bool = False) -> None:
        body = archiverecords.record(name)
        body["metadata"] |= {"uid": uid, "resourceVersion": str(version), "creationTimestamp": LAST}
        book.observe(body, answer=answer)

    observe("b", "1", 5)
    observe("a", "2", 6)
    observe("b", "1", 4)
    assert [record.name for record in heard] == ["b", "a"]
    assert book.of("crm", "triage") == ["a", "b"]
    assert book.records["b"].version == 5
    book.forget("b", "other")
    assert book.of("crm", "triage") == ["a", "b"]
    assert book.own("b") is book.records["b"]
    book.namespaces = frozenset({"other"})
    assert book.own("b") is None, "another operator looks after it"
    book.forget("b", "1")
    assert book.of("crm", "triage") == ["a"]
    book.forget("a", "2")
    assert book.of("crm", "triage") == []
    observe("a", "2", 7, answer=True)
    assert not book.records, "an answer brings back none that went"
    assert book.of("crm", "nobody") == []
