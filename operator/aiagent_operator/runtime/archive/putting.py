"""Puts files of archives into a store, where nothing is overwritten.

A file of the same content is the same file, whoever put it. One of another content, of an attempt before, is left where
it is, and what there is now goes into a folder named by its digest.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable

from aiagent_operator.core.archive.contents import File
from aiagent_operator.core.archive.layout import Folder
from aiagent_operator.core.archive.manifest import Stored
from aiagent_operator.runtime.archive.errors import DisputedError, Kind, StoreError
from aiagent_operator.runtime.archive.store import Put, Store

_AT_ONCE = 16


async def put(store: Store, where: Folder, files: Iterable[File]) -> tuple[Stored, ...]:
    """Puts the files. Raises StoreError, DisputedError, once none is being put any more: whoever tries again, or gives
    the archive up, would find more in the store from moment to moment."""
    slots, failed = asyncio.Semaphore(_AT_ONCE), list[StoreError | DisputedError]()

    async def one(file: File) -> Stored | None:
        async with slots:
            if failed:
                return None
            try:
                return await _put(store, where, file)
            except (StoreError, DisputedError) as error:
                failed.append(error)
                return None

    stored = await asyncio.gather(*map(one, files))
    if failed:
        raise failed[0]
    return tuple(each for each in stored if each is not None)


async def own(store: Store, name: str, data: bytes) -> None:
    """Puts a file that can have one content only. Raises StoreError, DisputedError where another one is there."""
    if not await _is(store, name, data):
        raise DisputedError(f"archive store {store.name}: {name} holds something else: find out who wrote it")


async def _put(store: Store, where: Folder, file: File) -> Stored:
    digest = hashlib.sha256(file.data).hexdigest()
    if not await _is(store, where.key(file.path), file.data):
        *folders, leaf = file.path.split("/")
        file = File("/".join((*folders, digest[:32], leaf)), file.data)
        await own(store, where.key(file.path), file.data)
    return Stored(file.path, digest, len(file.data))


async def _is(store: Store, name: str, data: bytes) -> bool:
    """Whether the file is in the store now: made here, or by an attempt before."""
    if await store.create(name, data) is Put.CREATED:
        return True
    try:
        return await store.read(name, len(data)) == data
    except StoreError as error:
        if error.kind is Kind.TOO_LARGE:
            return False
        raise
