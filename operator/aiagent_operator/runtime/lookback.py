"""Looks from time to time whether the stores know more of agents than their statuses do.

That is so where the cluster was restored to an earlier time. It would be found with the next event of an agent, which
may be months away. So each agent is asked about once at the start and then once a day: one small question to its store,
nothing written and nothing remembered. What is found, the agent's journal settles as ever.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from aiagent_operator.core.journal import book
from aiagent_operator.core.journal.head import LAST, Head, path
from aiagent_operator.core.journal.stored import StoredError
from aiagent_operator.runtime.archive.errors import StoreError
from aiagent_operator.runtime.archive.keeper import Keeper
from aiagent_operator.runtime.journal import Journal
from aiagent_operator.runtime.store import AgentKey, Store

log = logging.getLogger(__name__)

_SPAN: Final = 3600.0
"""Seconds over which the questions about all agents are spread, where there are many."""

_SLOWEST: Final = 1.0
"""Seconds between two questions, at most: a few agents are through in no time."""


class LookBack:
    """One leader's. `interval`: seconds from the end of one look at all agents to the next one."""

    def __init__(self, store: Store, journal: Journal, *, interval: float) -> None:
        self._store, self._journal = store, journal
        self._interval, self._span = interval, min(interval, _SPAN)

    async def run(self) -> None:
        """Looks until cancelled."""
        while True:
            missed = await self._all()
            # What a store could not be asked about is not left for a day.
            await asyncio.sleep(self._span if missed else self._interval)

    async def _all(self) -> int:
        """Looks at every agent that there is now; of how many nothing could be learned."""
        keys = list(self._store.agents)
        pause = min(_SLOWEST, self._span / max(1, len(keys)))
        behind = missed = 0
        for key in keys:
            await asyncio.sleep(pause)
            found = await self._is_behind(key)
            if found is None:
                missed += 1
            elif found:
                behind += 1
                self._journal.recorder.suspect(key)
        text = "journals looked at: %d; statuses that are behind theirs: %d; not known, since a store is away: %d"
        log.info(text, len(keys), behind, missed)
        return missed

    async def _is_behind(self, key: AgentKey) -> bool | None:
        """Whether the store has a record after the last one that the status tells, and nobody is just recording it;
        None where the store cannot be asked."""
        known = self._settled(key)
        if known is None:
            return False
        keeper, uid, head = known
        if not keeper.readable:
            return None
        try:
            there = await keeper.store.stat(path(uid, head.sequence + 1))
        except StoreError as error:
            keeper.failed(error)
            return None
        return there is not None and self._settled(key) == known

    def _settled(self, key: AgentKey) -> tuple[Keeper, str, Head] | None:
        """Store, UID and head of an agent of which nothing waits to be recorded; None of others, and of those whose
        journal has not begun or cannot be read: their next pass says so."""
        record, archive = self._store.agents.get(key), self._journal.archive
        if record is None or archive is None:
            return None
        try:
            known = book.read(record.load().get("status") or {})
        except StoredError:
            return None
        keeper = archive.keepers.get(known.store)
        if keeper is None or known.waiting.events or not 0 < known.head.sequence < LAST:
            return None
        return keeper, record.uid, known.head
