"""Rebuilds the index of archives from the stores: the store is the record, AgentArchives are made anew from it.

What is on record already is left as it is, so it can be cut off anywhere and begun again, also while the operator is at
work.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from aiagent_operator.api.conditions import Type, merge
from aiagent_operator.api.tombstone import Tombstone
from aiagent_operator.core import texts
from aiagent_operator.core.archive import archivekey, erasing, index, layout, recovered, unarchived, upkeep
from aiagent_operator.core.archive.envelope import PublicKey
from aiagent_operator.core.archive.errors import ArchiveError
from aiagent_operator.core.objects import Manifest
from aiagent_operator.runtime import paths
from aiagent_operator.runtime.archive import found, released
from aiagent_operator.runtime.archive.errors import DisputedError
from aiagent_operator.runtime.archive.found import Candidate, Folder, RefusedError
from aiagent_operator.runtime.archive.store import Store
from aiagent_operator.runtime.client import Api, ApiError, pages
from aiagent_operator.runtime.onrecord import check_same, is_judged, on_record

# Archives under way together: of each a manifest and one chunk are in memory, beside an operator at work in the pod.
_AT_ONCE: Final = 4
# What the API server says of this one object, and would say again.
_NOT_VALID: Final = (400, 422)
# AgentArchives that are listed at once.
_PAGE: Final = 500


class Fate(StrEnum):
    """What became of one archive."""

    MADE = "made"
    TO_BE_MADE = "to be made"
    THERE = "there already"
    PURGED = "purged"
    UNFINISHED = "unfinished"
    UNRECORDED = "not in the store"
    DISPUTED = "disputed"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One archive: its folder in the store, what became of it, its AgentArchive or what is wrong, and the remedy."""

    place: str
    fate: Fate
    text: str = ""


class Rebuilding:
    """One way of rebuilding: which keys are believed, and whether anything is written.

    `namespace`: the operator's own, where keys of archives are. `dry_run`: everything is read and nothing written.
    `uncertified`: archives without a certificate are taken too. `watched`: namespaces of the agents whose AgentArchives
    are this operator's affair; all where none is named.
    """

    def __init__(
        self,
        api: Api,
        keys: Collection[PublicKey],
        namespace: str,
        *,
        dry_run: bool,
        uncertified: bool,
        watched: Collection[str] = (),
    ) -> None:
        self._api, self._keys, self._namespace = api, keys, namespace
        self._dry_run, self._uncertified = dry_run, uncertified
        self._watched = frozenset(watched)
        # Stores, and folders in them, that say that there is no archive.
        self._releases: set[tuple[str, str]] = set()

    async def of(self, store: Store) -> AsyncIterator[Outcome]:
        """What becomes of each archive in the store, in the order of their names.

        Raises StoreError and ApiError where nothing more can be said; what is made by then stays.
        """
        several: list[Folder] = []
        async for folder in found.folders(store):
            several.append(folder)
            if len(several) == _AT_ONCE:
                for outcome in await self._together(store, several):
                    yield outcome
                several = []
        for outcome in await self._together(store, several):
            yield outcome

    async def unrecorded(self, stores: Collection[str]) -> AsyncIterator[tuple[str, Outcome]]:
        """AgentArchives of agents that were abandoned, of which none of the stores that were gone through has a record:
        each with the name of its store. `stores`: in which it should be; all where none is named. Raises ApiError."""
        async for page in pages(self._api, paths.ARCHIVES, {}, size=_PAGE):
            for each in page["items"]:
                spec = each["spec"]
                if "abandoned" not in spec or (stores and spec["store"] not in stores):
                    continue
                if self._watched and spec["agent"]["namespace"] not in self._watched:
                    continue
                if (spec["store"], spec["path"]) not in self._releases:
                    name = f"AgentArchive {each['metadata']['name']}"
                    yield spec["store"], Outcome(spec["path"], Fate.UNRECORDED, f"{name}: {_why(each)}")

    async def _together(self, store: Store, folders: list[Folder]) -> list[Outcome]:
        return await asyncio.gather(*(self._one(store, folder) for folder in folders))

    async def _one(self, store: Store, folder: Folder) -> Outcome:
        if folder.is_rest:
            return Outcome(folder.prefix, Fate.UNFINISHED)
        try:
            if folder.is_release:
                return await self._release(store, folder)
            one = await found.candidate(store, folder, self._keys, uncertified=self._uncertified)
            return await self._brought_in(store, one)
        except RefusedError as error:
            return Outcome(folder.prefix, Fate.REFUSED, str(error))
        except DisputedError as error:
            return Outcome(folder.prefix, Fate.DISPUTED, str(error))

    async def _brought_in(self, store: Store, one: Candidate) -> Outcome:
        place, name, body = one.where.prefix, f"AgentArchive {one.name}", one.record(store.name)
        there = await self._api.find(paths.archive(one.name))
        if there is not None:
            check_same(there, body)
            if is_judged(there):
                return Outcome(place, Fate.THERE, name)
        if one.purged is None:
            await found.read_back(store, one)
        status = await self._status(store, one)
        if self._dry_run:
            return Outcome(place, Fate.TO_BE_MADE, name)
        await self._made(body, status)
        gone = f": purged {one.purged.at:%Y-%m-%d}: {one.purged.reason}" if one.purged else ""
        return Outcome(place, Fate.PURGED if one.purged else Fate.MADE, f"{name}{gone}")

    async def _release(self, store: Store, folder: Folder) -> Outcome:
        """What becomes of the record of an agent that was released without an archive. Raises as `_brought_in`."""
        # Whatever is wrong with it is said of the folder, and not that there is none.
        self._releases.add((store.name, folder.prefix))
        one = await released.candidate(store, folder, self._keys, uncertified=self._uncertified)
        body, order = one.body(store.name), one.record.abandoned
        said = (
            f"AgentArchive {one.name}: abandoned {order.time:%Y-%m-%d} by AgentAction {order.namespace}/{order.order}: "
            f"{order.reason}"
        )
        there = await self._api.find(paths.archive(one.name))
        if there is not None:
            check_same(there, body)
            released.check_same(one, there)
            if is_judged(there):
                return Outcome(folder.prefix, Fate.THERE, said)
        if self._dry_run:
            return Outcome(folder.prefix, Fate.TO_BE_MADE, said)
        await self._made(body, unarchived.status(order, datetime.now(UTC), one.read))
        return Outcome(folder.prefix, Fate.MADE, said)

    async def _made(self, body: Manifest, status: Manifest) -> None:
        try:
            await on_record(self._api, body, status)
        except ApiError as error:
            if error.status in _NOT_VALID:
                name = body["metadata"]["name"]
                raise RefusedError(f"AgentArchive {name} cannot be made: {error.message}") from error
            raise

    async def _status(self, store: Store, one: Candidate) -> Manifest:
        """What its AgentArchive says: of what was destroyed too. Raises RefusedError, StoreError, ApiError."""
        now, about, erased = datetime.now(UTC), one.sealed.manifest, {}
        if one.erased is not None:
            erased = await self._erased(one, one.erased, now)
        if one.purged is None:
            said = index.status(about, now, one.certificate, now)
        else:
            ended = await found.is_empty(store, one)
            said = recovered.purged(one.purged, one.certificate, now, ended=ended)
        if erased:
            told = merge((), (erasing.done(erased["erasure"]),), 1, texts.moment(now))
            said = {**said, **erased, "conditions": [*said["conditions"], *told]}
        return said

    async def _erased(self, one: Candidate, stone: Tombstone, now: datetime) -> Manifest:
        """Nobody has signed that it was erased: as long as there is a key, a person decides what is true."""
        key = archivekey.of(one.name)
        if await self._api.find(paths.secret(self._namespace, key)) is not None:
            raise RefusedError(
                f"{one.where.prefix}/{layout.ERASURE} says that it was erased, and Secret {self._namespace}/{key} is "
                "there: delete the Secret where that is true, or find out who wrote the file, and remove that"
            )
        try:
            return recovered.erased(stone, now)
        except ArchiveError as error:
            raise RefusedError(str(error)) from error


def _why(there: Manifest) -> str:
    """Why the store has no record of an agent that was abandoned, as its AgentArchive says it."""
    said = upkeep.condition(there.get("status") or {}, Type.VERIFIED) or {}
    if said.get("status") == "True":
        return (
            f"{layout.ABANDONED} is gone since it was read: find out who removed it. It is put there again when the "
            "operator reads it again"
        )
    return str(said.get("message") or "the operator has not put it there yet: let it run")
