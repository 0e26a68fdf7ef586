"""Has noted events recorded in archive stores: one writer per journal, and what is to be done where a store fails."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from aiagent_operator.api.agentrevision import RevisionState
from aiagent_operator.api.conditions import Reason
from aiagent_operator.core.journal.asking import Done, Outcome
from aiagent_operator.core.journal.book import Book
from aiagent_operator.core.journal.event import Event
from aiagent_operator.core.journal.head import Head
from aiagent_operator.core.journal.pending import NOTHING
from aiagent_operator.core.journal.place import choose
from aiagent_operator.core.journal.recorded import orders, records
from aiagent_operator.core.objects import AgentIdentity, ObjectKey
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
for _outcome in _FOUND:
    # A series that begins with its first 1 has not grown, and nobody would be told of it.
    metrics.JOURNAL_FOUND_TOTAL.labels(_outcome.value)

Keep = Callable[[ArchiveStore, AgentIdentity, Iterable[ObjectKey], Iterable[str]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Step:
    """A journal after what was noted went into the store, or why it did not."""

    book: Book
    reason: Reason = Reason.ACCEPTED
    problem: str = ""
    finding: tuple[str, str] | None = None
    theirs: bool = False
    """Somebody else was at it, and this is how it was before."""


class Recorder:
    """Records the events of all agents. One event loop uses it."""

    def __init__(self, store: Store, queue: WorkQueue[Key]) -> None:
        self._store, self._queue = store, queue
        # Keeps records where they outlive the agent.
        self.keep: Keep | None = None
        # Of each agent its UID, and the last record that this process has read or written.
        self._seen: dict[AgentKey, tuple[str, Head]] = {}
        self._failures: dict[AgentKey, int] = {}
        # Agents of whose journals the store seems to know more, and agents whose journal somebody is at.
        self._suspected: set[AgentKey] = set()
        self._under_way: dict[AgentKey, asyncio.Event] = {}

    def restored(self, waiting: Iterable[AgentKey]) -> None:
        """A store takes records again, for which these agents wait: they are looked at, and those that are suspected.

        Not those that have failed several times: what is wrong with one journal must not have its store asked all day.
        """
        for key in waiting:
            if self._failures.get(key, 0) <= 1:
                self._queue.add(key)
        for key in self._suspected:
            self._queue.add(JournalKey(*key))

    def suspect(self, key: AgentKey) -> None:
        """The store seems to have records that the agent's status does not tell: settle, though no event waits."""
        self._suspected.add(key)
        self._queue.add(JournalKey(*key))

    def suspects(self, key: AgentKey) -> bool:
        """Whether it is to be settled, though no event waits."""
        return key in self._suspected

    def forget(self, key: AgentKey) -> None:
        """The agent is gone."""
        self._suspected.discard(key)
        self._seen.pop(key, None)
        self._failures.pop(key, None)

    async def recorded(
        self, archive: Archive, key: AgentKey, record: AgentRecord, known: Book, *, wanted: bool
    ) -> Step:
        """Has what waits recorded where that is wanted, or there is much of it: a status that changes again in a
        moment is written again anyway."""
        place = choose(known.store, self._store.demands(key, record).stores, archive.default, archive.keepers)
        keeper = archive.keepers.get(place.store)
        looking = wanted and not known.waiting.events
        if keeper is None:
            return Step(known, place.reason, place.problem)
        if not keeper.usable:
            return _away(known, keeper, looking=looking)
        if not wanted and len(known.waiting.events) < _MANY:
            return Step(known)
        if (other := self._under_way.get(key)) is not None:
            # Two at once would take each other's records for a stranger's. Whoever is at it says what comes of it, and
            # this status is not the last one then.
            await other.wait()
            return Step(known, theirs=True)
        try:
            done = await self._settled(key, keeper, record.uid, known.waiting.events, known.head)
        except DisputedError as error:
            self._look_again(key)
            return Step(known, Reason.JOURNAL_STUCK, str(error))
        except StoreError as error:
            keeper.failed(error)
            # Should the proof find nothing wrong, it is about this journal alone.
            self._look_again(key)
            return _away(known, keeper, looking=looking)
        if done.outcome is Outcome.STUCK:
            self._look_again(key)
            return Step(known, Reason.JOURNAL_STUCK, done.message)
        self._failures.pop(key, None)
        self._suspected.discard(key)
        self._seen[key] = (record.uid, done.head)
        return Step(replace(known, head=done.head, waiting=NOTHING, store=keeper.name), finding=_finding(done))

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


def _away(known: Book, keeper: Keeper, *, looking: bool) -> Step:
    """The store is not to be had; `looking`: nothing waits for it."""
    return Step(known) if looking else Step(known, Reason.STORE_UNAVAILABLE, keeper.problem)


def _finding(done: Done) -> tuple[str, str] | None:
    return (f"Journal{done.outcome.value}", done.message) if done.outcome in _FOUND else None
