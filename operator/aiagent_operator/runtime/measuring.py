"""Asks Prometheus for runs of evaluations and about drift, beside the passes: no slow server holds up an agent.

A pass says what is due. The answers are there at the next one, which the first of them brings about. Nothing is kept
beyond that: what a crash loses is asked again.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Final

from aiagent_operator.api.agentevaluation import Measurement
from aiagent_operator.core.evaluation.asking import AskedFor, Asking, Measured
from aiagent_operator.runtime.prometheus import Prometheus
from aiagent_operator.runtime.store import AgentKey

log = logging.getLogger(__name__)

AT_ONCE: Final = 16
"""Runs of which one server is asked at the same time; its others wait, which counts in no time limit."""


class Measuring:
    """What is being asked for agents, and the answers that no pass has used yet. `tell` brings a pass about."""

    def __init__(self, prometheus: Prometheus, tell: Callable[[AgentKey], None]) -> None:
        self.prometheus, self._tell = prometheus, tell
        self._tasks: dict[AgentKey, dict[str, asyncio.Task[None]]] = {}
        self._answers: dict[AgentKey, dict[AskedFor, Measurement]] = {}
        self._slots: dict[str | None, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(AT_ONCE))

    def answers(self, agent: AgentKey) -> Measured:
        """What was answered for the agent's runs, by what was asked."""
        return self._answers.get(agent, {})

    def want(self, agent: AgentKey, asked: Iterable[Asking]) -> None:
        """From now on this is wanted of the agent, and nothing else: the rest is forgotten, or not asked any more."""
        wanted = {each.uid: each for each in asked}
        keys = frozenset(key for each in wanted.values() for key in each.known_by())
        tasks = self._tasks.pop(agent, {})
        for uid, task in tasks.items():
            if uid not in wanted:
                task.cancel()
        going = {uid: task for uid, task in tasks.items() if uid in wanted and not task.done()}
        kept = {key: found for key, found in self._answers.pop(agent, {}).items() if key in keys}
        for uid, each in wanted.items():
            if uid not in going and not each.known_by() <= kept.keys():
                going[uid] = asyncio.create_task(self._ask(agent, each), name=f"evaluation {uid}")
        if going:
            self._tasks[agent] = going
        if kept:
            self._answers[agent] = kept

    async def close(self) -> None:
        """Asks nothing any more."""
        tasks = [task for tasks in self._tasks.values() for task in tasks.values()]
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask(self, agent: AgentKey, asking: Asking) -> None:
        """All that is due of one run at the same time, so that it is written down together."""

        async def one(key: AskedFor) -> None:
            metric = metrics[key]
            found[key] = await self.prometheus.measure(metric, asking.names, address=asking.address)

        metrics = {(asking.uid, metric.name, number): metric for metric, number in asking.metrics}
        found: dict[AskedFor, Measurement] = {}
        try:
            async with self._slots[asking.address]:
                await asyncio.gather(*map(one, metrics))
        except Exception:
            # A bug: whatever can go wrong with an answer is a measurement that says so. The agent's pass asks again.
            log.exception("measuring for AIAgent %s/%s failed", agent.namespace, agent.name)
            await asyncio.sleep(AT_ONCE)
        self._answers.setdefault(agent, {}).update(found)
        self._tell(agent)
