"""Where a record stands: its place in the chain, its name in the store, and the head of what is told so far."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

WIDTH: Final = 12
"""Digits of a sequence in names and records, so that names sort as numbers do."""

LAST: Final = 10**WIDTH - 1

_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
# A UUID (Kubernetes: "Object Names and IDs"), or what a test takes for one; never a path.
_UID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,62}")


class HeadError(ValueError):
    """A place that no chain has; the message names the field and says what to write."""


@dataclass(frozen=True, slots=True)
class Head:
    """The last record of a chain: its sequence, counted from 1, and its digest. Raises HeadError where there is none.

    Sequence 0 without a digest is the head of a chain that has no record yet.
    """

    sequence: int
    digest: str

    def __post_init__(self) -> None:
        if type(self.sequence) is not int or not 0 <= self.sequence <= LAST:
            raise HeadError(f"head.sequence is {self.sequence!r}: write a whole number from 0 to {LAST}")
        if self.sequence == 0 and self.digest:
            raise HeadError("head.digest is there, and head.sequence is 0: a chain without records has no digest")
        if self.sequence and not is_digest(self.digest):
            raise HeadError("head.digest is not sha256: and 64 hexadecimal digits: write the digest of the last record")


START: Final = Head(0, "")
"""Head of a chain without records."""


def digest(raw: bytes) -> str:
    """The digest of a record: what `sha256sum` says of its file (FIPS 180-4)."""
    return f"sha256:{sha256(raw).hexdigest()}"


def is_digest(text: object) -> bool:
    """Whether this is the digest of some record."""
    return isinstance(text, str) and _DIGEST.fullmatch(text) is not None


def is_uid(text: object) -> bool:
    """Whether this is the UID of an agent, and can stand in a path."""
    return isinstance(text, str) and _UID.fullmatch(text) is not None


def numbered(sequence: int) -> str:
    """The sequence as it stands in names and records. Raises HeadError past the last one."""
    if not 1 <= sequence <= LAST:
        raise HeadError(f"sequence {sequence} is not between 1 and {LAST}: this journal has no such record")
    return f"{sequence:0{WIDTH}d}"


def folder(uid: str) -> str:
    """Where in the store the journal of an agent is; it ends with a slash. Raises HeadError for what is no UID."""
    if not is_uid(uid):
        raise HeadError("the agent's UID is not 1 to 63 letters, digits and hyphens: take metadata.uid of the AIAgent")
    return f"journal/{uid}/"


def path(uid: str, sequence: int) -> str:
    """Name of a record in the store. Raises HeadError for what is no UID or no sequence."""
    return f"{folder(uid)}{numbered(sequence)}.json"
