"""What a writer asks of the store, what the store answers, and what it came to in the end."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from aiagent_operator.core.journal.event import Event
from aiagent_operator.core.journal.head import Head


@dataclass(frozen=True, slots=True)
class Create:
    """Write these bytes under this path, if nothing is there. Answered by Created or Taken.

    Where it is not known what became of it, the same request is made again: what it then finds may be its own.
    """

    path: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class Read:
    """The bytes under this path. Answered by Found or Absent."""

    path: str


@dataclass(frozen=True, slots=True)
class ListAfter:
    """The lowest and the highest sequence among the records whose names sort after `path`. Answered by Listed.

    `folder` is where they are; what has another name than a record is none.
    """

    folder: str
    path: str


Request = Create | Read | ListAfter


@dataclass(frozen=True, slots=True)
class Created:
    """The record is written, and was not there before."""


@dataclass(frozen=True, slots=True)
class Taken:
    """There is a record of this name already."""


@dataclass(frozen=True, slots=True)
class Found:
    """What the store holds under the path."""

    raw: bytes


@dataclass(frozen=True, slots=True)
class Absent:
    """The store holds nothing under the path."""


@dataclass(frozen=True, slots=True)
class Listed:
    """The lowest and the highest sequence that there is; 0 where there is none."""

    first: int
    last: int


Answer = Created | Taken | Found | Absent | Listed


class Outcome(StrEnum):
    """What became of the wanted events, and what was found on the way; of several the last in this order."""

    UNCHANGED = "Unchanged"
    APPENDED = "Appended"
    ADOPTED = "Adopted"
    RECOVERED = "Recovered"
    FORKED = "Forked"
    STUCK = "Stuck"


MEANING = {
    Outcome.UNCHANGED: "nothing was wanted, and nothing is in the store that the status does not know",
    Outcome.APPENDED: "the wanted events are recorded",
    Outcome.ADOPTED: "some of them were in the store already: their writer ended before it could tell",
    Outcome.RECOVERED: "the store held other records after the head as well: they are kept, and `Recovered` says so",
    Outcome.FORKED: "the head is not in the store's chain, or what comes after it does not follow: `Forked` says so",
    Outcome.STUCK: "the store contradicts itself, or has no name left: all is as before, and is tried again",
}
"""What each outcome tells, in a line; docs/journal.md shows it."""


@dataclass(frozen=True, slots=True)
class Done:
    """It is over. `head` goes into the status, and `left`, what is still to be recorded, in place of what was wanted.

    That is one write, and only to the status from which the writer began, by its resourceVersion: what came into it
    meanwhile may be among what the writer found. Where it is another one, the writer begins anew. `message` is for
    people, empty where nothing needs to be said. `written` and `adopted` count the wanted events.
    """

    head: Head
    outcome: Outcome
    message: str
    written: int
    adopted: int
    left: tuple[Event, ...]
