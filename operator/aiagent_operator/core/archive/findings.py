"""What a verification says of an archive: what is wrong with which file, and what holds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from aiagent_operator.api.tombstone import Tombstone
from aiagent_operator.core.strict_json import quoted

MOST_UNLISTED: Final = 1000
"""Files that no manifest knows and that are named; beyond it they are counted."""

_SHOWN: Final = 200


class Fault(StrEnum):
    """What is wrong with one file."""

    MISSING = "Missing"
    ALTERED = "Altered"
    OTHER_SIZE = "OtherSize"
    UNLISTED = "Unlisted"
    LEFT_OVER = "LeftOver"
    UNSAFE = "Unsafe"
    GIVEN_TWICE = "GivenTwice"
    INCOMPLETE = "Incomplete"
    NOT_TRUE = "NotTrue"
    NOT_SIGNED = "NotSigned"


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One fault of one file, and what to do about it."""

    path: str
    fault: Fault
    message: str

    def __str__(self) -> str:
        return f"{quoted(self.path, _SHOWN)[1:-1]}: {self.fault}: {self.message}"


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a verification.

    `whole` are the items that are what the manifest says, `findings` everything that is wrong, by path; `unlisted`
    counts also what is not named. `signed_by` are the ids of the keys that have signed the certificate. `purged` is set
    where the archive was purged, and `erased` where the key of its personal payload was destroyed.
    """

    archive: str
    manifest: str
    whole: tuple[str, ...]
    findings: tuple[Finding, ...]
    unlisted: int
    signed_by: tuple[str, ...]
    purged: Tombstone | None
    erased: Tombstone | None

    @property
    def is_whole(self) -> bool:
        """Whether every file is there, and all is what it was. A purged archive is not: it has nothing left.

        What an attempt has left over that did not come to its end changes nothing: a store that locks cannot remove it.
        """
        return self.purged is None and all(finding.fault is Fault.LEFT_OVER for finding in self.findings)
