"""Puts on record that an agent was released without an archive.

The agent's status says so first, and its journal where that can be; from then on nothing of it is archived any more.
Then an AgentArchive without a manifest says what is missing and why, which outlives the agent. Whoever is cut off in
between is followed by one who finds what is there.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Final

from aiagent_operator.api.abandonment import RecordedAbandonment
from aiagent_operator.api.archive import JournalHead, LeaveReason, Mode
from aiagent_operator.api.conditions import Reason, Type
from aiagent_operator.core import abandoning
from aiagent_operator.core.archive import contents, index, retention, unarchived
from aiagent_operator.core.archive.layout import Layout
from aiagent_operator.core.archive.manifest import Leaving
from aiagent_operator.core.archive.unarchived import Abandoned
from aiagent_operator.core.archive.upkeep import condition
from aiagent_operator.core.journal import book
from aiagent_operator.core.journal.book import Book
from aiagent_operator.core.journal.stored import StoredError
from aiagent_operator.core.leaving import look
from aiagent_operator.core.objects import Manifest
from aiagent_operator.core.plan import Observed
from aiagent_operator.runtime import leavings, paths, report
from aiagent_operator.runtime.agentrecord import AgentRecord
from aiagent_operator.runtime.agentstatus import AgentStatusWriter
from aiagent_operator.runtime.archive.errors import DisputedError
from aiagent_operator.runtime.client import Api
from aiagent_operator.runtime.gather import NotYetSeenError
from aiagent_operator.runtime.onrecord import on_record
from aiagent_operator.runtime.prove import certify
from aiagent_operator.runtime.store import AgentKey, Store

log = logging.getLogger(__name__)

_UNREADABLE: Final = Book()


class Abandonments:
    """Releases agents without an archive, by order."""

    def __init__(self, api: Api, store: Store, statuses: AgentStatusWriter) -> None:
        self._api, self._store, self._statuses = api, store, statuses

    def silent(self, key: AgentKey, o: Observed) -> str:
        """Why the agent's journal cannot be told to its end, as its status says; empty where it says nothing."""
        status = self._current(key, o).load().get("status") or {}
        return str((condition(status, Type.JOURNAL_BEHIND) or {}).get("message", ""))

    async def note(self, key: AgentKey, o: Observed, why: str) -> bool:
        """Says in the agent's status that it is abandoned, and `why`; False where its archive is on record already.

        Raises DisputedError where an AgentArchive of that name is of somebody else's archive.
        """
        record, order = self._current(key, o), o.abandon
        if order is None:
            raise NotYetSeenError(f"AIAgent {key.namespace}/{key.name}: the order to abandon it has gone")
        status = record.load().get("status") or {}
        archive, name = status.get("archive") or {}, index.name(o.identity)
        there = await self._api.find(paths.archive(name))
        if there is not None:
            digest = (there["spec"].get("manifest") or {}).get("digest")
            verified = condition(there.get("status") or {}, Type.VERIFIED) or {}
            if digest not in (archive.get("manifests") or ()) or verified.get("status") != "True":
                raise DisputedError(f"AgentArchive {name} is there: find out who has made it")
            await self._write(key, record, {**archive, "completed": report.now()})
            return False
        said = abandoning.note(order, datetime.now(UTC), why)
        await self._statuses.give_up(key, record, {**archive, "name": name, "abandoned": said})
        return True

    async def put_on_record(self, key: AgentKey, o: Observed, default: str) -> None:
        """Has an AgentArchive say it, then the agent's status that it may go.

        `default`: name of the store in which it would have been, where nothing of it is in one yet.

        Raises DisputedError where an AgentArchive of that name is of something else, and ApiError.
        """
        ended = await self._statuses.end(key, self._current(key, o), o.agent.metadata)
        if ended is None and not self.silent(key, o):
            raise NotYetSeenError(f"AIAgent {key.namespace}/{key.name} has changed while it was abandoned")
        record = self._current(key, o)
        raw = record.load()
        known = _book(raw["status"])
        order = RecordedAbandonment.model_validate(
            {**raw["status"]["archive"]["abandoned"], "unrecorded": len(known.waiting.events) or None}
        )
        what = Abandoned(
            order,
            _leaving(raw, o, known),
            retention.decide(leavings.claims(raw, o), order.time),
            abandoning.gaps(raw, terminating=o.terminating),
        )
        name, where = index.name(o.identity), Layout(o.identity.uid, index.name(o.identity))
        body = unarchived.build(name, what, store=known.store or default, path=where.prefix)
        status = unarchived.status(order, datetime.now(UTC))
        self._store.archives.observe(await on_record(self._api, body, status))
        text = next(c["message"] for c in status["conditions"] if c["type"] == Type.READY.value)
        log.warning("AIAgent %s/%s (%s): %s", key.namespace, key.name, record.uid, text)
        agent = {"namespace": key.namespace, "name": key.name, "uid": record.uid}
        # Events about what is in no namespace stand in one that stays.
        about = {"name": name, "uid": self._store.archives.records[name].uid}
        await report.event(self._api, agent, kind="AIAgent", reason=Reason.ABANDONED.value, message=text)
        await report.event(self._api, about, kind="AgentArchive", reason=Reason.ABANDONED.value, message=text)
        await self._write(key, record, {**raw["status"]["archive"], "completed": report.now()})
        if o.proof is not None:
            await certify(self._api, o, o.proof)

    async def _write(self, key: AgentKey, record: AgentRecord, archive: Manifest) -> None:
        if await self._statuses.write(key, record, {"archive": archive}) is None:
            raise NotYetSeenError(f"AIAgent {key.namespace}/{key.name} has changed while it was abandoned")

    def _current(self, key: AgentKey, o: Observed) -> AgentRecord:
        record = self._store.agents.get(key)
        if record is None or record.uid != o.identity.uid:
            raise NotYetSeenError(f"AIAgent {key.namespace}/{key.name} has gone while it was abandoned")
        return record


def _book(status: Manifest) -> Book:
    try:
        return book.read(status)
    except StoredError:
        # It is said why, and the agent may go all the same: what stands there cannot be told of.
        return _UNREADABLE


def _leaving(raw: Manifest, o: Observed, known: Book) -> Leaving:
    how = look(o)
    reason, mode = (how.reason, how.mode) if how else (LeaveReason.BUSINESS, Mode.EMERGENCY)
    head = JournalHead(sequence=known.head.sequence, digest=known.head.digest) if known.head.sequence else None
    return Leaving(contents.agent(raw, o.identity), reason, mode, journal=head)
