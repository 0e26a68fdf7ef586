"""`kubectl aiagent archive verify` on folders: every file that is not what it was is named, and nothing is followed."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tracemalloc
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Self

import pytest

from aiagent_operator.api.archive import JournalHead
from aiagent_operator.api.tombstone import Order
from aiagent_operator.cli.archive.checking import check
from aiagent_operator.cli.archive.source import BrokenError, Content, Entry
from aiagent_operator.core.archive import certificate, envelope, layout, manifest, tombstone
from aiagent_operator.core.archive.findings import MOST_UNLISTED, Fault
from aiagent_operator.core.archive.manifest import Stored
from aiagent_operator.core.archive.tombstone import Destruction
from aiagent_operator.core.journal.head import START, digest
from aiagent_operator.core.objects import AgentIdentity
from support import archives, journals
from support.archivefiles import JOURNAL, PLACE, WHOLE, WHY, faults, found, key, put, run, sealed, telling
from support.archives import Archived

LOG = "logs/triage-1-7d9f6c5b8-x2x9q/app.log.age"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return put(tmp_path / "archive")


@pytest.fixture
def pub(tmp_path: Path) -> Path:
    return key(tmp_path)


def test_what_was_archived_is_whole_and_who_signed_is_said(folder: Path, pub: Path) -> None:
    result = run("verify", folder, "--key", pub)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[0] == f"whole: {folder}: {archives.ARCHIVE} of AIAgent crm/triage"
    assert f"signed by {pub}\n" in result.stdout
    assert "6 of 6 are what the manifest says" in result.stdout
    assert f"whole: 3 records of agent {archives.UID}, up to {archives.HEAD.digest}" in result.stdout
    assert not result.stderr
    wide = run("verify", folder, "--key", pub, "-o", "wide").stdout
    assert all(path in wide for path in WHOLE.files.keys() - layout.RESERVED)


def test_without_a_key_it_is_said_that_the_signature_was_not_checked(folder: Path) -> None:
    result = run("verify", folder)
    assert result.exit_code == 0
    assert "who signed it was not checked" in result.stdout
    assert "give --key with its public key (openssl pkey -in KEY -pubout)" in result.stderr
    assert found(folder)["signedBy"] == []


@pytest.mark.parametrize("place", [0, 0.1, 0.5, 0.9, -1])
@pytest.mark.parametrize("path", sorted(WHOLE.files))
def test_one_flipped_bit_names_the_file(folder: Path, pub: Path, path: str, place: float) -> None:
    content = bytearray(WHOLE.files[path])
    content[int(len(content) * place) if place > 0 else int(place)] ^= 1
    (folder / path).write_bytes(content)
    for keys in ((), ("--key", pub)):
        if path == layout.CERTIFICATE and not keys and place > 0:
            continue  # the name of a residual binding, say: only the signature tells
        if path == layout.CERTIFICATE and place == -1:
            continue  # the line feed at its end says nothing
        named = {each for each, _ in faults(found(folder, *keys))}
        assert path in named
        assert named <= {path, layout.CERTIFICATE, layout.SUMS} if path == layout.MANIFEST else named == {path}


def _missing(folder: Path) -> None:
    (folder / "spec.json").unlink()


def _extra(folder: Path) -> None:
    (folder / "note.txt").write_text("x")


def _renamed(folder: Path) -> None:
    (folder / "spec.json").rename(folder / "spec2.json")


def _truncated(folder: Path) -> None:
    os.truncate(folder / LOG, 100)


def _longer(folder: Path) -> None:
    os.truncate(folder / LOG, 2**43)


def _linked(folder: Path) -> None:
    (folder / "spec.json").rename(folder.parent / "spec.json")
    (folder / "spec.json").symlink_to("../spec.json")


def _linked_folder(folder: Path) -> None:
    (folder / "revisions").rename(folder.parent / "revisions")
    (folder / "revisions").symlink_to("../revisions")


def _pipe(folder: Path) -> None:
    (folder / "spec.json").unlink()
    os.mkfifo(folder / "spec.json")


def _a_folder(folder: Path) -> None:
    (folder / "spec.json").unlink()
    (folder / "spec.json").mkdir()
    (folder / "spec.json" / "a").write_text("x")


def _deep(folder: Path) -> None:
    (folder / "/".join("abcdefghi")).mkdir(parents=True)


def _odd_names(folder: Path) -> None:
    (folder / "\x1b[2J").write_text("x")
    Path(os.fsdecode(bytes(folder) + b"/\xff")).write_text("x")


def _left_over(folder: Path) -> None:
    (folder / ("0123456789abcdef" * 2)).mkdir()
    (folder / ("0123456789abcdef" * 2) / "memory.tar.age").write_text("x")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (_missing, {("spec.json", "Missing")}),
        (_extra, {("note.txt", "Unlisted")}),
        (_renamed, {("spec.json", "Missing"), ("spec2.json", "Unlisted")}),
        (_truncated, {(LOG, "OtherSize")}),
        (_longer, {(LOG, "OtherSize")}),
        (_linked, {("spec.json", "Unsafe")}),
        (_linked_folder, {("revisions", "Unsafe"), ("revisions/1.json", "Missing")}),
        (_pipe, {("spec.json", "Unsafe")}),
        (_a_folder, {("spec.json", "Missing"), ("spec.json/a", "Unlisted")}),
        (_deep, {("a/b/c/d/e/f/g/h", "Unsafe")}),
        (_odd_names, {("\x1b[2J", "Unsafe"), ("\\xff", "Unsafe")}),
    ],
)
def test_what_was_done_to_it_is_named(
    folder: Path, pub: Path, change: Callable[[Path], None], expected: set[tuple[str, str]]
) -> None:
    change(folder)
    report = found(folder, "--key", pub)
    assert faults(report) == expected
    shown = run("verify", folder, "--key", pub)
    assert shown.exit_code == 1
    assert shown.stdout.startswith("not whole: ")
    assert all(line.isprintable() for line in shown.stdout.splitlines())
    assert all(fault in shown.stdout for _, fault in expected)


def test_what_an_attempt_left_over_is_named_and_does_no_harm(folder: Path) -> None:
    _left_over(folder)
    assert {fault for _, fault in faults(found(folder))} == {"LeftOver"}
    assert found(folder)["whole"]


def test_so_many_strange_files_are_counted(folder: Path) -> None:
    for number in range(MOST_UNLISTED + 3):
        (folder / f"strange-{number}").touch()
    result = run("verify", folder)
    assert "  and 3 files more that the manifest does not know\n" in result.stdout


@pytest.mark.parametrize("odd", ["link", "pipe", "folder", "broken", "other version"])
def test_a_manifest_that_is_none_is_named(folder: Path, odd: str) -> None:
    path = folder / layout.MANIFEST
    data = path.read_bytes()
    path.unlink()
    if odd == "link":
        (folder.parent / "m").write_bytes(data)
        path.symlink_to("../m")
    elif odd == "pipe":
        os.mkfifo(path)
    elif odd == "folder":
        path.mkdir()
    else:
        path.write_bytes(b"{" if odd == "broken" else data.replace(b"archive.workforce.dev/v1", b"x.dev/v9"))
    ((named, fault),) = faults(found(folder))
    assert (named, fault) == (layout.MANIFEST, "NotTrue" if odd in {"broken", "other version"} else "Unsafe")


# Certificate, journal, what was destroyed -----------------------------------------------------------------------------


def test_without_a_certificate_it_is_whole_only_where_that_is_asked_for(tmp_path: Path, pub: Path) -> None:
    folder = put(tmp_path / "bare", WHOLE.without(layout.CERTIFICATE))
    assert faults(found(folder, "--key", pub)) == {(layout.CERTIFICATE, "Missing")}
    assert run("verify", folder, "--uncertified").exit_code == 0
    assert run("export", folder, tmp_path / "bare.tar").exit_code == 1
    assert run("export", folder, tmp_path / "bare.tar", "--uncertified").exit_code == 0
    assert run("verify", tmp_path / "bare.tar").exit_code == 1
    assert run("verify", tmp_path / "bare.tar", "--uncertified").exit_code == 0


def test_a_certificate_by_another_key_is_not_signed(tmp_path: Path, pub: Path) -> None:
    stranger = envelope.private_key(archives.pem(archives.P256))
    forged = certificate.issue(WHOLE.manifest, archives.ended(), stranger)
    folder = put(tmp_path / "forged", WHOLE.with_file(layout.CERTIFICATE, forged))
    assert faults(found(folder, "--key", pub)) == {(layout.CERTIFICATE, "NotSigned")}
    other = key(tmp_path, "other.pub", archives.P256)
    report = found(folder, "--key", pub, "--key", other)
    assert report["signedBy"] == [stranger.public.key_id]
    assert f"signed by {other}\n" in run("verify", folder, "--key", pub, "--key", other).stdout


def test_a_certificate_whose_content_was_changed_is_forged(tmp_path: Path, pub: Path) -> None:
    forged = json.loads(WHOLE.files[layout.CERTIFICATE])
    other = archives.ended(location="s3://elsewhere/")
    forged["payload"] = json.loads(certificate.issue(WHOLE.manifest, other, archives.SIGNER))["payload"]
    folder = put(tmp_path / "forged", WHOLE.with_file(layout.CERTIFICATE, json.dumps(forged).encode()))
    assert faults(found(folder, "--key", pub)) == {(layout.CERTIFICATE, "NotSigned")}


def test_a_manifest_of_somebody_elses_with_files_that_agree_is_told_by_the_certificate(
    tmp_path: Path, pub: Path
) -> None:
    swapped = archives.archived(gaps=()).with_file(layout.CERTIFICATE, WHOLE.files[layout.CERTIFICATE])
    named = faults(found(put(tmp_path / "swapped", swapped), "--key", pub))
    assert named == {(layout.CERTIFICATE, "NotTrue"), (layout.MANIFEST, "Altered")}


RECORDS = [raw for _, raw in archives.RECORDS]
MORE = journals.sealed((*journals.EXAMPLE, journals.event("a")), AgentIdentity("crm", "triage", archives.UID), START)[
    -1
][1]
FOREIGN = [raw for _, raw in journals.sealed(journals.EXAMPLE, journals.OTHER)]


@pytest.mark.parametrize(
    ("journal", "head", "words"),
    [
        ([RECORDS[0], RECORDS[2]], archives.HEAD, "Gap: journal.jsonl:2: "),
        (RECORDS[:2], archives.HEAD, "Truncated: "),
        ([*RECORDS[:2], RECORDS[2].replace(b"Suspended", b"Resumed..")], archives.HEAD, "journal.jsonl:3"),
        ([*RECORDS, MORE], archives.HEAD, "it goes on to the record 4, and the manifest was sealed at 3"),
        (FOREIGN, JournalHead(sequence=3, digest=digest(FOREIGN[-1])), "Foreign: journal.jsonl:1: "),
        (RECORDS, JournalHead(sequence=3, digest=digest(b"")), "Altered: journal.jsonl:3: "),
        (RECORDS, JournalHead(sequence=2**62, digest=digest(b"")), "a journal that cannot be"),
        ([b"x" * 100_000], archives.HEAD, "Unreadable: journal.jsonl:1: "),
    ],
)  # fmt: skip
def test_a_journal_that_was_sealed_and_does_not_hold_is_named(
    tmp_path: Path, pub: Path, journal: list[bytes], head: JournalHead, words: str
) -> None:
    folder = put(tmp_path / "sealed", telling(b"".join(raw + b"\n" for raw in journal), head))
    report = found(folder, "--key", pub)
    assert faults(report) == {(layout.JOURNAL, "NotTrue")}
    assert words in report["findings"][0]["message"]
    assert report["journal"]["whole"] is False
    assert "journal:      not whole: " in run("verify", folder, "--key", pub).stdout


def test_a_journal_that_was_not_captured_is_no_fault(tmp_path: Path) -> None:
    files = {path: data for path, data in archives.FILES.items() if path != layout.JOURNAL}
    gap = manifest.gap(layout.JOURNAL, manifest.GapReason.UNREACHABLE, "store local: no answer")
    folder = put(tmp_path / "gap", archives.archived(files, gaps=(gap,)))
    assert "journal:      not captured: Unreachable: store local: no answer" in run("verify", folder).stdout
    assert "journal" not in found(folder)


def test_an_encrypted_journal_is_not_followed(tmp_path: Path) -> None:
    files = {path: data for path, data in archives.FILES.items() if path != layout.JOURNAL}
    file, data = archives.encrypted(layout.JOURNAL, JOURNAL)
    folder = put(tmp_path / "encrypted", archives.archived(files, more={file: data}))
    assert found(folder)["whole"]
    assert "journal:      encrypted, and so not followed" in run("verify", folder).stdout


def test_a_purged_archive_is_said_to_be_purged_and_is_not_whole(tmp_path: Path, pub: Path) -> None:
    left = {path: WHOLE.files[path] for path in (layout.MANIFEST, layout.CERTIFICATE)}
    left[layout.TOMBSTONE] = tombstone.purged(WHOLE.manifest, WHY)
    folder = put(tmp_path / "purged", Archived(left))
    report = found(folder, "--key", pub)
    assert (report["whole"], report["findings"]) == (False, [])
    assert report["purged"]["reason"] == WHY.reason
    shown = run("verify", folder, "--key", pub).stdout
    assert shown.startswith("purged: ")
    assert "2026-11-22T10:05:00Z, when its retention had ended: its retention has ended" in shown
    (folder / layout.TOMBSTONE).write_bytes(left[layout.TOMBSTONE].replace(b"Purged", b"Erased"))
    assert (layout.TOMBSTONE, "NotTrue") in faults(found(folder, "--key", pub))


def test_an_erased_archive_is_whole_and_says_so(tmp_path: Path, pub: Path) -> None:
    why = Destruction(WHY.at, "request 4711", WHY.retention, Order(name="erase", uid="u", by="dpo@corp.example"))
    folder = put(tmp_path / "erased", WHOLE.with_file(layout.ERASURE, tombstone.erased(WHOLE.manifest, why)))
    assert found(folder, "--key", pub)["erased"]["reason"] == "request 4711"
    assert "by AgentAction erase of dpo@corp.example: request 4711" in run("verify", folder, "--key", pub).stdout


# Several --------------------------------------------------------------------------------------------------------------


def test_all_archives_below_a_folder_are_named(tmp_path: Path, pub: Path) -> None:
    store = tmp_path / "store"
    first, second = put(store / PLACE), put(store / "archives" / "another" / "b")
    (store / "journal" / archives.UID).mkdir(parents=True)
    (store / "journal" / archives.UID / "000000000001.json").write_bytes(RECORDS[0])
    result = run("verify", store, "--key", pub)
    assert result.exit_code == 0
    assert [line.split(":")[1].strip() for line in result.stdout.splitlines() if line.startswith("whole")] == [
        str(first), str(second)
    ]  # fmt: skip
    assert "2 of 2 archives are whole" in result.stderr
    (second / "spec.json").unlink()
    result = run("verify", store, "--key", pub)
    assert result.exit_code == 1
    assert f"not whole: {second}" in result.stdout
    assert f"\nwhole: {first}" in f"\n{result.stdout}"
    assert "1 of 2 archives are whole" in result.stderr


def test_what_was_an_archive_and_what_never_was_one(tmp_path: Path) -> None:
    store = tmp_path / "store"
    put(store / "a" / "lost", WHOLE.without(layout.MANIFEST))
    put(store / "a" / "rest", WHOLE.without(layout.MANIFEST, layout.CERTIFICATE))
    put(tmp_path / "elsewhere")
    (store / "b").symlink_to(tmp_path / "elsewhere")
    (store / "/".join("d" * 40)).mkdir(parents=True)
    result = run("verify", store, "-o", "json")
    assert result.exit_code == 1
    told = [(each["place"], *faults(each)) for each in json.loads(result.stdout)["archives"]]
    assert told == [
        (str(store / "a" / "lost"), ("manifest.json", "Missing")),
        (str(store / "b"), ("b", "Unsafe")),
        (str(store / "/".join("d" * 33)), ("d", "Unsafe")),
    ]
    assert f"{store / 'a' / 'rest'}: passed over: " in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nowhere",), "PATH nowhere cannot be read: No such file or directory"),
        (("{empty}",), "has no archive: name the folder with manifest.json"),
        (("/dev/null",), "is neither a folder nor a tar file"),
        (("{folder}", "-o", "name"), "-o name has no meaning for archive verify"),
        (("{folder}", "--key", "nowhere"), "--key nowhere cannot be read"),
        (("{folder}", "--key", "{folder}/spec.json"), "is no public key: give an Ed25519"),
        (("{folder}", "--key", "{folder}/../private.pem"), "is a private key: give the public one"),
        ((), "Missing argument"),
    ],
)
def test_wrong_usage_is_2(folder: Path, arguments: tuple[str, ...], words: str) -> None:
    (folder.parent / "empty").mkdir()
    (folder.parent / "private.pem").write_bytes(archives.pem(archives.ED25519))
    result = run("verify", *(each.format(folder=folder, empty=folder.parent / "empty") for each in arguments))
    assert result.exit_code == 2
    assert words in result.stderr
    assert not result.stdout


# What reading comes to ------------------------------------------------------------------------------------------------


class Faulty:
    """A source of which one file cannot be read, or that breaks off at it."""

    place = "faulty"

    def __init__(self, path: str, how: Callable[[], Content]) -> None:
        self._path, self._how = path, how

    def find(self, paths: Collection[str]) -> Mapping[str, Entry]:
        return {entry.path: entry for entry in self.entries(lambda _: True) if entry.path in paths}

    def entries(self, known: Callable[[str], bool]) -> Iterator[Entry]:
        for path, data in WHOLE.files.items():
            yield Entry(path, self._how if path == self._path else lambda data=data: content(data))  # type: ignore[misc]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...


class Bytes(io.BytesIO, io.RawIOBase):  # type: ignore[misc]
    """Bytes as a raw file."""


def content(data: bytes, size: int = -1) -> Content:
    return Content(Bytes(data), len(data) if size < 0 else size)


def _no_right() -> Content:
    raise PermissionError(13, "Permission denied")


def _breaks() -> Content:
    raise BrokenError("at byte 512: it was cut off")


@pytest.mark.parametrize(
    ("how", "fault", "words"),
    [
        (_no_right, Fault.INCOMPLETE, "it cannot be read: Permission denied: give yourself the right"),
        (lambda: content(WHOLE.files["spec.json"] + b"x", size=48), Fault.INCOMPLETE, "it grew while it was read"),
        (lambda: content(WHOLE.files["spec.json"][:-1], size=48), Fault.OTHER_SIZE, "it has 47 bytes"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(how: Callable[[], Content], fault: Fault, words: str) -> None:
    outcome = check(Faulty("spec.json", how))
    ((path, found_fault, message),) = ((each.path, each.fault, each.message) for each in outcome.findings)
    assert (path, found_fault) == ("spec.json", fault)
    assert words in message


def test_what_comes_after_a_break_is_not_said_to_be_missing() -> None:
    outcome = check(Faulty("rights.jsonl", _breaks))
    assert [each.fault for each in outcome.findings] == [Fault.INCOMPLETE]
    assert "it was cut off; nothing after that was read" in outcome.findings[0].message
    assert not outcome.whole


def test_memory_does_not_grow_with_the_archive(tmp_path: Path, pub: Path) -> None:
    size = 64 * 1024**2
    big = tmp_path / "big"
    with big.open("wb") as file:
        file.truncate(size)
    digest_of = hashlib.sha256(bytes(size)).hexdigest()
    path = "evaluations/big.json"
    items = [*archives.stored(), Stored(path, digest_of, size)]
    folder = put(tmp_path / "archive", sealed(archives.FILES, items))
    big.rename(folder / path)
    assert found(folder, "--key", pub)["whole"]
    for arguments in (("verify", folder), ("export", folder, tmp_path / "a.tar"), ("verify", tmp_path / "a.tar")):
        tracemalloc.start()
        try:
            assert run(*arguments).exit_code == 0
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 12 * 1024**2, arguments
