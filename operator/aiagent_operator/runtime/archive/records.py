"""Puts events into the journal of an agent: asks a store what the writer of a journal wants to know of it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from aiagent_operator.core.journal.asking import (
    Absent,
    Answer,
    Create,
    Created,
    Done,
    Found,
    ListAfter,
    Listed,
    Read,
    Request,
    Taken,
)
from aiagent_operator.core.journal.event import Event
from aiagent_operator.core.journal.head import WIDTH, Head, folder
from aiagent_operator.core.journal.head import path as record_path
from aiagent_operator.core.journal.record import MOST_BYTES
from aiagent_operator.core.journal.settling import Ask, begin, step
from aiagent_operator.core.objects import AgentIdentity
from aiagent_operator.runtime.archive.errors import Kind, StoreError
from aiagent_operator.runtime.archive.store import Put, Store

_RECORD: Final = re.compile(rf"([0-9]{{{WIDTH}}})\.json")
# What is read in place of an object that is too large to be a record: it is none either.
_NONE: Final = b"too large"
_AT_ONCE: Final = 16

MOST_TOGETHER: Final = 64 * 1024**2
"""Bytes of the records of one journal that are in memory together: 50,000 and more. Nobody who writes to an agent's
spec all day is to end the operator by that."""


async def settle(
    store: Store, agent: AgentIdentity, told: Head, wanted: Iterable[Event], now: datetime, *, confirmed: bool
) -> Done:
    """Has the events recorded after the head that the status tells; see `settling.begin`. Raises StoreError.

    Whatever it is cut off by, what it has written is found by the next one.
    """
    found = begin(agent, told, wanted, now, confirmed=confirmed)
    while isinstance(found, Ask):
        found = step(found.state, await _answer(store, found.request))
    return found


async def read_all(store: Store, uid: str, head: Head, *, most: int = MOST_TOGETHER) -> tuple[bytes, ...]:
    """The records of a journal up to its head, in their order. Raises StoreError: Missing where one is not there,
    TooLarge where they have more than so many bytes."""
    found: list[bytes] = []
    size = 0
    for first in range(1, head.sequence + 1, _AT_ONCE):
        several = range(first, min(first + _AT_ONCE, head.sequence + 1))
        read = await asyncio.gather(*(store.read(record_path(uid, each), MOST_BYTES) for each in several))
        found += read
        size += sum(map(len, read))
        if size > most:
            text = f"the journal has {head.sequence} records, and its first {len(found)} more than {most} bytes"
            remedy = "it stays where it is, record by record: keep that folder"
            raise StoreError(Kind.TOO_LARGE, store.name, folder(uid), text, remedy)
    return tuple(found)


async def _answer(store: Store, request: Request) -> Answer:
    match request:
        case Create(path, raw):
            return Created() if await store.create(path, raw) is Put.CREATED else Taken()
        case Read(path):
            return await _read(store, path)
        case ListAfter(folder, path):
            return await _listed(store, folder, path)


async def _read(store: Store, path: str) -> Answer:
    try:
        return Found(await store.read(path, MOST_BYTES))
    except StoreError as error:
        if error.kind is Kind.MISSING:
            return Absent()
        if error.kind is Kind.TOO_LARGE:
            return Found(_NONE)
        raise


async def _listed(store: Store, folder: str, path: str) -> Listed:
    first = last = 0
    async for page in store.pages(folder, path if path != folder else ""):
        for name in page:
            if record := _RECORD.fullmatch(name.removeprefix(folder)):
                last = int(record[1])
                first = first or last
    return Listed(first, last)
