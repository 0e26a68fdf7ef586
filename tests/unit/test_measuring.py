"""Asking beside the passes: what is wanted is asked once, answers wait for a pass, nobody waits for a slow server."""

from __future__ import annotations

import asyncio
import datetime as dt

import pytest

from aiagent_operator.api.agentevaluation import Measurement, Phase
from aiagent_operator.api.evaluation import Metric
from aiagent_operator.core.evaluation.asking import Asking
from aiagent_operator.core.evaluation.query import Names
from aiagent_operator.runtime.measuring import AT_ONCE, Measuring
from aiagent_operator.runtime.prometheus import Prometheus
from aiagent_operator.runtime.store import AgentKey
from support.evaluations import BEGIN, metric, taken

AGENT = AgentKey("crm", "triage")
NAMES = Names("triage", "crm", 2, 1)


class Slow(Prometheus):
    """Answers when it is told to."""

    def __init__(self) -> None:
        super().__init__(["http://127.0.0.1:9"])
        self.go = asyncio.Event()
        self.asked: list[str] = []
        self.most = self.now = 0

    async def measure(self, metric: Metric, names: Names, *, address: str | None = None) -> Measurement:
        self.asked.append(metric.name)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await self.go.wait()
        finally:
            self.now -= 1
        return taken("S", BEGIN + dt.timedelta(seconds=len(self.asked)))


def asking(uid: str = "u1", number: int = 0, *names: str) -> Asking:
    return Asking(uid, NAMES, tuple((metric(name), number) for name in names or ("m",)))


async def until_told(told: asyncio.Queue[AgentKey], count: int) -> list[AgentKey]:
    async with asyncio.timeout(10):
        return [await told.get() for _ in range(count)]


async def rest() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_what_is_wanted_is_asked_once_and_the_answer_brings_about_a_pass() -> None:
    told: asyncio.Queue[AgentKey] = asyncio.Queue()
    async with Slow() as server:
        measuring = Measuring(server, told.put_nowait)
        for _ in range(3):
            measuring.want(AGENT, [asking("u1", 0, "a", "b")])
            await rest()
        assert sorted(server.asked) == ["a", "b"]
        assert measuring.answers(AGENT) == {}
        server.go.set()
        assert await until_told(told, 1) == [AGENT]
        assert {key: found.phase for key, found in measuring.answers(AGENT).items()} == {
            ("u1", "a", 0): Phase.SUCCESSFUL,
            ("u1", "b", 0): Phase.SUCCESSFUL,
        }
        # Another measurement of the same run: the answers to the first are forgotten.
        measuring.want(AGENT, [asking("u1", 1, "a")])
        assert measuring.answers(AGENT) == {}
        await until_told(told, 1)
        assert set(measuring.answers(AGENT)) == {("u1", "a", 1)}
        await measuring.close()


async def test_what_is_not_wanted_any_more_is_not_waited_for() -> None:
    told: asyncio.Queue[AgentKey] = asyncio.Queue()
    async with Slow() as server:
        measuring = Measuring(server, told.put_nowait)
        measuring.want(AGENT, [asking()])
        await rest()
        assert server.now == 1
        measuring.want(AGENT, ())
        await rest()
        assert (server.now, told.qsize(), measuring.answers(AGENT)) == (0, 0, {})
        await measuring.close()


async def test_one_server_is_not_asked_for_more_runs_at_once_than_it_is_meant_to_bear() -> None:
    told: asyncio.Queue[AgentKey] = asyncio.Queue()
    async with Slow() as server:
        measuring = Measuring(server, told.put_nowait)
        agents = [AgentKey("crm", f"a{number}") for number in range(2 * AT_ONCE)]
        for agent in agents:
            measuring.want(agent, [asking(agent.name)])
        await rest()
        assert server.most == AT_ONCE
        server.go.set()
        await until_told(told, len(agents))
        assert server.most == AT_ONCE
        await measuring.close()


async def test_the_end_leaves_nothing_under_way() -> None:
    async with Slow() as server:
        measuring = Measuring(server, lambda _: pytest.fail("nobody is told any more"))
        measuring.want(AGENT, [asking()])
        await rest()
        await measuring.close()
        assert server.now == 0
