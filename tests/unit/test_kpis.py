"""The KPI series of an agent that leaves: which there are, of what time, and what is said of those that are missing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web

from aiagent_operator.api.archive import GapReason
from aiagent_operator.core import kpis
from aiagent_operator.core.archive import index, layout
from aiagent_operator.core.archive.layout import Layout
from aiagent_operator.core.evaluation.answer import Answer, AnswerError, Point, points
from aiagent_operator.core.kpis import Failed, Series
from aiagent_operator.runtime.archive import captured
from aiagent_operator.runtime.kpis import Kpis
from aiagent_operator.runtime.prometheus import Prometheus
from support.archive import directory, whole
from support.decisions import IDENTITY, observed

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
WORKED = {"revision": {"latest": 3}}
DRIFT = {"query": "wrong{revision={{revision}}}", "max": "0.25"}
LIVE = {
    "name": "live",
    "prometheus": {"address": "http://other.example"},
    "metrics": [{"name": "errors", "query": 'errors{agent="{{agent}}"}', "max": "1"}],
}
ANSWER = {"resultType": "matrix", "result": [{"metric": {"customer": "Ada"}, "values": [[1, "0.5"], [301, "NaN"]]}]}


def test_the_series_are_those_that_the_spec_asks_prometheus_for() -> None:
    spec = {"supervision": {"drift": DRIFT, "evaluations": [LIVE]}}
    assert kpis.series(observed(spec=spec, status=WORKED)) == (
        Series("drift", 'wrong{revision="3"}'),
        Series("live/errors", 'errors{agent="triage"}', "http://other.example"),
    )
    assert kpis.series(observed(spec=spec)) == (), "it never was anything"
    assert kpis.series(observed(status=WORKED)) == ()


def test_what_is_asked_twice_is_one_series_and_there_are_not_many() -> None:
    twice = {"name": "again", "prometheus": {}, "metrics": [{"name": "w", "query": DRIFT["query"], "max": "1"}]}
    many = [
        {"name": f"e{n}", "prometheus": {}, "metrics": [{"name": f"m{m}", "query": f"m{n}_{m}"} for m in range(8)]}
        for n in range(8)
    ]
    spec = {"supervision": {"drift": DRIFT, "evaluations": [twice]}, "retraining": {"evaluations": many}}
    found = kpis.series(observed(spec=spec, status=WORKED))
    assert [each.name for each in found][:2] == ["drift", "e0/m0"]
    assert len(found) == kpis.MOST


@pytest.mark.parametrize(
    ("born", "step", "since", "expected"),
    [
        (timedelta(days=90), timedelta(minutes=5), timedelta(days=7), timedelta(minutes=5)),
        (timedelta(hours=1), timedelta(minutes=5), timedelta(hours=1), timedelta(minutes=5)),
        (timedelta(days=90), timedelta(seconds=1), timedelta(days=7), timedelta(seconds=61)),
        (timedelta(), timedelta(minutes=5), timedelta(), timedelta(minutes=5)),
    ],
)
def test_the_period_is_the_last_one_and_never_has_too_many_points(
    born: timedelta, step: timedelta, since: timedelta, expected: timedelta
) -> None:
    found = kpis.period(NOW, NOW - born, timedelta(days=7), step)
    assert (found.since, found.until, found.step) == (NOW - since, NOW, expected)


def test_a_series_is_its_numbers_without_its_labels() -> None:
    assert points(Answer("matrix", ANSWER["result"])) == (Point(1, "0.5"), Point(301, "NaN"))
    assert points(Answer("matrix", [])) == ()


@pytest.mark.parametrize(
    ("kind", "result", "said"),
    [
        ("vector", [], "is a vector"),
        ("matrix", [{"values": []}, {"values": []}], "2 series, not one"),
        ("matrix", [{"histograms": []}], "histogram_quantile"),
        ("matrix", [{"values": [[1, "Ada"]]}], "no time and number"),
        ("matrix", [{"values": [["now", "1"]]}], "no time and number"),
        ("matrix", [{"values": [[True, "1"]]}], "no time and number"),
        ("matrix", [{"values": [[1e30, "1"]]}], "no time and number"),
        ("matrix", [7], "no series of numbers"),
    ],
)
def test_what_is_no_series_of_numbers_is_refused(kind: str, result: Any, said: str) -> None:
    with pytest.raises(AnswerError, match=said):
        points(Answer(kind, result))


def test_what_could_not_be_had_is_said_once() -> None:
    one, other = Series("drift", "a"), Series("live/errors", "b")
    failed = {other: Failed(GapReason.UNREACHABLE, "no answer", again=True)}
    assert kpis.missed([one, other], {}, some=True) == ()
    (some,) = kpis.missed([one, other], failed, some=True)
    assert (some.path, some.reason, some.again) == ("kpis.jsonl.rest", GapReason.UNREACHABLE, True)
    assert some.text == "1 of 2 series, live/errors; of the first: no answer"
    (none,) = kpis.missed([one], {one: Failed(GapReason.UNREADABLE, "bad")}, some=False)
    assert (none.path, none.again) == (layout.KPIS, False)


class Server:
    """A server that answers queries about `a`, and about others as it is told."""

    def __init__(self) -> None:
        self.url, self.status, self.asked = "", 200, list[dict[str, str]]()

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(dict(request.query))
        if request.query["query"] != "a" and self.status != 200:
            return web.json_response({"status": "error", "errorType": "e", "error": "down"}, status=self.status)
        assert request.path == "/api/v1/query_range"
        return web.json_response({"status": "success", "data": ANSWER})


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    found, app = Server(), web.Application()
    app.router.add_get("/{path:.*}", found.answer)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield found
    await runner.cleanup()


A, B = Series("drift", "a"), Series("live/errors", "b")


def reader() -> Kpis:
    return Kpis(IDENTITY, [A, B], NOW, length=604_800, step=300)


async def test_they_are_stored_once_all_are_there(server: Server, tmp_path: Path) -> None:
    store, taken = directory(tmp_path), reader()
    server.status = 503
    async with Prometheus([server.url]) as client:
        (missed,) = await taken.take(client, store, 5, last=False)
        assert (missed.path, missed.again) == ("kpis.jsonl.rest", True)
        assert await captured.noted(store, IDENTITY.uid) == ((), ())
        server.status = 200
        assert await taken.take(client, store, 5, last=False) == ()
        assert [each["query"] for each in server.asked].count("a") == 1, "what is answered is not asked again"
        assert await taken.take(client, store, 5, last=False) == (), "it is there already"
    (item,), gaps = await captured.noted(store, IDENTITY.uid)
    assert gaps == ()
    assert not item.personal
    data = await whole(store, Layout(IDENTITY.uid, index.name(IDENTITY)).key(item.path))
    first, second = map(orjson.loads, data.splitlines())
    assert (first["name"], first["query"], first["step"]) == ("drift", "a", "300s")
    assert first["values"] == [[1, "0.5"], [301, "NaN"]] == second["values"]
    assert b"Ada" not in data
    assert server.asked[0]["step"] == "300s"
    assert server.asked[0]["namespace"] == IDENTITY.namespace


async def test_with_the_last_try_what_there_is_is_stored_and_the_rest_is_said(server: Server, tmp_path: Path) -> None:
    store, server.status = directory(tmp_path), 503
    async with Prometheus([server.url]) as client:
        (missed,) = await reader().take(client, store, 5, last=True)
    assert not missed.again
    (item,), (gap,) = await captured.noted(store, IDENTITY.uid)
    assert (layout.item(item.path), gap.path, gap.reason) == (layout.KPIS, "kpis.jsonl.rest", GapReason.UNREACHABLE)


async def test_a_query_that_prometheus_refuses_is_not_asked_again(server: Server, tmp_path: Path) -> None:
    store, server.status = directory(tmp_path), 400
    async with Prometheus([server.url]) as client:
        (missed,) = await reader().take(client, store, 5, last=False)
    assert (missed.reason, missed.again) == (GapReason.UNREADABLE, False)
    assert len((await captured.noted(store, IDENTITY.uid))[0]) == 1


async def test_without_a_prometheus_nothing_is_waited_for(tmp_path: Path) -> None:
    async with Prometheus([]) as client:
        (missed,) = await reader().take(client, directory(tmp_path), 5, last=False)
    assert (missed.path, missed.again) == (layout.KPIS, False)
    assert "2 of 2 series" in missed.text
