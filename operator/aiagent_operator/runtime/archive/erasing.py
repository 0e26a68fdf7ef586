"""Puts on record in an archive's folder that what is personal in it is erased, before its key is destroyed."""

from __future__ import annotations

from aiagent_operator.api.tombstone import Destroyed
from aiagent_operator.core.archive import layout, manifest, tombstone, wire
from aiagent_operator.core.archive.errors import ArchiveError
from aiagent_operator.core.archive.layout import Folder
from aiagent_operator.core.archive.tombstone import Destruction
from aiagent_operator.runtime.archive.errors import DisputedError
from aiagent_operator.runtime.archive.store import Put, Store


async def keys(store: Store, where: Folder, digest: str) -> tuple[str, ...]:
    """The keys whose destruction erases what is personal in the archive; none where nothing is.

    `digest` is that of its manifest. Raises StoreError, and DisputedError where the manifest is another's.
    """
    return manifest.personal_keys(manifest.read(await _manifest(store, where, digest)))


async def record(store: Store, where: Folder, digest: str, why: Destruction) -> None:
    """Has `erasure.json` there. Raises StoreError, and DisputedError where the manifest, or that file, is another's."""
    data = await _manifest(store, where, digest)
    name = where.key(layout.ERASURE)
    try:
        if await store.create(name, tombstone.erased(data, why)) is Put.CREATED:
            return
        found = await store.read(name, tombstone.LIMIT)
        there = tombstone.read(found, Destroyed.ERASED, manifest.read(data), digest, name)
    except ArchiveError as error:
        raise DisputedError(f"archive store {store.name}: {error}") from error
    if there.order != why.order:
        raise DisputedError(
            f"archive store {store.name}: {name} tells of another order: find out who wrote it, and remove it"
        )


async def _manifest(store: Store, where: Folder, digest: str) -> bytes:
    name = where.key(layout.MANIFEST)
    data = await store.read(name, manifest.LIMIT)
    if (there := wire.digest(data)) != digest:
        raise DisputedError(
            f"archive store {store.name}: {name} has the digest {there}, and had {digest} when it was sealed: restore "
            "it from a copy"
        )
    return data
