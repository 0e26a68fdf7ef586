"""The proof of an archive store: from a real directory, and from stores that break one promise each."""

import os
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from aiagent_operator.runtime.archive import retention
from aiagent_operator.runtime.archive.directory import DirectoryStore
from aiagent_operator.runtime.archive.errors import Kind, StoreError
from aiagent_operator.runtime.archive.proof import Seen, prove
from aiagent_operator.runtime.archive.store import Put, Stat
from aiagent_operator.runtime.archive.verdict import Lock, Mode
from support.archive import directory, directory_config, listed, partials

LOCK = Lock("COMPLIANCE", datetime(2027, 1, 1, tzinfo=UTC))


async def test_a_directory_is_proved_and_keeps_one_object_a_day(tmp_path: Path) -> None:
    store = directory(tmp_path)
    await store.create("archive/before", b"")
    left = tmp_path / ".partial" / "left"
    left.write_text("by a writer that was killed")
    os.utime(left, (0, 0))
    first = await prove(store)
    assert partials(tmp_path) == []
    await store.delete("archive/before")
    assert (first.mode, first.reason, first.warnings) == (Mode.READY, "Ready", ())
    assert first.skew is not None
    assert abs(first.skew) <= timedelta(seconds=1)
    assert first.message == (
        "archive store local: creates are conditional, and what is written is read and listed at once; no lock is seen"
    )
    kept = await listed(store)
    assert kept == [f"proof/{first.at:%Y-%m-%d}.json"]
    content = (tmp_path / kept[0]).read_bytes()
    second = await prove(store)
    assert (second.mode, second.skew) == (Mode.READY, None)
    assert await listed(store) == kept
    assert (tmp_path / kept[0]).read_bytes() == content
    tomorrow = await prove(store, now=lambda: datetime.now(UTC) + timedelta(days=1))
    assert tomorrow.mode is Mode.READY
    assert len(await listed(store)) == 2


async def test_a_clock_that_is_off_is_noticed(tmp_path: Path) -> None:
    found = await prove(directory(tmp_path), now=lambda: datetime.now(UTC) - timedelta(hours=1))
    assert found.mode is Mode.READY
    assert found.skew == timedelta(hours=1)
    assert found.warnings == (
        "archive store local: its clock is 3600 s ahead of the operator's: set the one that is wrong",
    )

    async def look(name: str) -> Seen:
        return Seen(datetime.now(UTC) - timedelta(minutes=3), versioned=True, lock=LOCK)

    found = await prove(directory(tmp_path), look=look)
    assert (found.versioned, found.lock) == (True, LOCK)
    assert "180 s behind the operator's" in found.warnings[0]
    assert found.message.endswith("new objects are locked (COMPLIANCE) until 2027-01-01T00:00:00Z")


async def test_a_store_that_is_read_only_by_its_configuration(tmp_path: Path) -> None:
    found = await prove(directory(tmp_path, readOnly=True))
    assert (found.mode, found.reason) == (Mode.READ_ONLY, "ReadOnly")
    assert found.message == (
        "archive store local: readOnly is true: set it to false to write. What is stored can be read"
    )
    assert await listed(directory(tmp_path)) == []


async def test_a_store_that_cannot_be_read_either_is_unusable(tmp_path: Path) -> None:
    for fields in ({}, {"readOnly": True}):
        found = await prove(directory(tmp_path / "gone", **fields))
        assert (found.mode, found.reason) == (Mode.UNUSABLE, "Misconfigured")
        assert f"{tmp_path}/gone cannot be opened" in found.message


class Faulty(DirectoryStore):
    """A directory that breaks one promise."""

    def __init__(self, path: Path) -> None:
        super().__init__(directory_config(path))
        self.path = path


class Overwriting(Faulty):
    """As an S3-compatible store that ignores If-None-Match."""

    async def create(self, name: str, data: bytes) -> Put:
        await self.delete(name)
        return await super().create(name, data)


class Lying(Faulty):
    """Says that a name is taken, and overwrites it."""

    async def create(self, name: str, data: bytes) -> Put:
        taken = await self.stat(name) is not None
        await self.delete(name)
        await super().create(name, data)
        return Put.TAKEN if taken else Put.CREATED


class Losing(Faulty):
    """Answers for other bytes than it keeps."""

    async def create(self, name: str, data: bytes) -> Put:
        return await super().create(name, b"{}")


class Forgetful(Faulty):
    """Lists what was there some time ago."""

    async def pages(self, prefix: str = "", after: str = "") -> AsyncIterator[list[str]]:
        for page in ([], [f"{prefix}/2020-01-01.json"]):
            yield page


@pytest.mark.parametrize(
    ("kind", "reason", "text"),
    [
        (Overwriting, "NotConditional", "two creates of proof/"),
        (Lying, "NotConditional", "was refused, and has overwritten what was there"),
        (Losing, "NotReadBack", "was read right after it was written, and is not what was written"),
        (Forgetful, "NotListed", "is not in a list right after it was written"),
    ],
)
async def test_a_store_that_breaks_a_promise_is_found_out(
    tmp_path: Path, kind: type[Faulty], reason: str, text: str
) -> None:
    found = await prove(kind(tmp_path))
    assert (found.mode, found.reason) == (Mode.UNUSABLE, reason)
    assert text in found.message
    assert found.message.endswith("use a store that keeps this promise (docs/archive-store.md)")


async def test_a_store_that_lies_is_found_out_by_a_later_proof_of_the_day_too(tmp_path: Path) -> None:
    assert (await prove(directory(tmp_path))).mode is Mode.READY
    for kind in (Overwriting, Lying):
        assert (await prove(kind(tmp_path))).reason == "NotConditional"


class Refusing(Faulty):
    """Takes no writes, for one reason or another."""

    kind = Kind.DENIED

    async def create(self, name: str, data: bytes) -> Put:
        raise StoreError(self.kind, self.name, name, "the store answers 403", "see whether the credentials allow it")


@pytest.mark.parametrize("kind", Kind)
async def test_where_only_writes_are_refused_it_can_still_be_read(tmp_path: Path, kind: Kind) -> None:
    store = Refusing(tmp_path)
    store.kind = kind
    found = await prove(store)
    assert "the store answers 403: see whether the credentials allow it" in found.message
    if kind in (Kind.DENIED, Kind.FULL, Kind.READ_ONLY):
        assert (found.mode, found.reason) == (Mode.READ_ONLY, "ReadOnly")
    else:
        assert (found.mode, found.reason) == (Mode.UNUSABLE, kind.value)


class Closed(Refusing):
    """Takes nothing."""

    async def stat(self, name: str) -> Stat | None:
        raise StoreError(Kind.DENIED, self.name, name, "reading is denied", "see whether the credentials allow it")


async def test_where_reads_are_refused_too_it_is_unusable(tmp_path: Path) -> None:
    found = await prove(Closed(tmp_path))
    assert (found.mode, found.reason) == (Mode.UNUSABLE, "Denied")
    assert "reading is denied" in found.message


HEADERS = {
    "Date": "Sun, 22 Nov 2026 09:00:00 GMT",
    "x-amz-version-id": "01KX",
    "x-amz-object-lock-mode": "GOVERNANCE",
    "x-amz-object-lock-retain-until-date": "2026-11-23T09:00:00Z",
}


def _seen(**changes: str | None) -> Seen:
    headers = {name: value for name, value in (HEADERS | changes).items() if value is not None}
    return retention.read(CIMultiDictProxy(CIMultiDict(headers)))


def test_what_headers_say() -> None:
    nine = datetime(2026, 11, 22, 9, tzinfo=UTC)
    whole = Seen(nine, versioned=True, lock=Lock("GOVERNANCE", nine + timedelta(days=1)))
    assert _seen() == whole
    assert _seen(**{"x-amz-version-id": "null"}) == replace(whole, versioned=False)
    assert _seen(**{"x-amz-version-id": None}) == replace(whole, versioned=None)
    for wrong in (None, "", "tomorrow", "2026-11-23", "2026-11-23T09:00:00"):
        assert _seen(**{"x-amz-object-lock-retain-until-date": wrong}) == replace(whole, lock=None)
    for wrong in (None, "", "now", "99 Foo 2026"):
        assert _seen(Date=wrong) == replace(whole, date=None)
    mode = _seen(**{"x-amz-object-lock-mode": "\x1b[31m" + "x" * 100}).lock
    assert mode is not None
    assert mode.mode.isprintable()
    assert len(mode.mode) == 40
