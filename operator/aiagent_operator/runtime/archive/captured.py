"""What of an agent that leaves is in a store before its archive is sealed, and what is known to be missing.

It is noted item by item in the store, so that a crash between the capture and the seal loses nothing.
"""

from __future__ import annotations

import asyncio
from typing import Final

from aiagent_operator.api.archive import Gap, GapReason
from aiagent_operator.core.archive import layout, manifest
from aiagent_operator.core.archive import noted as notes
from aiagent_operator.core.archive.errors import ArchiveError
from aiagent_operator.core.archive.layout import Kept, Layout
from aiagent_operator.core.archive.manifest import Stored
from aiagent_operator.runtime.archive.errors import DisputedError, Kind, StoreError
from aiagent_operator.runtime.archive.store import Store

_AT_ONCE: Final = 16


async def note(store: Store, uid: str, what: Stored | Gap, rest: Gap | None = None) -> None:
    """Notes that an item is stored in the archive's folder (its path has the folder of its attempt), or why it is not.

    `rest`: what of this attempt is missing; it is one note, since another attempt may miss nothing. The first note of
    an item holds: where there is one already, nothing is written. Raises StoreError, ArchiveError.
    """
    await store.create(Kept(uid).key(layout.captured(what.path)), notes.written(what, rest))


async def noted(store: Store, uid: str) -> tuple[tuple[Stored, ...], tuple[Gap, ...]]:
    """All that is noted of the agent. Raises StoreError, and DisputedError for a note that the operator has not
    written."""
    where, found = Kept(uid), list[Stored | Gap]()
    async for page in store.pages(where.key(layout.CAPTURED)):
        for first in range(0, len(page), _AT_ONCE):
            some = page[first : first + _AT_ONCE]
            for said in await asyncio.gather(*(_read(store, where, name) for name in some)):
                found += said
    return (
        tuple(each for each in found if isinstance(each, Stored)),
        tuple(each for each in found if isinstance(each, Gap)),
    )


async def sealable(store: Store, where: Layout) -> tuple[tuple[Stored, ...], tuple[Gap, ...]]:
    """All that is noted of the agent, where each stored item is looked at: one that has gone since is missing.

    What a manifest lists cannot be taken back, and an archive with a file that is not there would never be complete.
    Raises as `noted`.
    """
    stored, gaps = await noted(store, where.agent_uid)
    there: list[Stored] = []
    missing: list[Gap] = []
    for first in range(0, len(stored), _AT_ONCE):
        some = stored[first : first + _AT_ONCE]
        stats = await asyncio.gather(*(store.stat(where.key(each.path)) for each in some))
        for each, stat in zip(some, stats, strict=True):
            if stat is not None and stat.size == each.size:
                there.append(each)
            else:
                size = "it is not there" if stat is None else f"it has {stat.size} bytes"
                text = f"{each.size} bytes were stored as {each.path}, and now {size}"
                missing.append(manifest.gap(layout.item(each.path), GapReason.NOT_FOUND, text))
    return tuple(there), (*gaps, *missing)


async def _read(store: Store, where: Kept, name: str) -> tuple[Stored | Gap, ...]:
    try:
        return notes.read(await store.read(name, notes.LIMIT), where.path(name))
    except ArchiveError as error:
        raise DisputedError(f"archive store {store.name}: {name}: {error}") from error
    except StoreError as error:
        if error.kind is not Kind.TOO_LARGE:
            raise
        raise DisputedError(f"archive store {store.name}: {name} is no note: find out who has written it") from error
