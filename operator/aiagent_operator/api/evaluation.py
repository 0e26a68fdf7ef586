"""Evaluations as their authors write them: what is measured of a revision, and what it has to reach.

Field names and defaults are those of Argo Rollouts' AnalysisTemplate.
"""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import ConfigDict, Field, StringConstraints

from aiagent_operator.api import durations
from aiagent_operator.api.fields import Label, Model, cel, described, map_by, rules
from aiagent_operator.api.handbook import Decimal
from aiagent_operator.api.jobtemplate import JobTemplate

MOST_METRICS: Final = 16
ERROR_LIMIT: Final = 4
"""Default of consecutiveErrorLimit, as in Argo Rollouts; the other limits are 0."""

PLACEHOLDERS: Final = ("revision", "stableRevision", "agent", "namespace")

Duration = Annotated[str, StringConstraints(min_length=1, max_length=durations.MAX_LENGTH, pattern=durations.PATTERN)]
Difference = Annotated[str, StringConstraints(min_length=1, max_length=32, pattern=r"^[0-9]+(\.[0-9]+)?$")]
TemplateName = Annotated[Label, Field(max_length=40)]
Query = Annotated[str, StringConstraints(min_length=1, max_length=4096)]
Limit = Annotated[int, Field(ge=0, le=10_000)]

_QUERY = rf"^([^{{]|\\{{[^{{]|\\{{\\{{({'|'.join(PLACEHOLDERS)})\\}}\\}})*$"
QUERY_RULE: Final = cel(
    f"!has(self.query) || self.query.matches('{_QUERY}')",
    "only {{revision}}, {{stableRevision}}, {{agent}} and {{namespace}} are replaced, written without spaces: correct "
    "or remove what else stands in {{ }}",
    path=".query",
)
"""For models that have a query."""
_COMPARED = "(has(self.maxDecrease) || has(self.maxIncrease))"
# What a metric of a Job cannot have: a Job measures once.
_REPEATED = (
    "query", "interval", "count", "initialDelay", "failureLimit", "inconclusiveLimit", "consecutiveErrorLimit",
)  # fmt: skip
ENDLESS: Final = "(has(m.interval) && !has(m.count))"
"""CEL: the metric `m` is measured until something ends the run."""

ENDS: Final = cel(
    f"self.all(t, t.metrics.all(m, !{ENDLESS}))",
    "set count where interval is set: without it a metric is measured for as long as a rollout takes, so nothing else "
    "could wait for its verdict",
)
"""For lists of templates whose verdict something waits for, that is all but those in the background of a rollout."""


class Metric(Model):
    """A number, and the bounds that it has to keep."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel(
                f"has(self.min) || has(self.max) || {_COMPARED}",
                "set at least one of min, max, maxDecrease and maxIncrease: without a bound nothing can fail",
            ),
            cel(
                "!has(self.min) || !has(self.max) || double(self.min) <= double(self.max)",
                "min must not be greater than max",
                path=".min",
            ),
            QUERY_RULE,
            cel(
                f"!has(self.query) || !{_COMPARED} || self.query.contains('{{{{revision}}}}')",
                "maxDecrease and maxIncrease ask the query for both revisions: use {{revision}} in it",
                path=".query",
            ),
            cel(
                "!has(self.count) || self.count == 1 || has(self.interval)",
                "a count of more than 1 needs an interval",
                path=".count",
            ),
            *(
                cel(
                    f"!has(self.{limit}) || (has(self.interval) && !has(self.count)) || "
                    f"self.{limit} < (has(self.count) ? self.count : 1)",
                    f"{limit} must be less than count (1 unless set): more cannot happen, so the limit would never act",
                    path=f".{limit}",
                )
                for limit in ("failureLimit", "inconclusiveLimit")
            ),
        )
    )

    name: Annotated[Label, described("Its name; with a Job, that of the measurement in its result.")]
    min: Decimal | None = described("Least value that is good enough; a decimal number.", default=None)
    max: Decimal | None = described("Greatest value that is good enough; a decimal number.", default=None)
    max_decrease: Difference | None = described(
        "How far, absolutely, it may be below the stable revision's; without effect while there is none.",
        default=None,
    )
    max_increase: Difference | None = described(
        "How far, absolutely, it may be above the stable revision's; without effect while there is none.",
        default=None,
    )
    query: Query | None = described(
        "PromQL with one number as its answer. {{revision}}, {{stableRevision}}, {{agent}} and {{namespace}} are "
        "replaced: within a string as they are, elsewhere in quotes.",
        default=None,
    )
    interval: Duration | None = described("Time between two measurements, such as 30s.", default=None)
    count: Annotated[int, Field(ge=1, le=10_000)] | None = described(
        "Measurements, errors not counted. By default 1; with an interval, as many as a rollout takes.",
        default=None,
    )
    initial_delay: Duration | None = described("Time before the first measurement, such as 1m.", default=None)
    failure_limit: Limit | None = described(
        "Most Failed measurements; with more, it is Failed (by default 0).", default=None
    )
    inconclusive_limit: Limit | None = described(
        "Most Inconclusive measurements; with more, it is Inconclusive (by default 0).",
        default=None,
    )
    consecutive_error_limit: Limit | None = described(
        f"Most errors in a row; with more, it is Error (by default {ERROR_LIMIT}).", default=None
    )


class PrometheusProvider(Model):
    """Where queries are sent."""

    address: Annotated[str, StringConstraints(min_length=8, max_length=253, pattern=r"^https?://[^\s@?#]+$")] | None = (
        described("URL of a Prometheus of the operator's settings; by default the first.", default=None)
    )


METRICS: Final = described(
    "What is measured, and the bounds.", min_length=1, max_length=MOST_METRICS, json_schema_extra=map_by("name")
)
EITHER: Final = (
    cel("has(self.job) != has(self.prometheus)", "set exactly one of job and prometheus"),
    cel(
        "!has(self.prometheus) || self.metrics.all(m, has(m.query))",
        "each metric of prometheus needs a query",
        path=".metrics",
    ),
    cel(
        f"!has(self.job) || self.metrics.all(m, {' && '.join(f'!has(m.{field})' for field in _REPEATED)})",
        "a Job measures once: leave query, interval, count, initialDelay and the limits out, and set "
        "job.spec.backoffLimit for retries",
        path=".metrics",
    ),
)


class EvaluationTemplate(Model):
    """How a revision is evaluated: by a Job, or by queries to Prometheus while it serves."""

    model_config = ConfigDict(json_schema_extra=rules(*EITHER))

    name: Annotated[TemplateName, described("Name of the evaluation.")]
    job: JobTemplate | None = described("A Job that measures it, with JSON in its termination message.", default=None)
    prometheus: PrometheusProvider | None = described("A Prometheus that is asked, once or repeatedly.", default=None)
    metrics: Annotated[tuple[Metric, ...], METRICS]
