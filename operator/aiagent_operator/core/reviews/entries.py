"""The entries of `spec.supervision`: which reviews and bias audits there are, and when each is planned."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from aiagent_operator.api.agentevaluation import Purpose
from aiagent_operator.api.aiagent import AIAgentSpec
from aiagent_operator.api.evaluation import EvaluationTemplate, Metric
from aiagent_operator.api.reviews import SUCCESSFUL_KEPT, UNSUCCESSFUL_KEPT, Review
from aiagent_operator.core.cadence import spec as cadence_spec
from aiagent_operator.core.cadence.errors import CadenceError
from aiagent_operator.core.cadence.schedule import Every, Plan
from aiagent_operator.core.evaluation.query import needs_stable
from aiagent_operator.core.plan import Observed
from aiagent_operator.core.retraining.facts import created
from aiagent_operator.core.reviews.due import Rhythm

_SECOND = timedelta(seconds=1)


class EntryError(ValueError):
    """An entry that cannot be carried out; the message says what is wrong, and the remedy."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One review or bias audit; `where` is its place in the spec."""

    purpose: Purpose
    review: Review
    where: tuple[str | int, ...]

    @property
    def field(self) -> str:
        """That place, as messages name it."""
        return f"{'.'.join(str(part) for part in self.where[:-1])}[{self.name}]"

    @property
    def name(self) -> str:
        """Its name, which is that of its evaluation."""
        return self.review.name

    @property
    def successful(self) -> int:
        """Successful runs to keep."""
        return self.review.successful_run_history_limit or SUCCESSFUL_KEPT

    @property
    def unsuccessful(self) -> int:
        """Other runs to keep."""
        return self.review.unsuccessful_run_history_limit or UNSUCCESSFUL_KEPT


def of(spec: AIAgentSpec) -> tuple[Entry, ...]:
    """All entries, in their order."""
    if spec.supervision is None:
        return ()
    lists = (
        (Purpose.REVIEW, "reviews", spec.supervision.reviews),
        (Purpose.BIAS_AUDIT, "biasAudits", spec.supervision.bias_audits),
    )
    return tuple(
        Entry(purpose, each, ("spec", "supervision", field, index))
        for purpose, field, found in lists
        for index, each in enumerate(found)
    )


def template(spec: AIAgentSpec, entry: Entry) -> EvaluationTemplate:
    """Its evaluation, of those for supervision first, without what compares with a stable revision: that is what is
    measured here. Raises EntryError."""
    found = next((each for each in _defined(spec) if each.name == entry.name), None)
    if found is None:
        raise EntryError(
            f"{entry.field} names an evaluation that is not defined: define it in spec.supervision.evaluations, or "
            "correct the name"
        )
    for metric in found.metrics:
        if problem := _unfit(metric):
            raise EntryError(f"{entry.field}: metric {metric.name} of evaluation {found.name} {problem}")
    alone = {"max_decrease": None, "max_increase": None}
    return found.model_copy(update={"metrics": tuple(m.model_copy(update=alone) for m in found.metrics)})


def _defined(spec: AIAgentSpec) -> tuple[EvaluationTemplate, ...]:
    own = spec.supervision.evaluations if spec.supervision else ()
    return (*own, *(spec.retraining.evaluations if spec.retraining else ()))


def _unfit(metric: Metric) -> str:
    """Why a metric says nothing of what serves by itself, and what to do."""
    if metric.min is None and metric.max is None:
        return "is only compared with the stable revision, which is the one that is measured here: set min or max"
    if metric.query and needs_stable(metric.query):
        return "asks for {{stableRevision}}, which is {{revision}} here: define an evaluation without it"
    if metric.interval is not None and metric.count is None:
        return "has no end: set count where interval is set"
    return ""


def by_job(spec: AIAgentSpec) -> bool:
    """Whether any of them is measured by a Job."""
    names = {entry.name for entry in of(spec)}
    return any(each.job is not None and each.name in names for each in _defined(spec))


def problems(spec: AIAgentSpec) -> Iterator[tuple[Entry, str]]:
    """The entries that cannot be carried out, and why, as far as the spec alone tells."""
    for entry in of(spec):
        try:
            template(spec, entry)
            _plan(entry)
        except (EntryError, CadenceError) as error:
            yield entry, str(error)


def rhythm(o: Observed, entry: Entry) -> Rhythm:
    """When it is planned. Raises EntryError."""
    try:
        plan, spread = _plan(entry)
    except CadenceError as error:
        raise EntryError(str(error)) from error
    place = f"{o.identity.uid}/{entry.purpose.value}/{entry.name}"
    return Rhythm(plan, spread, place, created(o.agent.metadata, o.now))


def _plan(entry: Entry) -> tuple[Plan, timedelta]:
    """Plan and spread. Raises CadenceError."""
    its = entry.review
    found = cadence_spec.cadence(
        schedule=its.schedule,
        every=its.every,
        time_zone=its.time_zone or "UTC",
        spread=its.spread or "0s",
        field=entry.field,
    )
    if found.plan is None:
        raise CadenceError(f"{entry.field} has neither schedule nor every: write one of them")
    if isinstance(found.plan, Every):
        # Planned times are written down to the second.
        return Every(max(found.plan.interval // _SECOND, 1) * _SECOND), found.spread
    return found.plan, found.spread
