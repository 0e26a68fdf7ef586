"""Keeps AgentActions in a store for the archives of the agents that they are about, since they go before these do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiagent_operator.core.archive import contents
from aiagent_operator.core.archive.layout import Kept
from aiagent_operator.core.order_facts import Order
from aiagent_operator.runtime.archive.store import Store


async def keep(store: Store, agent_uid: str, order: Order, status: Mapping[str, Any]) -> None:
    """Keeps the order; where it is kept already, nothing is written. Raises StoreError.

    One of which not all can be read is not kept: a record of it would not say what it said.
    """
    if order.partial:
        return
    file = contents.order(order, status)
    # An order never changes, and its status not once it is over: what has its UID is the same one.
    await store.create(Kept(agent_uid).key(file.path), file.data)
