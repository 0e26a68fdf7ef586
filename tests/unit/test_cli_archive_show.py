"""`kubectl aiagent archive show` and `export`: what an archive says, single items of it, and tar files of it."""

from __future__ import annotations

import json
import os
import pty
import resource
import select
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from aiagent_operator.api.tombstone import Order
from aiagent_operator.core.archive import layout, tombstone
from aiagent_operator.core.archive.tombstone import Destruction
from support import archives
from support.archivefiles import PLACE, WHOLE, WHY, found, key, put, run
from support.archives import Archived
from support.documents import ROOT

LOG = "logs/triage-1-7d9f6c5b8-x2x9q/app.log.age"
ATTEMPT = "0123456789abcdef" * 2


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return put(tmp_path / "archive")


def said(*arguments: object) -> str:
    """What `archive show` prints, with single spaces."""
    result = run("show", *arguments)
    assert result.exit_code == 0
    assert "Nothing of this was verified: `kubectl aiagent archive verify" in result.stderr
    return " ".join(result.stdout.split())


def test_who_left_when_why_and_what_is_kept(folder: Path) -> None:
    text = said(folder)
    for words in (
        "Archive: triage-20261122t100000z",
        f"Agent: crm/triage (UID {archives.UID})",
        "Role: customer-support",
        "Left: Replaced, Planned",
        "Sealed: 2026-11-22T10:00:00Z",
        "Successor: crm/triage-v2 (UID 0f0e0d0c-0b0a-4908-8706-050403020100)",
        "Kept until: 2032-11-20T10:00:00Z (52560h), as AIAgent crm/triage spec.retirement.retention asks",
        "memory.tar.age 2760 personal age1zvkyg2",
        "spec.json 48 ",
        "decisions DeadlineExceeded it could not be copied within 120 s",
        "Completed: 2026-11-22T10:05:00Z",
        "create refunds.crm.example crm 2026-11-22T10:02:00Z refused",
        'get tickets.crm.example crm 2026-11-22T10:02:00Z residual: RoleBinding "everyone-reads/crm"',
        "2 rights held, all of them revoked, 1 residual",
        "ServiceAccount crm aiagent.triage 2026-11-22T10:02:00Z",
        "Security security@corp.example 2026-11-22T09:00:00Z triage-offboard",
    ):
        assert words in text
    assert "Predecessor" not in text


def test_programs_get_the_documents(folder: Path) -> None:
    (only,) = json.loads(run("show", folder, "-o", "json").stdout)["archives"]
    assert only["manifest"] == json.loads(WHOLE.manifest)
    assert only["certificate"]["predicate"]["reason"] == "Replaced"
    assert only["problems"] == []


def test_what_is_not_as_it_should_be_is_said(folder: Path) -> None:
    (folder / layout.CERTIFICATE).unlink()
    assert "Certificate: none that can be read" in said(folder)
    (folder / layout.CERTIFICATE).write_bytes(archives.archived().files[layout.CERTIFICATE])
    assert "Not as it should be: certificate.json: it is about a manifest with the digest" in said(folder)
    (folder / layout.TOMBSTONE).write_bytes(b"{}")
    assert "tombstone.json has no version" in said(folder)


def test_what_was_destroyed_is_said(tmp_path: Path) -> None:
    stone = tombstone.purged(WHOLE.manifest, WHY)
    folder = put(tmp_path / "purged", Archived({layout.MANIFEST: WHOLE.manifest, layout.TOMBSTONE: stone}))
    assert f"Purged: 2026-11-22T10:05:00Z, when its retention had ended: {WHY.reason}" in said(folder)
    result = run("show", folder, "--item", "spec.json")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "the archive was purged" in result.stderr


def test_of_several_each_has_a_line(tmp_path: Path) -> None:
    first, second = put(tmp_path / "store" / PLACE), put(tmp_path / "store" / "archives" / "x" / "y")
    put(tmp_path / "store" / "z", WHOLE.without(layout.MANIFEST))
    put(tmp_path / "store" / "archives" / "broken", WHOLE.with_file(layout.MANIFEST, b"{}"))
    result = run("show", tmp_path / "store")
    assert result.exit_code == 1
    assert f"error: {tmp_path}/store/archives/broken: manifest.json has no version" in result.stderr
    assert "z: manifest.json: Missing: it is not there, and certificate.json is" in result.stderr
    header, *rows = result.stdout.splitlines()
    assert header.split()[:3] == ["ARCHIVE", "AGENT", "REASON"]
    assert [row.split()[-1] for row in rows] == [str(first), str(second)]
    shutil.rmtree(tmp_path / "store" / "z")
    shutil.rmtree(tmp_path / "store" / "archives" / "broken")
    assert run("show", tmp_path / "store").exit_code == 0
    assert len(json.loads(run("show", tmp_path / "store", "-o", "json").stdout)["archives"]) == 2
    result = run("show", tmp_path / "store", "--item", "spec.json")
    assert result.exit_code == 2
    assert "has several archives, and --item is of one" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("{empty}",), 2, "has no archive"),
        (("{empty}", "--item", "spec.json"), 2, "has no archive"),
        (("nowhere",), 2, "cannot be read"),
        (("{folder}", "-o", "name"), 2, "-o name has no meaning for archive show"),
        (("{folder}", "--item", "nothing.json"), 2, "--item nothing.json is no item of triage-20261122t100000z"),
        (("{folder}", "--item", "decisions"), 2, "it was not captured: DeadlineExceeded: it could not"),
        (("{folder}", "--item", "certificate.json"), 2, "is no item"),
        (("{folder}", "--item", "../workforce.pub"), 2, "is no item"),
        (("{broken}",), 1, "manifest.json"),
        (("{broken}", "--item", "spec.json"), 1, "manifest.json"),
        (("{lost}", "--item", "spec.json"), 1, "manifest.json: Missing"),
    ],
)
def test_what_cannot_be_shown(folder: Path, arguments: tuple[str, ...], code: int, words: str) -> None:
    places = {"folder": folder, **{name: folder.parent / name for name in ("empty", "broken", "lost")}}
    places["empty"].mkdir()
    put(places["broken"], WHOLE.with_file(layout.MANIFEST, b"{}"))
    put(places["lost"], WHOLE.without(layout.MANIFEST))
    result = run("show", *(each.format(**places) for each in arguments))
    assert result.exit_code == code
    assert words in result.stderr
    assert not result.stdout


# Items ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["spec.json", "journal.jsonl", "revisions/1.json"])
def test_an_item_is_printed_as_it_is(folder: Path, path: str) -> None:
    result = run("show", folder, "--item", path)
    assert (result.exit_code, result.stdout_bytes, result.stderr) == (0, WHOLE.files[path], "")


@pytest.mark.parametrize("path", ["memory.tar.age", "memory.tar"])
def test_an_encrypted_item_is_refused_with_what_decrypts_it(folder: Path, tmp_path: Path, path: str) -> None:
    result = run("show", folder, "--item", path)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.endswith(f"age --decrypt --identity archive.key {folder}/memory.tar.age\n")
    assert "With that key in archive.key" in result.stderr
    why = Destruction(WHY.at, "asked for", WHY.retention, Order(name="erase", uid="u", by="dpo@corp.example"))
    (folder / layout.ERASURE).write_bytes(tombstone.erased(WHOLE.manifest, why))
    assert "its key was destroyed: nobody can read it any more" in run("show", folder, "--item", path).stderr


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda path: path.write_bytes(b'{"kind":"AIAgent","metadata":{"name":"eagerl"}}\n'), "has the digest sha256:"),
        (lambda path: path.write_bytes(b"{}"), "has 2 bytes, and should have 48"),
        (lambda path: path.unlink(), "is not there: restore it"),
        (lambda path: (path.unlink(), path.symlink_to("rights.jsonl")), "is a symbolic link"),
    ],
)
def test_an_item_that_is_not_what_was_archived_is_not_printed(folder: Path, change: object, words: str) -> None:
    change(folder / "spec.json")  # type: ignore[operator]
    result = run("show", folder, "--item", "spec.json")
    assert (result.exit_code, result.stdout) == (1, "")
    assert words in result.stderr


def _on_a_terminal(*arguments: object) -> tuple[int, bytes]:
    """What a terminal gets, with the exit code."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "aiagent_operator.cli", "archive", *map(str, arguments)]
    env = {**os.environ, "PYTHONPATH": str(ROOT / "operator"), "NO_COLOR": "1"}
    done = subprocess.run(command, stdout=theirs, stderr=subprocess.DEVNULL, env=env, check=False)
    os.close(theirs)
    try:
        return done.returncode, os.read(ours, 65_536) if select.select([ours], [], [], 0)[0] else b""
    except OSError:  # what Linux says at the end of a terminal
        return done.returncode, b""
    finally:
        os.close(ours)


def test_an_item_does_not_steer_the_terminal(tmp_path: Path) -> None:
    files = {**archives.FILES, layout.SPEC: b"a\x1b[2J\tb\nc\xff"}
    folder = put(tmp_path / "archive", archives.archived(files))
    assert run("show", folder, "--item", "spec.json").stdout_bytes == files[layout.SPEC]
    code, seen = _on_a_terminal("show", folder, "--item", "spec.json")
    assert (code, seen.decode().splitlines()) == (0, ["a\\x1b[2J\tb", "c\ufffd"])


def test_no_tar_file_goes_to_a_terminal(folder: Path) -> None:
    assert _on_a_terminal("export", folder, "-") == (2, b"")


# Export ---------------------------------------------------------------------------------------------------------------


def test_what_is_exported_verifies_and_is_the_same_each_time(folder: Path, tmp_path: Path) -> None:
    made = tmp_path / "a.tar"
    for number, path in enumerate(sorted(WHOLE.files)):
        os.utime(folder / path, ns=(0, (1_800_000_000 + number) * 10**9 + 5))
    result = run("export", folder, made)
    assert (result.exit_code, result.output) == (0, "")
    assert found(made, "--key", key(tmp_path))["whole"]
    with tarfile.open(made) as read:
        members = read.getmembers()
    assert [each.name for each in members] == sorted(WHOLE.files)
    assert {(each.mode, each.uid, each.gid, each.uname, each.gname) for each in members} == {(0o440, 0, 0, "", "")}
    assert [each.mtime for each in members] == [1_800_000_000 + number for number in range(len(members))]
    copy = shutil.copytree(folder, tmp_path / "copy")
    assert run("export", copy, tmp_path / "b.tar").exit_code == 0
    assert (tmp_path / "b.tar").read_bytes() == made.read_bytes()
    assert run("export", copy, "-").stdout_bytes == made.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir() if ".tar" in path.name) == ["a.tar", "b.tar"]


def test_nothing_is_overwritten(folder: Path, tmp_path: Path) -> None:
    for name in ("a.tar", "link.tar"):
        path = tmp_path / name
        path.symlink_to("nowhere") if name == "link.tar" else path.write_text("mine")
        result = run("export", folder, path)
        assert result.exit_code == 2
        assert f"{path} is there already, and is not overwritten" in result.stderr
    assert (tmp_path / "a.tar").read_text() == "mine"
    assert not (tmp_path / "nowhere").exists()


def test_whoever_takes_the_name_meanwhile_keeps_it(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link

    def late(partial: Path, path: Path) -> None:
        path.write_text("mine")
        link(partial, path)

    monkeypatch.setattr(os, "link", late)
    assert run("export", folder, tmp_path / "a.tar").exit_code == 2
    assert (tmp_path / "a.tar").read_text() == "mine"
    assert not list(tmp_path.glob(".*"))

    def without_links(partial: Path, path: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", without_links)
    assert run("export", folder, tmp_path / "b.tar").exit_code == 0
    assert found(tmp_path / "b.tar")["whole"]


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda folder: (folder / "spec.json").write_text("x"), "spec.json: OtherSize"),
        (lambda folder: (folder / "spec.json").unlink(), "spec.json: Missing"),
        (lambda folder: (folder / "note").write_text("x"), "note: Unlisted"),
        (lambda folder: (folder / "link").symlink_to("spec.json"), "link: Unsafe"),
        (lambda folder: (folder / layout.CERTIFICATE).unlink(), "certificate.json: Missing"),
        (lambda folder: (folder / layout.MANIFEST).unlink(), "manifest.json: Missing"),
    ],
)
def test_what_does_not_verify_is_not_exported(folder: Path, tmp_path: Path, damage: object, words: str) -> None:
    damage(folder)  # type: ignore[operator]
    result = run("export", folder, tmp_path / "a.tar")
    assert result.exit_code == 1
    assert f"{folder} is not packed, since it does not verify: " in result.stderr
    assert words in result.stderr
    assert not list(tmp_path.glob("*.tar")) + list(tmp_path.glob(".*"))
    piped = run("export", folder, "-")
    assert piped.exit_code == 1
    (tmp_path / "cut.tar").write_bytes(piped.stdout_bytes)
    assert not found(tmp_path / "cut.tar")["whole"], "without its end"


def test_what_attempts_left_over_is_not_exported(folder: Path, tmp_path: Path) -> None:
    (folder / ATTEMPT).mkdir()
    (folder / ATTEMPT / "memory.tar.age").write_text("x")
    result = run("export", folder, tmp_path / "a.tar")
    assert result.exit_code == 0
    assert "Not packed: 1 file that attempts have left over" in result.stderr
    assert found(tmp_path / "a.tar")["findings"] == []


def test_a_purged_archive_can_be_exported_with_its_tombstone(tmp_path: Path) -> None:
    left = {path: WHOLE.files[path] for path in (layout.MANIFEST, layout.CERTIFICATE)}
    left[layout.TOMBSTONE] = tombstone.purged(WHOLE.manifest, WHY)
    assert run("export", put(tmp_path / "purged", Archived(left)), tmp_path / "a.tar").exit_code == 0
    report = found(tmp_path / "a.tar")
    assert (report["findings"], report["purged"]["reason"]) == ([], WHY.reason)


def test_what_cannot_be_written_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    result = run("export", folder, folder.parent / "no" / "a.tar")
    assert result.exit_code == 1
    assert "cannot be written: No such file or directory" in result.stderr
    command = [sys.executable, "-m", "aiagent_operator.cli", "archive", "export", str(folder)]
    env = {**os.environ, "PYTHONPATH": str(ROOT / "operator"), "NO_COLOR": "1"}

    def small_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    done = subprocess.run(
        [*command, str(tmp_path / "a.tar")], env=env, capture_output=True, text=True, check=False, preexec_fn=small_disk
    )
    assert (done.returncode, done.stderr) == (1, f"error: {tmp_path}/a.tar cannot be written: File too large\n")
    assert sorted(tmp_path.iterdir()) == [folder]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([*command, "-"], env=env, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "error: standard output cannot be written: No space left on device\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("{folder}",), "Missing argument"),
        (("{folder}/spec.json", "a.tar"), "is no folder: name the one with manifest.json"),
        (("nowhere", "a.tar"), "is no folder"),
        (("{folder}", "{folder}/a.tar"), "is inside the archive"),
        (("{folder}", "{folder}/revisions/../a.tar"), "is inside the archive"),
    ],
)
def test_wrong_usage_is_2(folder: Path, arguments: tuple[str, ...], words: str) -> None:
    result = run("export", *(each.format(folder=folder) for each in arguments))
    assert result.exit_code == 2
    assert words in result.stderr
    assert not result.stdout
