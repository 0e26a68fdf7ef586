"""Evaluations of a rollout: which of the agent's these are, their records, and what becomes of those it is done with.

A record belongs to one rollout of one revision: its name ends in a digest of when that began. So what was measured when
the same revision took over before says nothing of it now.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from aiagent_operator.api.agentevaluation import Phase, Purpose
from aiagent_operator.api.evaluation import EvaluationTemplate
from aiagent_operator.api.retraining import MOST_EVALUATIONS
from aiagent_operator.core.children import evaluation
from aiagent_operator.core.children.evaluation import Occasion
from aiagent_operator.core.evaluation import carrying, evaluating
from aiagent_operator.core.evaluation.evaluating import Step
from aiagent_operator.core.objects import Child, ChildKind, ObjectKey, digest
from aiagent_operator.core.plan import Observed, delete
from aiagent_operator.core.rollout.run import Run
from aiagent_operator.core.versions.revisions import facts


@dataclass(frozen=True, slots=True)
class Seen:
    """What the records of a rollout say: the phase of each run that has one, and what is to be said of it."""

    verdicts: Mapping[Run, Phase] = field(default_factory=dict)
    said: Mapping[Run, str] = field(default_factory=dict)


def templates(o: Observed) -> Mapping[str, EvaluationTemplate]:
    """The evaluations that steps or analysis of the agent's rollout name: they are no part of its gate."""
    how = o.agent.spec.retraining
    if how is None or how.rollout is None:
        return {}
    names = how.rollout.evaluations
    return {template.name: template for template in how.evaluations if template.name in names}


def occasion(began: str, run: Run) -> Occasion:
    """Which run of its evaluation it is: of a rollout that began then."""
    where = "analysis" if run.step is None else f"step-{run.step}"
    return Occasion(Purpose.ANALYSIS, f"{where}-{digest([began, run.round])[:8]}")


def key_of(o: Observed, number: int, began: str, run: Run) -> ObjectKey:
    """Where the record of the run is."""
    return evaluation.key_of(o.identity, number, run.name, occasion(began, run))


def look(o: Observed, number: int, began: str, runs: Iterable[Run]) -> Seen:
    """What is known of these runs of a rollout of the revision of that number."""
    records = {run: o.children.get(key_of(o, number, began, run)) for run in runs}
    found = {run: evaluating.facts(child) for run, child in records.items() if child is not None}
    return Seen(
        {run: its.phase for run, its in found.items()}, {run: its.message for run, its in found.items() if its.message}
    )


def carry(o: Observed, target: Child, stable: Child | None, began: str, runs: Iterable[Run]) -> Step:
    """The next step of the runs that a rollout needs now."""
    known, step = templates(o), Step()
    for run in runs:
        template = known.get(run.name)
        if template is None:
            text = f'"{run.name}" is not among spec.retraining.evaluations: define it, or take its name out of rollout'
            step += Step(trouble=text)
        else:
            step += carrying.carry(o, template, target, stable, occasion(began, run))
    return step


def leave(o: Observed, why: str, running: Collection[ObjectKey] = (), present: Collection[ObjectKey] = ()) -> Step:
    """Ends the runs of rollouts that are not `running`, and removes old records. `why` in few words.

    Records go with their revision; of one that is rolled out again and again the newest are kept, and those `present`.
    """
    records = [child for child in evaluating.known(o) if evaluating.facts(child).purpose is Purpose.ANALYSIS]
    if not records:
        return Step()
    numbers = {facts(child).number for child in o.of(ChildKind.AGENT_REVISION)}
    step, ended = Step(), defaultdict(list)
    for child in records:
        its = evaluating.facts(child)
        if its.revision not in numbers or child.deleting:
            continue
        if not its.phase.completed:
            step += Step() if child.key in running else evaluating.end(o, child, why)
        elif child.key not in present:
            ended[its.revision].append(child)
    for old in ended.values():
        old.sort(key=lambda child: int(child.resource_version))
        step += Step(tuple(delete(child) for child in old[:-MOST_EVALUATIONS]))
    return step
