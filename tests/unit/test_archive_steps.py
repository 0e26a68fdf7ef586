"""Steps of an agent that leaves: whatever fails, rights end in time and nothing goes before its archive."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagent_operator.core.archive.steps import STEPS, Course, Facts, Step, decide
from support.archives import SEALED

MINUTE = timedelta(minutes=1)
BEGAN = SEALED
LEAVING = Facts(Course.PLANNED, BEGAN, drain_timeout=10 * MINUTE, patience=60 * MINUTE)
DEADLINE = BEGAN + LEAVING.drain_timeout
COURSES = st.sampled_from(Course)
DONE = st.frozensets(st.sampled_from(Step))
MOMENTS = st.timedeltas(timedelta(), 120 * MINUTE).map(lambda after: BEGAN + after)


def walk(facts: Facts, now: datetime) -> list[Step]:
    """The steps as they are done one by one where each succeeds."""
    taken = []
    while steps := decide(facts, now).steps:
        taken.append(steps[0])
        facts = replace(facts, done=facts.done | {steps[0]})
    return taken


@pytest.mark.parametrize("course", Course)
def test_where_all_goes_well_the_steps_are_those_of_the_course(course: Course) -> None:
    assert walk(replace(LEAVING, course=course), BEGAN) == list(STEPS[course])


def test_in_an_emergency_and_in_a_terminating_namespace_rights_end_first() -> None:
    for course in (Course.EMERGENCY, Course.NAMESPACE_TERMINATING):
        assert decide(replace(LEAVING, course=course), BEGAN).steps == (Step.REVOKE,)


@given(COURSES, DONE, st.booleans(), MOMENTS)
def test_rights_never_outlive_the_drain_timeout(
    course: Course, done: frozenset[Step], abandon: bool, now: datetime
) -> None:
    facts = replace(LEAVING, course=course, done=done - {Step.REVOKE}, abandon="let-go" if abandon else "")
    found = decide(facts, now)
    if now >= DEADLINE:
        assert found.steps[0] is Step.REVOKE
    else:
        assert found.steps[0] is Step.REVOKE or (found.again is not None and found.again <= DEADLINE)


@given(COURSES, DONE, MOMENTS)
def test_nothing_goes_before_its_archive_was_read_back_and_certified(
    course: Course, done: frozenset[Step], now: datetime
) -> None:
    found = decide(replace(LEAVING, course=course, done=done), now)
    if Step.RELEASE in found.steps:
        archived = {Step.SEAL} if course is Course.NAMESPACE_TERMINATING else {Step.VERIFY, Step.TERMINATE}
        assert done >= {Step.REVOKE, Step.CERTIFY, *archived}
    if Step.CERTIFY in found.steps:
        assert Step.REVOKE in done
    if Step.TERMINATE in found.steps:
        assert Step.VERIFY in done
    assert not found.abandoned


@given(COURSES, DONE, st.frozensets(st.sampled_from(Step)), st.lists(MOMENTS, min_size=1))
def test_whatever_fails_for_good_it_waits_with_its_reason_and_without_rights(
    course: Course, done: frozenset[Step], broken: frozenset[Step], moments: list[datetime]
) -> None:
    facts = replace(LEAVING, course=course, done=done - broken, failed={step: f"{step} is broken" for step in broken})
    for now in sorted([*moments, BEGAN + 300 * MINUTE]):
        for _ in Step:
            found = decide(facts, now)
            facts = replace(facts, done=facts.done | (set(found.steps) - broken))
    found = decide(facts, BEGAN + 300 * MINUTE)
    if Step.REVOKE not in broken:
        assert Step.REVOKE in facts.done
    if not found.steps:
        assert not set(STEPS[course]) & (broken - {Step.DRAIN})
    else:
        assert set(found.steps) <= broken
        for step in found.steps:
            assert f"{step}: {step} is broken" in found.waiting
        assert "an order Abandon" in found.waiting


@given(COURSES, DONE, MOMENTS)
def test_an_order_to_abandon_counts_only_after_the_deadline_and_still_ends_all_rights(
    course: Course, done: frozenset[Step], now: datetime
) -> None:
    facts = replace(LEAVING, course=course, done=done, abandon="let-go")
    found = decide(facts, now)
    assert found.abandoned == (now >= BEGAN + facts.patience)
    if not found.abandoned:
        assert found.steps == decide(replace(facts, abandon=""), now).steps
        if found.steps:
            assert "AgentAction let-go lets it go without an archive from 2026-11-22T11:00:00Z on" in found.waiting
            assert found.again is not None
    elif Step.RELEASE in found.steps:
        assert done >= {Step.REVOKE, Step.TERMINATE}


def test_a_binding_that_comes_back_is_revoked_again_before_anything_else() -> None:
    almost = replace(LEAVING, done=frozenset(Step) - {Step.REVOKE, Step.CERTIFY, Step.RELEASE, Step.SEAL})
    assert decide(almost, BEGAN).steps == (Step.REVOKE,)
    assert decide(almost, DEADLINE).steps == (Step.REVOKE,)


def test_a_store_that_is_down_holds_up_the_archive_and_not_the_end_of_the_rights() -> None:
    stuck = replace(
        LEAVING,
        done=frozenset({Step.CORDON, Step.DRAIN, Step.SNAPSHOT}),
        failed={Step.ARCHIVE: "the store answers 503: mend it"},
    )
    before, at = decide(stuck, DEADLINE - MINUTE), decide(stuck, DEADLINE)
    assert (before.steps, before.again) == ((Step.ARCHIVE,), DEADLINE)
    assert at.steps == (Step.REVOKE, Step.ARCHIVE)
    assert "Archive: the store answers 503: mend it" in at.waiting
    assert decide(replace(stuck, done=stuck.done | {Step.REVOKE}), DEADLINE).steps == (Step.ARCHIVE,)


def test_draining_ends_with_the_time_for_it() -> None:
    draining = replace(LEAVING, done=frozenset({Step.CORDON}))
    assert decide(draining, DEADLINE - MINUTE).steps == (Step.DRAIN,)
    assert decide(draining, DEADLINE).steps == (Step.REVOKE, Step.SNAPSHOT)


@given(DONE, MOMENTS, COURSES, COURSES)
def test_a_course_that_changes_in_the_middle_goes_on_from_what_is_done(
    done: frozenset[Step], now: datetime, one: Course, other: Course
) -> None:
    first = decide(replace(LEAVING, course=one, done=done), now)
    taken = walk(replace(LEAVING, course=other, done=done | set(first.steps)), now)
    assert not set(taken) & (done | set(first.steps))
    assert set(taken) <= set(STEPS[other]) | {Step.REVOKE}
