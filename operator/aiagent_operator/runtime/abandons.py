"""What is known of the agent that an order Abandon is about: asked for the order, and written nowhere."""

from __future__ import annotations

from datetime import datetime

from aiagent_operator.core import abandoning
from aiagent_operator.core.abandoning import Facts
from aiagent_operator.core.archive import index
from aiagent_operator.core.objects import AgentIdentity
from aiagent_operator.core.orders import Order, OrderPlan
from aiagent_operator.runtime.store import AgentKey, Store


class Abandons:
    """Answers orders to release agents without an archive."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def plan(self, order: Order, now: datetime) -> OrderPlan:
        """What becomes of the order."""
        if order.spec.agent_ref is None:
            raise ValueError(f"AgentAction {order.namespace}/{order.name} names no agent")
        key = AgentKey(order.home, order.spec.agent_ref.name)
        return abandoning.decide(order, self._facts(key, now), self._record(key, order.uid))

    def _facts(self, key: AgentKey, now: datetime) -> Facts | None:
        record = self._store.agents.get(key)
        if record is None:
            return None
        raw, book = record.load(), self._store.orders
        status, identity = raw.get("status") or {}, AgentIdentity(*key, record.uid)
        offboards = book.offboards(*key, dict(record.labels), record.leaves_by)
        return Facts(
            key.name,
            abandoning.since(status, raw["metadata"].get("deletionTimestamp"), offboards, now),
            self._store.demands(key, record),
            book.holds(key.namespace, key.name, index.name(identity)),
            status.get("archive"),
        )

    def _record(self, key: AgentKey, order: str) -> str:
        """Name of the AgentArchive that says what the order has done; empty where there is none."""
        archives = self._store.archives
        found = (archives.records[name] for name in archives.of(*key))
        return next((r.name for r in found if (r.spec.get("abandoned") or {}).get("uid") == order), "")
