"""Children whose agent is gone: found by their labels, removed in the order of an offboarding."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from aiagent_operator.api import meta
from aiagent_operator.core import offboarding
from aiagent_operator.core.objects import AgentIdentity, Manifest, ObjectKey
from aiagent_operator.core.plan import Write
from aiagent_operator.runtime import paths
from aiagent_operator.runtime.agents import ROUNDS
from aiagent_operator.runtime.client import Api
from aiagent_operator.runtime.execute import Executor
from aiagent_operator.runtime.gather import NotYetSeenError, live_objects
from aiagent_operator.runtime.store import OrphanKey, Store

log = logging.getLogger(__name__)


class OrphanReconciler:
    """Removes what agents have left that went without the operator's help."""

    def __init__(self, api: Api, store: Store, executor: Executor) -> None:
        self._api, self._store, self._execute = api, store, executor

    async def reconcile(self, key: OrphanKey) -> None:
        """Removes children whose agent does not exist; asked of the API server, since the watch may be behind."""
        live: dict[ObjectKey, Manifest | None] = {}
        for _ in range(ROUNDS):
            children = dict(self._store.children(key.uid))
            if not children or self._store.agent_of(key.uid):
                return
            agent = await self._former_agent(key.uid, next(iter(children)))
            if agent is None:
                return
            plan = offboarding.sweep(agent, children, live)
            if missing := plan.needs - live.keys():
                live.update(await live_objects(self._api, missing))
                self._execute.saw(live)
                continue
            if not plan.writes:
                return
            log.warning(
                "removing %s left by an agent that is gone (UID %s)",
                ", ".join(str(w.key) for w in plan.writes),
                key.uid,
            )
            await self._send_for(agent, plan.writes)
            for write in plan.writes:
                live.pop(write.key, None)

    async def _send_for(self, agent: AgentIdentity, writes: Iterable[Write]) -> None:
        for write in writes:
            failure = await self._execute.send(agent, write, frozenset())
            if failure:
                raise NotYetSeenError(f"{write.key} of a former agent: {failure.message}")

    async def _former_agent(self, uid: str, child: ObjectKey) -> AgentIdentity | None:
        """Who the children belonged to, or None where that agent exists after all (or the child does not)."""
        found = await self._api.find(paths.item(child))
        if found is None:
            self._store.forget_child(child)
            return None
        labels = found["metadata"].get("labels") or {}
        namespace, name = labels.get(meta.LABEL_AGENT_NAMESPACE, ""), labels.get(meta.LABEL_AGENT, "")
        if namespace and name:
            agent = await self._api.find(paths.agent(namespace, name))
            if agent and agent["metadata"]["uid"] == uid:
                raise NotYetSeenError(f"AIAgent {namespace}/{name} exists, but its watch has not told of it yet")
        return AgentIdentity(namespace, name, uid)
