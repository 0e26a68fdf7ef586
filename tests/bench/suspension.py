"""How fast an order takes rights away: from one of ten thousand agents, and from a thousand at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from aiagent_operator.api import meta
from bench import agents
from bench.fleet import Fleet
from bench.load import Client, Outcome
from bench.stats import Figure, Run, percentile
from bench.straight import Template, model
from bench.watcher import Agent, granted, ready, say
from support import chart
from support.agents import order
from support.kube import wait_for
from support.localcluster.audit import AuditEvent
from support.operator import OperatorProcess

MANY, EACH = 1000, 20
CONNECTIONS = (32, 64, 128)
BINDINGS = "rolebindings"


def latency(fleet: Fleet, wanted: Sequence[Agent], runs: int) -> Figure:
    """Figure suspend_latency, in a fleet that is onboarded and at rest; the agents that it takes stay suspended."""
    client = Client(fleet.account())
    template = Template.read(fleet.admin, *wanted[-1])
    fleet.namespaces(["single"])
    measured: list[Run] = []
    every: list[float] = []
    step = max(1, len(wanted) // (runs * EACH))
    for number in range(runs):
        say(f"suspend_latency: run {number + 1} of {runs}")
        chosen = [wanted[(number * EACH + index) * step] for index in range(EACH)]
        mark = fleet.plane.audit_mark()
        for name, where in chosen:
            _order(fleet, "Suspend", where, f"stop-{name}", agentRef={"name": name})
            binding = (agents.VERSIONS[BINDINGS], BINDINGS, meta.account_name(name))
            fleet.admin.wait_gone(*binding, namespace=where)
        taken = _taken(fleet.plane.audit(mark), chosen)
        singles = _deletions(client, template, [(f"single-{number}-{i}", "single") for i in range(EACH)], connections=1)
        every += taken
        measured.append(Run(percentile(taken, 0.5), 1000 * percentile(singles.latencies, 0.5)))
    return Figure(
        "suspend_latency",
        "ms",
        "one deletion of a RoleBinding by the operator's account, made straight",
        tuple(measured),
        {
            "orders": len(every),
            "agents": len(wanted),
            "from": "the answer to the order's POST to the answer to the deletion of the binding (audit log)",
            "p99_ms": round(percentile(every, 0.99), 1),
        },
    )


def many(runs: int, *, count: int = MANY) -> Figure:
    """Figure suspend_1000: one order with a selector, in one namespace."""
    measured: list[Run] = []
    search: dict[str, float] = {}
    with Fleet() as fleet:
        template = model(fleet)
        client = Client(fleet.account())
        wanted = agents.spread(count, 1, "crowd")
        home = wanted[0][1]
        fleet.namespaces([home, "straight"])
        operator = fleet.operator()
        fleet.onboard(operator, wanted)
        rates = {
            n: _deletions(client, template, [(f"by{n}-{i}", "straight") for i in range(count)], connections=n).seconds
            for n in CONNECTIONS
        }
        best = min(rates, key=lambda n: rates[n])
        search = {str(n): round(seconds, 2) for n, seconds in rates.items()}
        for number in range(runs):
            say(f"suspend_1000: run {number + 1} of {runs}")
            own = [(f"run{number}-{i}", "straight") for i in range(count)]
            limit = _deletions(client, template, own, connections=best).seconds
            mark = fleet.plane.audit_mark()
            about = {"selector": {"matchLabels": agents.LABELS}}
            _order(fleet, "Suspend", home, f"stop-{number}", **about)
            wait_for(lambda: not _bound(fleet, home), what="all rights to be gone", timeout=300)
            taken = _taken(fleet.plane.audit(mark), wanted)
            measured.append(Run(max(taken) / 1000, limit))
            say(f"  {max(taken) / 1000:.1f} s, straight {limit:.1f} s")
            operator.until_idle(seconds=300)
            _resume(fleet, operator, wanted, f"go-on-{number}", about)
    return Figure(
        "suspend_1000",
        "s",
        f"the deletions of {count} RoleBindings by the operator's account, made straight ({best} connections)",
        tuple(measured),
        {"agents": count, "straight_seconds_by_connections": search},
    )


def _resume(
    fleet: Fleet, operator: OperatorProcess, wanted: Sequence[Agent], name: str, about: Mapping[str, Any]
) -> None:
    """Lets all agents work again, and waits until they do."""
    with fleet.watching(lambda agent: ready(agent) and granted(agent)) as back:
        _order(fleet, "Resume", wanted[0][1], name, **about)
        back.wait(wanted, what="resumed", operator=operator)
    operator.until_idle(seconds=300)


def _order(fleet: Fleet, action: str, namespace: str, name: str, **spec: Any) -> None:
    fleet.admin.create(order(namespace, name, action, fleet.admin.whoami(), **spec))


def _bound(fleet: Fleet, namespace: str) -> bool:
    """Whether a binding is left in a namespace; a page of one, since a list of all would be a load of its own."""
    path = agents.COLLECTIONS[BINDINGS].format(namespace)
    return bool(fleet.admin.raw("GET", path, params={"limit": "1"})["items"])


def _deletions(client: Client, template: Template, own: Sequence[Agent], *, connections: int) -> Outcome:
    """Makes a Role and a RoleBinding for each, and measures the deletion of the RoleBindings."""
    client.send(template.rights(client, own), connections=CONNECTIONS[-1])
    paths = [f"{agents.COLLECTIONS[BINDINGS].format(where)}/{meta.account_name(name)}" for name, where in own]
    return client.send((client.request("DELETE", path, {}) for path in paths), connections=connections)


def _taken(events: Iterable[AuditEvent], wanted: Sequence[Agent]) -> list[float]:
    """Milliseconds from the answer to the order that came before to the answer to each binding's deletion."""
    bindings = {(where, meta.account_name(name)) for name, where in wanted}
    ordered: datetime | None = None
    taken = []
    for event in sorted(events, key=lambda e: e.answered):
        if event.code >= 400:
            continue
        if (event.resource, event.verb) == ("agentactions", "create"):
            ordered = datetime.fromisoformat(event.answered)
        gone = (event.resource, event.verb, event.user) == (BINDINGS, "delete", chart.USERNAME)
        if gone and ordered and (event.namespace, event.name) in bindings:
            taken.append((datetime.fromisoformat(event.answered) - ordered).total_seconds() * 1000)
    if len(taken) != len(wanted):
        raise AssertionError(f"{len(wanted)} agents lost their rights, but the audit log tells of {len(taken)}")
    return taken
