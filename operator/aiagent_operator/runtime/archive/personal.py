"""Puts personal files of an agent that leaves into its archive's folder, encrypted on the way."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator

from aiagent_operator.api.archive import Encryption
from aiagent_operator.core.archive import index, layout, payload
from aiagent_operator.core.archive.layout import Layout
from aiagent_operator.core.archive.manifest import Stored
from aiagent_operator.core.objects import AgentIdentity
from aiagent_operator.runtime.archive.encrypting import encrypted
from aiagent_operator.runtime.archive.guard import blob_name
from aiagent_operator.runtime.archive.putting import own
from aiagent_operator.runtime.archive.store import Store


async def upload(
    store: Store, agent: AgentIdentity, path: str, pieces: AsyncIterator[bytes], how: Encryption
) -> Stored:
    """Stores the pieces as the item of that path, and says what is to be noted of it.

    Raises StoreError, ArchiveError, and what the pieces raise.
    """
    where = Layout(agent.uid, index.name(agent))
    folder, _, leaf = where.key(layout.encrypted(path)).rpartition("/")
    async with contextlib.aclosing(encrypted(pieces, how)) as through:
        uploaded = await store.upload(folder, leaf, through)
    return Stored(where.path(uploaded.name), uploaded.sha256, uploaded.size, personal=True, encrypted=how)


async def put(store: Store, agent: AgentIdentity, path: str, data: bytes, how: Encryption) -> Stored:
    """The same for a file that is small enough to be in memory, by one request to the store.

    Raises StoreError, ArchiveError, and DisputedError where somebody else writes to the archive's folder.
    """
    where, made = Layout(agent.uid, index.name(agent)), bytearray()
    folder, _, leaf = where.key(layout.encrypted(path)).rpartition("/")
    await asyncio.to_thread(payload.encrypt, (data,), made.extend, how)
    name, sealed = blob_name(store.name, folder, leaf), bytes(made)
    await own(store, name, sealed)
    return Stored(where.path(name), hashlib.sha256(sealed).hexdigest(), len(sealed), personal=True, encrypted=how)
