"""A volume as a tar: all of what it has, nothing of what is outside it, whatever its names and files are."""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import tarfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiagent_operator.capture import tree as trees
from aiagent_operator.capture.tree import ROOT, SKIPPED, Tree, Why

MIB = 1024 * 1024


def packed(path: Path) -> tuple[Tree, bytes]:
    tree = Tree(str(path))
    return tree, b"".join(tree.pieces())


def members(data: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {member.name: member for member in tar.getmembers()}


def content(data: bytes, name: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        file = tar.extractfile(f"{ROOT}/{name}")
        assert file is not None
        return file.read()


def said(data: bytes) -> list[dict[str, str]]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        file = tar.extractfile(SKIPPED)
        assert file is not None
        return [json.loads(line) for line in file]


def test_folders_and_files_are_packed_in_order(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "deep").mkdir()
    (tmp_path / "b" / "deep" / "fact.txt").write_bytes(b"x" * 1000)
    (tmp_path / "a").write_bytes(b"")
    (tmp_path / "c").write_bytes(b"y" * 512)
    (tmp_path / "c").chmod(0o640)
    tree, data = packed(tmp_path)
    found = members(data)
    assert list(found) == [f"{ROOT}{name}" for name in ("", "/a", "/b", "/b/deep", "/b/deep/fact.txt", "/c")]
    assert content(data, "b/deep/fact.txt") == b"x" * 1000
    assert found[f"{ROOT}/c"].mode == 0o640
    assert (tree.packed.files, tree.packed.size, tree.skipped.total()) == (3, 1512, 0)
    assert len(data) % 512 == 0


def test_the_same_files_make_the_same_tar(tmp_path: Path) -> None:
    for folder, names in (("one", "abc"), ("two", "cba")):
        (tmp_path / folder).mkdir()
        for name in names:
            (tmp_path / folder / name).write_text(name)
            os.utime(tmp_path / folder / name, (1, 1))
        os.utime(tmp_path / folder, (2, 2))
    assert packed(tmp_path / "one")[1] == packed(tmp_path / "two")[1]


def test_links_are_packed_as_links_and_only_those_that_stay_inside(tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("a secret")
    volume = tmp_path / "volume"
    (volume / "sub").mkdir(parents=True)
    (volume / "file").write_text("own")
    inside = {"here": "file", "down": "sub/x", "sub/up": "../file", "self": "self", "sub/dot": "./.././file"}
    outside = {
        "abs": str(tmp_path / "outside"),
        "up": "../outside",
        "sub/far": "../../outside",
        "sub/through": "up/../..",
        "root": "/",
        "parent": "..",
    }
    for name, target in {**inside, **outside}.items():
        (volume / name).symlink_to(target)
    tree, data = packed(volume)
    found = members(data)
    links = {name: member.linkname for name, member in found.items() if member.issym()}
    assert links == {f"{ROOT}/{name}": target for name, target in inside.items()}
    assert {each["path"] for each in said(data)} == {f"{ROOT}/{name}" for name in outside}
    assert tree.skipped == {Why.LEADS_OUT: len(outside)}
    assert b"a secret" not in data


def test_a_loop_of_links_to_folders_ends(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "back").symlink_to("../a")
    assert list(members(packed(tmp_path)[1])) == [ROOT, f"{ROOT}/a", f"{ROOT}/a/back"]


def test_a_file_of_several_names_is_packed_once(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * MIB)
    for name in ("b", "c"):
        (tmp_path / name).hardlink_to(tmp_path / "a")
    tree, data = packed(tmp_path)
    found = members(data)
    assert [found[f"{ROOT}/{name}"].linkname for name in "bc"] == [f"{ROOT}/a"] * 2
    assert len(data) < 2 * MIB
    assert tree.packed.files == 1
    assert content(data, "c") == b"x" * MIB


def test_what_holds_no_memory_is_left_out_and_said(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        tree, data = packed(tmp_path)
    assert list(members(data)) == [ROOT, SKIPPED]
    assert tree.skipped == {Why.SPECIAL: 2}
    assert tree.packed.unreadable == 0


def test_a_huge_file_with_holes_is_as_large_as_what_is_in_it(tmp_path: Path) -> None:
    size = 2**40
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(size)
        for at in (0, 5 * MIB, size - 4096):
            os.pwrite(file.fileno(), b"data", at)
    (tmp_path / "empty").touch()
    os.truncate(tmp_path / "empty", size)
    (tmp_path / "z").write_text("after")
    tree, data = packed(tmp_path)
    assert len(data) < MIB
    assert tree.packed.size < MIB
    found = members(data)
    assert list(found) == [ROOT, *(f"{ROOT}/{name}" for name in ("empty", "sparse", "z"))]
    assert found[f"{ROOT}/sparse"].size == found[f"{ROOT}/empty"].size == size
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        file = tar.extractfile(f"{ROOT}/sparse")
        assert file is not None
        for at in (0, 5 * MIB, size - 4096):
            file.seek(at)
            assert file.read(5) == b"data\0"
    assert content(data, "z") == b"after"


def test_tar_itself_unpacks_it(tmp_path: Path) -> None:
    volume, target = tmp_path / "volume", tmp_path / "target"
    (volume / "sub").mkdir(parents=True)
    target.mkdir()
    with (volume / "sub" / "sparse").open("wb") as file:
        file.truncate(10 * MIB)
        os.pwrite(file.fileno(), b"data", 5 * MIB)
    (volume / "long").write_text("x")
    names = ["line\nfeed", "ü", "x" * 200, "-rf", "a b", "\\"]
    for name in names:
        (volume / name).write_text(name)
    (volume / os.fsdecode(b"\xff\xfe")).write_text("no UTF-8")
    (volume / "link").hardlink_to(volume / "long")
    (volume / "sub" / "link").symlink_to("../long")
    _, data = packed(volume)
    subprocess.run(["tar", "-x", "-C", str(target)], input=data, check=True)
    assert subprocess.run(["diff", "-r", str(volume), str(target / ROOT)], check=False).returncode == 0
    assert (target / ROOT / "sub" / "sparse").stat().st_blocks * 512 < MIB
    assert (target / ROOT / "link").samefile(target / ROOT / "long")


@settings(max_examples=30, deadline=None)
@given(
    st.sets(st.binary(min_size=1, max_size=60).filter(lambda n: not {b"/"[0], 0} & set(n) and n not in {b".", b".."}))
)
def test_any_name_is_kept(tmp_path_factory: pytest.TempPathFactory, names: set[bytes]) -> None:
    volume = tmp_path_factory.mktemp("volume")
    for name in names:
        (volume / os.fsdecode(name)).write_bytes(name)
    _, data = packed(volume)
    with tarfile.open(fileobj=io.BytesIO(data), errors="surrogateescape") as tar:
        found = {
            os.fsencode(member.name).removeprefix(f"{ROOT}/".encode()): tar.extractfile(member)
            for member in tar.getmembers()
            if member.isfile()
        }
        assert {name: file.read() for name, file in found.items() if file} == {name: name for name in names}


def test_what_cannot_be_read_is_said_and_the_rest_is_packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("denied", "broken", "fine"):
        (tmp_path / name).write_text(name)
    (tmp_path / "folder").mkdir()
    refusing(monkeypatch, {b"denied": PermissionError(13, "Permission denied"), b"folder": OSError(5, "I/O error")})
    real = os.pread
    broken = (tmp_path / "broken").stat().st_ino

    def pread(fd: int, size: int, at: int) -> bytes:
        if os.fstat(fd).st_ino == broken:
            raise OSError(5, "Input/output error")
        return real(fd, size, at)

    monkeypatch.setattr(os, "pread", pread)
    tree, data = packed(tmp_path)
    assert list(members(data)) == [ROOT, f"{ROOT}/fine", SKIPPED]
    assert said(data) == [
        {"message": "Input/output error", "path": f"{ROOT}/broken", "reason": "Unreadable"},
        {"message": "Permission denied", "path": f"{ROOT}/denied", "reason": "Unreadable"},
        {"message": "I/O error", "path": f"{ROOT}/folder", "reason": "Unreadable"},
    ]
    assert (tree.packed.files, tree.packed.unreadable) == (1, 3)


def test_a_volume_that_cannot_be_read_at_all_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        packed(tmp_path / "none")
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(OSError, match=r"Not a directory|Too many"):
        packed(tmp_path / "link")


def shrink(path: Path) -> None:
    os.truncate(path, 2 * MIB + 5)


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def rewrite(path: Path) -> None:
    path.write_bytes(b"y" * (4 * MIB))


@pytest.mark.parametrize("change", [shrink, grow, rewrite])
def test_a_file_that_changes_while_it_is_read_is_said_and_breaks_nothing(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    (tmp_path / "a").write_bytes(b"x" * (4 * MIB))
    (tmp_path / "b").write_text("after")
    tree = Tree(str(tmp_path))
    found = bytearray()
    for number, piece in enumerate(tree.pieces()):
        found += piece
        if number == 2:
            change(tmp_path / "a")
    data = bytes(found)
    assert members(data)[f"{ROOT}/a"].size == 4 * MIB
    assert content(data, "b") == b"after"
    assert said(data) == [{"path": f"{ROOT}/a", "reason": "Changed"}]
    assert tree.packed.changed == 1


def test_what_turns_into_something_else_between_two_looks_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that has become a link to one outside, a pipe or a folder by the time that it is opened."""
    outside = tmp_path / "outside"
    outside.write_text("a secret")
    volume = tmp_path / "volume"
    volume.mkdir()
    for name in ("link", "pipe", "folder"):
        (volume / name).write_text("was a file")
    real = os.stat

    def turned(path: object, **how: object) -> os.stat_result:
        found = real(path, **how)  # type: ignore[call-overload]
        if path in {b"link", b"pipe", b"folder"}:
            target = volume / os.fsdecode(path)  # type: ignore[type-var]
            target.unlink()
            {b"link": lambda: target.symlink_to(outside), b"pipe": lambda: os.mkfifo(target), b"folder": target.mkdir}[
                path  # type: ignore[index]
            ]()
        return found  # type: ignore[no-any-return]

    monkeypatch.setattr(os, "stat", turned)
    tree, data = packed(volume)
    assert b"a secret" not in data
    assert list(members(data)) == [ROOT, SKIPPED]
    assert tree.skipped.total() == 3


def test_folders_may_be_nested_deeper_than_can_be_opened(tmp_path: Path) -> None:
    here = tmp_path
    for _ in range(trees._DEEPEST + 5):
        here /= "d"
    here.mkdir(parents=True)
    tree, data = packed(tmp_path)
    assert tree.skipped == {Why.TOO_DEEP: 1}
    assert tree.packed.unreadable == 1
    assert len(members(data)) == trees._DEEPEST + 1


def test_what_is_said_of_skipped_names_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trees, "MOST_SAID", 3)
    for number in range(10):
        (tmp_path / str(number)).symlink_to("/")
    tree, data = packed(tmp_path)
    assert len(said(data)) == 3
    assert tree.skipped == {Why.LEADS_OUT: 10}


def test_a_file_with_more_holes_than_can_be_said_is_unreadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trees, "_MOST_SEGMENTS", 4)
    with (tmp_path / "holes").open("wb") as file:
        for number in range(6):
            os.pwrite(file.fileno(), b"x", number * 2 * MIB)
    tree, data = packed(tmp_path)
    assert tree.packed.unreadable == 1
    assert said(data)[0]["message"] == "it has more than 4 holes"


def test_what_the_file_system_has_made_for_itself_is_nobody_s_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lost+found").mkdir(mode=0o700)
    (tmp_path / "sub" / "lost+found").mkdir(parents=True)
    real = os.stat

    def of_root(path: object, **how: object) -> os.stat_result:
        found = real(path, **how)  # type: ignore[call-overload]
        return os.stat_result((*found[:4], 0, *found[5:])) if path == b"lost+found" else found

    monkeypatch.setattr(os, "stat", of_root)
    _, data = packed(tmp_path)
    assert list(members(data)) == [ROOT, f"{ROOT}/sub", f"{ROOT}/sub/lost+found"]


def test_memory_does_not_grow_with_the_files(tmp_path: Path) -> None:
    def peak(size: int) -> int:
        with (tmp_path / "large").open("wb") as file:
            for _ in range(size // MIB):
                file.write(b"x" * MIB)
        tracemalloc.start()
        try:
            for _ in Tree(str(tmp_path)).pieces():
                pass
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    small, large = peak(8 * MIB), peak(128 * MIB)
    assert large < 1.5 * small


def refusing(monkeypatch: pytest.MonkeyPatch, errors: dict[bytes, OSError]) -> None:
    real = os.open

    def opened(path: object, *how: object, **more: object) -> int:
        if path in errors:
            raise errors[path]  # type: ignore[index]
        return real(path, *how, **more)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr(os, "open", opened)
