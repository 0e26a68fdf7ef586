"""The work of an agent whose spec says how a revision takes over: spec.retraining.rollout.

core/rollout decides how many pods each of the two revisions has, and when the candidate is promoted or given up; this
makes writes of it. What a decision has to remember stands in the agent's status before anything of it is written.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from aiagent_operator.api.conditions import Reason, Verdict
from aiagent_operator.api.rollout import RolloutSpec, Strategy
from aiagent_operator.api.rolloutstatus import PausedFor
from aiagent_operator.core.children.revision import Work
from aiagent_operator.core.objects import Child
from aiagent_operator.core.plan import Observed, Write, delete
from aiagent_operator.core.revisions import Choice, facts
from aiagent_operator.core.rollout import standing
from aiagent_operator.core.rollout.decide import decide
from aiagent_operator.core.rollout.decision import Decision, Transition, WaitsFor
from aiagent_operator.core.rollout.facts import Facts, Pods
from aiagent_operator.core.rollout.stored import StoredRolloutError
from aiagent_operator.core.workload import template
from aiagent_operator.core.workload.result import WorkloadPlan, not_ready, waiting

NO_ROLLOUT = "no revision takes over: nothing is left to promote or abort"


def plan(o: Observed, choice: Choice, work: Work | None, spec: RolloutSpec, *, down: bool) -> WorkloadPlan:
    """Writes for the Deployments of the revisions that serve, take over, or have served. `down` asks for no pods.

    `work` is what the spec asks for, whose template is at hand.
    """
    serving = template.serving_of(choice)
    if unknown := template.unread(o, serving, work):
        return unknown
    try:
        kept = standing.read(o.agent.status)
    except StoredRolloutError as error:
        return WorkloadPlan(verdict=not_ready(Reason.ROLLOUT_STOPPED, f"status.rollout: {error}"))
    names = {record.key.name for record in serving}
    deployments = template.deployments_of(o)
    former = tuple(child for key, child in sorted(deployments.items()) if key.name not in names)
    rollout = template.together(deployments.values())
    case = _Case(choice, work, spec, former, down)
    if choice.rolling:
        return replace(_rolling(o, case, kept), rollout=rollout)
    found = _steady(o, case)
    return replace(found, rollout=rollout, status={"rollout": standing.over(kept, o.steering, NO_ROLLOUT)})


def none(o: Observed, why: str) -> dict[str, Any]:
    """The fields of the agent's status where nothing takes over by steps; what was kept unreadably stays nobody's."""
    try:
        kept = standing.read(o.agent.status)
    except StoredRolloutError:
        kept = standing.Standing()
    return {"rollout": standing.over(kept, o.steering, f"{NO_ROLLOUT}; {why}")}


@dataclass(frozen=True, slots=True)
class _Case:
    """What both ways of planning go by; `former` are Deployments of revisions that neither serve nor take over."""

    choice: Choice
    work: Work | None
    spec: RolloutSpec
    former: tuple[Child, ...]
    down: bool


def _rolling(o: Observed, case: _Case, kept: standing.Standing) -> WorkloadPlan:
    """While one revision takes over from another, or is the first of all."""
    choice, work, spec, former = case.choice, case.work, case.spec, case.former
    stable, target = choice.stable, choice.target
    assert target is not None  # noqa: S101 - so it is while one is rolling
    if stable and facts(stable).adopted:
        stable = None
    order = choice.order.uid if choice.order else ""
    f = Facts(
        spec,
        template.wanted_of(o),
        _pods(o, stable) if stable else None,
        _pods(o, target),
        standing.begun(kept, facts(target).number, order),
        o.moment,
        orders=o.steering,
        suspended=case.down,
    )
    if spec.strategy is Strategy.RECREATE and f.stable:
        # Pods of any other revision are in the way of both as much as their own.
        others = sum(_present(child) for child in former)
        f = replace(f, stable=_crowded(f.stable, others), candidate=_crowded(f.candidate, others))
    decision = decide(f)
    status = {"rollout": standing.under_way(f, order, decision)}
    verdict = _verdict(o, f, decision)
    if decision.transition is Transition.PROMOTE:
        return WorkloadPlan(verdict=verdict, complete=True, status=status)
    if decision.transition is Transition.ROLL_BACK:
        return WorkloadPlan(verdict=verdict, rejected=decision.status.reason or "Aborted", status=status)
    runs = [template.run_of(o, stable, work, decision.stable)] if stable else []
    # A candidate that is to have no pod needs no Deployment.
    if decision.candidate or stable is None or template.deployment_of(o, target):
        runs.append(template.run_of(o, target, work, decision.candidate))
    serving = f.candidate.serving + (f.stable.serving if f.stable else 0)
    gone = _gone(spec, former, serving, 0 if case.down else f.replicas)
    return WorkloadPlan(
        (*_writes(o, runs), *map(delete, gone)),
        verdict=_stopped(o, runs) if case.down else verdict,
        status=status,
        requeue_after=decision.requeue_after,
    )


def _steady(o: Observed, case: _Case) -> WorkloadPlan:
    """While the revision that serves is the one that is to serve."""
    choice, spec, former = case.choice, case.spec, case.former
    stable = choice.stable
    if stable is None or facts(stable).adopted:
        return WorkloadPlan(verdict=not_ready(Reason.PROGRESSING, "Waiting for the first revision to be recorded"))
    pods, wanted = _pods(o, stable), 0 if case.down else template.wanted_of(o)
    asked = wanted
    if spec.strategy is Strategy.RECREATE and any(_present(child) for child in former):
        asked = min(pods.wanted, wanted)
    run = template.run_of(o, stable, case.work, asked)
    gone = _gone(spec, former, pods.serving, wanted)
    said = template.said_of(o, run)
    verdict = said.verdict
    if former and verdict and verdict.status:
        verdict = waiting(former[0].key, "to be gone")
    complete = said.complete and asked == wanted
    return WorkloadPlan(
        (*_writes(o, [run]), *map(delete, gone)),
        verdict=verdict if case.down else _rejected(choice, verdict),
        complete=complete,
        settled=complete and not former,
    )


def _writes(o: Observed, runs: Iterable[template.Run]) -> list[Write]:
    return [write for run in runs if (write := run.write(o))]


def _gone(spec: RolloutSpec, former: Iterable[Child], serving: int, wanted: int) -> list[Child]:
    """Deployments of other revisions that may go: those that stay make up for them, or nothing of them serves."""
    at_once = spec.strategy is Strategy.RECREATE or serving >= wanted
    may_go = [child for child in former if at_once or not (child.rollout and child.rollout.ready)]
    return [child for child in may_go if not child.deleting]


def _pods(o: Observed, record: Child) -> Pods:
    """The Deployment of a revision in the words of core/rollout. The pods of one that is being deleted are on their way
    out, but still there."""
    number, child = facts(record).number, template.deployment_of(o, record)
    if child is None or child.rollout is None:
        return Pods(number, record.key.name)
    its = child.rollout
    if child.deleting:
        return Pods(number, record.key.name, replicas=its.replicas, terminating=its.terminating, observed=False)
    return Pods(
        number,
        record.key.name,
        wanted=its.wanted,
        replicas=its.replicas,
        updated=its.updated,
        ready=its.ready,
        terminating=its.terminating,
        failure=its.failure,
        observed=its.observed_generation >= child.generation,
    )


def _present(child: Child) -> int:
    """Pods of a former revision's Deployment that are there; at least one while the Deployment itself is."""
    its = child.rollout
    return max(1, its.replicas + its.terminating) if its else 1


def _crowded(pods: Pods, others: int) -> Pods:
    return replace(pods, terminating=pods.terminating + others)


def _verdict(o: Observed, f: Facts, decision: Decision) -> Verdict:
    """What is said of the work while one revision takes over."""
    wait, status = decision.wait, decision.status
    text = wait.text or f"Revision {f.candidate.revision} is about to end its rollout"
    if status.aborted_at is None:
        if status.paused_for in (PausedFor.FAILED, PausedFor.INCONCLUSIVE):
            return not_ready(Reason.ROLLOUT_STOPPED, text)
        if wait.what in (WaitsFor.TIME, WaitsFor.PERSON):
            return not_ready(Reason.ROLLOUT_PAUSED, text)
    problems = (*filter(None, (f.candidate.failure,)), *o.pod_problems)
    if wait.what is WaitsFor.PODS and problems:
        return not_ready(Reason.PODS_FAILING, f"{text}: {'; '.join(problems)}")
    return not_ready(Reason.PROGRESSING, text)


def _stopped(o: Observed, runs: Iterable[template.Run]) -> Verdict | None:
    """What is said of the work of a suspended agent."""
    each = [template.said_of(o, run) for run in runs]
    return next((plan.verdict for plan in each if not plan.complete), each[-1].verdict)


def _rejected(choice: Choice, verdict: Verdict | None) -> Verdict | None:
    """That the spec asks for what has failed is said as long as it does, once the work is otherwise as it should be."""
    if choice.rejected is None or choice.stable is None or not (verdict and verdict.status):
        return verdict
    number = facts(choice.rejected).number
    text = (
        f"{choice.rejected.key}, which the spec asks for, was rejected, and says why in its status; revision "
        f"{facts(choice.stable).number} goes on serving. Ask for other work in the spec, or try it again with an "
        f"AgentAction Rollback to revision {number}"
    )
    return not_ready(Reason.REVISION_REJECTED, text)
