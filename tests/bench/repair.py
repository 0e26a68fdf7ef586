"""How long a child stays wrong that somebody deleted or edited, against the time of one write."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from aiagent_operator.api import meta
from bench import agents
from bench.fleet import Fleet
from bench.load import Client
from bench.stats import Figure, Run, percentile
from bench.straight import UNOWNED, Template, model
from bench.watcher import Agent, say
from support import chart
from support.kube import Kube, Object, wait_for
from support.localcluster.audit import AuditEvent

COUNT, NAMESPACES, ROUNDS = 200, 20, 10
# What somebody does to each kind: delete it (None), or a merge patch that changes what the operator owns.
HARM: tuple[tuple[str, Object | None], ...] = (
    ("serviceaccounts", None),
    ("roles", None),
    ("rolebindings", None),
    ("networkpolicies", None),
    ("configmaps", None),
    ("deployments", None),
    # Rules and subjects of agents' Roles and RoleBindings are not for others to change: a policy refuses that.
    ("serviceaccounts", {"metadata": {"labels": {meta.LABEL_MANAGED_BY: "somebody"}}}),
    ("roles", {"metadata": {"labels": {meta.LABEL_MANAGED_BY: "somebody"}}}),
    ("rolebindings", {"metadata": {"labels": {meta.LABEL_MANAGED_BY: "somebody"}}}),
    ("networkpolicies", {"spec": {"egress": []}}),
    ("deployments", {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 5}}}}),
)


@dataclass(frozen=True)
class Harmed:
    """A child that somebody changed."""

    resource: str
    namespace: str
    name: str
    deleted: bool


def measure(runs: int, *, count: int = COUNT, rounds: int = ROUNDS) -> list[Figure]:
    """Figure repair_latency."""
    with Fleet() as fleet:
        template = model(fleet)
        wanted = agents.spread(count, NAMESPACES, "fleet")
        fleet.namespaces([*(where for _, where in wanted), "single"])
        operator = fleet.operator()
        fleet.onboard(operator, wanted)
        client = Client(fleet.account())
        measured: list[Run] = []
        repairs: list[float] = []
        by_kind: dict[str, list[float]] = defaultdict(list)
        singles: list[float] = []
        for number in range(runs):
            say(f"repair_latency: run {number + 1} of {runs}")
            harmed, latencies, single = _run(fleet, client, template, wanted, number, rounds)
            repairs += latencies
            for harm, latency in zip(harmed, latencies, strict=True):
                by_kind[f"{harm.resource} {'deleted' if harm.deleted else 'edited'}"].append(latency)
            singles += single
            measured.append(Run(percentile(latencies, 0.99), percentile(single, 0.5)))
    beside = {
        "repairs": len(repairs),
        "p50_ms": round(percentile(repairs, 0.5), 1),
        "p99_ms of all": round(percentile(repairs, 0.99), 1),
        "single writes, p50 and p99_ms": [round(percentile(singles, share), 1) for share in (0.5, 0.99)],
        "median_ms by what was done": {name: round(percentile(each, 0.5), 1) for name, each in by_kind.items()},
        "longest_ms": round(max(repairs), 1),
    }
    text = "the median of single writes of the same kinds by the operator's account, made between the repairs"
    return [Figure("repair_latency", "ms (p99)", text, tuple(measured), beside)]


def _run(
    fleet: Fleet, client: Client, template: Template, wanted: Sequence[Agent], number: int, rounds: int
) -> tuple[list[Harmed], list[float], list[float]]:
    """(what was done, ms until each was repaired, ms of each single write)."""
    mark = fleet.plane.audit_mark()
    harmed: list[Harmed] = []
    single: list[float] = []
    for turn in range(rounds):
        own = [(f"single-{number}-{turn}", "single")]
        single += [
            1000 * t for t in client.send(template.requests(client, own, disguise=UNOWNED), connections=1).latencies
        ]
        for index, (resource, patch) in enumerate(HARM):
            agent = wanted[(turn * len(HARM) + index) % len(wanted)]
            harmed.append(_harm(fleet, resource, agent, patch))
    return harmed, _latencies(harmed, fleet.plane.audit(mark)), single


def _harm(fleet: Fleet, resource: str, agent: Agent, patch: Object | None) -> Harmed:
    """Does it, and waits until it is undone."""
    admin, version = fleet.admin, agents.VERSIONS[resource]
    name, namespace = agent
    child = _child(admin, resource, agent)
    its = child["metadata"]["name"]
    if patch is None:
        admin.delete(version, resource, its, namespace=namespace)
        after = ""
    else:
        after = admin.patch(version, resource, its, patch, namespace=namespace)["metadata"]["resourceVersion"]

    def repaired() -> bool:
        live = admin.find(version, resource, its, namespace=namespace)
        return live is not None and live["metadata"]["resourceVersion"] not in (
            after,
            child["metadata"]["resourceVersion"],
        )

    wait_for(repaired, what=f"{resource} {namespace}/{its} of {name} to be repaired")
    if resource == "deployments":
        fleet.complete([agent])
    return Harmed(resource, namespace, its, patch is None)


def _child(admin: Kube, resource: str, agent: Agent) -> Object:
    name, namespace = agent
    selector = f"{meta.LABEL_AGENT}={name}"
    found = admin.list(agents.VERSIONS[resource], resource, namespace=namespace, labels=selector)
    if len(found) != 1:
        raise AssertionError(f"agent {namespace}/{name} has {len(found)} {resource}, one is expected")
    return found[0]


def _latencies(harmed: Iterable[Harmed], events: Sequence[AuditEvent]) -> list[float]:
    """From the answer to the harmful write to the answer to the operator's write that undid it, in ms."""
    found = []
    for harm in harmed:
        where = (harm.resource, "", harm.namespace)
        mine = [e for e in events if (e.resource, e.subresource, e.namespace) == where and e.code < 300]
        verbs = {"delete"} if harm.deleted else {"patch"}
        done = next(e for e in mine if e.name == harm.name and e.verb in verbs and e.user != chart.USERNAME)
        undone = next(
            (
                e
                for e in mine
                if e.user == chart.USERNAME
                and e.received >= done.received
                and (e.name == harm.name and e.verb in {"create", "update"})
            ),
            None,
        )
        if undone is None:
            raise AssertionError(f"no write of the operator undid the change of {harm}")
        found.append(1000 * (_time(undone.answered) - _time(done.answered)))
    return found


def _time(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
