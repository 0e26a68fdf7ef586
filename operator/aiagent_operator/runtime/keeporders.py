"""Keeps orders that are over, or about to be ended, for the archives of the agents that they were about."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from aiagent_operator.core.journal.stored import StoredError
from aiagent_operator.core.order_facts import Order
from aiagent_operator.runtime.agentrecord import AgentRecord
from aiagent_operator.runtime.archive import ordered
from aiagent_operator.runtime.archive.errors import StoreError
from aiagent_operator.runtime.journal import Journal
from aiagent_operator.runtime.store import AgentKey, Store

log = logging.getLogger(__name__)

PATIENCE: Final = 5.0
"""Seconds that it may take: nobody waits longer for a Resume because a store is slow."""

_AT_ONCE: Final = 16


class OrderKeeper:
    """Puts orders where the records of their agents are kept."""

    def __init__(self, store: Store, journal: Journal) -> None:
        self._store, self._journal = store, journal

    async def keep(self, order: Order, status: Mapping[str, Any]) -> str:
        """Keeps it for each agent that it is about; else says why it is not kept for all of them."""
        if self._journal.archive is None:
            return ""
        slots = asyncio.Semaphore(_AT_ONCE)

        async def one(key: AgentKey) -> str:
            record = self._store.agents.get(key)
            if record is None or record.retired or (order.finished and _created(record) > order.finished):
                # It is not of this agent, or no archive of it is to be made any more.
                return ""
            async with slots:
                return await self._one(key, record, order, status)

        try:
            async with asyncio.timeout(PATIENCE):
                answers = await asyncio.gather(*map(one, self._store.covered(order)))
        except TimeoutError:
            answers = [f"the archive store has not answered within {PATIENCE:.0f} s"]
        why = next(filter(None, answers), "")
        if why:
            log.info("AgentAction %s/%s is not kept for the archive: %s", order.namespace, order.name, why)
        return why

    async def _one(self, key: AgentKey, record: AgentRecord, order: Order, status: Mapping[str, Any]) -> str:
        try:
            keeper = self._journal.keeper(key, record)
        except StoredError as error:
            return str(error)
        if isinstance(keeper, str) or not keeper.usable:
            return keeper if isinstance(keeper, str) else keeper.problem
        try:
            await ordered.keep(keeper.store, record.uid, order, status)
        except StoreError as error:
            keeper.failed(error)
            return str(error)
        return ""


def _created(record: AgentRecord) -> datetime:
    return datetime.fromisoformat(record.load()["metadata"]["creationTimestamp"])
