"""A directory as archive store: what is there stays as it is, and nothing leads out of it."""

import asyncio
import hashlib
import os
import stat
import threading
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from aiagent_operator.runtime.archive import directory as module
from aiagent_operator.runtime.archive import walk
from aiagent_operator.runtime.archive.directory import DirectoryStore
from aiagent_operator.runtime.archive.errors import Kind, StoreError
from aiagent_operator.runtime.archive.store import Put
from support.archive import directory, listed, partials, streamed, whole


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[DirectoryStore]:
    found = directory(tmp_path)
    yield found
    await found.close()


async def test_what_is_created_is_read(store: DirectoryStore, tmp_path: Path) -> None:
    assert await store.create("journal/8f/1.json", b"{}") is Put.CREATED
    assert await store.read("journal/8f/1.json", 10) == b"{}"
    assert await whole(store, "journal/8f/1.json") == b"{}"
    assert await listed(store) == ["journal/8f/1.json"]
    assert stat.S_IMODE((tmp_path / "journal/8f/1.json").stat().st_mode) & 0o222 == 0, "nobody is meant to write to it"
    assert partials(tmp_path) == []


async def test_what_has_a_name_is_never_overwritten(store: DirectoryStore, tmp_path: Path) -> None:
    assert await store.create("a/b", b"first") is Put.CREATED
    assert await store.create("a/b", b"second") is Put.TAKEN
    assert await store.read("a/b", 10) == b"first"
    assert partials(tmp_path) == []


async def test_of_many_creates_at_once_one_wins_and_its_content_is_there(store: DirectoryStore) -> None:
    puts = await asyncio.gather(*(store.create("a/b/c", str(number).encode()) for number in range(50)))
    assert sorted(puts) == [Put.CREATED] + [Put.TAKEN] * 49
    assert await store.read("a/b/c", 10) == str(puts.index(Put.CREATED)).encode()


async def test_what_the_store_says_of_an_object(store: DirectoryStore) -> None:
    await store.create("a", b"12345")
    found = await store.stat("a")
    assert found is not None
    assert (found.name, found.size) == ("a", 5)
    assert abs(found.modified - datetime.now(UTC)) < timedelta(minutes=1)
    assert await store.stat("b") is None
    assert await store.stat("b/c") is None


async def test_an_object_that_is_larger_than_expected_is_not_read(store: DirectoryStore) -> None:
    await store.create("a", b"12345")
    assert await store.read("a", 5) == b"12345"
    with pytest.raises(StoreError, match="it has 5 bytes or more, and at most 4 are read") as caught:
        await store.read("a", 4)
    assert caught.value.kind is Kind.TOO_LARGE


async def test_an_object_that_is_not_there(store: DirectoryStore) -> None:
    with pytest.raises(StoreError, match="archive store local: a/b: there is none") as caught:
        await store.read("a/b", 4)
    assert caught.value.kind is Kind.MISSING
    with pytest.raises(StoreError, match="there is none"):
        await whole(store, "a/b")


async def test_a_purge_removes_and_may_be_repeated(store: DirectoryStore) -> None:
    await store.create("a/b", b"x")
    await store.delete("a/b")
    await store.delete("a/b")
    await store.delete("c/d")
    assert await listed(store) == []


async def test_a_store_that_is_read_only_is_not_written_to(tmp_path: Path) -> None:
    await directory(tmp_path).create("a", b"x")
    store = directory(tmp_path, readOnly=True)
    for work in (store.create("b", b""), store.delete("a"), store.upload("c", "d", streamed(b"x")), store.tidy()):
        with pytest.raises(StoreError, match="set readOnly: false to allow it") as caught:
            await work
        assert caught.value.kind is Kind.READ_ONLY
    assert await store.read("a", 1) == b"x"
    assert await listed(store) == ["a"]


def test_it_works_in_the_event_loop_of_the_operator(tmp_path: Path) -> None:
    async def work() -> None:
        store = directory(tmp_path)
        assert await store.create("a/b", b"first") is Put.CREATED
        assert await store.create("a/b", b"second") is Put.TAKEN
        found = await store.upload("archive", "blob", streamed(b"x" * 100))
        assert await whole(store, found.name) == b"x" * 100
        assert await listed(store) == ["a/b", found.name]
        await store.close()

    uvloop.run(work())


# Blobs ----------------------------------------------------------------------------------------------------------------


async def test_a_blob_has_a_name_that_nothing_else_has(store: DirectoryStore, tmp_path: Path) -> None:
    data = [b"x" * 1000, b"", b"y" * 2_000_000]
    first = await store.upload("archive/8f", "memory.tar", streamed(*data))
    second = await store.upload("archive/8f", "memory.tar", streamed(*data))
    assert first.name != second.name
    assert first.name.startswith("archive/8f/")
    assert first.name.endswith("/memory.tar")
    assert (first.size, first.sha256) == (2_001_000, hashlib.sha256(b"".join(data)).hexdigest())
    assert await whole(store, first.name) == b"".join(data)
    assert partials(tmp_path) == []


async def test_a_blob_without_bytes(store: DirectoryStore) -> None:
    found = await store.upload("archive", "empty", streamed())
    assert (found.size, await whole(store, found.name)) == (0, b"")


async def test_a_blob_is_not_seen_before_it_is_complete_nor_where_its_source_fails(
    store: DirectoryStore, tmp_path: Path
) -> None:
    seen: list[list[str]] = []

    async def source() -> AsyncIterator[bytes]:
        yield b"x" * (module.CHUNK + 1)
        seen.append(await listed(store))
        assert len(partials(tmp_path)) == 1
        raise ConnectionError("the pod is gone")

    with pytest.raises(ConnectionError, match="the pod is gone"):
        await store.upload("archive", "logs", source())
    assert seen == [[]]
    assert await listed(store) == []
    assert partials(tmp_path) == []


async def test_an_upload_that_is_cancelled_leaves_nothing(store: DirectoryStore, tmp_path: Path) -> None:
    under_way = asyncio.Event()

    async def source() -> AsyncIterator[bytes]:
        yield b"x" * (module.CHUNK + 1)
        under_way.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(store.upload("archive", "logs", source()))
    await under_way.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert partials(tmp_path) == []
    assert await listed(store) == []


async def test_a_reader_keeps_to_the_file_that_it_has_begun(
    store: DirectoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK", 4)
    await store.create("a", b"12345678")
    chunks = store.chunks("a")
    assert await anext(chunks) == b"1234"
    (tmp_path / "a").unlink()
    (tmp_path / "a").write_bytes(b"abcdefgh")
    assert [chunk async for chunk in chunks] == [b"5678"]


# What does not belong there -------------------------------------------------------------------------------------------


async def _refused(store: DirectoryStore, name: str) -> StoreError:
    with pytest.raises(StoreError) as caught:
        await store.read(name, 100)
    return caught.value


async def test_no_symbolic_link_is_followed(store: DirectoryStore, tmp_path: Path) -> None:
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.mkdir()
    (outside / "secret").write_text("canary")
    (tmp_path / "file").symlink_to(outside / "secret")
    (tmp_path / "folder").symlink_to(outside)
    await store.create("real", b"")
    for name in ("file", "folder/secret"):
        assert (await _refused(store, name)).kind is Kind.UNSAFE
        with pytest.raises(StoreError):
            await whole(store, name)
    assert await store.create("file", b"x") is Put.TAKEN
    with pytest.raises(StoreError) as caught:
        await store.create("folder/new", b"x")
    assert caught.value.kind is Kind.UNSAFE
    assert await listed(store) == ["real"]
    assert await listed(store, "folder") == []
    assert sorted(outside.iterdir()) == [outside / "secret"]
    assert (outside / "secret").read_text() == "canary"


async def test_a_directory_that_is_a_link_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(StoreError, match=r"link cannot be opened: .*: mount a volume there, no link") as caught:
        await directory(tmp_path / "link").create("a", b"")
    assert caught.value.kind is Kind.MISCONFIGURED


async def test_a_directory_that_is_not_there_is_said(tmp_path: Path) -> None:
    store = directory(tmp_path / "unmounted")
    for work in (store.create("a", b""), store.read("a", 1), store.stat("a"), listed(store), whole(store, "a")):
        with pytest.raises(StoreError, match=f"{tmp_path}/unmounted cannot be opened: No such file") as caught:
            await work
        assert caught.value.kind is Kind.MISCONFIGURED


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/passwd", ".partial/x", "a\0b", "", "a/"])
async def test_no_name_leads_out(store: DirectoryStore, name: str) -> None:
    for work in (
        store.create(name, b""),
        store.read(name, 1),
        store.stat(name),
        store.delete(name),
        whole(store, name),
        store.upload(name, "leaf", streamed()),
        store.upload("folder", name, streamed()),
    ):
        with pytest.raises(StoreError) as caught:
            await work
        assert caught.value.kind is Kind.INVALID_NAME


def _odd(path: Path) -> Iterator[str]:
    os.mkfifo(path / "fifo")
    yield "fifo"
    (path / "folder").mkdir()
    yield "folder"
    for name, mode in (("everyone", 0o646), ("setuid", 0o4644), ("setgid", 0o2644)):
        (path / name).write_text("x")
        (path / name).chmod(mode)
        yield name


async def test_files_of_other_kinds_and_modes_are_not_read(store: DirectoryStore, tmp_path: Path) -> None:
    for name in _odd(tmp_path):
        error = await _refused(store, name)
        assert (error.kind, name in str(error)) == (Kind.UNSAFE, True)


async def test_a_file_that_the_kubelet_gave_to_the_group_is_read(store: DirectoryStore, tmp_path: Path) -> None:
    await store.create("a", b"x")
    (tmp_path / "a").chmod(0o660)
    assert await store.read("a", 1) == b"x"


async def test_what_is_no_object_is_not_listed(store: DirectoryStore, tmp_path: Path) -> None:
    await store.create("a", b"")
    (tmp_path / "lost+found").mkdir()
    (tmp_path / ".snapshot").mkdir()
    (tmp_path / ".snapshot" / "a").write_text("")
    os.mkfifo(tmp_path / "fifo")
    assert await listed(store) == ["a"]


# Lists ----------------------------------------------------------------------------------------------------------------


async def test_lists_are_of_whole_parts_after_a_name_and_in_pages(
    store: DirectoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE", 3)
    names = [f"journal/8f/{number:03}" for number in range(7)]
    for name in (*names, "journal/8f0/000", "other"):
        await store.create(name, b"")
    assert [len(page) async for page in store.pages("journal/8f")] == [3, 3, 1]
    assert await listed(store, "journal/8f/") == names
    assert await listed(store, "journal/8f", names[3]) == names[4:]
    assert await listed(store, "journal/8") == []
    assert await listed(store, "", "journal/8f/006") == ["journal/8f0/000", "other"]


PARTS = st.text(alphabet="ab-.0=_", min_size=1, max_size=2).filter(lambda part: not part.startswith("."))
TREES = st.sets(st.lists(PARTS, min_size=1, max_size=3).map("/".join), max_size=12)


def _fits(names: set[str]) -> set[str]:
    """Without those whose folder is a file."""
    return {
        name for name in names if not any(other != name and name.startswith(f"{other}/") for other in names)
    }  # fmt: skip


@given(TREES, st.lists(PARTS, max_size=2).map("/".join), st.lists(PARTS, max_size=3).map("/".join), st.integers(1, 4))
def test_a_walk_gives_the_names_in_the_order_of_their_bytes(
    tmp_path_factory: pytest.TempPathFactory, names: set[str], prefix: str, after: str, window: int
) -> None:
    path = tmp_path_factory.mktemp("walk")
    files = _fits(names)
    for name in files:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).touch()
    wanted = sorted(name for name in files if name > after and (not prefix or name.startswith(f"{prefix}/")))
    top = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        assert list(walk.ordered(top, prefix, after, window)) == wanted
    finally:
        os.close(top)


# Power cuts and time --------------------------------------------------------------------------------------------------


async def test_everything_is_flushed_before_it_is_said_to_be_there(
    store: DirectoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Content before name, name before the answer: what a power cut leaves is all of a record or nothing."""
    calls: list[str] = []
    flush, link, mkdir = os.fsync, os.link, os.mkdir

    def path(fd: int) -> str:
        return "/".join(str(Path(f"/proc/self/fd/{fd}").readlink()).split("/")[-1:])

    def fsync(fd: int) -> None:
        calls.append(
            "flush content" if ".partial" in str(Path(f"/proc/self/fd/{fd}").readlink()) else f"flush {path(fd)}"
        )
        flush(fd)

    def linked(*args: object, **options: object) -> None:
        calls.append("name")
        link(*args, **options)  # type: ignore[arg-type]

    def made(name: str, mode: int, *, dir_fd: int) -> None:
        mkdir(name, mode, dir_fd=dir_fd)
        calls.append(f"make {name}")

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "link", linked)
    monkeypatch.setattr(os, "mkdir", made)
    root = Path(store._config.path).name
    await store.create("journal/8f/1", b"{}")
    folders = ["make journal", f"flush {root}", "make 8f", "flush journal"]
    assert calls == ["make .partial", f"flush {root}", "flush content", *folders, "name", "flush 8f"]
    calls.clear()
    await store.create("journal/8f/2", b"{}")
    assert calls == ["flush content", "name", "flush 8f"], "folders once"
    calls.clear()
    await directory(Path(store._config.path)).create("journal/8f/3", b"{}")
    folders = [f"flush {root}", "flush journal"]
    assert calls == [f"flush {root}", "flush content", *folders, "name", "flush 8f"], "also those that others have made"
    calls.clear()
    assert await store.create("journal/8f/1", b"{}") is Put.TAKEN
    assert calls[-2:] == ["name", "flush 8f"], "whoever reads it now may rely on it"


async def test_a_disk_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = directory(tmp_path, timeout="1s")
    released = threading.Event()
    monkeypatch.setattr(os, "fsync", lambda fd: released.wait(30))
    with pytest.raises(StoreError, match="the file system did not answer within 1 s") as caught:
        await store.create("a", b"x")
    assert caught.value.kind is Kind.TIMED_OUT
    released.set()
