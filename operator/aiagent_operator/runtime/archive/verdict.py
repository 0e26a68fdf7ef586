"""What a proof of a store found, for a condition. Pure: the asking is in `proof`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from aiagent_operator.core import texts
from aiagent_operator.runtime.archive.errors import Kind, StoreError

MOST_SKEW: Final = timedelta(minutes=2)
"""Between the store's clock and ours. S3 refuses requests from 15 minutes on (RequestTimeTooSkewed)."""

_STILL_READ: Final = frozenset({Kind.DENIED, Kind.FULL, Kind.READ_ONLY})


class Mode(StrEnum):
    """What the store may be used for."""

    READY = "Ready"
    READ_ONLY = "ReadOnly"
    UNUSABLE = "Unusable"


class Broken(StrEnum):
    """Promises that a store answers to and does not keep."""

    NOT_CONDITIONAL = "NotConditional"
    NOT_READ_BACK = "NotReadBack"
    NOT_LISTED = "NotListed"


@dataclass(frozen=True, slots=True)
class Lock:
    """What keeps a new object from being deleted: `mode` as the store names it, such as COMPLIANCE, and until when."""

    mode: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is true of a store at a time.

    `reason`: the mode, or what is broken or failed. `message`: for people, with the remedy. `warnings`: what works and
    should be looked at. `skew`: the store's clock minus ours, None where it was not seen. `versioned`: whether it
    keeps versions; `lock`: of a new object. None for these means that the store does not say, not that there is none.
    """

    store: str
    at: datetime
    mode: Mode
    reason: str
    message: str
    warnings: tuple[str, ...] = ()
    skew: timedelta | None = None
    versioned: bool | None = None
    lock: Lock | None = None


def ready(store: str, at: datetime, *, skew: timedelta | None, versioned: bool | None, lock: Lock | None) -> Verdict:
    """All of it works."""
    kept = f"new objects are locked ({lock.mode}) until {texts.moment(lock.until)}" if lock else "no lock is seen"
    message = f"archive store {store}: creates are conditional, and what is written is read and listed at once; {kept}"
    return Verdict(store, at, Mode.READY, Mode.READY.value, message, _warnings(store, skew), skew, versioned, lock)


def read_only(store: str, at: datetime, why: StoreError | None, *, skew: timedelta | None = None) -> Verdict:
    """Reads work. `why` writes do not; None where the configuration forbids them."""
    cause = str(why) if why is not None else f"archive store {store}: readOnly is true: set it to false to write"
    message = f"{cause}. What is stored can be read"
    return Verdict(store, at, Mode.READ_ONLY, Mode.READ_ONLY.value, message, _warnings(store, skew), skew)


def broken(store: str, at: datetime, promise: Broken, what: str) -> Verdict:
    """The store answers, and not as it must: nothing may be written, since what is there could be overwritten."""
    message = f"archive store {store}: {what}: use a store that keeps this promise (docs/archive-store.md)"
    return Verdict(store, at, Mode.UNUSABLE, promise.value, message)


def failed(store: str, at: datetime, error: StoreError) -> Verdict:
    """It could not be asked."""
    return Verdict(store, at, Mode.UNUSABLE, error.kind.value, str(error))


def may_still_be_read(error: StoreError) -> bool:
    """Whether a write that failed so leaves reading worth a try."""
    return error.kind in _STILL_READ


def _warnings(store: str, skew: timedelta | None) -> tuple[str, ...]:
    if skew is None or abs(skew) <= MOST_SKEW:
        return ()
    side = "ahead of" if skew > timedelta() else "behind"
    seconds = abs(skew).total_seconds()
    text = f"archive store {store}: its clock is {seconds:.0f} s {side} the operator's: set the one that is wrong"
    return (text,)
