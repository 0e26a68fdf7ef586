"""When one agent is trained: plan, promise, spread, windows and failures together."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagent_operator.core.cadence import feasible, spec
from aiagent_operator.core.cadence.backoff import Backoff
from aiagent_operator.core.cadence.due import BackingOff, Cadence, Due, Held, History, NotYet, decide
from aiagent_operator.core.cadence.promise import Kept, Overdue, OverdueBeyondGrace, promise
from aiagent_operator.core.cadence.schedule import Cron
from aiagent_operator.core.cadence.windows import PolicyWindows

MICROSECOND = timedelta(microseconds=1)
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
MONDAYS = spec.cadence(schedule="0 2 * * 1", time_zone="Europe/Zurich", max_age="240h", grace="24h", spread="2h")


def at(text: str) -> datetime:
    """A moment in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def windows(*each: tuple[str, str, str], name: str = "corp") -> PolicyWindows:
    """Windows of a policy: kind, schedule, duration; named after their kinds."""
    made = [spec.window(name=k.lower(), kind=k, schedule=s, duration=d, field="w") for k, s, d in each]
    return PolicyWindows(name, tuple(made))


NIGHTS = windows(("Allow", "0 0 * * *", "4h"))
FROZEN = windows(("Freeze", "0 0 15 12 *", "480h"))
# Monday 6 July 2026, 02:00 in Zurich.
PLANNED = at("2026-07-06T00:00")
TRAINED = History(created=at("2026-01-01T00:00"), last_success=at("2026-06-29T01:00"))


def test_before_its_plan_it_is_not_due() -> None:
    found = decide(MONDAYS, TRAINED, "a", (), PLANNED - SECOND)
    assert found.start == NotYet(PLANNED + timedelta(seconds=5697), PLANNED)
    assert found.promise == Kept(at("2026-07-09T01:00"))


def test_it_starts_at_its_place_in_the_spread() -> None:
    ready = PLANNED + timedelta(seconds=5697)
    assert decide(MONDAYS, TRAINED, "a", (), ready - SECOND).start == NotYet(ready, PLANNED)
    assert decide(MONDAYS, TRAINED, "a", (), ready).start == Due(PLANNED, at("2026-07-09T01:00"))


def test_times_missed_in_a_long_downtime_run_once() -> None:
    now = at("2026-08-20T12:00")
    assert decide(MONDAYS, TRAINED, "a", (), now).start == Due(PLANNED, at("2026-07-09T01:00"))
    done = replace(TRAINED, last_success=now + HOUR)
    found = decide(MONDAYS, done, "a", (), now + HOUR).start
    assert isinstance(found, NotYet)
    assert found.planned == at("2026-08-24T00:00")


def test_a_new_agent_is_due_at_the_first_time_after_its_creation() -> None:
    assert decide(MONDAYS, History(at("2026-07-01T09:00")), "b", (), PLANNED + 2 * HOUR).start == Due(
        PLANNED, at("2026-07-11T09:00")
    )
    every = Cadence(spec.cadence(every="36h").plan)
    assert decide(every, History(PLANNED), "b", (), PLANNED).start == NotYet(PLANNED + 36 * HOUR, PLANNED + 36 * HOUR)
    assert decide(every, History(PLANNED), "b", (), PLANNED + 36 * HOUR).start == Due(PLANNED + 36 * HOUR, None)


def test_without_plan_and_promise_nothing_is_due() -> None:
    found = decide(Cadence(), TRAINED, "a", (), at("2099-01-01T00:00"))
    assert (found.start, found.promise) == (NotYet(None, None), Kept(None))


def test_the_end_of_the_promise_makes_it_due_whatever_the_plan() -> None:
    yearly = spec.cadence(schedule="@yearly", max_age="240h", spread="2h")
    ends = at("2026-07-09T01:00")
    found = decide(yearly, TRAINED, "a", (), ends)
    assert found.start == Due(ends, ends)
    assert found.promise == OverdueBeyondGrace(ends, ends)
    only = spec.cadence(max_age="240h")
    assert decide(only, TRAINED, "a", (), ends - SECOND).start == NotYet(ends, ends)
    assert decide(only, TRAINED, "a", (), ends).start == Due(ends, ends)


def test_a_freeze_holds_what_is_due_and_names_the_window() -> None:
    plan = spec.cadence(schedule="0 2 * * *", spread="2h")
    history = History(at("2026-01-01T00:00"), at("2026-12-14T23:00"))
    found = decide(plan, history, "a", [FROZEN], at("2026-12-20T00:00")).start
    assert isinstance(found, Held)
    assert found.since == at("2026-12-15T02:00")
    # The freeze ends, and places in the spread count from its end, so that not everybody starts at once.
    assert found.until == found.again == at("2027-01-04T00:00") + timedelta(seconds=5697)
    assert found.reason == 'freeze window "freeze" of AgentPolicy "corp" holds until 2027-01-04T00:00:00Z'


def test_the_spread_ends_before_the_window_does() -> None:
    """A spread of 12 hours in a window of 4: nobody's place is after the window, a day late."""
    wide = spec.cadence(schedule="0 22 * * *", spread="12h")
    for number in range(200):
        found = decide(wide, TRAINED, str(number), [NIGHTS], at("2026-06-29T20:00")).start
        assert isinstance(found, NotYet)
        assert found.next is not None
        assert at("2026-06-30T00:00") <= found.next < at("2026-06-30T04:00")


def test_windows_that_never_open_are_named_and_looked_at_again() -> None:
    never = [NIGHTS, windows(("Allow", "0 8 * * *", "1h"), name="days")]
    found = decide(MONDAYS, TRAINED, "a", never, PLANNED + 5 * HOUR).start
    assert isinstance(found, Held)
    assert found.until is None
    assert found.again > PLANNED + 30 * DAY
    assert "no moment was found" in found.reason
    # Held since years, and the window that comes at last is taken.
    late = windows(("Allow", "0 0 * 2 MON#5", "1h"))
    assert isinstance(decide(MONDAYS, TRAINED, "a", [late], at("2044-02-29T00:30")).start, Due)


def test_after_failures_it_waits_longer_each_time() -> None:
    failed = at("2026-07-06T03:00")
    for count, pause in ((1, 10), (2, 20), (3, 40), (6, 320), (7, 360), (10_000, 360)):
        history = replace(TRAINED, failed=count, last_failure=failed)
        until = failed + timedelta(minutes=pause)
        assert decide(MONDAYS, history, "a", (), until - SECOND).start == BackingOff(PLANNED, until, count)
        assert isinstance(decide(MONDAYS, history, "a", (), until).start, Due)
        # The window is over then: the next one counts.
        held = decide(MONDAYS, history, "a", [NIGHTS], failed + timedelta(minutes=5)).start
        opens = until if until < at("2026-07-06T04:00") else max(until, at("2026-07-07T00:00"))
        assert held == BackingOff(PLANNED, opens, count)


@given(st.integers(-1, 10**9), st.timedeltas(SECOND, 99 * DAY), st.timedeltas(SECOND, 9999 * DAY))
def test_pauses_grow_up_to_their_bound(failed: int, first: timedelta, longest: timedelta) -> None:
    pauses = Backoff(first, longest)
    doublings = max(0, min(failed - 1, 60))
    expected = min(first // MICROSECOND * 2**doublings, longest // MICROSECOND) * MICROSECOND
    assert pauses.delay(failed) == (expected if failed > 0 else timedelta())
    assert pauses.delay(failed) <= pauses.delay(failed + 1) <= longest
    assert pauses.not_before(failed, None) is None


@pytest.mark.parametrize(
    ("hours", "expected"),
    [
        (0, Kept(PLANNED + 10 * HOUR)),
        (9.99, Kept(PLANNED + 10 * HOUR)),
        (10, Overdue(PLANNED + 10 * HOUR, PLANNED + 15 * HOUR)),
        (14.99, Overdue(PLANNED + 10 * HOUR, PLANNED + 15 * HOUR)),
        (15, OverdueBeyondGrace(PLANNED + 10 * HOUR, PLANNED + 15 * HOUR)),
        (9999, OverdueBeyondGrace(PLANNED + 10 * HOUR, PLANNED + 15 * HOUR)),
    ],
)
def test_the_promise_is_kept_or_broken(hours: float, expected: object) -> None:
    assert promise(PLANNED, 10 * HOUR, 5 * HOUR, PLANNED + hours * HOUR) == expected


def test_without_grace_overdue_is_beyond_it_at_once() -> None:
    assert promise(PLANNED, HOUR, timedelta(), PLANNED + HOUR) == OverdueBeyondGrace(PLANNED + HOUR, PLANNED + HOUR)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"schedule": "0 2 * * 1", "max_age": "169h"}, None),
        (
            {"schedule": "0 2 * * 1", "time_zone": "Europe/Zurich", "max_age": "169h"},
            "a pause of 169h after 2026-10-19",
        ),
        (
            {"schedule": "0 2 * * 1", "max_age": "169h", "spread": "2h"},
            "a pause of 168h after 2026-07-06T02:00:00Z and a",
        ),
        (
            {"schedule": "0 2 1 * *", "max_age": "720h"},
            "a pause of 744h after 2026-07-01T02:00:00Z, and maxAge is 720h",
        ),
        ({"schedule": "0 2 29 2 *", "max_age": "9000h"}, "a pause of 35064h after 2028-02-29"),
        ({"every": "720h", "max_age": "720h"}, "plan more often, or promise less"),
        ({"every": "719h", "max_age": "720h"}, None),
        ({"every": "719h"}, None),
        ({"max_age": "720h"}, None),
    ],
)
def test_a_plan_that_cannot_keep_the_promise_is_named(fields: dict[str, str], says: str | None) -> None:
    found = feasible.problem(spec.cadence(**fields), at("2026-07-01T00:00"))  # type: ignore[arg-type]
    assert found is None if says is None else says in (found or "")


CADENCES = st.builds(
    spec.cadence,
    schedule=st.sampled_from((None, "0 2 * * 1", "30 2 * * *", "0 */6 * * *", "0 0 1 * *")),
    time_zone=st.sampled_from(("UTC", "Europe/Zurich", "Australia/Lord_Howe")),
    max_age=st.sampled_from((None, "1h", "100h", "240h")),
    grace=st.sampled_from(("0s", "24h")),
    spread=st.sampled_from(("0s", "1h", "5h", "100h")),
)
POLICIES = st.lists(
    st.sampled_from((NIGHTS, FROZEN, windows(("Allow", "0 0 * * 6", "48h"), ("Freeze", "0 3 * * *", "2h"))))
)
MOMENTS = st.integers(0, 400 * 86400).map(lambda seconds: at("2026-01-01T00:00") + timedelta(seconds=seconds))
UIDS = st.uuids().map(str)


@given(CADENCES, MOMENTS, UIDS, POLICIES.map(lambda drawn: drawn[:3]))
def test_what_is_announced_comes_true(
    cadence: Cadence, anchor: datetime, uid: str, policies: list[PolicyWindows]
) -> None:
    """Following only the announced times leads to the start, never earlier and never past it, and once per time."""
    history, now = History(anchor), anchor
    for _ in range(40):
        found = decide(cadence, history, uid, policies, now).start
        if isinstance(found, Due):
            break
        following = found.next if isinstance(found, NotYet) else found.until
        if following is None:
            assert cadence.plan is None
            return
        assert now < following
        assert not isinstance(decide(cadence, history, uid, policies, following - SECOND).start, Due)
        # Nothing is due between: the announced time is the earliest.
        assert not isinstance(decide(cadence, history, uid, policies, now + (following - now) / 3).start, Due)
        now = following
    assert isinstance(found, Due), "it is announced again and again, and never due"
    assert anchor < found.since <= now
    later = decide(cadence, replace(history, last_success=now), uid, policies, now).start
    assert isinstance(later, NotYet)
    assert later.planned is None or later.planned > now
    if not policies and cadence.plan and isinstance(cadence.plan, Cron):
        # The place in the spread is before the next planned time, and before the end of the promise.
        following = cadence.plan.next_after(found.since)
        assert following
        assert found.since <= now < following
        assert now - found.since < max(cadence.spread, SECOND)
        assert found.deadline is None or now < found.deadline or now == found.since


@given(CADENCES, MOMENTS, UIDS, st.timedeltas(timedelta(), 500 * DAY), st.timedeltas(timedelta(), 50 * DAY))
def test_since_stays_however_long_it_waits(
    cadence: Cadence, anchor: datetime, uid: str, late: timedelta, more: timedelta
) -> None:
    """Who waits for a slot keeps the place in the queue."""
    first, second = (decide(cadence, History(anchor), uid, (), anchor + waited).start for waited in (late, late + more))
    if isinstance(first, Due):
        assert first == second


def test_a_year_of_trainings_is_one_per_week() -> None:
    """Each training takes 50 minutes; through both changes of the clock in Zurich."""
    history, now, starts = History(at("2026-01-01T00:00")), at("2026-01-01T00:00"), []
    while now < at("2027-01-01T00:00"):
        found = decide(MONDAYS, history, "a", (), now).start
        if isinstance(found, NotYet):
            assert found.next
            now = found.next
            continue
        starts.append(now)
        now += timedelta(minutes=50)
        history = replace(history, last_success=now)
    zone = MONDAYS.plan.zone if isinstance(MONDAYS.plan, Cron) else None
    local = [start.astimezone(zone) for start in starts]
    assert len(starts) == 52
    assert {(moment.isoweekday(), moment.hour, moment.minute, moment.second) for moment in local} == {(1, 3, 34, 57)}
