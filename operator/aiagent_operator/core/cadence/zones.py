"""Time zones by their IANA name, and the moments at which their offset from UTC changes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from aiagent_operator.core.cadence.errors import CadenceError

MAX_LENGTH: Final = 64
"""Characters of a zone's name, for CRDs; the longest has 32."""

# No zone has changed its offset twice within six days since 1970 (tzdata 2026), so none is missed.
_SAMPLE: Final = timedelta(days=1)
_SECOND: Final = timedelta(seconds=1)

# Files beside the zones: the machine's own zone would differ from node to node, the others are no places.
_NO_ZONES: Final = frozenset({"localtime", "posixrules", "Factory"})
_NO_TREES: Final = ("posix/", "right/")


@dataclass(frozen=True, slots=True)
class Change:
    """A change of a zone's offset: the first moment of the new one, in UTC, and both offsets."""

    at: datetime
    before: timedelta
    after: timedelta


def zone(name: str, field: str) -> ZoneInfo:
    """The zone; raises CadenceError where there is none of this name."""
    unknown = (
        f'{field} "{name[:MAX_LENGTH]}" is not a time zone: write a name of the IANA database, such as '
        "Europe/Zurich or UTC, with its capitals"
    )
    if len(name) > MAX_LENGTH or name in _NO_ZONES or name.startswith(_NO_TREES):
        raise CadenceError(unknown)
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:  # unknown, no possible name, a directory such as "America"
        raise CadenceError(unknown) from error


def offset(where: ZoneInfo, at: datetime) -> timedelta:
    """Local time minus UTC."""
    found = at.astimezone(where).utcoffset()
    assert found is not None  # noqa: S101 - a ZoneInfo always knows
    return found


def wall(where: ZoneInfo, at: datetime) -> datetime:
    """What a clock on the wall shows: naive, and not unique where clocks are put back."""
    return at.astimezone(where).replace(tzinfo=None)


def first_change(where: ZoneInfo, after: datetime, until: datetime) -> Change | None:
    """The first change later than `after` and not later than `until`."""
    for year in range(after.year, until.year + 1):
        for change in _changes(where, year):
            if after < change.at <= until:
                return change
    return None


def last_change(where: ZoneInfo, after: datetime, until: datetime) -> Change | None:
    """The last change later than `after` and not later than `until`."""
    for year in range(until.year, after.year - 1, -1):
        for change in reversed(_changes(where, year)):
            if after < change.at <= until:
                return change
    return None


@lru_cache(maxsize=8192)
def _changes(where: ZoneInfo, year: int) -> tuple[Change, ...]:
    """Changes later than the year's first moment (UTC), and up to the first moment of the next year."""
    found = []
    day, end = datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)
    while day < end:
        tomorrow = day + _SAMPLE
        before, after = offset(where, day), offset(where, tomorrow)
        if before != after:
            found.append(Change(_moment(where, day, tomorrow), before, after))
        day = tomorrow
    return tuple(found)


def _moment(where: ZoneInfo, low: datetime, high: datetime) -> datetime:
    """The first second of the new offset: `low` has the old one, `high` the new."""
    old = offset(where, low)
    while high - low > _SECOND:
        middle = low + (high - low) // _SECOND // 2 * _SECOND
        if offset(where, middle) == old:
            low = middle
        else:
            high = middle
    return high
