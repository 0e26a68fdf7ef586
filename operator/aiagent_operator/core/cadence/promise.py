"""Whether an agent's training is as fresh as it was promised to be (maxAge), whatever the plan was."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Kept:
    """Fresh enough, until then; None where nothing is promised."""

    until: datetime | None


@dataclass(frozen=True, slots=True)
class Overdue:
    """Older than promised since then; what follows from it waits for the end of the grace."""

    since: datetime
    grace_ends: datetime


@dataclass(frozen=True, slots=True)
class OverdueBeyondGrace:
    """Older than promised since `since`, and the grace ended at `grace_ended`."""

    since: datetime
    grace_ended: datetime


Promise = Kept | Overdue | OverdueBeyondGrace


def promise(anchor: datetime, max_age: timedelta | None, grace: timedelta, now: datetime) -> Promise:
    """What has become of the promise. `anchor` is the last success, or the agent's creation where there was none."""
    if max_age is None:
        return Kept(None)
    ends = anchor + max_age
    if now < ends:
        return Kept(ends)
    if now < ends + grace:
        return Overdue(ends, ends + grace)
    return OverdueBeyondGrace(ends, ends + grace)


def shortest(ages: Iterable[timedelta | None]) -> timedelta | None:
    """The promise that counts, of the agent's own and those that its policies allow; None where there is none."""
    return min((age for age in ages if age is not None), default=None)
