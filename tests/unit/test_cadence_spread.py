"""Places in the spread: uniform, the same on every call, never at its end."""

from datetime import timedelta
from math import sqrt
from random import Random
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from aiagent_operator.core.cadence.spread import offset

SECOND = timedelta(seconds=1)


def _chi_square(counts: list[int]) -> float:
    """In standard deviations from its mean: the statistic has mean k-1 and variance 2(k-1), k being the classes."""
    expected = sum(counts) / len(counts)
    statistic = sum((count - expected) ** 2 / expected for count in counts)
    freedom = len(counts) - 1
    return (statistic - freedom) / sqrt(2 * freedom)


def _counts(uids: list[str], span: int, classes: int) -> list[int]:
    counts = [0] * classes
    for uid in uids:
        counts[offset(uid, timedelta(seconds=span)) // SECOND * classes // span] += 1
    return counts


def test_places_are_uniform() -> None:
    random = Random(2026)
    uids = [str(UUID(int=random.getrandbits(128), version=4)) for _ in range(50_000)]
    for span, classes in ((7200, 100), (7200, 720), (3600, 60), (10, 10)):
        assert abs(_chi_square(_counts(uids, span, classes))) < 4


def test_places_are_uniform_for_uids_that_are_not_random() -> None:
    uids = [f"00000000-0000-4000-8000-{number:012x}" for number in range(50_000)]
    assert abs(_chi_square(_counts(uids, 7200, 100))) < 4


def test_what_is_not_uniform_would_be_seen() -> None:
    assert _chi_square([550, 450] * 50) > 4


@given(st.text(max_size=40), st.timedeltas(min_value=-timedelta(days=1), max_value=timedelta(days=4000)))
def test_a_place_is_within_the_span(uid: str, span: timedelta) -> None:
    place = offset(uid, span)
    assert timedelta() <= place
    assert place < span or (place == timedelta() and span < SECOND)
    assert place % SECOND == timedelta()
    assert place == offset(uid, span)


def test_places_stay_over_versions() -> None:
    """An upgrade of the operator must not move them: agents would train twice close together, or late."""
    found = [offset(uid, timedelta(hours=2)) // SECOND for uid in ("a", "b", "6f1f2a52-6d3c-4a44-9f5a-5a1f4c0c3d11")]
    assert found == [5697, 1747, 3783]


@given(st.uuids().map(str), st.timedeltas(min_value=SECOND, max_value=timedelta(days=400)))
def test_a_longer_span_keeps_the_order(uid: str, span: timedelta) -> None:
    assert offset(uid, span) <= offset(uid, span * 2)
