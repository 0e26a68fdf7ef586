"""The service as a process: what it answers, what it counts, and that it leaves nobody without an answer."""

from __future__ import annotations

import asyncio
import itertools
import json
import math
import socket
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families
from running import Running, service

from triage.artifacts import Artifact

PARCEL = {"text": "Where is my parcel?"}


def _handbook(folder: Path, *rules: dict[str, str], **learned: str) -> Path:
    """As the operator writes it."""
    document = {"purpose": "Triage", "model": None, "rules": rules, "knowledgeSources": [], "prohibited": []} | learned
    (folder / "handbook.json").write_text(json.dumps(document))
    (folder / "instructions.md").write_text("Be friendly.\n")
    return folder


def _samples(running: Running) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = text_string_to_metric_families(running.ask("/metrics")[1])
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def _value(running: Running, name: str, **labels: str) -> float:
    return _samples(running)[name, tuple(sorted(labels.items()))]


def test_a_clear_ticket_is_assigned(simple: Artifact) -> None:
    with service(TRIAGE_ARTIFACT=simple.uri) as running:
        status, answer = running.ask("/v1/triage", PARCEL)
        assert status == 200
        confidence = 1 / (1 + math.exp(-8))
        assert answer == {
            "decision": "assign",
            "queue": "delivery",
            "confidence": round(confidence, 4),
            "model": simple.digest[:12],
            "because": ["parcel"],
        }
        assert running.ask("/healthz") == (200, "alive\n")
        assert running.ask("/readyz") == (200, "ready\n")


def test_an_unclear_ticket_goes_to_a_human(simple: Artifact) -> None:
    with service(TRIAGE_ARTIFACT=simple.uri) as running:
        status, answer = running.ask("/v1/triage", {"text": "The invoice for my parcel"})
        assert (status, answer["decision"], answer["confidence"]) == (200, "escalate", 0.5)
        assert "queue" not in answer
        assert answer["reason"] == "confidence 0.5000 is below 0.6000, the default"


def test_the_handbook_says_how_sure_the_agent_must_be(simple: Artifact, tmp_path: Path) -> None:
    rule = {"name": "unsure", "action": "assign a ticket to a queue", "decide": "Autonomous", "limit": "0.0001"}
    strict = _handbook(tmp_path, rule | {"above": "Escalate"})
    with service(TRIAGE_ARTIFACT=simple.uri, TRIAGE_HANDBOOK=strict) as running:
        answer = running.ask("/v1/triage", PARCEL)[1]
        assert answer["decision"] == "escalate"
        assert answer["reason"] == "confidence 0.9997 is below 0.9999, by rule 'unsure' of the handbook"


def test_the_handbook_names_what_was_learned(simple: Artifact, tmp_path: Path) -> None:
    learned = _handbook(tmp_path, artifact=simple.uri)
    with service(TRIAGE_HANDBOOK=learned, TRIAGE_MODELS="/nonexistent") as running:
        assert running.ask("/v1/triage", PARCEL)[1]["model"] == simple.version


def test_a_setting_names_another_model_than_the_handbook(simple: Artifact, tmp_path: Path) -> None:
    learned = _handbook(tmp_path, artifact="file:///store/gone.json")
    with service(TRIAGE_ARTIFACT=simple.uri, TRIAGE_HANDBOOK=learned) as running:
        assert running.ask("/v1/triage", PARCEL)[1]["model"] == simple.version


def test_the_handbook_reserves_queues_for_humans(simple: Artifact, tmp_path: Path) -> None:
    handbook = _handbook(
        tmp_path,
        {"name": "money", "action": "assign a ticket to billing", "decide": "RequireApproval"},
        {"name": "parcels", "action": "assign a ticket to delivery", "decide": "SomethingNew"},
        {"name": "refund", "action": "request a refund", "decide": "Autonomous", "limit": "50", "above": "Escalate"},
    )
    with service(TRIAGE_ARTIFACT=simple.uri, TRIAGE_HANDBOOK=handbook) as running:
        billing = running.ask("/v1/triage", {"text": "my invoice"})[1]
        assert (billing["decision"], billing["suggestion"]) == ("escalate", "billing")
        delivery = running.ask("/v1/triage", PARCEL)[1]
        assert (delivery["decision"], "suggestion" in delivery) == ("escalate", False)


@pytest.mark.parametrize(
    "content",
    [
        "not JSON",
        "[]",
        '{"rules": [{"name": "x"}]}',
        '{"rules": [{"name": "x", "action": "assign a ticket to a queue", "decide": "Autonomous", "limit": "80"}]}',
    ],
)
def test_a_handbook_that_cannot_be_followed_stops_it(simple: Artifact, tmp_path: Path, content: str) -> None:
    (tmp_path / "handbook.json").write_text(content)
    with (
        pytest.raises(AssertionError, match="ended with 2"),
        service(TRIAGE_ARTIFACT=simple.uri, TRIAGE_HANDBOOK=tmp_path),
    ):
        pass


BAD = {
    "no JSON": (b"hello", 400),
    "no object": (b"[]", 400),
    "not UTF-8": (b'{"text": "caf\xe9"}', 400),
    "endless nesting": (b"[" * 100_000, 400),
    "no text": ({}, 400),
    "an empty text": ({"text": " "}, 400),
    "a number": ({"text": 5}, 400),
    "a long text": ({"text": "x" * 16_001}, 413),
    "a long body": (b"x" * 200_000, 413),
}


@pytest.mark.parametrize(("body", "status"), BAD.values(), ids=BAD)
def test_bad_requests_are_refused_with_a_reason_and_counted(simple: Artifact, body: object, status: int) -> None:
    with service(TRIAGE_ARTIFACT=simple.uri) as running:
        code, answer = running.ask("/v1/triage", body)
        assert (code, bool(answer["error"])) == (status, True)
        assert _value(running, "triage_errors_total", code=str(status)) == 1
        assert running.ask("/v1/triage", PARCEL)[0] == 200


def test_strange_texts_get_an_answer(simple: Artifact) -> None:
    with service(TRIAGE_ARTIFACT=simple.uri) as running:
        for text in ("漢字", "\ud800", "\u202e parcel", "???", "\0", "😀" * 1000, "1.2.3,4"):
            assert running.ask("/v1/triage", json.dumps({"text": text}).encode())[0] == 200
        assert running.ask("/v1/triage")[0] == 405
        assert running.ask("/nothing")[0] == 404


def test_what_it_did_can_be_scraped(simple: Artifact) -> None:
    version = simple.digest[:12]
    with service(TRIAGE_ARTIFACT=simple.uri) as running:
        assert _value(running, "triage_answers_total", decision="assign", queue="delivery", version=version) == 0
        for body in (PARCEL, PARCEL, {"text": "The invoice for my parcel"}):
            running.ask("/v1/triage", body)
        assert _value(running, "triage_answers_total", decision="assign", queue="delivery", version=version) == 2
        assert _value(running, "triage_request_seconds_count") == 3
        assert _value(running, "triage_confidence_bucket", version=version, le="0.6") == 1
        assert _value(running, "triage_draining") == 0
        assert _value(running, "triage_in_flight") == 1, "the scrape itself"
        assert math.isnan(_value(running, "triage_feedback_accuracy", version=version))


def test_feedback_becomes_accuracy(simple: Artifact) -> None:
    version = simple.digest[:12]
    with service(TRIAGE_ARTIFACT=simple.uri) as running:
        for right in ("delivery", "delivery", "returns", "delivery"):
            body = {"model": version, "queue": "delivery", "right": right}
            assert running.ask("/v1/feedback", body)[0] == 204
        assert _value(running, "triage_feedback_accuracy", version=version) == 0.75
        assert _value(running, "triage_feedback_total", right="false", queue="delivery", version=version) == 1
        bad = [
            {"model": version, "queue": "nonsense", "right": "delivery"},
            {"model": "v1", "queue": "delivery", "right": "delivery"},
            {"model": version, "queue": "delivery"},
        ]
        assert [running.ask("/v1/feedback", body)[0] for body in bad] == [400, 400, 400]


def test_feedback_on_other_versions_makes_no_endless_series(simple: Artifact) -> None:
    with service(TRIAGE_ARTIFACT=simple.uri) as running:
        for number in range(30):
            body = {"model": f"{number:012x}", "queue": "delivery", "right": "delivery"}
            assert running.ask("/v1/feedback", body)[0] == 204
        versions = [dict(labels)["version"] for name, labels in _samples(running) if name == "triage_feedback_accuracy"]
        assert len(versions) == 9
        assert _value(running, "triage_feedback_total", right="true", queue="delivery", version="other") == 23


def test_what_it_has_begun_it_ends(simple: Artifact) -> None:
    """A request whose second half comes after SIGTERM, when nobody new is let in, gets its answer."""
    body = json.dumps(PARCEL).encode()
    with service(TRIAGE_ARTIFACT=simple.uri, TRIAGE_DRAIN_DELAY=0) as running:
        with socket.create_connection(("127.0.0.1", running.port)) as connection:
            head = f"POST /v1/triage HTTP/1.1\r\nHost: triage\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            connection.sendall(head + body[:5])
            while _value(running, "triage_in_flight") < 2:
                time.sleep(0.01)
            running.terminate()
            _until_closed(running.port)
            connection.sendall(body[5:])
            answer = connection.makefile("rb").read()
        assert answer.startswith(b"HTTP/1.1 200 OK")
        assert b"connection: close" in answer.lower()
        assert b'"queue": "delivery"' in answer
        assert running.exit_code() == 0


def _until_closed(port: int) -> None:
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            return
        time.sleep(0.01)


def test_one_that_never_ends_is_given_up(simple: Artifact) -> None:
    with (
        service(TRIAGE_ARTIFACT=simple.uri, TRIAGE_DRAIN_TIMEOUT=1) as running,
        socket.create_connection(("127.0.0.1", running.port)) as connection,
    ):
        connection.sendall(b"POST /v1/triage HTTP/1.1\r\nHost: triage\r\nContent-Length: 100\r\n\r\n{")
        while _value(running, "triage_in_flight") < 2:
            time.sleep(0.01)
        running.terminate()
        assert running.exit_code() == 0


def test_it_drains_under_load_and_no_request_fails(simple: Artifact) -> None:
    """Two replicas behind a balancer that sends only to those that are ready, as a Service does; one gets SIGTERM."""
    with (
        service(TRIAGE_ARTIFACT=simple.uri, TRIAGE_DRAIN_DELAY=1) as leaving,
        service(TRIAGE_ARTIFACT=simple.uri, TRIAGE_DRAIN_DELAY=1) as staying,
    ):
        report = asyncio.run(_load(leaving, staying))
        assert report["failures"] == []
        assert report["answers"][leaving.url] > 50
        assert report["answers_after"][leaving.url] > 0, "requests came after SIGTERM, and were answered"
        assert report["answers"][staying.url] > report["answers"][leaving.url]
        assert leaving.exit_code() == 0
        assert staying.process.poll() is None


async def _load(leaving: Running, staying: Running) -> dict[str, Any]:
    """Sixteen clients that ask without a pause, on kept connections, until a second after the one replica is gone."""
    ready = {leaving.url, staying.url}
    report: dict[str, Any] = {
        "failures": [],
        "answers": dict.fromkeys(ready, 0),
        "answers_after": dict.fromkeys(ready, 0),
    }
    stop, told = asyncio.Event(), asyncio.Event()

    async def client(session: aiohttp.ClientSession, number: int) -> None:
        for turn in itertools.count(number):
            if stop.is_set():
                return
            url = sorted(ready)[turn % len(ready)]
            after = told.is_set()
            try:
                async with session.post(f"{url}/v1/triage", json=PARCEL) as response:
                    answer = await response.json()
                    if response.status != 200 or answer["queue"] != "delivery":
                        report["failures"].append((url, response.status, answer))
            except (aiohttp.ClientError, TimeoutError) as error:
                report["failures"].append((url, repr(error)))
            report["answers"][url] += 1
            report["answers_after"][url] += after

    async def balancer(session: aiohttp.ClientSession) -> None:
        """What the endpoints controller does: it looks at readiness every now and then, so it is always late."""
        while not stop.is_set():
            await asyncio.sleep(0.1)
            for running in (leaving, staying):
                try:
                    async with session.get(f"{running.url}/readyz") as response:
                        fine = response.status == 200
                except aiohttp.ClientError:
                    fine = False
                (ready.add if fine else ready.discard)(running.url)

    async with aiohttp.ClientSession() as session, aiohttp.ClientSession() as probes:
        tasks = [asyncio.create_task(client(session, number)) for number in range(16)]
        tasks.append(asyncio.create_task(balancer(probes)))
        await asyncio.sleep(1)
        told.set()
        leaving.terminate()
        await asyncio.to_thread(leaving.exit_code)
        await asyncio.sleep(1)
        stop.set()
        await asyncio.gather(*tasks)
    return report
