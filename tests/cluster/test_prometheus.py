"""Questions to a real Prometheus.

No API server is asked: it stands here since it needs a program of its own, as the control plane does.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator

import pytest

from aiagent_operator.api.agentevaluation import Phase
from aiagent_operator.api.evaluation import Metric
from aiagent_operator.core.evaluation import run
from aiagent_operator.core.evaluation.answer import AnswerError, number
from aiagent_operator.core.evaluation.query import Names, asked
from aiagent_operator.runtime.prometheus import Prometheus, PrometheusError
from support.prometheus import PrometheusServer

pytestmark = pytest.mark.cluster

SERIES = (
    'answers_total{agent="triage",revision="4"} 100',
    'wrong_total{agent="triage",revision="4"} 7',
    'answers_total{agent="triage",revision="3"} 200',
    'wrong_total{agent="triage",revision="3"} 4',
    'answers_total{agent="idle",revision="4"} 0',
    'wrong_total{agent="idle",revision="4"} 0',
    'label_with_quote{agent="triage\\"} or vector(9) #"} 1',
    "exact 0.30000000000000004",
    "tiny 1e-300",
)
NAMES = Names("triage", "crm", 4, 3)


@pytest.fixture(scope="module")
def server(server: PrometheusServer) -> PrometheusServer:
    """It, with these series."""
    server.expose(*SERIES)
    return server


@pytest.fixture
async def client(server: PrometheusServer) -> AsyncIterator[Prometheus]:
    async with Prometheus([server.url]) as prometheus:
        yield prometheus


async def value(client: Prometheus, query: str, names: Names = NAMES) -> str:
    """The number that a query gives, as a status holds it."""
    found = number(await client.query(asked(query, names), namespace="crm"))
    return str(found.value)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("wrong_total{revision={{revision}},agent={{agent}}} / answers_total", "0.07"),
        ("sum(answers_total{revision=~'{{revision}}|{{stableRevision}}'})", "300"),
        ("exact", "0.30000000000000004"),
        ("tiny", "1E-300"),
        ("scalar(exact) * 0 + 2", "2"),
        ("sum(wrong_total{agent='idle'}) / sum(answers_total{agent='idle'})", "NaN"),
        ("sum(answers_total{revision='4'}) / 0", "Infinity"),
        ("-1 * sum(answers_total{revision='4'}) / 0", "-Infinity"),
    ],
)
async def test_numbers(client: Prometheus, query: str, found: str) -> None:
    assert await value(client, query) == found


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("absent_metric", "the answer is empty"),
        ("answers_total", "the answer has 3 series, not one number"),
        ("answers_total[5m]", "the answer is a matrix, not one number"),
        ('"text"', "the answer is a string, not one number"),
    ],
)
async def test_answers_without_a_number(client: Prometheus, query: str, message: str) -> None:
    with pytest.raises(AnswerError, match=message):
        await value(client, query)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("sum(", r"Prometheus answers bad_data: .*parse error.* \(HTTP 400\)"),
        ("rate(exact)", r"Prometheus answers bad_data: .*expected type range vector"),
        ("{{revision}} > 3", r"Prometheus answers bad_data: "),
        ("exact + on(a) group_left exact{x=~'['}", r"Prometheus answers bad_data: .*missing closing"),
        ("label_replace(answers_total, 'agent', 'a', '', '') and on() vector(1)", r"Prometheus answers execution: "),
    ],
)
async def test_queries_that_prometheus_refuses(client: Prometheus, query: str, message: str) -> None:
    with pytest.raises(PrometheusError, match=message):
        await value(client, query)


async def test_a_name_never_reaches_beyond_its_label(client: Prometheus) -> None:
    hostile = 'triage"} or vector(9) #'
    assert await value(client, r'label_with_quote{agent="triage\"} or vector(9) #"}') == "1"
    with pytest.raises(ValueError, match="is not a DNS label"):
        await value(client, "label_with_quote{agent={{agent}}}", Names(hostile, "crm", 4))


async def test_revisions_are_compared(client: Prometheus) -> None:
    share = "sum(wrong_total{revision={{revision}}}) / sum(answers_total{revision={{revision}}})"
    near = Metric.model_validate({"name": "wrong", "query": share, "maxIncrease": "0.05"})
    far = Metric.model_validate({"name": "wrong", "query": share, "maxIncrease": "0.049"})
    found = await client.measure(near, NAMES)
    assert (found.phase, found.value, found.stable_value) == (Phase.SUCCESSFUL, "0.07", "0.02")
    found = await client.measure(far, NAMES)
    assert (found.phase, found.message) == (
        Phase.FAILED,
        "0.07 is more than maxIncrease 0.049 above the stable revision's 0.02",
    )
    found = await client.measure(near, Names("triage", "crm", 4))
    assert (found.phase, found.message) == (Phase.SUCCESSFUL, "there is no stable revision to compare with")
    found = await client.measure(near, Names("triage", "crm", 4, 2))
    assert found.phase is Phase.ERROR
    assert "asked about the stable revision: the answer is empty" in (found.message or "")


async def test_a_run_against_a_prometheus_that_restarts(server: PrometheusServer, client: Prometheus) -> None:
    metric = Metric.model_validate(
        {"name": "wrong", "query": "sum(wrong_total{revision={{revision}}})", "max": "7", "interval": "1s", "count": 3}
    )
    now = dt.datetime.now(dt.UTC)
    status = run.begin([metric], now)

    async def once() -> None:
        nonlocal status, now
        status = run.record([metric], status, {"wrong": await client.measure(metric, NAMES)}, now)
        now += dt.timedelta(seconds=1)

    await once()
    await asyncio.to_thread(server.stop)
    await once()
    assert status.metric_results[0].error == 1
    assert "cannot be asked" in (status.metric_results[0].message or "")
    assert status.phase is Phase.RUNNING
    await asyncio.to_thread(server.start)
    await asyncio.to_thread(server.expose, *SERIES)
    await once()
    await once()
    result = status.metric_results[0]
    assert (status.phase, result.count, result.error, result.value) == (Phase.SUCCESSFUL, 3, 1, "7")
