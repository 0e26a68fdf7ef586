"""Verifying a chain of records as they come, in constant memory: the first that is not as it should be is named.

A chain proves that its records are those that were sealed onto each other, and in which order. Whoever can write all of
the store can write another chain; against that there is the head, which is told elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256

from aiagent_operator.core.journal.head import START, Head, HeadError, digest, path
from aiagent_operator.core.journal.record import RecordError, attributes, safe
from aiagent_operator.core.journal.shapes import Shapes

Entry = tuple[str, bytes]
"""Where a record is, and its bytes."""


class Fault(StrEnum):
    """What is wrong with a chain."""

    UNREADABLE = "Unreadable"
    FOREIGN = "Foreign"
    WRONG_FIRST = "WrongFirst"
    GAP = "Gap"
    DOUBLED = "Doubled"
    ALTERED = "Altered"
    UNLINKED = "Unlinked"
    TRUNCATED = "Truncated"


MEANING = {
    Fault.UNREADABLE: "the bytes are no record",
    Fault.FOREIGN: "the record is of another agent",
    Fault.WRONG_FIRST: "the chain does not begin with the record 1",
    Fault.GAP: "a record is missing before this one",
    Fault.DOUBLED: "the record's sequence was there already",
    Fault.ALTERED: "its digest is not the one that the next record, or the head, was given",
    Fault.UNLINKED: "it does not follow from the record before, and nothing says which of the two was altered",
    Fault.TRUNCATED: "the chain ends before its head",
}
"""What each fault tells, in a line; docs/journal.md shows it."""


@dataclass(frozen=True, slots=True)
class Flaw:
    """The first thing that is wrong with a chain; `message` begins with its path.

    `path` is that of the record to look at: of the missing one for Truncated.
    """

    fault: Fault
    path: str
    message: str


@dataclass(frozen=True, slots=True)
class Verification:
    """How many records follow from where it began, the head that they make, and what came then, if anything did."""

    records: int
    head: Head
    flaw: Flaw | None = None


def verify(entries: Iterable[Entry], uid: str, *, start: Head = START, told: Head | None = None) -> Verification:
    """Whether the records, in the order in which they come, are the journal of the agent with this UID.

    `start` is a head that is known already, where only what comes after it is read. `told` is the head that the agent's
    status or a certificate tells: the chain has to come to it, and may go on. Raises HeadError where `told` is before
    `start`.
    """
    _comparable(start, told)
    tells = told.sequence if told else 0
    number, last, before, there = start.sequence, start.digest, start.digest, ""
    stream, shapes = iter(entries), Shapes(uid)
    for where, raw in stream:
        if not shapes.fits(raw, number + 1, last):
            try:
                found = attributes(raw, where)
            except RecordError as error:
                return _end(start, number, last, Flaw(Fault.UNREADABLE, where, str(error)))
            if found["subject"] != uid:
                says = f"{safe(where)}: the record is of the agent {found['subject']}, and this is the journal of {uid}"
                return _end(start, number, last, Flaw(Fault.FOREIGN, where, says))
            if int(found["sequence"]) != number + 1:
                return _end(start, number, last, _misplaced(where, int(found["sequence"]), number, start))
            if found.get("previous", "") != last:
                step = _Step(uid, number + 1, last, there, where, raw, found["previous"])
                flaw = _unlinked(step, next(stream, None), start, told)
                return _end(start, number, last, flaw) if flaw.path == where else _end(start, number - 1, before, flaw)
            shapes.learn(raw, found)
        number, last, before, there = number + 1, f"sha256:{sha256(raw).hexdigest()}", last, where
        if number == tells and told and last != told.digest:
            says = f"{safe(where)}: the record has {last}, and the head that is told has {told.digest}: it was altered"
            return _end(start, number - 1, before, Flaw(Fault.ALTERED, where, says))
    if number < tells:
        missing = path(uid, number + 1)
        says = f"{missing}: the record is missing, and the head that is told has the sequence {tells}: restore it"
        return _end(start, number, last, Flaw(Fault.TRUNCATED, missing, says))
    return _end(start, number, last, None)


def _comparable(start: Head, told: Head | None) -> None:
    if told is None or told.sequence > start.sequence or told == start:
        return
    raise HeadError(
        f"the head that is told has sequence {told.sequence}, and verification is to start after {start.sequence} with "
        "another digest or a higher sequence: start at an earlier head"
    )


def _end(start: Head, number: int, last: str, flaw: Flaw | None) -> Verification:
    return Verification(number - start.sequence, Head(number, last), flaw)


def _misplaced(where: str, found: int, number: int, start: Head) -> Flaw:
    if found <= number:
        says = f"{safe(where)}: the record {found} was there already, before the record {number}: of each there is one"
        return Flaw(Fault.DOUBLED, where, says)
    if number == 0:
        says = f"{safe(where)}: the chain begins with the record {found}: give the ones before, or their head"
        return Flaw(Fault.WRONG_FIRST, where, says)
    after = "the head that was given" if number == start.sequence else "the record"
    says = f"{safe(where)}: the record {found} comes after {after} {number}: restore what was between"
    return Flaw(Fault.GAP, where, says)


@dataclass(frozen=True, slots=True)
class _Step:
    """From a record to one that does not name it: `last` is the digest of the one, `previous` what the other says."""

    uid: str
    number: int
    last: str
    there: str
    where: str
    raw: bytes
    previous: str


def _unlinked(step: _Step, following: Entry | None, start: Head, told: Head | None) -> Flaw:
    """Which of the two was altered: what the next record or the head says of the second decides."""
    there = safe(step.there)
    here = f"{safe(step.where)}: the record {step.number} follows {step.previous}"
    if step.number == start.sequence + 1:
        says = f"{here}, and the head that was given is {step.last}: it is of another chain, or the record was altered"
        return Flaw(Fault.UNLINKED, step.where, says)
    if told and told.sequence == step.number - 1:
        sealed: str | None = ""
    else:
        sealed = _sealed(step, following, told)
    if sealed is None:
        says = f"{here}, and {there} has {step.last}: one of the two was altered"
        return Flaw(Fault.UNLINKED, step.where, says)
    if sealed == digest(step.raw):
        says = f"{there}: the record has {step.last}, and was {step.previous} when the next was sealed: it was altered"
        return Flaw(Fault.ALTERED, step.there, says)
    says = f"{here}, and {there} has {step.last}: the record was altered"
    return Flaw(Fault.ALTERED, step.where, says)


def _sealed(step: _Step, following: Entry | None, told: Head | None) -> str | None:
    """The digest with which the later record was sealed, as the next one or the head says; None where neither does."""
    if told and told.sequence == step.number:
        return told.digest
    if following is None:
        return None
    try:
        found = attributes(following[1], following[0])
    except RecordError:
        return None
    if found["subject"] != step.uid or int(found["sequence"]) != step.number + 1:
        return None
    return str(found["previous"])
