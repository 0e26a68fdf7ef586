"""The state of a run that is one Job: waiting, running, and the verdict on what it measured.

A Job that fails has measured nothing, so its run is Error: that a model is bad is said by numbers, never by an exit
code. Retries are the Job's own (backoffLimit).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from aiagent_operator.api.agentevaluation import (
    LONGEST_MESSAGE,
    AgentEvaluationStatus,
    Measurement,
    MetricResult,
    Phase,
)
from aiagent_operator.api.evaluation import Metric
from aiagent_operator.core import texts
from aiagent_operator.core.evaluation import measure, result
from aiagent_operator.core.evaluation.run import concluded, counted
from aiagent_operator.core.strict_json import StrictJsonError
from aiagent_operator.core.untrusted import line as shown

_FEWEST: Final = 2
"""Groups of a bias audit: one is treated like itself."""


class JobState(StrEnum):
    """What is seen of a Job."""

    WAITING = "Waiting"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class SeenJob:
    """A Job as it was last seen.

    `message` is the termination message of its last container (the tail of its log where it failed without one);
    `reason` says what it waits for, or why it failed (`DeadlineExceeded`, `BackoffLimitExceeded`).
    """

    state: JobState
    message: str = ""
    reason: str = ""


def begin(metrics: Sequence[Metric], now: dt.datetime) -> AgentEvaluationStatus:
    """The status of a run whose Job is about to be created."""
    results = tuple(MetricResult(name=metric.name, phase=Phase.PENDING) for metric in metrics)
    return AgentEvaluationStatus(phase=Phase.PENDING, started_at=texts.moment(now), metric_results=results)


def record(
    metrics: Sequence[Metric],
    status: AgentEvaluationStatus,
    seen: SeenJob,
    now: dt.datetime,
    *,
    compared: bool,
    grouped: bool = False,
) -> AgentEvaluationStatus:
    """The status with what is seen of the Job; `compared`: there is a stable revision. A verdict never changes.

    `grouped`: it is a bias audit, which is none without what was measured of each group.
    """
    if status.phase is not None and status.phase.completed:
        return status
    match seen.state:
        case JobState.WAITING:
            return _under_way(status, Phase.PENDING, seen.reason)
        case JobState.RUNNING:
            return _under_way(status, Phase.RUNNING, seen.reason)
        case JobState.FAILED:
            return _failed(metrics, status, _complaint(seen), now)
    try:
        found = result.read(seen.message)
    except StrictJsonError as error:
        return _failed(metrics, status, str(error), now)
    if grouped and len(found.groups) < _FEWEST:
        text = f"{result.WHAT} has {len(found.groups)} groups: write what was measured of two or more into groups"
        return _failed(metrics, status, text, now)
    taken = [(metric, measure.of_result(metric, found, compared=compared, at=now)) for metric in metrics]
    done = status.model_copy(update={"groups": found.groups, "notes": found.notes or None})
    return concluded(done, [_judged(metric, measurement) for metric, measurement in taken], now)


def end(metrics: Sequence[Metric], status: AgentEvaluationStatus, why: str, now: dt.datetime) -> AgentEvaluationStatus:
    """The status of a run that is ended before its Job has a result; `why` is a reason in few words."""
    if status.phase is not None and status.phase.completed:
        return status
    message = shown(f"ended: {why}, before there was a result", 2 * LONGEST_MESSAGE)
    results = [MetricResult(name=metric.name, phase=Phase.INCONCLUSIVE, message=message) for metric in metrics]
    return concluded(status, results, now)


def _complaint(seen: SeenJob) -> str:
    said = result.complaint(seen.message)
    return f"the Job failed{f' ({seen.reason})' if seen.reason else ''}: {said or 'it left no message; see its log'}"


def _failed(
    metrics: Sequence[Metric], status: AgentEvaluationStatus, message: str, now: dt.datetime
) -> AgentEvaluationStatus:
    """Nothing was measured, and measuring again would give the same: each metric is an error."""
    error = Measurement(phase=Phase.ERROR, message=shown(message, LONGEST_MESSAGE), finished_at=texts.moment(now))
    failed = concluded(status, [_judged(metric, error) for metric in metrics], now)
    return failed.model_copy(update={"message": shown(f"{message[:1].upper()}{message[1:]}", 1024)})


def _judged(metric: Metric, measurement: Measurement) -> MetricResult:
    """The result of the one measurement that a Job takes: no limit applies, and an error is final."""
    once = counted(MetricResult(name=metric.name, phase=Phase.PENDING), measurement)
    return once.model_copy(update={"phase": measurement.phase})


def _under_way(status: AgentEvaluationStatus, phase: Phase, reason: str) -> AgentEvaluationStatus:
    return status.model_copy(update={"phase": phase, "message": shown(reason, 1024) or None})
