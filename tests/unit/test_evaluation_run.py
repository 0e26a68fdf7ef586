"""A run from its first measurement to its verdict: state tables and due times."""

from __future__ import annotations

from typing import Any

import pytest

from aiagent_operator.api.agentevaluation import KEPT_MEASUREMENTS, Measurement, Phase
from aiagent_operator.core import texts
from aiagent_operator.core.evaluation import run
from support.evaluations import BEGIN, LETTERS, PHASES, SECOND, course, metric, only, taken

FIVE = {"interval": "10s", "count": 5}
ENDLESS = {"interval": "10s"}


@pytest.mark.parametrize(
    ("fields", "letters", "phases"),
    [
        # once, which is the default
        ({}, "S", "S"),
        ({}, "F", "F"),
        ({}, "I", "I"),
        ({}, "ES", "rS"),
        ({}, "EEEES", "rrrrS"),
        ({}, "EEEEE", "rrrrE"),
        ({}, "EEEEF", "rrrrF"),
        ({"consecutiveErrorLimit": 0}, "E", "E"),
        ({"consecutiveErrorLimit": 1}, "EE", "rE"),
        # a verdict stays
        ({}, "SFFF", "SSSS"),
        ({}, "FSSS", "FFFF"),
        # a count
        (FIVE, "SSSSS", "rrrrS"),
        (FIVE, "SSF", "rrF"),
        (FIVE | {"failureLimit": 1}, "SFSSS", "rrrrS"),
        (FIVE | {"failureLimit": 1}, "SFSF", "rrrF"),
        (FIVE | {"failureLimit": 4}, "FFFFS", "rrrrS"),
        (FIVE | {"inconclusiveLimit": 1}, "SISIS", "rrrII"),
        (FIVE | {"inconclusiveLimit": 2}, "ISISS", "rrrrS"),
        (FIVE | {"failureLimit": 1, "inconclusiveLimit": 1}, "FIS", "rrr"),
        (FIVE | {"failureLimit": 1, "inconclusiveLimit": 1}, "FISFS", "rrrFF"),
        # errors are not counted, and only those in a row limit
        (FIVE, "ESESESESES", "rrrrrrrrrS"),
        (FIVE, "EEEESEEEES", "rrrrrrrrrr"),
        (FIVE, "SSSSEEEEE", "rrrrrrrrE"),
        (FIVE | {"consecutiveErrorLimit": 0}, "SSE", "rrE"),
        # without an end
        (ENDLESS, "SSSSSSSSSSSSSSSSSSSS", "rrrrrrrrrrrrrrrrrrrr"),
        (ENDLESS | {"failureLimit": 2}, "SFSFSSSSSSSSSF", "rrrrrrrrrrrrrF"),
    ],
)
def test_state_table(fields: dict[str, Any], letters: str, phases: str) -> None:
    assert course(letters, **fields)[0] == phases


@pytest.mark.parametrize(
    ("letters", "phase"),
    [
        ("SS", "S"), ("SI", "I"), ("SE", "E"), ("SF", "F"),
        ("IE", "E"), ("IF", "F"), ("EF", "F"), ("IEF", "F"), ("SIEF", "F"), ("II", "I"),
        ("Sr", "r"), ("Fr", "r"), ("pS", "r"), ("p", "r"), ("", "r"),
    ],
)  # fmt: skip
def test_the_worst_metric_decides(letters: str, phase: str) -> None:
    phases = [next(key for key, letter in LETTERS.items() if letter == mark) for mark in letters]
    assert LETTERS[run.verdict(phases)] == phase
    assert LETTERS[run.verdict(reversed(phases))] == phase


def test_a_bad_metric_ends_the_others() -> None:
    metrics = (metric("a", **FIVE), metric("b", **ENDLESS), metric("c"), metric("d", **ENDLESS))
    status = run.begin(metrics, BEGIN)
    status = run.record(metrics, status, {"a": taken("S"), "b": taken("S"), "c": taken("S")}, BEGIN)
    assert [result.phase for result in status.metric_results] == [
        Phase.RUNNING, Phase.RUNNING, Phase.SUCCESSFUL, Phase.PENDING,
    ]  # fmt: skip
    status = run.record(metrics, status, {"a": taken("F")}, BEGIN + SECOND)
    found = {result.name: (result.phase, result.message) for result in status.metric_results}
    assert found == {
        "a": (Phase.FAILED, "1 failed, failureLimit is 0: said F"),
        "b": (Phase.SUCCESSFUL, "ended since a is Failed, measured 1 times within the limits"),
        "c": (Phase.SUCCESSFUL, "said S"),
        "d": (Phase.INCONCLUSIVE, "ended since a is Failed, measured 0 times"),
    }
    assert status.phase is Phase.FAILED
    assert status.message == "a: 1 failed, failureLimit is 0: said F"
    assert status.completed_at == texts.moment(BEGIN + SECOND)
    assert not run.next_times(metrics, status)


def test_a_success_names_what_was_measured() -> None:
    kept = Measurement(phase=Phase.SUCCESSFUL, value="2", finished_at=texts.moment(BEGIN))
    metrics = (metric("a"), metric("b"))
    status = run.record(metrics, run.begin(metrics, BEGIN), {"a": kept, "b": kept}, BEGIN)
    assert (status.phase, status.message) == (Phase.SUCCESSFUL, "a, b: all bounds kept")


@pytest.mark.parametrize(
    ("fields", "letters", "phase", "message"),
    [
        (ENDLESS, "SSS", "S", "ended: the rollout is over, measured 3 times within the limits"),
        (ENDLESS | {"failureLimit": 1}, "F", "S", "ended: the rollout is over, measured 1 times within the limits"),
        (ENDLESS, "", "I", "ended: the rollout is over, measured 0 times"),
        (ENDLESS, "EE", "I", "ended: the rollout is over, measured 0 times"),
        (FIVE, "SS", "I", "ended: the rollout is over, measured 2 of 5 times"),
        (FIVE, "", "I", "ended: the rollout is over, measured 0 of 5 times"),
        (FIVE, "SSSSS", "S", "said S"),
        (ENDLESS, "SF", "F", "1 failed, failureLimit is 0: said F"),
    ],
)  # fmt: skip
def test_ended_from_outside(fields: dict[str, Any], letters: str, phase: str, message: str) -> None:
    _, status = course(letters, **fields)
    ended = run.end((metric(**fields),), status, "the rollout is over", BEGIN + 600 * SECOND)
    assert (only(ended).phase, only(ended).message) == (PHASES[phase], message)
    assert ended.phase is PHASES[phase]
    assert ended.completed_at is not None
    assert run.end((metric(**fields),), ended, "again", BEGIN + 900 * SECOND) == ended


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"interval": "0s"}, 'metrics[m].interval "0s" is too short: write at least 1s'),
        ({"interval": "90000h", "count": 2}, "is too long"),
        ({"initialDelay": "999999h"}, 'metrics[m].initialDelay "999999h" is too long'),
    ],
)
def test_a_template_that_cannot_be_carried_out_ends_at_once(fields: dict[str, Any], message: str) -> None:
    status = run.begin((metric(**fields),), BEGIN)
    assert status.phase is Phase.ERROR
    assert message in (status.message or "")
    assert not run.due((metric(**fields),), status, BEGIN)


# Due times ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "letters", "after"),
    [
        ({}, "", 0),
        ({"initialDelay": "1m"}, "", 60),
        (FIVE | {"initialDelay": "1m"}, "", 60),
        (FIVE | {"interval": "30s"}, "S", 30),
        (FIVE | {"interval": "30s"}, "SS", 40),
        (FIVE | {"interval": "30s", "initialDelay": "1h"}, "S", 30),
        ({"initialDelay": "1h"}, "E", 10),
        ({}, "E", 10),
        ({}, "EE", 20),
        (FIVE | {"interval": "30s"}, "E", 30),
        ({}, "S", None),
        (FIVE, "F", None),
    ],
)
def test_due_times(fields: dict[str, Any], letters: str, after: int | None) -> None:
    """Measurements are 10 s apart; what is due next depends on nothing but the status."""
    _, status = course(letters, **fields)
    metrics = (metric(**fields),)
    if after is None:
        assert run.next_times(metrics, status) == {}
        return
    at = BEGIN + after * SECOND
    assert run.next_times(metrics, status) == {"m": at}
    assert run.due(metrics, status, at - SECOND) == ()
    assert run.due(metrics, status, at) == ("m",)
    assert run.due(metrics, status, at + 1000 * SECOND) == ("m",)


@pytest.mark.parametrize("time", [None, "yesterday", "2026-03-01T12:00:00"])
def test_a_time_that_somebody_edited_does_not_hold_the_run(time: str | None) -> None:
    broken = taken("S").model_copy(update={"finished_at": time})
    metrics = (metric(**FIVE),)
    status = run.record(metrics, run.begin(metrics, BEGIN), {"m": broken}, BEGIN)
    assert run.due(metrics, status, BEGIN + 60 * SECOND) == ("m",)


def test_only_the_newest_measurements_are_kept() -> None:
    _, status = course("S" * 25, **ENDLESS)
    result = only(status)
    assert len(result.measurements) == KEPT_MEASUREMENTS
    assert result.measurements[-1].finished_at == texts.moment(BEGIN + 240 * SECOND)
    assert (result.count, result.successful) == (25, 25)
