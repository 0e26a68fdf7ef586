"""Tells the journals of agents: events are noted in the agent's status, then recorded in its archive store.

What a status says and the events that follow from it are one write, on the very version from which it was decided. So
nothing is told that no status says, and each event is told once: what was noted is recorded under a name that is given
once, whoever is cut off in between. A moment later the status says that it is recorded; where the store is not to be
had, once it is back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from aiagent_operator.api.conditions import Reason, Type, Verdict
from aiagent_operator.core.journal import book, evaluated, happened
from aiagent_operator.core.journal.book import Book
from aiagent_operator.core.journal.event import Event
from aiagent_operator.core.journal.happened import Turn
from aiagent_operator.core.journal.place import choose
from aiagent_operator.core.journal.stored import StoredError
from aiagent_operator.core.plan import Room
from aiagent_operator.runtime import metrics
from aiagent_operator.runtime.agentrecord import AgentRecord
from aiagent_operator.runtime.archive.keeper import Archive, Keeper
from aiagent_operator.runtime.queue import WorkQueue
from aiagent_operator.runtime.recording import Recorder, Step
from aiagent_operator.runtime.store import AgentKey, Key, Store

Status = Mapping[str, Any]


class NoRoomError(Exception):
    """What is about to be done cannot be noted; the message says why."""


@dataclass(frozen=True, slots=True)
class Told:
    """What goes into the status. `journal`: the field, None where it stays as it is. `verdict`: what keeps the journal
    behind. `held`: events found no room, so of what makes them nothing may be said yet. `waits`: events are noted that
    are not recorded yet. `finding`: reason and message of an Event.
    """

    journal: Mapping[str, Any] | None = None
    verdict: Verdict | None = None
    held: bool = False
    waits: bool = False
    finding: tuple[str, str] | None = None


class Journal:
    """The journals of all agents. One event loop uses it."""

    def __init__(self, store: Store, queue: WorkQueue[Key]) -> None:
        self._store = store
        self.archive: Archive | None = None
        self.recorder = Recorder(store, queue)
        # Of each agent whose events wait, the store for which they do.
        self._waiting: dict[AgentKey, str] = {}
        # Read at each scrape, in another thread: a length only.
        metrics.JOURNAL_WAITING.set_function(lambda: len(self._waiting))

    def restored(self, store: str) -> None:
        """The store takes records again: those whose events wait for it are looked at."""
        # Of one that has not begun it is not known where it will be.
        self.recorder.restored([key for key, name in self._waiting.items() if name in ("", store)])

    def forget(self, key: AgentKey) -> None:
        """The agent is gone."""
        self.recorder.forget(key)
        self._waiting.pop(key, None)

    def room(self, status: Status) -> Room | None:
        """Whether an event can be noted; None where no journal is kept."""
        if self.archive is None:
            return None
        try:
            return Room(book.read(status).waiting.room)
        except StoredError:
            return Room(False)

    def noted(
        self, key: AgentKey, record: AgentRecord, old: Status, new: Status, *, snapshot: Status | None = None
    ) -> Mapping[str, Any] | None:
        """The field `journal` with what differs between two statuses noted, before it is done; None where no journal is
        kept. `snapshot`: what was captured, where that ends. Asks no store. Raises NoRoomError: then it may not be
        done."""
        if self.archive is None:
            return None
        try:
            known = book.read(old)
        except StoredError as error:
            raise NoRoomError(str(error)) from error
        turn = replace(self._turn(key, record, known, old, new), snapshot=snapshot)
        found = self._noted(record, known, turn, happened.events(turn))
        if found is None:
            raise NoRoomError("its events wait for the archive store, and there is no room for more (JournalBehind)")
        self._waits(key, found)
        return found.fields()

    async def tell(self, key: AgentKey, record: AgentRecord, old: Status, new: Status, *, end: bool = False) -> Told:
        """Notes what differs between two statuses, and has recorded what was noted before.

        `end`: what differs is the last that there is to tell.
        """
        if self.archive is None:
            return Told()
        try:
            known = book.read(old)
        except StoredError as error:
            return Told(None, Verdict(Type.JOURNAL_BEHIND, True, Reason.JOURNAL_UNREADABLE, str(error)), held=True)
        turn = self._turn(key, record, known, old, new)
        events: tuple[Event, ...] = ()
        if not known.closed:
            events = happened.ended(turn) if end else happened.events(turn)
        if not events and not known.waiting.events and not self.recorder.suspects(key):
            # What was to be noted by a write that came to nothing may be undone by now.
            self._waits(key, known)
            return Told()
        step = await self.recorder.recorded(self.archive, key, record, known, wanted=not events)
        found = self._noted(record, step.book, turn, events)
        verdict = self._verdict(step, found)
        if found is None:
            return Told(None, verdict, held=True, waits=True)
        if end:
            found = replace(found, closed=True)
        if not step.theirs:
            self._waits(key, found)
        journal = found.fields() if found != known else None
        return Told(journal, verdict, waits=bool(found.waiting.events), finding=step.finding)

    def keeper(self, key: AgentKey, record: AgentRecord) -> Keeper | str:
        """The store in which the agent's journal is, or will begin; else why there is none, and what to do about it.

        Raises StoredError for a status that cannot be read.
        """
        if self.archive is None:
            return "there is no archive store (value archive.enabled)"
        known = book.read(record.load().get("status") or {})
        demanded = self._store.demands(key, record).stores
        place = choose(known.store, demanded, self.archive.default, self.archive.keepers)
        return self.archive.keepers.get(place.store) or place.problem

    def _verdict(self, step: Step, found: Book | None) -> Verdict | None:
        if not step.problem and found is not None:
            return None
        events = len((found or step.book).waiting.events)
        text = f"{step.problem}. " if step.problem else ""
        text += (
            f"{'1 event waits' if events == 1 else f'{events} events wait'} in status.journal.pending, in their order"
        )
        if found is None or not found.waiting.room:
            text += "; there is no room for more, so no right is given and no revision takes over meanwhile"
        reason = step.reason if step.problem else Reason.STORE_UNAVAILABLE
        return Verdict(Type.JOURNAL_BEHIND, True, reason, text)

    def _turn(self, key: AgentKey, record: AgentRecord, known: Book, old: Status, new: Status) -> Turn:
        orders = self._store.orders.over(key.namespace, key.name, dict(record.labels))
        children = self._store.children(record.uid).values()
        return Turn(
            # Of an agent whose journal begins now, what holds already is told too.
            old if known.told else {},
            new,
            known.told,
            datetime.now(UTC),
            key.namespace,
            tuple(order.uid for order in orders),
            {child.revision.number: child.revision for child in children if child.revision},
            evaluated.fresh(children, known.evaluated),
        )

    def _noted(self, record: AgentRecord, known: Book, turn: Turn, events: tuple[Event, ...]) -> Book | None:
        found = known.noted(events)
        if found is None or not turn.evaluations:
            return found
        children = self._store.children(record.uid).values()
        return replace(found, evaluated=evaluated.marks(children, known.evaluated, turn.evaluations))

    def _waits(self, key: AgentKey, found: Book) -> None:
        if found.waiting.events:
            self._waiting[key] = found.store
        else:
            self._waiting.pop(key, None)
