"""Puts personal files of an agent that leaves into its archive's folder, encrypted on the way."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from aiagent_operator.api.archive import Encryption
from aiagent_operator.core.archive import index, layout
from aiagent_operator.core.archive.layout import Layout
from aiagent_operator.core.archive.manifest import Stored
from aiagent_operator.core.objects import AgentIdentity
from aiagent_operator.runtime.archive.encrypting import encrypted
from aiagent_operator.runtime.archive.store import Store


async def upload(
    store: Store, agent: AgentIdentity, path: str, pieces: AsyncIterator[bytes], how: Encryption
) -> Stored:
    """Stores the pieces as the item of that path, and says what is to be noted of it.

    Raises StoreError, ArchiveError, and what the pieces raise.
    """
    where = Layout(agent.uid, index.name(agent))
    folder, _, leaf = where.key(layout.encrypted(path)).rpartition("/")
    async with contextlib.aclosing(encrypted(pieces, how)) as payload:
        uploaded = await store.upload(folder, leaf, payload)
    return Stored(where.path(uploaded.name), uploaded.sha256, uploaded.size, personal=True, encrypted=how)


async def whole(data: bytes) -> AsyncIterator[bytes]:
    """A small file as its only piece."""
    yield data
