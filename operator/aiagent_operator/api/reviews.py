"""Reviews and bias audits: evaluations of the revision that serves, on a cadence, and what the status says of them."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import ConfigDict, Field, StringConstraints

from aiagent_operator.api.evaluation import TemplateName
from aiagent_operator.api.fields import Model, cel, described, rules
from aiagent_operator.api.retraining import CronSchedule, Interval, Span, TimeZone
from aiagent_operator.api.trainingstatus import Moment

MOST_REVIEWS: Final = 8
"""Entries of each list, and evaluations that are defined for them."""

MOST_KEPT: Final = 10
SUCCESSFUL_KEPT, UNSUCCESSFUL_KEPT = 3, 3
"""Finished runs of an entry that are kept, where its author says nothing."""

MOST_FORMER: Final = 8
"""Entries that are no more in the spec and of which a finding is kept."""

RecordName = Annotated[str, StringConstraints(min_length=1, max_length=253)]
Number = Annotated[int, Field(ge=1, le=2**31 - 1)]
Word = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Kept = Annotated[int, Field(ge=1, le=MOST_KEPT)]


class Review(Model):
    """One evaluation, repeated on a cadence."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel("has(self.schedule) != has(self.every)", "set exactly one of schedule and every"),
            cel("!has(self.timeZone) || has(self.schedule)", "timeZone is that of schedule: leave it out without one"),
        )
    )

    name: Annotated[
        TemplateName,
        described("One of spec.supervision.evaluations, else of spec.retraining.evaluations."),
    ]
    schedule: CronSchedule | None = described(
        'When it runs: five fields as of a CronJob, such as "0 6 1 * *".', default=None
    )
    every: Interval | None = described(
        "How often it runs, such as 720h, counted from the creation of the agent.", default=None
    )
    time_zone: TimeZone | None = described(
        "Time zone of schedule, such as Europe/Zurich (by default UTC).", default=None
    )
    spread: Span | None = described(
        "Over how long agents with the same plan are spread after its time, each at its own (by default 0s).",
        default=None,
    )
    successful_run_history_limit: Kept | None = described(
        f"Successful runs that are kept (by default {SUCCESSFUL_KEPT}).", default=None
    )
    unsuccessful_run_history_limit: Kept | None = described(
        f"Failed, Inconclusive and Error runs kept beside what holds promotions (by default {UNSUCCESSFUL_KEPT}).",
        default=None,
    )


class ReviewFinding(Model):
    """What a run found that a person has to decide about."""

    evaluation: Annotated[RecordName, described("Name of the AgentEvaluation.")]
    revision: Annotated[Number, described("Number of the revision that it is about, which serves.")]
    phase: Annotated[Word, described("Failed; of a bias audit also Inconclusive.")]
    message: Annotated[str, StringConstraints(max_length=1024), described("What was found.")]
    released_by: Annotated[str, StringConstraints(max_length=2048)] | None = described(
        "The AgentAction by which it holds up no promotion any more; without one it does.", default=None
    )


class ReviewEnded(Model):
    """The run that ended last."""

    evaluation: Annotated[RecordName, described("Name of the AgentEvaluation.")]
    revision: Annotated[Number, described("Number of the revision that it is about.")]
    phase: Annotated[Word, described("Its verdict: Successful, Failed, Inconclusive or Error.")]
    completion_time: Moment | None = described("When the verdict was there.", default=None)


class ReviewStatus(Model):
    """How one review or bias audit stands."""

    name: Annotated[TemplateName, described("Name of the entry.")]
    purpose: Annotated[Word, described("Review or BiasAudit.")]
    next_schedule_time: Moment | None = described("From when on it runs next.", default=None)
    last_schedule_time: Moment | None = described("For which time it ran last.", default=None)
    active: RecordName | None = described("Name of the AgentEvaluation that is under way.", default=None)
    last: ReviewEnded | None = described("The run that ended last.", default=None)
    finding: ReviewFinding | None = described("What a person has to decide about.", default=None)
