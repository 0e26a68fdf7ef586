"""What a leader does: watches, queue, workers and scans, put together in one event loop."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeVar

from aiagent_operator.api import meta
from aiagent_operator.api.agentstatus import PermissionState, Phase
from aiagent_operator.api.objectmeta import ObjectMeta
from aiagent_operator.core.objects import AgentIdentity
from aiagent_operator.core.retraining import facts
from aiagent_operator.core.retraining.due import View
from aiagent_operator.core.rights.exposure import Exposure
from aiagent_operator.runtime import metrics, paths
from aiagent_operator.runtime.archive.described import Described
from aiagent_operator.runtime.archive.keeper import Archive
from aiagent_operator.runtime.client import Api, ApiError, pages
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
from aiagent_operator.runtime.orders import ActionKey
from aiagent_operator.runtime.prometheus import Prometheus
from aiagent_operator.runtime.queue import WorkQueue
from aiagent_operator.runtime.reflector import METADATA_LIST
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

# What is counted of archives, by the status of the condition Verified, or that they were purged.
_FOUND = {"Whole": "True", "Altered": "False", "Unknown": "Unknown", "Purged": "Purged"}
_PHASES = (*(phase.value for phase in Phase), "Unknown")


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
        self._watches = reflectors(api, settings, self.store, self._world)
        self._executor = Executor(api, self.store, in_flight=settings.writes_in_flight, lease=lease)
        self._scanner = Scanner(api, settings, lambda: {key.namespace for key in list(self.store.agents)})
        self._fleet = Fleet(self._notify, self._bare)
        self._journal = Journal(self.store, self.queue)
        if archive is not None:
            interval = settings.archive_proof_interval
            self._journal.keep = Leavings(api, self.store).keep
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
            group.create_task(self._census(), name="census")
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
        expected = await self._retried(self._number)
        grown = time.monotonic()
        known = self._known()
        while known < expected:
            self._waiting = (
                f"{expected - known} of {expected} agents, roles, policies, orders and archives to be listed"
            )
            await asyncio.sleep(_LOOK_EVERY)
            if self._known() > known:
                known, grown = self._known(), time.monotonic()
            elif time.monotonic() - grown > _STILL:
                # Some may have gone since they were counted: then name by name.
                missing = await self._retried(self._undelivered)
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

    def _known(self) -> int:
        store = self.store
        records = (store.policies.records, store.orders.records, store.archives.records)
        return len(store.agents) + len(store.roles) + sum(len(each) for each in records)

    async def _number(self) -> int:
        """How many objects of our kinds there are, by a page of one each: the rest is counted, not sent."""
        total = 0
        for path in self._paths():
            page = await self._api.request("GET", path, params={"limit": "1"}, accept=METADATA_LIST)
            total += len(page.get("items") or ()) + int(page["metadata"].get("remainingItemCount") or 0)
        return total

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

    async def _undelivered(self) -> list[str]:
        agents = await self._listed("aiagents")
        missing = [f"AIAgent {ns}/{name}" for ns, name in agents if AgentKey(ns, name) not in self.store.agents]
        roles = await self._listed("agentroles")
        missing += [f"AgentRole {name}" for _, name in roles if name not in self.store.roles]
        policies = await self._listed("agentpolicies")
        missing += [f"AgentPolicy {name}" for _, name in policies if name not in self.store.policies.records]
        actions, known = await self._listed("agentactions"), self.store.orders.records
        missing += [f"AgentAction {ns}/{name}" for ns, name in actions if ActionKey(ns, name) not in known]
        archives = await self._listed("agentarchives")
        return missing + [f"AgentArchive {name}" for _, name in archives if name not in self.store.archives.records]

    def _paths(self, *plurals: str) -> list[str]:
        """Collections of our kinds, in the namespaces that are watched."""
        root = f"/apis/{meta.API_VERSION}"
        scopes = [f"{root}/namespaces/{name}" for name in self._settings.watch_namespaces] or [root]
        found = {
            "aiagents": [f"{scope}/aiagents" for scope in scopes],
            "agentroles": [f"{root}/agentroles"],
            "agentpolicies": [f"{root}/agentpolicies"],
            "agentactions": [f"{scope}/agentactions" for scope in scopes],
            "agentarchives": [f"{root}/agentarchives"],
        }
        return [path for plural in plurals or found for path in found[plural]]

    async def _listed(self, plural: str) -> dict[tuple[str, str], str]:
        """(namespace, name) of all objects of a kind of ours, with their UIDs."""
        found: dict[tuple[str, str], str] = {}
        for path in self._paths(plural):
            async for page in pages(self._api, path, {}, size=self._settings.page_size, accept=METADATA_LIST):
                for item in page.get("items") or ():
                    metadata = item["metadata"]
                    found[metadata.get("namespace", ""), metadata["name"]] = metadata["uid"]
        return found

    def _enqueue_all(self) -> None:
        self.store.orders.recall()
        for key in self.store.all_keys():
            self.queue.add(key)

    def _rescanned(self, namespaces: set[str]) -> None:
        for namespace in namespaces:
            for key in self.store.dependents.of(("namespace", namespace)):
                self.queue.add(key)

    async def _census(self) -> None:
        """From time to time: what of our kinds vanished while no watch saw it, and children that nobody owns."""
        while True:
            await asyncio.sleep(self._settings.scan_interval)
            try:
                await self._count_heads()
            except ApiError as error:
                log.info("census of agents put off: %s", error)

    async def _count_heads(self) -> None:
        present = await self._listed("aiagents")
        for key, record in list(self.store.agents.items()):
            if present.get(key) == record.uid:
                continue
            # Newer than the list, or gone.
            live = await self._api.find(paths.agent(*key))
            if live is None or live["metadata"]["uid"] != record.uid:
                self.store.forget_agent(*key, record.uid)
            if live is not None:
                self.store.observe_agent(live)
        # What was known before the list and is not on it has gone.
        known = list(self.store.orders.records.items())
        orders = await self._listed("agentactions")
        for action, order in known:
            if orders.get((action.namespace, action.name)) != order.uid:
                self.store.orders.forget(action.namespace, action.name, order.uid)
        rules = list(self.store.policies.records.items())
        policies = await self._listed("agentpolicies")
        for name, policy in rules:
            if policies.get(("", name)) != policy.uid:
                self.store.policies.forget(name, policy.uid)
        kept = list(self.store.archives.records.items())
        archives = await self._listed("agentarchives")
        for name, archive in kept:
            if archives.get(("", name)) != archive.uid:
                self.store.archives.forget(name, archive.uid)
        for uid in self.store.orphans():
            self.queue.add(OrphanKey(uid))

    async def _measure(self) -> None:
        while True:
            self._set_gauges()
            await asyncio.sleep(_GAUGES_EVERY)

    def _set_gauges(self) -> None:
        phases = Counter(record.phase or "Unknown" for record in self.store.agents.values())
        metrics.set_counts(metrics.AGENTS, phases, _PHASES)
        # Agents of one role have the same few states, so that counting these first is counting little.
        states: Counter[str] = Counter()
        for some, agents in Counter(record.permissions for record in self.store.agents.values()).items():
            for state in some:
                states[state] += agents
        metrics.set_counts(metrics.PERMISSIONS, states, tuple(PermissionState))
        verified = Counter(record.verified for record in self.store.archives.records.values())
        found = {name: verified[status] for name, status in _FOUND.items()}
        metrics.set_counts(metrics.ARCHIVES, found, tuple(_FOUND))
        metrics.IDENTITY_EXPOSED.set(sum(record.exposed for record in self.store.agents.values()))
