"""Runs of evaluations with one metric, written as letters: S(uccessful), F(ailed), I(nconclusive), E(rror)."""

from __future__ import annotations

import datetime as dt
from typing import Any

from aiagent_operator.api.agentevaluation import AgentEvaluationStatus, Measurement, MetricResult, Phase
from aiagent_operator.api.evaluation import Metric
from aiagent_operator.core import texts
from aiagent_operator.core.evaluation import run

BEGIN = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)
PHASES = {"S": Phase.SUCCESSFUL, "F": Phase.FAILED, "I": Phase.INCONCLUSIVE, "E": Phase.ERROR}
LETTERS = {phase: letter for letter, phase in PHASES.items()} | {Phase.RUNNING: "r", Phase.PENDING: "p"}


def metric(name: str = "m", **fields: Any) -> Metric:
    """A metric of Prometheus with these fields."""
    return Metric.model_validate({"name": name, "query": "up", "min": "1", **fields})


def taken(letter: str, at: dt.datetime = BEGIN) -> Measurement:
    """The measurement that a letter stands for."""
    return Measurement(phase=PHASES[letter], value="1", message=f"said {letter}", finished_at=texts.moment(at))


def stored(status: AgentEvaluationStatus) -> AgentEvaluationStatus:
    """The status as it comes back from the API server: after a restart there is nothing else."""
    return AgentEvaluationStatus.model_validate_json(status.model_dump_json(by_alias=True, exclude_none=True))


def course(letters: str, **fields: Any) -> tuple[str, AgentEvaluationStatus]:
    """The run's phase after each measurement of its one metric, as letters, and its last status."""
    metrics = (metric(**fields),)
    status, seen = run.begin(metrics, BEGIN), ""
    for index, letter in enumerate(letters):
        now = BEGIN + index * 10 * SECOND
        status = stored(run.record(metrics, status, {"m": taken(letter, now)}, now))
        assert status.phase is not None
        seen += LETTERS[status.phase]
    return seen, status


def only(status: AgentEvaluationStatus) -> MetricResult:
    """The result of the run's one metric."""
    (result,) = status.metric_results
    return result
