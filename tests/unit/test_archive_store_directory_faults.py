"""A directory as archive store while disks fill up, writers are killed or race, and bits flip."""

import asyncio
import errno
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aiagent_operator.runtime.archive.errors import Kind, StoreError
from aiagent_operator.runtime.archive.store import Put
from support.archive import WRITER, directory, listed, partials, streamed, whole


def _python(*arguments: str) -> str:
    paths = os.pathsep.join(path for path in sys.path if path)
    command = [sys.executable, *arguments]
    env = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_writer_that_is_killed_at_any_step_leaves_all_or_nothing(tmp_path: Path) -> None:
    steps = [json.loads(line) for line in _python("-m", "support.archivecrash", str(tmp_path)).splitlines()]
    assert {"open", "dup", "write", "fsync", "link", "mkdir", "unlink"} <= {step["call"] for step in steps}
    assert steps[-1]["call"] is None
    for step in steps:
        assert bool(step["listed"]) == step["whole"], "what is listed is all there"
        assert step["again"] == ("Taken" if step["listed"] else "Created"), step
        assert step["after"], "and then it is there, and nothing else"
    named = [bool(step["listed"]) for step in steps]
    assert named == sorted(named), "from one step on it is there"
    left = [step["left"] for step in steps]
    assert {0, 1} == set(left), "what a killed writer leaves is not listed, and goes"


async def test_what_a_living_writer_has_is_not_swept(tmp_path: Path) -> None:
    store = directory(tmp_path)

    async def source() -> Any:
        yield b"x" * 9_000_000
        assert await store.tidy(older=0) == 0
        yield b"y"

    found = await store.upload("archive", "blob", source())
    assert found.size == 9_000_001
    assert await store.tidy(older=0) == 0
    (tmp_path / ".partial" / "left").write_text("by a writer that is gone")
    assert await store.tidy() == 0, "it may be of this moment"
    os.utime(tmp_path / ".partial" / "left", (0, 0))
    assert await store.tidy() == 1
    assert await listed(store) == [found.name]


RACE = (
    WRITER
    + """
async def main(folder, mark):
    store = directory(folder)
    won = []
    for number in range(200):
        if await store.create(f"journal/8f/{number}", f"{mark} {number}".encode()) is Put.CREATED:
            won.append(number)
    print(won)

from pathlib import Path
asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
"""
)


async def test_of_two_processes_one_wins_each_name(tmp_path: Path) -> None:
    outs = await asyncio.gather(*(asyncio.to_thread(_python, "-c", RACE, str(tmp_path), mark) for mark in "ab"))
    won = {mark: json.loads(out) for mark, out in zip("ab", outs, strict=True)}
    assert sorted(won["a"] + won["b"]) == list(range(200)), "each by one, none by both"
    store = directory(tmp_path)
    for mark, numbers in won.items():
        for number in numbers:
            assert await store.read(f"journal/8f/{number}", 100) == f"{mark} {number}".encode()


LIMITED = (
    WRITER
    + """
import resource
from pathlib import Path
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))

async def main(store):
    assert await store.create("small", b"x" * 1000) is Put.CREATED
    for work in (store.create("large", b"x" * 2_000_000), store.upload("blobs", "large", streamed(b"x" * 2_000_000))):
        try:
            await work
        except Exception as error:
            print(error)

asyncio.run(main(directory(Path(sys.argv[1]))))
"""
)


async def test_a_file_that_may_not_grow_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    first, second = _python("-c", LIMITED, str(tmp_path)).splitlines()
    assert first.startswith("archive store local: large: a file may not be so large")
    assert "/large: a file may not be so large" in second
    store = directory(tmp_path)
    assert await listed(store) == ["small"]
    assert partials(tmp_path) == []


FAULTS = [
    (errno.ENOSPC, Kind.FULL, "no space is left: enlarge the volume"),
    (errno.EDQUOT, Kind.FULL, "the quota is used up"),
    (errno.EROFS, Kind.DENIED, "the file system is read-only"),
    (errno.EIO, Kind.UNREACHABLE, "Input/output error: see whether the volume is mounted"),
    (errno.EMFILE, Kind.THROTTLED, "too many files open"),
]


@pytest.mark.parametrize("call", ["write", "fsync", "link"])
@pytest.mark.parametrize(("number", "kind", "text"), FAULTS)
async def test_a_disk_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int, kind: Kind, text: str
) -> None:
    store = directory(tmp_path)
    await store.create("before", b"x")

    def fails(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as broken:
        broken.setattr(os, call, fails)
        for work in (store.create("a", b"x"), store.upload("b", "c", streamed(b"x"))):
            with pytest.raises(StoreError) as caught:
                await work
            assert caught.value.kind is kind
            assert text in str(caught.value)
    assert await listed(store) == ["before"]
    assert partials(tmp_path) == []
    assert await store.create("a", b"x") is Put.CREATED, "and after that it works again"


async def test_a_name_that_could_not_be_flushed_is_flushed_by_the_next_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is there, and a power cut may still take it: the first try fails, the second answers for it."""
    store = directory(tmp_path)
    await store.create("folder/before", b"")
    flush = os.fsync
    linked: list[object] = []
    link = os.link

    def links(*args: Any, **options: Any) -> None:
        link(*args, **options)
        linked.append(args)

    def fails(fd: int) -> None:
        if linked:
            raise OSError(errno.EIO, "Input/output error")
        flush(fd)

    with monkeypatch.context() as broken:
        broken.setattr(os, "link", links)
        broken.setattr(os, "fsync", fails)
        with pytest.raises(StoreError, match="Input/output error"):
            await store.create("folder/a", b"x")
    assert await store.create("folder/a", b"x") is Put.TAKEN
    assert await store.read("folder/a", 1) == b"x"


DENIED = (
    WRITER
    + """
import os
from pathlib import Path

async def main(store):
    for work in (store.create("new", b"x"), store.create("there/new", b"x"), store.read("there/closed", 1)):
        try:
            await work
        except Exception as error:
            print(error)
    print((await store.read("there/open", 1)).decode())

if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
asyncio.run(main(directory(Path(sys.argv[1]))))
"""
)


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A folder that every user can reach, unlike pytest's own."""
    with tempfile.TemporaryDirectory(prefix="aiagent-archive-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


async def test_no_permission_is_said(reachable: Path) -> None:
    store = directory(reachable)
    for name in ("there/closed", "there/open"):
        await store.create(name, b"x")
    for name, mode in (("there/closed", 0), ("there/open", 0o444), ("there", 0o555), (".partial", 0o555)):
        (reachable / name).chmod(mode)
    *errors, content = _python("-c", DENIED, str(reachable)).splitlines()
    (reachable / "there").chmod(0o755)
    (reachable / ".partial").chmod(0o755)
    assert len(errors) == 3
    for error in errors:
        assert "access is denied: let the operator's user write there" in error
    assert content == "x"


async def test_a_flipped_bit_is_seen_by_the_digest(tmp_path: Path) -> None:
    store = directory(tmp_path)
    found = await store.upload("archive", "blob", streamed(b"x" * 100_000))
    path = tmp_path / found.name
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.seek(77_777)
        file.write(b"y")
    assert hashlib.sha256(await whole(store, found.name)).hexdigest() != found.sha256
