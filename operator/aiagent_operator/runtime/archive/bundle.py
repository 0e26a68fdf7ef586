"""What a successor gets of its predecessor's archive: one file after the other, or all as one tar.

Each file is compared with the manifest on its way: where one is not as it was sealed, it breaks off. What is personal
is decrypted on the way; logs are not in it.
"""

from __future__ import annotations

import contextlib
import hashlib
import tarfile
from collections.abc import AsyncGenerator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from aiagent_operator.api import handover
from aiagent_operator.api.archive import Item, Manifest
from aiagent_operator.api.inheritance import Delivered
from aiagent_operator.core.archive import layout, payload, wire
from aiagent_operator.core.archive.errors import ArchiveError
from aiagent_operator.core.archive.layout import Folder
from aiagent_operator.runtime.archive.encrypting import decrypted
from aiagent_operator.runtime.archive.errors import DisputedError
from aiagent_operator.runtime.archive.store import Store

_BESIDE: Final = (layout.SUMS, layout.CERTIFICATE)


@dataclass(frozen=True, slots=True)
class Source:
    """An archive, as it is read: its manifest, as its bytes and as what they say."""

    store: Store
    where: Folder
    data: bytes
    manifest: Manifest


async def stream(source: Source, key: str) -> AsyncGenerator[bytes, None]:
    """A tar: folder `bundle` with the archive's files, then its memory. `key`: of the archive, where it is needed.

    Raises StoreError, and DisputedError and ArchiveError for what is not as it was sealed: until its end nobody knows
    whether anything is. To be closed by whoever does not take all of it (contextlib.aclosing).
    """
    yield _folders(path for path, _ in given(source.manifest))
    async for name, data in beside(source):
        yield _file(name, data)
    memory = None
    for path, item in given(source.manifest):
        if path == layout.MEMORY:
            memory = item
        elif item.encrypted is None:
            yield _header(path, item.size)
            async for piece in opened(source, item, key):
                yield piece
            yield bytes(-item.size % tarfile.BLOCKSIZE)
        else:
            async with contextlib.aclosing(_personal(source, item, key)) as pieces:
                async for piece in pieces:
                    yield piece
    if memory is None:
        yield bytes(2 * tarfile.BLOCKSIZE)
        return
    # A tar itself, whose names are in a folder of their own, up to its end.
    async with contextlib.aclosing(opened(source, memory, key)) as pieces:
        async for piece in pieces:
            yield piece


def given(manifest: Manifest) -> Iterator[tuple[str, Item]]:
    """The items that are handed over, each with its path without attempts where it is personal."""
    for item in manifest.items:
        plain = layout.item(item.path)
        if item.encrypted is None and plain != layout.MEMORY:
            yield item.path, item
        elif not plain.startswith(f"{layout.LOGS}/"):
            yield plain, item


async def beside(source: Source) -> AsyncGenerator[tuple[str, bytes], None]:
    """The files that are about the archive, by their paths: its manifest first. Raises StoreError."""
    yield layout.MANIFEST, source.data
    for name in _BESIDE:
        if (stat := await source.store.stat(source.where.key(name))) is not None:
            yield name, await source.store.read(source.where.key(name), stat.size)


async def opened(source: Source, item: Item, key: str) -> AsyncGenerator[bytes, None]:
    """The item's bytes, in the clear. Raises StoreError, and DisputedError and ArchiveError for what is not as it was
    sealed: until its end nobody knows whether it is. To be closed as `stream`."""
    pieces = _compared(source, item) if _is_plain(item) else _decrypted(source, item, key)
    async with contextlib.aclosing(pieces) as found:
        async for piece in found:
            yield piece


def _is_plain(item: Item) -> bool:
    return item.encrypted is None and layout.item(item.path) != layout.MEMORY


async def _personal(source: Source, item: Item, key: str) -> AsyncGenerator[bytes, None]:
    """A personal file, decrypted, whose length has to be said before it: by the payload, and it has to be true."""
    begin = b""
    async with contextlib.aclosing(_compared(source, item)) as pieces:
        async for piece in pieces:
            begin += piece
            if len(begin) >= payload.LONGEST_HEADER:
                break
    size = left = payload.plain_size(begin[: payload.LONGEST_HEADER], item.size)
    yield _header(layout.item(item.path), size)
    async with contextlib.aclosing(_decrypted(source, item, key)) as pieces:
        async for piece in pieces:
            left -= len(piece)
            if left < 0:
                break
            yield piece
    if left:
        raise DisputedError(f"archive store {source.store.name}: {source.where.prefix}/{item.path} has another length")
    yield bytes(-size % tarfile.BLOCKSIZE)


async def _decrypted(source: Source, item: Item, key: str) -> AsyncGenerator[bytes, None]:
    if item.encrypted is None:
        raise ArchiveError(f"{item.path} is personal, and not encrypted: find out who has written the manifest")
    async with contextlib.aclosing(decrypted(_compared(source, item), key, item.encrypted)) as pieces:
        async for piece in pieces:
            yield piece


async def compared(store: Store, name: str, said: Item | Delivered, fault: str) -> AsyncGenerator[bytes, None]:
    """The file's bytes. Raises DisputedError with the `fault` at the end of one of another size or digest than said,
    and StoreError."""
    hashing, size = hashlib.sha256(), 0
    async for piece in store.chunks(name):
        size += len(piece)
        if size > said.size:
            break
        hashing.update(piece)
        yield piece
    if size != said.size or f"{wire.PREFIX}{hashing.hexdigest()}" != said.digest:
        raise DisputedError(f"archive store {store.name}: {fault}")


def _compared(source: Source, item: Item) -> AsyncGenerator[bytes, None]:
    fault = f"{source.where.prefix}/{item.path} is not what the manifest says"
    return compared(source.store, source.where.key(item.path), item, fault)


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(f"{handover.BUNDLE}/{name}")
    info.size, info.mode = size, 0o440
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict")


def _folders(names: Iterable[str]) -> bytes:
    """Headers of the folders in which these files are, each after the one above it."""
    found = {PurePosixPath(handover.BUNDLE)}
    for name in names:
        found.update(PurePosixPath(handover.BUNDLE, parent) for parent in PurePosixPath(name).parents)
    made = b""
    for folder in sorted(found):
        info = tarfile.TarInfo(str(folder))
        info.type, info.mode = tarfile.DIRTYPE, 0o750
        made += info.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict")
    return made


def _file(name: str, data: bytes) -> bytes:
    return _header(name, len(data)) + data + bytes(-len(data) % tarfile.BLOCKSIZE)
