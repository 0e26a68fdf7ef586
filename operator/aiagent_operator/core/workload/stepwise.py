"""The work of an agent whose spec says how a revision takes over: spec.retraining.rollout.

core/rollout decides how many pods each of the two revisions has, who gets requests, and when the candidate is promoted
or given up; this makes writes of it. What a decision has to remember stands in the agent's status before anything of it
is written.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from aiagent_operator.api.conditions import Reason
from aiagent_operator.api.rollout import SCALE_DOWN_DELAY, RolloutSpec, Strategy
from aiagent_operator.core.children.revision import Work
from aiagent_operator.core.evaluation import analysing
from aiagent_operator.core.objects import Child, ChildKind
from aiagent_operator.core.plan import Observed, Write, delete
from aiagent_operator.core.rollout import clock, motion, standing
from aiagent_operator.core.rollout.decision import Traffic, Transition
from aiagent_operator.core.rollout.facts import Facts, Pods
from aiagent_operator.core.rollout.retire import retire
from aiagent_operator.core.rollout.standing import Moved, Standing
from aiagent_operator.core.rollout.stored import StoredRolloutError
from aiagent_operator.core.rollout.traffic import steady
from aiagent_operator.core.versions import revisions
from aiagent_operator.core.versions.revisions import Choice, facts
from aiagent_operator.core.workload import measured, telling, template
from aiagent_operator.core.workload import traffic as requests
from aiagent_operator.core.workload.result import WorkloadPlan, not_ready, waiting

NO_ROLLOUT = "no revision takes over: nothing is left to promote or abort"
WITHOUT = "spec.retraining.rollout is not set, so nothing has a pause or an end: a Rollback goes back to what served"
OVER = "its rollout is over"
# Seconds between two looks at Services of others while it matters what they say.
_LOOK = 15.0


@dataclass(frozen=True, slots=True)
class _Case:
    """What both ways of planning go by; `former` are Deployments of revisions that neither serve nor take over."""

    choice: Choice
    work: Work | None
    spec: RolloutSpec
    former: tuple[Child, ...]
    down: bool
    kept: Standing
    seen: requests.Seen


def plan(o: Observed, choice: Choice, work: Work | None, spec: RolloutSpec, *, down: bool) -> WorkloadPlan:
    """Writes for the Deployments of the revisions that serve, take over, or have served. `down` asks for no pods.

    `work` is what the spec asks for, whose template is at hand.
    """
    serving = template.serving_of(choice)
    if unknown := template.unread(o, serving, work):
        return unknown
    released = requests.release(o, requests.named(spec))
    if missing := (requests.keys(o, spec) | released.needs) - o.live.keys():
        return WorkloadPlan(needs=missing)
    try:
        kept = standing.read(o.agent.status)
    except StoredRolloutError as error:
        return WorkloadPlan(verdict=not_ready(Reason.ROLLOUT_STOPPED, f"status.rollout: {error}"))
    names = {record.key.name for record in serving}
    deployments = template.deployments_of(o)
    former = tuple(child for key, child in sorted(deployments.items()) if key.name not in names)
    case = _Case(choice, work, spec, former, down, kept, requests.look(o, spec))
    found = _rolling(o, case) if choice.rolling else _steady(o, case)
    return replace(
        found,
        writes=(*found.writes, *released.writes),
        rollout=template.together(deployments.values()),
        status={**found.status, "services": list(released.services) or None},
    )


def none(o: Observed, choice: Choice) -> WorkloadPlan:
    """What is left of rollouts where the spec has none: orders about them fail, evaluations end, and Services are given
    back."""
    try:
        kept = standing.read(o.agent.status)
    except StoredRolloutError:
        kept = Standing()
    released = requests.release(o)
    status: dict[str, Any] = {
        "rollout": over(o, choice, kept, WITHOUT),
        "services": list(released.services) or None,
    }
    step = analysing.leave(o, OVER)
    return WorkloadPlan(released.writes, released.needs - o.live.keys(), status=status, step=step)


def _rolling(o: Observed, case: _Case) -> WorkloadPlan:
    """While one revision takes over from another, or is the first of all."""
    stable, target = case.choice.stable, case.choice.target
    assert target is not None  # noqa: S101 - so it is while one is rolling
    if stable and facts(stable).adopted:
        stable = None
    order = case.choice.order.uid if case.choice.order else ""
    since = standing.began(case.kept, facts(target).number, order, o.moment)
    f = _facts(o, case, stable, target, order)
    f, decision, step = measured.decided(o, f, target, stable, since)
    moved = _moved(o, case, decision.traffic)
    status = {"rollout": standing.under_way(f, order, since, decision, moved)}
    verdict = telling.rolling(o, f, decision, case.seen.verdict, invalid=bool(step.trouble))
    if decision.transition is Transition.PROMOTE:
        return WorkloadPlan(verdict=verdict, complete=True, status=status)
    if decision.transition is Transition.ROLL_BACK:
        return WorkloadPlan(verdict=verdict, rejected=decision.status.reason or "Aborted", status=status)
    runs = [template.run_of(o, stable, case.work, decision.stable)] if stable else []
    # A candidate that is to have no pod needs no Deployment.
    if decision.candidate or stable is None or template.deployment_of(o, target):
        runs.append(template.run_of(o, target, case.work, decision.candidate))
    gone, rest = _passed(o, case, f, decision.traffic, moved)
    return WorkloadPlan(
        (*_writes(o, runs), *requests.writes(o, case.seen, decision.traffic), *map(delete, gone)),
        verdict=telling.stopped(o, runs) if case.down else verdict,
        status=status,
        requeue_after=_soonest(decision.requeue_after, rest, _LOOK if motion.routed(case.spec) else None),
        step=step,
    )


def _facts(o: Observed, case: _Case, stable: Child | None, target: Child, order: str) -> Facts:
    begun = standing.begun(case.kept, facts(target).number, order)
    f = Facts(
        case.spec,
        template.wanted_of(o),
        _pods(o, stable) if stable else None,
        _pods(o, target),
        standing.acknowledged(begun, o.steering, revisions.ordered(case.choice, o.of(ChildKind.AGENT_REVISION))),
        o.moment,
        orders=o.steering,
        traffic=case.seen.traffic,
        suspended=case.down,
        held="" if order else o.held,
    )
    if case.spec.strategy is Strategy.RECREATE and f.stable:
        # Pods of any other revision are in the way of both as much as their own.
        others = sum(_present(child) for child in case.former)
        f = replace(f, stable=_crowded(f.stable, others), candidate=_crowded(f.candidate, others))
    return f


def _steady(o: Observed, case: _Case) -> WorkloadPlan:
    """While the revision that serves is the one that is to serve."""
    stable, former = case.choice.stable, case.former
    step = analysing.leave(o, OVER)
    if stable is None or facts(stable).adopted:
        nothing = not_ready(Reason.PROGRESSING, "Waiting for the first revision to be recorded")
        return WorkloadPlan(verdict=nothing, status={"rollout": over(o, case.choice, case.kept, NO_ROLLOUT)}, step=step)
    pods, wanted = _pods(o, stable), 0 if case.down else template.wanted_of(o)
    asked = wanted
    if case.spec.strategy is Strategy.RECREATE and any(_present(child) for child in former):
        asked = min(pods.wanted, wanted)
    run = template.run_of(o, stable, case.work, asked)
    to = steady(case.spec, pods.revision)
    moved = _moved(o, case, to) if former else None
    gone, rest = _retired(o, case, pods, wanted, moved)
    said = template.said_of(o, run)
    complete = said.complete and asked == wanted
    verdict = said.verdict
    if former and verdict and verdict.status:
        verdict = waiting(former[0].key, "to be gone")
    elsewhere = case.seen.traffic != to and motion.routed(case.spec)
    if elsewhere and verdict and verdict.status:
        verdict = case.seen.verdict or not_ready(Reason.PROGRESSING, "Waiting for Services to select what serves")
    return WorkloadPlan(
        (*_writes(o, [run]), *requests.writes(o, case.seen, to), *map(delete, gone)),
        verdict=said.verdict if case.down else verdict,
        complete=complete,
        settled=complete and not former,
        status={"rollout": over(o, case.choice, case.kept, NO_ROLLOUT, moved)},
        requeue_after=_soonest(rest, _LOOK if elsewhere else None),
        step=step,
    )


def over(o: Observed, choice: Choice, kept: Standing, text: str, moved: Moved | None = None) -> dict[str, Any] | None:
    """What the agent's status says of rollouts where no revision takes over; `text` is why orders about one fail."""
    done = revisions.ordered(choice, o.of(ChildKind.AGENT_REVISION))
    return standing.over(kept, o.steering, telling.nothing(o, choice, text), moved, done)


def _writes(o: Observed, runs: Iterable[template.Run]) -> list[Write]:
    return [write for run in runs if (write := run.write(o))]


def _soonest(*seconds: float | None) -> float | None:
    return min((each for each in seconds if each is not None), default=None)


def _moved(o: Observed, case: _Case, to: Traffic) -> Moved | None:
    return case.kept.moved(requests.mark(to), o.moment) if motion.routed(case.spec) else None


def _passed(o: Observed, case: _Case, f: Facts, to: Traffic, moved: Moved | None) -> tuple[list[Child], float | None]:
    """Deployments of candidates before this one that may go, and after how many seconds others may.

    They go when those that stay make up for them, or nothing of them serves; where requests are routed, only when these
    go elsewhere, and others have had the time to learn of it.
    """
    left = [child for child in case.former if not child.deleting]
    if not left or case.down or case.spec.strategy is Strategy.RECREATE:
        return left, None
    if moved is not None:
        seconds = case.spec.scale_down_delay_seconds
        delay = timedelta(seconds=SCALE_DOWN_DELAY if seconds is None else seconds)
        rest = clock.left(moved.since, delay, o.moment)
        if case.seen.traffic != to or rest > timedelta():
            return [], max(rest.total_seconds(), 1.0)
    serving = f.candidate.serving + (f.stable.serving if f.stable else 0)
    return [child for child in left if serving >= f.replicas or not (child.rollout and child.rollout.ready)], None


def _retired(
    o: Observed, case: _Case, stable: Pods, wanted: int, moved: Moved | None
) -> tuple[list[Child], float | None]:
    """Deployments of revisions that what serves has followed and that may go, and after how many seconds others may."""
    left = [child for child in case.former if not child.deleting]
    if case.spec.strategy is Strategy.RECREATE:
        return left, None
    gone, rest = [], None
    for child in left:
        found = retire(
            spec=case.spec,
            former=template.counted(child, 0, child.key.name),
            stable=stable,
            replicas=wanted,
            promoted_at=moved.since if moved else o.moment,
            observed=case.seen.traffic,
            now=o.moment,
        )
        if found.replicas == 0:
            gone.append(child)
        rest = _soonest(rest, found.requeue_after)
    return gone, rest


def _pods(o: Observed, record: Child) -> Pods:
    """The Deployment of a revision in the words of core/rollout."""
    child = template.deployment_of(o, record)
    return template.counted(child, facts(record).number, record.key.name)


def _present(child: Child) -> int:
    """Pods of a former revision's Deployment that are there; at least one while the Deployment itself is."""
    its = child.rollout
    return max(1, its.replicas + its.terminating) if its else 1


def _crowded(pods: Pods, others: int) -> Pods:
    return replace(pods, terminating=pods.terminating + others)
