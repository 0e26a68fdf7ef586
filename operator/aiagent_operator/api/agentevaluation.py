"""AgentEvaluation: the record of one run of an evaluation, with what was measured and the verdict.

Field names and phases are those of Argo Rollouts' AnalysisRun.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import ConfigDict, Field, StringConstraints

from aiagent_operator.api.evaluation import (
    EITHER,
    ENDLESS,
    METRICS,
    MOST_METRICS,
    Metric,
    PrometheusProvider,
    TemplateName,
)
from aiagent_operator.api.fields import ATOMIC, Label, Model, ObjectName, Text, cel, described, map_by, rules
from aiagent_operator.api.objectmeta import ObjectMeta

MOST_GROUPS: Final = 64
MOST_GROUP_VALUES: Final = 16
LONGEST_MESSAGE: Final = 256
"""Characters of a measurement's message: a status has up to 160 of them."""

KEPT_MEASUREMENTS: Final = 10
"""Measurements of each metric that the status keeps, as in Argo Rollouts; counters count all of them."""

LONGEST_JOB: Final = 131_072
"""Characters of a Job's template as JSON: an object in etcd has at most 1.5 MB, and this one grows by its status."""

Amount = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Time = Annotated[str, Field(json_schema_extra={"format": "date-time"}, max_length=64)]
Count = Annotated[int, Field(ge=0, le=1_000_000)]


class Purpose(StrEnum):
    """What an evaluation is for."""

    HIRING = "Hiring"
    PROMOTION = "Promotion"
    ANALYSIS = "Analysis"
    REVIEW = "Review"
    BIAS_AUDIT = "BiasAudit"
    HANDOVER = "Handover"


class Provider(StrEnum):
    """Who measures."""

    JOB = "Job"
    PROMETHEUS = "Prometheus"


class Phase(StrEnum):
    """Where a run, a metric or a measurement stands; a measurement is never Pending or Running."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCESSFUL = "Successful"
    FAILED = "Failed"
    ERROR = "Error"
    INCONCLUSIVE = "Inconclusive"

    @property
    def completed(self) -> bool:
        """Whether it is a verdict, which never changes."""
        return self not in {Phase.PENDING, Phase.RUNNING}


class RecordedTemplate(Model):
    """A template as it was when the run began.

    The Job's is one string: the API server's `self == oldSelf` does not see fields that a schema leaves open.
    """

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel("has(self.job) == has(self.jobDigest)", "job and jobDigest go together: give both or neither"), *EITHER
        )
    )

    name: Annotated[TemplateName, described("Name of the evaluation.")]
    job: Annotated[str, StringConstraints(min_length=2, max_length=LONGEST_JOB)] | None = described(
        "The Job's template as canonical JSON (sorted keys, no spaces).", default=None
    )
    job_digest: Annotated[str, StringConstraints(max_length=71, pattern="^sha256:[0-9a-f]{64}$")] | None = described(
        "SHA-256 of that text.", default=None
    )
    prometheus: PrometheusProvider | None = described("The Prometheus that is asked.", default=None)
    metrics: Annotated[tuple[Metric, ...], METRICS]


class EvaluatedAgent(Model):
    """The agent that is evaluated."""

    name: Annotated[Label, Field(max_length=40), described("Name of the AIAgent.")]
    uid: Annotated[str, StringConstraints(min_length=1, max_length=63), described("UID of the AIAgent.")]


class AgentEvaluationSpec(Model):
    """What is evaluated, and how. Immutable."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel("self == oldSelf", "an evaluation is a record and never changes: a new one is made for another run"),
            cel(
                "!has(self.stableRevision) || self.stableRevision != self.revision",
                "a revision is not compared with itself: leave stableRevision out",
                path=".stableRevision",
            ),
            cel(
                f"self.purpose == 'Analysis' || self.template.metrics.all(m, !{ENDLESS})",
                "set count where interval is set: only an Analysis is ended by its rollout",
                path=".template.metrics",
            ),
            cel(
                "(self.purpose == 'Hiring') == has(self.role)",
                "role goes with the purpose Hiring, and with no other",
                path=".role",
            ),
            cel(
                "(self.provider == 'Job') == has(self.template.job)",
                "provider is Job where the template has one, else Prometheus",
                path=".provider",
            ),
        )
    )

    agent_ref: Annotated[EvaluatedAgent, described("The agent.")]
    revision: Annotated[int, Field(ge=1), described("Number of the revision that is evaluated.")]
    stable_revision: Annotated[int, Field(ge=1)] | None = described(
        "Number of the revision that it is compared with; none where there is no stable one yet.", default=None
    )
    purpose: Annotated[
        Purpose, described("What it is for: Hiring, Promotion, Analysis, Review, BiasAudit or Handover.")
    ]
    role: ObjectName | None = described("The AgentRole that the agent is to be hired as.", default=None)
    provider: Annotated[Provider, described("Who measures: Job or Prometheus.")]
    scheduled_time: Time | None = described(
        "For a review or bias audit: the time that it was planned for.", default=None
    )
    template: Annotated[RecordedTemplate, described("The evaluation as it was defined when the run began.")]


class Measurement(Model):
    """One measurement."""

    phase: Annotated[Phase, described("Successful, Failed, Error or Inconclusive.")]
    value: Amount | None = described("What was measured.", default=None)
    stable_value: Amount | None = described("The same of the stable revision.", default=None)
    message: Annotated[str, StringConstraints(max_length=LONGEST_MESSAGE)] | None = described(
        "Why it is so.", default=None
    )
    started_at: Time | None = described("When it was begun.", default=None)
    finished_at: Time | None = described("When it was there; the interval counts from here.", default=None)


class MetricResult(Model):
    """What was measured of one metric, and its verdict."""

    name: Annotated[Label, described("Name of the metric.")]
    phase: Annotated[Phase, described("Verdict on the metric, or where it stands.")]
    message: Annotated[str, StringConstraints(max_length=2 * LONGEST_MESSAGE)] | None = described(
        "Why it is so.", default=None
    )
    value: Amount | None = described("The value measured last.", default=None)
    stable_value: Amount | None = described("The value of the stable revision measured last.", default=None)
    count: Count = described("Measurements taken, errors not counted.", default=0)
    successful: Count = described("Measurements that kept all bounds.", default=0)
    failed: Count = described("Measurements that broke a bound.", default=0)
    inconclusive: Count = described("Measurements that say neither.", default=0)
    error: Count = described("Measurements that could not be taken.", default=0)
    consecutive_error: Count = described("Those among them since the last that could.", default=0)
    measurements: Annotated[
        tuple[Measurement, ...],
        described("The newest measurements, the latest last.", max_length=KEPT_MEASUREMENTS, json_schema_extra=ATOMIC),
    ] = ()


class Group(Model):
    """One group of a bias audit."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=63), described("The group.")]
    values: Annotated[
        dict[str, Amount], described("What was measured of it, by name; decimal numbers.", max_length=MOST_GROUP_VALUES)
    ]


class Release(Model):
    """An order by which a finding holds up no promotion any more."""

    uid: Annotated[str, StringConstraints(min_length=1, max_length=64), described("UID of the AgentAction Promote.")]
    by: Annotated[str, StringConstraints(min_length=1, max_length=2048), described("Its name, who gave it, and why.")]
    time: Annotated[Time, described("When it was carried out.")]


class AgentEvaluationStatus(Model):
    """What was measured, and the verdict."""

    phase: Phase | None = described(
        "Pending (not measured yet), Running, or the verdict: the worst of the metrics', in the order Failed, Error, "
        "Inconclusive, Successful.",
        default=None,
    )
    message: Text | None = described("What decided it, or what it waits for.", default=None)
    notes: Text | None = described("What the Job says of its result, for people.", default=None)
    started_at: Time | None = described("When the run began.", default=None)
    completed_at: Time | None = described("When the verdict was there.", default=None)
    metric_results: Annotated[
        tuple[MetricResult, ...],
        described("What was measured, by metric.", max_length=MOST_METRICS, json_schema_extra=map_by("name")),
    ] = ()
    groups: Annotated[
        tuple[Group, ...],
        described("Groups of a bias audit.", max_length=MOST_GROUPS, json_schema_extra=map_by("name")),
    ] = ()
    released: Release | None = described(
        "For a review or bias audit: the order by which what it found holds up no promotion any more.", default=None
    )


class AgentEvaluation(Model):
    """One run of an evaluation: an interview, a review or an audit of one revision."""

    metadata: ObjectMeta
    spec: AgentEvaluationSpec
    status: dict[str, Any] = Field(default_factory=dict)
