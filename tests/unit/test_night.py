"""What is said of a night in the morning can be wrong in each of its parts."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from support.night import SLACK, ChiSquare, Started, chi_square, overtaken

DUE = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
LATER = DUE + timedelta(minutes=1)


def started(*uids: str, seconds_apart: float = 60.0) -> list[Started]:
    """One after the other, the first when everybody waits."""
    moments = [DUE + timedelta(seconds=SLACK + 60 + number * seconds_apart) for number in range(len(uids))]
    return [Started(uid, when, when.timestamp()) for uid, when in zip(uids, moments, strict=True)]


def test_in_the_order_of_due_times_and_then_of_uids_nobody_is_overtaken() -> None:
    due = {"c": DUE, "d": DUE, "a": LATER, "b": LATER}
    assert overtaken(started("c", "d", "a", "b"), due, due) == (0, 0)


def test_who_is_due_later_and_begins_earlier_has_overtaken_all_that_are_still_waiting() -> None:
    due = {"a": LATER, "b": DUE, "c": DUE, "d": DUE}
    assert overtaken(started("b", "a", "c", "d"), due, due) == (2, 1)
    assert overtaken(started("a", "d", "c", "b"), due, due) == (3, 3)


def test_who_has_not_come_to_its_place_is_not_overtaken() -> None:
    due = {"a": DUE, "b": LATER}
    places = {"a": DUE + timedelta(hours=1), "b": LATER}
    assert overtaken(started("b", "a"), due, places) == (0, 0)


def test_even_places_are_near_their_degrees_of_freedom() -> None:
    drawn = random.Random(2026)
    places = [DUE + timedelta(seconds=drawn.randrange(120)) for _ in range(2000)]
    found = chi_square(places, DUE, 120)
    assert found.freedom == 119
    assert abs(found.deviations) < 3


@pytest.mark.parametrize("width", [60, 100])
def test_places_in_a_part_of_the_window_are_far_from_it(width: int) -> None:
    drawn = random.Random(2026)
    places = [DUE + timedelta(seconds=drawn.randrange(width)) for _ in range(2000)]
    assert chi_square(places, DUE, 120).deviations > 8


def test_of_few_places_there_are_few_classes_and_all_are_of_equal_length() -> None:
    places = [DUE + timedelta(seconds=second % 40) for second in range(120)]
    assert chi_square(places, DUE, 40) == ChiSquare(0.0, 7)


def test_a_place_outside_of_the_window_is_no_place() -> None:
    with pytest.raises(ValueError, match="is not in the 40 s"):
        chi_square([DUE] * 20 + [DUE + timedelta(seconds=40)], DUE, 40)


def test_two_spreads_count_together() -> None:
    assert ChiSquare(3.0, 4) + ChiSquare(5.0, 6) == ChiSquare(8.0, 10)
