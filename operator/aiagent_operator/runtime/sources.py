"""What agents that leave would take along, and where it is read: pods, volumes of texts, stores, Prometheus.

One try at a time is made, which ends within a bounded time. What is taken is noted in the store.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from aiagent_operator.api.archive import GapReason
from aiagent_operator.api.archivestatus import Capture
from aiagent_operator.core import capturing
from aiagent_operator.core.archive import layout
from aiagent_operator.core.archive.errors import ArchiveError
from aiagent_operator.core.capturing import Missed
from aiagent_operator.core.objects import AgentIdentity
from aiagent_operator.runtime.agentrecord import AgentRecord
from aiagent_operator.runtime.archive.errors import DisputedError, StoreError
from aiagent_operator.runtime.archive.store import Store as ArchiveStore
from aiagent_operator.runtime.client import Api
from aiagent_operator.runtime.journal import Journal
from aiagent_operator.runtime.kpis import Kpis
from aiagent_operator.runtime.prometheus import Prometheus
from aiagent_operator.runtime.settings import Settings
from aiagent_operator.runtime.store import AgentKey

READ: Final = 4
"""Logs that are on their way into a store at the same time, and decision logs: each has some parts of an upload in
memory."""

# Agents whose KPI series are in memory at the same time: each has a few MB of them.
_MEASURED: Final = 8

FIRST: Final = 1.0
"""Seconds until another try, doubled with each."""

# What is done with for good, and what of it is missing.
Taken = tuple[frozenset[Capture], tuple[Missed, ...]]


class AwayError(Exception):
    """The store is away, and so is what else its archive needs: that can wait."""


@dataclass(slots=True)
class Wanted:
    """What is due of an agent until when (monotonic); `pause`: seconds until the next try. `waits`: what keeps its
    store from taking it."""

    key: AgentKey
    agent: AgentIdentity
    what: frozenset[Capture]
    handbooks: Mapping[str, str]
    series: Kpis
    escalations: bytes
    decisions: str
    ends: float
    terminating: bool
    pause: float = FIRST
    waits: str = ""


class Sources:
    """Takes what is due from where it is."""

    def __init__(self, api: Api, journal: Journal, settings: Settings, prometheus: Prometheus) -> None:
        """`prometheus` is asked for KPI series."""
        self._api, self._journal, self._prometheus = api, journal, prometheus
        self._namespace, self._seconds, self._logs = (
            settings.namespace,
            settings.capture_deadline,
            settings.archive_logs,
        )
        # Each of its own, so that none of them holds up the others.
        self._reading, self._copying = asyncio.Semaphore(READ), asyncio.Semaphore(READ)
        self._measuring = asyncio.Semaphore(_MEASURED)

    async def take(self, wanted: Wanted, record: AgentRecord) -> Taken:
        """One try at all that is wanted. Raises AwayError where its store is away, or what its archive needs beside."""
        keeper = self._journal.keeper(wanted.key, record)
        if isinstance(keeper, str) or not keeper.usable:
            return _away(wanted, keeper if isinstance(keeper, str) else keeper.problem)
        try:
            logs = await self._taken(wanted, keeper.store) if Capture.LOGS in wanted.what else ()
            told = await self._told(wanted, keeper.store)
            measured = await self._measured(wanted, keeper.store) if Capture.KPIS in wanted.what else ()
        except StoreError as error:
            keeper.failed(error)
            return _away(wanted, str(error))
        return wanted.what, (*logs, *told, *measured)

    async def _taken(self, wanted: Wanted, store: ArchiveStore) -> tuple[Missed, ...]:
        if not self._logs:
            text = "the operator is told not to archive logs (values archive.logs)"
            return (Missed(layout.LOGS, GapReason.EXCLUDED_BY_POLICY, text),)
        # What encrypts takes 3 MB, which an operator from which nobody leaves does without.
        from aiagent_operator.runtime import podlogs  # noqa: PLC0415

        reader = podlogs.PodLogs(self._api, self._namespace, self._reading)
        taken = await reader.take(store, wanted.agent, self._left(wanted))
        if wanted.terminating and not taken.logs:
            return (Missed(layout.LOGS, GapReason.NAMESPACE_TERMINATING, capturing.GONE),)
        return taken.missed

    async def _told(self, wanted: Wanted, store: ArchiveStore) -> tuple[Missed, ...]:
        from aiagent_operator.runtime import personaltexts  # noqa: PLC0415 - it encrypts, too

        reader = personaltexts.PersonalTexts(self._api, self._namespace, store, wanted.agent)
        missed: tuple[Missed, ...] = ()
        if Capture.HANDBOOK in wanted.what:
            missed = await reader.handbooks(wanted.handbooks, self._left(wanted))
        if Capture.ESCALATIONS in wanted.what:
            missed += await reader.text(layout.ESCALATIONS, wanted.escalations, self._left(wanted))
        if Capture.DECISIONS in wanted.what:
            missed += await self._decided(wanted, store)
        return missed

    async def _decided(self, wanted: Wanted, store: ArchiveStore) -> tuple[Missed, ...]:
        from aiagent_operator.runtime import decisions  # noqa: PLC0415 - it encrypts, too

        archive = self._journal.archive
        source = archive.keepers.get(wanted.decisions) if archive else None
        if source is None:
            text = f'there is no archive store "{wanted.decisions}", which spec.retirement.decisionLog names'
            return (Missed(layout.DECISIONS, GapReason.NOT_FOUND, text),)
        reader = decisions.Decisions(self._api, self._namespace, store, wanted.agent)
        # It may be large, and keeps nobody from anything: its rights and its pods are gone.
        async with self._copying:
            return await reader.take(source.store, max(self._left(wanted), self._seconds))

    async def _measured(self, wanted: Wanted, store: ArchiveStore) -> tuple[Missed, ...]:
        # The last try is this one, where its time may be over with it.
        last = wanted.terminating or wanted.ends - time.monotonic() <= capturing.LEAST
        try:
            async with self._measuring:
                return await wanted.series.take(self._prometheus, store, capturing.LEAST, last=last)
        except (ArchiveError, DisputedError) as error:
            return (Missed(layout.KPIS, GapReason.UNREADABLE, str(error)),)

    def _left(self, wanted: Wanted) -> float:
        return max(capturing.LEAST, 0.0 if wanted.terminating else wanted.ends - time.monotonic())


def _away(wanted: Wanted, text: str) -> Taken:
    if Capture.LOGS not in wanted.what:
        raise AwayError(text)
    # Its pods wait for a while only, and what else is due for as long as it takes, once they are gone.
    logs = frozenset({Capture.LOGS})
    return logs, all_of(logs, GapReason.UNREACHABLE, text)


def all_of(what: Iterable[Capture], reason: GapReason, text: str) -> tuple[Missed, ...]:
    """None of this could be had, in this try."""
    return tuple(Missed(capturing.PATHS[each], reason, text, again=True) for each in sorted(what))
