"""The state of a run that asks repeatedly, from its first measurement to its verdict.

Counters, limits and precedence are those of Argo Rollouts' AnalysisRun (analysis/analysis.go): a measurement that could
not be taken is repeated and not counted; a metric is Failed, Inconclusive or Error as soon as a limit is passed, in
this order, and Successful once its count is reached; the run is what its worst metric is. It differs in one thing: a
metric that was ended before it had measured enough is Inconclusive, not Successful, since a record is read as a proof.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aiagent_operator.api.agentevaluation import (
    KEPT_MEASUREMENTS,
    LONGEST_MESSAGE,
    AgentEvaluationStatus,
    Measurement,
    MetricResult,
    Phase,
)
from aiagent_operator.api.durations import DurationError, parse
from aiagent_operator.api.evaluation import ERROR_LIMIT, Metric
from aiagent_operator.core import texts
from aiagent_operator.core.untrusted import line as shown

RETRY: Final = dt.timedelta(seconds=10)
"""Pause after a measurement that could not be taken, where there is no interval (Argo: DefaultErrorRetryInterval)."""

LEAST_INTERVAL: Final = dt.timedelta(seconds=1)
_WORST_FIRST: Final = (Phase.FAILED, Phase.ERROR, Phase.INCONCLUSIVE, Phase.SUCCESSFUL)
_LONGEST: Final = 1024


@dataclass(frozen=True, slots=True)
class Pace:
    """When a metric is measured, and how often; `count` None: until something ends the run."""

    interval: dt.timedelta
    count: int | None
    delay: dt.timedelta


def pace(metric: Metric) -> Pace:
    """The pace of a metric. Raises DurationError for what cannot be one."""
    field = f"metrics[{metric.name}]"
    interval, delay = RETRY, dt.timedelta()
    if metric.interval is not None:
        interval = parse(metric.interval, f"{field}.interval", least=LEAST_INTERVAL)
    if metric.initial_delay is not None:
        delay = parse(metric.initial_delay, f"{field}.initialDelay")
    count = metric.count if metric.count is not None else (None if metric.interval is not None else 1)
    return Pace(interval, count, delay)


def begin(metrics: Sequence[Metric], now: dt.datetime) -> AgentEvaluationStatus:
    """The status of a run that begins now; it ends at once as Error where its template cannot be carried out."""
    try:
        for metric in metrics:
            pace(metric)
    except DurationError as error:
        message = shown(f"The template cannot be carried out: {error}", _LONGEST)
        return AgentEvaluationStatus(
            phase=Phase.ERROR, message=message, started_at=texts.moment(now), completed_at=texts.moment(now)
        )
    results = tuple(MetricResult(name=metric.name, phase=Phase.PENDING) for metric in metrics)
    return AgentEvaluationStatus(phase=Phase.RUNNING, started_at=texts.moment(now), metric_results=results)


def next_times(metrics: Iterable[Metric], status: AgentEvaluationStatus) -> dict[str, dt.datetime]:
    """When each metric is to be measured next; those are missing that are completed, or whose run is."""
    if status.phase is None or status.phase.completed:
        return {}
    found = {result.name: result for result in status.metric_results}
    due = {}
    for metric in metrics:
        result = found.get(metric.name) or MetricResult(name=metric.name, phase=Phase.PENDING)
        if not result.phase.completed:
            due[metric.name] = _next_time(pace(metric), result, _moment(status.started_at))
    return due


def due(metrics: Iterable[Metric], status: AgentEvaluationStatus, now: dt.datetime) -> tuple[str, ...]:
    """Names of the metrics that are to be measured now."""
    return tuple(name for name, at in next_times(metrics, status).items() if at <= now)


def record(
    metrics: Sequence[Metric], status: AgentEvaluationStatus, taken: Mapping[str, Measurement], now: dt.datetime
) -> AgentEvaluationStatus:
    """The status with these measurements, by metric; what comes after the verdict is dropped."""
    if status.phase is None or status.phase.completed:
        return status
    before = {result.name: result for result in status.metric_results}
    results = []
    for metric in metrics:
        result = before.get(metric.name) or MetricResult(name=metric.name, phase=Phase.PENDING)
        if metric.name in taken and not result.phase.completed:
            result = assessed(metric, counted(result, taken[metric.name]))
        results.append(result)
    if worse := [result for result in results if result.phase.completed and result.phase is not Phase.SUCCESSFUL]:
        why = f"ended since {worse[0].name} is {worse[0].phase.value}"
        results = [_ended(metric, result, why) for metric, result in zip(metrics, results, strict=True)]
    return concluded(status, results, now)


def end(metrics: Sequence[Metric], status: AgentEvaluationStatus, why: str, now: dt.datetime) -> AgentEvaluationStatus:
    """The status of a run that is ended from outside, as at the end of its rollout; `why` is a reason in few words."""
    if status.phase is not None and status.phase.completed:
        return status
    before = {result.name: result for result in status.metric_results}
    results = [
        _ended(metric, before.get(metric.name) or MetricResult(name=metric.name, phase=Phase.PENDING), f"ended: {why}")
        for metric in metrics
    ]
    return concluded(status, results, now)


def counted(result: MetricResult, measurement: Measurement) -> MetricResult:
    """The result with one more measurement; only the newest are kept, the counters count all."""
    changes: dict[str, object] = {
        "value": measurement.value,
        "stable_value": measurement.stable_value,
        "message": measurement.message,
        "measurements": (*result.measurements, measurement)[-KEPT_MEASUREMENTS:],
    }
    if measurement.phase is Phase.ERROR:
        changes |= {"error": result.error + 1, "consecutive_error": result.consecutive_error + 1}
    else:
        field = measurement.phase.value.lower()
        changes |= {field: getattr(result, field) + 1, "count": result.count + 1, "consecutive_error": 0}
    return result.model_copy(update=changes)


def assessed(metric: Metric, result: MetricResult) -> MetricResult:
    """The result with its phase and message, as its counters and the metric's limits have it."""
    errors = ERROR_LIMIT if metric.consecutive_error_limit is None else metric.consecutive_error_limit
    passed = (
        (Phase.FAILED, "failed", result.failed, metric.failure_limit or 0, "failureLimit"),
        (Phase.INCONCLUSIVE, "inconclusive", result.inconclusive, metric.inconclusive_limit or 0, "inconclusiveLimit"),
        (Phase.ERROR, "errors in a row", result.consecutive_error, errors, "consecutiveErrorLimit"),
    )
    for phase, what, number, limit, field in passed:
        if number > limit:
            return _said(result, phase, f"{number} {what}, {field} is {limit}: {result.message or 'no reason given'}")
    count = pace(metric).count
    if count is not None and result.count >= count:
        return result.model_copy(update={"phase": Phase.SUCCESSFUL})
    return result.model_copy(update={"phase": Phase.RUNNING})


def concluded(
    status: AgentEvaluationStatus, results: Sequence[MetricResult], now: dt.datetime
) -> AgentEvaluationStatus:
    """The status with these results, and with the verdict once all of them have theirs."""
    changes: dict[str, object] = {"metric_results": tuple(results)}
    phase = verdict(result.phase for result in results)
    if phase.completed:
        deciding = [result for result in results if result.phase is phase]
        said = [f"{result.name}: {result.message}" for result in deciding if result.message]
        text = texts.some(said, 3, "; ") or f"{texts.some([result.name for result in deciding], 8)}: all bounds kept"
        changes |= {"message": shown(text, _LONGEST), "completed_at": texts.moment(now)}
    return status.model_copy(update=changes | {"phase": phase})


def verdict(phases: Iterable[Phase]) -> Phase:
    """The phase of a run whose metrics have these: Running while one is not completed, else the worst."""
    found = frozenset(phases)
    if not all(phase.completed for phase in found):
        return Phase.RUNNING
    return next((phase for phase in _WORST_FIRST if phase in found), Phase.RUNNING)


def _ended(metric: Metric, result: MetricResult, why: str) -> MetricResult:
    """The result of a metric whose run ends before it has."""
    if result.phase.completed:
        return result
    wanted = pace(metric).count
    if wanted is None and result.count:
        return _said(result, Phase.SUCCESSFUL, f"{why}, measured {result.count} times within the limits")
    of = "" if wanted is None else f" of {wanted}"
    return _said(result, Phase.INCONCLUSIVE, f"{why}, measured {result.count}{of} times")


def _said(result: MetricResult, phase: Phase, message: str) -> MetricResult:
    return result.model_copy(update={"phase": phase, "message": shown(message, 2 * LONGEST_MESSAGE)})


def _next_time(pace: Pace, result: MetricResult, started: dt.datetime) -> dt.datetime:
    if not result.count and not result.error:
        return started + pace.delay
    last = result.measurements[-1] if result.measurements else None
    return _moment(last.finished_at if last else None) + pace.interval


def _moment(text: str | None) -> dt.datetime:
    """A time of the status; long ago where somebody's edit left none, so that the run goes on rather than hangs."""
    try:
        found = dt.datetime.fromisoformat(text or "")
    except ValueError:
        return dt.datetime.fromtimestamp(0, dt.UTC)
    return found if found.tzinfo else found.replace(tzinfo=dt.UTC)
