"""An artifact is loaded only when its content is what its name says, and reading it runs nothing."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
from pathlib import Path

import pytest
from running import job

from triage import artifacts
from triage.artifacts import Artifact
from triage.errors import TriageError


def _stored(folder: Path, document: bytes) -> str:
    path = folder / f"sha256-{hashlib.sha256(document).hexdigest()}.json"
    path.write_bytes(document)
    return path.as_uri()


def test_it_is_loaded_by_uri_and_by_path(simple: Artifact) -> None:
    assert artifacts.load(simple.uri).model == artifacts.load(str(simple.path)).model == simple.model


def test_its_name_is_the_digest_that_sha256sum_prints(simple: Artifact) -> None:
    assert simple.path.name == f"sha256-{hashlib.sha256(simple.path.read_bytes()).hexdigest()}.json"


def test_one_changed_byte_is_refused(simple: Artifact, tmp_path: Path) -> None:
    path = tmp_path / simple.path.name
    path.write_bytes(simple.path.read_bytes().replace(b"4.0", b"4.1", 1))
    with pytest.raises(TriageError, match=r"was changed: its content has the SHA-256 [0-9a-f]{64}"):
        artifacts.load(path.as_uri())


def test_jobs_and_service_refuse_it_too(simple: Artifact, tmp_path: Path) -> None:
    path = tmp_path / simple.path.name
    path.write_bytes(simple.path.read_bytes()[:-2])
    for module in ("evaluate", "bias_audit", "serve"):
        done = job(module, TRIAGE_ARTIFACT=path.as_uri(), TRIAGE_HELDOUT=tmp_path)
        assert done.code == 2
        assert "was changed" in done.err


@pytest.mark.parametrize("name", ["model.json", "sha256-abc.json", f"sha256-{'A' * 64}.json"])
def test_a_name_without_a_digest_is_refused(simple: Artifact, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(simple.path.read_bytes())
    with pytest.raises(TriageError, match="does not say which content is meant"):
        artifacts.load(str(tmp_path / name))


@pytest.mark.parametrize("reference", ["https://models.example/sha256-0.json", "file://elsewhere/sha256-0.json"])
def test_only_local_files_are_read(reference: str) -> None:
    with pytest.raises(TriageError, match="use file:///<path>"):
        artifacts.load(reference)


class _Evil:
    def __reduce__(self) -> tuple[object, ...]:
        return os.system, ("echo owned > owned.txt",)


def test_a_pickle_is_refused_and_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TriageError, match="is no model of format"):
        artifacts.load(_stored(tmp_path, pickle.dumps(_Evil())))
    assert not (tmp_path / "owned.txt").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "ticket-triage/2"}, "format is 'ticket-triage/2', this version of the agent reads"),
        ({"features": "words-0"}, "features is 'words-0'"),
        ({"queues": ["billing"]}, "two or more different names"),
        ({"queues": ["billing", "billing"]}, "two or more different names"),
        ({"intercepts": [0.0]}, "intercepts has 1 numbers, not 2"),
        ({"terms": {"parcel": [1.0, 2.0]}}, "has 2 numbers, not 3"),
        ({"terms": {"parcel": [1.0, 2.0, float("nan")]}}, "not finite"),
        ({"terms": {"parcel": [1.0, 2.0, float("inf")]}}, "not finite"),
        ({"terms": ["parcel"]}, "is no model"),
        ({"training": None}, "is no model"),
    ],
)
def test_a_document_that_is_no_model_is_refused(
    simple: Artifact, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    document = json.dumps(json.loads(simple.path.read_bytes()) | change).encode()
    with pytest.raises(TriageError, match=message):
        artifacts.load(_stored(tmp_path, document))


@pytest.mark.parametrize("document", [b"", b"[]", b"null", b"\xff\xfe", b"[" * 200_000, b"{"])
def test_a_file_that_is_no_document_is_refused(tmp_path: Path, document: bytes) -> None:
    with pytest.raises(TriageError, match="is no model of format"):
        artifacts.load(_stored(tmp_path, document))


def test_a_missing_one_is_named(tmp_path: Path) -> None:
    with pytest.raises(TriageError, match="cannot be read"):
        artifacts.load(str(tmp_path / f"sha256-{'0' * 64}.json"))


def test_a_damaged_file_in_the_store_is_written_anew(simple: Artifact) -> None:
    good = simple.path.read_bytes()
    simple.path.write_bytes(b"half")
    assert artifacts.save(simple.model, simple.path.parent).path.read_bytes() == good
    assert [path.name for path in simple.path.parent.iterdir()] == [simple.path.name]


def test_the_images_model_is_the_only_one_there(simple: Artifact, tmp_path: Path) -> None:
    assert artifacts.only(simple.path.parent).digest == simple.digest
    with pytest.raises(TriageError, match="has 0 artifacts, and TRIAGE_ARTIFACT does not say which"):
        artifacts.only(tmp_path)
