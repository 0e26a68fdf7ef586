"""Looks after archives that are sealed: reads each again from time to time, and says on its AgentArchive what it found.

A pass over an AgentArchive is short. Looking at files may take hours, so that it is a pass of its own (`CareKey`), and
few are made at once: agents and orders go first.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from aiagent_operator.api.abandonment import RecordedAbandonment
from aiagent_operator.api.agentarchive import ArchivePhase, Verification
from aiagent_operator.api.conditions import Reason, Type
from aiagent_operator.api.fields import Model
from aiagent_operator.core import texts
from aiagent_operator.core.archive import holding, unarchived, upkeep
from aiagent_operator.core.archive.upkeep import Altered, Found, Unread, Whole
from aiagent_operator.runtime import archivestatus, erasures, looking, metrics, report
from aiagent_operator.runtime.archive.keeper import Archive, Keeper
from aiagent_operator.runtime.archives import ArchiveKey, ArchiveRecord, CareKey
from aiagent_operator.runtime.client import Api
from aiagent_operator.runtime.erasures import Erasures
from aiagent_operator.runtime.holds import Holds
from aiagent_operator.runtime.purges import AWAY, HOUR, NEVER, Purges
from aiagent_operator.runtime.queue import WorkQueue
from aiagent_operator.runtime.settings import Settings
from aiagent_operator.runtime.store import Key, Store

log = logging.getLogger(__name__)

_AT_ONCE: Final = 2
# Seconds after which an archive of which nothing is due is looked at again: rules about retention may have changed.
_DAY: Final = 86_400.0


class Custodian:
    """Looks after the archives of former agents of the namespaces that this operator watches."""

    def __init__(
        self, api: Api, store: Store, queue: WorkQueue[Key], settings: Settings, archive: Callable[[], Archive | None]
    ) -> None:
        self._api, self._store, self._queue, self._archive = api, store, queue, archive
        self._interval = timedelta(seconds=settings.archive_verification_interval)
        store.archives.namespaces = frozenset(settings.watch_namespaces)
        self._holds = Holds(api, store)
        self.erasures = Erasures(api, store, settings.namespace, archive)
        self._purges = Purges(api, store, settings.archive_purge, self.erasures, self._let_be)
        self._busy: set[CareKey] = set()
        self._waiting: dict[CareKey, None] = {}
        self._resting: dict[str, float] = {}

    async def reconcile(self, key: ArchiveKey) -> None:
        """One pass over an AgentArchive. Raises ApiError where it is to be made again later."""
        record = self._store.archives.own(key.name)
        if record is None:
            self._resting.pop(key.name, None)
            return
        await self._hold(record)
        if not upkeep.unsaid(record.created, record.status, datetime.now(UTC)):
            await self._retained(record)
        if not await self.erasures.carry_on(record):
            self._queue.add_after(key, erasures.AGAIN)
        keeper = self._keeper(record)
        if isinstance(keeper, Unread) and "purge" not in record.status:
            await self._tell(record, keeper)
            return
        seconds = (self._next(record) - datetime.now(UTC)).total_seconds()
        self._queue.add_after(CareKey(key.name), max(0.0, min(seconds, _DAY), self._rest(key.name)))

    async def _retained(self, record: ArchiveRecord) -> None:
        """Says in the status until when it is kept by the rules of today, and where a purge stands still."""
        plan = self._purges.plan(record)
        if plan is None:
            return
        until = {"retainedUntil": texts.moment(plan.retention.until)}
        stuck = self._purges.stuck(record.status)
        await self._write(
            record.name, record.uid, lambda status: until | (archivestatus.said(status, (stuck,)) if stuck else {})
        )

    async def _hold(self, record: ArchiveRecord) -> None:
        """Says in the status who holds the archive."""
        holds = await self._holds.fields(record)
        said = holding.verdict(holds)

        def fields(status: Mapping[str, Any]) -> dict[str, Any]:
            dumped = [each.model_dump(mode="json", by_alias=True, exclude_none=True) for each in holds]
            conditions = (
                archivestatus.said(status, (said,)) if said else archivestatus.said(status, (), gone=(Type.HELD,))
            )
            return {"holds": dumped or None, **conditions}

        await self._write(record.name, record.uid, fields)

    async def care(self, key: CareKey) -> None:
        """Looks at the files of an archive where that is due, and there is room for it."""
        record = self._store.archives.own(key.name)
        if record is None or self._rest(key.name) or datetime.now(UTC) < self._next(record):
            # The pass over the AgentArchive says when.
            self._queue.add(ArchiveKey(key.name))
            return
        if len(self._busy) >= _AT_ONCE:
            self._waiting[key] = None
            return
        self._busy.add(key)
        try:
            if self._purges.at(record) <= datetime.now(UTC):
                await self._purges.purge(record, self._keeper(record))
            else:
                await self._look(record)
        finally:
            self._busy.discard(key)
            # What was found may be what was found before, and then nothing is written of which anybody would hear.
            self._queue.add(ArchiveKey(key.name))
            if self._waiting:
                following = next(iter(self._waiting))
                del self._waiting[following]
                self._queue.add(following)

    async def _look(self, record: ArchiveRecord) -> None:
        keeper = self._keeper(record)
        if isinstance(keeper, Unread):
            found: Found = keeper
        elif record.abandoned:
            archive = self._archive()
            found = await looking.recorded(
                keeper, record, archive.signing_key if archive else None, archive.former_keys if archive else ()
            )
        else:
            found = await looking.read(keeper, record)
            now = self._store.archives.own(record.name)
            if now is None or any(now.status.get(end) != record.status.get(end) for end in ("erasure", "purge")):
                # It was destroyed, or begun to be, while it was read: what was found is of before and after.
                return
        if isinstance(found, Whole) and (record.status.get("erasure") or {}).get("completionTime"):
            found = await self.erasures.looked(record.name) or found
        metrics.ARCHIVE_READS_TOTAL.labels(type(found).__name__).inc()
        if not isinstance(found, Whole):
            pause = AWAY if isinstance(found, Unread) else HOUR
            self._let_be(record.name, min(pause, self._interval.total_seconds()))
        await self._tell(record, found)

    async def _tell(self, record: ArchiveRecord, found: Found) -> None:
        """Says in the status what was found, and has a person hear of it where that is news."""

        def fields(status: Mapping[str, Any]) -> dict[str, Any]:
            conditions = self._said(record, found, status)
            if not isinstance(found, Whole):
                return conditions
            last = Verification(last_time=datetime.now(UTC), files=found.files, size=found.size)
            signed = {"certificate": _dumped(found.certificate)} if found.certificate else {}
            return {"verification": _dumped(last), **signed, **conditions}

        before = (upkeep.condition(record.status, Type.VERIFIED) or {}).get("message")
        await self._write(record.name, record.uid, fields)
        if isinstance(found, Altered) and before != found.text:
            log.warning("AgentArchive %s: %s", record.name, found.text)
            regarding = {"name": record.name, "uid": record.uid}
            await report.event(
                self._api, regarding, kind="AgentArchive", reason=Reason.ALTERED.value, message=found.text
            )

    def _said(self, record: ArchiveRecord, found: Found, status: Mapping[str, Any]) -> dict[str, Any]:
        if not record.abandoned:
            return archivestatus.said(status, upkeep.verdicts(found, status))
        order = RecordedAbandonment.model_validate(record.spec["abandoned"])
        # All of it: whoever made it may have been cut off before it said so.
        known = {"phase": ArchivePhase.ABANDONED.value, "observedGeneration": 1}
        return known | archivestatus.said(status, unarchived.verdicts(found, order, status))

    async def _write(self, name: str, uid: str, fields: Callable[[Mapping[str, Any]], dict[str, Any]]) -> None:
        """Has the fields written that follow from the status as it is, whoever else writes to it meanwhile."""
        await archivestatus.write(self._api, self._store, name, uid, fields)

    def _keeper(self, record: ArchiveRecord) -> Keeper | Unread:
        """The store that it is in, or why that cannot be asked."""
        archive, name = self._archive(), record.spec["store"]
        keeper = archive.keepers.get(name) if archive else None
        if keeper is None:
            return Unread(
                Reason.STORE_NOT_FOUND,
                f'{"it" if record.abandoned else "The archive"} cannot be read: there is no archive store "{name}" any '
                "more. Describe it (values archive.stores)",
            )
        return keeper

    def _next(self, record: ArchiveRecord) -> datetime:
        """When there is something to be done about its files."""
        status = record.status
        read = NEVER if "purge" in status else upkeep.due(record.uid, record.created, status, self._interval)
        return min(read, self._purges.at(record))

    def _let_be(self, name: str, seconds: float) -> None:
        """Has nothing looked for in it before these seconds are over."""
        self._resting[name] = time.monotonic() + seconds

    def _rest(self, name: str) -> float:
        """Seconds for which it is let be after a look that has found no whole archive, or a purge that waits."""
        return max(0.0, self._resting.get(name, 0.0) - time.monotonic())


def _dumped(said: Model) -> dict[str, Any]:
    return said.model_dump(mode="json", by_alias=True)
