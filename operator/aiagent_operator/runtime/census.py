"""What there is of our kinds, by asking the API server: what watches have not delivered, or have not seen go."""

from __future__ import annotations

from aiagent_operator.api import meta
from aiagent_operator.runtime import paths
from aiagent_operator.runtime.client import Api, pages
from aiagent_operator.runtime.orders import ActionKey
from aiagent_operator.runtime.reflector import METADATA_LIST
from aiagent_operator.runtime.settings import Settings
from aiagent_operator.runtime.store import AgentKey, Store


class Census:
    """Compares the store with the API server, in the namespaces that are watched."""

    def __init__(self, api: Api, settings: Settings, store: Store) -> None:
        self._api, self._store = api, store
        self._namespaces, self._page_size = settings.watch_namespaces, settings.page_size

    def known(self) -> int:
        """How many objects of our kinds have been delivered."""
        store = self._store
        records = (store.policies.records, store.orders.records, store.archives.records)
        return len(store.agents) + len(store.roles) + sum(len(each) for each in records)

    async def number(self) -> int:
        """How many objects of our kinds there are, by a page of one each: the rest is counted, not sent.

        Raises ApiError.
        """
        total = 0
        for path in self._paths():
            page = await self._api.request("GET", path, params={"limit": "1"}, accept=METADATA_LIST)
            total += len(page.get("items") or ()) + int(page["metadata"].get("remainingItemCount") or 0)
        return total

    async def undelivered(self) -> list[str]:
        """Kinds and names of those that the API server has and the store has not. Raises ApiError."""
        agents = await self._listed("aiagents")
        missing = [f"AIAgent {ns}/{name}" for ns, name in agents if AgentKey(ns, name) not in self._store.agents]
        roles = await self._listed("agentroles")
        missing += [f"AgentRole {name}" for _, name in roles if name not in self._store.roles]
        policies = await self._listed("agentpolicies")
        missing += [f"AgentPolicy {name}" for _, name in policies if name not in self._store.policies.records]
        actions, known = await self._listed("agentactions"), self._store.orders.records
        missing += [f"AgentAction {ns}/{name}" for ns, name in actions if ActionKey(ns, name) not in known]
        archives = await self._listed("agentarchives")
        return missing + [f"AgentArchive {name}" for _, name in archives if name not in self._store.archives.records]

    async def compare(self) -> None:
        """Has the store forget what has gone, and learn what is newer. Raises ApiError."""
        present = await self._listed("aiagents")
        for key, record in list(self._store.agents.items()):
            if present.get(key) == record.uid:
                continue
            # Newer than the list, or gone.
            live = await self._api.find(paths.agent(*key))
            if live is None or live["metadata"]["uid"] != record.uid:
                self._store.forget_agent(*key, record.uid)
            if live is not None:
                self._store.observe_agent(live)
        # What was known before the list and is not on it has gone.
        known = list(self._store.orders.records.items())
        orders = await self._listed("agentactions")
        for action, order in known:
            if orders.get((action.namespace, action.name)) != order.uid:
                self._store.orders.forget(action.namespace, action.name, order.uid)
        rules = list(self._store.policies.records.items())
        policies = await self._listed("agentpolicies")
        for name, policy in rules:
            if policies.get(("", name)) != policy.uid:
                self._store.policies.forget(name, policy.uid)
        kept = list(self._store.archives.records.items())
        archives = await self._listed("agentarchives")
        for name, archive in kept:
            if archives.get(("", name)) != archive.uid:
                self._store.archives.forget(name, archive.uid)

    def _paths(self, *plurals: str) -> list[str]:
        """Collections of our kinds, in the namespaces that are watched."""
        root = f"/apis/{meta.API_VERSION}"
        scopes = [f"{root}/namespaces/{name}" for name in self._namespaces] or [root]
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
            async for page in pages(self._api, path, {}, size=self._page_size, accept=METADATA_LIST):
                for item in page.get("items") or ():
                    metadata = item["metadata"]
                    found[metadata.get("namespace", ""), metadata["name"]] = metadata["uid"]
        return found
