"""The periodic look at what is not the operator's: bindings, roles, network policies and pods of others.

Read in pages and reduced object by object, never cached: a cluster may have far more of these than agents. A binding
that carries an agent's labels without being the agent's does not hide by that: the watches see it, and it is removed.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Collection
from typing import Any, Final

from aiagent_operator.api import meta
from aiagent_operator.core.rights.exposure import role_facts
from aiagent_operator.core.rights.exposure_facts import Collector, Facts
from aiagent_operator.runtime import metrics
from aiagent_operator.runtime.client import JSON, Api, ApiError, pages
from aiagent_operator.runtime.reflector import METADATA_LIST
from aiagent_operator.runtime.settings import Settings

LOG = logging.getLogger(__name__)

_RBAC: Final = "/apis/rbac.authorization.k8s.io/v1"
_NETWORK: Final = "/apis/networking.k8s.io/v1"
_FOREIGN: Final = {"labelSelector": f"!{meta.LABEL_AGENT_UID}"}
_AGENTS: Final = {"labelSelector": meta.LABEL_AGENT_UID}
# Pods that run as an agent's account without being its own are older than the policies, so they need no hurry.
_PODS_EVERY: Final = 12
_RETRY: Final = 10.0
# The first scan comes before the agents are known, and so looks at no pods: the second follows sooner.
_SECOND: Final = 30.0


class Scanner:
    """Scans on a period. `facts` are those of the last whole scan.

    `agent_namespaces` says where agents are: pods are looked at there only.
    """

    def __init__(self, api: Api, settings: Settings, agent_namespaces: Callable[[], Collection[str]]) -> None:
        self._api, self._settings, self._agent_namespaces = api, settings, agent_namespaces
        self._facts = Facts()
        self._scans = 0
        self._pods_due = 0

    @property
    def facts(self) -> Facts:
        """What the last whole scan found; nothing before the first."""
        return self._facts

    async def first(self) -> None:
        """Returns after the first whole scan; failures are logged and tried again until then."""
        while not self._scans:
            if await self._attempt() is None:
                await asyncio.sleep(min(_RETRY, self._settings.scan_interval))

    async def run(self, on_change: Callable[[set[str]], None]) -> None:
        """Scans until cancelled, and tells the namespaces whose agents are to be judged anew."""
        await self.first()
        pause = min(_SECOND, self._settings.scan_interval)
        while True:
            await asyncio.sleep(pause)
            pause = self._settings.scan_interval
            if changed := await self._attempt():
                on_change(changed)

    async def scan(self) -> set[str]:
        """One scan; returns the namespaces whose agents are to be judged anew.

        Raises ApiError, and the facts stay as they were then: what is unknown is no change.
        """
        began = time.monotonic()
        facts = await self._collect()
        changed = facts.changed(self._facts)
        self._facts = facts
        self._scans += 1
        metrics.SCAN_SECONDS.set(time.monotonic() - began)
        return set(self._agent_namespaces()) if changed is None else changed

    async def _attempt(self) -> set[str] | None:
        try:
            return await self.scan()
        except ApiError as error:
            metrics.SCAN_FAILURES_TOTAL.inc()
            LOG.warning("scan of foreign bindings, network policies and pods put off: %s", error)
            return None

    async def _collect(self) -> Facts:
        collector = Collector(self._settings.username)
        async for role in self._all(f"{_RBAC}/clusterroles"):
            collector.role("", role["metadata"]["name"], role_facts(role.get("rules")))
        async for role in self._each(_RBAC, "roles"):
            collector.role(role["metadata"]["namespace"], role["metadata"]["name"], role_facts(role.get("rules")))
        async for binding in self._all(f"{_RBAC}/clusterrolebindings"):
            collector.binding(binding)
        async for binding in self._each(_RBAC, "rolebindings"):
            collector.binding(binding)
        async for policy in self._each(_NETWORK, "networkpolicies"):
            collector.network_policy(policy)
        namespaces = sorted(self._agent_namespaces())
        await self._selected_pods(collector, namespaces)
        if namespaces and self._scans >= self._pods_due:
            self._pods_due = self._scans + _PODS_EVERY
            await self._foreign_pods(collector, namespaces)
        else:
            collector.facts.borrowed = self._facts.borrowed
        return collector.finish()

    async def _selected_pods(self, collector: Collector, namespaces: list[str]) -> None:
        """Labels of agents' pods, where a foreign policy selects by labels: which agents it means."""
        for namespace in namespaces:
            if collector.selectors(namespace):
                path = f"/api/v1/namespaces/{namespace}/pods"
                async for pod in self._all(path, _AGENTS, accept=METADATA_LIST):
                    collector.agent_pod(namespace, pod["metadata"]["labels"])

    async def _foreign_pods(self, collector: Collector, namespaces: list[str]) -> None:
        """Pods without an agent's labels that run as an agent, in the namespaces where agents' accounts are."""
        params = _FOREIGN | {"fieldSelector": "spec.serviceAccountName!=default"}
        for namespace in namespaces:
            async for pod in self._all(f"/api/v1/namespaces/{namespace}/pods", params):
                collector.pod(namespace, pod["metadata"]["name"], pod["spec"].get("serviceAccountName", ""))

    async def _each(self, group: str, plural: str) -> AsyncIterator[dict[str, Any]]:
        """Foreign objects of all namespaces, or of those that the operator watches."""
        scopes = [f"namespaces/{name}/{plural}" for name in self._settings.watch_namespaces] or [plural]
        for scope in scopes:
            async for item in self._all(f"{group}/{scope}", _FOREIGN):
                yield item

    async def _all(
        self, path: str, params: dict[str, str] | None = None, *, accept: str = JSON
    ) -> AsyncIterator[dict[str, Any]]:
        async for page in pages(self._api, path, params or {}, size=self._settings.page_size, accept=accept):
            for item in page.get("items") or ():
                yield item
