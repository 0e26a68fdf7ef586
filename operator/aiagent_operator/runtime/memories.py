"""Has the volumes of an agent that leaves captured, its decision log and its memory: says where to send each, takes it
in, and notes what became of it.

Whoever leads listens; a Job that has been told of another leader is made anew. A volume counts once it is noted in the
store, and the first note holds: what comes after the end, or a second time, is refused.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final

from aiagent_operator.api import capture
from aiagent_operator.api.archive import Encryption, Gap, GapReason
from aiagent_operator.api.conditions import Reason, Type, Verdict
from aiagent_operator.core import memories
from aiagent_operator.core.archive import index, layout, manifest
from aiagent_operator.core.archive.errors import ArchiveError
from aiagent_operator.core.archive.layout import Layout
from aiagent_operator.core.archive.manifest import Stored
from aiagent_operator.core.archive.sending import Received
from aiagent_operator.core.children.memory import Intake
from aiagent_operator.core.journal.stored import StoredError
from aiagent_operator.core.memories import What
from aiagent_operator.core.objects import AgentIdentity, Child
from aiagent_operator.core.plan import Observed, Plan
from aiagent_operator.runtime import archivekeys
from aiagent_operator.runtime.agentstatus import AgentStatusWriter
from aiagent_operator.runtime.archive import captured
from aiagent_operator.runtime.archive.errors import DisputedError, StoreError
from aiagent_operator.runtime.archive.keeper import Keeper
from aiagent_operator.runtime.archive.store import Store as ArchiveStore
from aiagent_operator.runtime.archive.store import Uploaded
from aiagent_operator.runtime.client import Api
from aiagent_operator.runtime.gather import NotYetSeenError
from aiagent_operator.runtime.handovers import Handovers
from aiagent_operator.runtime.intake import callers, pods
from aiagent_operator.runtime.intake.callers import Account, Caller
from aiagent_operator.runtime.intake.endpoint import Endpoint, Place, RefusedError
from aiagent_operator.runtime.journal import Journal
from aiagent_operator.runtime.queue import WorkQueue
from aiagent_operator.runtime.settings import Settings
from aiagent_operator.runtime.store import AgentKey, Key, Store

log = logging.getLogger(__name__)

# Seconds after which what the store did not take is tried again.
_AGAIN: Final = 30.0


class Memories:
    """The desk of the endpoint, and what the passes over agents ask of it."""

    def __init__(self, api: Api, store: Store, queue: WorkQueue[Key], settings: Settings, journal: Journal) -> None:
        self._api, self._store, self._queue, self._settings = api, store, queue, settings
        self._archive, self._journal = journal.archive, journal
        self._handovers = Handovers(api, store, settings.namespace, journal.archive)
        self._endpoint: Endpoint | None = None
        # Agents and items of which this process knows that the store had nothing before.
        self._asked: set[tuple[str, str]] = set()
        # Whether anybody has to be listened to, and whether it listens, or never will: before that nothing is decided.
        self._needed, self._known = asyncio.Event(), asyncio.Event()
        self._problem = "the operator takes no volumes: it was not told its address and image (value archive.memory)"

    async def run(self) -> None:
        """Listens until cancelled, from when a volume is first to be sent or filled: TLS takes 10 MB, which an
        operator does without from which nobody leaves."""
        await self._needed.wait()
        endpoint = await self._listening()
        self._endpoint = endpoint
        self._known.set()
        if endpoint is None:
            return
        try:
            await asyncio.Event().wait()
        finally:
            # It stays known: a pass that is still under way must not take the end of this process for a refusal.
            await endpoint.stop()

    async def _listening(self) -> Endpoint | None:
        chosen = self._settings
        if self._archive is None or not chosen.pod_ip or not chosen.image:
            return None
        endpoint = Endpoint(
            self,
            lambda token: callers.review(self._api, token),
            address=chosen.pod_ip,
            port=chosen.upload_port,
            giver=self._handovers,
        )
        try:
            await endpoint.start()
        except OSError as error:
            # Agents work on without it, and it is said of each volume that is not archived.
            self._problem = f"the operator cannot listen on port {chosen.upload_port}: {error.strerror}"
            log.exception("volumes of agents that leave are not archived")
            return None
        return endpoint

    async def step(
        self, key: AgentKey, o: Observed, plan: Plan, statuses: AgentStatusWriter, intakes: list[Intake]
    ) -> bool:
        """Does what the plan asks for; False where it waits. What it learns goes to `intakes`. Raises ApiError."""
        wanted = memories.asked(o)
        if plan.missing is not None and wanted is not None:
            return await self.over(key, o, wanted.what, plan.missing, statuses)
        if wanted is not None and not plan.needs_outlet and await self._taken_before(key, o.identity, wanted.what):
            await self._done(key, o, wanted.what, statuses)
            return True
        intakes.append(await (self.outlet() if plan.needs_outlet else self.intake(o)))
        return True

    async def _taken_before(self, key: AgentKey, agent: AgentIdentity, what: What) -> bool:
        """Whether another process had it noted, and was cut off before it could say so: a volume is not sent twice."""
        keeper = self._keeper(key, agent.uid)
        if (agent.uid, what.item) in self._asked or isinstance(keeper, str):
            return False
        try:
            found = await _became(keeper.store, agent.uid, what)
        except StoreError as error:
            keeper.failed(error)
            return False
        except DisputedError:
            # It is said where it is noted.
            return False
        self._asked.add((agent.uid, what.item))
        return found is not None

    async def _listens(self) -> Endpoint | None:
        self._needed.set()
        await self._known.wait()
        return self._endpoint

    async def outlet(self) -> Intake:
        """Where an inheritance is to be had."""
        endpoint, chosen = await self._listens(), self._settings
        if endpoint is None:
            return Intake(problem=self._problem)
        return Intake(endpoint.gives, endpoint.certificate, chosen.image, deadline=int(chosen.memory_deadline))

    async def intake(self, o: Observed) -> Intake:
        """Where the volumes of this agent are sent to. Raises ApiError."""
        endpoint, chosen = await self._listens(), self._settings
        if endpoint is None:
            return Intake(problem=self._problem)
        keeper = self._keeper(AgentKey(o.identity.namespace, o.identity.name), o.identity.uid)
        if isinstance(keeper, str):
            return Intake(waits=keeper)
        try:
            key = (await self._encryption(o.identity)).key_id
        except ArchiveError as error:
            return Intake(waits=str(error))
        return Intake(endpoint.url, endpoint.certificate, chosen.image, key, int(chosen.memory_deadline))

    async def over(self, key: AgentKey, o: Observed, what: What, gap: Gap, statuses: AgentStatusWriter) -> bool:
        """Notes that it is missing, unless it is there; False where the store has to be waited for."""
        if waits := await self._noted(self._keeper(key, o.identity.uid), o.identity, what, gap):
            text = f"Its rights have ended, and its archive waits: {waits}"
            log.warning("AIAgent %s/%s: %s", key.namespace, key.name, text)
            ready = Verdict(Type.READY, False, Reason.OFFBOARDING, text)
            await statuses.waits(key, o.identity.uid, (ready, Verdict(Type.RECONCILING, True, ready.reason, text)))
            self._queue.add_after(key, _AGAIN)
            return False
        await self._done(key, o, what, statuses)
        return True

    async def _noted(self, keeper: Keeper | str, agent: AgentIdentity, what: What, gap: Gap) -> str:
        """For what it has to wait; empty once it is noted."""
        if isinstance(keeper, str):
            return keeper
        try:
            if await _became(keeper.store, agent.uid, what) is None:
                whose = (agent.namespace, agent.name, what.said)
                log.warning("AIAgent %s/%s: its %s is not archived: %s", *whose, gap.message)
                await captured.note(keeper.store, agent.uid, gap)
        except StoreError as error:
            keeper.failed(error)
            return str(error)
        except DisputedError as error:
            return str(error)
        return ""

    async def _done(self, key: AgentKey, o: Observed, what: What, statuses: AgentStatusWriter) -> None:
        record = self._store.agents.get(key)
        if record is None or record.uid != o.identity.uid:
            raise NotYetSeenError(f"AIAgent {key.namespace}/{key.name} has gone while its {what.said} was captured")
        archive: dict[str, Any] = (record.load().get("status") or {}).get("archive") or {}
        self._asked.discard((o.identity.uid, what.item))
        if await statuses.write(key, record, {"archive": memories.captured(o, what, archive)}) is None:
            raise NotYetSeenError(f"AIAgent {key.namespace}/{key.name} has changed while its {what.said} was captured")

    # What the endpoint asks.

    def waits(self, account: Account) -> bool:
        """Whether a Job of the agent whose account for that this is sends a volume."""
        return self._job(account) is not None

    async def place(self, caller: Caller) -> Place:
        """Where it goes. Raises RefusedError, StoreError and ApiError."""
        agent, what = await self._sender(caller)
        keeper = self._usable(agent)
        if await _became(keeper.store, agent.uid, what) is not None:
            raise RefusedError(409, "its archive is made already")
        where = Layout(agent.uid, index.name(agent))
        name = f"AIAgent {agent.namespace}/{agent.name} ({what.said})"
        return Place(name, keeper.store, where.prefix, layout.encrypted(what.item))

    async def took(self, caller: Caller, place: Place, uploaded: Uploaded, received: Received) -> None:
        """Notes that it is there. Raises RefusedError where it is too late, StoreError and ApiError."""
        agent, what = await self._sender(caller)
        path = Layout(agent.uid, index.name(agent)).path(uploaded.name)
        stored = Stored(path, uploaded.sha256, uploaded.size, personal=True, encrypted=await self._encryption(agent))
        await captured.note(place.store, agent.uid, stored, left_out(received, what))
        if await _became(place.store, agent.uid, what) != stored:
            raise RefusedError(409, "its archive is made without it")
        self._queue.add(AgentKey(agent.namespace, agent.name))

    def failed(self, place: Place, error: StoreError) -> None:
        """The store did not take it: it is not asked again before it is proved."""
        for keeper in self._archive.keepers.values() if self._archive else ():
            if keeper.store is place.store:
                keeper.failed(error)

    async def _sender(self, caller: Caller) -> tuple[AgentIdentity, What]:
        """The agent whose Job's pod asks, and what that sends. Raises RefusedError and ApiError."""
        found = self._job(caller.account)
        if found is None:
            raise RefusedError(403, "nothing is waited for from this account")
        agent, job = found
        if job.job is None or not await pods.is_of(self._api, caller, job):
            raise pods.refuse_stranger()
        return agent, memories.BY_RUN[job.job.run]

    def _job(self, account: Account) -> tuple[AgentIdentity, Child] | None:
        return pods.waited_for(self._store, account, capture.RUN, memories.BY_RUN)

    def _usable(self, agent: AgentIdentity) -> Keeper:
        keeper = self._keeper(AgentKey(agent.namespace, agent.name), agent.uid)
        if isinstance(keeper, str):
            raise RefusedError(503, "its archive store does not take records now: send it again")
        return keeper

    async def _encryption(self, agent: AgentIdentity) -> Encryption:
        return await archivekeys.encryption(self._api, self._settings.namespace, agent)

    def _keeper(self, key: AgentKey, uid: str) -> Keeper | str:
        """The store of its archive, if it can be used now; else for what that waits."""
        record = self._store.agents.get(key)
        if record is None or record.uid != uid:
            return "it has gone"
        try:
            found = self._journal.keeper(key, record)
        except StoredError as error:
            return str(error)
        return found if isinstance(found, str) or found.usable else found.problem


async def _became(store: ArchiveStore, uid: str, what: What) -> Stored | Gap | None:
    """What is noted of it. Raises StoreError and DisputedError."""
    for each in (note for notes in await captured.noted(store, uid) for note in notes):
        if layout.item(each.path) == what.item:
            return each
    return None


def left_out(received: Received, what: What) -> Gap | None:
    """What of the volume is not in the tar: by a path of its own, since the tar is there."""
    packed = received.packed
    parts = [
        f"{count} {what}"
        for count, what in (
            (packed.unreadable, "could not be read"),
            (packed.changed, "changed while they were read"),
        )
        if count
    ]
    if not parts:
        return None
    reason = GapReason.UNREADABLE if packed.unreadable else GapReason.CHANGED_MEANWHILE
    text = f"of the files and folders of its {what.said} {' and '.join(parts)}: the tar's last entry names them"
    return manifest.gap(what.rest, reason, text)
