"""Puts what an agent was told to do, and what waits for a person, into its archive's folder, encrypted on the way."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any, Final

import orjson

from aiagent_operator.api.archive import Encryption, GapReason
from aiagent_operator.core.archive import layout
from aiagent_operator.core.archive.errors import ArchiveError
from aiagent_operator.core.capturing import Missed
from aiagent_operator.core.objects import AgentIdentity, ChildKind, ObjectKey, digest
from aiagent_operator.runtime import archivekeys, paths
from aiagent_operator.runtime.archive import captured, personal
from aiagent_operator.runtime.archive.errors import DisputedError
from aiagent_operator.runtime.archive.store import Store
from aiagent_operator.runtime.client import Api, ApiError

_WRITTEN: Final = orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE


class PersonalTexts:
    """Those of one agent. `namespace` is the operator's own, where the keys of archives are.

    What it is asked for raises StoreError where the store does not answer.
    """

    def __init__(self, api: Api, namespace: str, store: Store, agent: AgentIdentity) -> None:
        self._api, self._namespace, self._store, self._agent = api, namespace, store, agent
        self._how: Encryption | None = None

    async def handbooks(self, wanted: Mapping[str, str], seconds: float) -> tuple[Missed, ...]:
        """Stores and notes what is in these ConfigMaps, by their digests, and says which could not be had in so many
        seconds."""
        unfit: list[Missed] = []

        async def all_of_them() -> None:
            done = await self._done()
            for name, known in wanted.items():
                found = await self._api.find(paths.item(ObjectKey(ChildKind.CONFIG_MAP, self._agent.namespace, name)))
                if found is None or f"sha256:{digest(found.get('data'))}" != known:
                    unfit.append(_unfit(name, found))
                elif (path := layout.handbook(name)) not in done:
                    await self._put(path, orjson.dumps(found["data"], option=_WRITTEN))

        return (*unfit, *await _tried(layout.HANDBOOK, all_of_them(), seconds))

    async def text(self, path: str, data: bytes, seconds: float) -> tuple[Missed, ...]:
        """Stores and notes one item, unless it is there."""

        async def it() -> None:
            if path not in await self._done():
                await self._put(path, data)

        return await _tried(path, it(), seconds)

    async def _done(self) -> frozenset[str]:
        stored, gaps = await captured.noted(self._store, self._agent.uid)
        return frozenset((*(layout.item(each.path) for each in stored), *(gap.path for gap in gaps)))

    async def _put(self, path: str, data: bytes) -> None:
        self._how = self._how or await archivekeys.encryption(self._api, self._namespace, self._agent)
        item = await personal.put(self._store, self._agent, path, data, self._how)
        await captured.note(self._store, self._agent.uid, item)


async def _tried(path: str, what: Coroutine[Any, Any, None], seconds: float) -> tuple[Missed, ...]:
    try:
        async with asyncio.timeout(seconds):
            await what
    except TimeoutError:
        text = "it could not be read and stored within the time there was"
        return (Missed(path, GapReason.DEADLINE_EXCEEDED, text, again=True),)
    except ApiError as error:
        return (Missed(path, GapReason.UNREACHABLE, str(error), again=True),)
    except (ArchiveError, DisputedError) as error:
        return (Missed(path, GapReason.UNREADABLE, str(error)),)
    return ()


def _unfit(name: str, found: Mapping[str, Any] | None) -> Missed:
    path = layout.handbook(name)
    if found is None:
        return Missed(path, GapReason.NOT_FOUND, f"ConfigMap {name} was gone before it could be read")
    return Missed(path, GapReason.UNREADABLE, f"ConfigMap {name} is not what it was: its digest is another one")
