"""Whether a review is to run now, and when it runs next.

Computed from the agent's creation and the newest planned time that a run exists for. However many times were missed,
the last of them runs, once. A run that is removed by hand is made up for once, too, if it was the newest.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from aiagent_operator.core.cadence import spread as places
from aiagent_operator.core.cadence.schedule import Every, Plan


@dataclass(frozen=True, slots=True)
class Rhythm:
    """When a review is planned: `spread` after each planned time at most, at the place that `place` stands for."""

    plan: Plan
    spread: timedelta
    place: str
    created: datetime

    def after(self, at: datetime) -> datetime | None:
        """The first planned time later than `at`."""
        if not isinstance(self.plan, Every):
            return self.plan.next_after(max(at, self.created))
        return self.created + (max(at - self.created, timedelta()) // self.plan.interval + 1) * self.plan.interval

    def last(self, at: datetime) -> datetime | None:
        """The last planned time not later than `at`; none is before the agent was."""
        found = self._last(at)
        return found if found is not None and found > self.created else None

    def _last(self, at: datetime) -> datetime | None:
        if isinstance(self.plan, Every):
            return self.created + (at - self.created) // self.plan.interval * self.plan.interval
        return self.plan.last_at(at)

    def begins(self, planned: datetime) -> datetime:
        """When the run for a planned time begins, which is before the next one is planned."""
        following = self.after(planned)
        span = self.spread if following is None else min(self.spread, following - planned)
        return planned + places.offset(self.place, span)


@dataclass(frozen=True, slots=True)
class Turn:
    """`due`: the planned time to run for now; None where there is nothing to do yet. `next`: when one begins next."""

    due: datetime | None
    next: datetime | None


def turn(rhythm: Rhythm, newest: datetime | None, now: datetime) -> Turn:
    """What a rhythm says now, where `newest` is the latest planned time for which there is a run."""
    planned = rhythm.last(now)
    upcoming = rhythm.after(now)
    if planned is not None and rhythm.begins(planned) > now:
        # Its place has not come, which that of the one before has.
        upcoming, planned = planned, rhythm.last(planned - timedelta(seconds=1))
    if planned is not None and newest is not None and planned <= newest:
        planned = None
    if upcoming is not None and newest is not None and upcoming <= newest:
        # A clock that went back: what was run for is not run for again.
        upcoming = rhythm.after(newest)
    return Turn(planned, rhythm.begins(upcoming) if upcoming else None)
