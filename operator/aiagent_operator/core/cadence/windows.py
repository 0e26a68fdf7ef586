"""Maintenance windows, in which training may start, and freeze windows, in which it must not.

A window begins at the times of a schedule and lasts for real time: four hours are four hours, also in the night in
which clocks change. It holds from its first moment to before its end. What has started in a window goes on after it.

- A freeze window wins over an allow window.
- A policy without allow windows allows always; with several, one that is open is enough.
- The windows of several policies all hold: each policy must allow, and none may freeze.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from aiagent_operator.core import texts
from aiagent_operator.core.cadence.schedule import Cron

HORIZON: Final = timedelta(days=5 * 366)
"""How far an opening is looked for: yearly windows are found, also where some of them are frozen."""

MOST_STEPS: Final = 512
"""Windows that one search passes. It bounds the cost where small windows follow one another without end."""


class Kind(StrEnum):
    """What a window does."""

    ALLOW = "Allow"
    FREEZE = "Freeze"


@dataclass(frozen=True)
class Window:
    """One window: its name within the policy, and from when on it holds for how long."""

    name: str
    kind: Kind
    start: Cron
    duration: timedelta

    def end(self, at: datetime) -> datetime | None:
        """The end of the window that holds at this moment; None where none does."""
        started = self.start.last_at(at)
        return started + self.duration if started is not None and at < started + self.duration else None


@dataclass(frozen=True)
class PolicyWindows:
    """The windows of one policy."""

    policy: str
    windows: tuple[Window, ...]

    def of(self, kind: Kind) -> tuple[Window, ...]:
        """Those of one kind."""
        return tuple(window for window in self.windows if window.kind is kind)


@dataclass(frozen=True, slots=True)
class Opening:
    """When training may start."""

    at: datetime | None
    """The first such moment; None where none was found before `searched`."""
    searched: datetime
    """How far was looked."""
    reason: str = ""
    """What holds at the moment asked for, with the window's and the policy's name; empty where nothing does."""


@dataclass(frozen=True, slots=True)
class _Block:
    """Something that holds: until when at least, None for as far as schedules reach."""

    until: datetime | None
    reason: str


def opening(policies: Sequence[PolicyWindows], at: datetime) -> Opening:
    """The first moment from `at` on at which training may start.

    Looks `HORIZON` ahead and passes `MOST_STEPS` windows. Each step goes to the first moment at which what holds no
    longer does, so that nothing is left out.
    """
    moment, reason = at, ""
    for _ in range(MOST_STEPS):
        block = _block(policies, moment)
        if block is None:
            return Opening(moment, moment, reason)
        reason = reason or block.reason
        if block.until is None or block.until > at + HORIZON:
            return Opening(None, at + HORIZON, _never(reason, at + HORIZON))
        moment = block.until
    return Opening(None, moment, _never(reason, moment))


def closing(policies: Iterable[PolicyWindows], at: datetime, limit: datetime) -> datetime:
    """The first moment after `at` at which training may not start any more, or `limit` where that is earlier.

    `at` is a moment at which it may.
    """
    for policy in policies:
        for window in policy.of(Kind.FREEZE):
            start = window.start.next_after(at)
            limit = limit if start is None else min(limit, start)
        if allowing := policy.of(Kind.ALLOW):
            limit = _covered(allowing, at, limit)
    return limit


def _covered(windows: Sequence[Window], at: datetime, limit: datetime) -> datetime:
    """How long at least one of the windows holds without a gap, up to `limit`."""
    for _ in range(MOST_STEPS):
        end = max((end for window in windows if (end := window.end(at))), default=None)
        if end is None:
            return at
        if end >= limit:
            return limit
        at = end
    return at


def _block(policies: Sequence[PolicyWindows], at: datetime) -> _Block | None:
    """What holds at the moment: freezes first, since no allow window helps against them."""
    for policy in policies:
        if block := _frozen(policy, at):
            return block
    for policy in policies:
        if block := _outside(policy, at):
            return block
    return None


def _frozen(policy: PolicyWindows, at: datetime) -> _Block | None:
    ends = [(end, window.name) for window in policy.of(Kind.FREEZE) if (end := window.end(at))]
    if not ends:
        return None
    end, name = max(ends)
    return _Block(end, f'freeze window "{name}" of AgentPolicy "{policy.policy}" holds until {texts.moment(end)}')


def _outside(policy: PolicyWindows, at: datetime) -> _Block | None:
    windows = policy.of(Kind.ALLOW)
    if not windows or any(window.end(at) for window in windows):
        return None
    starts = [(start, window.name) for window in windows if (start := window.start.next_after(at))]
    where = f'allow windows of AgentPolicy "{policy.policy}"'
    if not starts:
        return _Block(None, f"outside the {where}: {texts.quoted(window.name for window in windows)} never open")
    start, name = min(starts)
    return _Block(start, f'outside the {where}: the next, "{name}", opens at {texts.moment(start)}')


def _never(reason: str, searched: datetime) -> str:
    return (
        f"{reason}, and no moment was found before {texts.moment(searched)} at which all windows let training start: "
        "shorten the freeze windows, or widen the allow windows"
    )
