"""Reads the logs of an agent's pods, and puts them into its archive's folder, encrypted on the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final

from aiagent_operator.api import meta, runs
from aiagent_operator.api.archive import Encryption, GapReason
from aiagent_operator.core.archive import layout, manifest
from aiagent_operator.core.archive.errors import ArchiveError
from aiagent_operator.core.capturing import MOST_LOGS, Missed, Source, sources
from aiagent_operator.core.objects import AgentIdentity
from aiagent_operator.runtime import archivekeys, paths
from aiagent_operator.runtime.archive import captured, personal
from aiagent_operator.runtime.archive.errors import DisputedError, StoreError
from aiagent_operator.runtime.archive.store import Store
from aiagent_operator.runtime.client import Api, ApiError, pages

LIMIT: Final = 64 * 1024**2
"""Bytes of one container's log that are archived; a kubelet keeps 10 MiB of it unless it is told otherwise."""

_PAGE: Final = 100
# Logs of one agent that are asked for at a time.
_ASKED: Final = 2
# What the API server will say again.
_REFUSED: Final = {
    400: GapReason.UNREADABLE,
    403: GapReason.FORBIDDEN,
    404: GapReason.NOT_FOUND,
    405: GapReason.UNREADABLE,
}


@dataclass(frozen=True, slots=True)
class Taken:
    """How many logs there were, or are stored already, and which of them could not be had."""

    logs: int
    missed: tuple[Missed, ...]


class PodLogs:
    """Takes logs; `namespace` is the operator's own, where the keys of archives are. `reading` bounds how many are on
    their way at the same time, of all agents."""

    def __init__(self, api: Api, namespace: str, reading: asyncio.Semaphore) -> None:
        self._api, self._namespace, self._reading = api, namespace, reading

    async def take(self, store: Store, agent: AgentIdentity, seconds: float) -> Taken:
        """Stores and notes each log that is not noted yet; what could not be had in so many seconds is said.

        Raises StoreError where the store does not answer.
        """
        ends = asyncio.get_running_loop().time() + seconds
        try:
            async with asyncio.timeout_at(ends):
                found = sources(await self._pods(agent), agent)
                stored, gaps = await captured.noted(store, agent.uid)
                done = {layout.item(each.path) for each in stored} | {gap.path for gap in gaps}
                wanted = [each for each in found[:MOST_LOGS] if layout.item(each.path) not in done]
                how = await archivekeys.encryption(self._api, self._namespace, agent) if wanted else None
        except (ApiError, DisputedError, ArchiveError, TimeoutError) as error:
            return Taken(1, (_missed(layout.LOGS, error),))
        slots, failed = asyncio.Semaphore(_ASKED), list[StoreError]()

        async def one(source: Source, how: Encryption) -> Missed | None:
            try:
                async with asyncio.timeout_at(ends), slots:
                    await self._one(store, agent, source, how)
            except (ApiError, ArchiveError, TimeoutError) as error:
                return _missed(layout.item(source.path), error)
            except StoreError as error:
                failed.append(error)
            return None

        answers = await asyncio.gather(*(one(each, how) for each in wanted if how))
        if failed:
            raise failed[0]
        missed = [each for each in answers if each]
        if more := found[MOST_LOGS:]:
            text = f"{len(more)} containers more than the {MOST_LOGS} whose logs are archived"
            missed.append(Missed(layout.rest(layout.LOGS), GapReason.TOO_LARGE, text))
        return Taken(len(found) + len(stored), tuple(missed))

    async def _pods(self, agent: AgentIdentity) -> list[dict[str, Any]]:
        path, found = f"/api/v1/namespaces/{agent.namespace}/pods", list[dict[str, Any]]()
        for label in (meta.LABEL_AGENT_UID, runs.LABEL_RUN_OF):
            async for page in pages(self._api, path, {"labelSelector": f"{label}={agent.uid}"}, size=_PAGE):
                found += page.get("items") or ()
        return found

    async def _one(self, store: Store, agent: AgentIdentity, source: Source, how: Encryption) -> None:
        """One log, from the kubelet into the store."""
        path = layout.item(source.path)
        asked = {"container": source.container, "timestamps": "true"}
        # A kubelet that does not answer holds up nobody who has one that does: that is waited for before the slot.
        async with self._api.opened(paths.log(agent.namespace, source.pod), asked) as body, self._reading:
            bounded = Bounded(body, LIMIT)
            stored = await personal.upload(store, agent, path, bounded.pieces(), how)
        text = f"only the first {LIMIT // 1024**2} MiB of a log are archived"
        rest = manifest.gap(layout.rest(path), GapReason.TOO_LARGE, text) if bounded.cut else None
        await captured.note(store, agent.uid, stored, rest)


class Bounded:
    """The beginning of a stream, of at most `limit` bytes; `cut`: there was more."""

    def __init__(self, body: AsyncIterator[bytes], limit: int) -> None:
        self._body, self._limit = body, limit
        self.cut = False

    async def pieces(self) -> AsyncIterator[bytes]:
        """Its pieces, the last of them perhaps cut off."""
        room = self._limit
        async for piece in self._body:
            if len(piece) > room:
                self.cut = True
                yield piece[:room]
                return
            room -= len(piece)
            yield piece


def _missed(path: str, error: Exception) -> Missed:
    """Why, and whether another try may change it."""
    match error:
        case ApiError(status=status):
            return Missed(path, _REFUSED.get(status, GapReason.UNREACHABLE), str(error), again=status not in _REFUSED)
        case TimeoutError():
            return Missed(
                path, GapReason.DEADLINE_EXCEEDED, "it could not be read within the time there was", again=True
            )
        case _:
            return Missed(path, GapReason.UNREADABLE, str(error))
