"""Legal holds: what orders ask of archives, seen from the orders and from the archives.

The finalizer on a Hold keeps the object until its end is on record, see `core.archive.holding`. Whether a namespace
goes is asked of the API server and not of a watch, which may be late: a hold that goes with its namespace stays.
"""

from __future__ import annotations

from aiagent_operator.api import meta
from aiagent_operator.api.agentaction import Action
from aiagent_operator.api.holds import HoldEntry
from aiagent_operator.core import orders
from aiagent_operator.core.archive import holding
from aiagent_operator.core.archive.holding import HeldArchive
from aiagent_operator.core.orders import Order, OrderPlan
from aiagent_operator.runtime import paths
from aiagent_operator.runtime.archives import ArchiveRecord
from aiagent_operator.runtime.client import MERGE_PATCH, Api, ApiError
from aiagent_operator.runtime.orderrecord import OrderRecord
from aiagent_operator.runtime.store import Store

ACTIONS = (Action.HOLD, Action.RELEASE)


class Holds:
    """Asks and answers about legal holds."""

    def __init__(self, api: Api, store: Store) -> None:
        self._api, self._store = api, store

    # Of archives

    async def fields(self, record: ArchiveRecord) -> tuple[HoldEntry, ...]:
        """Who holds the archive now. Raises ApiError, ArchiveError where it says what this version cannot read."""
        standing = self._store.orders.holds(record.namespace, record.agent, record.name)
        lost = {order.uid for order in standing if order.deleting and await self._lost(order.namespace)}
        releases = self._store.orders.releases(record.name)
        return holding.entries(holding.read(record.status, record.name), standing, lost, releases)

    # Of orders

    def plan(self, order: Order) -> OrderPlan:
        """What becomes of a Hold or Release that nobody has deleted."""
        archives = self._archives(order)
        if order.spec.action is Action.HOLD:
            return holding.hold(order, archives)
        lifted = orders.lifted(order, self._store.orders.alike(order))
        return holding.release(order, archives, lifted, expected=bool(self._store.covered(order)))

    async def guard(self, record: OrderRecord, order: Order) -> bool:
        """Keeps a Hold from going before its end is on record; whether that is all there is to do about it now."""
        if order.spec.action is not Action.HOLD:
            return order.deleting
        if not order.deleting:
            if not order.guarded:
                await self._finalizers(order, [*record.finalizers, meta.HOLD_FINALIZER])
            return False
        if order.guarded:
            lost = await self._lost(order.namespace)
            expected = bool(self._store.covered(order))
            if holding.settled(order, self._archives(order), lost=lost, expected=expected):
                await self._finalizers(order, [each for each in record.finalizers if each != meta.HOLD_FINALIZER])
            else:
                # Each of them hears of it again: it may have been told before its namespace was seen to go.
                self._store.concern_archives(order)
        return True

    def _archives(self, order: Order) -> list[HeldArchive]:
        records = self._store.archives.records
        return [holding.read(records[name].status, name) for name in self._store.archives_of(order)]

    async def _lost(self, namespace: str) -> bool:
        """Whether the namespace goes or has gone, as the API server says."""
        params = {"fieldSelector": f"metadata.name={namespace}"}
        found = (await self._api.request("GET", "/api/v1/namespaces", params=params)).get("items") or ()
        return all("deletionTimestamp" in each["metadata"] for each in found)

    async def _finalizers(self, order: Order, names: list[str]) -> None:
        """Writes the finalizers of the order as it was seen; raises ApiError where it has changed: look again."""
        metadata = {"finalizers": names, "uid": order.uid, "resourceVersion": str(order.version)}
        try:
            answer = await self._api.request(
                "PATCH",
                paths.action(order.namespace, order.name),
                body={"metadata": metadata},
                params={"fieldManager": meta.MANAGER},
                content_type=MERGE_PATCH,
            )
        except ApiError as error:
            if error.status == 404:
                return
            raise
        if "deletionTimestamp" not in answer["metadata"]:
            self._store.orders.observe(answer, answer=True)
