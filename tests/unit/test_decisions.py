"""The decision log of an agent that leaves: all of its own is copied and encrypted, and nothing of anybody else's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from aiagent_operator.api.archive import GapReason
from aiagent_operator.core.archive import index, layout, payload
from aiagent_operator.core.archive.layout import Layout
from aiagent_operator.core.objects import AgentIdentity
from aiagent_operator.runtime import archivekeys, decisions
from aiagent_operator.runtime.archive import captured
from aiagent_operator.runtime.archive.directory import DirectoryStore
from aiagent_operator.runtime.decisions import Decisions
from support.archive import directory, whole

AGENT = AgentIdentity("crm", "triage", "5b6a0b9c-0c0e-4f5e-9a51-6d1f6a7f2f10")
KEY = payload.new_identity()


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[DirectoryStore, DirectoryStore]:
    """Where it was written, and where it is archived; the archive's key is there already."""
    monkeypatch.setattr(archivekeys, "encryption", _key)
    for name in ("written", "archive"):
        (tmp_path / name).mkdir()
    return directory(tmp_path / "written"), directory(tmp_path / "archive")


async def _key(*_: Any) -> Any:
    return payload.encryption(KEY)


async def taken(
    log: tuple[DirectoryStore, DirectoryStore], files: Mapping[str, bytes]
) -> tuple[dict[str, bytes], list[Any]]:
    """What is archived of these files in the clear, and what is said to be missing."""
    source, store = log
    for name, data in files.items():
        await source.create(name, data)
    # Nothing but the key is asked of the API server, and that is given.
    reader = Decisions(None, "system", store, AGENT)  # type: ignore[arg-type]
    missed = await reader.take(source, 20)
    stored, gaps = await captured.noted(store, AGENT.uid)
    where, found = Layout(AGENT.uid, index.name(AGENT)), dict[str, bytes]()
    for item in stored:
        clear = bytearray()
        assert item.encrypted is not None
        payload.decrypt([await whole(store, where.key(item.path))], clear.extend, KEY, item.encrypted)
        found[layout.item(item.path)] = bytes(clear)
    return found, [*missed, *gaps]


async def test_all_of_its_own_is_copied(log: tuple[DirectoryStore, DirectoryStore]) -> None:
    files = {"decisions/crm/triage/2026/11/22.jsonl": b"refund 4711\n", "decisions/crm/triage/index": b"1"}
    found, missing = await taken(log, files)
    assert found == {"decisions/2026_2f11_2f22.jsonl": b"refund 4711\n", "decisions/index": b"1"}
    assert missing == []
    assert (await taken(log, {}))[0] == found, "who comes after a crash copies nothing twice"


async def test_nothing_of_anybody_elses_is(log: tuple[DirectoryStore, DirectoryStore], tmp_path: Path) -> None:
    others = ("decisions/crm/triage-2/a", "decisions/hr/triage/a", "archives/crm/triage/a", "journal/u/1.json")
    await taken(log, dict.fromkeys(others, b"secret"))
    own = tmp_path / "written" / "decisions" / "crm" / "triage"
    own.mkdir(mode=0o700)
    (own / "link").symlink_to(tmp_path / "written" / "decisions" / "hr" / "triage" / "a")
    (own / "folder").symlink_to(tmp_path / "written" / "journal", target_is_directory=True)
    found, _ = await taken(log, {})
    assert b"secret" not in found.values()
    assert found == {}


async def test_there_are_bounds_and_what_is_beyond_is_said(
    log: tuple[DirectoryStore, DirectoryStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decisions, "MOST", 2)
    found, (gap,) = await taken(log, {f"decisions/crm/triage/{name}": b"x" for name in "abc"})
    assert sorted(found) == ["decisions/a", "decisions/b"]
    assert (gap.path, gap.reason) == ("decisions.rest", GapReason.TOO_LARGE)
    assert gap.message.startswith("1 files beyond")


async def test_too_many_bytes_are_not_copied(
    log: tuple[DirectoryStore, DirectoryStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decisions, "MOST_BYTES", 3)
    found, (gap,) = await taken(log, {f"decisions/crm/triage/{name}": b"xx" for name in "abc"})
    assert sorted(found) == ["decisions/a"]
    assert gap.message.startswith("2 files beyond")


async def test_a_store_that_cannot_be_read_is_said(log: tuple[DirectoryStore, DirectoryStore], tmp_path: Path) -> None:
    (tmp_path / "written").rename(tmp_path / "away")
    found, (missed,) = await taken(log, {})
    assert found == {}
    assert (missed.path, missed.reason, missed.again) == ("decisions", GapReason.UNREACHABLE, True)


async def test_where_nothing_was_written_nothing_is_said(log: tuple[DirectoryStore, DirectoryStore]) -> None:
    assert await taken(log, {}) == ({}, [])
