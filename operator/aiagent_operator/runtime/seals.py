"""Seals the archives of agents that leave, and reads them back.

The digest of a manifest is noted in the agent's status before the manifest is written. What the journal will be when
its last events are recorded is known before they are, so the manifest is made up then, and its digest noted with them:
one write less. Where it turns out otherwise, another one is made and noted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from aiagent_operator.api.archivestatus import MOST_MANIFESTS
from aiagent_operator.core.archive import index
from aiagent_operator.core.archive.contents import Parcel
from aiagent_operator.core.archive.errors import ArchiveError
from aiagent_operator.core.archive.layout import Layout
from aiagent_operator.core.archive.manifest import Stored
from aiagent_operator.core.journal import book
from aiagent_operator.core.journal.book import Book
from aiagent_operator.core.objects import AgentIdentity, Manifest
from aiagent_operator.core.plan import Observed
from aiagent_operator.runtime import leavings
from aiagent_operator.runtime.agentrecord import AgentRecord
from aiagent_operator.runtime.agentstatus import AgentStatusWriter, Ended
from aiagent_operator.runtime.archive import putting
from aiagent_operator.runtime.archive.errors import DisputedError, StoreError
from aiagent_operator.runtime.archive.keeper import Archive, Keeper
from aiagent_operator.runtime.archive.verdict import MOST_SKEW
from aiagent_operator.runtime.client import Api, ApiError
from aiagent_operator.runtime.gather import NotYetSeenError
from aiagent_operator.runtime.leavings import Leavings
from aiagent_operator.runtime.store import AgentKey, Store

if TYPE_CHECKING:
    from aiagent_operator.runtime.archive.sealing import Sealed


class WaitsError(Exception):
    """The archive cannot be completed now; the message says why, and what to do about it."""


@dataclass(frozen=True, slots=True)
class ReadBack:
    """An archive that is sealed, and was read back at that moment."""

    keeper: Keeper
    where: Layout
    sealed: Sealed
    told: leavings.Told
    at: datetime
    ended: Ended


@dataclass(frozen=True, slots=True)
class Foretold:
    """A manifest as it will be once all that is noted is recorded, of what it will be, and what the status is to say
    of it before."""

    told: leavings.Told
    parcel: Parcel
    files: tuple[Stored, ...]
    sealed: Sealed
    noted: Mapping[str, Any]


class Seals:
    """Seals archives."""

    def __init__(self, api: Api, store: Store, statuses: AgentStatusWriter) -> None:
        self._api, self._store, self._statuses = api, store, statuses
        self._leavings = Leavings(api, store)

    async def foretold(
        self, key: AgentKey, archive: Archive, o: Observed, status: Mapping[str, Any]
    ) -> tuple[Foretold, ...]:
        """The manifest, where the journal of this status will be what is noted there, and nothing else; none where
        that cannot be known now: what is in the way is said when it is sealed."""
        from aiagent_operator.runtime.archive import sealing  # noqa: PLC0415 - see sealed

        raw = {**self._current(key, o.identity.uid).load(), "status": status}
        known, where = book.read(status), Layout(o.identity.uid, index.name(o.identity))
        try:
            keeper = keeper_of(archive, known.store)
            self._in_time()
            told = await self._told(keeper, o.identity, known)
            parcel = await self._leavings.parcel(keeper.store, raw, o, told)
            files = (*map(putting.stored, parcel.files), *parcel.stored)
            left = await sealing.left(keeper.store, where, files)
            sealed = sealing.made(where, parcel, files, datetime.now(UTC), left)
        except (StoreError, DisputedError, ArchiveError, WaitsError, ApiError):
            return ()
        said = status.get("archive") or {}
        noted = {"archive": {**said, "name": where.archive, "manifests": _with(noted_in(raw), sealed.digest)}}
        return (Foretold(told, parcel, files, sealed, noted),)

    async def sealed(
        self, key: AgentKey, archive: Archive, o: Observed, ended: Ended, foretold: Sequence[Foretold] = ()
    ) -> ReadBack:
        """Its archive, sealed and read back. Raises StoreError, DisputedError, ArchiveError, and WaitsError."""
        # The libraries that sign take 10 MB, which an operator from which nobody leaves does without.
        from aiagent_operator.runtime.archive import sealing  # noqa: PLC0415

        raw = self._current(key, o.identity.uid).load()
        known = book.read({"journal": ended.journal})
        keeper = keeper_of(archive, known.store)
        where = Layout(o.identity.uid, index.name(o.identity))
        as_told = next((each for each in foretold if each.told.head == known.head), None)
        try:
            told = as_told.told if as_told else await self._told(keeper, o.identity, known)
            sealed = await sealing.found(keeper.store, where, noted_in(raw), keys=archive.keys)
            if sealed is not None:
                await self._note(key, ended, where, sealed.digest)
            else:
                self._in_time()
                parcel = as_told.parcel if as_told else await self._leavings.parcel(keeper.store, raw, o, told)
                files = (*await putting.put(keeper.store, where, parcel.files), *parcel.stored)
                if as_told and files == as_told.files:
                    sealed = as_told.sealed
                else:
                    left = await sealing.left(keeper.store, where, files)
                    sealed = sealing.made(where, parcel, files, datetime.now(UTC), left)
                await self._note(key, ended, where, sealed.digest)
                await sealing.seal(keeper.store, where, sealed)
            await sealing.sums(keeper.store, where, sealed)
            await sealing.read_back(keeper.store, where, sealed)
        except StoreError as error:
            keeper.failed(error)
            raise
        return ReadBack(keeper, where, sealed, told, datetime.now(UTC), ended)

    async def say(self, key: AgentKey, where: Layout, ended: Ended, fields: Manifest) -> None:
        """Says it of the archive, and where its journal has ended, unless that is said already."""
        record = self._current(key, where.agent_uid)
        status = record.load().get("status") or {}
        archive = {**(status.get("archive") or {}), "name": where.archive, **fields}
        if await self._statuses.write(key, record, {**ended.unsaid(status), "archive": archive}) is None:
            raise NotYetSeenError(f"AIAgent {key.namespace}/{key.name} has changed while it was archived")

    async def _told(self, keeper: Keeper, agent: AgentIdentity, known: Book) -> leavings.Told:
        """The journal as it is in the store, and as it will be once what waits is recorded."""
        told = await leavings.told(keeper.store, agent.uid, known.head)
        if not known.waiting.events:
            return told
        if told.gaps:
            raise WaitsError("the journal cannot be read whole")
        records, head = known.foretold(agent)
        return leavings.of((*told.raw, *records), agent.uid, head)

    def _in_time(self) -> None:
        """Raises WaitsError where the clock is wrong: a certificate of what was sealed tomorrow is never true."""
        ahead = self._api.ahead
        if ahead is not None and ahead > MOST_SKEW:
            raise WaitsError(
                f"the operator's clock is {ahead.total_seconds():.0f} s ahead of the API server's, and would seal an "
                "archive in the future: set the one that is wrong"
            )

    async def _note(self, key: AgentKey, ended: Ended, where: Layout, digest: str) -> None:
        """Says in the status which manifest is about to be written: only such a one is the operator's own."""
        before = noted_in(self._current(key, where.agent_uid).load())
        if digest not in before:
            await self.say(key, where, ended, {"manifests": _with(before, digest)})

    def _current(self, key: AgentKey, uid: str) -> AgentRecord:
        record = self._store.agents.get(key)
        if record is None or record.uid != uid:
            raise NotYetSeenError(f"AIAgent {key.namespace}/{key.name} has gone while it was archived")
        return record


def keeper_of(archive: Archive, name: str) -> Keeper:
    """The store of that name, which can be used now. Raises WaitsError."""
    keeper = archive.keepers.get(name)
    if keeper is None:
        raise WaitsError(
            f'there is no archive store "{name}", where its journal is: describe it (values archive.stores)'
        )
    if not keeper.usable:
        raise WaitsError(keeper.problem)
    return keeper


def noted_in(raw: Manifest) -> tuple[str, ...]:
    """Digests of the manifests that the agent's status knows."""
    return tuple(((raw.get("status") or {}).get("archive") or {}).get("manifests") or ())


def _with(before: Sequence[str], digest: str) -> list[str]:
    return [*before, digest][-MOST_MANIFESTS:]
