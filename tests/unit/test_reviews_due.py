"""When a review is due: the table of docs/reviews.md, and what holds for all plans."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagent_operator.core.cadence import spec as cadence_spec
from aiagent_operator.core.reviews.due import Rhythm, Turn, turn
from support.documents import ROOT, table

ROWS = table(ROOT / "docs" / "reviews.md", "plan")
CREATED = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
SECOND, DAY = dt.timedelta(seconds=1), dt.timedelta(days=1)


def rhythm(plan: str, *, created: dt.datetime = CREATED, spread: str = "0s", place: str = "0a1b") -> Rhythm:
    fields = {"every": plan.removeprefix("every ")} if plan.startswith("every ") else {"schedule": plan}
    found = cadence_spec.cadence(**fields, spread=spread, field="spec.supervision.reviews[x]")
    assert found.plan is not None
    return Rhythm(found.plan, found.spread, place, created)


def moment(cell: str) -> dt.datetime | None:
    return dt.datetime.strptime(f"2026-{cell}", "%Y-%m-%d %H:%M").replace(tzinfo=dt.UTC) if cell else None


@pytest.mark.parametrize("row", ROWS, ids=" | ".join)
def test_row(row: list[str]) -> None:
    plan, created, newest, now, due, following = row
    began, at = moment(created), moment(now)
    assert began is not None
    assert at is not None
    assert turn(rhythm(plan, created=began), moment(newest), at) == Turn(moment(due), moment(following))


PLANS = st.sampled_from(["every 24h", "every 7h", "every 90s", "0 6 * * *", "*/20 * * * *", "0 0 1 * *", "30 2 * * 1"])
SPREADS = st.sampled_from(["0s", "10s", "4h", "48h"])
ELAPSED = st.integers(min_value=0, max_value=400 * 86_400)


@given(PLANS, SPREADS, ELAPSED, st.uuids())
def test_what_was_run_for_is_not_run_for_again(plan: str, spread: str, elapsed: int, uid: object) -> None:
    at = CREATED + elapsed * SECOND
    found = rhythm(plan, spread=spread, place=str(uid))
    first = turn(found, None, at)
    if first.due is None:
        assert first.next is not None
        return
    again = turn(found, first.due, at)
    assert again.due is None
    assert again.next == first.next


@given(PLANS, SPREADS, ELAPSED, st.uuids())
def test_the_next_begin_is_when_it_is_due_and_not_a_second_before(
    plan: str, spread: str, elapsed: int, uid: object
) -> None:
    at = CREATED + elapsed * SECOND
    found = rhythm(plan, spread=spread, place=str(uid))
    here = turn(found, None, at)
    assert here.next is not None
    assert here.next > at
    last = here.due
    before, then = turn(found, last, here.next - SECOND), turn(found, last, here.next)
    assert (before.due, before.next) == (None, here.next)
    assert then.due is not None
    assert then.due <= here.next < then.due + max(found.spread, SECOND)


@given(PLANS, ELAPSED, st.integers(min_value=1, max_value=60 * 86_400))
def test_however_long_nothing_ran_it_runs_once(plan: str, elapsed: int, down: int) -> None:
    found = rhythm(plan)
    newest = found.last(CREATED + elapsed * SECOND)
    at = CREATED + (elapsed + down) * SECOND
    runs = 0
    while (due := turn(found, newest, at).due) is not None:
        newest, runs = due, runs + 1
    assert runs <= 1


@given(PLANS, SPREADS, st.uuids())
def test_a_year_of_looking_runs_for_each_planned_time_once(plan: str, spread: str, uid: object) -> None:
    found = rhythm(plan, spread=spread, place=str(uid))
    at: dt.datetime | None = CREATED
    newest, planned = None, []
    for _ in range(60):
        assert at is not None
        here = turn(found, newest, at)
        if here.due:
            newest = here.due
            planned.append(here.due)
        at = here.next
    wanted, time = [], CREATED
    while len(wanted) < len(planned):
        following = found.after(time)
        assert following is not None
        wanted.append(following)
        time = following
    assert planned == wanted


def test_agents_with_one_plan_have_places_of_their_own_before_the_next_time() -> None:
    places = [rhythm("every 1h", spread="4h", place=str(n)) for n in range(400)]
    begins = [each.begins(CREATED + dt.timedelta(hours=1)) for each in places]
    assert len(set(begins)) > 300
    assert all(dt.timedelta(hours=1) <= begin - CREATED < dt.timedelta(hours=2) for begin in begins)


def test_no_time_before_the_agent_was_is_made_up_for() -> None:
    assert turn(rhythm("0 6 * * *"), None, CREATED + DAY - 7 * 3600 * SECOND).due is None
