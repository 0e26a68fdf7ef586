"""An inheritance in its volume: what was packed comes out as it was, and nothing comes to lie outside the folder."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from aiagent_operator.capture.tree import ROOT, SKIPPED, Tree
from aiagent_operator.capture.unpack import Unpacking, UnsafeError

MIB = 1024 * 1024
Build = Callable[[tarfile.TarFile], None]


def unpacked(folder: Path, data: bytes, *, limit: int = MIB) -> Unpacking:
    top = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        unpacking = Unpacking(top, ("bundle", ROOT, SKIPPED), limit=limit, hashed="bundle")
        with tarfile.open(fileobj=io.BytesIO(data), mode="r|") as tar:
            for _ in unpacking.members(tar):
                pass
        return unpacking
    finally:
        os.close(top)


def built(build: Build) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.PAX_FORMAT) as tar:
        add(tar, "memory", type=tarfile.DIRTYPE)
        build(tar)
    return data.getvalue()


def add(tar: tarfile.TarFile, name: str, content: bytes = b"", **fields: object) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    tar.addfile(info, io.BytesIO(content))


def test_what_was_packed_comes_out_as_it_was(tmp_path: Path) -> None:
    volume, there = tmp_path / "volume", tmp_path / "there"
    (volume / "deep" / "er").mkdir(parents=True)
    there.mkdir()
    (volume / "deep" / "er" / "fact").write_bytes(b"x" * 3000)
    (volume / "deep" / "er" / "fact").chmod(0o640)
    (volume / "empty").write_bytes(b"")
    os.link(volume / "empty", volume / "same")
    (volume / "link").symlink_to("deep/er/fact")
    (volume / ("long" * 60)).write_bytes(b"name")
    odd = os.fsdecode(b"odd-\xff")
    (volume / odd).write_bytes(b"name")
    with (volume / "holes").open("wb") as file:
        file.seek(8 * MIB)
        file.write(b"end")
    os.utime(volume / "empty", (1_000_000_000, 1_000_000_000))
    tree = Tree(str(volume))
    unpacking = unpacked(there, b"".join(tree.pieces()), limit=64 * 1024)
    memory = there / ROOT
    assert {path.relative_to(memory) for path in memory.rglob("*")} == {
        path.relative_to(volume) for path in volume.rglob("*")
    }
    assert (memory / "deep" / "er" / "fact").read_bytes() == b"x" * 3000
    assert (memory / "deep" / "er" / "fact").stat().st_mode & 0o777 == 0o640
    assert (memory / "link").readlink() == Path("deep/er/fact")
    assert (memory / "same").stat().st_ino == (memory / "empty").stat().st_ino
    assert (memory / "empty").stat().st_mtime == 1_000_000_000
    assert (memory / odd).read_bytes() == b"name"
    holes = memory / "holes"
    assert (holes.stat().st_size, holes.stat().st_blocks * 512 < MIB) == (8 * MIB + 3, True)
    assert holes.read_bytes()[-3:] == b"end"
    assert unpacking.files == tree.packed.files


def by_link(tar: tarfile.TarFile) -> None:
    add(tar, "memory/out", type=tarfile.SYMTYPE, linkname="deep")
    add(tar, "memory/out/file", b"x")


def twice(tar: tarfile.TarFile) -> None:
    add(tar, "memory/one", b"x")
    add(tar, "memory/one", b"y")


def linked_out(tar: tarfile.TarFile) -> None:
    add(tar, "memory/one", type=tarfile.LNKTYPE, linkname="../../../etc/passwd")


def linked_by_link(tar: tarfile.TarFile) -> None:
    add(tar, "memory/out", type=tarfile.SYMTYPE, linkname="deep")
    add(tar, "memory/one", type=tarfile.LNKTYPE, linkname="memory/out/x")


HOSTILE: dict[str, Build] = {
    "a name that leads up": lambda tar: add(tar, "memory/../../evil", b"x"),
    "an absolute name": lambda tar: add(tar, "/etc/evil", b"x"),
    "an empty part": lambda tar: add(tar, "memory//evil", b"x"),
    "the folder itself": lambda tar: add(tar, "memory/.", type=tarfile.DIRTYPE),
    "beside what is expected": lambda tar: add(tar, "evil", b"x"),
    "a link up": lambda tar: add(tar, "memory/up", type=tarfile.SYMTYPE, linkname="../evil"),
    "an absolute link": lambda tar: add(tar, "memory/up", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
    "a link in the bundle": lambda tar: add(tar, "bundle", type=tarfile.SYMTYPE, linkname="memory"),
    "a file through a link": by_link,
    "a hard link out": linked_out,
    "a hard link through a link": linked_by_link,
    "a name twice": twice,
    "a device": lambda tar: add(tar, "memory/null", type=tarfile.CHRTYPE, devmajor=1, devminor=3),
    "a pipe": lambda tar: add(tar, "memory/pipe", type=tarfile.FIFOTYPE),
    "more than it may have": lambda tar: add(tar, "memory/big", b"x" * (MIB + 1)),
    "folders without end": lambda tar: add(tar, "/".join(["memory", *["d"] * 300]), b"x"),
}


@pytest.mark.parametrize("attack", HOSTILE)
def test_what_no_program_of_ours_packs_is_refused(tmp_path: Path, attack: str) -> None:
    there = tmp_path / "volume" / "staging"
    (there / "x").mkdir(parents=True)
    (there / "x").rmdir()
    (tmp_path / "volume" / "deep").mkdir()
    with pytest.raises((UnsafeError, OSError)):
        unpacked(there, built(HOSTILE[attack]))
    outside = [path for path in tmp_path.rglob("*") if there not in path.parents and path != there]
    assert sorted(outside) == [tmp_path / "volume", tmp_path / "volume" / "deep"]
    assert not any(path.is_symlink() and path.readlink() != Path("deep") for path in there.rglob("*"))


def test_one_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    data = built(lambda tar: add(tar, "memory/one", b"x" * 5000))
    with pytest.raises((UnsafeError, tarfile.TarError)):
        unpacked(tmp_path, data[:2000])


def test_no_mode_of_a_file_gives_anybody_another_account(tmp_path: Path) -> None:
    unpacked(tmp_path, built(lambda tar: add(tar, "memory/run", b"x", mode=0o6755)))
    assert (tmp_path / "memory" / "run").stat().st_mode & 0o7777 == 0o755
