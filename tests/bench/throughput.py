"""Onboarding: agents per second against the straight-write limit, and the writes that each agent takes."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import uvloop

from bench import agents, straight
from bench.fleet import Fleet
from bench.load import Client
from bench.process import cpu_seconds
from bench.stats import Figure, Run
from bench.watcher import Agent, granted, say
from support import chart
from support.localcluster.audit import MUTATING

CONNECTIONS = (16, 32, 64, 128, 200)
# Connections by which the agents themselves are applied.
APPLIED = 32


@dataclass
class Measured:
    """What the runs yielded."""

    runs: list[Run] = field(default_factory=list)
    children_alone: list[float] = field(default_factory=list)
    waiting: list[float] = field(default_factory=list)
    masters: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    writes: list[dict[str, float]] = field(default_factory=list)
    best: int = 0
    search: dict[str, float] = field(default_factory=dict)


def measure(runs: int, *, count: int = 1000, namespaces: int = 100) -> list[Figure]:
    """Figures onboarding_throughput and onboarding_writes_per_agent."""
    measured = Measured()
    for number in range(runs):
        say(f"onboarding_throughput: run {number + 1} of {runs}")
        with Fleet() as fleet:
            _run(fleet, measured, count, namespaces)
    return _figures(measured, count, namespaces)


def _run(fleet: Fleet, measured: Measured, count: int, namespaces: int) -> None:
    account = Client(fleet.account())
    straightly = _Straight(fleet, account, straight.model(fleet), count, namespaces)
    if not measured.best:
        rates = {number: straightly.children(f"by{number}", number) for number in CONNECTIONS}
        measured.best = max(rates, key=lambda number: rates[number])
        measured.search = {str(number): round(rate, 1) for number, rate in rates.items()}
        say(f"  straight, agents/s by connections: {measured.search}")
    before = straightly.all("before", measured.best)
    onboarded = _operator(fleet, measured, count, namespaces)
    after = straightly.all("after", measured.best)
    measured.runs.append(Run(onboarded, max(before, after)))
    alone = straightly.children("alone", measured.best)
    measured.children_alone.append(alone)
    say(f"  agents/s: operator {onboarded:.1f}, straight {before:.1f} and {after:.1f}, children alone {alone:.1f}")
    if not measured.masters:  # reported beside the figure, so once is enough
        masters = _Straight(fleet, fleet.load, straightly.template, count, namespaces)
        measured.masters.append(masters.children("masters", measured.best, disguise=straight.DISGUISED))


@dataclass(frozen=True)
class _Straight:
    """The straight writes of a run; each of them into namespaces of its own. Rates are in agents/s."""

    fleet: Fleet
    client: Client
    template: straight.Template
    count: int
    namespaces: int

    def all(self, prefix: str, connections: int) -> float:
        """The AIAgents, as they are applied to the operator, and at the same time all that an onboarding makes."""
        wanted = self._wanted(prefix)
        requests, applied = self.template.requests(self.client, wanted), self.fleet.requests(wanted)

        async def both() -> float:
            began = time.perf_counter()
            await asyncio.gather(
                self.client.sending(requests, connections=connections),
                self.fleet.load.sending(applied, connections=APPLIED),
            )
            return time.perf_counter() - began

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            seconds = runner.run(both())
        self.fleet.forget(wanted)
        self.fleet.clear({where for _, where in wanted})
        return self.count / seconds

    def children(self, prefix: str, connections: int, **options: Any) -> float:
        """The children alone, as if the agents had been there before."""
        wanted = self._wanted(prefix)
        requests = self.template.requests(self.client, wanted, **options)
        outcome = self.client.send(requests, connections=connections)
        self.fleet.clear({where for _, where in wanted})
        return self.count / outcome.seconds

    def _wanted(self, prefix: str) -> Sequence[Agent]:
        wanted = agents.spread(self.count, self.namespaces, prefix)
        self.fleet.namespaces(where for _, where in wanted)
        return wanted


def _operator(fleet: Fleet, measured: Measured, count: int, namespaces: int) -> float:
    """Agents per second with the operator at work while they are applied, from the first POST to the last status."""
    operator = fleet.operator()
    wanted = agents.spread(count, namespaces, "while")
    fleet.namespaces(where for _, where in wanted)
    mark = fleet.plane.audit_mark()
    used = cpu_seconds(operator.pid)
    seconds = fleet.onboard(operator, wanted)
    measured.cpu.append((cpu_seconds(operator.pid) - used) / count * 1000)
    measured.writes.append(_writes(fleet, mark, wanted))
    _complete(fleet, wanted)
    operator.terminate()
    if not measured.waiting:
        measured.waiting.append(_waiting(fleet, count, namespaces))
    return count / seconds


def _waiting(fleet: Fleet, count: int, namespaces: int) -> float:
    """The same with all agents there when the operator starts, from its start on."""
    wanted = agents.spread(count, namespaces, "waiting")
    fleet.namespaces(where for _, where in wanted)
    fleet.apply(wanted)
    with fleet.watching(granted) as watcher:
        began = time.monotonic()
        operator = fleet.operator(ready=False)
        seconds = watcher.wait(wanted, what="onboarded", operator=operator) - began
    operator.terminate()
    return count / seconds


def _complete(fleet: Fleet, wanted: Sequence[Agent]) -> None:
    counts = fleet.children({where for _, where in wanted})
    short = {kind: number for kind, number in counts.items() if number != len(wanted)}
    if short:
        raise AssertionError(f"{len(wanted)} agents are said to be onboarded, but there are {short}")


def _writes(fleet: Fleet, mark: int, wanted: Sequence[Agent]) -> dict[str, float]:
    """The operator's writes in these agents' namespaces, for each agent, by verb and resource."""
    inside = {where for _, where in wanted}
    counts: Counter[str] = Counter()
    for event in fleet.plane.audit(mark, user=chart.USERNAME, verbs=MUTATING):
        if event.namespace in inside:
            resource = f"{event.resource}/{event.subresource}" if event.subresource else event.resource
            refused = "" if event.code < 400 else f" ({event.code})"
            counts[f"{event.verb} {resource}{refused}"] += 1
    return {name: number / len(wanted) for name, number in sorted(counts.items())}


def _figures(measured: Measured, count: int, namespaces: int) -> list[Figure]:
    throughput = Figure(
        "onboarding_throughput",
        "agents/s",
        f"the same objects written straight: the AIAgents, and at the same time the {agents.CHILDREN} children of each "
        f"with the operator's account ({measured.best} connections were best)",
        tuple(measured.runs),
        {
            "agents": count,
            "namespaces": namespaces,
            "straight_children_alone": [round(rate, 1) for rate in measured.children_alone],
            "ratio_to_children_alone": [
                round(run.value / alone, 3) for run, alone in zip(measured.runs, measured.children_alone, strict=True)
            ],
            "straight_children_by_connections": measured.search,
            "straight_children_as_system_masters": [round(rate, 1) for rate in measured.masters],
            "agents_waiting_at_start": [round(rate, 1) for rate in measured.waiting],
            "operator_cpu_ms_per_agent until Ready": [round(cpu, 2) for cpu in measured.cpu],
        },
    )
    totals = [sum(writes.values()) for writes in measured.writes]
    writes = Figure(
        "onboarding_writes_per_agent",
        "writes",
        f"the {agents.CHILDREN} objects themselves",
        tuple(Run(total, agents.CHILDREN) for total in totals),
        {name: round(number, 3) for name, number in measured.writes[-1].items()},
    )
    return [throughput, writes]
