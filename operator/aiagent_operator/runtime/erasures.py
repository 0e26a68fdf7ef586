"""Erases what is personal in archives, by order: the decision is on record first, then in the store, then the key goes.

An order is looked at here, and begun; what was begun is carried on by whoever looks after the archive, also where the
order has gone meanwhile.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

from pydantic import ValidationError

from aiagent_operator.api.agentaction import ActionPhase
from aiagent_operator.api.agentarchive import ErasureStatus
from aiagent_operator.api.conditions import Reason, Type
from aiagent_operator.core.archive import archivekey, erasing, layout
from aiagent_operator.core.archive.erasing import Erasable
from aiagent_operator.core.archive.errors import ArchiveError
from aiagent_operator.core.archive.upkeep import Altered
from aiagent_operator.core.order_facts import OrderPlan, reconciling
from aiagent_operator.core.orders import FINISHED, Order
from aiagent_operator.runtime import archivekeys, archivestatus, paths, report
from aiagent_operator.runtime.archive.errors import DisputedError, StoreError
from aiagent_operator.runtime.archive.keeper import Archive, Keeper
from aiagent_operator.runtime.archives import ArchiveRecord
from aiagent_operator.runtime.client import Api
from aiagent_operator.runtime.holds import Holds
from aiagent_operator.runtime.store import Store

log = logging.getLogger(__name__)

AGAIN: Final = 30.0
"""Seconds after which what waits is tried again."""


class Erasures:
    """Decides about orders to erase, and carries them out. `namespace` is the operator's own, where the keys are."""

    def __init__(self, api: Api, store: Store, namespace: str, archive: Callable[[], Archive | None]) -> None:
        self._api, self._store, self._namespace, self._archive = api, store, namespace, archive
        self._holds = Holds(api, store)

    async def plan(self, order: Order) -> OrderPlan | None:
        """What becomes of an order; None for one that is over. Raises ApiError, ArchiveError."""
        if order.phase in FINISHED:
            return None
        name = order.spec.archive_ref.name if order.spec.archive_ref else ""
        record = self._store.archives.own(name)
        known = await self._seen(record)
        if (plan := erasing.decide(order, known)) is not None or record is None or known is None:
            return plan
        try:
            keys = await self._keys(record)
        except (StoreError, DisputedError, _AwayError) as error:
            text = f"What is personal in {name} is not known yet: {error}"
            waits = reconciling(Reason.STORE_UNAVAILABLE, text)
            return OrderPlan(ActionPhase.PENDING, waits, 1, requeue_after=AGAIN)
        if (plan := erasing.refused(known, keys)) is not None:
            return plan
        await self._begin(order, record)
        # A hold, or the end of the archive, may have been quicker.
        known = await self._seen(self._store.archives.own(name))
        return erasing.decide(order, known) or (known and erasing.refused(known, keys)) or erasing.again(name)

    async def carry_on(self, record: ArchiveRecord) -> bool:
        """Brings to its end what was begun; False where it waits, and the status says for what. Raises ApiError."""
        begun = record.status.get("erasure")
        if not begun or begun.get("completionTime"):
            return True
        try:
            await self._destroy(record, ErasureStatus.model_validate(begun))
        except (StoreError, DisputedError, ArchiveError, ValidationError, _AwayError) as error:
            log.warning("AgentArchive %s: it cannot be erased: %s", record.name, error)
            waits = erasing.waits(str(error))
            await archivestatus.write(
                self._api, self._store, record.name, record.uid, lambda status: archivestatus.said(status, (waits,))
            )
            return False
        erased = {**begun, "completionTime": report.now()}
        told = erasing.done(erased)

        def fields(status: Mapping[str, Any]) -> dict[str, Any]:
            if (status.get("erasure") or {}).get("completionTime"):
                return {}
            return {"erasure": erased, **archivestatus.said(status, (told,), gone=(Type.RECONCILING,))}

        await archivestatus.write(self._api, self._store, record.name, record.uid, fields)
        log.info("AgentArchive %s: %s", record.name, told.message)
        regarding = {"name": record.name, "uid": record.uid}
        await report.event(
            self._api, regarding, kind="AgentArchive", reason=Reason.ERASED.value, message=told.message, warning=False
        )
        return True

    async def destroy_key(self, name: str) -> None:
        """Has the key of an archive gone, where there is one. Raises ApiError, ArchiveError where it stays."""
        await archivekeys.destroy(self._api, self._namespace, name)

    async def looked(self, name: str) -> Altered | None:
        """What is wrong with an archive that was erased: its key is there again. Whether that is what comes with an old
        backup, or nobody has ever erased it, a person has to say."""
        key = archivekey.of(name)
        if await self._api.find(paths.secret(self._namespace, key)) is None:
            return None
        return Altered(
            f"It was erased, and its key is there again, from a backup say: delete Secret {self._namespace}/{key}. It "
            "is read again within the hour"
        )

    async def _destroy(self, record: ArchiveRecord, begun: ErasureStatus) -> None:
        spec = record.spec
        if not record.abandoned:
            from aiagent_operator.runtime.archive import erasing as stored  # noqa: PLC0415 - takes memory

            keeper = self._keeper(record)
            why = erasing.destruction(spec, begun)
            try:
                await stored.record(keeper.store, layout.at(spec["path"]), spec["manifest"]["digest"], why)
            except StoreError as error:
                keeper.failed(error)
                raise
        await self.destroy_key(record.name)
        await self._withdraw(record)

    async def _withdraw(self, record: ArchiveRecord) -> None:
        """What was delivered of it to archive stores, in the clear, goes too."""
        named = ((record.status.get("handover") or {}).get("delivery") or {}).get("store")
        archive = self._archive()
        for keeper in archive.keepers.values() if archive else ():
            if not keeper.handovers and keeper.name != named:
                continue
            from aiagent_operator.runtime.archive import bequeathing  # noqa: PLC0415 - takes memory

            if not keeper.readable:
                raise _AwayError(f"{keeper.problem}, and may have what was handed over of it")
            try:
                if await bequeathing.withdraw_all(keeper.store, record.namespace, record.name):
                    log.info("AgentArchive %s: what archive store %s had of it is gone", record.name, keeper.name)
            except StoreError as error:
                keeper.failed(error)
                raise
        if named and not (archive and named in archive.keepers):
            raise _AwayError(
                f'what was handed over of it is in archive store "{named}": describe it (values archive.stores)'
            )

    async def _begin(self, order: Order, record: ArchiveRecord) -> None:
        said = erasing.begun(order, report.now())
        over = {"purge", "holds", "erasure"}
        await archivestatus.write(
            self._api, self._store, record.name, record.uid,
            lambda status: {} if over & status.keys() else {"erasure": said},
        )  # fmt: skip

    async def _seen(self, record: ArchiveRecord | None) -> Erasable | None:
        if record is None:
            return None
        return Erasable(record.name, record.spec, record.status, await self._holds.fields(record))

    async def _keys(self, record: ArchiveRecord) -> tuple[str, ...]:
        """The keys of what is personal in it. What was abandoned has no manifest: there the key itself tells."""
        if record.abandoned:
            there = await self._api.find(paths.secret(self._namespace, archivekey.of(record.name)))
            return () if there is None else (archivekey.of(record.name),)
        from aiagent_operator.runtime.archive import erasing as stored  # noqa: PLC0415 - takes memory

        keeper, spec = self._keeper(record), record.spec
        try:
            return await stored.keys(keeper.store, layout.at(spec["path"]), spec["manifest"]["digest"])
        except StoreError as error:
            keeper.failed(error)
            raise

    def _keeper(self, record: ArchiveRecord) -> Keeper:
        archive, name = self._archive(), record.spec["store"]
        keeper = archive.keepers.get(name) if archive else None
        if keeper is None:
            raise _AwayError(f'there is no archive store "{name}" any more: describe it (values archive.stores)')
        if not keeper.usable:
            raise _AwayError(keeper.problem)
        return keeper


class _AwayError(Exception):
    """The store cannot be asked now."""
