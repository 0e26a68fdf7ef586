"""`spec.retraining`: when an agent is trained anew, by what Job, and what its training may change."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import ConfigDict, Field, StringConstraints

from aiagent_operator.api import durations
from aiagent_operator.api.evaluation import ENDLESS, EvaluationTemplate
from aiagent_operator.api.fields import AS_SET, Label, Model, cel, described, map_by, rules
from aiagent_operator.api.jobtemplate import JobTemplate
from aiagent_operator.api.rollout import RolloutSpec
from aiagent_operator.api.runs import ArtifactLocations, ImageRepositories

LONGEST: Final = durations.format_duration(durations.LONGEST)


def duration(least: str, most: str = LONGEST) -> Any:
    """Annotation of a string that is a Go duration within bounds, both included, which the API server checks."""
    return Field(
        min_length=1,
        max_length=durations.MAX_LENGTH,
        pattern=durations.PATTERN,
        json_schema_extra=rules(
            cel(
                f"duration(self) >= duration('{least}') && duration(self) <= duration('{most}')",
                f"must be a duration from {least} to {most}, in hours, minutes and seconds, such as 720h or 1h30m",
            )
        ),
    )


Interval = Annotated[str, duration("1s")]
"""A pause or an age: at least a second."""

Span = Annotated[str, duration("0s")]
"""A length of time that may be nothing."""

CronSchedule = Annotated[str, StringConstraints(min_length=1, max_length=128)]
"""Five fields of a crontab. What they say, and whether such a date exists, is for the operator to tell."""

TimeZone = Annotated[str, StringConstraints(min_length=1, max_length=64)]
"""Name of the IANA database; whether there is such a zone is for the operator to tell."""

CADENCE_RULES: Final = (
    cel("!has(self.schedule) || !has(self.every)", "write schedule or every, not both"),
    cel("!has(self.timeZone) || has(self.schedule)", "timeZone is that of schedule: leave it out without one"),
    cel("!has(self.grace) || has(self.maxAge)", "grace is that of maxAge: leave it out without one"),
)
"""The rules of CadenceFields, for models that add fields and rules of their own."""


class CadenceFields(Model):
    """How often an agent is trained: a plan (schedule or every), and a promise (maxAge).

    Without any of them it is trained by order only. Its policies may promise more.
    """

    model_config = ConfigDict(json_schema_extra=rules(*CADENCE_RULES))

    schedule: CronSchedule | None = described(
        'When it is trained: five fields as of a CronJob, such as "0 2 * * 1".', default=None
    )
    every: Interval | None = described(
        "How long after the end of its last successful training it is trained again, such as 720h.", default=None
    )
    time_zone: TimeZone | None = described(
        "Time zone of schedule, such as Europe/Zurich (by default UTC).", default=None
    )
    max_age: Interval | None = described(
        "How old its training may get, whatever the plan is, such as 720h. A policy may demand less.", default=None
    )
    grace: Span | None = described(
        "How long after maxAge it is reported as overdue, before it is beyond its grace (by default 0s).", default=None
    )
    spread: Span | None = described(
        "Over how long agents with the same plan are spread after its time, each at its own (by default 0s).",
        default=None,
    )
    suspend: Annotated[
        bool, described("True starts no training by plan, promise or trigger, as in a CronJob; the promise goes on.")
    ] = False


class RetrainingTrigger(StrEnum):
    """What makes an agent due beside its plan and its promise."""

    DRIFT = "Drift"
    KNOWLEDGE_CHANGE = "KnowledgeChange"
    POLICY_CHANGE = "PolicyChange"


MOST_EVALUATIONS: Final = 16

Evaluations = Annotated[
    tuple[EvaluationTemplate, ...],
    described(
        "How work is evaluated, whether an edit of the spec or a training made it. What a step or analysis of rollout "
        "names runs there; work has to pass all others before it serves for the first time.",
        max_length=MOST_EVALUATIONS,
        json_schema_extra=map_by("name"),
    ),
]


def _defined(of: str, name: str, path: str) -> dict[str, str]:
    """The rule that each name stands for an evaluation; `of` is CEL for a list in the rollout, `name` for one in it."""
    return cel(
        f"!has(self.rollout) || !has(self.rollout.{of}) || self.rollout.{of}.all(r, {name})",
        "names an evaluation that is not among spec.retraining.evaluations: define it there, or take its name out",
        path=f".rollout.{path}",
    )


_KNOWN: Final = "has(self.evaluations) && self.evaluations.exists(e, e.name == {})"
_IN_STEP: Final = (
    "(has(self.rollout.steps) && self.rollout.steps.exists(s, has(s.evaluation) && s.evaluation.name == t.name))"
)
_WATCHES: Final = (
    "(has(self.rollout) && self.rollout.strategy == 'Canary' && has(self.rollout.analysis) && "
    f"self.rollout.analysis.exists(a, a.name == t.name) && !{_IN_STEP})"
)
EVALUATION_RULES: Final = (
    _defined("steps", f"!has(r.evaluation) || ({_KNOWN.format('r.evaluation.name')})", "steps"),
    _defined("analysis", _KNOWN.format("r.name"), "analysis"),
    cel(
        f"!has(self.evaluations) || self.evaluations.all(t, t.metrics.all(m, !{ENDLESS}) || {_WATCHES})",
        "set count where interval is set: without it a metric is measured for as long as a rollout takes, so nothing "
        "waits for its verdict, and only analysis of a Canary may name it",
        path=".evaluations",
    ),
)
"""What a rollout names is defined, and what something waits for ends."""


class Retraining(CadenceFields):
    """How new versions of an agent come about and take over: how often it is trained, by what Job, what its result may
    put in the agent's place, what it has to pass, and how a revision takes over, whether it was trained or edited."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            *CADENCE_RULES,
            cel(
                "has(self.jobTemplate) || !(has(self.schedule) || has(self.every) || has(self.maxAge) || "
                "has(self.triggers))",
                "schedule, every, maxAge and triggers say when the Job of jobTemplate runs: bring one, or leave them "
                "out",
            ),
            cel(
                "has(self.jobTemplate) || has(self.rollout) || has(self.evaluations)",
                "retraining needs a jobTemplate to train by, or a rollout or evaluations for edits of the spec",
            ),
            *EVALUATION_RULES,
        )
    )

    job_template: JobTemplate | None = described(
        "The Job of a training, as a CronJob has it. It runs under an account without rights. Without one the agent is "
        "never trained, and evaluations and rollout are of edits of the spec.",
        default=None,
    )
    triggers: Annotated[
        tuple[RetrainingTrigger, ...],
        described(
            "What makes it due at once, beside plan and promise. Drift: spec.supervision.drift is detected. "
            "KnowledgeChange: the handbook that serves differs from that of its last successful training. "
            "PolicyChange: an AgentPolicy names another curriculum than that training had.",
            max_length=3,
            json_schema_extra=AS_SET,
        ),
    ] = ()
    evaluations: Evaluations = ()
    connections: Annotated[
        tuple[Annotated[Label, Field(max_length=40)], ...],
        described(
            "Names of spec.connections whose files a training gets; the egress of all of them is open to it.",
            max_length=16,
            json_schema_extra=AS_SET,
        ),
    ] = ()
    image_repositories: ImageRepositories = ()
    artifact_locations: ArtifactLocations = ()
    rollout: RolloutSpec | None = described(
        "How a new revision takes over, whether the spec was edited or the agent was trained. Without it, pod by pod.",
        default=None,
    )


def raw_job_template(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The Job of a training as its author wrote it, from a raw agent spec that has one; the model keeps only what rules
    read."""
    template: dict[str, Any] = spec["retraining"]["jobTemplate"]
    return template
