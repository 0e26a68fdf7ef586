"""Whether one agent is to be trained now, and else when and why not yet.

An agent is due at the first time of its plan after its last success, or when its promise ends where that is earlier.
However many times have passed since, it is trained once. It may start at its place in the spread, counted from
the first moment at which the windows are open, so that neither the window's end nor the next time passes it by.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from aiagent_operator.core.cadence import spread, windows
from aiagent_operator.core.cadence.backoff import Backoff
from aiagent_operator.core.cadence.promise import Promise, promise
from aiagent_operator.core.cadence.schedule import Plan
from aiagent_operator.core.cadence.windows import PolicyWindows


@dataclass(frozen=True)
class Cadence:
    """How often an agent is trained: its plan, and its promise (the shortest of its own and its policies')."""

    plan: Plan | None = None
    max_age: timedelta | None = None
    grace: timedelta = timedelta()
    spread: timedelta = timedelta()
    backoff: Backoff = field(default_factory=Backoff)


@dataclass(frozen=True, slots=True)
class History:
    """What has happened: read from the agent and its revisions, so that a restart changes nothing."""

    created: datetime
    last_success: datetime | None = None
    """When the last successful training ended."""
    failed: int = 0
    """Failures in a row since then."""
    last_failure: datetime | None = None

    @property
    def anchor(self) -> datetime:
        """From when on plan and promise count."""
        return self.last_success or self.created


@dataclass(frozen=True, slots=True)
class Due:
    """To be trained now, as soon as there is a slot."""

    since: datetime
    """The planned time, without spread: agents that were held together are served in the order of their plans."""
    deadline: datetime | None
    """The end of the promise; may be past."""


@dataclass(frozen=True, slots=True)
class NotYet:
    """Not due, or its place in the spread has not come."""

    next: datetime | None
    """The earliest start with spread and windows as they are now; None where nothing is planned or promised."""
    planned: datetime | None
    """The planned time, without them."""


@dataclass(frozen=True, slots=True)
class Held:
    """Due, and windows do not let it start."""

    since: datetime
    until: datetime | None
    """The earliest start; None where none was found, then look again at `again`."""
    again: datetime
    reason: str
    """Names the window and its policy."""


@dataclass(frozen=True, slots=True)
class BackingOff:
    """Due, and its last attempts failed: waits before it is tried again."""

    since: datetime
    until: datetime
    failed: int


Start = Due | NotYet | Held | BackingOff


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether to start, and what has become of the promise meanwhile."""

    start: Start
    promise: Promise


def decide(  # noqa: PLR0917 - each of its own type
    cadence: Cadence,
    history: History,
    uid: str,
    policies: Sequence[PolicyWindows],
    now: datetime,
    triggered: datetime | None = None,
) -> Decision:
    """What to do with this agent now. Nothing of it depends on when it was asked before.

    `triggered`: since when it is due whatever plan and promise say; it has no place in the spread then.
    """
    kept = promise(history.anchor, cadence.max_age, cadence.grace, now)
    since = due_since(cadence, history)
    if triggered is not None:
        first = triggered if since is None else min(since, triggered)
        return Decision(_at_once(first, cadence, history, policies, now), kept)
    return Decision(_start(since, cadence, history, uid, policies, now), kept)


def _start(  # noqa: PLR0917 - as `decide`
    since: datetime | None,
    cadence: Cadence,
    history: History,
    uid: str,
    policies: Sequence[PolicyWindows],
    now: datetime,
) -> Start:
    if since is None:
        return NotYet(None, None)
    first = windows.opening(policies, since)
    ready = None if first.at is None else first.at + _place(cadence, history, uid, policies, first.at)
    if now < since:
        return NotYet(ready or since, since)
    if ready is not None and now < ready:
        holding = windows.opening(policies, now)
        return Held(since, ready, ready, holding.reason) if holding.reason else NotYet(ready, since)
    return _at_once(since, cadence, history, policies, now)


def _at_once(
    since: datetime, cadence: Cadence, history: History, policies: Sequence[PolicyWindows], now: datetime
) -> Start:
    """What an agent that is due waits for still."""
    retry = cadence.backoff.not_before(history.failed, history.last_failure)
    if retry is not None and now < retry:
        return BackingOff(since, windows.opening(policies, retry).at or retry, history.failed)
    here = windows.opening(policies, now)
    if here.at == now:
        return Due(since, _promised(cadence, history))
    return Held(since, here.at, here.at or here.searched, here.reason)


def due_since(cadence: Cadence, history: History) -> datetime | None:
    """The time from which on the agent is due, spread and windows aside; None where nothing is planned or promised."""
    planned = cadence.plan.next_after(history.anchor) if cadence.plan else None
    return min((time for time in (planned, _promised(cadence, history)) if time is not None), default=None)


def _promised(cadence: Cadence, history: History) -> datetime | None:
    return None if cadence.max_age is None else history.anchor + cadence.max_age


def _place(
    cadence: Cadence, history: History, uid: str, policies: Sequence[PolicyWindows], first: datetime
) -> timedelta:
    """The agent's place in the spread, which ends before the window, the next planned time and the promise do."""
    end = first + cadence.spread
    if cadence.plan and (following := cadence.plan.next_after(first)):
        end = min(end, following)
    if promised := _promised(cadence, history):
        end = min(end, promised)
    return spread.offset(uid, windows.closing(policies, first, end) - first) if end > first else timedelta()
