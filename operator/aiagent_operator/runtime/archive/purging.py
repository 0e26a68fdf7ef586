"""Removes all of an archive but what says that it was there: its manifest, its certificate, and why it is gone."""

from __future__ import annotations

import asyncio
from typing import Final

from aiagent_operator.api.tombstone import Destroyed
from aiagent_operator.core.archive import layout, manifest, tombstone, wire
from aiagent_operator.core.archive.errors import ArchiveError
from aiagent_operator.core.archive.layout import Folder
from aiagent_operator.core.archive.tombstone import Destruction
from aiagent_operator.runtime.archive.errors import DisputedError, StoreError
from aiagent_operator.runtime.archive.store import Put, Store

STAYS: Final = frozenset({layout.MANIFEST, layout.CERTIFICATE, layout.TOMBSTONE, layout.ERASURE})
"""Files that say what was purged."""
_AT_ONCE: Final = 16


async def purge(store: Store, where: Folder, digest: str, why: Destruction) -> None:
    """Removes the archive's files, its tombstone first. `digest` is that of its manifest.

    Whoever is cut off is followed by one who finds the tombstone, and removes the rest. Raises StoreError, and
    DisputedError where the manifest or the tombstone is another's: then nothing is removed.
    """
    data = await store.read(where.key(layout.MANIFEST), manifest.LIMIT)
    if (there := wire.digest(data)) != digest:
        raise DisputedError(
            f"archive store {store.name}: {where.key(layout.MANIFEST)} has the digest {there}, and had {digest} when "
            "it was sealed: restore it from a copy"
        )
    name = where.key(layout.TOMBSTONE)
    try:
        if await store.create(name, tombstone.purged(data, why)) is Put.TAKEN:
            found = await store.read(name, tombstone.LIMIT)
            tombstone.read(found, Destroyed.PURGED, manifest.read(data), digest, name)
    except ArchiveError as error:
        raise DisputedError(f"archive store {store.name}: {error}") from error
    await clear(store, where.prefix, but=frozenset(where.key(path) for path in STAYS))


async def clear(store: Store, prefix: str, *, but: frozenset[str] = frozenset()) -> None:
    """Removes everything below a prefix, apart from some names. Raises StoreError, once nothing is being removed any
    more."""
    slots, failed = asyncio.Semaphore(_AT_ONCE), list[StoreError]()

    async def remove(name: str) -> None:
        async with slots:
            if failed:
                return
            try:
                await store.delete(name)
            except StoreError as error:
                failed.append(error)

    async for page in store.pages(prefix):
        await asyncio.gather(*(remove(name) for name in page if name not in but))
        if failed:
            raise failed[0]
