"""`kubectl aiagent archive` on folders that say that there is no archive: what stands there, and who has signed it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from aiagent_operator.core.archive import abandoned, envelope, layout
from support import archives, released
from support.archivefiles import key, put, run

DATA = released.data()
SIGNATURE = abandoned.issue(DATA, archives.SIGNER)
STRANGER = envelope.private_key(archives.pem(ed25519.Ed25519PrivateKey.generate()))
SAID = (
    "no archive: AIAgent crm/triage was released without one at 2026-11-22T10:00:00Z, by AgentAction "
    "crm/give-up-triage of ciso@corp.example: The archive store burnt down, and there is no copy"
)


@pytest.fixture
def pub(tmp_path: Path) -> Path:
    return key(tmp_path)


def release(folder: Path, data: bytes = DATA, signature: bytes | None = SIGNATURE) -> Path:
    where = folder / released.WHERE.prefix
    where.mkdir(parents=True)
    (where / layout.ABANDONED).write_bytes(data)
    if signature is not None:
        (where / layout.ABANDONED_CERTIFICATE).write_bytes(signature)
    return where


def test_it_is_said_beside_the_archives_and_counts_as_none(tmp_path: Path, pub: Path) -> None:
    store = tmp_path / "store"
    put(store / archives_place())
    where = release(store)
    result = run("verify", store, "--key", pub)
    assert result.exit_code == 0, result.output
    assert f"{where}: {SAID}; signed by {pub}\n" in result.stderr
    assert str(where) not in result.stdout
    document = json.loads(run("verify", store, "--key", pub, "-o", "json").stdout)
    assert (document["whole"], len(document["archives"])) == (True, 1)
    assert document["released"] == [json.loads(DATA)]
    shown = run("show", store)
    assert (shown.exit_code, f"{where}: {SAID}; who signed that was not checked" in shown.stderr) == (0, True)


def archives_place() -> str:
    return layout.Layout(archives.UID, archives.ARCHIVE).prefix


def test_alone_it_is_said_too(tmp_path: Path) -> None:
    where = release(tmp_path, signature=None)
    result = run("verify", where, "--uncertified")
    assert (result.exit_code, f"{where}: {SAID}; nobody has signed that" in result.stderr) == (0, True)
    assert run("show", where, "--item", "spec.json").exit_code == 2


CASES = {
    "of a stranger": (DATA, abandoned.issue(DATA, STRANGER), "abandoned.certificate.json: NotSigned: none of the 1"),
    "altered": (
        released.data(by="eve@corp.example"), SIGNATURE, "abandoned.certificate.json: NotTrue: "),
    "not signed": (DATA, None, "abandoned.certificate.json: Missing: "),
    "no record": (b"{}", SIGNATURE, "abandoned.json: NotTrue: abandoned.json has no version"),
    "too large": (b" " * 2**21, SIGNATURE, "abandoned.json: NotTrue: "),
}  # fmt: skip


@pytest.mark.parametrize(("data", "signature", "words"), CASES.values(), ids=CASES.keys())
def test_what_is_forged_is_named(tmp_path: Path, pub: Path, data: bytes, signature: bytes | None, words: str) -> None:
    where = release(tmp_path, data, signature)
    result = run("verify", where, "--key", pub)
    assert result.exit_code == 1
    assert words in result.stdout
    assert f"not whole: {where}" in result.stdout


def test_a_link_in_its_place_is_not_followed_and_a_signature_alone_is_none(tmp_path: Path) -> None:
    where = release(tmp_path)
    (where / layout.ABANDONED).unlink()
    assert "abandoned.json: Missing: " in run("verify", where).stdout
    (where / layout.ABANDONED).symlink_to("/etc/hostname")
    result = run("verify", where)
    assert (result.exit_code, "abandoned.json: Unsafe: it is a symbolic link" in result.stdout) == (1, True)


def test_what_was_sealed_beside_it_is_no_archive(tmp_path: Path, pub: Path) -> None:
    where = put(release(tmp_path))
    result = run("verify", where, "--key", pub)
    assert (result.exit_code, result.stdout) == (0, "")
    assert SAID in result.stderr
