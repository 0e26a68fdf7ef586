"""Has an agent that leaves archived: what it was, what it was allowed to do and what happened to it outlives it.

The steps, each done when the one before is seen to be done: its journal is told to its end; its files and their
manifest are in the archive store; all of it was read back; with a key, the certificate says that none of its rights is
left; an AgentArchive is on record. Only then may the agent go. Whoever is cut off between two steps is followed by one
who finds what is there.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from aiagent_operator.api import meta
from aiagent_operator.api.archivestatus import MOST_MANIFESTS
from aiagent_operator.api.conditions import Reason, Type, Verdict
from aiagent_operator.api.decommission import MOST_RIGHTS, Removed
from aiagent_operator.core import abandoning
from aiagent_operator.core.archive import index
from aiagent_operator.core.archive.errors import ArchiveError
from aiagent_operator.core.archive.layout import Layout
from aiagent_operator.core.children import role
from aiagent_operator.core.journal import book
from aiagent_operator.core.objects import ChildKind, Manifest
from aiagent_operator.core.plan import Held, Observed, Proof
from aiagent_operator.core.rights import holdings
from aiagent_operator.runtime import leavings, paths, report
from aiagent_operator.runtime.abandonment import Abandonments
from aiagent_operator.runtime.agentrecord import AgentRecord
from aiagent_operator.runtime.agentstatus import AgentStatusWriter, Ended
from aiagent_operator.runtime.archive.errors import DisputedError, StoreError
from aiagent_operator.runtime.archive.keeper import Archive, Keeper
from aiagent_operator.runtime.archive.putting import put
from aiagent_operator.runtime.archive.verdict import MOST_SKEW
from aiagent_operator.runtime.client import Api, ApiError
from aiagent_operator.runtime.gather import NotYetSeenError
from aiagent_operator.runtime.leavings import Leavings
from aiagent_operator.runtime.onrecord import on_record
from aiagent_operator.runtime.prove import account_uid, certify, prove
from aiagent_operator.runtime.queue import WorkQueue
from aiagent_operator.runtime.store import AgentKey, Key, Store

if TYPE_CHECKING:
    from aiagent_operator.runtime.archive.sealing import Sealed

log = logging.getLogger(__name__)

# Seconds after which an archive that could not be completed is tried again.
_AGAIN: Final = 30.0
# What the API server will say again: no right, no such kind, not valid.
_REFUSED: Final = (400, 403, 404, 422)


@dataclass(frozen=True, slots=True)
class _ReadBack:
    """An archive that is sealed, and was read back at that moment."""

    keeper: Keeper
    where: Layout
    sealed: Sealed
    told: leavings.Told
    at: datetime
    ended: Ended


class WaitsError(Exception):
    """The archive cannot be completed now; the message says why, and what to do about it."""


class Departures:
    """Archives agents that leave."""

    def __init__(self, api: Api, store: Store, queue: WorkQueue[Key], statuses: AgentStatusWriter) -> None:
        self._api, self._store, self._queue, self._statuses = api, store, queue, statuses
        self._leavings = Leavings(api, store)
        self._abandonments = Abandonments(api, store, statuses)

    async def archived(self, key: AgentKey, record: AgentRecord, o: Observed, first: Mapping[str, Any]) -> bool:
        """Brings the archive to its end; False where it waits, and the status says for what. `first`: fields that the
        status has to say before.

        Where that fails and an order lets the agent go all the same, it is put on record that there is no archive.
        """
        archive = self._statuses.journal.archive
        if archive is None:
            return False
        try:
            if not abandoning.given_up(o.agent.status):
                why = await self._problem(key, record, o, archive, first)
                if why is None:
                    return True
                if not (why and abandoning.granted(o)):
                    return False
                if not await self._abandonments.note(key, o, why):
                    return True
            await self._abandonments.put_on_record(key, o, archive.default)
        except (DisputedError, ArchiveError, WaitsError) as error:
            await self._waits(key, o, str(error))
            return False
        return True

    async def _problem(
        self, key: AgentKey, record: AgentRecord, o: Observed, archive: Archive, first: Mapping[str, Any]
    ) -> str | None:
        """Why it cannot be archived now, which its status says; None where it is archived, empty where that is tried
        again whatever was ordered."""
        ended = await self._statuses.end(
            key, record, o.agent.metadata, first=first, hint=abandoning.hint(o), later=True
        )
        if ended is None:
            return self._abandonments.silent(key, o)
        why, readable = "", False
        try:
            sealed = await self._sealed(key, archive, o, ended)
            readable = True
            await self._certified(key, archive, o, sealed)
        except (StoreError, DisputedError, ArchiveError, WaitsError, ApiError) as error:
            if isinstance(error, ApiError) and not abandoning.granted(o):
                raise
            why = str(error)
            hint = "It is sealed and can be read, so it is not abandoned" if readable else abandoning.hint(o)
            await self._waits(key, o, f"{why}. {hint}" if hint else why, ended)
            return "" if readable else why
        return None

    async def _waits(self, key: AgentKey, o: Observed, why: str, ended: Ended | None = None) -> None:
        text = f"Its rights have ended, and its archive waits: {why}"
        log.warning("AIAgent %s/%s: %s", key.namespace, key.name, text)
        ready = Verdict(Type.READY, False, Reason.OFFBOARDING, text)
        said = (ready, Verdict(Type.RECONCILING, True, ready.reason, text))
        await self._statuses.waits(key, o.identity.uid, said, ended)
        self._queue.add_after(key, _AGAIN)

    async def _sealed(self, key: AgentKey, archive: Archive, o: Observed, ended: Ended) -> _ReadBack:
        """Its archive, sealed and read back."""
        # The libraries that sign take 10 MB, which an operator from which nobody leaves does without.
        from aiagent_operator.runtime.archive import sealing  # noqa: PLC0415

        raw = self._current(key, o.identity.uid).load()
        known = book.read({"journal": ended.journal})
        keeper = keeper_of(archive, known.store)
        where = Layout(o.identity.uid, index.name(o.identity))
        try:
            told = await leavings.told(keeper.store, o.identity.uid, known.head)
            sealed = await sealing.found(keeper.store, where, _noted(raw), keys=archive.keys)
            if sealed is not None:
                await self._note(key, ended, where, sealed.digest)
            else:
                self._in_time()
                parcel = await self._leavings.parcel(keeper.store, raw, o, told)
                files = (*await put(keeper.store, where, parcel.files), *parcel.stored)
                left = await sealing.left(keeper.store, where, files)
                sealed = sealing.made(where, parcel, files, datetime.now(UTC), left)
                await self._note(key, ended, where, sealed.digest)
                await sealing.seal(keeper.store, where, sealed)
            await sealing.sums(keeper.store, where, sealed)
            await sealing.read_back(keeper.store, where, sealed)
        except StoreError as error:
            keeper.failed(error)
            raise
        return _ReadBack(keeper, where, sealed, told, datetime.now(UTC), ended)

    def _in_time(self) -> None:
        """Raises WaitsError where the clock is wrong: a certificate of what was sealed tomorrow is never true."""
        ahead = self._api.ahead
        if ahead is not None and ahead > MOST_SKEW:
            raise WaitsError(
                f"the operator's clock is {ahead.total_seconds():.0f} s ahead of the API server's, and would seal an "
                "archive in the future: set the one that is wrong"
            )

    async def _certified(self, key: AgentKey, archive: Archive, o: Observed, found: _ReadBack) -> None:
        """Has it certified where there is a key, and put on record."""
        from aiagent_operator.runtime.archive import sealing  # noqa: PLC0415 - see _sealed

        keeper, where, sealed, verified_at = found.keeper, found.where, found.sealed, found.at
        proof = await self._proof(o, found.told.rights())
        certificate = None
        if archive.signing_key is not None:
            ended = sealing.ended(proof, _removed(o, proof), keeper.location, verified_at)
            try:
                certificate = await sealing.certify(
                    keeper.store, where, sealed, ended, archive.signing_key, former=archive.former_keys
                )
            except StoreError as error:
                keeper.failed(error)
                raise
        body = index.build(sealed.manifest, sealed.digest, store=keeper.name, path=where.prefix)
        await self._on_record(body, index.status(sealed.manifest, verified_at, certificate, datetime.now(UTC)))
        await self._write(key, where, found.ended, {"completed": report.now()})
        await certify(self._api, o, proof)

    async def handed_over(self, o: Observed, record: Mapping[str, Any]) -> None:
        """Has its AgentArchive say how it has handed over. Raises ApiError, and NotYetSeenError where that has gone."""
        name = (o.agent.status.get("archive") or {})["name"]
        found = self._store.archives.records.get(name)
        there = found and await report.write(self._api, paths.archive(name), found.uid, {"handover": record})
        if not there:
            raise NotYetSeenError(f"AgentArchive {name} has gone while {o.agent.metadata.name} was let go")
        self._store.archives.observe(there, answer=True)

    async def _note(self, key: AgentKey, ended: Ended, where: Layout, digest: str) -> None:
        """Says in the status which manifest is about to be written: only such a one is the operator's own."""
        before = _noted(self._current(key, where.agent_uid).load())
        if digest not in before:
            await self._write(key, where, ended, {"manifests": [*before, digest][-MOST_MANIFESTS:]})

    async def _write(self, key: AgentKey, where: Layout, ended: Ended, fields: Manifest) -> None:
        """Says it of the archive, and where its journal has ended, unless that is said already."""
        record = self._current(key, where.agent_uid)
        status = record.load().get("status") or {}
        archive = {**(status.get("archive") or {}), "name": where.archive, **fields}
        if await self._statuses.write(key, record, {**ended.unsaid(status), "archive": archive}) is None:
            raise NotYetSeenError(f"AIAgent {key.namespace}/{key.name} has changed while it was archived")

    async def _proof(self, o: Observed, rights: tuple[Held, ...]) -> Proof:
        """That nothing is left of all that it ever held, as far as one certificate says it."""
        held = dict.fromkeys((*holdings.rights_held(o), *rights))
        count = itertools.accumulate(len(tuple(rule.rights())) for _, rule in held)
        asked = [each for each, so_far in zip(held, count, strict=True) if so_far <= MOST_RIGHTS]
        if o.proof is not None and _covers(o.proof, asked):
            return o.proof
        namespaces = holdings.namespaces_held(o) | {namespace for namespace, _ in asked}
        proof = await prove(self._api, o.identity, asked, namespaces, account_uid(o))
        if proof.remaining:
            raise WaitsError(f"still in force: {'; '.join(proof.remaining)}: it is asked again")
        return proof

    async def _on_record(self, body: Manifest, status: Manifest) -> None:
        try:
            there = await on_record(self._api, body, status)
        except ApiError as error:
            if error.status in _REFUSED:
                raise WaitsError(f"AgentArchive {body['metadata']['name']} cannot be made: {error}") from error
            raise
        self._store.archives.observe(there)

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


def _covers(proof: Proof, asked: Iterable[Held]) -> bool:
    """Whether the proof has an answer about each of the rights."""
    known = {(answer.namespace, answer.right) for answer in proof.answers}
    return all((namespace, right) in known for namespace, rule in asked for right in rule.rights())


def _noted(raw: Manifest) -> tuple[str, ...]:
    return tuple(((raw.get("status") or {}).get("archive") or {}).get("manifests") or ())


def _removed(o: Observed, proof: Proof) -> tuple[Removed, ...]:
    """The agent's bindings and its account, which the proof has seen gone."""
    agent = o.identity
    bindings = (
        Removed(
            kind=ChildKind.ROLE_BINDING.value,
            namespace=namespace,
            name=role.name_in(agent, namespace),
            gone_at=proof.ended_at,
        )
        for namespace in sorted(holdings.namespaces_held(o) | {asking.namespace for asking in proof.answers})
    )
    account = Removed(
        kind=ChildKind.SERVICE_ACCOUNT.value,
        namespace=agent.namespace,
        name=meta.account_name(agent.name),
        uid=account_uid(o) or None,
        gone_at=proof.ended_at,
    )
    return (*bindings, account)
