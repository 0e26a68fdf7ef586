"""What holds for all runs, whatever is measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from aiagent_operator.api.agentevaluation import Phase
from aiagent_operator.core.evaluation import run
from support.evaluations import BEGIN, SECOND, course, metric, only, stored, taken

COUNTED = st.lists(st.sampled_from("SFI"), max_size=12).map("".join)
ALL = st.lists(st.sampled_from("SFIE"), max_size=20).map("".join)
LIMITS = st.fixed_dictionaries(
    {
        "failureLimit": st.integers(0, 4),
        "inconclusiveLimit": st.integers(0, 4),
        "consecutiveErrorLimit": st.integers(0, 4),
    }
)
COUNTS = st.integers(1, 12) | st.none()


def fields(count: int | None, limits: dict[str, int]) -> dict[str, Any]:
    return {"interval": "10s", **({} if count is None else {"count": count}), **limits}


def longest_run_of_errors(letters: str) -> int:
    return max(map(len, letters.replace("F", "S").replace("I", "S").split("S")))


@given(ALL, COUNTS, LIMITS)
def test_a_run_ends_exactly_when_its_count_is_reached_or_a_limit_is_passed(
    letters: str, count: int | None, limits: dict[str, int]
) -> None:
    seen, _ = course(letters, **fields(count, limits))
    for length in range(1, len(letters) + 1):
        part = letters[:length]
        passed = (
            part.count("F") > limits["failureLimit"]
            or part.count("I") > limits["inconclusiveLimit"]
            or longest_run_of_errors(part) > limits["consecutiveErrorLimit"]
        )
        reached = count is not None and len(part.replace("E", "")) >= count
        assert (seen[length - 1] != "r") == (passed or reached)
        if passed or reached:
            assert set(seen[length - 1 :]) == {seen[length - 1]}
            break


@given(COUNTED, LIMITS, st.randoms(use_true_random=False))
def test_the_order_of_measurements_changes_nothing_while_no_limit_is_passed(
    letters: str, limits: dict[str, int], random: Any
) -> None:
    assume(letters.count("F") <= limits["failureLimit"] and letters.count("I") <= limits["inconclusiveLimit"])
    other = "".join(random.sample(letters, len(letters)))
    one, two = (only(course(order, **fields(12, limits))[1]) for order in (letters, other))
    blank = {"measurements": (), "message": None}
    assert one.model_copy(update=blank) == two.model_copy(update=blank)


@given(COUNTED, COUNTS, LIMITS)
def test_counters_add_up(letters: str, count: int | None, limits: dict[str, int]) -> None:
    result = only(course(letters, **fields(count, limits))[1])
    assert result.count == result.successful + result.failed + result.inconclusive
    assert result.count <= len(letters)
    assert count is None or result.count <= count
    assert result.consecutive_error <= result.error


@given(ALL, COUNTS, LIMITS, st.sampled_from(["failureLimit", "inconclusiveLimit", "consecutiveErrorLimit"]))
def test_a_higher_limit_never_ends_a_run_earlier_nor_worse(
    letters: str, count: int | None, limits: dict[str, int], raised: str
) -> None:
    strict, _ = course(letters, **fields(count, limits))
    loose, _ = course(letters, **fields(count, limits | {raised: limits[raised] + 1}))
    for before, after in zip(strict, loose, strict=True):
        if before in "rS":
            assert after == before
    assert loose.count("r") >= strict.count("r")


@given(st.lists(st.sampled_from("SFIE"), min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_the_order_of_metrics_changes_nothing(letters: list[str], random: Any) -> None:
    def phases(order: Sequence[int]) -> tuple[Phase | None, dict[str, Phase]]:
        metrics = [metric(f"m{index}", consecutiveErrorLimit=0) for index in order]
        found = {f"m{index}": taken(letters[index]) for index in order}
        status = run.record(metrics, run.begin(metrics, BEGIN), found, BEGIN)
        return status.phase, {result.name: result.phase for result in status.metric_results}

    order = list(range(len(letters)))
    assert phases(order) == phases(random.sample(order, len(order)))


@given(st.lists(st.tuples(st.sampled_from("SFIE"), st.integers(0, 90)), max_size=15), COUNTS)
def test_nothing_is_measured_after_the_verdict_nor_before_its_time(
    steps: Iterable[tuple[str, int]], count: int | None
) -> None:
    metrics = (
        metric(interval="30s", initialDelay="45s", failureLimit=2, **({} if count is None else {"count": count})),
    )
    status, now, last = run.begin(metrics, BEGIN), BEGIN, None
    for letter, pause in steps:
        now += pause * SECOND
        if not run.due(metrics, status, now):
            continue
        assert status.phase is Phase.RUNNING
        assert now >= BEGIN + 45 * SECOND
        assert last is None or now - last >= 30 * SECOND
        status, last = stored(run.record(metrics, status, {"m": taken(letter, now)}, now)), now
