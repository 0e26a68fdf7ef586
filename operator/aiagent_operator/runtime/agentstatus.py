"""Says in an agent's status what is true of it, and in its journal what has happened to it: one write for both."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiagent_operator.api.agentstatus import Phase
from aiagent_operator.api.conditions import Reason, Type, Verdict
from aiagent_operator.api.objectmeta import ObjectMeta
from aiagent_operator.core.objects import Manifest
from aiagent_operator.core.plan import Plan
from aiagent_operator.runtime import paths, report
from aiagent_operator.runtime.agentrecord import AgentRecord
from aiagent_operator.runtime.client import Api
from aiagent_operator.runtime.gather import NotYetSeenError
from aiagent_operator.runtime.journal import Journal, NoRoomError, Told
from aiagent_operator.runtime.queue import WorkQueue
from aiagent_operator.runtime.slots import Slots
from aiagent_operator.runtime.store import AgentKey, JournalKey, Key, Store

log = logging.getLogger(__name__)

# Seconds after which an agent is looked at again that somebody else has written meanwhile; a watch tells sooner.
_CONFLICT_AGAIN: Final = 0.5
# Seconds after which events are recorded that were noted: until then more come, and all go together, which saves writes
# of the status. Of an agent that is still being brought to what its spec says more come soon; those of one that leaves
# mostly go with its end.
_RECORDED_AFTER: Final = 1.0
_RECORDED_MOVING: Final = 5.0
_RECORDED_LEAVING: Final = 20.0
# Fields that are written only to the status from which they were decided.
_VERSIONED: Final = frozenset({"journal", "archive"})
# Seconds after which the end of a journal is tried again; sooner where the archive store is back.
_END_AGAIN: Final = 30.0


@dataclass(frozen=True, slots=True)
class Ended:
    """A journal that is told to its end, and recorded: `journal` as the status is to tell it, `before` as it does."""

    metadata: ObjectMeta
    journal: Mapping[str, Any] | None
    before: Mapping[str, Any] | None

    def unsaid(self, status: Mapping[str, Any]) -> dict[str, Any]:
        """The patch by which this status tells it. Raises NotYetSeenError where it has become another journal."""
        if self.journal is None or status.get("journal") == self.journal:
            return {}
        if status.get("journal") != self.before:
            raise NotYetSeenError("its journal has changed while it was archived")
        return report.differences(status, {"journal": self.journal})


class AgentStatusWriter:
    """Writes the statuses of agents."""

    def __init__(self, api: Api, store: Store, queue: WorkQueue[Key], slots: Slots, journal: Journal) -> None:
        self._api, self._store, self._queue, self._slots = api, store, queue, slots
        self.journal = journal

    async def first(
        self,
        key: AgentKey,
        record: AgentRecord,
        old: Mapping[str, Any],
        fields: Mapping[str, object],
        *,
        snapshot: Mapping[str, Any] | None = None,
    ) -> bool:
        """Writes what the status must say before anything else is written; False where it says so already.

        `snapshot`: what the journal tells of all that is captured, where the fields say that it is.

        Raises NotYetSeenError where it cannot: then nothing else may be written.
        """
        if not report.differences(old, fields):
            return False
        try:
            journal = self.journal.noted(key, record, old, {**old, **fields}, snapshot=snapshot)
        except NoRoomError as error:
            await self.record(key)
            raise NotYetSeenError(f"AIAgent {key.namespace}/{key.name}: nothing is written: {error}") from error
        told = {} if journal is None else {"journal": journal}
        if await self.write(key, record, report.differences(old, {**fields, **told})) is None:
            raise NotYetSeenError(f"AIAgent {key.namespace}/{key.name} has changed while it was decided about")
        return True

    async def give_up(self, key: AgentKey, record: AgentRecord, archive: Mapping[str, Any]) -> None:
        """Says in the status that the agent is abandoned, and in its journal where that has room.

        Raises NotYetSeenError where the status is another one by now: then nothing else may be done.
        """
        old = record.load().get("status") or {}
        fields: dict[str, Any] = {"archive": archive}
        try:
            journal = self.journal.noted(key, record, old, {**old, **fields})
        except NoRoomError as error:
            log.warning("AIAgent %s/%s: its end is not told in its journal: %s", key.namespace, key.name, error)
            journal = None
        if journal is not None:
            fields["journal"] = journal
        if await self.write(key, record, report.differences(old, fields)) is None:
            raise NotYetSeenError(f"AIAgent {key.namespace}/{key.name} has changed while it was decided about")

    async def record(self, key: AgentKey) -> None:
        """Has recorded what is noted in the status, or says why it waits, without a pass over the agent."""
        record = self._store.agents.get(key)
        if record is None:
            self.journal.forget(key)
            return
        raw = record.load()
        old = raw.get("status") or {}
        told = await self.journal.tell(key, record, old, old)
        patch = report.differences(old, {} if told.journal is None else {"journal": told.journal})
        if told.verdict:
            patch |= report.beside(old, told.verdict, raw["metadata"].get("generation", 0))
        elif any(c["type"] == Type.JOURNAL_BEHIND.value for c in old.get("conditions") or ()):
            # It is not behind any more, and only a pass knows which conditions there are beside.
            self._queue.add(key)
        if patch and await self.write(key, record, patch) is not None:
            await self._said(key, record, old, (told.verdict,) if told.verdict else (), told)
        if key not in self._store.agents:
            # It has gone meanwhile, and what was remembered of it then.
            self.journal.forget(key)

    async def report(self, key: AgentKey, record: AgentRecord, plan: Plan, *, wrote: bool = False) -> None:
        """What is true after a pass that has nothing left to write; of what it has begun where it `wrote`, only once
        that has not ended in time."""
        if wrote and plan.patience:
            self._queue.add_after(key, plan.patience)
            return
        if not plan.verdicts:
            return
        current = self._store.agents.get(key)
        if current is None or current.uid != record.uid:
            return
        await self._write(key, current, current.load(), plan.status, plan.verdicts)

    async def invalid(self, key: AgentKey, record: AgentRecord, text: str) -> None:
        """Its spec is not one that this version understands; the text says where."""
        verdicts = (
            Verdict(Type.READY, False, Reason.INVALID_SPEC, text),
            Verdict(Type.STALLED, True, Reason.INVALID_SPEC, text),
        )
        await self._write(key, record, record.load(), {}, verdicts)

    async def end(
        self,
        key: AgentKey,
        record: AgentRecord,
        known: ObjectMeta,
        *,
        first: Mapping[str, Any] | None = None,
        hint: str = "",
        later: bool = False,
    ) -> Ended | None:
        """Has the journal told to its end, with all rights that are proved to be gone; None where that has to wait,
        which the status says then, and `hint` with it.

        First it is noted, with the fields `first`, then recorded: the agent may go once nothing waits any more. With
        `later` it is left to the caller's next write to say that all is recorded.
        """
        last = {**(first or {}), "permissions": [], "phase": Phase.OFFBOARDING.value}
        current, metadata = record, known
        while True:
            # Somebody else may have recorded its events meanwhile.
            newest = self._store.agents.get(key)
            current = newest if newest is not None and newest.uid == record.uid else current
            old = current.load().get("status") or {}
            told = await self.journal.tell(key, current, old, {**old, **last}, end=True)
            fields: dict[str, Any] = {} if told.held or told.journal is None else {**last, "journal": told.journal}
            patch = report.differences(old, fields or ({} if told.held else (first or {})))
            if later and patch.keys() == {"journal"} and not told.waits and not told.verdict:
                return Ended(metadata, fields["journal"], old.get("journal"))
            if told.verdict:
                patch |= report.withheld({**old, **fields}, self._waiting(told.verdict, hint), known.generation)
            if patch:
                answer = await self.write(key, current, patch)
                found = self._store.agents.get(key)
                if answer is None or found is None:
                    return None
                current, metadata = found, ObjectMeta.model_validate(answer["metadata"])
            if told.verdict:
                self._queue.add_after(key, _END_AGAIN)
                return None
            if not told.waits:
                journal = (current.load().get("status") or {}).get("journal")
                return Ended(metadata, journal, journal)

    async def waits(self, key: AgentKey, uid: str, verdicts: tuple[Verdict, ...], ended: Ended | None = None) -> None:
        """Says for what an agent that leaves waits, where its journal has `ended`, and nothing else that this would
        tell."""
        record = self._store.agents.get(key)
        if record is None or record.uid != uid:
            return
        raw = record.load()
        status = raw.get("status") or {}
        patch = report.withheld(status, verdicts, raw["metadata"].get("generation", 0))
        patch |= ended.unsaid(status) if ended else {}
        if patch:
            await self.write(key, record, patch)

    def _waiting(self, why: Verdict, hint: str) -> tuple[Verdict, ...]:
        text = f"Its rights have ended, and its journal waits: {why.message}{f'. {hint}' if hint else ''}"
        ready = Verdict(Type.READY, False, Reason.OFFBOARDING, text)
        return ready, Verdict(Type.RECONCILING, True, Reason.OFFBOARDING, text), why

    async def _write(
        self,
        key: AgentKey,
        record: AgentRecord,
        raw: Manifest,
        fields: Mapping[str, object],
        verdicts: tuple[Verdict, ...],
    ) -> None:
        old, generation = raw.get("status") or {}, raw["metadata"].get("generation", 0)
        wanted = report.wanted(old, fields, verdicts, generation)
        told = await self.journal.tell(key, record, old, report.become(old, wanted))
        if told.verdict:
            verdicts = (*verdicts, told.verdict)
            wanted = report.wanted(old, fields, verdicts, generation)
        if told.journal is not None:
            wanted["journal"] = told.journal
        patch = report.withheld(old, verdicts, generation) if told.held else report.differences(old, wanted)
        if patch and await self.write(key, record, patch) is not None:
            await self._said(key, record, old, verdicts, told)

    async def _said(
        self,
        key: AgentKey,
        record: AgentRecord,
        old: Mapping[str, Any],
        verdicts: tuple[Verdict, ...],
        told: Told,
    ) -> None:
        """What comes after a status is written; not before, or what is noted in it would not be found there."""
        if told.waits and not told.verdict:
            self._queue.add_after(JournalKey(*key), _recorded_after(record, verdicts, told))
        news = [(verdict.reason.value, verdict.message) for verdict in report.worth_an_event(old, verdicts)]
        regarding = {"namespace": key.namespace, "name": key.name, "uid": record.uid}
        for reason, message in (*news, *((told.finding,) if told.finding else ())):
            await report.event(self._api, regarding, kind="AIAgent", reason=reason, message=message)

    async def write(self, key: AgentKey, record: AgentRecord, patch: Mapping[str, object]) -> Manifest | None:
        """The agent afterwards; None where it is another one by now, or its journal or archive was told from an older
        status."""
        version = record.resource_version if patch.keys() & _VERSIONED else None
        async with self._slots.take():
            answer = await report.write(self._api, paths.agent(*key), record.uid, patch, version=version)
        if answer is not None:
            self._store.observe_agent(answer, answer=True)
        elif version is not None:
            self._queue.add_after(key, _CONFLICT_AGAIN)
        return answer


def _recorded_after(record: AgentRecord, verdicts: Iterable[Verdict], told: Told) -> float:
    """Seconds after which what is noted is recorded."""
    if record.leaving and not told.finding:
        return _RECORDED_LEAVING
    moves = any(verdict.type is Type.RECONCILING and verdict.status for verdict in verdicts)
    return _RECORDED_MOVING if moves else _RECORDED_AFTER
