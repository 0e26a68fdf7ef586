"""Puts what a successor inherits into an archive store: file by file, in the clear, and their manifest last.

Each file is compared with the archive's manifest on its way, and what has come to lie there is read back. Nothing is
overwritten: whoever is cut off is followed by one who finds what is there, and until the manifest is there it counts
for nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any, Final

from aiagent_operator.api.archive import Item
from aiagent_operator.api.inheritance import Delivered
from aiagent_operator.core import bequests
from aiagent_operator.core.archive import wire
from aiagent_operator.core.objects import AgentIdentity
from aiagent_operator.core.succession import Kin
from aiagent_operator.runtime.archive import bundle, purging
from aiagent_operator.runtime.archive.bundle import Source
from aiagent_operator.runtime.archive.errors import DisputedError
from aiagent_operator.runtime.archive.putting import own
from aiagent_operator.runtime.archive.store import Store

SMALL: Final = 1024 * 1024
"""Bytes up to which a file is put in one request, which can be refused where the name is taken."""

_AT_ONCE: Final = 8


@dataclass(frozen=True, slots=True)
class Legacy:
    """What is left to whom: the archive as it is read with its `key`, whose it was, and who inherits. `still` raises
    where it may not be given any more; it is asked before each file, and before all is said to be there."""

    source: Source
    key: str
    predecessor: Kin
    heir: AgentIdentity
    still: Callable[[], None]

    @property
    def folder(self) -> str:
        """Where it comes to lie."""
        return bequests.folder(self.heir, self.predecessor.archive)


async def deliver(target: Store, legacy: Legacy) -> str:
    """Has all of it in the store, and returns the digest of its manifest there.

    Raises StoreError of either store, DisputedError and ArchiveError where the archive is not as it was sealed, or
    something else lies where this is to lie, and what `still` raises.
    """
    files = [await _small(target, legacy, path, data) async for path, data in bundle.beside(legacy.source)]
    items = list(bundle.given(legacy.source.manifest))
    if len({path for path, _ in items}) != len(items):
        raise DisputedError(f"{legacy.source.where.prefix}: its manifest has one file twice: get an undamaged copy")
    short = [each for each in items if each[1].size <= SMALL]
    for first in range(0, len(short), _AT_ONCE):
        some = short[first : first + _AT_ONCE]
        files += await _together(_read_and_put(target, legacy, path, item) for path, item in some)
    for path, item in items:
        if item.size > SMALL:
            files.append(await _large(target, legacy, path, item))
    for first in range(0, len(files), _AT_ONCE):
        await _together(_looked(target, legacy, file) for file in files[first : first + _AT_ONCE])
    await own(target, f"{legacy.folder}/{bequests.SUMS}", bequests.sums(files))
    legacy.still()
    data = bequests.manifest(legacy.predecessor, legacy.heir, files)
    await own(target, f"{legacy.folder}/{bequests.MANIFEST}", data)
    return wire.digest(data)


async def withdraw(target: Store, heir: AgentIdentity, archive: str) -> None:
    """Removes what was delivered of this archive to this agent, or begun to be. Raises StoreError."""
    await purging.clear(target, bequests.folder(heir, archive))


async def withdraw_all(target: Store, namespace: str, archive: str) -> bool:
    """Removes what was delivered of this archive to whomever; whether there was anything. Raises StoreError."""
    found = False
    async for page in target.pages(bequests.of(namespace)):
        for name in page:
            if bequests.is_of(name, namespace, archive):
                found = True
                await target.delete(name)
    return found


async def _together(work: Iterable[Coroutine[Any, Any, Delivered]]) -> list[Delivered]:
    """All of them, or the first error once none is at work any more."""
    done = await asyncio.gather(*work, return_exceptions=True)
    if errors := [each for each in done if isinstance(each, BaseException)]:
        raise errors[0]
    return [each for each in done if isinstance(each, Delivered)]


async def _read_and_put(target: Store, legacy: Legacy, path: str, item: Item) -> Delivered:
    async with contextlib.aclosing(bundle.opened(legacy.source, item, legacy.key)) as pieces:
        data = b"".join([piece async for piece in pieces])
    return await _small(target, legacy, path, data)


async def _small(target: Store, legacy: Legacy, path: str, data: bytes) -> Delivered:
    """What has the name already is looked at with all the others."""
    legacy.still()
    await target.create(f"{legacy.folder}/{bequests.path(path)}", data)
    return Delivered(path=bequests.path(path), digest=wire.digest(data), size=len(data))


async def _large(target: Store, legacy: Legacy, path: str, item: Item) -> Delivered:
    """It is read to its end in any case: what was sealed says what has to lie there."""
    name, counted = f"{legacy.folder}/{bequests.path(path)}", _Counted()
    async with (
        contextlib.aclosing(bundle.opened(legacy.source, item, legacy.key)) as pieces,
        contextlib.aclosing(counted.through(pieces, legacy.still)) as passing,
    ):
        await target.fill(name, passing)
        async for _ in passing:
            pass
    return Delivered(path=bequests.path(path), digest=counted.digest, size=counted.size)


async def _looked(target: Store, legacy: Legacy, file: Delivered) -> Delivered:
    name = f"{legacy.folder}/{file.path}"
    fault = f"{name} is not what was inherited: find out who wrote it, and remove it"
    async with contextlib.aclosing(bundle.compared(target, name, file, fault)) as pieces:
        async for _ in pieces:
            pass
    return file


class _Counted:
    """Size and digest of what has passed."""

    def __init__(self) -> None:
        self.size, self._hashing = 0, hashlib.sha256()

    @property
    def digest(self) -> str:
        """As manifests write it."""
        return f"{wire.PREFIX}{self._hashing.hexdigest()}"

    async def through(self, pieces: AsyncIterator[bytes], before: Callable[[], None]) -> AsyncGenerator[bytes, None]:
        """The same pieces."""
        async for piece in pieces:
            before()
            self.size += len(piece)
            self._hashing.update(piece)
            yield piece
