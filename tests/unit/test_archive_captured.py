"""What was captured before an archive is sealed is found again, whoever noted it, and nothing else is taken for it."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagent_operator.api.archive import Encryption, Gap, GapReason
from aiagent_operator.core.archive import index, layout, manifest, noted, payload
from aiagent_operator.core.archive.errors import ArchiveError
from aiagent_operator.core.archive.layout import Kept, Layout
from aiagent_operator.core.archive.manifest import Stored
from aiagent_operator.core.objects import AgentIdentity
from aiagent_operator.runtime.archive import captured, personal
from aiagent_operator.runtime.archive.errors import DisputedError
from support.archive import directory, listed

UID = "5b6a0b9c-0c0e-4f5e-9a51-6d1f6a7f2f10"
ATTEMPT, OTHER = "0" * 32, "f" * 32
KEY = Encryption(algorithm=payload.ALGORITHM, key_id=payload.encryption(payload.new_identity()).key_id)


def log(attempt: str = ATTEMPT, data: bytes = b"secret", pod: str = "triage-1", container: str = "app") -> Stored:
    *folders, leaf = layout.encrypted(layout.log(pod, container)).split("/")
    path = "/".join((*folders, attempt, leaf))
    return Stored(path, hashlib.sha256(data).hexdigest(), len(data), personal=True, encrypted=KEY)


def gap(pod: str = "triage-1", container: str = "app") -> Gap:
    return manifest.gap(layout.log(pod, container), GapReason.UNREACHABLE, "node a does not answer")


NAMES = st.text(min_size=1, max_size=200)
DIGESTS = st.binary(max_size=3)


@given(NAMES, NAMES, DIGESTS)
def test_notes_say_what_was_noted(pod: str, container: str, data: bytes) -> None:
    for what in (log(data=data, pod=pod, container=container), gap(pod, container)):
        assert noted.read(noted.written(what), layout.captured(what.path)) == (what,)
    item, rest = log(data=data, pod=pod, container=container), manifest.gap("logs.rest", GapReason.TOO_LARGE, "more")
    assert noted.read(noted.written(item, rest), layout.captured(item.path)) == (item, rest)


def test_all_that_is_said_of_one_item_has_one_place() -> None:
    assert layout.captured(log().path) == layout.captured(log(OTHER).path) == layout.captured(gap().path)
    assert layout.captured(log().path) != layout.captured(log(container="init").path)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b'{"gap": {"path": "logs/other/app.log", "reason": "Unreachable", "message": "x"}}',
        b'{"item": {"path": "spec.json", "digest": "sha256:0", "size": 1, "mediaType": "a/b"}}',
    ],
)
def test_what_is_no_note_of_the_item_is_refused(data: bytes) -> None:
    with pytest.raises(ArchiveError, match="captured/"):
        noted.read(data, layout.captured(log().path))


async def test_the_first_note_holds(tmp_path: Path) -> None:
    store = directory(tmp_path)
    assert await captured.noted(store, UID) == ((), ())
    await captured.note(store, UID, log())
    await captured.note(store, UID, log(OTHER))
    await captured.note(store, UID, gap())
    await captured.note(store, UID, gap(container="init"))
    assert await captured.noted(store, UID) == ((log(),), (gap(container="init"),))
    assert await captured.noted(store, "another") == ((), ())


async def test_what_is_missing_of_an_item_is_noted_with_that_very_attempt_at_it(tmp_path: Path) -> None:
    """An operator may be killed between any two requests, and the next attempt may miss nothing."""
    store = directory(tmp_path)
    rest = manifest.gap("memory", GapReason.CHANGED_MEANWHILE, "3 changed while they were read")
    memory, again = (replace(log(attempt), path=f"{attempt}/memory.tar.age") for attempt in (ATTEMPT, OTHER))
    await captured.note(store, UID, memory, rest)
    await captured.note(store, UID, again)
    assert await captured.noted(store, UID) == ((memory,), (rest,))
    assert len(await listed(store)) == 1


async def test_a_note_of_somebody_elses_is_named(tmp_path: Path) -> None:
    store = directory(tmp_path)
    name = Kept(UID).key(layout.captured(log().path))
    await store.create(name, b"x" * (noted.LIMIT + 1))
    with pytest.raises(DisputedError, match=name):
        await captured.noted(store, UID)


async def test_only_what_is_still_there_is_sealed(tmp_path: Path) -> None:
    store, where = directory(tmp_path), Layout(UID, "crm.triage.0000")
    whole, short, gone = log(), log(container="short"), log(container="gone")
    for each in (whole, short, gone):
        await captured.note(store, UID, each)
    await store.create(where.key(whole.path), b"secret")
    await store.create(where.key(short.path), b"s")
    stored, gaps = await captured.sealable(store, where)
    assert stored == (whole,)
    assert {(each.path, each.reason) for each in gaps} == {
        (layout.log("triage-1", "short"), GapReason.NOT_FOUND),
        (layout.log("triage-1", "gone"), GapReason.NOT_FOUND),
    }
    assert "1 bytes" in next(each.message for each in gaps if "short" in each.path)


async def test_a_small_file_is_stored_encrypted_under_a_name_of_its_own_and_found_by_its_digest(tmp_path: Path) -> None:
    store, agent, identity = directory(tmp_path), AgentIdentity("crm", "triage", UID), payload.new_identity()
    how = payload.encryption(identity)
    first, second = [await personal.put(store, agent, layout.handbook("book"), b"Answer Ada", how) for _ in range(2)]
    assert first.path != second.path, "no attempt takes another one's for its own"
    assert layout.item(first.path) == layout.item(second.path) == layout.handbook("book")
    assert (first.personal, first.encrypted) == (True, how)
    for each in (first, second):
        data = await store.read(Layout(UID, index.name(agent)).key(each.path), 10_000)
        assert (each.digest, each.size) == (hashlib.sha256(data).hexdigest(), len(data))
        assert b"Ada" not in data
        clear = bytearray()
        payload.decrypt((data,), clear.extend, identity, how)
        assert clear == b"Answer Ada"


async def test_what_somebody_else_has_put_in_its_place_is_not_taken_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, agent = directory(tmp_path), AgentIdentity("crm", "triage", UID)
    monkeypatch.setattr(personal, "blob_name", lambda _, folder, leaf: f"{folder}/{ATTEMPT}/{leaf}")
    folder = Layout(UID, index.name(agent)).key("handbook")
    await store.create(f"{folder}/{ATTEMPT}/book.json.age", b"planted")
    with pytest.raises(DisputedError, match="find out who wrote it"):
        await personal.put(store, agent, layout.handbook("book"), b"Answer Ada", KEY)
