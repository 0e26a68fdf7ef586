"""Due times of a plan: a cron schedule in a time zone, or an interval since the last success.

Where clocks change, cron follows crontab(5) of Debian:

- A schedule at fixed times runs once for each time. One that clocks skip in spring runs at the moment of the change;
  one that clocks show twice in autumn runs at the first. Several that are skipped together run once.
- A schedule whose minute or hour begins with a star runs whenever the clock really shows a time that matches: not in
  the skipped hour, and in both of the repeated ones.

Debian holds changes of three hours and more for corrections of the clock. Here they are zones' changes like the others:
a day that a country skips (Samoa, 30 December 2011) is made up for once, at its end.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from aiagent_operator.core.cadence import zones
from aiagent_operator.core.cadence.crontab import Crontab

_SECOND: Final = timedelta(seconds=1)
# No change of a zone is greater than a day.
_LONGEST_CHANGE: Final = timedelta(days=2)


@dataclass(frozen=True)
class Cron:
    """A cron schedule in a zone."""

    crontab: Crontab
    zone: ZoneInfo

    def __str__(self) -> str:
        return f'schedule "{self.crontab.text}" in {self.zone.key}'

    def next_after(self, at: datetime) -> datetime | None:
        """The first due time later than `at`, in UTC; None where there is none for 50 years."""
        return self._real_after(at) if self.crontab.by_real_time else self._fixed_after(at)

    def last_at(self, at: datetime) -> datetime | None:
        """The last due time not later than `at`, in UTC; None where there is none for 50 years."""
        return self._real_at(at) if self.crontab.by_real_time else self._fixed_at(at)

    def _fixed_after(self, at: datetime) -> datetime | None:
        # Of times shown twice the first counts, so in the second hour some that come next on the clock are past.
        wall = self.crontab.after(zones.wall(self.zone, at))
        while wall is not None:
            if (found := self._first_shown(wall)) > at:
                return found
            wall = self.crontab.after(wall)
        return None

    def _fixed_at(self, at: datetime) -> datetime | None:
        local = at.astimezone(self.zone)
        end = local.replace(tzinfo=None, microsecond=0, fold=0) + _SECOND
        if local.fold and (change := zones.last_change(self.zone, at - _LONGEST_CHANGE, at)):
            # In the second of two hours all that the first has shown is past, also what the clock shows later again.
            end = max(end, _naive(change.at + change.before))
        wall = self.crontab.before(end)
        return None if wall is None else self._first_shown(wall)

    def _first_shown(self, wall: datetime) -> datetime:
        """When the clock first shows this time; where it never does, the moment at which it skips it."""
        at = wall.replace(tzinfo=self.zone, fold=0).astimezone(UTC)
        if zones.wall(self.zone, at) == wall:
            return at
        change = zones.last_change(self.zone, at - _LONGEST_CHANGE, at)
        return at if change is None else change.at

    def _real_after(self, at: datetime) -> datetime | None:
        start, wall = at, zones.wall(self.zone, at)
        while (found := self.crontab.after(wall)) is not None:
            due = (found - zones.offset(self.zone, start)).replace(tzinfo=UTC)
            change = zones.first_change(self.zone, start, due)
            if change is None:
                return due
            # The clock changes before: go on from what it shows then, that moment included.
            start, wall = change.at, _naive(change.at + change.after) - _SECOND
        return None

    def _real_at(self, at: datetime) -> datetime | None:
        last = at.replace(microsecond=0)
        while True:
            offset = zones.offset(self.zone, last)
            found = self.crontab.before(_naive(last + offset) + _SECOND)
            if found is None:
                return None
            due = (found - offset).replace(tzinfo=UTC)
            change = zones.last_change(self.zone, due, last)
            if change is None:
                return due
            last = change.at - _SECOND


@dataclass(frozen=True, slots=True)
class Every:
    """An interval since the last success, or since the agent's creation; the same length whatever clocks do."""

    interval: timedelta

    def next_after(self, at: datetime) -> datetime | None:
        """The due time that follows a success at `at`."""
        return at + self.interval


Plan = Cron | Every


def _naive(moment: datetime) -> datetime:
    return moment.replace(tzinfo=None)
