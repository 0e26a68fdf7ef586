"""Events that wait for the store, in the agent's status: bounded, and what follows when it is full.

Each event is noted before what it tells is done, and recorded later. When there is no room for another one, nothing
that gives the agent something may go on, so nothing goes unrecorded. What takes something away may still be noted, in a
reserve. Where that is full too, it is done all the same: rights never outlive their end because a store is down, and
since the cause of an event is in what is stored, it is noted as soon as there is room.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import orjson

from aiagent_operator.api.journalstatus import MOST_WAITING
from aiagent_operator.core.journal import data
from aiagent_operator.core.journal.event import LONGEST_CAUSE, Event, canonical, check, moment
from aiagent_operator.core.journal.kinds import RESERVED

MOST: Final = MOST_WAITING
MOST_BYTES: Final = 524_288
"""Bytes of all entries as JSON; an object of the API may have 1.5 MB in all (etcd, request size limit)."""

RESERVE: Final = 48
RESERVE_BYTES: Final = 65_536

LARGEST: Final = 2 * data.MOST_BYTES + LONGEST_CAUSE + 256
"""Bytes of one entry at most: its data is a string, in which quotes are escaped."""


@dataclass(frozen=True, slots=True)
class Pending:
    """Events that are not recorded yet, in their order."""

    events: tuple[Event, ...] = ()

    @property
    def room(self) -> bool:
        """Whether any event still finds room outside of the reserve. False: nothing that grants may go on."""
        return len(self.events) < MOST - RESERVE and size(self.events) + LARGEST <= MOST_BYTES - RESERVE_BYTES


NOTHING: Final = Pending()
"""No event waits."""


class Note(StrEnum):
    """What became of an event that was to be noted."""

    NOTED = "Noted"
    KNOWN = "Known"
    FULL = "Full"


@dataclass(frozen=True, slots=True)
class Noted:
    """The events that wait now, and whether the new one is among them."""

    pending: Pending
    note: Note


def note(pending: Pending, event: Event) -> Noted:
    """The event after those that wait already; one with its kind and cause is not noted twice.

    Full where it finds no room: then what it tells may not be done, unless it takes something away from the agent.
    Raises EventError for an event that no record can tell.
    """
    check(event)
    if any(event.key == known.key for known in pending.events):
        return Noted(pending, Note.KNOWN)
    more = (*pending.events, event)
    reserved = event.kind in RESERVED
    most, most_bytes = (MOST, MOST_BYTES) if reserved else (MOST - RESERVE, MOST_BYTES - RESERVE_BYTES)
    if len(more) > most or size(more) > most_bytes:
        return Noted(pending, Note.FULL)
    return Noted(Pending(more), Note.NOTED)


def written(event: Event) -> dict[str, str]:
    """An event as it stands in the status, its data as one canonical string, which no API server reads."""
    return {
        "kind": event.kind.value,
        "cause": event.cause,
        "time": moment(event.time),
        "data": canonical(event.data),
    }


def size(events: Iterable[Event]) -> int:
    """Bytes of the events as they stand in the status."""
    return sum(len(orjson.dumps(written(event))) for event in events)
