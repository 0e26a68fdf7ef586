"""Has an agent that leaves archived: what it was, what it was allowed to do and what happened to it outlives it.

The steps, each done when the one before is seen to be done: its journal is told to its end; its files and their
manifest are in the archive store; all of it was read back; with a key, the certificate says that none of its rights is
left; an AgentArchive is on record. Only then may the agent go. Whoever is cut off between two steps is followed by one
who finds what is there.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from aiagent_operator.api.conditions import Reason, Type, Verdict
from aiagent_operator.api.decommission import MOST_RIGHTS
from aiagent_operator.core import abandoning, leaving
from aiagent_operator.core.archive import index
from aiagent_operator.core.archive.errors import ArchiveError
from aiagent_operator.core.objects import Manifest
from aiagent_operator.core.plan import Held, Observed, Proof
from aiagent_operator.core.rights import holdings
from aiagent_operator.runtime import paths, report
from aiagent_operator.runtime.abandonment import Abandonments
from aiagent_operator.runtime.agentrecord import AgentRecord
from aiagent_operator.runtime.agentstatus import AgentStatusWriter, Ended
from aiagent_operator.runtime.archive.errors import DisputedError, StoreError
from aiagent_operator.runtime.archive.keeper import Archive
from aiagent_operator.runtime.client import Api, ApiError
from aiagent_operator.runtime.gather import NotYetSeenError
from aiagent_operator.runtime.onrecord import on_record
from aiagent_operator.runtime.prove import account_uid, certify, covers, prove, removed
from aiagent_operator.runtime.queue import WorkQueue
from aiagent_operator.runtime.seals import Foretold, ReadBack, Seals, WaitsError
from aiagent_operator.runtime.store import AgentKey, Key, Store

log = logging.getLogger(__name__)

# Seconds after which an archive that could not be completed is tried again.
_AGAIN: Final = 30.0
# What the API server will say again: no right, no such kind, not valid.
_REFUSED: Final = (400, 403, 404, 422)


class Departures:
    """Archives agents that leave."""

    def __init__(self, api: Api, store: Store, queue: WorkQueue[Key], statuses: AgentStatusWriter) -> None:
        self._api, self._store, self._queue, self._statuses = api, store, queue, statuses
        self._seals = Seals(api, store, statuses)
        self._abandonments = Abandonments(api, store, statuses)
        # Of each agent whose archive this process has put on record, and whose object goes at once: UID and proof.
        self._recorded: dict[AgentKey, tuple[str, Proof]] = {}

    def on_record(self, key: AgentKey, uid: str) -> bool:
        """Whether this process has put the agent's archive on record, and its status need not say so."""
        return self._recorded.get(key, ("",))[0] == uid

    def forget(self, key: AgentKey) -> None:
        """The agent is gone."""
        self._recorded.pop(key, None)

    async def gone(self, key: AgentKey, o: Observed) -> None:
        """Its object has gone: says to people that its rights have ended, where nothing has said so yet."""
        uid, proof = self._recorded.pop(key, ("", None))
        if proof is not None and uid == o.identity.uid:
            await certify(self._api, o, proof)

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
        foretold: list[Foretold] = []

        async def noted(status: Mapping[str, Any]) -> Mapping[str, Any]:
            foretold.extend(found := await self._seals.foretold(key, archive, o, status))
            return found[0].noted if found else {}

        hint = abandoning.hint(o)
        ended = await self._statuses.end(key, record, o.agent.metadata, first=first, hint=hint, later=True, more=noted)
        if ended is None:
            return self._abandonments.silent(key, o)
        why, readable = "", False
        try:
            sealed = await self._seals.sealed(key, archive, o, ended, foretold)
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

    async def _certified(self, key: AgentKey, archive: Archive, o: Observed, found: ReadBack) -> None:
        """Has it certified where there is a key, and put on record."""
        from aiagent_operator.runtime.archive import sealing  # noqa: PLC0415 - see Seals.sealed

        keeper, where, sealed, verified_at = found.keeper, found.where, found.sealed, found.at
        proof = await self._proof(o, found.told.rights())
        certificate = None
        if archive.signing_key is not None:
            ended = sealing.ended(proof, removed(o, proof), keeper.location, verified_at)
            try:
                certificate = await sealing.certify(
                    keeper.store, where, sealed, ended, archive.signing_key, former=archive.former_keys
                )
            except StoreError as error:
                keeper.failed(error)
                raise
        body = index.build(sealed.manifest, sealed.digest, store=keeper.name, path=where.prefix)
        await self._on_record(body, index.status(sealed.manifest, verified_at, certificate, datetime.now(UTC)))
        if leaving.at_once(o):
            # What else is to be done is seen in the cluster: whoever comes after a crash reads the archive once more.
            self._recorded[key] = (o.identity.uid, proof)
            return
        await self._seals.say(key, where, found.ended, {"completed": report.now()})
        await certify(self._api, o, proof)

    async def handed_over(self, o: Observed, record: Mapping[str, Any]) -> None:
        """Has its AgentArchive say how it has handed over. Raises ApiError, and NotYetSeenError where that has gone."""
        name = (o.agent.status.get("archive") or {})["name"]
        found = self._store.archives.records.get(name)
        there = found and await report.write(self._api, paths.archive(name), found.uid, {"handover": record})
        if not there:
            raise NotYetSeenError(f"AgentArchive {name} has gone while {o.agent.metadata.name} was let go")
        self._store.archives.observe(there, answer=True)

    async def _proof(self, o: Observed, rights: tuple[Held, ...]) -> Proof:
        """That nothing is left of all that it ever held, as far as one certificate says it."""
        held = dict.fromkeys((*holdings.rights_held(o), *rights))
        count = itertools.accumulate(len(tuple(rule.rights())) for _, rule in held)
        asked = [each for each, so_far in zip(held, count, strict=True) if so_far <= MOST_RIGHTS]
        if o.proof is not None and covers(o.proof, asked):
            return o.proof
        namespaces = holdings.namespaces_held(o) | {namespace for namespace, _ in asked}
        proof = await prove(self._api, o.identity, asked, namespaces, account_uid(o), read=o.live)
        if proof.remaining:
            raise WaitsError(f"still in force: {'; '.join(proof.remaining)}: it is asked again")
        return proof

    async def _on_record(self, body: Manifest, status: Manifest) -> None:
        try:
            known = body["metadata"]["name"] in self._store.archives.records
            there = await on_record(self._api, body, status, known=known)
        except ApiError as error:
            if error.status in _REFUSED:
                raise WaitsError(f"AgentArchive {body['metadata']['name']} cannot be made: {error}") from error
            raise
        self._store.archives.observe(there)
