"""Copies the decision log of an agent that leaves from where it was written into its archive's folder, encrypted.

Where it lies follows from the agent alone, so nobody can have another one's read: its author names a store, of those
that the administrator has described, and no place in it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from aiagent_operator.api.archive import Encryption, GapReason
from aiagent_operator.core.archive import layout, manifest
from aiagent_operator.core.archive.errors import ArchiveError
from aiagent_operator.core.capturing import Missed
from aiagent_operator.core.objects import AgentIdentity
from aiagent_operator.runtime import archivekeys
from aiagent_operator.runtime.archive import captured, personal
from aiagent_operator.runtime.archive.errors import DisputedError, StoreError
from aiagent_operator.runtime.archive.store import Store
from aiagent_operator.runtime.client import Api, ApiError

MOST: Final = 1000
"""Files of one decision log; of more, the first ones by their names."""

MOST_BYTES: Final = 1024**3
"""Of one decision log, all files together."""


class SourceError(Exception):
    """The store in which the decision log is cannot be read; the message says why."""


class Decisions:
    """The log of one agent. `namespace` is the operator's own, where the keys of archives are."""

    def __init__(self, api: Api, namespace: str, store: Store, agent: AgentIdentity) -> None:
        self._api, self._namespace, self._store, self._agent = api, namespace, store, agent

    async def take(self, source: Store, seconds: float) -> tuple[Missed, ...]:
        """Stores and notes each file of the log in `source`, and says what could not be had in so many seconds.

        Raises StoreError where the archive's own store does not answer.
        """
        try:
            async with asyncio.timeout(seconds):
                await self._take(source)
        except TimeoutError:
            text = f"it could not be copied within {seconds:.0f} s"
            return (_missed(GapReason.DEADLINE_EXCEEDED, text, again=True),)
        except SourceError as error:
            return (_missed(GapReason.UNREACHABLE, str(error), again=True),)
        except ApiError as error:
            return (_missed(GapReason.UNREACHABLE, str(error), again=True),)
        except (ArchiveError, DisputedError) as error:
            return (_missed(GapReason.UNREADABLE, str(error)),)
        return ()

    async def _take(self, source: Store) -> None:
        names, more = await _listed(source, layout.decisions_of(self._agent))
        if not names:
            return
        stored, gaps = await captured.noted(self._store, self._agent.uid)
        done = {layout.item(each.path) for each in stored} | {gap.path for gap in gaps}
        how, size = await archivekeys.encryption(self._api, self._namespace, self._agent), 0
        for number, name in enumerate(names):
            path = layout.decision(name.removeprefix(f"{layout.decisions_of(self._agent)}/"))
            size += await _size(source, name)
            if size > MOST_BYTES:
                more += len(names) - number
                break
            if path not in done:
                await self._copy(source, name, path, how)
        if more and layout.rest(layout.DECISIONS) not in done:
            text = f"{more} files beyond the first {MOST} files and {MOST_BYTES // 1024**2} MiB of it"
            gap = manifest.gap(layout.rest(layout.DECISIONS), GapReason.TOO_LARGE, text)
            await captured.note(self._store, self._agent.uid, gap)

    async def _copy(self, source: Store, name: str, path: str, how: Encryption) -> None:
        item = await personal.upload(self._store, self._agent, path, _read(source, name), how)
        await captured.note(self._store, self._agent.uid, item)


async def _listed(source: Store, prefix: str) -> tuple[list[str], int]:
    """The first names, and how many there are more."""
    names: list[str] = []
    more = 0
    try:
        async for page in source.pages(prefix):
            room = MOST - len(names)
            names += page[:room]
            more += len(page[room:])
    except StoreError as error:
        raise SourceError(str(error)) from error
    return names, more


async def _size(source: Store, name: str) -> int:
    try:
        found = await source.stat(name)
    except StoreError as error:
        raise SourceError(str(error)) from error
    return found.size if found else 0


async def _read(source: Store, name: str) -> AsyncIterator[bytes]:
    try:
        async for chunk in source.chunks(name):
            yield chunk
    except StoreError as error:
        raise SourceError(str(error)) from error


def _missed(reason: GapReason, text: str, *, again: bool = False) -> Missed:
    return Missed(layout.DECISIONS, reason, text, again=again)
