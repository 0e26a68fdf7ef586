"""Puts the record of an agent that was released without an archive into its store, signs it, and takes it from there.

Nothing is overwritten: first the record, which can have one content only, then its signature, where there is a key.
Whoever is cut off in between is followed by one who finds what is there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aiagent_operator.api.abandoned import AbandonedRecord
from aiagent_operator.api.agentarchive import CertificateSummary
from aiagent_operator.core.archive import abandoned, envelope, index, layout, wire
from aiagent_operator.core.archive.errors import ArchiveError
from aiagent_operator.core.archive.upkeep import Whole
from aiagent_operator.core.objects import AgentIdentity
from aiagent_operator.runtime.archive import found
from aiagent_operator.runtime.archive.errors import DisputedError, Kind, StoreError
from aiagent_operator.runtime.archive.found import Folder, RefusedError
from aiagent_operator.runtime.archive.putting import own
from aiagent_operator.runtime.archive.store import Put, Store


async def put(
    store: Store,
    where: layout.Folder,
    data: bytes,
    key: envelope.PrivateKey | None,
    known: CertificateSummary | None = None,
    *,
    former: Iterable[envelope.PublicKey] = (),
) -> Whole:
    """Has the record in the store, with its signature where there is a key.

    `known`: the signature as the AgentArchive has it, where it has one: that needs no key to be believed. `former`:
    keys of one that was cut off before it had told.

    Raises StoreError, DisputedError where the store has something else, and ArchiveError for what is no record.
    """
    await own(store, where.key(layout.ABANDONED), data)
    name = where.key(layout.ABANDONED_CERTIFICATE)
    issued = abandoned.issue(data, key) if key else None
    if issued and key and await store.create(name, issued) is Put.CREATED:
        certificate = abandoned.summary(issued, abandoned.read(data), (key.public.key_id,))
        return Whole(2, len(data) + len(issued), certificate)
    there = await _read(store, name)
    if there is None:
        if known is not None:
            raise DisputedError(f"archive store {store.name}: {name} is not there: restore it from a copy")
        return Whole(1, len(data))
    if known is not None and wire.digest(there) == known.digest:
        return Whole(2, len(data) + len(there), known)
    if key is None:
        raise DisputedError(
            f"archive store {store.name}: {name} is there, and there is no key to see who has signed it: give the "
            "operator the key (values archive.signingSecret), or find out who wrote it, and remove it"
        )
    try:
        return Whole(2, len(data) + len(there), abandoned.signed(there, data, (key.public, *former), name))
    except ArchiveError as error:
        raise DisputedError(f"archive store {store.name}: {error}") from error


@dataclass(frozen=True, slots=True)
class Candidate:
    """A record in a store that can be believed: its bytes, what it says, and what has signed it, where that was."""

    data: bytes
    record: AbandonedRecord
    read: Whole

    @property
    def name(self) -> str:
        """Name of its AgentArchive."""
        return self.record.archive

    def body(self, store: str) -> dict[str, Any]:
        """Its AgentArchive, as it was made when the agent was released."""
        return abandoned.body(self.record, store)


async def candidate(
    store: Store, folder: Folder, keys: Collection[envelope.PublicKey], *, uncertified: bool
) -> Candidate:
    """The record in a folder that has one, or the signature of one. `uncertified`: one that nobody has signed is taken.

    Raises RefusedError, and StoreError where the store itself fails.
    """
    try:
        return await _candidate(store, folder, keys, uncertified=uncertified)
    except (ArchiveError, DisputedError) as error:
        raise RefusedError(str(error)) from error
    except StoreError as error:
        raise found.refused(error) from error


async def _candidate(
    store: Store, folder: Folder, keys: Collection[envelope.PublicKey], *, uncertified: bool
) -> Candidate:
    name, signature = (f"{folder.prefix}/{path}" for path in (layout.ABANDONED, layout.ABANDONED_CERTIFICATE))
    if layout.ABANDONED not in folder.about:
        raise RefusedError(f"{name} is not there, and its signature is: restore it from a copy")
    data = await store.read(name, abandoned.LIMIT)
    record = abandoned.read(data, name)
    found.check_place(folder, abandoned.place(record), name)
    wanted = index.name(AgentIdentity(record.agent.namespace, record.agent.name, record.agent.uid))
    if record.archive != wanted:
        raise RefusedError(
            f"{name}: archive is not {wanted}, as the operator calls that of this agent: find out who wrote it"
        )
    if layout.ABANDONED_CERTIFICATE in folder.about:
        signed = await store.read(signature, envelope.LIMIT)
        certificate = abandoned.signed(signed, data, keys, signature)
        return Candidate(data, record, Whole(2, len(data) + len(signed), certificate))
    if layout.CERTIFICATE in folder.about:
        raise RefusedError(
            f"{name} says that there is no archive, and nobody has signed that; {layout.CERTIFICATE} beside it says "
            "that there is one: find out who wrote it, and remove it"
        )
    if not uncertified:
        raise RefusedError(
            f"{name} has no {layout.ABANDONED_CERTIFICATE} beside it, so nothing says that the operator has made it: "
            "there was no signing key. Only in that case take it with --uncertified"
        )
    return Candidate(data, record, Whole(1, len(data)))


def check_same(one: Candidate, there: Mapping[str, Any]) -> None:
    """Raises DisputedError where the AgentArchive that is there says something else than its record."""
    try:
        same = abandoned.record(one.name, there["spec"]) == one.data
    except ArchiveError as error:
        raise DisputedError(str(error)) from error
    if not same:
        name = abandoned.place(one.record).key(layout.ABANDONED)
        raise DisputedError(f"AgentArchive {one.name} says something else than {name}: find out who wrote that")


async def _read(store: Store, name: str) -> bytes | None:
    try:
        return await store.read(name, envelope.LIMIT)
    except StoreError as error:
        if error.kind is Kind.MISSING:
            return None
        raise
