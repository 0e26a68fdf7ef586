"""What plans and promises cost a fleet at rest, and how fast a fleet is trained."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from aiagent_operator.core.retraining.report import LONGEST
from bench import agents
from bench.fleet import WORKING, Fleet
from bench.load import Client
from bench.process import cpu_seconds, memory_mb
from bench.replay import Replay
from bench.scale import BATCH, IDLE_SECONDS, NAMESPACES, TOTAL
from bench.stats import Figure, Run, percentile
from bench.watcher import Agent, say
from support import chart
from support.agents import policy
from support.kube import Object
from support.localcluster.audit import MUTATING, AuditEvent
from support.operator import OperatorProcess, total

IDLE_NAMES = ("schedule_idle_cost", "schedule_idle_memory")
# Agents of a fleet at rest, and those that are trained in a run; fewer for a try.
SIZE = int(os.environ.get("BENCH_AGENTS", str(TOTAL)))
TRAINED = int(os.environ.get("BENCH_TRAINED", "300"))
CONNECTIONS = (32, 64, 128)
POLICY = "bench-training"


# At rest --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Rest:
    """An operator that has looked at everything and has nothing to do: cores, MB, seconds of CPU for one look."""

    cores: float
    memory: float
    look: float


def idle(names: Sequence[str], runs: int) -> Iterator[Figure]:
    """Figures schedule_idle_cost and schedule_idle_memory: the same fleet, first without plans and then with them."""
    with Fleet() as fleet:
        wanted = agents.spread(SIZE, min(NAMESPACES, SIZE), "fleet")
        fleet.namespaces(where for _, where in wanted)
        operator = fleet.operator()
        for start in range(0, len(wanted), BATCH):
            fleet.onboard(operator, wanted[start : start + BATCH])
            say(f"  {min(start + BATCH, SIZE)} of {SIZE} agents are there")
        operator.terminate()
        bare = _at_rest(fleet, "without plans")
        _plan(fleet, wanted)
        planned = _at_rest(fleet, "with plans")
    # Each agent is looked at again after some hours, whatever its plan is: too rare to be seen here, so it is added.
    looks = len(wanted) / LONGEST.total_seconds() * planned.look
    yield Figure(
        IDLE_NAMES[0],
        "cores",
        "the same fleet without plans, in the same run",
        (Run(planned.cores + looks, bare.cores),),
        {
            "agents": SIZE,
            "seconds": IDLE_SECONDS,
            "measured": round(planned.cores, 5),
            f"a look at each agent every {LONGEST}": round(looks, 5),
            "ms CPU of a look": round(planned.look * 1000, 2),
        },
    )
    yield Figure(
        IDLE_NAMES[1],
        "MB",
        "the same fleet without plans, in the same run",
        (Run(planned.memory, bare.memory),),
        {"agents": SIZE, "kB an agent more": round((planned.memory - bare.memory) * 1000 / SIZE, 2)},
    )


def _plan(fleet: Fleet, wanted: Sequence[Agent]) -> None:
    """A plan and a promise for each, some days from now, and a policy with windows for all."""
    days = [(datetime.now(UTC) + timedelta(days=number)).strftime("%a").upper() for number in (2, 3, 4)]
    zones = ("Europe/Zurich", "America/New_York", "Asia/Kolkata", "UTC")

    def retraining(index: int) -> Object:
        schedule = f"{index % 60} {index % 24} * * {days[index % len(days)]}"
        plan = {"schedule": schedule, "timeZone": zones[index % len(zones)], "spread": "2h", "maxAge": "240h"}
        return {"retraining": plan | {"jobTemplate": agents.job_template()}}

    nights = {"name": "nights", "kind": "Allow", "schedule": "0 22 * * *", "duration": "8h"}
    rules: Object = {"maxConcurrent": 50, "maxAge": "720h", "windows": [nights]}
    fleet.admin.create(policy(POLICY, {}, **rules))
    operator = fleet.operator()
    with fleet.watching(lambda agent: "due" in ((agent.get("status") or {}).get("training") or {})) as told:
        fleet.change((agent, retraining(index)) for index, agent in enumerate(wanted))
        told.wait(wanted, what="planned", operator=operator)
    operator.until_idle(seconds=600)
    operator.terminate()


def _at_rest(fleet: Fleet, what: str) -> _Rest:
    """A fresh process, so that what it did before does not count; then what one look at an agent costs."""
    operator = fleet.operator()
    operator.until_idle(seconds=600)
    time.sleep(10)  # the first collection of garbage, and the first scan
    say(f"{SIZE} agents {what}, at rest for {IDLE_SECONDS:.0f} s (BENCH_IDLE)")
    used, began, memory = cpu_seconds(operator.pid), time.monotonic(), []
    while (left := began + IDLE_SECONDS - time.monotonic()) > 0:
        time.sleep(min(left, 10.0))
        memory.append(memory_mb(operator.pid)[0])
    cores = (cpu_seconds(operator.pid) - used) / (time.monotonic() - began)
    look = _look(fleet, operator) if fleet.admin.find(*_KIND, POLICY) else 0.0
    operator.terminate()
    say(f"  {cores:.4f} cores, {percentile(memory, 0.5):.1f} MB")
    return _Rest(cores, percentile(memory, 0.5), look)


_KIND = ("workforce.dev/v1alpha1", "agentpolicies")


def _look(fleet: Fleet, operator: OperatorProcess) -> float:
    """CPU seconds of a look at an agent of which nothing has changed: a change of their policy brings one to all."""
    before, used = total(operator.metrics(), "aiagent_reconcile_total"), cpu_seconds(operator.pid)
    fleet.admin.patch(*_KIND, POLICY, {"spec": {"maxConcurrent": 51}})
    fleet.admin.wait_for(
        lambda: total(operator.metrics(), "aiagent_reconcile_total") - before >= SIZE,
        what="a look at every agent",
        timeout=600,
    )
    operator.until_idle(seconds=600)
    passes = total(operator.metrics(), "aiagent_reconcile_total") - before
    return (cpu_seconds(operator.pid) - used) / passes


# Trained --------------------------------------------------------------------------------------------------------------


def trained(runs: int, *, count: int = TRAINED, namespaces: int = 10) -> Figure:
    """Figure retraining_throughput: as many agents as `count` are due at the same minute."""
    measured: list[Run] = []
    alone: list[float] = []
    cpu: list[float] = []
    writes: dict[str, float] = {}
    with Fleet(controllers=WORKING, pods=True) as fleet:
        replay = Replay.record(fleet)
        search = {
            n: _straight(fleet, replay, f"by{n}", count=max(50, count // 4), namespaces=namespaces, connections=n)
            for n in CONNECTIONS
        }
        best = max(search, key=lambda n: search[n])
        for number in range(runs):
            say(f"retraining_throughput: run {number + 1} of {runs}")
            straight = partial(_straight, fleet, replay, count=count, namespaces=namespaces, connections=best)
            before = straight(f"before{number}")
            rate, used, writes = _by_operator(fleet, f"while{number}", count, namespaces)
            after = straight(f"after{number}")
            alone.append(straight(f"alone{number}", waiting=False))
            measured.append(Run(rate, max(before, after)))
            cpu.append(used)
            say(f"  retrainings/s: operator {rate:.2f}, straight {before:.2f} and {after:.2f}")
    return Figure(
        "retraining_throughput",
        "retrainings/s",
        "the same writes sent straight with the operator's account, those after a Job's end as soon as it has ended "
        f"({best} connections were best)",
        tuple(measured),
        {
            "agents": count,
            "writes": round(sum(writes.values()), 2),
            "operator_writes_per_retraining": {name: round(each, 2) for name, each in writes.items()},
            "straight_writes_per_retraining": replay.writes,
            "straight_without_waiting_for_jobs": [round(rate, 2) for rate in alone],
            "operator_cpu_ms_per_retraining": [round(each, 1) for each in cpu],
            "straight_by_connections": {str(n): round(rate, 2) for n, rate in search.items()},
        },
    )


def _onboarded(fleet: Fleet, prefix: str, count: int, namespaces: int) -> tuple[OperatorProcess, list[Agent]]:
    """Agents that say how they are trained, and not when; with the operator that has onboarded them."""
    wanted = agents.spread(count, namespaces, prefix)
    fleet.namespaces(where for _, where in wanted)
    operator = fleet.operator()
    fleet.onboard(operator, wanted, retraining={"jobTemplate": agents.job_template()})
    return operator, wanted


def _straight(
    fleet: Fleet,
    replay: Replay,
    prefix: str,
    *,
    count: int,
    namespaces: int,
    connections: int,
    waiting: bool = True,
) -> float:
    """Retrainings per second without an operator, from the first write to the answer to the last one."""
    operator, wanted = _onboarded(fleet, prefix, count, namespaces)
    operator.terminate()
    return count / replay.play(fleet, Client(fleet.account()), wanted, connections=connections, waiting=waiting)


def _by_operator(fleet: Fleet, prefix: str, count: int, namespaces: int) -> tuple[float, float, dict[str, float]]:
    """(retrainings per second, the operator's CPU in ms for each, its writes for each by verb and resource).

    From the due time of all to the answer to the operator's last write about them.
    """
    operator, wanted = _onboarded(fleet, prefix, count, namespaces)
    mark = fleet.plane.audit_mark()
    used = cpu_seconds(operator.pid)
    due = fleet.train(operator, wanted)
    used = cpu_seconds(operator.pid) - used
    inside = {where for _, where in wanted}
    events = [
        event
        for event in fleet.plane.audit(mark, user=chart.USERNAME, verbs=MUTATING)
        if event.namespace in inside and datetime.fromisoformat(event.received) >= due
    ]
    operator.terminate()
    last = max(datetime.fromisoformat(event.answered) for event in events)
    return count / (last - due).total_seconds(), used / count * 1000, _counted(events, count)


def _counted(events: Sequence[AuditEvent], count: int) -> dict[str, float]:
    counts: Counter[str] = Counter()
    for event in events:
        resource = f"{event.resource}/{event.subresource}" if event.subresource else event.resource
        refused = "" if event.code < 400 else f" ({event.code})"
        counts[f"{event.verb} {resource}{refused}"] += 1
    return {name: number / count for name, number in sorted(counts.items())}
