"""The five fields of a crontab line, on a clock without time zone.

cronsim reads the fields and finds the dates, as Debian's cron does (crontab(5)): names, ranges, lists, steps, 7 as
Sunday, and day of month OR day of week unless one of them begins with a star. Beyond Debian it knows `L`, `LW`, `5L`
and `MON#1`. It is asked without zone on purpose: where clocks change by half an hour (Lord Howe), cronsim 2.8 leaves
out runs of schedules with a star, and in the second of two hours it gives times that are past. Zones are the part of
`schedule`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final

from cronsim import CronSim, CronSimError

from aiagent_operator.core.cadence.errors import CadenceError

MAX_LENGTH: Final = 128
"""Characters of a schedule, for CRDs."""

MACROS: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
"""Short forms that CronJobs take too."""

_FIELDS: Final = (
    ("minute", "0-59"),
    ("hour", "0-23"),
    ("day of month", "1-31, or L for the last"),
    ("month", "1-12 or JAN-DEC"),
    ("day of week", "0-7 or SUN-SAT, where 0 and 7 are Sunday"),
)
# Any date will do to read fields; one with 50 years after it shows whether the dates exist, the leap days among them.
_START: Final = datetime(2000, 1, 1)  # noqa: DTZ001 - a clock without zone


@dataclass(frozen=True, slots=True)
class Crontab:
    """When to run, on a clock that is never changed."""

    text: str
    """Five fields in capitals; short forms written out."""

    @property
    def by_real_time(self) -> bool:
        """Whether minute or hour begins with a star: then it runs by the hours that pass, not once per time shown.

        Debian's cron divides them so (MIN_STAR and HR_STAR in its entry.c).
        """
        minute, hour, *_ = self.text.split()
        return minute.startswith("*") or hour.startswith("*")

    def after(self, wall: datetime) -> datetime | None:
        """The first time later than `wall`; None where there is none for 50 years."""
        return next(CronSim(self.text, wall), None)

    def before(self, wall: datetime) -> datetime | None:
        """The last time earlier than `wall`; None where there is none for 50 years."""
        return next(CronSim(self.text, wall, reverse=True), None)


@lru_cache(maxsize=4096)
def parse(text: str, field: str) -> Crontab:
    """Reads a schedule; raises CadenceError that names the part that is wrong."""
    if len(text) > MAX_LENGTH:
        raise CadenceError(f"{field} has {len(text)} characters; a cron schedule has at most {MAX_LENGTH}")
    parts = _parts(text, field)
    for index, (name, values) in enumerate(_FIELDS):
        if not _readable(_alone(parts[index], index)):
            raise CadenceError(f'{field} "{text}": {name} "{parts[index]}" is not valid: write {values}, *, or */n')
    found = Crontab(
        " ".join(",".join(_plain(term, index) for term in part.split(",")) for index, part in enumerate(parts))
    )
    if not _readable(found.text) or found.after(_START) is None:
        raise CadenceError(
            f'{field} "{text}" never runs: there is no month {parts[3]} with a day {parts[2]} and weekday {parts[4]}; '
            "write a date that exists, such as L for the last day of a month"
        )
    return found


def _parts(text: str, field: str) -> list[str]:
    example = 'write five fields, such as "0 2 * * 1": minute, hour, day of month, month, day of week'
    if text.strip().startswith("@"):
        if macro := MACROS.get(text.strip().lower()):
            return macro.split()
        every = "; for intervals there is the field every" if text.strip().lower().startswith("@every") else ""
        raise CadenceError(f'{field} "{text}" is not one of {", ".join(MACROS)}{every}; or {example}')
    if "=" in text:
        raise CadenceError(
            f'{field} "{text}" sets a variable: the time zone has a field of its own, timeZone; {example}'
        )
    parts = text.upper().split()
    if len(parts) != len(_FIELDS):
        seconds = " (there is none for seconds)" if len(parts) == len(_FIELDS) + 1 else ""
        raise CadenceError(f'{field} "{text}" has {len(parts)} fields{seconds}: {example}')
    return parts


def _plain(term: str, index: int) -> str:
    """A part between commas; `5-5/8` is written as `5`, which it means: cronsim 2.8 would read `5/8`, up to the end."""
    span, slash, _ = term.partition("/")
    first, dash, last = span.partition("-")
    # Both ways round a span can be read only where its ends are the same, by name or number.
    return first if slash and dash and _readable(_alone(f"{last}-{first}", index)) else term


def _alone(part: str, index: int) -> str:
    """A schedule with this one field."""
    return " ".join(part if place == index else "*" for place in range(len(_FIELDS)))


def _readable(text: str) -> bool:
    try:
        CronSim(text, _START)
    except CronSimError:
        return False
    return True
