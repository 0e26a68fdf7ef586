"""Gives a successor what its predecessor has left: the files of the archive as a tar, then its memory.

Only the pod of the Job that is waited for gets it, and only what the predecessor's author and the successor's have both
agreed to. Each file is compared with the manifest on its way, and the manifest with its digest: where one is not as it
was sealed, the stream breaks off, and nothing of it is taken. What is personal is decrypted on the way, with the key,
which stays here; logs are not handed over.
"""

from __future__ import annotations

import logging

from aiagent_operator.api import handover
from aiagent_operator.core.archive import archivekey, layout, manifest, wire
from aiagent_operator.core.objects import AgentIdentity
from aiagent_operator.core.succession import Kin
from aiagent_operator.runtime import kinship, paths
from aiagent_operator.runtime.archive import bundle
from aiagent_operator.runtime.archive.bundle import Source
from aiagent_operator.runtime.archive.errors import DisputedError
from aiagent_operator.runtime.archive.keeper import Archive, Keeper
from aiagent_operator.runtime.client import Api
from aiagent_operator.runtime.intake import pods
from aiagent_operator.runtime.intake.callers import Account, Caller
from aiagent_operator.runtime.intake.endpoint import Gift, RefusedError
from aiagent_operator.runtime.store import AgentKey, Store

log = logging.getLogger(__name__)


class Handovers:
    """What the endpoint asks about inheritances. `namespace`: the operator's own."""

    def __init__(self, api: Api, store: Store, namespace: str, archive: Archive | None) -> None:
        self._api, self._store, self._namespace, self._archive = api, store, namespace, archive

    def waits(self, account: Account) -> bool:
        """Whether a Job of the agent whose account this is fetches its inheritance."""
        return pods.waited_for(self._store, account, handover.RUN) is not None

    async def gift(self, caller: Caller) -> Gift:
        """What it gets. Raises RefusedError, StoreError, DisputedError, ArchiveError and ApiError."""
        found = pods.waited_for(self._store, caller.account, handover.RUN)
        if found is None:
            raise RefusedError(403, "nothing is waited for from this account")
        agent, job = found
        if not await pods.is_of(self._api, caller, job):
            raise pods.refuse_stranger()
        its = self.agreed(agent)
        source, readable = await self.opened(agent, its)
        log.info("AIAgent %s/%s: fetches %s", agent.namespace, agent.name, its.archive)
        return Gift(f"AIAgent {agent.namespace}/{agent.name}", bundle.stream(source, readable))

    async def opened(self, agent: AgentIdentity, its: Kin) -> tuple[Source, str]:
        """What the predecessor has left, and the key with which it is read; empty where none is needed.

        Raises RefusedError, StoreError, DisputedError, ArchiveError and ApiError.
        """
        source = await self._source(its)
        if not any(item.encrypted for item in source.manifest.items):
            return source, ""
        former = AgentIdentity(agent.namespace, its.name, its.uid)
        secret = await self._api.find(paths.secret(self._namespace, archivekey.name(former)))
        if secret is None:
            raise RefusedError(409, f"the key of AgentArchive {its.archive} is gone: its payload cannot be read")
        return source, archivekey.identity(secret, former)

    def erased(self, its: Kin) -> bool:
        """Whether what is personal in its archive is erased, or about to be."""
        record = self._store.archives.own(its.archive)
        return record is not None and "erasure" in record.status

    def ended(self, its: Kin) -> str:
        """Why nothing is to be had of its archive any more; empty where something is."""
        record = self._store.archives.own(its.archive)
        if record is None or not {"erasure", "purge"} & record.status.keys():
            return ""
        what = "what is personal in it is erased, by order" if self.erased(its) else "its retention has ended"
        return f"AgentArchive {its.archive} is handed over no more: {what}"

    def agreed(self, agent: AgentIdentity) -> Kin:
        """The predecessor, where both still name each other, and it is archived. Raises RefusedError."""
        key = AgentKey(agent.namespace, agent.name)
        record = self._store.agents.get(key)
        its = kinship.family(self._store, key, record.load()["spec"]).after if record is not None else None
        if its is None or not its.archive or its.successor != agent.name:
            raise RefusedError(403, "no archive is to be handed over to this agent")
        return its

    async def _source(self, its: Kin) -> Source:
        if over := self.ended(its):
            raise RefusedError(409, f"{over}: take spec.succession out, or what asks for a delivery in it")
        record = self._store.archives.own(its.archive)
        keeper = self._keeper(record.spec["store"] if record else "")
        if record is None:
            raise RefusedError(403, "no archive is to be handed over to this agent")
        where = layout.at(record.spec["path"])
        data = await keeper.store.read(where.key(layout.MANIFEST), manifest.LIMIT)
        if wire.digest(data) != its.digest:
            raise DisputedError(f"archive store {keeper.name}: {where.prefix}: its manifest is not {its.digest}")
        said = manifest.read(data, where.prefix)
        return Source(keeper.store, where, data, said)

    def _keeper(self, name: str) -> Keeper:
        found = self._archive.keepers.get(name) if self._archive else None
        if found is None or not found.readable:
            raise RefusedError(503, "the archive store cannot be read now: fetch it again")
        return found
