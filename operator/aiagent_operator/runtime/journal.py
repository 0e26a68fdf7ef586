"""Tells the journals of agents: events are noted in the agent's status, then recorded in its archive store.

What a status says and the events that follow from it are one write, on the very version from which it was decided. So
nothing is told that no status says, and each event is told once: what was noted is recorded under a name that is given
once, whoever is cut off in between. A moment later the status says that it is recorded; where the store is not to be
had, once it is back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from aiagent_operator.api.agentrevision import RevisionState
from aiagent_operator.api.conditions import Reason, Type, Verdict
from aiagent_operator.core.journal import book, evaluated, happened
from aiagent_operator.core.journal.asking import Done, Outcome
from aiagent_operator.core.journal.book import Book
from aiagent_operator.core.journal.event import Event
from aiagent_operator.core.journal.happened import Turn
from aiagent_operator.core.journal.head import Head
from aiagent_operator.core.journal.pending import NOTHING
from aiagent_operator.core.journal.place import choose
from aiagent_operator.core.journal.recorded import orders, records
from aiagent_operator.core.journal.stored import StoredError
from aiagent_operator.core.objects import AgentIdentity, ObjectKey
from aiagent_operator.core.plan import Room
from aiagent_operator.runtime import metrics
from aiagent_operator.runtime.agentrecord import AgentRecord
from aiagent_operator.runtime.archive import errors
from aiagent_operator.runtime.archive.errors import DisputedError, StoreError
from aiagent_operator.runtime.archive.keeper import Archive, Keeper
from aiagent_operator.runtime.archive.records import settle
from aiagent_operator.runtime.archive.store import Store as ArchiveStore
from aiagent_operator.runtime.queue import WorkQueue
from aiagent_operator.runtime.store import AgentKey, JournalKey, Key, Store

log = logging.getLogger(__name__)

_PATIENCE: Final = 15.0
"""Seconds that the records of one pass may take: a store that hangs must not hold up the agents for longer."""

_MANY: Final = 32
"""Events that wait, from which on they are recorded though more are just being noted."""

_FOUND: Final = (Outcome.RECOVERED, Outcome.FORKED, Outcome.STUCK)

Status = Mapping[str, Any]


Keep = Callable[[ArchiveStore, AgentIdentity, Iterable[ObjectKey], Iterable[str]], Awaitable[None]]


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


@dataclass(frozen=True, slots=True)
class _Step:
    """A journal after what was noted went into the store, or why it did not."""

    book: Book
    reason: Reason = Reason.ACCEPTED
    problem: str = ""
    finding: tuple[str, str] | None = None
    theirs: bool = False
    """Somebody else was at it, and this is how it was before."""


class Journal:
    """The journals of all agents. One event loop uses it."""

    def __init__(self, store: Store, queue: WorkQueue[Key]) -> None:
        self._store, self._queue = store, queue
        self.archive: Archive | None = None
        # Keeps records where they outlive the agent.
        self.keep: Keep | None = None
        # Of each agent its UID, and the last record that this process has read or written.
        self._seen: dict[AgentKey, tuple[str, Head]] = {}
        self._waiting: dict[AgentKey, str] = {}
        self._failures: dict[AgentKey, int] = {}
        # Agents of whose journals the store seems to know more, and agents whose journal somebody is at.
        self._suspected: set[AgentKey] = set()
        self._under_way: dict[AgentKey, asyncio.Event] = {}
        # Read at each scrape, in another thread: a length only.
        metrics.JOURNAL_WAITING.set_function(lambda: len(self._waiting))

    def restored(self, store: str) -> None:
        """The store takes records again: those whose events wait for it are looked at.

        Not those that have failed several times: what is wrong with one journal must not have its store asked all day.
        """
        for key, name in list(self._waiting.items()):
            # Of one that has not begun it is not known where it will be.
            if name in ("", store) and self._failures.get(key, 0) <= 1:
                self._queue.add(key)
        for key in self._suspected:
            self._queue.add(JournalKey(*key))

    def suspect(self, key: AgentKey) -> None:
        """The store seems to have records that the agent's status does not tell: settle, though no event waits."""
        self._suspected.add(key)
        self._queue.add(JournalKey(*key))

    def forget(self, key: AgentKey) -> None:
        """The agent is gone."""
        self._suspected.discard(key)
        self._seen.pop(key, None)
        self._failures.pop(key, None)
        self._waiting.pop(key, None)

    def room(self, status: Status) -> Room | None:
        """Whether an event can be noted; None where no journal is kept."""
        if self.archive is None:
            return None
        try:
            return Room(book.read(status).waiting.room)
        except StoredError:
            return Room(False)

    def noted(self, key: AgentKey, record: AgentRecord, old: Status, new: Status) -> Mapping[str, Any] | None:
        """The field `journal` with what differs between two statuses noted, before it is done; None where no journal is
        kept. Asks no store. Raises NoRoomError: then it may not be done."""
        if self.archive is None:
            return None
        try:
            known = book.read(old)
        except StoredError as error:
            raise NoRoomError(str(error)) from error
        turn = self._turn(key, record, known, old, new)
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
        if not events and not known.waiting.events and key not in self._suspected:
            # What was to be noted by a write that came to nothing may be undone by now.
            self._waits(key, known)
            return Told()
        step = await self._recorded(self.archive, key, record, known, wanted=not events)
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

    async def _recorded(
        self, archive: Archive, key: AgentKey, record: AgentRecord, known: Book, *, wanted: bool
    ) -> _Step:
        """Has what waits recorded where that is wanted, or there is much of it: a status that changes again in a
        moment is written again anyway."""
        place = choose(known.store, self._store.demands(key, record).stores, archive.default, archive.keepers)
        keeper = archive.keepers.get(place.store)
        looking = wanted and not known.waiting.events
        if keeper is None:
            return _Step(known, place.reason, place.problem)
        if not keeper.usable:
            return _away(known, keeper, looking=looking)
        if not wanted and len(known.waiting.events) < _MANY:
            return _Step(known)
        if (other := self._under_way.get(key)) is not None:
            # Two at once would take each other's records for a stranger's. Whoever is at it says what comes of it, and
            # this status is not the last one then.
            await other.wait()
            return _Step(known, theirs=True)
        try:
            done = await self._settled(key, keeper, record.uid, known.waiting.events, known.head)
        except DisputedError as error:
            self._look_again(key)
            return _Step(known, Reason.JOURNAL_STUCK, str(error))
        except StoreError as error:
            keeper.failed(error)
            # Should the proof find nothing wrong, it is about this journal alone.
            self._look_again(key)
            return _away(known, keeper, looking=looking)
        if done.outcome is Outcome.STUCK:
            self._look_again(key)
            return _Step(known, Reason.JOURNAL_STUCK, done.message)
        self._failures.pop(key, None)
        self._suspected.discard(key)
        self._seen[key] = (record.uid, done.head)
        return _Step(replace(known, head=done.head, waiting=NOTHING, store=keeper.name), finding=_finding(done))

    def _verdict(self, step: _Step, found: Book | None) -> Verdict | None:
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

    async def _settled(self, key: AgentKey, keeper: Keeper, uid: str, wanted: tuple[Event, ...], told: Head) -> Done:
        mine = self._under_way[key] = asyncio.Event()
        # Without an event it is about what the store has: then that is read.
        confirmed = self._seen.pop(key, None) == (uid, told) and told.sequence > 0 and bool(wanted)
        try:
            async with asyncio.timeout(_PATIENCE):
                agent = AgentIdentity(*key, uid)
                made, named = records(agent, wanted, self._training(uid)), orders(each.data for each in wanted)
                if self.keep is not None and (made or named):
                    await self.keep(keeper.store, agent, made, named)
                done = await settle(keeper.store, agent, told, wanted, datetime.now(UTC), confirmed=confirmed)
        except TimeoutError as error:
            what = f"its records were not written within {_PATIENCE:.0f} s"
            raise StoreError(errors.Kind.TIMED_OUT, keeper.name, "", what, "see why the store is slow") from error
        finally:
            del self._under_way[key]
            mine.set()
        metrics.JOURNAL_EVENTS_TOTAL.labels("Written").inc(done.written)
        metrics.JOURNAL_EVENTS_TOTAL.labels("Adopted").inc(done.adopted)
        if done.outcome in _FOUND:
            metrics.JOURNAL_FOUND_TOTAL.labels(done.outcome.value).inc()
            log.warning("%s", done.message)
        return done

    def _training(self, uid: str) -> frozenset[int]:
        facts = (child.revision for child in self._store.children(uid).values() if child.revision)
        return frozenset(fact.number for fact in facts if fact.state is RevisionState.TRAINING)

    def _look_again(self, key: AgentKey) -> None:
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        self._queue.add_after(key, errors.pause(errors.Kind.UNREACHABLE, failures) or 0.0)

    def _waits(self, key: AgentKey, found: Book) -> None:
        if found.waiting.events:
            self._waiting[key] = found.store
        else:
            self._waiting.pop(key, None)


def _away(known: Book, keeper: Keeper, *, looking: bool) -> _Step:
    """The store is not to be had; `looking`: nothing waits for it."""
    return _Step(known) if looking else _Step(known, Reason.STORE_UNAVAILABLE, keeper.problem)


def _finding(done: Done) -> tuple[str, str] | None:
    return (f"Journal{done.outcome.value}", done.message) if done.outcome in _FOUND else None
