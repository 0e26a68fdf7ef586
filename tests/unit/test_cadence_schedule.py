"""Due times of cron schedules, compared with a walk through every minute of ten years in many zones."""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from aiagent_operator.core.cadence import crontab, zones
from aiagent_operator.core.cadence.schedule import Cron, Every
from support import cron_minutes

ZONES = {
    "UTC": 2015,
    "Africa/Cairo": 2006,  # gave up summer time, took it up, gave it up again
    "Africa/Casablanca": 2012,  # four changes a year, for Ramadan
    "America/Asuncion": 2015,  # southern, at midnight, abolished 2024
    "America/Caracas": 2007,  # half an hour back, and forth
    "America/Havana": 2018,  # at midnight
    "America/New_York": 2020,
    "America/Nuuk": 2018,
    "America/Santiago": 2014,  # southern, at midnight, dates that move
    "America/Sao_Paulo": 2010,  # at midnight, abolished 2019
    "America/St_Johns": 2005,  # half past, and one minute past midnight
    "Antarctica/Casey": 2009,  # three hours
    "Antarctica/Troll": 2016,  # two hours
    "Asia/Amman": 2014,
    "Asia/Gaza": 2011,
    "Asia/Kathmandu": 2015,  # a quarter to
    "Asia/Kolkata": 2015,
    "Asia/Pyongyang": 2012,  # half an hour back, and forth
    "Asia/Tehran": 2015,  # half past, abolished 2022
    "Australia/Eucla": 2005,  # a quarter to, summer time for three years
    "Australia/Lord_Howe": 2020,  # half an hour
    "Australia/Sydney": 2020,
    "Europe/Istanbul": 2010,  # abolished 2016
    "Europe/London": 2020,
    "Europe/Moscow": 2007,  # abolished 2011, and the other time since 2014
    "Europe/Zurich": 2020,
    "Pacific/Apia": 2008,  # skipped a day, took up and gave up summer time
    "Pacific/Auckland": 2024,
    "Pacific/Chatham": 2016,  # a quarter to, southern
    "Pacific/Easter": 2014,
    "Pacific/Fakaofo": 2008,  # skipped a day
    "Pacific/Norfolk": 2012,  # half past until 2015, took up summer time
}
"""Each with the first of its ten years."""

FIXED = ("30 2 * * *", "0 0 * * 0", "1,31 1-3 L * *", "59 23 */2 * *")
BY_REAL_TIME = ("*/15 * * * *", "45 * * * *", "*/10 0-3 * * 0,6", "0 */6 * * *")


def cron(text: str, zone: str = "UTC") -> Cron:
    """A schedule as the operator reads it."""
    return Cron(crontab.parse(text, "schedule"), zones.zone(zone, "timeZone"))


@dataclass
class Comparison:
    """One schedule in one zone, both ways; counts what was compared."""

    text: str
    zone: str
    counts: Counter[str]

    def __post_init__(self) -> None:
        self.cron = cron(self.text, self.zone)
        self.clock = cron_minutes.clock(self.zone, ZONES[self.zone])
        self.due = cron_minutes.due(self.text, self.clock)
        self.counts["schedules"] += 1
        self.counts["changes"] += len(self.clock.changes)

    def run(self, random: Random, *, dense: int = 700) -> None:
        """All of the ten years where that are not too many runs, else the days of some changes; and moments drawn."""
        margin = 2 * cron_minutes.DAY
        first, end = self.clock.first + margin, self.clock.end - margin
        if self.due.count(1) <= dense:
            self.counts["complete"] += 1
            self.follow(first, end)
            changes = self.clock.changes
        else:
            changes = random.sample(self.clock.changes, min(4, len(self.clock.changes)))
            for change in changes:
                self.follow(max(first, change - 200), min(end, change + 200))
        for change in changes:
            near = random.choices(range(-200, 200), k=4)
            for minute in (change - 1, change, change + 1, *(change + minutes for minutes in near)):
                self.probe(minute, random)
        for minute in random.choices(range(first, end), k=12):
            self.probe(minute, random)

    def follow(self, first: int, end: int) -> None:
        """Each run between the two, in order: none left out, none twice."""
        at = cron_minutes.moment(first)
        while (expected := self.expected_after(at)) is not None and expected < cron_minutes.moment(end):
            found = self.cron.next_after(at)
            assert found == expected, f"{self}: after {at}"
            self.counts["runs"] += 1
            at = found

    def probe(self, minute: int, random: Random) -> None:
        """What follows and what precedes one moment, which need not be a whole minute."""
        if not self.clock.first + cron_minutes.DAY <= minute < self.clock.end - cron_minutes.DAY:
            return
        at = cron_minutes.moment(minute) + timedelta(microseconds=random.choice((0, 0, 1, 1_000_000, 59_999_999)))
        if (after := self.expected_after(at)) is not None:
            assert self.cron.next_after(at) == after, f"{self}: after {at}"
        if (before := self.expected_at(at)) is not None:
            assert self.cron.last_at(at) == before, f"{self}: at {at}"
        self.counts["moments"] += 1

    def expected_after(self, at: datetime) -> datetime | None:
        """By the walk; None where it lies beyond the ten years."""
        found = self.due.find(1, int(at.timestamp()) // 60 - self.clock.first + 1)
        return None if found < 0 else cron_minutes.moment(self.clock.first + found)

    def expected_at(self, at: datetime) -> datetime | None:
        """By the walk; None where it lies before the ten years."""
        found = self.due.rfind(1, 0, int(at.timestamp()) // 60 - self.clock.first + 1)
        return None if found < 0 else cron_minutes.moment(self.clock.first + found)


@pytest.mark.parametrize("zone", ZONES)
def test_ten_years_of_common_schedules(zone: str) -> None:
    counts: Counter[str] = Counter()
    random = Random(zone)
    # Two of each for one zone: neighbours in the list have the others.
    turn = list(ZONES).index(zone) % 2
    for text in FIXED[turn::2] + BY_REAL_TIME[turn::2]:
        Comparison(text, zone, counts).run(random, dense=800)
    print(f"compared: {dict(counts)}")
    assert counts["moments"] >= 4 * 12
    assert counts["runs"] >= 500


def _numbers(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    spans = st.tuples(number, number).map(lambda pair: f"{min(pair)}-{max(pair)}")
    stepped = st.tuples(spans, st.integers(1, high)).map(lambda pair: f"{pair[0]}/{pair[1]}")
    return st.lists(st.one_of(number.map(str), spans, stepped), min_size=1, max_size=2).map(",".join)


def _field(low: int, high: int, *more: str, stars: bool = True) -> st.SearchStrategy[str]:
    """Part of a schedule; shrinks to a star or the lowest number."""
    every = st.integers(2, max(2, high // 2)).map(lambda step: f"*/{step}")
    open_end = st.tuples(st.integers(low, high), st.integers(1, high)).map(lambda pair: f"{pair[0]}/{pair[1]}")
    parts = [st.integers(low, high).map(str), _numbers(low, high), open_end]
    if stars:
        parts = [st.just("*"), *parts, every]
    return st.one_of(*parts, *([st.sampled_from(more)] if more else []))


# Half of the schedules run around the hours in which clocks change; half run once a week or less.
MINUTES = st.one_of(*[st.sampled_from(("0", "30", "1", "45", "15,45", "59"))] * 2, _field(0, 59))
HOURS = st.one_of(
    *[st.sampled_from(("0", "1", "2", "3", "23", "1-3"))] * 2, st.sampled_from(("*", "*/2")), _field(0, 23)
)
DAYS = st.one_of(st.just("*"), st.sampled_from(("L", "LW", "1,L", "1", "*/31", "15,31")), _field(1, 31))
MONTHS = st.one_of(st.just("*"), st.just("*"), _field(1, 12, "JAN", "MAR-OCT", "APR,SEP"))
WEEKDAYS = st.one_of(st.just("*"), st.sampled_from(("SUN", "7", "0L", "SUN#2", "6#1,3", "5-7")), _field(0, 7))
SCHEDULES = st.tuples(MINUTES, HOURS, DAYS, MONTHS, WEEKDAYS).map(" ".join)


def _possible(text: str) -> bool:
    try:
        cron(text)
    except ValueError:
        return False
    return True


def test_ten_years_of_drawn_schedules() -> None:
    counts: Counter[str] = Counter()

    # Shrinking takes minutes here, and what fails is short anyway.
    @settings(max_examples=3 * settings().max_examples // 2, phases=(Phase.explicit, Phase.reuse, Phase.generate))
    @given(SCHEDULES.filter(_possible), st.sampled_from(sorted(ZONES)), st.integers(0, 2**32))
    def compare(text: str, zone: str, seed: int) -> None:
        Comparison(text, zone, counts).run(Random(seed))

    compare()
    print(f"compared: {dict(counts)}")
    assert counts["schedules"] >= settings().max_examples
    assert counts["complete"] >= counts["schedules"] // 10


@pytest.mark.parametrize(("zone", "year"), [("Australia/Lord_Howe", 2026), ("Asia/Gaza", 2016)])
def test_the_walk_in_hours_sees_what_one_in_minutes_does(zone: str, year: int) -> None:
    by_minute = cron_minutes.clock(zone, year, years=1, stride=1)
    assert by_minute == cron_minutes.clock(zone, year, years=1)
    assert len(by_minute.changes) >= 2


@pytest.mark.parametrize("zone", ZONES)
def test_changes_of_zones_are_found(zone: str) -> None:
    clock = cron_minutes.clock(zone, ZONES[zone])
    found, at, end = [], cron_minutes.moment(clock.first), cron_minutes.moment(clock.end)
    while change := zones.first_change(zones.zone(zone, "timeZone"), at, end):
        assert zones.last_change(zones.zone(zone, "timeZone"), at, change.at) == change
        found.append(change)
        at = change.at
    assert [change.at for change in found] == [cron_minutes.moment(minute) for minute in clock.changes]
    offsets = [timedelta(minutes=segment.offset) for segment in clock.segments]
    assert [change.before for change in found] == offsets[:-1]
    assert [change.after for change in found] == offsets[1:]


def test_every_counts_real_time() -> None:
    success = datetime(2026, 10, 24, 12, tzinfo=UTC)
    assert Every(timedelta(hours=720)).next_after(success) == success + timedelta(days=30)


def test_a_date_that_is_rare_is_found() -> None:
    assert cron("0 0 29 2 *").next_after(datetime(2097, 1, 1, tzinfo=UTC)) == datetime(2104, 2, 29, tzinfo=UTC)
    assert cron("* * * 2 MON#5").next_after(datetime(2020, 3, 1, tzinfo=UTC)) == datetime(2044, 2, 29, tzinfo=UTC)
    assert cron("0 0 * 2 MON#5").last_at(datetime(2020, 3, 1, tzinfo=UTC)) == datetime(2016, 2, 29, tzinfo=UTC)
