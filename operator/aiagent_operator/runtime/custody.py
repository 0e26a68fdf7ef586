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

from aiagent_operator.api.agentarchive import ArchivePhase, Verification
from aiagent_operator.api.conditions import Reason, Type, Verdict
from aiagent_operator.core import texts
from aiagent_operator.core.archive import holding, purging, retention, upkeep
from aiagent_operator.core.archive.errors import ArchiveError
from aiagent_operator.core.archive.purging import Purge
from aiagent_operator.core.archive.retention import Claim
from aiagent_operator.core.archive.upkeep import Altered, Found, Unread, Whole
from aiagent_operator.runtime import archivestatus, erasures, looking, metrics, report
from aiagent_operator.runtime.archive.keeper import Archive, Keeper
from aiagent_operator.runtime.archives import ArchiveKey, ArchiveRecord, CareKey
from aiagent_operator.runtime.client import Api
from aiagent_operator.runtime.erasures import Erasures
from aiagent_operator.runtime.holds import Holds
from aiagent_operator.runtime.queue import WorkQueue
from aiagent_operator.runtime.settings import Settings
from aiagent_operator.runtime.settings_archive import Purge as Purges
from aiagent_operator.runtime.store import Key, Store

log = logging.getLogger(__name__)

_AT_ONCE: Final = 2
# Seconds until another try where the store was away, and, at most, where something was altered: whoever has put a file
# back does not tell the operator.
_AWAY, _ALTERED = 60.0, 3600.0
# Seconds after which an archive of which nothing is due is looked at again: rules about retention may have changed.
_DAY: Final = 86_400.0
_NEVER: Final = datetime.max.replace(tzinfo=UTC)


class Custodian:
    """Looks after the archives of former agents of the namespaces that this operator watches."""

    def __init__(
        self, api: Api, store: Store, queue: WorkQueue[Key], settings: Settings, archive: Callable[[], Archive | None]
    ) -> None:
        self._api, self._store, self._queue, self._archive = api, store, queue, archive
        self._interval = timedelta(seconds=settings.archive_verification_interval)
        self._purges = settings.archive_purge is Purges.AFTER_RETENTION
        store.archives.namespaces = frozenset(settings.watch_namespaces)
        self._holds = Holds(api, store)
        self.erasures = Erasures(api, store, settings.namespace, archive)
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
        if record.abandoned:
            # There are no files to look after.
            return
        keeper = self._keeper(record)
        if isinstance(keeper, Unread) and "purge" not in record.status:
            await self._tell(record, keeper)
            return
        seconds = (self._next(record) - datetime.now(UTC)).total_seconds()
        self._queue.add_after(CareKey(key.name), max(0.0, min(seconds, _DAY), self._rest(key.name)))

    async def _retained(self, record: ArchiveRecord) -> None:
        """Says in the status until when it is kept by the rules of today, and where a purge stands still."""
        plan = self._plan(record)
        if plan is None:
            return
        until = {"retainedUntil": texts.moment(plan.retention.until)}
        stuck = purging.stuck(record.status) if not self._purges and "purge" in record.status else None
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
        if record is None or record.abandoned or self._rest(key.name) or datetime.now(UTC) < self._next(record):
            # The pass over the AgentArchive says when.
            self._queue.add(ArchiveKey(key.name))
            return
        if len(self._busy) >= _AT_ONCE:
            self._waiting[key] = None
            return
        self._busy.add(key)
        try:
            await (self._purge(record) if self._purge_at(record) <= datetime.now(UTC) else self._look(record))
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
        else:
            found = await looking.read(keeper, record)
        if isinstance(found, Whole) and (record.status.get("erasure") or {}).get("completionTime"):
            found = await self.erasures.looked(record.name) or found
        metrics.ARCHIVE_READS_TOTAL.labels(type(found).__name__).inc()
        if not isinstance(found, Whole):
            pause = _AWAY if isinstance(found, Unread) else _ALTERED
            self._resting[record.name] = time.monotonic() + min(pause, self._interval.total_seconds())
        await self._tell(record, found)

    def _purge_plan(self, record: ArchiveRecord) -> Purge | None:
        """The plan, where it may be purged as far as is known here; ArchiveError where that cannot be read."""
        known = self._store
        if "purge" not in record.status and (
            known.orders.holds(record.namespace, record.agent, record.name)
            or known.agent_of(record.spec["agent"]["uid"]) is not None
        ):
            # Held and not listed yet; or the agent is there, and its journal goes on.
            return None
        return self._plan(record)

    def _plan(self, record: ArchiveRecord) -> Purge | None:
        """When it may be purged by its retention and the holds that it lists; None where it was, or ArchiveError."""
        home = self._store.namespaces.get(record.namespace)
        policies = [each.compiled for each in self._store.policies.records.values()]
        holds = holding.read(record.status, record.name).holds
        labels, role = home.labels if home else None, self._role(record.spec["agent"]["role"])
        return purging.decide(record.spec, record.status, holds, policies, labels, role=role)

    def _role(self, name: str) -> tuple[Claim, ...] | None:
        """What the role asks for where it is still there; None where it cannot be read."""
        record = self._store.roles.get(name)
        if record is None:
            return ()
        return retention.role(name, record.compiled.role.spec) if record.compiled else None

    def _purge_at(self, record: ArchiveRecord) -> datetime:
        """When it is to be purged; never without the setting, whatever its status says."""
        if not self._purges:
            return _NEVER
        plan = self._purge_plan(record)
        return plan.at if plan and plan.at else _NEVER

    async def _purge(self, record: ArchiveRecord) -> None:
        """Begins to purge it, or goes on. The beginning is said first, so that whoever follows knows of it."""
        began = {"purge": {"startTime": report.now()}}
        over = {"purge", "holds"}
        await self._write(record.name, record.uid, lambda status: {} if over & status.keys() else began)
        found = self._store.archives.own(record.name)
        if found is None or "purge" not in found.status:
            return
        plan = self._purge_plan(found)
        if plan is None or plan.at is None:
            return
        keeper = self._keeper(found)
        problem = keeper.text if isinstance(keeper, Unread) else await looking.purge(keeper, found, plan)
        problem = problem or await self._without_key(record.name)
        if problem:
            away = isinstance(keeper, Unread) or not keeper.usable
            self._resting[record.name] = time.monotonic() + (_AWAY if away else _ALTERED)
            log.warning("AgentArchive %s: %s", record.name, problem)
            waits = Verdict(Type.RECONCILING, True, Reason.PURGING, f"It is being purged, and that waits: {problem}")
            await self._write(record.name, record.uid, lambda status: archivestatus.said(status, (waits,)))
            return
        end = {"startTime": texts.moment(plan.at), "completionTime": report.now()}
        said = purging.verdicts(plan.retention, plan.at)
        fields = {"phase": ArchivePhase.PURGED.value, "purge": end}
        await self._write(
            record.name, record.uid, lambda status: fields | archivestatus.said(status, said, gone=(Type.RECONCILING,))
        )
        regarding = {"name": record.name, "uid": record.uid}
        text = said[0].message
        await report.event(
            self._api, regarding, kind="AgentArchive", reason=Reason.PURGED.value, message=text, warning=False
        )

    async def _without_key(self, name: str) -> str:
        """Destroys the key of an archive that has nothing left; why not, where it stays."""
        try:
            await self.erasures.destroy_key(name)
        except ArchiveError as error:
            return str(error)
        return ""

    async def _tell(self, record: ArchiveRecord, found: Found) -> None:
        """Says in the status what was found, and has a person hear of it where that is news."""

        def fields(status: Mapping[str, Any]) -> dict[str, Any]:
            conditions = archivestatus.said(status, upkeep.verdicts(found, status))
            if not isinstance(found, Whole):
                return conditions
            last = Verification(last_time=datetime.now(UTC), files=found.files, size=found.size)
            return {"verification": last.model_dump(mode="json", by_alias=True), **conditions}

        before = (upkeep.condition(record.status, Type.VERIFIED) or {}).get("message")
        await self._write(record.name, record.uid, fields)
        if isinstance(found, Altered) and before != found.text:
            log.warning("AgentArchive %s: %s", record.name, found.text)
            regarding = {"name": record.name, "uid": record.uid}
            await report.event(
                self._api, regarding, kind="AgentArchive", reason=Reason.ALTERED.value, message=found.text
            )

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
                f'The archive cannot be read: there is no archive store "{name}" any more. Describe it (values '
                "archive.stores)",
            )
        return keeper

    def _next(self, record: ArchiveRecord) -> datetime:
        """When there is something to be done about its files."""
        status = record.status
        read = _NEVER if "purge" in status else upkeep.due(record.uid, record.created, status, self._interval)
        return min(read, self._purge_at(record))

    def _rest(self, name: str) -> float:
        """Seconds for which it is let be after a look that has found no whole archive."""
        return max(0.0, self._resting.get(name, 0.0) - time.monotonic())
