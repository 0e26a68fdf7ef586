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

from aiagent_operator.api.agentarchive import Verification
from aiagent_operator.api.conditions import Reason, Type
from aiagent_operator.core.archive import holding, layout, upkeep
from aiagent_operator.core.archive.errors import ArchiveError
from aiagent_operator.core.archive.upkeep import Altered, Found, Unread, Whole
from aiagent_operator.runtime import metrics, paths, report
from aiagent_operator.runtime.archive.errors import Kind, StoreError
from aiagent_operator.runtime.archive.keeper import Archive, Keeper
from aiagent_operator.runtime.archives import ArchiveKey, ArchiveRecord, CareKey
from aiagent_operator.runtime.client import Api
from aiagent_operator.runtime.gather import NotYetSeenError
from aiagent_operator.runtime.holds import Holds
from aiagent_operator.runtime.queue import WorkQueue
from aiagent_operator.runtime.settings import Settings
from aiagent_operator.runtime.store import Key, Store

log = logging.getLogger(__name__)

_AT_ONCE: Final = 2
# Seconds until another try where the store was away, and, at most, where something was altered: whoever has put a file
# back does not tell the operator.
_AWAY, _ALTERED = 60.0, 3600.0
_TRIES: Final = 5
# What a store says of a file that is not as it should be, and not of itself.
_OF_THE_FILE: Final = (Kind.MISSING, Kind.TOO_LARGE, Kind.UNSAFE, Kind.CHANGED, Kind.INVALID_NAME)


class Custodian:
    """Looks after the archives of former agents of the namespaces that this operator watches."""

    def __init__(
        self, api: Api, store: Store, queue: WorkQueue[Key], settings: Settings, archive: Callable[[], Archive | None]
    ) -> None:
        self._api, self._store, self._queue, self._archive = api, store, queue, archive
        self._interval = timedelta(seconds=settings.archive_verification_interval)
        self._namespaces = frozenset(settings.watch_namespaces)
        self._holds = Holds(api, store)
        self._busy: set[CareKey] = set()
        self._waiting: dict[CareKey, None] = {}
        self._resting: dict[str, float] = {}

    async def reconcile(self, key: ArchiveKey) -> None:
        """One pass over an AgentArchive. Raises ApiError where it is to be made again later."""
        record = self._record(key.name)
        if record is None:
            self._resting.pop(key.name, None)
            return
        await self._hold(record)
        keeper = self._keeper(record)
        if isinstance(keeper, Unread):
            await self._tell(record, keeper)
            return
        seconds = (self._due(record) - datetime.now(UTC)).total_seconds()
        self._queue.add_after(CareKey(key.name), max(0.0, seconds, self._rest(key.name)))

    async def _hold(self, record: ArchiveRecord) -> None:
        """Says in the status who holds the archive."""
        holds = await self._holds.fields(record)
        said = holding.verdict(holds)

        def fields(status: Mapping[str, Any]) -> dict[str, Any]:
            before = status.get("conditions") or ()
            dumped = [each.model_dump(mode="json", by_alias=True, exclude_none=True) for each in holds]
            conditions = upkeep.conditions(
                before, (said,) if said else (), report.now(), gone=() if said else (Type.HELD,)
            )
            return {"holds": dumped or None, "conditions": conditions}

        await self._write(record.name, record.uid, fields)

    async def care(self, key: CareKey) -> None:
        """Looks at the files of an archive where that is due, and there is room for it."""
        record = self._record(key.name)
        if record is None or self._rest(key.name) or datetime.now(UTC) < self._due(record):
            # The pass over the AgentArchive says when.
            self._queue.add(ArchiveKey(key.name))
            return
        if len(self._busy) >= _AT_ONCE:
            self._waiting[key] = None
            return
        self._busy.add(key)
        try:
            await self._look(record)
        finally:
            self._busy.discard(key)
            if self._waiting:
                following = next(iter(self._waiting))
                del self._waiting[following]
                self._queue.add(following)

    async def _look(self, record: ArchiveRecord) -> None:
        keeper = self._keeper(record)
        if isinstance(keeper, Unread):
            found: Found = keeper
        else:
            found = await _read(keeper, record) if keeper.usable else _away(keeper.name)
        metrics.ARCHIVE_READS_TOTAL.labels(type(found).__name__).inc()
        if not isinstance(found, Whole):
            pause = _AWAY if isinstance(found, Unread) else _ALTERED
            self._resting[record.name] = time.monotonic() + min(pause, self._interval.total_seconds())
        await self._tell(record, found)

    async def _tell(self, record: ArchiveRecord, found: Found) -> None:
        """Says in the status what was found, and has a person hear of it where that is news."""

        def fields(status: Mapping[str, Any]) -> dict[str, Any]:
            said = upkeep.verdicts(found, status)
            conditions = upkeep.conditions(status.get("conditions") or (), said, report.now())
            if not isinstance(found, Whole):
                return {"conditions": conditions}
            last = Verification(last_time=datetime.now(UTC), files=found.files, size=found.size)
            return {"verification": last.model_dump(mode="json", by_alias=True), "conditions": conditions}

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
        for _ in range(_TRIES):
            record = self._store.archives.records.get(name)
            if record is None or record.uid != uid:
                return
            patch = report.differences(record.status, fields(record.status))
            if not patch:
                return
            path = paths.archive(name)
            answer = await report.write(self._api, path, uid, patch, version=record.version)
            answer = answer or await self._api.find(path)
            if answer is None:
                self._store.archives.forget(name, uid)
                return
            self._store.archives.observe(answer)
        raise NotYetSeenError(f"AgentArchive {name} changes faster than its status can be written")

    def _record(self, name: str) -> ArchiveRecord | None:
        """The AgentArchive, where it is this operator's affair."""
        record = self._store.archives.records.get(name)
        mine = record and (not self._namespaces or record.namespace in self._namespaces)
        return record if mine else None

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

    def _due(self, record: ArchiveRecord) -> datetime:
        return upkeep.due(record.uid, record.created, record.status, self._interval)

    def _rest(self, name: str) -> float:
        """Seconds for which it is let be after a look that has found no whole archive."""
        return max(0.0, self._resting.get(name, 0.0) - time.monotonic())


def _away(store: str) -> Unread:
    text = f"The archive could not be read: archive store {store} does not answer as it should (see the operator's log)"
    return Unread(Reason.STORE_UNAVAILABLE, f"{text}; it is tried again")


async def _read(keeper: Keeper, record: ArchiveRecord) -> Found:
    """Reads all files, and compares them with the manifest, and that and the certificate with the AgentArchive."""
    # The libraries that check certificates take 10 MB, which an operator without archives does without.
    from aiagent_operator.core.archive import envelope, manifest, wire  # noqa: PLC0415
    from aiagent_operator.runtime.archive import reading  # noqa: PLC0415

    spec, status, store = record.spec, record.status, keeper.store
    certificate = (status.get("certificate") or {}).get("digest")
    wanted = {layout.MANIFEST: (spec["manifest"]["digest"], manifest.LIMIT)}
    if certificate:
        wanted[layout.CERTIFICATE] = (certificate, envelope.LIMIT)
    files: dict[str, bytes] = {}
    try:
        where = layout.at(spec["path"])
        for path, (digest, limit) in wanted.items():
            files[path] = await store.read(where.key(path), limit)
            if (there := wire.digest(files[path])) != digest:
                return _altered(
                    record,
                    f"{path}: its digest is {there}, and was {digest} when it was sealed: restore it from a copy",
                )
        found = await reading.read(store, where, files[layout.MANIFEST], certified=bool(certificate))
    except StoreError as error:
        if error.kind in _OF_THE_FILE:
            return _altered(record, str(error))
        keeper.failed(error)
        return _away(keeper.name)
    except ArchiveError as error:
        return _altered(record, str(error))
    if findings := reading.wrong(found):
        return _altered(record, reading.told(findings))
    return Whole(spec["manifest"]["items"], spec["manifest"]["size"])


def _altered(record: ArchiveRecord, what: str) -> Altered:
    where = f"{record.spec['path']} in archive store {record.spec['store']}"
    return Altered(f"{where} is not what was sealed: {what}. It is read again within the hour")
