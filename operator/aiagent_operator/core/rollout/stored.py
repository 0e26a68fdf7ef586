"""The kept status of a rollout, to and from the form in which an object's status holds it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from aiagent_operator.api.fields import unreadable
from aiagent_operator.api.rolloutstatus import (
    MOST_RELEASED,
    PausedFor,
    RolloutOrderStatus,
    RolloutProgress,
    WaitingForPods,
)
from aiagent_operator.core.rollout.decision import Carried, RolloutStatus, Waiting

_LONGEST_MESSAGE = 1024


class StoredRolloutError(ValueError):
    """A kept status that cannot be read. Nobody may begin a rollout anew over it: it may have failed already."""


def dump(status: RolloutStatus) -> dict[str, Any]:
    """The status as JSON; what is as at the beginning is left out."""
    progress = RolloutProgress(
        steps_hash=status.course,
        round=status.round,
        step=status.step,
        step_started_at=_text(status.step_started_at),
        weight=status.weight,
        waiting=_waiting(status.waiting),
        paused_for=status.paused_for,
        paused_by=status.paused_by,
        released=status.released[-MOST_RELEASED:],
        full=status.full,
        reason=status.reason,
        aborted_at=_text(status.aborted_at),
        suspended_at=_text(status.suspended_at),
        orders=tuple(
            RolloutOrderStatus(uid=carried.uid, done=carried.done, message=carried.text[:_LONGEST_MESSAGE])
            for carried in status.orders
        ),
    )
    return progress.model_dump(mode="json", by_alias=True, exclude_defaults=True)


def load(stored: Mapping[str, Any]) -> RolloutStatus:
    """The status from JSON. A reason to pause that a newer version has written waits for a person.

    Raises StoredRolloutError for what cannot be read otherwise.
    """
    known = {reason.value for reason in PausedFor}
    raw = dict(stored)
    if raw.get("pausedFor") not in {None, *known}:
        raw["pausedFor"] = PausedFor.FAILED.value
    try:
        progress = RolloutProgress.model_validate(raw)
        waiting = progress.waiting
        return RolloutStatus(
            course=progress.steps_hash,
            round=progress.round,
            step=progress.step,
            step_started_at=_moment(progress.step_started_at),
            weight=progress.weight,
            waiting=Waiting(_read(waiting.since), waiting.missing, waiting.replicas) if waiting else None,
            paused_for=progress.paused_for,
            paused_by=progress.paused_by,
            released=progress.released,
            full=progress.full,
            reason=progress.reason,
            aborted_at=_moment(progress.aborted_at),
            suspended_at=_moment(progress.suspended_at),
            orders=tuple(Carried(order.uid, order.done, order.message) for order in progress.orders),
        )
    except ValidationError as error:
        raise StoredRolloutError(unreadable(error)) from error
    except ValueError as error:
        raise StoredRolloutError(f"this version of the operator cannot read a time of the rollout: {error}") from error


def _waiting(waiting: Waiting | None) -> WaitingForPods | None:
    if waiting is None:
        return None
    return WaitingForPods(since=written(waiting.since), missing=waiting.missing, replicas=waiting.replicas)


def written(moment: datetime) -> str:
    """As metav1.MicroTime: whole seconds would end pauses too early."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def moment(text: str) -> datetime:
    """Reads what `written` writes. Raises StoredRolloutError for anything else."""
    try:
        return _read(text)
    except ValueError as error:
        raise StoredRolloutError(f"this version of the operator cannot read a time of the rollout: {error}") from error


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else written(moment)


def _read(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return found.astimezone(UTC)


def _moment(text: str | None) -> datetime | None:
    return None if text is None else _read(text)
