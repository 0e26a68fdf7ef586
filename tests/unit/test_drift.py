"""Drift of one metric: when it begins and ends, against a model that looks at the whole series."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagent_operator.api.agentevaluation import Measurement, Phase
from aiagent_operator.api.conditions import Reason, Type, Verdict
from aiagent_operator.api.drift import Drift, DriftState, DriftStatus
from aiagent_operator.core.evaluation import measure
from aiagent_operator.core.evaluation.answer import Answer
from aiagent_operator.core.plan import Plan
from aiagent_operator.core.supervision import drift
from aiagent_operator.core.supervision.drift import Rule, Seen
from aiagent_operator.core.supervision.watching import told
from support.decisions import observed
from support.documents import ROOT, table

BEGIN = datetime(2026, 3, 1, 12, tzinfo=UTC)
ABOVE = Drift.model_validate({"query": "wrong", "max": "0.25", "recovery": "0.15", "for": "10m"})
BELOW = Drift.model_validate({"query": "right", "min": "0.75", "recovery": "0.85", "for": "10m"})
ROWS = table(ROOT / "docs" / "triggers.md", "measured")
NEW = DriftStatus(digest="d", training=2)


def measured(rule: Rule, value: str, at: datetime) -> Measurement:
    """What is measured where Prometheus answers with this value."""
    answer = Answer("scalar", [at.timestamp(), value])
    return measure.of_answers(rule.metric, answer, None, began=at, ended=at)


def series(rule: Rule, values: list[str], pause: timedelta = timedelta(minutes=5)) -> DriftStatus:
    """What is known after these, each taken twice, as passes may."""
    status = NEW
    for number, value in enumerate(values):
        found = measured(rule, value, BEGIN + number * pause)
        status = drift.after(drift.after(status, rule, found), rule, found)
    return status


def said(status: DriftStatus, what: Drift = ABOVE) -> Verdict | None:
    """The condition DriftDetected."""
    spec = {"supervision": {"drift": what.model_dump(mode="json", by_alias=True, exclude_none=True)}}
    o = observed(spec=spec)
    object.__setattr__(o, "drift", Seen(status, drift.bound(what)))
    ready = Verdict(Type.READY, True, Reason.DRIFTING, "stands for the others")
    found = told(Plan(verdicts=(ready,)), o).verdicts[1:]
    return found[0] if found else None


@pytest.mark.parametrize(("values", "state", "condition"), ROWS, ids=[row[0] for row in ROWS])
def test_row(values: str, state: str, condition: str) -> None:
    status = series(Rule.of(ABOVE), values.split())
    assert (status.state.value if status.state else "none") == state
    verdict = said(status)
    assert (f"{verdict.text}, {verdict.reason.value}" if verdict else "absent") == condition


def test_the_other_side_is_the_mirror_image() -> None:
    for values, _, _ in ROWS:
        mirrored = [
            str(1 - Decimal(value)) if Decimal(value).is_finite() else value.translate(str.maketrans("+-", "-+"))
            for value in values.split()
        ]
        assert series(Rule.of(BELOW), mirrored).state == series(Rule.of(ABOVE), values.split()).state


def test_without_a_recovery_it_ends_at_the_bound_and_without_a_for_it_begins_at_once() -> None:
    rule = Rule.of(Drift.model_validate({"query": "wrong", "max": "0.25"}))
    assert series(rule, ["0.26"]).state is DriftState.DRIFTING
    assert series(rule, ["0.26", "0.25"]).state is None
    assert drift.recovery(rule.drift) == "at 0.25 or below"


def test_what_is_said_of_it() -> None:
    verdict = said(series(Rule.of(ABOVE), ["0.31", "0.29", "0.3", "NaN"]))
    assert verdict is not None
    assert verdict.message == (
        "The query of spec.supervision.drift gave 0.3, above max 0.25, at 2026-03-01T12:10:00Z, and has been beyond "
        "it since 2026-03-01T12:00:00Z. It ends at 0.15 or below, or when a training succeeds. Nothing follows from "
        "it: name Drift in spec.retraining.triggers, or order a Retrain. It is not measured since "
        "2026-03-01T12:15:00Z: the value is NaN, which is no number: nothing was counted, or 0 / 0"
    )
    crossed = said(series(Rule.of(ABOVE), ["0.31", "0.29"]))
    assert crossed is not None
    assert crossed.message.endswith(
        "gave 0.31, above max 0.25, at 2026-03-01T12:00:00Z: it is drift once it has been so for 10m"
    )


def test_a_server_that_is_down_for_a_night_is_said_once() -> None:
    rule, status = Rule.of(ABOVE), NEW
    for number in range(100):
        at = BEGIN + timedelta(minutes=number)
        failed = measure.of_answers(rule.metric, f"no answer {number}", None, began=at, ended=at)
        assert failed.phase is Phase.ERROR
        status = drift.after(status, rule, failed)
    assert status.unmeasured is not None
    assert (status.unmeasured.since, status.unmeasured.message) == ("2026-03-01T12:00:00Z", "no answer 0")


def test_another_rule_is_another_matter() -> None:
    digests = {
        Rule.of(ABOVE.model_copy(update=change)).digest
        for change in ({}, {"query": "x"}, {"max": "0.3"}, {"recovery": "0.1"})
    }
    assert len(digests) == 4
    assert Rule.of(ABOVE.model_copy(update={"interval": "1m", "for_": "1h"})).digest == Rule.of(ABOVE).digest


Sample = tuple[int, str]
SAMPLES = st.lists(
    st.tuples(
        st.integers(1, 12), st.sampled_from(("0.1", "0.15", "0.2", "0.25", "0.26", "0.4", "+Inf", "NaN", "-Inf"))
    ),
    max_size=40,
)
_NO_NUMBER = ("NaN", "-Inf")


def model(samples: list[Sample], lasts: int) -> DriftState | None:
    """What holds at the end: found by looking through the whole series, episode by episode."""
    known = [(minute, Decimal(value)) for minute, value in samples if value not in _NO_NUMBER]

    def run(until: int, since: int) -> list[int]:
        """Minutes of the unbroken run beyond the bound that ends with the sample `until`."""
        broken = [i for i in range(since, until + 1) if known[i][1] <= Decimal("0.25")]
        return [known[i][0] for i in range(broken[-1] + 1 if broken else since, until + 1)]

    start = 0
    while True:
        runs = {i: run(i, start) for i in range(start, len(known))}
        detected = next((i for i, minutes in runs.items() if minutes and minutes[-1] - minutes[0] >= lasts), None)
        if detected is None:
            return DriftState.CROSSED if runs and runs[len(known) - 1] else None
        over = next((i for i in range(detected, len(known)) if known[i][1] <= Decimal("0.15")), None)
        if over is None:
            return DriftState.DRIFTING
        start = over + 1


@given(SAMPLES, st.sampled_from((0, 1, 5, 10, 30)))
def test_any_series_comes_to_what_the_whole_of_it_says(steps: list[Sample], lasts: int) -> None:
    rule = Rule.of(ABOVE.model_copy(update={"for_": f"{lasts}m"}))
    status, minute, samples = NEW, 0, []
    changes = 0
    for pause, value in steps:
        minute += pause
        samples.append((minute, value))
        before, status = status, drift.after(status, rule, measured(rule, value, BEGIN + timedelta(minutes=minute)))
        changes += before != status
        assert status.state == model(samples, lasts)
        assert (status.unmeasured is not None) == (value in _NO_NUMBER)
        same = (before.state, before.unmeasured is None) == (status.state, status.unmeasured is None)
        assert (before == status) == same, "it is written when something changes, and only then"
    assert (status.digest, status.training) == ("d", 2)
