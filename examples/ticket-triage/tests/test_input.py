"""Bad input ends a job with exit code 2, a message that names file and line, and the same as termination message."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from running import job

from triage import result
from triage.artifacts import Artifact
from triage.errors import TriageError


def _rows(*rows: object) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def _good(count: int = 12) -> list[dict[str, str]]:
    return [{"text": f"{word} {n}", "queue": word} for word in ("invoice", "parcel") for n in range(count)]


GARBAGE = {
    "no file": (None, "has no tickets"),
    "empty": (b"", "tickets of 0 queue"),
    "not UTF-8": (b'{"text": "caf\xe9"}', "cannot be read as UTF-8"),
    "not JSON": (_rows(*_good()) + b"text,queue\n", "tickets.jsonl:25 is not JSON"),
    "a pickle": (b"\x80\x04\x95\x05\x00.", "cannot be read as UTF-8"),
    "endless nesting": (b"[" * 100_000, "tickets.jsonl:1 is not JSON"),
    "a list": (b"[1, 2]\n", "tickets.jsonl:1 is no JSON object"),
    "no text": (_rows({"queue": "billing"}), "tickets.jsonl:1: 'text' is None"),
    "blank text": (_rows({"text": "  ", "queue": "billing"}), "tickets.jsonl:1: 'text' is '  '"),
    "no queue": (_rows({"text": "Hello"}), "tickets.jsonl:1: 'queue' is None"),
    "a number as queue": (_rows({"text": "Hello", "queue": 3}), "tickets.jsonl:1: 'queue' is 3"),
    "too long": (_rows({"text": "x" * 16_001, "queue": "billing"}), "has 16001 characters"),
    "half a character": (b'{"text": "\\ud800", "queue": "billing"}', "tickets.jsonl:1 is not JSON"),
    "a strange queue": (_rows({"text": "Hello", "queue": "Bill ing"}), "tickets.jsonl:1: 'queue' is 'Bill ing'"),
    "no words": (_rows(*({"text": "?" * n, "queue": f"q{n % 2}"} for n in range(1, 31))), "nothing can be learned"),
    "one queue": (_rows(*_good()[:12]), "tickets of 1 queue"),
    "a misspelled queue": (_rows(*_good(), {"text": "x", "queue": "bilng"}), "too few tickets: 'bilng' has 1"),
    "contradictions": (_rows(*_good(), *({**row, "queue": "other"} for row in _good())), "same text in different"),
}


@pytest.mark.parametrize(("content", "message"), GARBAGE.values(), ids=GARBAGE)
def test_garbage_is_refused(tmp_path: Path, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / "tickets.jsonl").write_bytes(content)
    done = job("train", TRIAGE_DATA=tmp_path, TRIAGE_STORE=tmp_path / "store")
    assert done.code == 2
    assert message in done.err
    assert message in done.result["error"]
    assert "Traceback" not in done.err
    assert not (tmp_path / "store").exists(), "nothing may be stored of it"


def test_the_same_tickets_without_garbage_are_taken(tmp_path: Path) -> None:
    (tmp_path / "tickets.jsonl").write_bytes(_rows(*_good()))
    done = job(
        "train", TRIAGE_DATA=tmp_path, TRIAGE_STORE=tmp_path / "store", TRIAGE_IMAGE="registry.example/t@sha256:0"
    )
    assert done.code == 0, done.err
    assert set(done.result) == {"artifact", "image", "model", "metrics", "kind", "notes"}
    assert set(done.result["model"]) == {"provider", "name", "version"}
    assert all(isinstance(value, str) for value in done.result["metrics"].values())


@pytest.mark.parametrize(
    ("module", "settings", "message"),
    [
        ("train", {"TRIAGE_STORE": "/tmp"}, "TRIAGE_DATA is not set"),
        ("train", {"TRIAGE_DATA": "/tmp"}, "TRIAGE_STORE is not set"),
        ("train", {"TRIAGE_DATA": "/x", "TRIAGE_STORE": "/x", "TRIAGE_SEED": "-1"}, "number from 0"),
        ("train", {"TRIAGE_DATA": "/x", "TRIAGE_STORE": "/x", "TRIAGE_SEED": "1.5"}, "whole number"),
        ("evaluate", {"TRIAGE_HELDOUT": "/x", "TRIAGE_MODELS": "/nonexistent"}, "has 0 artifacts"),
        ("evaluate", {"TRIAGE_REQUIRE": "accuracy>0.9"}, "write <measurement>>=<number>"),
        ("evaluate", {"TRIAGE_CONFIDENCE_THRESHOLD": "80"}, "must be a number from 0 to 1"),
        ("train", {"TRIAGE_SEEED": "1"}, "unknown setting(s) TRIAGE_SEEED"),
        ("train", {"TRIAGE_DATA": "/x", "TRIAGE_STORE": "/x"}, "/x has no tickets"),
        ("serve", {"TRIAGE_LISTEN_PORT": "http"}, "TRIAGE_LISTEN_PORT is 'http'"),
    ],
)
def test_wrong_settings_are_named(module: str, settings: dict[str, str], message: str, simple: Artifact) -> None:
    if module == "serve":
        settings = settings | {"TRIAGE_ARTIFACT": simple.uri}
    done = job(module, **settings)
    assert done.code == 2
    assert message in done.err


def test_what_kubernetes_sets_for_a_service_named_triage_is_no_setting(tmp_path: Path) -> None:
    (tmp_path / "tickets.jsonl").write_bytes(_rows(*_good()))
    links = {
        "TRIAGE_SERVICE_HOST": "10.96.0.10",
        "TRIAGE_SERVICE_PORT": "80",
        "TRIAGE_SERVICE_PORT_HTTP": "80",
        "TRIAGE_PORT": "tcp://10.96.0.10:80",
        "TRIAGE_PORT_80_TCP": "tcp://10.96.0.10:80",
        "TRIAGE_PORT_80_TCP_ADDR": "10.96.0.10",
    }
    done = job("train", TRIAGE_DATA=tmp_path, TRIAGE_STORE=tmp_path / "store", **links)
    assert done.code == 0, done.err


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"TRIAGE_GROUP_BY": "shoe_size"}, "do not have it; theirs: customer_tier, id, language_region"),
        ({"TRIAGE_GROUP_BY": "id"}, "two or more groups of 30"),
        ({"TRIAGE_REQUIRE": "beauty>=1"}, "TRIAGE_REQUIRE names 'beauty'"),
    ],
)
def test_an_audit_that_would_say_nothing_is_refused(
    simple: Artifact, data: Path, settings: dict[str, str], message: str
) -> None:
    done = job("bias_audit", TRIAGE_ARTIFACT=simple.uri, TRIAGE_HELDOUT=data / "heldout", **settings)
    assert done.code == 2
    assert message in done.err


def test_a_set_for_another_model_is_refused(simple: Artifact, tmp_path: Path) -> None:
    (tmp_path / "tickets.jsonl").write_bytes(_rows(*_good()))
    done = job("evaluate", TRIAGE_ARTIFACT=simple.uri, TRIAGE_HELDOUT=tmp_path)
    assert done.code == 2
    assert "none of the model's queues" in done.err


def test_a_result_stays_below_what_the_kubelet_keeps() -> None:
    long = {"artifact": "file:///x", "notes": "ä" * 9000}
    message = result.encoded(long)
    assert len(message) < result.LIMIT
    assert 1900 < len(json.loads(message)["notes"]) < 2048
    assert len(result.encoded({"error": "\0'\"ä" * 5000}, cut="error")) < result.LIMIT
    with pytest.raises(TriageError, match="a termination message less than 4096"):
        result.encoded({"artifact": "x" * 5000})


def test_a_result_that_cannot_be_left_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "tickets.jsonl").write_bytes(_rows(*_good()))
    settings = {"TRIAGE_STORE": tmp_path / "store", "TRIAGE_RESULT": "/nonexistent/result"}
    done = job("train", TRIAGE_DATA=tmp_path, **settings)
    assert done.code == 2
    assert "set TRIAGE_RESULT to another path" in done.err
