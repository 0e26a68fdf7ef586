"""What a leader does: watches, queue, workers and scans, put together in one event loop."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable

from aiagent_operator.api import meta
from aiagent_operator.api.aiagent import PermissionState, Phase
from aiagent_operator.core.exposure import Exposure
from aiagent_operator.core.objects import AgentIdentity
from aiagent_operator.runtime import metrics
from aiagent_operator.runtime.client import Api, ApiError, pages
from aiagent_operator.runtime.controller import Controller
from aiagent_operator.runtime.execute import Executor
from aiagent_operator.runtime.gather import Gatherer
from aiagent_operator.runtime.queue import WorkQueue
from aiagent_operator.runtime.reflector import METADATA_LIST
from aiagent_operator.runtime.scan import Scanner
from aiagent_operator.runtime.settings import Settings
from aiagent_operator.runtime.store import AgentKey, Key, OrphanKey, Store
from aiagent_operator.runtime.watches import World, reflectors, unsynced

log = logging.getLogger(__name__)

# Seconds between two updates of the gauges: as fresh as scrapes usually are.
_GAUGES_EVERY = 5.0

_PHASES = (*(phase.value for phase in Phase), "Unknown")


class Leading:
    """The working part of the operator. `run` ends only by cancellation or by an error that nothing can mend."""

    def __init__(self, api: Api, settings: Settings, *, lease: Callable[[], float]) -> None:
        self._api, self._settings = api, settings
        self.queue: WorkQueue[Key] = WorkQueue(
            backoff_initial=settings.backoff_initial, backoff_max=settings.backoff_max
        )
        self._open = False
        self.store = Store(self._notify)
        self._world = World(settings, self.store, self._notify)
        self._watches = reflectors(api, settings, self.store, self._world)
        self._executor = Executor(api, self.store, in_flight=settings.writes_in_flight, lease=lease)
        self._scanner = Scanner(api, settings, lambda: {key.namespace for key in list(self.store.agents)})
        gatherer = Gatherer(
            api,
            self.store,
            environment=lambda: self._world.environment,
            exposures=self._exposures,
            generations=self._executor.generations,
        )
        self._controller = Controller(api, self.store, self.queue, gatherer, self._executor)
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

    def _exposures(self, agent: AgentIdentity) -> tuple[Exposure, ...]:
        return self._scanner.facts.for_agent(agent)

    async def run(self) -> None:
        """Listens, waits until all is known, then works."""
        async with asyncio.TaskGroup() as group:
            for watch in self._watches:
                group.create_task(watch.run(), name=f"watch {watch.resource}")
            await self._until_known()
            self._open = True
            group.create_task(self._controller.run(self._settings.workers), name="workers")
            group.create_task(self._scanner.run(self._rescanned), name="scan")
            group.create_task(self._census(), name="census")
            group.create_task(self._measure(), name="gauges")
            self._enqueue_all()
            self._waiting = ""
            metrics.SYNCED.set(1)
            log.info("synced: %d agents, %d roles", len(self.store.agents), len(self.store.roles))

    async def _until_known(self) -> None:
        """Waits for the first list of everything, and for kopf to have delivered each agent and role that exists."""
        while missing := unsynced(self._watches):
            self._waiting = f"lists of {', '.join(missing)}"
            await asyncio.sleep(0.05)
        self._waiting = "the scan of foreign bindings"
        await self._scanner.first()
        while missing_agents := await self._undelivered():
            self._waiting = f"{len(missing_agents)} agents and roles, {missing_agents[0]} among them"
            await asyncio.sleep(0.2)

    async def _undelivered(self) -> list[str]:
        agents = await self._listed("aiagents")
        missing = [f"AIAgent {ns}/{name}" for ns, name in agents if AgentKey(ns, name) not in self.store.agents]
        roles = await self._listed("agentroles", namespaced=False)
        return missing + [f"AgentRole {name}" for _, name in roles if name not in self.store.roles]

    async def _listed(self, plural: str, *, namespaced: bool = True) -> dict[tuple[str, str], str]:
        """(namespace, name) of all objects of a kind of ours, with their UIDs."""
        scopes = self._settings.watch_namespaces if namespaced and self._settings.watch_namespaces else (None,)
        found: dict[tuple[str, str], str] = {}
        for scope in scopes:
            where = f"namespaces/{scope}/{plural}" if scope else plural
            path = f"/apis/{meta.API_VERSION}/{where}"
            async for page in pages(self._api, path, {}, size=self._settings.page_size, accept=METADATA_LIST):
                for item in page.get("items") or ():
                    metadata = item["metadata"]
                    found[metadata.get("namespace", ""), metadata["name"]] = metadata["uid"]
        return found

    def _enqueue_all(self) -> None:
        for key in self.store.all_keys():
            self.queue.add(key)

    def _rescanned(self, namespaces: set[str]) -> None:
        for namespace in namespaces:
            for key in self.store.dependents.of(("namespace", namespace)):
                self.queue.add(key)

    async def _census(self) -> None:
        """From time to time: agents that vanished while no watch saw it, and children that nobody owns."""
        while True:
            await asyncio.sleep(self._settings.scan_interval)
            try:
                present = await self._listed("aiagents")
            except ApiError as error:
                log.info("census of agents put off: %s", error)
                continue
            for key, record in list(self.store.agents.items()):
                if present.get((key.namespace, key.name)) != record.uid:
                    # Newer than the list, or gone: the pass over it asks the API server.
                    await self._recheck(key, record.uid)
            for uid in self.store.orphans():
                self.queue.add(OrphanKey(uid))

    async def _recheck(self, key: AgentKey, uid: str) -> None:
        path = f"/apis/{meta.API_VERSION}/namespaces/{key.namespace}/aiagents/{key.name}"
        try:
            live = await self._api.request("GET", path)
        except ApiError as error:
            if error.status == 404:
                self.store.forget_agent(key.namespace, key.name, uid)
            return
        if live["metadata"]["uid"] != uid:
            self.store.forget_agent(key.namespace, key.name, uid)
            self.store.observe_agent(live)

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
        metrics.IDENTITY_EXPOSED.set(sum(record.exposed for record in self.store.agents.values()))
