"""What the operator listens to beside its own kinds, and how each change reaches the store."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

from aiagent_operator.api import meta
from aiagent_operator.core.children import observe, selector
from aiagent_operator.core.children.network_policy import DnsPeers
from aiagent_operator.core.objects import ChildKind, ObjectKey
from aiagent_operator.core.plan import Environment
from aiagent_operator.core.rights.grants import NamespaceFacts
from aiagent_operator.core.rights.rules import Ceiling, Rule, read
from aiagent_operator.runtime import paths
from aiagent_operator.runtime.client import Api
from aiagent_operator.runtime.reflector import Reflector
from aiagent_operator.runtime.settings import Settings
from aiagent_operator.runtime.store import Key, RoleKey, Store

log = logging.getLogger(__name__)

_ENDPOINTS = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
_CLUSTER_ROLES = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
# Kinds that agents refer to before anything of theirs bears a label: only names are followed, nothing is kept.
_REFERENCED = (ChildKind.CONFIG_MAP, ChildKind.DEPLOYMENT, ChildKind.STATEFUL_SET)


class World:
    """The environment that is the same for all agents, kept up to date by its own watches."""

    def __init__(self, settings: Settings, store: Store, notify: Callable[[Key], None]) -> None:
        self._store, self._notify = store, notify
        self._dns = DnsPeers(
            namespace_labels=tuple(settings.dns_namespace_selector.items()),
            pod_labels=tuple(settings.dns_pod_selector.items()),
            cidrs=settings.dns_cidrs,
            ports=settings.dns_ports,
        )
        self._fixed = settings.api_addresses
        self._rules: tuple[Rule, ...] | None = None
        self._slices: dict[str, tuple[tuple[str, int], ...]] = {}
        self.environment = Environment(Ceiling(()), self._fixed, self._dns)

    def ceiling(self, cluster_role: dict[str, Any] | None) -> None:
        """Takes in what is grantable; every agent and role is concerned by a change."""
        rules = read(cluster_role.get("rules")) if cluster_role else ()
        if rules == self._rules:
            return
        self._rules = rules
        self._change(Ceiling(rules), self.environment.endpoints)

    def endpoints(self, endpoint_slice: dict[str, Any], *, gone: bool = False) -> None:
        """Takes in addresses of the API server; every agent's NetworkPolicy is concerned by a change."""
        name = endpoint_slice["metadata"]["name"]
        addresses = tuple(
            (address, port["port"])
            for endpoint in endpoint_slice.get("endpoints") or ()
            for address in endpoint["addresses"]
            for port in endpoint_slice.get("ports") or ()
            if (endpoint.get("conditions") or {}).get("ready") is not False
        )
        if gone:
            self._slices.pop(name, None)
        else:
            self._slices[name] = addresses
        known = tuple(sorted({address for part in self._slices.values() for address in part}))
        # An API server that restarts withdraws its address for a moment; agents keep the last one known.
        if known and known != self.environment.endpoints:
            self._change(self.environment.ceiling, known)

    def _change(self, ceiling: Ceiling, endpoints: tuple[tuple[str, int], ...]) -> None:
        self.environment = Environment(ceiling, self._fixed or endpoints, self._dns)
        for role in self._store.roles:
            self._notify(RoleKey(role))
        for key in self._store.agents:
            self._notify(key)


def reflectors(api: Api, settings: Settings, store: Store, world: World) -> list[Reflector]:
    """All watches but those of the operator's own kinds."""
    scopes: tuple[str | None, ...] = settings.watch_namespaces or (None,)
    result = [_namespaces(api, settings, store), _grantable(api, world)]
    if not settings.api_addresses:
        selector = {"labelSelector": "kubernetes.io/service-name=kubernetes"}
        result.append(
            Reflector(
                api,
                _ENDPOINTS,
                params=selector,
                observe=world.endpoints,
                forget=lambda item: world.endpoints(item, gone=True),
            )
        )
    for scope in scopes:
        result.extend(_children(api, settings, store, kind, scope) for kind in ChildKind)
        result.extend(_references(api, store, kind, scope) for kind in _REFERENCED)
    return result


def _children(api: Api, settings: Settings, store: Store, kind: ChildKind, scope: str | None) -> Reflector:
    def forget(item: dict[str, Any]) -> None:
        metadata = item["metadata"]
        key = ObjectKey(kind, metadata["namespace"], metadata["name"])
        store.forget_child(key, metadata["uid"], version=metadata["resourceVersion"])

    def relisted(seen: set[tuple[str, str]] | None) -> None:
        present = seen or set()
        for key in store.known_children(kind):
            if (scope is None or key.namespace == scope) and (key.namespace, key.name) not in present:
                store.forget_child(key)

    return Reflector(
        api,
        paths.collection(kind, scope),
        params={"labelSelector": selector(kind)},
        observe=lambda item: store.observe_child(observe(kind, item)),
        forget=forget,
        relisted=relisted,
        page_size=settings.page_size,
    )


def _references(api: Api, store: Store, kind: ChildKind, scope: str | None) -> Reflector:
    def changed(item: dict[str, Any]) -> None:
        metadata = item["metadata"]
        for key in store.dependents.of((kind.value, metadata["namespace"], metadata["name"])):
            store.notify(key)

    def missed(_: set[tuple[str, str]] | None) -> None:
        for key in store.dependents.of_kind(kind.value):
            store.notify(key)

    return Reflector(
        api,
        paths.collection(kind, scope),
        params={"labelSelector": f"!{meta.LABEL_AGENT_UID}"},
        observe=changed,
        forget=changed,
        relisted=missed,
        listing=False,
        metadata_only=True,
    )


def _namespaces(api: Api, settings: Settings, store: Store) -> Reflector:
    def observe_namespace(item: dict[str, Any]) -> None:
        metadata = item["metadata"]
        labels = metadata.get("labels") or {}
        store.observe_namespace(metadata["name"], NamespaceFacts(labels, "deletionTimestamp" in metadata))

    def forget(item: dict[str, Any]) -> None:
        store.observe_namespace(item["metadata"]["name"], None)

    def relisted(seen: set[tuple[str, str]] | None) -> None:
        present = {name for _, name in seen or ()}
        for name in [name for name in store.namespaces if name not in present]:
            store.observe_namespace(name, None)

    return Reflector(
        api,
        "/api/v1/namespaces",
        observe=observe_namespace,
        forget=forget,
        relisted=relisted,
        page_size=settings.page_size,
        metadata_only=True,
    )


def _grantable(api: Api, world: World) -> Reflector:
    def relisted(seen: set[tuple[str, str]] | None) -> None:
        if not seen:
            log.warning(
                "ClusterRole %s does not exist: nothing can be granted until the chart is installed whole",
                meta.GRANTABLE_CLUSTER_ROLE,
            )
            world.ceiling(None)

    return Reflector(
        api,
        _CLUSTER_ROLES,
        params={"fieldSelector": f"metadata.name={meta.GRANTABLE_CLUSTER_ROLE}"},
        observe=world.ceiling,
        forget=lambda _: world.ceiling(None),
        relisted=relisted,
    )


def unsynced(watches: Iterable[Reflector]) -> list[str]:
    """Resources that have not been listed yet."""
    return sorted({watch.resource for watch in watches if not watch.synced.is_set()})
