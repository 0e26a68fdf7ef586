"""What all kinds of store check in the same way before they do anything."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterable, AsyncIterator

from aiagent_operator.runtime.archive import names
from aiagent_operator.runtime.archive.errors import Kind, StoreError
from aiagent_operator.runtime.archive.store import Store


def must_write(store: Store, path: str) -> None:
    """Raises StoreError (ReadOnly) for a store whose configuration forbids writing."""
    if store.read_only:
        raise StoreError(Kind.READ_ONLY, store.name, path, "it is not written to", "set readOnly: false to allow it")


def blob_name(store: str, folder: str, leaf: str) -> str:
    """A name below the folder that nothing has or will have. Raises StoreError (InvalidName)."""
    return names.checked(store, f"{folder}/{secrets.token_hex(16)}/{leaf}")


def too_large(store: str, name: str, size: int, most: int) -> StoreError:
    """For an object that has more bytes than its reader takes."""
    what = f"it has {size} bytes or more, and at most {most} are read"
    return StoreError(Kind.TOO_LARGE, store, name, what, "find out who put it there")


async def pieces(data: AsyncIterable[bytes], size: int) -> AsyncIterator[bytes]:
    """The same bytes in pieces of exactly this size, apart from the last; none where there are none."""
    kept = bytearray()
    async for chunk in data:
        view = memoryview(chunk)
        while view:
            taken = size - len(kept)
            kept += view[:taken]
            view = view[taken:]
            if len(kept) == size:
                yield bytes(kept)
                kept.clear()
    if kept:
        yield bytes(kept)
