"""Cron by brute force, to compare with: every minute of ten years, and what the clock on the wall shows in it.

Shares nothing with the operator or its libraries but the time zone data: fields are read here, and each minute of UTC
is converted with zoneinfo. Minutes are bytes, 1 where the schedule runs, so that slices do the work of loops.
"""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache, lru_cache
from zoneinfo import ZoneInfo

DAY = 1440
YEARS = 10
_EPOCH = date(1970, 1, 1).toordinal()
_NAMES = {
    3: {name.upper(): number for number, name in enumerate(calendar.month_abbr) if name},
    4: {name: number for number, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"))},
}
_BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))


@dataclass(frozen=True)
class Segment:
    """Minutes of UTC, since 1970, in which the offset is the same; the offset in minutes."""

    first: int
    end: int
    offset: int


@dataclass(frozen=True)
class Clock:
    """A zone's clock through the years from `year` on."""

    segments: tuple[Segment, ...]

    @property
    def first(self) -> int:
        """The first minute of UTC."""
        return self.segments[0].first

    @property
    def end(self) -> int:
        """The minute of UTC after the last."""
        return self.segments[-1].end

    @property
    def changes(self) -> list[int]:
        """The first minutes of each new offset."""
        return [segment.first for segment in self.segments[1:]]


def moment(minute: int) -> datetime:
    """A minute of UTC as a datetime."""
    return datetime.fromtimestamp(minute * 60, UTC)


def offset(zone: ZoneInfo, minute: int) -> int:
    """Local time minus UTC, in minutes."""
    found = datetime.fromtimestamp(minute * 60, zone).utcoffset()
    assert found is not None
    minutes, rest = divmod(found, timedelta(minutes=1))
    assert not rest, "zones have had whole minutes since 1972"
    return minutes


@cache
def clock(name: str, year: int, *, years: int = YEARS, stride: int = 360) -> Clock:
    """Walks the years in steps of `stride` minutes, and minute by minute where the offset is another after the step.

    With a stride of 1 it walks every minute; the default sees the same (a test compares them) in less time.
    """
    zone = ZoneInfo(name)
    first = (date(year, 1, 1).toordinal() - _EPOCH) * DAY
    end = (date(year + years, 1, 1).toordinal() - _EPOCH) * DAY
    segments, begin, current = [], first, offset(zone, first)
    for step in range(first, end, stride):
        if offset(zone, step + stride) == current:
            continue
        for minute in range(step + 1, step + stride + 1):
            if (found := offset(zone, minute)) != current:
                segments.append(Segment(begin, minute, current))
                begin, current = minute, found
    return Clock((*segments, Segment(begin, end, current)))


def _values(field: int, text: str) -> set[int]:
    """The numbers that one part between commas stands for."""
    low, high = _BOUNDS[field]
    names = _NAMES.get(field, {})
    span, _, step = text.partition("/")
    if span == "*":
        begin, last = low, high
    elif "-" in span:
        begin, last = (names[part] if part in names else int(part) for part in span.split("-"))
    else:
        begin = names[span] if span in names else int(span)
        last = high if step else begin
    return set(range(begin, last + 1, int(step or 1)))


@cache
def _field(field: int, text: str) -> frozenset[int]:
    return frozenset(value for part in text.split(",") for value in _values(field, part))


@cache
def _last_day(year: int, month: int) -> int:
    return calendar.monthrange(year, month)[1]


def _day_of_month(text: str, day: date) -> bool:
    days = _last_day(day.year, day.month)
    for part in text.split(","):
        if part == "L":
            found = day.day == days
        elif part == "LW":
            working = [d for d in range(1, days + 1) if date(day.year, day.month, d).isoweekday() < 6]
            found = day.day == working[-1]
        else:
            found = day.day in _field(2, part)
        if found:
            return True
    return False


def _day_of_week(text: str, day: date) -> bool:
    days = _last_day(day.year, day.month)
    mine = {day.isoweekday() % 7, day.isoweekday()}
    for part in text.split(","):
        if part.endswith("L"):
            found = int(part[:-1]) in mine and day.day > days - 7
        elif "#" in part:
            weekday, _, nth = part.partition("#")
            found = bool(_field(4, weekday) & mine) and (day.day - 1) // 7 + 1 == int(nth)
        else:
            found = bool(_field(4, part) & mine)
        if found:
            return True
    return False


def _runs_on(day: date, days: str, months: str, weekdays: str) -> bool:
    if day.month not in _field(3, months):
        return False
    if days.startswith("*") or weekdays.startswith("*"):
        return _day_of_month(days, day) and _day_of_week(weekdays, day)
    return _day_of_month(days, day) or _day_of_week(weekdays, day)


@lru_cache(maxsize=256)
def _days(first_day: int, end_day: int, *fields: str) -> tuple[bool, ...]:
    return tuple(_runs_on(date.fromordinal(_EPOCH + day), *fields) for day in range(first_day, end_day))


def shown(schedule: str, first_day: int, end_day: int) -> bytes:
    """For each minute that a clock on the wall can show in these days since 1970: whether the schedule names it."""
    minutes, hours, *days = schedule.upper().split()
    pattern = bytearray(DAY)
    for hour in _field(1, hours):
        for minute in _field(0, minutes):
            pattern[hour * 60 + minute] = 1
    run, rest = bytes(pattern), bytes(DAY)
    return b"".join(run if runs else rest for runs in _days(first_day, end_day, *days))


def due(schedule: str, clock: Clock) -> bytes:
    """For each minute of UTC of the clock: whether the schedule runs in it, by the rules of crontab(5)."""
    first_day = clock.first // DAY - 2
    named = memoryview(shown(schedule, first_day, clock.end // DAY + 2))
    base = first_day * DAY
    minute, hour, *_ = schedule.split()
    if minute.startswith("*") or hour.startswith("*"):
        return b"".join(named[s.first + s.offset - base : s.end + s.offset - base] for s in clock.segments)
    runs: list[bytes | memoryview] = []
    highest = clock.first + clock.segments[0].offset  # the first time that the clock has not shown yet
    for segment in clock.segments:
        begin, end = segment.first + segment.offset, segment.end + segment.offset
        again = min(max(0, highest - begin), end - begin)
        fresh = begin + again - base
        # What was skipped runs at once; what is shown again has run.
        skipped = 1 in named[highest - base : max(fresh, highest - base)]
        runs += [bytes(again), b"\1" if skipped else named[fresh : fresh + 1], named[fresh + 1 : end - base]]
        highest = max(highest, end)
    return b"".join(runs)
