"""The one way through: store -> queue -> gather -> decide -> execute -> report, for all that is looked after."""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from typing import Final

from aiagent_operator.core.rights import roles
from aiagent_operator.runtime import bequests, metrics, paths, report
from aiagent_operator.runtime.actions import ActionReconciler
from aiagent_operator.runtime.agents import AgentReconciler
from aiagent_operator.runtime.agentstatus import AgentStatusWriter
from aiagent_operator.runtime.archives import ArchiveKey, CareKey
from aiagent_operator.runtime.bequests import Bequests
from aiagent_operator.runtime.captures import AT_ONCE, Captures
from aiagent_operator.runtime.client import Api, ApiError
from aiagent_operator.runtime.custody import Custodian
from aiagent_operator.runtime.execute import Executor, LeaseExpiringError
from aiagent_operator.runtime.gather import Gatherer, NotYetSeenError
from aiagent_operator.runtime.governance import PolicyReconciler
from aiagent_operator.runtime.journal import Journal
from aiagent_operator.runtime.keeporders import OrderKeeper
from aiagent_operator.runtime.measuring import Measuring
from aiagent_operator.runtime.memories import Memories
from aiagent_operator.runtime.orders import ActionKey
from aiagent_operator.runtime.orphans import OrphanReconciler
from aiagent_operator.runtime.policies import PolicyKey
from aiagent_operator.runtime.previews import Previews
from aiagent_operator.runtime.queue import WorkQueue
from aiagent_operator.runtime.runs import PodsOfRuns
from aiagent_operator.runtime.settings import Settings
from aiagent_operator.runtime.store import AgentKey, JournalKey, Key, OrphanKey, RoleKey, Store

log = logging.getLogger(__name__)

_DONE: Final = "done"
_ERROR: Final = "error"
for _result in (_DONE, _ERROR):
    # A share of errors can be told from the first pass on.
    metrics.RECONCILE_TOTAL.labels(_result)


class Controller:
    """Works through the queue with a number of workers."""

    def __init__(  # noqa: PLR0917 - what it works with, each thing of its own type
        self,
        api: Api,
        store: Store,
        queue: WorkQueue[Key],
        gatherer: Gatherer,
        executor: Executor,
        measuring: Measuring,
        journal: Journal,
        settings: Settings,
        memories: Memories,
        custodian: Custodian,
    ) -> None:
        self._api, self._store, self._queue, self._gather = api, store, queue, gatherer
        self._statuses = AgentStatusWriter(api, store, queue, executor.slots, journal)
        self._captures = Captures(api, store, queue, self._statuses, settings, measuring.prometheus)
        self._bequests = Bequests(api, store, queue, settings.namespace, journal.archive)
        self._agents = AgentReconciler(
            api,
            store,
            queue,
            gatherer,
            executor,
            measuring,
            self._statuses,
            self._captures,
            memories,
            self._bequests,
            functools.partial(PodsOfRuns, api, logs=settings.training_logs),
        )
        previews, keeper = Previews(api, store, gatherer, journal), OrderKeeper(store, journal)
        self._actions = ActionReconciler(api, store, queue, previews, keeper=keeper, erasures=custodian.erasures)
        self._policies = PolicyReconciler(api, store, gatherer.fleet)
        self._custodian = custodian
        self._orphans = OrphanReconciler(api, store, executor)

    async def run(self, workers: int) -> None:
        """Runs until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(self._work())
            for _ in range(AT_ONCE):
                group.create_task(self._captures.work())
            for _ in range(bequests.AT_ONCE):
                group.create_task(self._bequests.work())

    async def _work(self) -> None:
        while True:
            key = await self._queue.get()
            began = time.monotonic()
            result = _ERROR
            try:
                await self._reconcile(key)
                self._queue.forget(key)
                result = _DONE
            except (ApiError, LeaseExpiringError, NotYetSeenError) as error:
                at_least = (error.retry_after or 0.0) if isinstance(error, ApiError) else 0.0
                delay = self._queue.retry(key, at_least)
                log.info("%s put off for %.1f s: %s", _name(key), delay, error)
            except Exception:
                # A bug must not end the operator: it is logged whole, counted, and the agent is tried again.
                delay = self._queue.retry(key)
                log.exception("%s failed; again in %.1f s", _name(key), delay)
            finally:
                self._queue.done(key)
                metrics.RECONCILE_TOTAL.labels(result).inc()
                metrics.RECONCILE_SECONDS.observe(time.monotonic() - began)

    async def _reconcile(self, key: Key) -> None:
        match key:
            case AgentKey():
                try:
                    await self._agents.reconcile(key)
                finally:
                    self._gather.fleet.ended(key)
            case JournalKey(namespace, name):
                await self._statuses.record(AgentKey(namespace, name))
            case RoleKey():
                await self._role(key)
            case PolicyKey():
                await self._policies.reconcile(key)
            case ActionKey():
                await self._actions.reconcile(key)
            case ArchiveKey():
                await self._custodian.reconcile(key)
            case CareKey():
                await self._custodian.care(key)
            case OrphanKey():
                await self._orphans.reconcile(key)

    async def _role(self, key: RoleKey) -> None:
        record = self._store.roles.get(key.name)
        if record is None:
            return
        verdicts = roles.verdicts(record.compiled, record.problem, self._gather.environment().ceiling)
        old = record.raw.get("status") or {}
        patch = report.changes(old, {}, verdicts, record.raw["metadata"].get("generation", 0))
        if patch:
            await report.write(self._api, paths.role(key.name), record.raw["metadata"]["uid"], patch)


def _name(key: Key) -> str:
    match key:
        case AgentKey(namespace, name):
            return f"AIAgent {namespace}/{name}"
        case JournalKey(namespace, name):
            return f"journal of the AIAgent {namespace}/{name}"
        case RoleKey(name):
            return f"AgentRole {name}"
        case PolicyKey(name):
            return f"AgentPolicy {name}"
        case ActionKey(namespace, name):
            return f"AgentAction {namespace}/{name}"
        case ArchiveKey(name):
            return f"AgentArchive {name}"
        case CareKey(name):
            return f"archive {name}"
        case OrphanKey(uid):
            return f"children of the former agent {uid}"
