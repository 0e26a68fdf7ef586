"""What can go wrong with a store: one exception with a kind, and which kinds are worth another try, and when."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

_LONGEST: Final = 300.0
_FIRST: Final[dict[str, float]] = {
    "Contended": 0.1,
    "Unreachable": 1.0,
    "TimedOut": 1.0,
    "Throttled": 5.0,
    "Denied": 30.0,
    "Full": 30.0,
    "ClockSkew": 30.0,
    "Misconfigured": 60.0,
}


class Kind(StrEnum):
    """Why an operation failed. The table in docs/archive-store.md says what each means and what to do."""

    UNREACHABLE = "Unreachable"
    TIMED_OUT = "TimedOut"
    THROTTLED = "Throttled"
    CONTENDED = "Contended"
    DENIED = "Denied"
    CLOCK_SKEW = "ClockSkew"
    FULL = "Full"
    MISCONFIGURED = "Misconfigured"
    UNSUPPORTED = "Unsupported"
    MISSING = "Missing"
    TOO_LARGE = "TooLarge"
    CHANGED = "Changed"
    UNSAFE = "Unsafe"
    INVALID_NAME = "InvalidName"
    READ_ONLY = "ReadOnly"
    FAILED = "Failed"


class StoreError(Exception):
    """An operation that failed. The message names the store, the object and the remedy, and never holds a secret.

    `status` and `code` are what the store answered, where it did: an HTTP status, and the error code in its body.
    """

    def __init__(
        self, kind: Kind, store: str, path: str, what: str, remedy: str, *, status: int | None = None, code: str = ""
    ) -> None:
        super().__init__(f"archive store {store}: {path or '(all)'}: {what}: {remedy}")
        self.kind = kind
        self.store = store
        self.path = path
        self.status = status
        self.code = code


class DisputedError(Exception):
    """A store, or the record of an archive, has something else than what the operator wrote there; the message names it
    and the remedy."""


def pause(kind: Kind, failures: int) -> float | None:
    """Seconds until another try after so many failures in a row (from 1); None where no try changes anything.

    Doubled with each failure, up to five minutes. What somebody has to mend is tried again too, only later: whoever
    mends credentials or a full disk does not tell the operator.
    """
    first = _FIRST.get(kind)
    if first is None:
        return None
    # The exponent is bounded, since a store may be down for days.
    return min(_LONGEST, first * 2.0 ** min(max(failures, 1) - 1, 20))
