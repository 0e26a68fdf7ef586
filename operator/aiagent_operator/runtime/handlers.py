"""kopf's part: it watches the operator's own kinds and hands each event to the store.

Only `on.event` handlers are used: they write nothing to the objects, need no finalizer of kopf's, and cost no memory
beyond the event. Everything else (queue, finalizer, progress) is the operator's own.
"""

from __future__ import annotations

from typing import Any

import kopf

from aiagent_operator.api import meta
from aiagent_operator.runtime import rolerecord
from aiagent_operator.runtime.client import load_configuration
from aiagent_operator.runtime.settings import Settings
from aiagent_operator.runtime.store import Store


def registry(store: Store) -> kopf.OperatorRegistry:
    """The handlers, bound to one store."""
    handlers = kopf.OperatorRegistry()

    @kopf.on.login(registry=handlers)
    async def login(**_: Any) -> kopf.ConnectionInfo:
        return await credentials()

    @kopf.on.event(meta.GROUP, meta.VERSION, "aiagents", registry=handlers)
    async def agents(event: kopf.RawEvent, **_: Any) -> None:
        body: Any = event["object"]
        if event["type"] == "DELETED":
            metadata = body["metadata"]
            store.forget_agent(metadata["namespace"], metadata["name"], metadata["uid"])
        else:
            store.observe_agent(body)

    @kopf.on.event(meta.GROUP, meta.VERSION, "agentroles", registry=handlers)
    async def roles(event: kopf.RawEvent, **_: Any) -> None:
        body: Any = event["object"]
        store.observe_role(body["metadata"]["name"], None if event["type"] == "DELETED" else rolerecord.read(body))

    @kopf.on.event(meta.GROUP, meta.VERSION, "agentpolicies", registry=handlers)
    async def policies(event: kopf.RawEvent, **_: Any) -> None:
        body: Any = event["object"]
        if event["type"] == "DELETED":
            store.policies.forget(body["metadata"]["name"], body["metadata"]["uid"])
        else:
            store.policies.observe(body)

    @kopf.on.event(meta.GROUP, meta.VERSION, "agentactions", registry=handlers)
    async def actions(event: kopf.RawEvent, **_: Any) -> None:
        body: Any = event["object"]
        if event["type"] == "DELETED":
            metadata = body["metadata"]
            store.orders.forget(metadata["namespace"], metadata["name"], metadata["uid"])
        else:
            store.orders.observe(body)

    @kopf.on.event(meta.GROUP, meta.VERSION, "agentarchives", registry=handlers)
    async def archives(event: kopf.RawEvent, **_: Any) -> None:
        body: Any = event["object"]
        if event["type"] == "DELETED":
            store.archives.forget(body["metadata"]["name"], body["metadata"]["uid"])
        else:
            store.archives.observe(body)

    return handlers


class NoDiff(kopf.DiffBaseStorage):
    """Keeps no last-handled state: nothing compares it, and copying each object for it was a tenth of the CPU time."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        """Nothing of the object counts."""
        return kopf.BodyEssence({})

    def fetch(self, **_: Any) -> None:
        """Nothing was stored."""

    def store(self, **_: Any) -> None:
        """Nothing is stored."""


async def credentials() -> kopf.ConnectionInfo:
    """The same credentials as those of the operator's own requests, for kopf's."""
    configuration = await load_configuration()
    token = await configuration.get_api_key_with_prefix("BearerToken", alias="authorization")
    scheme, _, value = (token or "").rpartition(" ")
    return kopf.ConnectionInfo(
        server=configuration.host,
        ca_path=configuration.ssl_ca_cert,
        insecure=not configuration.verify_ssl,
        certificate_path=configuration.cert_file,
        private_key_path=configuration.key_file,
        username=configuration.username or None,
        password=configuration.password or None,
        scheme=scheme or ("Bearer" if value else None),
        token=value or None,
    )


def settings_for_kopf(settings: Settings) -> kopf.OperatorSettings:
    """kopf's own settings, each with its reason."""
    chosen = kopf.OperatorSettings()
    # Events are the operator's to write: kopf would post one for each log line about an object.
    chosen.posting.enabled = False
    # The Lease decides who works; kopf's peering is no lock.
    chosen.peering.standalone = True
    # The kinds are there before the operator starts; watching definitions would need one more right.
    chosen.scanning.disabled = True
    # Ten thousand agents in one answer would be a peak of a hundred megabytes.
    chosen.watching.chunk_size = settings.page_size
    chosen.watching.server_timeout = 300
    chosen.watching.client_timeout = 330
    # Each idle object keeps a task for this long.
    chosen.queueing.idle_timeout = 1.0
    chosen.persistence.diffbase_storage = NoDiff()
    chosen.persistence.finalizer = f"{meta.GROUP}/unused-by-kopf"
    return chosen
