"""Carrying the runs of evaluations on: what to read, to ask and to write down of each now.

A run is read whole while it is not over, since its counters stand in its status alone. What Prometheus answered is in
`Observed.measured`, and counts for exactly the measurement it was asked for. Records go with their revision.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from aiagent_operator.api.agentevaluation import AgentEvaluation, AgentEvaluationStatus, Phase, Provider, Purpose
from aiagent_operator.api.agentrevision import RevisionState
from aiagent_operator.api.fields import unreadable
from aiagent_operator.core.evaluation import jobs, run
from aiagent_operator.core.evaluation.asking import Asking
from aiagent_operator.core.evaluation.query import Names
from aiagent_operator.core.objects import Child, ChildKind, EvaluationFacts, Manifest, ObjectKey
from aiagent_operator.core.plan import Observed, Write, delete, report
from aiagent_operator.core.versions.revisions import facts as revision_facts

_OVER = (RevisionState.REJECTED, RevisionState.ROLLED_BACK)


@dataclass(frozen=True, slots=True)
class Step:
    """What to do about some runs now; `due`: seconds until there is more to do, as far as time alone tells.

    `trouble`: why a run cannot go on.
    """

    writes: tuple[Write, ...] = ()
    needs: frozenset[ObjectKey] = frozenset()
    needs_pods: frozenset[ObjectKey] = frozenset()
    measure: tuple[Asking, ...] = ()
    due: float | None = None
    trouble: str = ""

    def __add__(self, other: Step) -> Step:
        times = [due for due in (self.due, other.due) if due is not None]
        return Step(
            (*self.writes, *other.writes),
            self.needs | other.needs,
            self.needs_pods | other.needs_pods,
            (*self.measure, *other.measure),
            min(times, default=None),
            self.trouble or other.trouble,
        )


@dataclass(frozen=True, slots=True)
class Seen:
    """A run as it was read, and its status; a new one for a run that has none yet."""

    child: Child
    record: AgentEvaluation
    status: AgentEvaluationStatus


def facts(child: Child) -> EvaluationFacts:
    """The facts of a child that is an evaluation."""
    assert child.evaluation is not None  # noqa: S101 - so is every child of this kind
    return child.evaluation


def known(o: Observed) -> tuple[Child, ...]:
    """The agent's evaluations."""
    return o.of(ChildKind.AGENT_EVALUATION)


def read(o: Observed, child: Child) -> Seen | Step:
    """The run as it is now, or what is to be done before it is known."""
    if child.key not in o.live:
        return Step(needs=frozenset({child.key}))
    live = o.live[child.key]
    if live is None:
        return Step()
    try:
        record = AgentEvaluation.model_validate(live)
        return Seen(child, record, AgentEvaluationStatus.model_validate(record.status))
    except ValidationError as error:
        return Step(trouble=f"{child.key}: {unreadable(error)}")


def ask(o: Observed, child: Child) -> Step:
    """The next step of a run that asks Prometheus."""
    seen = read(o, child)
    if isinstance(seen, Step):
        return seen
    metrics, status, at = seen.record.spec.template.metrics, seen.status, o.now
    if not status.metric_results:
        status = run.begin(metrics, _created(o, child) or at)
    if status.phase is not None and status.phase.completed:
        return Step((written(seen, status),))
    numbers = {result.name: result.count + result.error for result in status.metric_results}
    times = run.next_times(metrics, status)
    due = [metric for metric in metrics if metric.name in times and times[metric.name] <= at]
    answers = {
        metric.name: found
        for metric in due
        if (found := o.measured.get((child.uid, metric.name, numbers.get(metric.name, 0))))
    }
    if answers:
        return Step((written(seen, run.record(metrics, status, answers, at)),))
    if due:
        asked = tuple((metric, numbers.get(metric.name, 0)) for metric in due)
        provider = seen.record.spec.template.prometheus
        names = _names(o, seen)
        return Step(measure=(Asking(child.uid, names, asked, provider.address if provider else None),))
    return Step(due=(min(times.values()) - at).total_seconds() if times else None)


def end(o: Observed, child: Child, why: str) -> Step:
    """The step that ends a run before it is over; `why` in few words."""
    seen = read(o, child)
    if isinstance(seen, Step):
        return seen
    metrics = seen.record.spec.template.metrics
    over = jobs.end if facts(child).provider is Provider.JOB else run.end
    return Step((written(seen, over(metrics, seen.status, why, o.now)),))


def sort_out(o: Observed, revisions: Iterable[Child]) -> tuple[Step, list[Child]]:
    """Ends the runs of revisions that are past their gate, and removes the records of those that are gone.

    The second part is the runs that are open.
    """
    numbers = {revision_facts(child).number: revision_facts(child) for child in revisions}
    step, still = Step(), []
    for child in known(o):
        its = facts(child)
        of = numbers.get(its.revision)
        if of is None:
            step += Step(() if child.deleting else (delete(child),))
        elif its.phase.completed or its.purpose not in (Purpose.PROMOTION, Purpose.HIRING):
            continue
        elif of.state in _OVER or (of.promotion and its.purpose is Purpose.PROMOTION):
            step += end(o, child, f"revision {its.revision} is {of.state.value}")
        elif its.purpose is Purpose.HIRING and its.role == o.hired_as:
            step += end(o, child, f'the agent is hired as AgentRole "{its.role}"')
        else:
            still.append(child)
    return step, still


def written(seen: Seen, status: AgentEvaluationStatus) -> Write:
    """The write of a status: a merge patch, which names what is no longer there."""
    new = status.model_dump(mode="json", by_alias=True, exclude_none=True)
    gone = {name: None for name in seen.record.status if name not in new}
    return report(seen.child, {**gone, **new})


def verdicts(children: Iterable[Child]) -> Iterator[tuple[Phase, str]]:
    """Phase of each run, and what is to be said of it."""
    for child in children:
        its = facts(child)
        said = f": {its.message}" if its.message else ""
        what = f'evaluation "{its.name}"'
        if its.role:
            what = f'hiring {what} of AgentRole "{its.role}"'
        yield its.phase, f"{what} is {its.phase.value}{said}"


def _created(o: Observed, child: Child) -> dt.datetime | None:
    """When the record was made, from which initial delays count: so a restart does not begin them anew."""
    live: Mapping[str, Any] | Manifest = o.live.get(child.key) or {}
    text = (live.get("metadata") or {}).get("creationTimestamp")
    return dt.datetime.fromisoformat(text) if text else None


def _names(o: Observed, seen: Seen) -> Names:
    spec = seen.record.spec
    return Names(o.identity.name, o.identity.namespace, spec.revision, spec.stable_revision)
