"""What an agent's status says of its journal, and what is noted there before it is recorded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from aiagent_operator.core.journal import pending, stored
from aiagent_operator.core.journal.event import Event
from aiagent_operator.core.journal.head import START, Head
from aiagent_operator.core.journal.pending import NOTHING, Note, Pending


@dataclass(frozen=True, slots=True)
class Book:
    """The journal as the status has it. `store` is where it began, empty where it has no record yet.

    `closed`: its last event is noted. `evaluated`: marks of the evaluations whose verdicts are told.
    """

    head: Head = START
    waiting: Pending = NOTHING
    store: str = ""
    closed: bool = False
    evaluated: tuple[str, ...] = ()

    @property
    def told(self) -> int:
        """How many events are recorded or noted: what the causes of the next ones begin with."""
        return self.head.sequence + len(self.waiting.events)

    def noted(self, events: Iterable[Event]) -> Book | None:
        """The journal with all of the events noted; None where they find no room together.

        Then none of them is, and nothing of them may be said elsewhere: what differs between two statuses is what makes
        them, so as long as the status stays as it was they are found again, with the same causes.
        """
        waiting = self.waiting
        for event in events:
            found = pending.note(waiting, event)
            if found.note is Note.FULL:
                return None
            waiting = found.pending
        return replace(self, waiting=waiting)

    def fields(self) -> dict[str, Any]:
        """What stands in `status.journal`."""
        found = stored.write(self.head, self.waiting)
        if self.store:
            found["store"] = self.store
        if self.closed:
            found["closed"] = True
        if self.evaluated:
            found["evaluated"] = list(self.evaluated)
        return found


def read(status: Mapping[str, Any]) -> Book:
    """The journal that a status tells of. Raises StoredError: then nothing is to be written to it."""
    found = status.get("journal")
    head, waiting = stored.read(found)
    fields: Mapping[str, Any] = found or {}
    evaluated = tuple(map(str, fields.get("evaluated") or ()))
    return Book(head, waiting, str(fields.get("store") or ""), fields.get("closed") is True, evaluated)
