"""Maintenance and freeze windows, compared with a walk through every minute of a year."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from aiagent_operator.core.cadence import spec
from aiagent_operator.core.cadence.windows import HORIZON, Kind, PolicyWindows, Window, closing, opening
from support import cron_minutes

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
YEAR = 2026
ZONES = ("UTC", "Europe/Zurich", "Australia/Lord_Howe", "America/Santiago")
STARTS = (
    "0 22 * * *",
    "0 0 * * 6",
    "30 1 * * *",
    "0 8 * * 1-5",
    "0 0 1 * *",
    "0 0 15 12 *",
    "0 */5 * * *",
    "15 2 L * 0",
)


def window(kind: str, schedule: str, duration: str, zone: str = "UTC", name: str = "w") -> Window:
    """One window as a policy names it."""
    return spec.window(name=name, kind=kind, schedule=schedule, duration=duration, time_zone=zone, field="w")


def policy(*windows: Window, name: str = "corp") -> PolicyWindows:
    """Windows of one policy."""
    return PolicyWindows(name, windows)


def at(text: str) -> datetime:
    """A moment in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


Drawn = tuple[str, str, str, int]
DRAWN = st.tuples(
    st.sampled_from(list(Kind)),
    st.sampled_from(STARTS),
    st.sampled_from(ZONES),
    st.sampled_from((1, 90, 240, 600, 4321)),
)


@lru_cache(maxsize=64)
def _holds(drawn: Drawn) -> bytes:
    """For each minute of the year whether the window holds."""
    _, schedule, zone, minutes = drawn
    due = cron_minutes.due(schedule, cron_minutes.clock(zone, YEAR - 1, years=3))
    holds = bytearray(len(due) + minutes)
    start = due.find(1)
    while start >= 0:
        holds[start : start + minutes] = b"\1" * minutes
        start = due.find(1, start + 1)
    return bytes(holds[: len(due)])


def _open(policies: list[list[Drawn]]) -> bytes:
    """For each minute of the years whether all windows let training start."""
    blocked = 0
    length = 0
    for windows in policies:
        allowing, allowed = False, 0
        for drawn in windows:
            holds = _holds(drawn)
            length = len(holds)
            bits = int.from_bytes(holds)
            if drawn[0] == "Freeze":
                blocked |= bits
            else:
                allowing, allowed = True, allowed | bits
        if allowing:
            blocked |= int.from_bytes(b"\1" * length) ^ allowed
    return (int.from_bytes(b"\1" * length) ^ blocked).to_bytes(length)


# Shrinking takes minutes here.
@settings(max_examples=settings().max_examples // 4, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(
    st.lists(st.lists(DRAWN, min_size=1, max_size=3), min_size=1, max_size=3),
    st.lists(st.integers(0, 365 * cron_minutes.DAY - 1), min_size=3, max_size=5),
)
def test_openings_are_those_of_the_walk(policies: list[list[Drawn]], minutes: list[int]) -> None:
    known = _open(policies)
    clock = cron_minutes.clock("UTC", YEAR - 1, years=3)
    mine = [policy(*(window(k, s, f"{d}m", z) for k, s, z, d in windows)) for windows in policies]
    for minute in minutes:
        begin = minute + 365 * cron_minutes.DAY
        now = cron_minutes.moment(clock.first + begin)
        expected = known.find(1, begin)
        found = opening(mine, now)
        if expected < 0:
            assert found.at is None or found.at >= cron_minutes.moment(clock.end) - timedelta(days=4)
            continue
        if found.at is None:  # it gave up, and says so
            assert found.searched <= cron_minutes.moment(clock.first + expected)
            continue
        assert found.at == cron_minutes.moment(clock.first + expected)
        assert bool(found.reason) == (expected > begin)
        shut = known.find(0, expected)
        limit = found.at + timedelta(days=20)
        end = limit if shut < 0 else min(limit, cron_minutes.moment(clock.first + shut))
        assert closing(mine, found.at, limit) == end


def test_without_windows_it_is_always_open() -> None:
    now = at("2026-07-01T12:00:00.000001")
    for policies in ([], [policy()]):
        assert opening(policies, now).at == now
        assert closing(policies, now, now + HOUR) == now + HOUR


def test_freeze_wins_over_allow() -> None:
    windows = policy(window("Allow", "0 0 * * *", "24h"), window("Freeze", "0 8 * * *", "2h", name="mornings"))
    found = opening([windows], at("2026-07-01T09:00"))
    assert found.at == at("2026-07-01T10:00")
    assert found.reason == 'freeze window "mornings" of AgentPolicy "corp" holds until 2026-07-01T10:00:00Z'


def test_one_allow_window_of_a_policy_is_enough_and_each_policy_must_allow() -> None:
    nights = policy(window("Allow", "0 22 * * *", "6h"), window("Allow", "0 12 * * *", "1h"), name="nights")
    weekends = policy(window("Allow", "0 0 * * 6", "48h", name="weekends"), name="weekends")
    assert opening([nights], at("2026-07-01T12:30")).at == at("2026-07-01T12:30")
    found = opening([nights, weekends], at("2026-07-01T12:30"))  # a Wednesday
    assert found.at == at("2026-07-04T00:00")
    assert found.reason == (
        'outside the allow windows of AgentPolicy "weekends": the next, "weekends", opens at 2026-07-04T00:00:00Z'
    )


def test_windows_that_touch_are_one() -> None:
    windows = policy(window("Allow", "0 22 * * *", "2h"), window("Allow", "0 0 * * *", "3h"))
    assert closing([windows], at("2026-07-01T22:00"), at("2026-07-09T00:00")) == at("2026-07-02T03:00")


def test_windows_of_two_policies_that_never_meet_are_named() -> None:
    nights = policy(window("Allow", "0 22 * * *", "2h", name="late"), name="nights")
    days = policy(window("Allow", "0 8 * * *", "8h", name="office"), name="days")
    found = opening([nights, days], at("2026-07-01T12:30"))
    assert found.at is None
    assert found.searched > at("2026-07-01T12:30") + timedelta(days=200)
    assert '"nights"' in found.reason
    assert "no moment was found before" in found.reason


def test_a_freeze_without_end_is_named() -> None:
    always = policy(window("Freeze", "0 * * * *", "1h", name="stop"))
    found = opening([always], at("2026-07-01T12:30"))
    assert found.at is None
    assert found.searched > at("2026-07-01T12:30") + timedelta(days=20)
    assert found.reason.startswith('freeze window "stop"')


def test_an_opening_beyond_the_horizon_is_not_looked_for() -> None:
    rare = policy(window("Allow", "0 0 * 2 MON#5", "1h"))
    assert opening([rare], at("2026-07-01T00:00")).searched == at("2026-07-01T00:00") + HORIZON
    assert opening([rare], at("2040-07-01T00:00")).at == at("2044-02-29T00:00")


@pytest.mark.parametrize(("date", "hours"), [("2026-03-29", 7), ("2026-10-25", 5), ("2026-07-01", 6)])
def test_a_window_lasts_for_real_time_also_where_clocks_change(date: str, hours: int) -> None:
    """Six hours from 00:00 in Zurich end at 07:00 on the clock in spring, and at 05:00 in autumn."""
    nights = window("Allow", "0 0 * * *", "6h", "Europe/Zurich")
    start = datetime.fromisoformat(date).replace(tzinfo=nights.start.zone)
    end = closing([policy(nights)], start.astimezone(UTC), start.astimezone(UTC) + 20 * HOUR)
    assert end - start.astimezone(UTC) == 6 * HOUR
    assert end.astimezone(nights.start.zone).hour == hours


def test_a_window_includes_its_first_moment_and_not_its_end() -> None:
    nights = policy(window("Allow", "0 22 * * *", "2h"))
    assert opening([nights], at("2026-07-01T22:00")).at == at("2026-07-01T22:00")
    assert opening([nights], at("2026-07-01T21:59:59.999999")).at == at("2026-07-01T22:00")
    assert opening([nights], at("2026-07-01T23:59:59.999999")).at == at("2026-07-01T23:59:59.999999")
    assert opening([nights], at("2026-07-02T00:00")).at == at("2026-07-02T22:00")
