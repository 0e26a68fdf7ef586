"""The status as it stands at the beginning of a decision: clocks that went back, suspensions, changed steps."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from aiagent_operator.api.rolloutstatus import PausedFor
from aiagent_operator.core.rollout import course
from aiagent_operator.core.rollout.decision import RolloutStatus
from aiagent_operator.core.rollout.facts import Facts


def begin(f: Facts) -> RolloutStatus:
    """The kept status, brought to now."""
    return _suspended(f, _restarted(f, _no_future(f.status, f.now)))


def left(since: datetime, duration: timedelta, now: datetime) -> timedelta:
    """What is left of a duration; nothing or less when it is over."""
    return since + duration - now


def _no_future(status: RolloutStatus, now: datetime) -> RolloutStatus:
    """A clock that went back would make pauses longer than they are: what began later than now begins now."""
    waiting = status.waiting
    return replace(
        status,
        step_started_at=_not_after(status.step_started_at, now),
        waiting=replace(waiting, since=min(waiting.since, now)) if waiting else None,
        aborted_at=_not_after(status.aborted_at, now),
        suspended_at=_not_after(status.suspended_at, now),
    )


def _not_after(moment: datetime | None, now: datetime) -> datetime | None:
    return None if moment is None else min(moment, now)


def _restarted(f: Facts, status: RolloutStatus) -> RolloutStatus:
    """Other steps begin at the first one, as in Argo Rollouts; the weight in effect goes to theirs from where it is."""
    now = course.fingerprint(f.spec)
    if status.course == now or status.aborted_at is not None:
        return status
    if not status.course:
        return replace(status, course=now)
    return RolloutStatus(
        course=now,
        round=status.round + 1,
        weight=status.weight,
        suspended_at=status.suspended_at,
        orders=status.orders,
    )


def _suspended(f: Facts, status: RolloutStatus) -> RolloutStatus:
    """Time does not run while no pod does. Afterwards no weight is in effect until its pods are ready again."""
    if f.suspended:
        return replace(status, suspended_at=status.suspended_at or f.now, weight=0, waiting=None)
    if status.suspended_at is None:
        return status
    started = status.step_started_at
    passed = f.now - status.suspended_at
    # What was judged before the suspension was judged of other pods; a pause of people's making stays.
    return replace(
        status,
        suspended_at=None,
        round=status.round + 1,
        step_started_at=None if started is None else started + passed,
        paused_for=None if status.paused_for is PausedFor.STEP else status.paused_for,
    )
