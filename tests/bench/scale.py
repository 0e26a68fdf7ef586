"""A fleet of ten thousand: what its growth, its rest and a restart cost."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench import agents, suspension
from bench.fleet import Fleet
from bench.process import cpu_seconds, memory_mb
from bench.stats import Figure, Run, percentile
from bench.watcher import Agent, say
from support import chart
from support.localcluster.audit import MUTATING
from support.operator import OperatorProcess

TOTAL, NAMESPACES, BATCH = 10_000, 1000, 1000
# Sizes of the fleet at which the cost of the next thousand is compared; with the number that is there already.
GROWTH = (0, 4000, 9000)
IDLE_SECONDS = float(os.environ.get("BENCH_IDLE", "600"))
NAMES = ("cost_growth", "memory_10k_mb", "idle_cpu_10k", "idle_writes_10k", "restart_10k", "suspend_latency")
# Most that is aimed at: megabytes in memory, cores at rest, CPU time of an agent relative to a small fleet's.
_MEMORY_TARGET, _IDLE_TARGET = 350.0, 0.01


@dataclass
class Grown:
    """What the growth of the fleet cost, by its size before each thousand."""

    cpu_ms: dict[int, float] = field(default_factory=dict)
    seconds: dict[int, float] = field(default_factory=dict)
    memory: dict[int, float] = field(default_factory=dict)


def measure(names: Sequence[str], runs: int, *, total: int = TOTAL, namespaces: int = NAMESPACES) -> Iterator[Figure]:
    """The figures among NAMES that are asked for, all from one fleet, each as soon as it is known."""
    with Fleet() as fleet:
        wanted = agents.spread(total, namespaces, "fleet")
        fleet.namespaces(where for _, where in wanted)
        operator = fleet.operator()
        grown = _grow(fleet, operator, wanted)
        if "cost_growth" in names:
            yield _growth(grown, _crowded())
        if {"memory_10k_mb", "idle_cpu_10k", "idle_writes_10k"} & set(names):
            yield from _rest(fleet, operator, total)
        # Before the suspensions: they take bindings away, and the watches alone wait for all that there is.
        if "restart_10k" in names:
            yield _restart(fleet, operator, runs, total)
            fleet.operator().until_idle(seconds=300)
        if "suspend_latency" in names:
            yield suspension.latency(fleet, wanted, runs)


# Growth --------------------------------------------------------------------------------------------------------------


def _grow(fleet: Fleet, operator: OperatorProcess, wanted: Sequence[Agent]) -> Grown:
    """Onboards everything, a thousand at a time, through the operator itself."""
    grown = Grown()
    for start in range(0, len(wanted), BATCH):
        batch = wanted[start : start + BATCH]
        grown.cpu_ms[start], grown.seconds[start] = _batch(fleet, operator, batch)
        grown.memory[start + len(batch)] = memory_mb(operator.pid)[0]
        say(
            f"  {start + len(batch)} agents: {len(batch) / grown.seconds[start]:.1f} agents/s, operator "
            f"{grown.cpu_ms[start]:.1f} ms CPU an agent, {grown.memory[start + len(batch)]:.0f} MB"
        )
    return grown


def _batch(fleet: Fleet, operator: OperatorProcess, batch: Sequence[Agent]) -> tuple[float, float]:
    """(operator's CPU in ms for each agent until all are Ready, seconds until all are onboarded)."""
    used = cpu_seconds(operator.pid)
    seconds = fleet.onboard(operator, batch)
    return (cpu_seconds(operator.pid) - used) / len(batch) * 1000, seconds


def _crowded() -> float:
    """CPU in ms for each of a thousand agents in one namespace."""
    say("cost_growth: a thousand agents in one namespace")
    with Fleet() as fleet:
        wanted = agents.spread(BATCH, 1, "crowded")
        fleet.namespaces(where for _, where in wanted)
        return _batch(fleet, fleet.operator(), wanted)[0]


def _growth(grown: Grown, crowded: float) -> Figure:
    """The last thousand of ten against the first."""
    first, last = min(grown.cpu_ms), max(grown.cpu_ms)
    picked = {str(size + BATCH): round(grown.cpu_ms[size], 2) for size in GROWTH if size in grown.cpu_ms}
    total = sum(grown.cpu_ms.values()) / len(grown.cpu_ms)
    return Figure(
        "cost_growth",
        "ms CPU/agent",
        "the cost of each of the first thousand agents, in the same run",
        (Run(grown.cpu_ms[last], grown.cpu_ms[first]),),
        {
            "the thousand up to": picked,
            "mean of all": round(total, 2),
            "each thousand": [round(cost, 2) for cost in grown.cpu_ms.values()],
            "a thousand in one namespace": round(crowded, 2),
            "memory_mb by agents": {str(size): round(value) for size, value in grown.memory.items()},
        },
    )


# Rest ----------------------------------------------------------------------------------------------------------------


def _rest(fleet: Fleet, operator: OperatorProcess, total: int) -> list[Figure]:
    """Memory, CPU and writes of an operator with nothing to do."""
    say(f"a fleet of {total} at rest for {IDLE_SECONDS:.0f} s (BENCH_IDLE)")
    mark = fleet.plane.audit_mark()
    used, began, memory = cpu_seconds(operator.pid), time.monotonic(), []
    windows: list[float] = []
    while (left := began + IDLE_SECONDS - time.monotonic()) > 0:
        before, at = cpu_seconds(operator.pid), time.monotonic()
        time.sleep(min(left, 30.0))
        windows.append((cpu_seconds(operator.pid) - before) / (time.monotonic() - at))
        memory.append(memory_mb(operator.pid)[0])
    cores = (cpu_seconds(operator.pid) - used) / (time.monotonic() - began)
    events = fleet.plane.audit(mark, user=chart.USERNAME, verbs=MUTATING)
    # The Lease is renewed every two seconds whether there are agents or none.
    writes = [event for event in events if event.resource != "leases"]
    shown = sorted({f"{e.verb} {e.resource} {e.namespace}/{e.name}" for e in writes})[:5]
    peak = memory_mb(operator.pid)[1]
    return [
        Figure(
            "memory_10k_mb",
            "MB",
            "what is aimed at: 350 MB resident",
            tuple(Run(value, _MEMORY_TARGET) for value in memory[-5:]),
            {"agents": total, "peak_mb": round(peak, 1)},
        ),
        Figure(
            "idle_cpu_10k",
            "cores",
            "what is aimed at: a hundredth of a core",
            (Run(cores, _IDLE_TARGET),),
            {
                "seconds": IDLE_SECONDS,
                "busiest 30 s": round(max(windows), 5),
                "median 30 s": round(percentile(windows, 0.5), 5),
            },
        ),
        Figure(
            "idle_writes_10k",
            "writes",
            "none",
            (Run(float(len(writes))),),
            {"seconds": IDLE_SECONDS, "lease_renewals": len(events) - len(writes), "examples": shown},
        ),
    ]


# Restart -------------------------------------------------------------------------------------------------------------


def _restart(fleet: Fleet, operator: OperatorProcess, runs: int, total: int) -> Figure:
    """From the start of a process to all agents looked at once, against the watches alone."""
    operator.terminate()
    measured: list[Run] = []
    writes = 0
    passes: list[float] = []
    memory: list[float] = []
    for number in range(runs):
        say(f"restart_10k: run {number + 1} of {runs}")
        limit = _watches_alone(fleet, total)
        mark = fleet.plane.audit_mark()
        seconds, looked, peak = _restarted(fleet, total)
        events = fleet.plane.audit(mark, user=chart.USERNAME, verbs=MUTATING)
        writes += sum(event.resource != "leases" for event in events)
        passes.append(looked)
        memory.append(peak)
        measured.append(Run(seconds, limit))
        say(f"  restart {seconds:.1f} s, the watches alone {limit:.1f} s")
    return Figure(
        "restart_10k",
        "s",
        "the watches alone, in a process of their own: kopf with an empty handler for the agents, and at the same time "
        "a bare paged LIST of the children, decoded",
        tuple(measured),
        {"agents": total, "writes": writes, "passes": passes, "peak_mb": [round(value) for value in memory]},
    )


def _restarted(fleet: Fleet, total: int) -> tuple[float, float, float]:
    """(seconds until all agents were looked at and nothing is queued, passes made, peak memory in MB)."""
    began = time.monotonic()
    operator = fleet.operator(ready=False)
    passes = 0.0
    while True:
        if not operator.running():
            raise RuntimeError(f"the operator ended; its log ends with\n{operator.tail()}")
        if operator.probe()[0] == 200:
            metrics = operator.metrics()
            passes = sum(value for (name, _), value in metrics.items() if name == "aiagent_reconcile_total")
            waiting = sum(metrics.get((name, ()), 0) for name in ("aiagent_queue_depth", "aiagent_queue_working"))
            if metrics.get(("aiagent_synced", ())) == 1 and passes >= total and not waiting:
                break
        time.sleep(0.1)
    seconds = time.monotonic() - began
    peak = memory_mb(operator.pid)[1]
    operator.terminate()
    return seconds, passes, peak


def _watches_alone(fleet: Fleet, total: int) -> float:
    """Seconds that the watches alone take, from the start of their process to the last object."""
    command = [sys.executable, "-m", "bench.baseline", str(fleet.account()), str(total), str(total * agents.CHILDREN)]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    began = time.monotonic()
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            seconds = time.monotonic() - began
        finally:
            process.kill()
    if line.strip() != "done":
        raise RuntimeError(f"the watches alone ended with {process.returncode} before they had seen everything")
    return seconds
