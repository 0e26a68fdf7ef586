"""What telling the journals costs: the same onboardings with and without, beside the same records put straight."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import uvloop

from aiagent_operator.core.journal.head import path
from bench import agents
from bench.fleet import Fleet
from bench.process import cpu_seconds
from bench.stats import Figure, Run
from bench.watcher import say
from support.archive import directory

# Journals that are written to at once, each record after the one before: as many as the operator's writes.
_AT_ONCE = 64


@dataclass
class _Taken:
    """What onboarding some agents took: agents a second, CPU of the operator until all was told, and records."""

    rate: float
    cpu: float
    journals: list[list[bytes]] = field(default_factory=list)

    @property
    def events(self) -> int:
        """Records of all journals."""
        return sum(map(len, self.journals))


def cost(runs: int, *, count: int = 1000, namespaces: int = 100) -> Figure:
    """Figure journal_cost: CPU of the operator for an event, of which the limit is that of a straight put."""
    measured: list[Run] = []
    rates: list[tuple[float, float]] = []
    puts: list[float] = []
    events = 0.0
    for number in range(runs):
        say(f"journal_cost: run {number + 1} of {runs}")
        with Fleet() as fleet:
            bare = _onboarded(fleet, "bare", count, namespaces, journal=False)
            told = _onboarded(fleet, "told", count, namespaces, journal=True)
        cpu, seconds = _straight(told.journals)
        events = told.events / count
        measured.append(Run((told.cpu - bare.cpu) / told.events * 1000, cpu / told.events * 1000))
        rates.append((told.rate, bare.rate))
        puts.append(told.events / seconds)
        say(f"  agents/s: with journal {told.rate:.1f}, without {bare.rate:.1f}; {events:.1f} events an agent")
    return Figure(
        "journal_cost",
        "ms CPU/event",
        f"the same records created straight in a directory, {_AT_ONCE} journals at once",
        tuple(measured),
        {
            "agents": count,
            "events_per_agent": round(events, 2),
            "agents_per_second with and without": [(round(a, 1), round(b, 1)) for a, b in rates],
            "straight_records_per_second": [round(rate) for rate in puts],
        },
    )


def _onboarded(fleet: Fleet, prefix: str, count: int, namespaces: int, *, journal: bool) -> _Taken:
    wanted = agents.spread(count, namespaces, prefix)
    fleet.namespaces(where for _, where in wanted)
    operator = fleet.operator() if journal else fleet.operator(archive_file="")
    used = cpu_seconds(operator.pid)
    seconds = fleet.onboard(operator, wanted)
    taken = _Taken(count / seconds, cpu_seconds(operator.pid) - used)
    operator.terminate()
    if journal:
        taken.journals = fleet.archive.all()
        if len(taken.journals) < count:
            raise AssertionError(f"{count} agents are onboarded, and there are {len(taken.journals)} journals")
    return taken


def _straight(journals: Sequence[list[bytes]]) -> tuple[float, float]:
    """CPU seconds and seconds that putting the records takes."""
    with tempfile.TemporaryDirectory(prefix="aiagent-journals-") as folder:

        async def put() -> tuple[float, float]:
            store = directory(Path(folder))
            slots = asyncio.Semaphore(_AT_ONCE)

            async def one(number: int, records: list[bytes]) -> None:
                async with slots:
                    for sequence, raw in enumerate(records, 1):
                        await store.create(path(str(number), sequence), raw)

            cpu, began = time.process_time(), time.perf_counter()
            await asyncio.gather(*(one(number, records) for number, records in enumerate(journals)))
            taken = time.process_time() - cpu, time.perf_counter() - began
            await store.close()
            return taken

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(put())
