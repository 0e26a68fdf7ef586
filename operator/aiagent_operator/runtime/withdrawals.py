"""Stopping agents: the rights of all that are to be stopped go before anything else is done about one of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from aiagent_operator.core.objects import AgentIdentity
from aiagent_operator.core.plan import Write
from aiagent_operator.core.rights import bindings
from aiagent_operator.runtime.agentrecord import AgentRecord
from aiagent_operator.runtime.memory import Memory
from aiagent_operator.runtime.queue import WorkQueue
from aiagent_operator.runtime.store import AgentKey, Key, Store

Send = Callable[[AgentIdentity, AgentRecord, Sequence[Write], Memory], Awaitable[None]]


class Withdrawals:
    """Takes rights with `send`, which sends all writes of an agent before those of others that wait."""

    def __init__(self, store: Store, queue: WorkQueue[Key], send: Send) -> None:
        self._store, self._queue, self._send = store, queue, send
        self._under_way = 0
        self._stopped: set[AgentKey] = set()

    async def first(self, key: AgentKey, memory: Memory) -> bool:
        """Takes the rights of a suspended agent before anything about it is read or decided.

        True where the rest of the pass is to be made later, which is then in the queue: others are being stopped, and
        a thousand of them wait for their deletions only where no other work comes in between. One whose spec cannot be
        read is stopped too. Raises as `send` does.
        """
        record = self._store.agents.get(key)
        if record is None or record.leaving:
            return False
        if not record.suspended_by_spec and not self._store.orders.over(*key, dict(record.labels)):
            return False
        refused = memory.current()
        writes = [w for w in bindings.withdrawn(self._store.children(record.uid)) if w.key not in refused]
        if not writes:
            # Its own are gone, of which the watch may have told before the answer came.
            if self._under_way:
                self._stopped.add(key)
            return self._under_way > 0
        self._under_way += 1
        try:
            await self._send(AgentIdentity(*key, record.uid), record, writes, memory)
            later = self._under_way > 1 or len(self._queue) > 0
            if later:
                self._stopped.add(key)
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._go_on()
        return later

    def _go_on(self) -> None:
        for key in self._stopped:
            self._queue.add(key)
        self._stopped.clear()
