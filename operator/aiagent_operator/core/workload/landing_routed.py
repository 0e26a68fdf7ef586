"""Who gets requests where an agent adopts a target and names an HTTPRoute, and when the pods beside the target may go.

The target's pods and those beside it bear the number of their revision, and by it the named Services tell them apart.
One Deployment beside the target follows another: it is removed when nobody asks its pods any more, and never changed
from one revision to the next, since its pods would be of both meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from aiagent_operator.api import meta
from aiagent_operator.api.conditions import Reason, Verdict
from aiagent_operator.api.rollout import SCALE_DOWN_DELAY, RolloutSpec
from aiagent_operator.core import texts
from aiagent_operator.core.objects import Child, Manifest, ObjectKey, TrafficKind
from aiagent_operator.core.plan import Observed, Write, delete
from aiagent_operator.core.rollout import clock
from aiagent_operator.core.rollout.decision import Traffic
from aiagent_operator.core.rollout.facts import Facts, Pods
from aiagent_operator.core.rollout.standing import Moved, Standing
from aiagent_operator.core.rollout.traffic import steady, turned
from aiagent_operator.core.versions.revisions import facts
from aiagent_operator.core.workload import target as targets
from aiagent_operator.core.workload import template, uncounted
from aiagent_operator.core.workload import traffic as requests
from aiagent_operator.core.workload.result import WorkloadPlan, not_ready, waiting

# Seconds between two looks at Services of others while it matters what they say.
LOOK = 15.0


@dataclass(frozen=True, slots=True)
class Routed:
    """What there is. `beside` is the Deployment beside the target, `number` the revision that its pods bear; `labelled`
    that of the target's pods, 0 where they bear none. `down`: no pods are asked for."""

    spec: RolloutSpec
    target: ObjectKey
    kept: Standing
    seen: requests.Seen
    beside: Child | None
    number: int
    labelled: int
    down: bool

    def moved(self, asked: Traffic, now: datetime) -> Moved:
        """What is asked for, and since when."""
        return self.kept.moved(requests.mark(asked), now)

    def rest(self, asked: Traffic, now: datetime) -> float:
        """Seconds for which pods are kept that nobody is to ask any more; 0 where they may go."""
        seconds = self.spec.scale_down_delay_seconds
        delay = timedelta(seconds=SCALE_DOWN_DELAY if seconds is None else seconds)
        left = clock.left(self.moved(asked, now).since, delay, now).total_seconds()
        return max(left, 0.0) if self.seen.traffic == asked else LOOK


def look_again(r: Routed) -> float:
    """Seconds until the objects are looked at again; no more than others need to learn of a change."""
    seconds = r.spec.scale_down_delay_seconds
    return LOOK if seconds is None else min(LOOK, max(1.0, seconds))


def keys(o: Observed, spec: RolloutSpec, target: ObjectKey, beside: ObjectKey) -> frozenset[ObjectKey]:
    """The objects to read before anything is decided; none where no route is named."""
    if spec.traffic_routing is None:
        return frozenset()
    return requests.keys(o, spec) | {target} | ({beside} if beside in o.children else frozenset())


def look(
    o: Observed, spec: RolloutSpec, kept: Standing, target: ObjectKey, beside: ObjectKey, *, down: bool
) -> Routed | None:
    """What there is, when all of it is read; None where no route is named."""
    routing = spec.traffic_routing
    if routing is None:
        return None
    seen, live = requests.look(o, spec), o.live.get(target)
    service = o.live.get(ObjectKey(TrafficKind.SERVICE, o.identity.namespace, routing.canary_service))
    if seen.traffic and live and service and (text := uncounted.misfit(o.identity, live, routing, service)):
        seen = requests.Seen(verdict=not_ready(Reason.TRAFFIC_NOT_FOUND, texts.some((text,), separator="; ")))
    labels = ((live or {}).get("spec") or {}).get("template", {}).get("metadata", {}).get("labels")
    other = (o.live.get(beside) or {}).get("metadata", {}).get("labels")
    return Routed(spec, target, kept, seen, o.children.get(beside), _number(other), _number(labels), down)


def _number(labels: Manifest | None) -> int:
    value = (labels or {}).get(meta.LABEL_REVISION, "")
    return int(value) if value.isdecimal() and len(value) < 11 else 0


def told(r: Routed, f: Facts, now: datetime) -> Facts:
    """The facts of a rollout, with who gets requests, and which of the pods bear the number by which they get them."""
    assert f.stable is not None  # noqa: S101 - so it is beside a target
    # Of two revisions of the same work, the number tells.
    landed = bool(f.landed) and r.labelled != f.stable.revision
    stable, candidate = f.stable, f.candidate
    if r.labelled != (candidate.revision if landed else stable.revision):
        stable = replace(stable, updated=0)
    former = r.beside is not None and r.number != candidate.revision
    if former:
        candidate = Pods(candidate.revision, candidate.name)
    asked = r.seen.traffic is not None and r.kept.traffic == requests.mark(r.seen.traffic)
    since = r.kept.since if asked and r.kept.since else None
    return replace(
        f,
        stable=stable,
        candidate=candidate,
        traffic=r.seen.traffic,
        landed=landed,
        former=former,
        since=min(since, now) if since else None,
    )


def former(o: Observed, r: Routed, asked: Traffic) -> tuple[Write | None, Verdict | None]:
    """What is done about the pods of a candidate before this one, and what is said of them when nobody asks them."""
    if r.beside is None or r.beside.deleting:
        return None, waiting(r.beside.key, "to be gone") if r.beside else None
    routing = r.spec.traffic_routing
    asks = routing is None or bool(dict(asked.weights).get(routing.canary_service))
    if r.down or not (asks or r.rest(asked, o.moment)):
        return delete(r.beside), waiting(r.beside.key, "to be gone")
    text = f"to be removed: its pods are of revision {r.number}, which another candidate follows"
    return None, waiting(r.beside.key, text) if r.seen.traffic == asked and not asks else None


def unturned(o: Observed, r: Routed, number: int) -> WorkloadPlan | None:
    """What is done first where the target goes from one revision to another without pods beside it, as to the image of
    another container: Services select all pods of the agent until it has. None where that is so, or need not be."""
    if r.down or r.labelled in (0, number) or (r.beside and r.number == r.labelled):
        return None
    released = requests.release(o)
    return released_first(o, released) if released.services else None


def released_first(o: Observed, released: requests.Released) -> WorkloadPlan:
    """Services select all pods of the agent, and nothing else is done before they do."""
    named = ", ".join(f"Service {o.identity.namespace}/{name}" for name in released.services)
    verdict = not_ready(Reason.PROGRESSING, f"Waiting for {named} to select all pods of the agent")
    status = {"services": list(released.services)}
    return WorkloadPlan(released.writes, released.needs, verdict, status=status)


def alone(o: Observed, r: Routed, what: WorkloadPlan, record: Child) -> tuple[WorkloadPlan, Moved | None]:
    """One revision, in the target. Services select it when all its pods bear its number, and as many are ready as there
    are beside it; until then all stays as it is. The pods beside it go when nobody asks them any more."""
    its, beside = facts(record), r.beside
    child, down = o.children.get(r.target), r.down
    to = steady(r.spec, its.number)
    pods = template.counted(child, its.number, record.key.name) if child else Pods(its.number, record.key.name)
    others = beside.rollout.ready if beside and beside.rollout else 0
    whole = child is not None and targets.has(o, child, its) and pods.observed and not pods.unsettled
    able = whole and pods.ready >= min(pods.wanted, max(1, others))
    known = r.seen.traffic is not None
    asked = to if down else turned(r.seen.traffic, to, {its.number} if able else ())
    if r.spec.traffic_routing and not down:
        asked = learned(r, asked, r.spec.traffic_routing.stable_service, o.moment)
    written = requests.writes(o, r.seen, asked) if known or able or down else []
    gone, rest = _gone(o, r, to, enough=able and pods.ready >= pods.wanted)
    verdict = what.verdict
    elsewhere = r.seen.traffic != to
    if verdict and verdict.status and beside:
        verdict = waiting(beside.key, "to be gone")
    if verdict and verdict.status and elsewhere and not down:
        verdict = r.seen.verdict or not_ready(Reason.PROGRESSING, "Waiting for Services to select what serves")
    wait = r.rest(asked, o.moment) if asked != to else 0.0
    times = [each for each in (what.requeue_after, rest, min(LOOK, wait or LOOK) if elsewhere else None) if each]
    found = replace(
        what,
        writes=(*what.writes, *written, *gone),
        verdict=verdict,
        rollout=template.together(each for each in (child, beside) if each) or what.rollout,
        settled=what.settled and beside is None,
        requeue_after=min(times, default=None),
    )
    return found, r.moved(asked, o.moment) if beside or asked != to else None


def learned(r: Routed, to: Traffic, service: str, now: datetime) -> Traffic:
    """What is asked for; at first without the weights, where this Service would get requests that has got none: who
    sends them has to learn of the pods that it selects now, as much as of those that go."""
    seen = r.seen.traffic
    if seen is None or dict(seen.weights).get(service) or not dict(to.weights).get(service):
        return to
    selects = {**dict(seen.selectors), service: dict(to.selectors)[service]}
    quiet = replace(seen, selectors=tuple(sorted(selects.items())))
    known = seen == quiet and r.kept.traffic != requests.mark(quiet)
    return to if known or not r.rest(quiet, now) else quiet


def _gone(o: Observed, r: Routed, to: Traffic, *, enough: bool) -> tuple[list[Write], float]:
    if r.beside is None or r.beside.deleting:
        return [], 0.0
    its = r.beside.rollout
    empty = its is not None and its.wanted == its.replicas == 0
    rest = r.rest(to, o.moment)
    if r.down or empty or (not rest and (enough or not (its and its.ready))):
        return [delete(r.beside)], 0.0
    return [], rest
