"""What a leader does: watches, queue, workers and scans, put together in one event loop."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeVar

from aiagent_operator.api.objectmeta import ObjectMeta
from aiagent_operator.core.objects import AgentIdentity
from aiagent_operator.core.retraining import facts
from aiagent_operator.core.retraining.due import View
from aiagent_operator.core.rights.exposure import Exposure
from aiagent_operator.runtime import gauges, metrics
from aiagent_operator.runtime.archive.described import Described
from aiagent_operator.runtime.archive.keeper import Archive
from aiagent_operator.runtime.census import Census
from aiagent_operator.runtime.client import Api, ApiError
from aiagent_operator.runtime.controller import Controller
from aiagent_operator.runtime.custody import Custodian
from aiagent_operator.runtime.execute import Executor
from aiagent_operator.runtime.fleet import Fleet
from aiagent_operator.runtime.gather import Gatherer
from aiagent_operator.runtime.journal import Journal
from aiagent_operator.runtime.leavings import Leavings
from aiagent_operator.runtime.lookback import LookBack
from aiagent_operator.runtime.measuring import Measuring
from aiagent_operator.runtime.memories import Memories
from aiagent_operator.runtime.prometheus import Prometheus
from aiagent_operator.runtime.queue import WorkQueue
from aiagent_operator.runtime.scan import Scanner
from aiagent_operator.runtime.settings import Settings
from aiagent_operator.runtime.store import AgentKey, Key, OrphanKey, Store
from aiagent_operator.runtime.watches import World, reflectors, unsynced

log = logging.getLogger(__name__)

# Seconds between two updates of the gauges: as fresh as scrapes usually are.
_GAUGES_EVERY = 5.0
# Seconds between two looks at what the start waits for, and without progress until it is looked at name by name.
_LOOK_EVERY, _STILL = 0.05, 2.0
# Seconds for which the start waits to know whether archive stores take records.
_PROOFS = 5.0

T = TypeVar("T")


class Leading:
    """The working part of the operator. `run` ends only by cancellation or by an error that nothing can mend."""

    def __init__(
        self, api: Api, settings: Settings, *, lease: Callable[[], float], archive: Described | None = None
    ) -> None:
        self._api, self._settings = api, settings
        self.queue: WorkQueue[Key] = WorkQueue(
            backoff_initial=settings.backoff_initial, backoff_max=settings.backoff_max
        )
        self._open = False
        self.store = Store(self._notify, self._hurry)
        self._world = World(settings, self.store, self._notify)
        self._census = Census(api, settings, self.store)
        self._watches = reflectors(api, settings, self.store, self._world)
        self._executor = Executor(api, self.store, in_flight=settings.writes_in_flight, lease=lease)
        self._scanner = Scanner(api, settings, lambda: {key.namespace for key in list(self.store.agents)})
        self._fleet = Fleet(self._notify, self._bare)
        self._journal = Journal(self.store, self.queue)
        if archive is not None:
            interval = settings.archive_proof_interval
            self._journal.recorder.keep = Leavings(api, self.store).keep
            self._journal.archive = Archive(archive, interval=interval, restored=self._journal.restored)
        gatherer = Gatherer(
            api,
            self.store,
            self._fleet,
            environment=lambda: self._world.environment,
            exposures=self._exposures,
            generations=self._executor.generations,
            room=self._journal.room,
        )
        self._prometheus = Prometheus(
            settings.prometheus_addresses,
            ca_file=settings.prometheus_ca_file,
            token_file=settings.prometheus_token_file,
        )
        self._measuring = Measuring(self._prometheus, self.queue.add)
        self._memories = Memories(api, self.store, self.queue, settings, self._journal)
        custodian = Custodian(api, self.store, self.queue, settings, lambda: self._journal.archive)
        self._controller = Controller(
            api,
            self.store,
            self.queue,
            gatherer,
            self._executor,
            self._measuring,
            self._journal,
            settings,
            self._memories,
            custodian,
        )
        self._waiting = "watches"
        # Read at each scrape, in another thread: lengths only.
        metrics.QUEUE_DEPTH.set_function(lambda: len(self.queue))
        metrics.QUEUE_WORKING.set_function(lambda: self.queue.working)
        metrics.QUEUE_DUE.set_function(lambda: self.queue.scheduled)

    @property
    def waits_for(self) -> str:
        """What is missing before the cluster is known; empty once it is."""
        return self._waiting

    def _notify(self, key: Key) -> None:
        # Before everything is known a decision would be wrong; all agents are gone through once it is.
        if self._open:
            self.queue.add(key)

    def _hurry(self, key: AgentKey) -> None:
        if self._open:
            self.queue.add(key, urgent=True)

    def _exposures(self, agent: AgentIdentity) -> tuple[Exposure, ...]:
        return self._scanner.facts.for_agent(agent)

    def _bare(self, key: AgentKey) -> tuple[View | None, tuple[str, ...]]:
        """What is true of the training of an agent that could not be decided about."""
        record = self.store.agents.get(key)
        if record is None:
            return None, ()
        demands = self.store.demands(key, record)
        metadata = ObjectMeta.model_validate(record.load()["metadata"])
        now = datetime.now(UTC)
        return facts.bare(metadata, demands, self.store.children(record.uid).values(), now), demands.names

    async def run(self) -> None:
        """Listens, waits until all is known, then works."""
        async with self._prometheus:
            try:
                await self._run()
            finally:
                await self._measuring.close()

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            if self._journal.archive is not None:
                group.create_task(self._journal.archive.run(), name="archive stores")
            for watch in self._watches:
                group.create_task(watch.run(), name=f"watch {watch.resource}")
            await self._until_known()
            self._open = True
            self._fleet.begin(self.store.agents)
            group.create_task(self._memories.run(), name="memories")
            group.create_task(self._controller.run(self._settings.workers), name="workers")
            group.create_task(self._scanner.run(self._rescanned), name="scan")
            group.create_task(self._count_heads(), name="census")
            group.create_task(self._measure(), name="gauges")
            if self._journal.archive is not None:
                look = LookBack(self.store, self._journal, interval=self._settings.journal_look_interval)
                group.create_task(look.run(), name="look at journals")
            self._enqueue_all()
            self._waiting = ""
            metrics.SYNCED.set(1)
            # What was read at the start mostly stays: the collector need not go through it again and again.
            gc.collect()
            gc.freeze()
            log.info("synced: %d agents, %d roles", len(self.store.agents), len(self.store.roles))

    async def _until_known(self) -> None:
        """Waits for the first list of everything, and for kopf to have delivered all that exists of our kinds."""
        scan = asyncio.create_task(self._scanner.first())
        while missing := unsynced(self._watches):
            self._waiting = f"lists of {', '.join(missing)}"
            await asyncio.sleep(_LOOK_EVERY)
        self._waiting = "the number of agents, roles, policies, orders and archives"
        expected = await self._retried(self._census.number)
        grown = time.monotonic()
        known = self._census.known()
        while known < expected:
            self._waiting = (
                f"{expected - known} of {expected} agents, roles, policies, orders and archives to be listed"
            )
            await asyncio.sleep(_LOOK_EVERY)
            if self._census.known() > known:
                known, grown = self._census.known(), time.monotonic()
            elif time.monotonic() - grown > _STILL:
                # Some may have gone since they were counted: then name by name.
                missing = await self._retried(self._census.undelivered)
                if not missing:
                    break
                self._waiting = f"{len(missing)} agents, roles, policies, orders and archives, {missing[0]} among them"
        self._waiting = "the scan of foreign bindings"
        await scan
        await self._until_proved()

    async def _until_proved(self) -> None:
        """Waits a while for the first proofs: an operator whose archive store is down works without it."""
        ends = time.monotonic() + _PROOFS
        while self._journal.archive and (unproved := self._journal.archive.unproved) and time.monotonic() < ends:
            self._waiting = f"the first proof of archive stores {', '.join(unproved)}"
            await asyncio.sleep(_LOOK_EVERY)

    async def _retried(self, ask: Callable[[], Awaitable[T]]) -> T:
        """The answer, however long the API server takes to give one: before it, nothing can be decided."""
        delay = self._settings.backoff_initial
        while True:
            try:
                return await ask()
            except ApiError as error:
                log.info("start put off for %.1f s: %s", delay, error)
                await asyncio.sleep(error.retry_after or delay)
                delay = min(2 * delay, self._settings.backoff_max)

    def _enqueue_all(self) -> None:
        self.store.orders.recall()
        for key in self.store.all_keys():
            self.queue.add(key)

    def _rescanned(self, namespaces: set[str]) -> None:
        for namespace in namespaces:
            for key in self.store.dependents.of(("namespace", namespace)):
                self.queue.add(key)

    async def _count_heads(self) -> None:
        """From time to time: what of our kinds vanished while no watch saw it, and children that nobody owns."""
        while True:
            await asyncio.sleep(self._settings.scan_interval)
            try:
                await self._census.compare()
                for uid in self.store.orphans():
                    self.queue.add(OrphanKey(uid))
            except ApiError as error:
                log.info("census of agents put off: %s", error)

    async def _measure(self) -> None:
        while True:
            gauges.update(self.store)
            await asyncio.sleep(_GAUGES_EVERY)
