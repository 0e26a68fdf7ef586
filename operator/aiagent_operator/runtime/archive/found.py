"""Archives that are in a store, and which of them can be believed: what the index of archives is rebuilt from.

Whoever can write to a store can put something there that looks like an archive. So one counts only with a certificate
that a known key has signed, at the very place that its manifest says, or where somebody answers for those without one.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Collection, Iterable
from dataclasses import dataclass
from typing import Any, Final

from aiagent_operator.api.agentarchive import CertificateSummary
from aiagent_operator.api.archive import Manifest
from aiagent_operator.api.fields import DNS_SUBDOMAIN
from aiagent_operator.api.tombstone import Destroyed, Tombstone
from aiagent_operator.core.archive import envelope, index, layout, manifest, tombstone
from aiagent_operator.core.archive.errors import ArchiveError
from aiagent_operator.core.archive.layout import Layout
from aiagent_operator.core.objects import AgentIdentity
from aiagent_operator.runtime.archive import purging, sealing
from aiagent_operator.runtime.archive.errors import DisputedError, Kind, StoreError
from aiagent_operator.runtime.archive.sealing import Sealed
from aiagent_operator.runtime.archive.store import Store

# What is wrong with one object; everything else is wrong with the store, of which nothing can be said then.
_OWN_FAULTS: Final = frozenset({Kind.MISSING, Kind.TOO_LARGE, Kind.CHANGED, Kind.UNSAFE, Kind.INVALID_NAME})
_AFTER_SEALING: Final = frozenset({layout.CERTIFICATE, layout.ERASURE, layout.TOMBSTONE})
_NAME: Final = re.compile(DNS_SUBDOMAIN)
_LONGEST_NAME: Final = 253
# `archives`, the agent's UID, the archive, and a file in it.
_PARTS: Final = 4


class RefusedError(Exception):
    """What is in an archive's folder is not taken; the message names the file and the remedy."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder in which an archive may be: its key, and which files about the archive are in it."""

    prefix: str
    about: frozenset[str]

    @property
    def is_rest(self) -> bool:
        """Whether it is what an attempt to seal an archive has left, or one that is still under way."""
        return not self.about & {layout.MANIFEST, *_AFTER_SEALING, *layout.RELEASE}

    @property
    def is_release(self) -> bool:
        """Whether it says that there is no archive: what else is in it was never on record, and is no archive then."""
        return bool(self.about & layout.RELEASE)


@dataclass(frozen=True, slots=True)
class Candidate:
    """An archive whose manifest can be believed; none of its items has been read yet.

    `certificate` is None where none was made, `purged` set where it was decided that nothing but the files about it is
    left, `erased` where what is personal in it was to be.
    """

    where: Layout
    sealed: Sealed
    certificate: CertificateSummary | None
    purged: Tombstone | None
    erased: Tombstone | None = None

    @property
    def name(self) -> str:
        """Name of its AgentArchive."""
        return self.where.archive

    def record(self, store: str) -> dict[str, Any]:
        """Its AgentArchive, as it was made when the agent left."""
        return index.build(self.sealed.manifest, self.sealed.digest, store=store, path=self.where.prefix)


async def folders(store: Store) -> AsyncIterator[Folder]:
    """All folders of archives, in the order of their names, one in memory at a time. Raises StoreError."""
    prefix, about = "", set[str]()
    async for page in store.pages(layout.ROOT):
        for name in page:
            parts = name.split("/")
            if len(parts) < _PARTS:
                continue
            # A store lists all that is in a folder before it comes to the next one.
            if (current := "/".join(parts[: _PARTS - 1])) != prefix:
                if prefix:
                    yield Folder(prefix, frozenset(about))
                prefix, about = current, set()
            if len(parts) == _PARTS and parts[-1] in layout.RESERVED:
                about.add(parts[-1])
    if prefix:
        yield Folder(prefix, frozenset(about))


async def candidate(
    store: Store, folder: Folder, keys: Collection[envelope.PublicKey], *, uncertified: bool
) -> Candidate:
    """The archive in a folder that is no mere rest. `uncertified`: one without a certificate is taken too.

    Raises RefusedError, and StoreError where the store itself fails.
    """
    try:
        return await _candidate(store, folder, tuple(keys), uncertified=uncertified)
    except (ArchiveError, DisputedError) as error:
        raise RefusedError(str(error)) from error
    except StoreError as error:
        raise refused(error) from error


async def is_empty(store: Store, found: Candidate) -> bool:
    """Whether nothing is left of a purged archive but what says that it was there. Raises StoreError."""
    stays = {found.where.key(path) for path in purging.STAYS}
    async for page in store.pages(found.where.prefix):
        if set(page) - stays:
            return False
    return True


async def read_back(store: Store, found: Candidate) -> None:
    """Reads every file and compares it with the manifest. Raises RefusedError, StoreError."""
    try:
        await sealing.read_back(store, found.where, found.sealed)
    except DisputedError as error:
        raise RefusedError(str(error)) from error
    except StoreError as error:
        raise refused(error) from error


def refused(error: StoreError) -> Exception:
    """The error as one of a single archive, where it is."""
    return RefusedError(str(error)) if error.kind in _OWN_FAULTS else error


async def _candidate(
    store: Store, folder: Folder, keys: Iterable[envelope.PublicKey], *, uncertified: bool
) -> Candidate:
    name = f"{folder.prefix}/{layout.MANIFEST}"
    if layout.MANIFEST not in folder.about:
        there = min(folder.about & _AFTER_SEALING)
        raise RefusedError(f"{name} is not there, and {there} is: restore it from a copy, or find out who removed it")
    data = await store.read(name, manifest.LIMIT)
    sealed = Sealed(data, manifest.read(data, name))
    where = _place(folder, sealed.manifest)
    certificate = None
    if layout.CERTIFICATE in folder.about:
        certificate = await sealing.certified(store, where, sealed, keys)
    elif not uncertified:
        raise RefusedError(
            f"{folder.prefix} has no {layout.CERTIFICATE}, so nothing says that the operator has made it: its agent is "
            "leaving just now, or left while there was no signing key. Only in that case take it with --uncertified"
        )
    else:
        _check_name(folder, sealed.manifest)
    purged = await _stone(store, folder, sealed, Destroyed.PURGED)
    return Candidate(where, sealed, certificate, purged, await _stone(store, folder, sealed, Destroyed.ERASED))


def check_place(folder: Folder, where: Layout, file: str) -> None:
    """Raises RefusedError where the folder is not that of which the file is, or no AgentArchive can be called so."""
    if where.prefix != folder.prefix:
        raise RefusedError(
            f"{file} is that of {where.prefix}: somebody has moved or copied it; bring it "
            "back to its place, or remove the folder"
        )
    if len(where.archive) > _LONGEST_NAME or not _NAME.fullmatch(where.archive):
        raise RefusedError(f"{file}: no AgentArchive can have the name that archive says")


def _place(folder: Folder, about: Manifest) -> Layout:
    """Where the archive is by its own manifest, which has to be where it was found."""
    where = Layout(about.agent.uid, about.archive)
    check_place(folder, where, f"{folder.prefix}/{layout.MANIFEST}")
    return where


def _check_name(folder: Folder, about: Manifest) -> None:
    """What nobody has signed takes no other agent's name."""
    wanted = index.name(AgentIdentity(about.agent.namespace, about.agent.name, about.agent.uid))
    if about.archive != wanted:
        raise RefusedError(
            f"{folder.prefix}/{layout.MANIFEST}: archive is not {wanted}, as the operator calls that of this agent: "
            "find out who wrote it"
        )


async def _stone(store: Store, folder: Folder, sealed: Sealed, act: Destroyed) -> Tombstone | None:
    path = layout.TOMBSTONE if act is Destroyed.PURGED else layout.ERASURE
    if path not in folder.about:
        return None
    name = f"{folder.prefix}/{path}"
    data = await store.read(name, tombstone.LIMIT)
    return tombstone.read(data, act, sealed.manifest, sealed.digest, name)
