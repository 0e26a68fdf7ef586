"""What the runs of a review say together, and which are history: for all courses that runs can take."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagent_operator.api.agentevaluation import Phase, Purpose
from aiagent_operator.core.objects import Child
from aiagent_operator.core.reviews.runs import Runs, facts
from support.reviews import run

LETTERS = st.sampled_from(["S", "F", "I", "E"])
COURSES = st.lists(st.tuples(LETTERS, st.integers(min_value=1, max_value=3)), max_size=24)
PURPOSES = st.sampled_from([Purpose.REVIEW, Purpose.BIAS_AUDIT])
LIMITS = st.integers(min_value=1, max_value=4)


def runs(course: list[tuple[str, int]], purpose: Purpose, *, open_: bool = False) -> Runs:
    known = [run(letter, n, revision=revision, purpose=purpose) for n, (letter, revision) in enumerate(course)]
    known += [run("R", len(course), revision=3, purpose=purpose)] if open_ else []
    return Runs.of(purpose, "live", reversed(known))


def left(before: Runs, gone: list[Child]) -> Runs:
    return Runs(before.purpose, before.name, tuple(child for child in before.runs if child not in gone))


@given(COURSES, PURPOSES, LIMITS, LIMITS, st.integers(min_value=1, max_value=3), st.booleans())
def test_history_takes_neither_what_was_found_nor_what_is_next(
    course: list[tuple[str, int]], purpose: Purpose, good: int, bad: int, serving: int, open_: bool
) -> None:
    before = runs(course, purpose, open_=open_)
    after = left(before, before.history(good, bad, serving))
    assert after.newest == before.newest
    assert after.open == before.open
    assert after.last_word(serving) == before.last_word(serving)
    for other in (1, 2, 3):
        # Of what does not serve the last word may be forgotten, and is never another one.
        assert after.last_word(other) in (None, before.last_word(other))


@given(COURSES, PURPOSES, LIMITS, LIMITS, st.integers(min_value=1, max_value=3))
def test_history_is_bounded_and_done_at_once(
    course: list[tuple[str, int]], purpose: Purpose, good: int, bad: int, serving: int
) -> None:
    before = runs(course, purpose)
    after = left(before, before.history(good, bad, serving))
    kept = [facts(child).phase is Phase.SUCCESSFUL for child in after.runs]
    # One more at most of each sort: the newest of all, and the last word on what serves.
    assert kept.count(True) <= good + 1
    assert kept.count(False) <= bad + 1
    assert after.history(good, bad, serving) == []


@given(COURSES, PURPOSES)
def test_a_finding_is_what_was_said_last_and_is_no_success(course: list[tuple[str, int]], purpose: Purpose) -> None:
    silent = {"E"} if purpose is Purpose.BIAS_AUDIT else {"E", "I"}
    said = [letter for letter, revision in course if revision == 1 and letter not in silent]
    found = runs(course, purpose).finding(1)
    assert (found is not None) == bool(said and said[-1] != "S")


@pytest.mark.parametrize("letter", ["F", "I", "E"])
def test_of_what_does_not_serve_nothing_older_than_its_last_word_is_kept(letter: str) -> None:
    # Else a rollback to revision 1 would meet what its later success has done away with.
    course = [(letter, 1), ("S", 1), ("S", 2)]
    before = runs(course, Purpose.BIAS_AUDIT)
    assert left(before, before.history(1, 3, 2)).last_word(1) is None


def test_runs_of_another_entry_are_none_of_its() -> None:
    known = [run("F", 1), run("S", 2, name="other"), run("S", 3, purpose=Purpose.BIAS_AUDIT)]
    found = Runs.of(Purpose.REVIEW, "live", known).finding(1)
    assert found is known[0]
