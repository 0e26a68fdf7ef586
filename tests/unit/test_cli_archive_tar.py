"""Archives as tar files: what tar makes is read, and of hostile ones each member that is wrong is refused by name."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import shutil
import subprocess
import tarfile
import tracemalloc
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiagent_operator.cli.archive import tar
from aiagent_operator.cli.archive.source import BrokenError, Content
from aiagent_operator.cli.archive.tar import Kind
from aiagent_operator.cli.archive.writing import TarWriter
from aiagent_operator.cli.errors import CliError
from aiagent_operator.core.archive import layout
from support import archives
from support.archivefiles import PLACE, WHOLE, faults, found, key, put, run, sealed

SPEC = WHOLE.files[layout.SPEC]
LOG = "logs/triage-1-7d9f6c5b8-x2x9q/app.log.age"


def member(
    name: str, data: bytes = b"", kind: bytes = tarfile.REGTYPE, **more: object
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size, info.type = len(data), kind
    for field, value in more.items():
        setattr(info, field, value)
    return info, data


def packed(members: Iterable[tuple[tarfile.TarInfo, bytes]], form: int = tarfile.PAX_FORMAT) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=form) as made:
        for info, data in members:
            made.addfile(info, io.BytesIO(data))
    return file.getvalue()


FILES = [member(path, data) for path, data in sorted(WHOLE.files.items())]
TAR = packed(FILES)


@pytest.fixture
def pub(tmp_path: Path) -> Path:
    return key(tmp_path)


@pytest.fixture
def given_tar(tmp_path: Path) -> Callable[[bytes], Path]:
    def write(data: bytes) -> Path:
        (tmp_path / "a.tar").write_bytes(data)
        return tmp_path / "a.tar"

    return write


Write = Callable[[bytes], Path]


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("prefix", ["", "./", "triage/", f"./{PLACE}/"])
def test_tar_files_of_every_format_are_read(given_tar: Write, pub: Path, form: int, prefix: str) -> None:
    folders = [member(f"{prefix}revisions", kind=tarfile.DIRTYPE)]
    if prefix:
        folders.append(member(prefix, kind=tarfile.DIRTYPE))
    members = [member(prefix + path, data) for path, data in WHOLE.files.items()]
    path = given_tar(packed([*folders, *members], form))
    report = found(path, "--key", pub)
    assert (report["whole"], report["findings"]) == (True, [])
    assert report["journal"]["records"] == 3
    assert run("show", path, "--item", "spec.json").stdout_bytes == SPEC


@pytest.mark.skipif(shutil.which("tar") is None, reason="needs tar")
@pytest.mark.parametrize(("form", "length"), [("gnu", 128), ("pax", 128), ("ustar", 90)])
def test_what_tar_itself_makes_is_read(tmp_path: Path, pub: Path, form: str, length: int) -> None:
    long = layout.encrypted(layout.decision("x" * length))
    files = {path: data for path, data in archives.FILES.items() if path != long}
    secret, data = archives.encrypted(layout.decision("x" * length), b"yes")
    folder = put(tmp_path / "store" / PLACE, sealed({**files, long: data}, [*archives.stored(files), secret]))
    for place, what in ((folder, "."), (tmp_path / "store", "archives")):
        command = ["tar", f"--format={form}", "-cf", str(tmp_path / "a.tar"), "-C", str(place), what]
        subprocess.run(command, check=True, capture_output=True)
        assert found(tmp_path / "a.tar", "--key", pub)["whole"]
        said = run("show", tmp_path / "a.tar", "--item", long).stderr
        assert f"--file {tmp_path / 'a.tar'} " in said
        listed = subprocess.run(["tar", "-tf", str(tmp_path / "a.tar")], check=True, capture_output=True, text=True)
        (name,) = (line for line in listed.stdout.splitlines() if line.endswith(long))
        assert f" {name} | age --decrypt" in said
    assert run("export", folder, tmp_path / "b.tar").exit_code == 0
    assert found(tmp_path / "b.tar", "--key", pub)["whole"]
    (tmp_path / "unpacked").mkdir()
    subprocess.run(["tar", "-xf", str(tmp_path / "b.tar"), "-C", str(tmp_path / "unpacked")], check=True)
    assert _files(tmp_path / "unpacked") == _files(folder)


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_members_of_more_than_eight_gigabytes_are_written_as_they_are_read() -> None:
    file = io.BytesIO()
    TarWriter(file, "a.tar").begin("memory.tar.age", Content(io.FileIO(os.devnull), 2**33 + 5, 1_800_000_000))
    fd = os.memfd_create("tar")
    try:
        os.write(fd, file.getvalue())
        large = next(tar.members(fd, 2**40))
    finally:
        os.close(fd)
    assert (large.name, large.size, large.offset) == ("memory.tar.age", 2**33 + 5, len(file.getvalue()))


LINK = {"linkname": "spec.json"}


@pytest.mark.parametrize(
    ("extra", "named", "fault"),
    [
        (member("../spec.json", SPEC), "../spec.json", "Unsafe"),
        (member("a/../../spec.json", SPEC), "a/../../spec.json", "Unsafe"),
        (member("/etc/passwd", b"x"), "/etc/passwd", "Unsafe"),
        (member("SPEC.json", SPEC), "SPEC.json", "Unsafe"),
        (member("a\nb", SPEC), "a\nb", "Unsafe"),
        (member(os.fsdecode(b"\xff"), SPEC), "\\xff", "Unsafe"),
        (member("note.txt", b"x"), "note.txt", "Unlisted"),
        (member("../x", kind=tarfile.DIRTYPE), "../x/", "Unsafe"),
        (member("/", kind=tarfile.DIRTYPE), "/", "Unsafe"),
        (member("link", kind=tarfile.SYMTYPE, **LINK), "link", "Unsafe"),
        (member("link", kind=tarfile.LNKTYPE, **LINK), "link", "Unsafe"),
        (member("spec.json", kind=tarfile.SYMTYPE, **LINK), "spec.json", "Unsafe"),
        (member("null", kind=tarfile.CHRTYPE), "null", "Unsafe"),
        (member("disk", kind=tarfile.BLKTYPE), "disk", "Unsafe"),
        (member("pipe", kind=tarfile.FIFOTYPE), "pipe", "Unsafe"),
        (member("spec.json", SPEC), "spec.json", "GivenTwice"),
        (member("./spec.json", SPEC), "spec.json", "GivenTwice"),
        (member("manifest.json", WHOLE.manifest), "manifest.json", "GivenTwice"),
    ],
)
def test_what_does_not_belong_is_refused_and_named(
    given_tar: Write, pub: Path, extra: tuple[tarfile.TarInfo, bytes], named: str, fault: str
) -> None:
    before = sorted(given_tar(b"").parent.parent.rglob("*"))
    report = found(given_tar(packed([*FILES, extra], tarfile.GNU_FORMAT)), "--key", pub)
    assert faults(report) == {(named, fault)}
    assert sorted(pub.parent.parent.rglob("*")) == before, "nothing is unpacked"


def test_what_is_beside_the_folder_of_the_archive_stands_for_nothing_in_it(given_tar: Write) -> None:
    members = [member(f"a/{path}", data) for path, data in WHOLE.files.items() if path != layout.SPEC]
    report = found(given_tar(packed([*members, member("spec.json", SPEC), member("/x"), member("a/../spec.json")])))
    assert faults(report) == {
        ("spec.json", "Missing"), ("../spec.json", "Unsafe"), ("..//x", "Unsafe"), ("../spec.json", "Unsafe"),
    }  # fmt: skip


def test_a_link_in_the_place_of_an_item_is_not_followed(given_tar: Write) -> None:
    members = [each for each in FILES if each[0].name != layout.SPEC]
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
        link = member(layout.SPEC, kind=kind, linkname="rights.jsonl")
        report = found(given_tar(packed([*members, link])))
        assert faults(report) == {(layout.SPEC, "Unsafe")}


def test_a_manifest_that_is_a_link_is_named(given_tar: Write) -> None:
    link = member(layout.MANIFEST, kind=tarfile.SYMTYPE, linkname="/etc/passwd")
    assert faults(found(given_tar(packed([link])))) == {(layout.MANIFEST, "Unsafe")}
    assert faults(found(given_tar(packed([member("x")])))) == {(layout.MANIFEST, "Missing")}
    assert faults(found(given_tar(packed([member("../manifest.json", WHOLE.manifest)])))) == {
        (layout.MANIFEST, "Missing")
    }


def test_larger_than_the_manifest_says_is_not_even_read(given_tar: Write) -> None:
    members = [each if each[0].name != LOG else member(LOG, bytes(10_000)) for each in FILES]
    report = found(given_tar(packed(members)))
    assert faults(report) == {(LOG, "OtherSize")}
    assert "it has 10000 bytes, and may have 279" in report["findings"][0]["message"]


def header(name: str, size: bytes, kind: bytes = b"0") -> bytes:
    """A header with these twelve bytes as its size, and its checksum."""
    block = bytearray(member(name)[0].tobuf(tarfile.USTAR_FORMAT))
    block[124:136], block[156:157], block[148:156] = size, kind, b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def pax(records: bytes, kind: bytes = b"x") -> bytes:
    return header("pax", b"%011o\0" % len(records), kind) + records + bytes(-len(records) % 512)


def record(key: str, value: str) -> bytes:
    body = f" {key}={value}\n".encode()
    size = len(body) + 2
    assert len(str(size)) == 2
    return str(size).encode() + body


END = bytes(1024)
ONE = header("x", b"%011o\0" % 1) + b"x" + bytes(511)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (header("x", b"77777777777\0") + END, "should have 8589934591 bytes, and 1024 are left"),
        (header("x", b"\x80" + b"\xff" * 11) + END, "are left: it was cut off, or the number is forged"),
        (header("x", b"\xff" * 12) + END, "at byte 0: the size is no number"),
        (header("x", b"-0000000001\0") + END, "at byte 0: the size is no number"),
        (pax(record("size", "9" * 19)) + ONE + END, "should have 9999999999999999999 bytes"),
        (pax(record("size", "-1")) + ONE + END, "the size in the pax header is no number"),
        (pax(record("GNU.sparse.major", "1")) + ONE + END, "a sparse file"),
        (header("x", b"%011o\0" % 0, b"S") + END, "is of the type b'S', which no archive has"),
        (header("x", b"%011o\0" % 1, b"2") + bytes(512) + END, "is a symbolic link with 1 bytes"),
        (pax(record("path", "y"), b"g") + ONE + END, "a header for all members"),
        (pax(record("path", "y")) * 2 + ONE + END, "a second header of the kind b'x'"),
        (pax(b"999 path=y\n") + ONE + END, "the pax header cannot be read"),
        (pax(b"x path=y\n") + ONE + END, "the pax header cannot be read"),
        (pax(record("path", "y") + record("path", "z")) + ONE + END, "the pax header cannot be read"),
        (pax(record("path", "y")) + END, "it ends where a member should be"),
        (pax(b"a" * 70_000) + ONE + END, "the header has 70000 bytes, and at most 65536 are read"),
        (header("x", b"77777777777\0", b"L") + ONE + END, "the header has 8589934591 bytes"),
        (ONE + bytes(512), "it ends with one empty block of two"),
        (ONE + bytes(512) + ONE + END, "something follows the end of it"),
        (ONE + END + ONE + END, "something follows the end of it"),
        (ONE + END + bytes(2 * 1024**2), "something follows the end of it"),
        (ONE, "it ends without the two empty blocks of an end"),
        (ONE[:512], "should have 1 bytes, and 0 are left"),
        (b"", "it ends without the two empty blocks of an end"),
        (b"What is this?" * 100, "at byte 0: the checksum is no number"),
        (b"0" * 1024, "the header does not have its checksum: it is damaged, or this is no tar file"),
    ],
)  # fmt: skip
def test_what_two_readers_could_read_as_two_things_is_refused(given_tar: Write, data: bytes, words: str) -> None:
    path = given_tar(data)
    report = found(path)
    assert not report["whole"]
    assert words in report["findings"][-1]["message"] + report["findings"][0]["message"]
    assert words in run("verify", path).stdout


def test_header_of_a_version_before_ustar_is_refused(given_tar: Write) -> None:
    block = bytearray(ONE)
    block[257:265], block[148:156] = bytes(8), b" " * 8
    block[148:156] = b"%06o\0 " % sum(block[:512])
    report = found(given_tar(bytes(block) + END))
    assert "neither of ustar nor of GNU tar" in report["findings"][0]["message"]


@pytest.mark.parametrize("blocks", range(len(TAR) // 512))
def test_a_tar_file_that_was_cut_off_is_never_whole(given_tar: Write, blocks: int) -> None:
    cut = TAR[: blocks * 512]
    report = found(given_tar(cut))
    if report["whole"]:
        assert not TAR[len(cut) - 1024 :].strip(b"\0"), "only blocks that fill the last record are missing"
    else:
        assert "Incomplete" in {fault for _, fault in faults(report)}
        assert "Missing" not in {fault for path, fault in faults(report) if path != layout.MANIFEST}


@settings(max_examples=150)
@given(st.integers(0, len(TAR) * 8 - 1))
def test_a_flipped_bit_anywhere_is_found_where_it_says_something(
    tmp_path_factory: pytest.TempPathFactory, bit: int
) -> None:
    folder = tmp_path_factory.getbasetemp()
    data = bytearray(TAR)
    data[bit // 8] ^= 1 << bit % 8
    (folder / "flipped.tar").write_bytes(data)
    report = found(folder / "flipped.tar", "--key", key(folder))
    if report["whole"]:
        with tarfile.open(fileobj=io.BytesIO(TAR)) as read:
            spans = [(each.offset_data, each.offset_data + each.size) for each in read]
        begin = bit // 8 // 512 * 512
        inside = [each for each in spans if each[0] <= bit // 8 < each[1]]
        hint = inside and data[inside[0][0] :].startswith(b'{\n  "payload"')
        padding = any(end <= bit // 8 < end + -(end - start) % 512 for start, end in spans)
        checksum = bit // 8 - begin in range(148, 156)
        assert padding or checksum or hint


@settings(max_examples=100)
@given(
    st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=300),
            st.binary(max_size=1500),
        ),
        max_size=6,
    ),
    st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]),
)
def test_members_are_those_that_the_standard_library_reads(files: list[tuple[str, bytes]], form: int) -> None:
    data = packed([member(name, content) for name, content in files], form)
    with tarfile.open(fileobj=io.BytesIO(data)) as read:
        expected = [(each.offset_data, each.size) for each in read]
    fd = os.memfd_create("tar")
    try:
        os.write(fd, data)
        ours = list(tar.members(fd, len(data)))
    finally:
        os.close(fd)
    assert [(each.offset, each.size) for each in ours] == expected
    assert [each.name for each in ours] == [name for name, _ in files]
    assert {each.kind for each in ours} <= {Kind.FILE}


@settings(max_examples=200)
@given(st.binary(max_size=2000), st.integers(0, len(TAR)))
def test_no_bytes_make_reading_fail_otherwise(data: bytes, at: int) -> None:
    whole = TAR[:at] + data + TAR[at + len(data) :]
    fd = os.memfd_create("tar")
    try:
        os.write(fd, whole)
        with contextlib.suppress(BrokenError):
            names = [each.name for each in tar.members(fd, len(whole))]
            assert all(names)
    finally:
        os.close(fd)


def test_a_million_members_take_no_more_memory(tmp_path: Path) -> None:
    path = tmp_path / "many.tar"
    with path.open("wb") as file:
        file.write(TAR[: TAR.rindex(b"spec.json") // 512 * 512])
        for _ in range(40):
            file.write(member("spec.json", SPEC)[0].tobuf() + SPEC + bytes(-len(SPEC) % 512))
        file.write(b"".join(header("x", b"%011o\0" % 0) for _ in range(1)) * 20_000 + END)
    tracemalloc.start()
    try:
        report = found(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert faults(report) == {("spec.json", "GivenTwice"), ("x", "Unlisted")}
    assert report["unlisted"] == 20_000
    assert peak < 12 * 1024**2


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (gzip.compress(TAR), "is compressed: unpack it with gzip -d first"),
        (
            packed([member("a/manifest.json", WHOLE.manifest), member("b/manifest.json", WHOLE.manifest)]),
            'holds several archives ("a", "b"): give one at a time',
        ),
    ],
)
def test_wrong_usage_is_2(given_tar: Write, data: bytes, words: str) -> None:
    result = run("verify", given_tar(data))
    assert result.exit_code == 2
    assert words in result.stderr


def test_a_file_that_got_shorter_while_it_was_packed_ends_it() -> None:
    writer = TarWriter(io.BytesIO(), "a.tar")
    writer.begin("spec.json", Content(io.FileIO(os.devnull), 2))
    writer.write(b"x")
    with pytest.raises(CliError, match=r"spec\.json got shorter while it was read"):
        writer.end()
