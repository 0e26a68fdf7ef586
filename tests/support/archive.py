"""Archive stores for tests, and what tests do with any of them."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from aiagent_operator.runtime.archive import config
from aiagent_operator.runtime.archive.config import StoreConfig
from aiagent_operator.runtime.archive.directory import DirectoryStore
from aiagent_operator.runtime.archive.store import Store

# A writer in a process of its own, for tests that kill it or let two race; what follows is done with `store`.
WRITER = f"""
import asyncio, sys
sys.path[:0] = {[path for path in sys.path if path]!r}
from support.archive import directory, streamed
from aiagent_operator.runtime.archive.store import Put
"""


def directory_config(path: Path, **fields: Any) -> StoreConfig:
    """A directory's configuration, as read from data."""
    return config.read({"name": "local", "url": f"file://{path}", **fields}, [f"file://{path}"])


def directory(path: Path, **fields: Any) -> DirectoryStore:
    """A store in this directory."""
    return DirectoryStore(directory_config(path, **fields))


async def streamed(*chunks: bytes) -> AsyncIterator[bytes]:
    """The chunks, as a source of bytes gives them."""
    for chunk in chunks:
        yield chunk


async def listed(store: Store, prefix: str = "", after: str = "") -> list[str]:
    """All names."""
    return [name async for page in store.pages(prefix, after) for name in page]


async def whole(store: Store, name: str) -> bytes:
    """All bytes, read in chunks."""
    return b"".join([chunk async for chunk in store.chunks(name)])


def partials(path: Path) -> list[Path]:
    """Files in the directory that are being written, or that a killed writer left."""
    folder = path / ".partial"
    return sorted(folder.iterdir()) if folder.exists() else []
