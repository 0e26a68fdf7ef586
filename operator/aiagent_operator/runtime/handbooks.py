"""Reads the handbooks that an agent had, and puts them into its archive's folder, encrypted on the way."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from aiagent_operator.api.archive import GapReason
from aiagent_operator.core.archive import layout
from aiagent_operator.core.archive.errors import ArchiveError
from aiagent_operator.core.capturing import Missed
from aiagent_operator.core.children import handbook
from aiagent_operator.core.objects import AgentIdentity, ChildKind, ObjectKey, digest
from aiagent_operator.runtime import archivekeys, paths
from aiagent_operator.runtime.archive import captured, personal
from aiagent_operator.runtime.archive.errors import DisputedError
from aiagent_operator.runtime.archive.store import Store
from aiagent_operator.runtime.client import Api, ApiError


class Handbooks:
    """The handbooks of one agent. `namespace` is the operator's own, where the keys of archives are."""

    def __init__(self, api: Api, namespace: str, store: Store, agent: AgentIdentity) -> None:
        self._api, self._namespace, self._store, self._agent = api, namespace, store, agent

    async def take(self, wanted: Mapping[str, str], seconds: float) -> tuple[Missed, ...]:
        """Stores and notes what is in these ConfigMaps, by their digests, and says which could not be had in so many
        seconds. Raises StoreError where the store does not answer."""
        missed: list[Missed] = []
        try:
            async with asyncio.timeout(seconds):
                stored, gaps = await captured.noted(self._store, self._agent.uid)
                done = {layout.item(each.path) for each in stored} | {gap.path for gap in gaps}
                for name, known in wanted.items():
                    found = await self._api.find(
                        paths.item(ObjectKey(ChildKind.CONFIG_MAP, self._agent.namespace, name))
                    )
                    if f"sha256:{digest((found or {}).get('data'))}" != known:
                        missed.append(_unfit(name, found))
                        continue
                    for key, path in _parts(name):
                        if found and key in found["data"] and path not in done:
                            await self._put(path, found["data"][key])
        except TimeoutError:
            text = "it could not be read and stored within the time there was"
            missed.append(Missed(layout.HANDBOOK, GapReason.DEADLINE_EXCEEDED, text, again=True))
        except ApiError as error:
            missed.append(Missed(layout.HANDBOOK, GapReason.UNREACHABLE, str(error), again=True))
        except (ArchiveError, DisputedError) as error:
            missed.append(Missed(layout.HANDBOOK, GapReason.UNREADABLE, str(error)))
        return tuple(missed)

    async def _put(self, path: str, text: str) -> None:
        how = await archivekeys.encryption(self._api, self._namespace, self._agent)
        item = await personal.upload(self._store, self._agent, path, personal.whole(text.encode()), how)
        await captured.note(self._store, self._agent.uid, item)


def _parts(name: str) -> tuple[tuple[str, str], ...]:
    return tuple((key, layout.handbook(name, key)) for key in (handbook.INSTRUCTIONS_KEY, handbook.HANDBOOK_KEY))


def _unfit(name: str, found: Mapping[str, Any] | None) -> Missed:
    path = layout.handbook(name)
    if found is None:
        return Missed(path, GapReason.NOT_FOUND, f"ConfigMap {name} was gone before it could be read")
    return Missed(path, GapReason.UNREADABLE, f"ConfigMap {name} is not what it was: its digest is another one")
