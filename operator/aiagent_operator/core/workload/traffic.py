"""Who gets requests, where the author names Services for it: what the cluster says, and the writes that change it.

The objects are their author's. The operator sets one key in a Service's selector, `workforce.dev/revision`, and in an
HTTPRoute the weights of backendRefs to the two Services of a Canary; and sees to it again whenever it looks at the
agent. Which Services it has set is kept in the agent's status, so that the key goes
where the spec no longer names them: what selects a revision that is gone would answer nobody.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from aiagent_operator.api import meta
from aiagent_operator.api.conditions import Reason, Verdict
from aiagent_operator.api.rollout import RolloutSpec
from aiagent_operator.core import texts
from aiagent_operator.core.objects import Manifest, ObjectKey, TrafficKind, digest
from aiagent_operator.core.plan import Observed, Verb, Write
from aiagent_operator.core.rollout import traffic
from aiagent_operator.core.rollout.decision import Traffic
from aiagent_operator.core.workload import routes
from aiagent_operator.core.workload.result import not_ready


@dataclass(frozen=True, slots=True)
class Seen:
    """What the cluster says. `traffic` is None, and `verdict` says why, where an object is missing or does not fit."""

    traffic: Traffic | None = None
    verdict: Verdict | None = None


def named(spec: RolloutSpec) -> tuple[str, ...]:
    """The Services that the spec names, sorted."""
    return tuple(name for name, _ in traffic.steady(spec, 0).selectors)


def keys(o: Observed, spec: RolloutSpec) -> frozenset[ObjectKey]:
    """The objects to read before anything is decided."""
    route = (_route(o, spec.traffic_routing.http_route.name),) if spec.traffic_routing else ()
    return frozenset((*(_service(o, name) for name in named(spec)), *route))


def look(o: Observed, spec: RolloutSpec) -> Seen:
    """What the objects say now, as a decision says it. A Service without the key selects revision 0, and a route whose
    rules differ has the weight -1."""
    problems = [text for name in named(spec) if (text := _problem(o, name))]
    weights: routes.Weights = {}
    if (routing := spec.traffic_routing) is not None:
        key = _route(o, routing.http_route.name)
        live = o.live.get(key)
        if live == {}:
            return Seen(verdict=not_ready(Reason.GATEWAY_API_MISSING, _no_gateway_api(key)))
        weights = routes.weights(live, named(spec)) if live else {}
        if not weights:
            problems.append(_no_route(key, named(spec), found=live is not None))
    if problems:
        return Seen(verdict=not_ready(Reason.TRAFFIC_NOT_FOUND, texts.some(problems, separator="; ")))
    selectors = tuple((name, _revision(o.live[_service(o, name)])) for name in named(spec))
    return Seen(Traffic(selectors, routing.http_route.name if routing else "", tuple(sorted(weights.items()))))


def writes(o: Observed, seen: Seen, wanted: Traffic) -> list[Write]:
    """The writes that bring what is there, and fits, to what is wanted; each round those that harm nobody.

    A Service that is to get requests selects the right revision before the route sends it any; one that is to get none
    keeps what it selects until the route sends none.
    """
    now = dict(seen.traffic.weights) if seen.traffic else {}
    then = dict(wanted.weights)
    found, late = [], False
    for name, number in wanted.selectors:
        live = o.live.get(_service(o, name))
        if not live or _problem(o, name) or _revision(live) == number:
            continue
        late = late or bool(then.get(name))
        if not (now.get(name) and not then.get(name)):
            found.append(_select(o, name, live, str(number)))
    route = o.live.get(_route(o, wanted.route)) if wanted.route else None
    if route and now and now != then and not late:
        body = routes.changed(route, then)
        found.append(Write(Verb.MERGE, _route(o, wanted.route), body, digest=digest(body)))
    return found


def mark(wanted: Traffic) -> str:
    """What identifies it in the status."""
    return digest([wanted.selectors, wanted.route, wanted.weights])[:16]


@dataclass(frozen=True, slots=True)
class Released:
    """What is done about Services that the spec no longer names: objects to read, writes, and the names to keep."""

    needs: frozenset[ObjectKey] = frozenset()
    writes: tuple[Write, ...] = ()
    services: tuple[str, ...] = ()


def release(o: Observed, keep: Iterable[str] = ()) -> Released:
    """Takes the key out of Services that the operator has set it in, and that are not among those to keep."""
    kept = tuple(keep)
    needs, found, names = set(), [], []
    for name in o.agent.status.get("services") or ():
        if name in kept:
            continue
        key = _service(o, name)
        if key not in o.live:
            needs.add(key)
            names.append(name)
        elif (live := o.live[key]) is not None and meta.LABEL_REVISION in _selector(live) and _selects(o, live):
            found.append(_select(o, name, live, None))
            names.append(name)
    return Released(frozenset(needs), tuple(found), tuple(sorted({*kept, *names})))


def _service(o: Observed, name: str) -> ObjectKey:
    return ObjectKey(TrafficKind.SERVICE, o.identity.namespace, name)


def _route(o: Observed, name: str) -> ObjectKey:
    return ObjectKey(TrafficKind.HTTP_ROUTE, o.identity.namespace, name)


def _no_gateway_api(key: ObjectKey) -> str:
    return (
        f"{key}, named by spec.retraining.rollout.trafficRouting, cannot exist: the cluster has no "
        f"{TrafficKind.HTTP_ROUTE.api_version} HTTPRoute. Install the Gateway API, or take trafficRouting out, for "
        "weights by numbers of pods"
    )


def _no_route(key: ObjectKey, services: Iterable[str], *, found: bool) -> str:
    if not found:
        return f"{key}, named by spec.retraining.rollout.trafficRouting, does not exist: create it, or name another"
    return f"{key} has no rule with backendRefs to both {' and '.join(services)}: give it one"


def _selector(live: Manifest) -> dict[str, str]:
    return live["spec"].get("selector") or {}


def _selects(o: Observed, live: Manifest) -> bool:
    """Whether the Service is about this agent. The API server lets the operator set the key in no other."""
    return _selector(live).get(meta.LABEL_AGENT) == o.identity.name


def _revision(live: Manifest | None) -> int:
    value = _selector(live).get(meta.LABEL_REVISION, "") if live else ""
    return int(value) if value.isdecimal() and len(value) < 11 else 0


def _problem(o: Observed, name: str) -> str:
    key = _service(o, name)
    live = o.live.get(key)
    if live is None:
        return f"{key}, named by spec.retraining.rollout, does not exist: create it, or name another"
    if not _selects(o, live):
        return (
            f"{key}, named by spec.retraining.rollout, does not select the agent: put {meta.LABEL_AGENT}: "
            f"{o.identity.name} into its spec.selector, or name another"
        )
    return ""


def _select(o: Observed, name: str, live: Manifest, value: str | None) -> Write:
    body: dict[str, Any] = {
        "metadata": {"resourceVersion": live["metadata"]["resourceVersion"], "uid": live["metadata"]["uid"]},
        "spec": {"selector": {meta.LABEL_REVISION: value}},
    }
    return Write(Verb.MERGE, _service(o, name), body, digest=digest(body))
