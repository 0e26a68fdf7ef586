"""Archives at the end of their retention: when they may be purged, and what is left then."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aiagent_operator.api.holds import HoldEntry
from aiagent_operator.core.archive import layout, purging, retention, tombstone, verify, wire
from aiagent_operator.core.archive.layout import Layout
from aiagent_operator.core.archive.retention import Claim
from aiagent_operator.core.archive.tombstone import Destruction
from aiagent_operator.core.policies.compiled import CompiledPolicy
from aiagent_operator.runtime.archive.directory import DirectoryStore
from aiagent_operator.runtime.archive.errors import DisputedError, Kind, StoreError
from aiagent_operator.runtime.archive.purging import clear, purge
from aiagent_operator.runtime.archive.store import Put
from support import archiverecords, archives
from support.archive import directory

SPEC: dict[str, Any] = archiverecords.record("a")["spec"]
UNTIL = datetime.fromisoformat(SPEC["retention"]["until"])
SEALED = datetime.fromisoformat(SPEC["created"])
ROLE = SPEC["agent"]["role"]
HOLD = HoldEntry(
    uid="u", namespace="legal", order="keep", by="ann", since=SEALED, ground="LegalClaims", reason="A case"
)  # fmt: skip


def policy(hours: int | None = None, **selector: Any) -> CompiledPolicy:
    archive = {"archive": {"retention": f"{hours}h"}} if hours is not None else {}
    return CompiledPolicy.of("p", {"description": "-", "selector": selector, **archive})


def at(*policies: CompiledPolicy, labels: dict[str, str] | None = None, **status: Any) -> datetime | None:
    found = purging.decide(SPEC, status, (), policies, labels)
    assert found is not None
    return found.at


# When ----------------------------------------------------------------------------------------------------------------


def test_it_is_purged_when_its_retention_is_over() -> None:
    assert at() == UNTIL


def test_a_hold_keeps_it_whatever_its_retention_says() -> None:
    found = purging.decide(SPEC, {}, (HOLD,), (), None)
    assert found is not None
    assert found.at is None


def test_its_role_may_keep_it_longer_and_keeps_it_where_it_cannot_be_read() -> None:
    later = UNTIL - SEALED + timedelta(hours=1)
    found = purging.decide(SPEC, {}, (), (), None, role=[Claim('AgentRole "support"', later)])
    assert found is not None
    assert (found.at, found.retention.sources) == (UNTIL + timedelta(hours=1), ('AgentRole "support"',))
    unread = purging.decide(SPEC, {}, (), (), None, role=None)
    assert unread is not None
    assert unread.at is None


@given(st.lists(st.integers(1, 87_600)))
def test_rules_of_today_may_keep_it_longer_and_never_shorter(hours: list[int]) -> None:
    until = at(*(policy(each) for each in hours))
    assert until == max([UNTIL, *(SEALED + timedelta(hours=each) for each in hours)])


LONG = 87_600
LATER = SEALED + timedelta(hours=LONG)
PROD = {"namespaceSelector": {"matchLabels": {"env": "prod"}}}


@pytest.mark.parametrize(
    ("selector", "labels", "until"),
    [
        ({"roles": [ROLE]}, None, LATER),
        ({"roles": ["other"]}, None, UNTIL),
        ({"agentSelector": {"matchLabels": {"team": "a"}}}, None, LATER),
        (PROD, None, LATER),
        (PROD, {"env": "prod"}, LATER),
        (PROD, {"env": "dev"}, UNTIL),
    ],
)
def test_a_rule_counts_where_it_may_have_been_about_the_agent(
    selector: dict[str, Any], labels: dict[str, str] | None, until: datetime
) -> None:
    assert at(policy(LONG, **selector), labels=labels) == until


def test_a_rule_that_cannot_be_read_keeps_what_it_may_be_about() -> None:
    unreadable = CompiledPolicy.of("p", {"description": "-", "selector": {}, "archive": {"retention": "for ever"}})
    assert unreadable.problem
    assert at(unreadable) is None
    assert (
        at(
            CompiledPolicy.of(
                "p", {"description": "-", "selector": {"roles": ["other"]}, "archive": {"retention": "for ever"}}
            )
        )
        == UNTIL
    )


def test_what_was_begun_is_brought_to_its_end_and_what_is_over_is_over() -> None:
    begun = {"startTime": "2033-01-01T00:00:00Z"}
    assert at(policy(LONG), purge=begun) == datetime(2033, 1, 1, tzinfo=UTC)
    found = purging.decide(SPEC, {"purge": begun}, (HOLD,), (), None)
    assert found is not None
    assert found.at == datetime(2033, 1, 1, tzinfo=UTC)
    assert at(purge={"startTime": "2032-11-20T09:59:59Z"}) is None, "before the retention that was sealed had ended"
    assert purging.decide(SPEC, {"purge": begun | {"completionTime": "2033-01-01T00:00:01Z"}}, (), (), None) is None


# What is left --------------------------------------------------------------------------------------------------------

EXAMPLE = archives.example()
WHERE = Layout(archives.UID, archives.ARCHIVE)
DIGEST = wire.digest(EXAMPLE.manifest)
WHY = Destruction(UNTIL, purging.REASON, retention.decide(archives.CLAIMS, archives.SEALED))
LEFT = {layout.MANIFEST, layout.CERTIFICATE, layout.TOMBSTONE}


def put(top: Path) -> None:
    """The archive, what an attempt has left beside it, and an archive of another agent."""
    stray = f"logs/p/{'0' * 32}/app.log.age"
    for path, data in {**EXAMPLE.files, stray: b"a copy"}.items():
        for prefix in (WHERE.prefix, "archives/other/one"):
            (top / prefix / path).parent.mkdir(parents=True, exist_ok=True)
            (top / prefix / path).write_bytes(data)


def files(top: Path) -> dict[str, bytes]:
    found = (path for path in top.rglob("*") if path.is_file() and ".partial" not in path.parts)
    return {str(path.relative_to(top)): path.read_bytes() for path in found}


def left(top: Path) -> dict[str, bytes]:
    prefix = f"{WHERE.prefix}/"
    return {path.removeprefix(prefix): data for path, data in files(top).items() if path.startswith(prefix)}


async def test_all_is_removed_but_what_says_that_it_was_there(tmp_path: Path) -> None:
    put(tmp_path)
    await purge(directory(tmp_path), WHERE, DIGEST, WHY)
    found = left(tmp_path)
    assert found.keys() == LEFT
    report = verify.verify(EXAMPLE.manifest, [(path, [data]) for path, data in found.items()], keys=archives.KEYS)
    assert report.purged is not None
    assert report.purged.retention == WHY.retention.record()
    assert report.findings == ()
    assert len(report.purged.items) == archiverecords.spec().manifest.items
    others = [path for path in files(tmp_path) if path.startswith("archives/other/one/")]
    assert len(others) == len(EXAMPLE.files) + 1


class Cut:
    """A store that is cut off at some operation."""

    def __init__(self, store: DirectoryStore, at: int) -> None:
        self._store, self._left = store, at
        self.name, self.pages = store.name, store.pages

    def _cut(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise StoreError(Kind.UNREACHABLE, self.name, "", "no answer", "try again")

    async def create(self, name: str, data: bytes) -> Put:
        self._cut()
        return await self._store.create(name, data)

    async def read(self, name: str, most: int) -> bytes:
        self._cut()
        return await self._store.read(name, most)

    async def delete(self, name: str) -> None:
        self._cut()
        await self._store.delete(name)


class Slow(Cut):
    """A store whose deletions take a while, but for the last ones, which fail at once."""

    def __init__(self, store: DirectoryStore, at: int) -> None:
        super().__init__(store, at)
        self.under_way = 0

    async def delete(self, name: str) -> None:
        self._cut()
        self.under_way += 1
        await asyncio.sleep(0.01)
        await self._store.delete(name)
        self.under_way -= 1


async def test_where_a_deletion_fails_the_others_have_ended_before_that_is_said(tmp_path: Path) -> None:
    put(tmp_path)
    store = Slow(directory(tmp_path), 2)
    with pytest.raises(StoreError):
        await clear(store, WHERE.prefix)  # type: ignore[arg-type]
    assert store.under_way == 0


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 12), max_size=3))
async def test_cut_off_anywhere_the_next_one_ends_it(tmp_path_factory: pytest.TempPathFactory, cuts: list[int]) -> None:
    top = tmp_path_factory.mktemp("purge")
    put(top)
    store = directory(top)
    for number, cut in enumerate(cuts):
        later = Destruction(UNTIL + timedelta(days=number), purging.REASON, WHY.retention)
        before = left(top)
        with contextlib.suppress(StoreError):
            await purge(Cut(store, cut), WHERE, DIGEST, later)  # type: ignore[arg-type]
        # Nothing is gone before it is written that it goes.
        assert layout.TOMBSTONE in left(top) or left(top) == before
    await purge(store, WHERE, DIGEST, WHY)
    assert left(top).keys() == LEFT
    await store.close()


async def test_nothing_is_removed_where_the_manifest_is_anothers(tmp_path: Path) -> None:
    put(tmp_path)
    (tmp_path / WHERE.prefix / layout.MANIFEST).write_bytes(archives.archived().manifest)
    before = files(tmp_path)
    with pytest.raises(DisputedError, match="restore it from a copy"):
        await purge(directory(tmp_path), WHERE, DIGEST, WHY)
    assert files(tmp_path) == before


@pytest.mark.parametrize("planted", [b"{}\n", tombstone.purged(archives.archived().manifest, WHY)])
async def test_nothing_is_removed_where_somebody_has_put_another_tombstone(tmp_path: Path, planted: bytes) -> None:
    put(tmp_path)
    (tmp_path / WHERE.prefix / layout.TOMBSTONE).write_bytes(planted)
    before = files(tmp_path)
    with pytest.raises(DisputedError, match=r"tombstone\.json"):
        await purge(directory(tmp_path), WHERE, DIGEST, WHY)
    assert files(tmp_path) == before


async def test_a_folder_is_cleared_whole_and_its_neighbours_are_not(tmp_path: Path) -> None:
    for path in ("journal/u/1.json", "journal/u/2.json", "journal/u2/1.json", "records/u/revisions/1.json"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(b"{}")
    await clear(directory(tmp_path), "journal/u")
    assert files(tmp_path).keys() == {"journal/u2/1.json", "records/u/revisions/1.json"}
    await clear(directory(tmp_path), "journal/u")
