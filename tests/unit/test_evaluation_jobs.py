"""Runs that are one Job."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest

from aiagent_operator.api.agentevaluation import AgentEvaluationStatus, Phase
from aiagent_operator.api.evaluation import Metric
from aiagent_operator.core.evaluation import jobs
from aiagent_operator.core.evaluation.jobs import JobState, SeenJob

NOW = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
METRICS = (
    Metric.model_validate({"name": "accuracy", "min": "0.85", "maxDecrease": "0.02"}),
    Metric.model_validate({"name": "latency-p95-ms", "max": "50"}),
)
GOOD = [{"name": "accuracy", "value": "0.91", "stableValue": "0.92"}, {"name": "latency-p95-ms", "value": "1.2"}]


def left(*measurements: dict[str, Any], **others: Any) -> SeenJob:
    return SeenJob(JobState.SUCCEEDED, json.dumps({"measurements": measurements, **others}))


def after(*seen: SeenJob, compared: bool = True) -> AgentEvaluationStatus:
    status = jobs.begin(METRICS, NOW)
    for job in seen:
        status = jobs.record(METRICS, status, job, NOW, compared=compared)
        text = status.model_dump_json(by_alias=True, exclude_none=True)
        status = AgentEvaluationStatus.model_validate_json(text)
    return status


def phases(status: AgentEvaluationStatus) -> list[str]:
    return [result.phase.value for result in status.metric_results]


def test_from_the_queue_to_the_verdict() -> None:
    held = SeenJob(JobState.WAITING, reason="suspended: waits for its queue")
    status = after(held)
    assert (status.phase, status.message) == (Phase.PENDING, "suspended: waits for its queue")
    status = after(held, SeenJob(JobState.RUNNING))
    assert (status.phase, status.message, phases(status)) == (Phase.RUNNING, None, ["Pending", "Pending"])
    status = after(held, SeenJob(JobState.RUNNING), left(*GOOD, notes="All well."))
    assert (status.phase, phases(status)) == (Phase.SUCCESSFUL, ["Successful", "Successful"])
    assert status.message == "accuracy, latency-p95-ms: all bounds kept"
    assert (status.notes, status.completed_at) == ("All well.", "2026-03-01T12:00:00Z")
    accuracy = status.metric_results[0]
    assert (accuracy.value, accuracy.stable_value, accuracy.count, accuracy.successful) == ("0.91", "0.92", 1, 1)


@pytest.mark.parametrize(
    ("seen", "phase", "each", "message"),
    [
        (left({**GOOD[0], "value": "0.80"}, GOOD[1]), Phase.FAILED, "Failed Successful", "accuracy: 0.80 is below min"),
        (left({**GOOD[0], "value": "0.89"}, GOOD[1]), Phase.FAILED, "Failed Successful", "more than maxDecrease 0.02"),
        (left(GOOD[0]), Phase.ERROR, "Successful Error", "the Job measured no latency-p95-ms; it measured accuracy"),
        (left({**GOOD[0], "value": "0"}), Phase.FAILED, "Failed Error", "accuracy: 0 is below min 0.85"),
        (left(*GOOD, *GOOD), Phase.ERROR, "Error Error", 'The Job\'s result has two measurements named "accuracy"'),
        (
            SeenJob(JobState.SUCCEEDED, ""),
            Phase.ERROR,
            "Error Error",
            "The Job's result is empty: write one JSON object",
        ),
        (
            SeenJob(JobState.FAILED, '{"error": "TRIAGE_HELDOUT has no tickets"}', "BackoffLimitExceeded"),
            Phase.ERROR,
            "Error Error",
            "The Job failed (BackoffLimitExceeded): TRIAGE_HELDOUT has no tickets",
        ),
        (SeenJob(JobState.FAILED, json.dumps({"measurements": GOOD})), Phase.ERROR, "Error Error", "The Job failed: "),
        (
            SeenJob(JobState.FAILED, reason="DeadlineExceeded"),
            Phase.ERROR,
            "Error Error",
            "The Job failed (DeadlineExceeded): it left no message; see its log",
        ),
    ],
)
def test_verdicts(seen: SeenJob, phase: Phase, each: str, message: str) -> None:
    status = after(seen)
    assert (status.phase, " ".join(phases(status))) == (phase, each)
    assert message in (status.message or "")
    assert status.completed_at is not None
    assert after(seen, left(*GOOD)) == status, "a verdict never changes"
    assert after(seen, SeenJob(JobState.RUNNING)) == status


def test_the_first_revision_is_compared_with_nothing() -> None:
    status = after(left({"name": "accuracy", "value": "0.91"}, GOOD[1]), compared=False)
    assert status.phase is Phase.SUCCESSFUL
    assert status.message == "accuracy: there is no stable revision to compare with"


def test_a_bias_audit_keeps_its_groups() -> None:
    groups = [{"name": "EMEA", "tickets": "120", "accuracy": "0.9130"}, {"name": "APAC", "tickets": "98"}]
    status = after(left(*GOOD, groups=groups))
    assert [(group.name, group.values) for group in status.groups] == [
        ("EMEA", {"tickets": "120", "accuracy": "0.9130"}),
        ("APAC", {"tickets": "98"}),
    ]


def test_a_job_that_is_not_needed_any_more() -> None:
    status = jobs.end(METRICS, after(SeenJob(JobState.RUNNING)), "revision 5 took its place", NOW)
    assert (status.phase, phases(status)) == (Phase.INCONCLUSIVE, ["Inconclusive", "Inconclusive"])
    assert "ended: revision 5 took its place, before there was a result" in (status.message or "")
    done = after(left(*GOOD))
    assert jobs.end(METRICS, done, "late", NOW) == done


def test_a_status_is_bounded_whatever_a_job_says() -> None:
    text = json.dumps({"error": "\x1b" + "ä" * 1500})
    status = after(SeenJob(JobState.FAILED, text, "BackoffLimitExceeded"))
    assert len(status.model_dump_json()) < 4000
