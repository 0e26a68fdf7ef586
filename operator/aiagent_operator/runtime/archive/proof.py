"""Proof that a store keeps its promises, at the start and from time to time, from what it does and not what it says.

Two creates of one name: the second has to be refused, and the content to be the first's. The name holds the day, so one
object a day is left, which nothing removes: deleting is not needed, and where objects are locked it would not work.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import orjson

from aiagent_operator.runtime.archive import verdict
from aiagent_operator.runtime.archive.errors import StoreError
from aiagent_operator.runtime.archive.store import PROOF, Put, Store
from aiagent_operator.runtime.archive.verdict import Broken, Lock, Verdict

_MOST: Final = 4096


@dataclass(frozen=True, slots=True)
class Seen:
    """What a store says of an object beside its content; None for what it does not say. `date` is by its clock."""

    date: datetime | None = None
    versioned: bool | None = None
    lock: Lock | None = None


Look = Callable[[str], Awaitable[Seen]]


def _now() -> datetime:
    return datetime.now(UTC)


async def prove(store: Store, *, look: Look | None = None, now: Callable[[], datetime] = _now) -> Verdict:
    """What the store can be used for now. Raises nothing of the store's: that it fails is what the verdict says.

    `look` asks what the store says of an object, see `retention`.
    """
    began = now()
    name = f"{PROOF}/{began:%Y-%m-%d}.json"
    try:
        if store.read_only:
            await _reads(store, name)
            return verdict.read_only(store.name, began, None)
        try:
            found = await _writes(store, name, began)
        except StoreError as error:
            if not verdict.may_still_be_read(error):
                raise
            await _reads(store, name)
            return verdict.read_only(store.name, began, error)
        if isinstance(found, Verdict):
            return found
        await store.tidy()
        seen = await look(name) if look is not None else Seen()
        skew = _skew(seen.date, now()) if seen.date is not None else found
        return verdict.ready(store.name, began, skew=skew, versioned=seen.versioned, lock=seen.lock)
    except StoreError as error:
        return verdict.failed(store.name, began, error)


async def _reads(store: Store, name: str) -> None:
    """Everything that does not write."""
    await store.stat(name)
    async for _page in store.pages(PROOF, _before(name)):
        return


async def _writes(store: Store, name: str, began: datetime) -> Verdict | timedelta | None:
    """A verdict where a promise is broken; else how far the store's clock is off, where this wrote something."""
    first, second = _content(store.name, began), _content(store.name, began)
    put = await store.create(name, first)
    again = await store.create(name, second)
    if again is Put.CREATED:
        what = f"two creates of {name} succeeded, so creating overwrites"
        return verdict.broken(store.name, began, Broken.NOT_CONDITIONAL, what)
    content = await store.read(name, _MOST)
    if content == second or (put is Put.TAKEN and content == first):
        what = f"a create of {name} was refused, and has overwritten what was there"
        return verdict.broken(store.name, began, Broken.NOT_CONDITIONAL, what)
    if put is Put.CREATED and content != first:
        what = f"{name} was read right after it was written, and is not what was written"
        return verdict.broken(store.name, began, Broken.NOT_READ_BACK, what)
    if not await _listed(store, name):
        what = f"{name} is not in a list right after it was written"
        return verdict.broken(store.name, began, Broken.NOT_LISTED, what)
    found = await store.stat(name) if put is Put.CREATED else None
    return _skew(found.modified, began) if found is not None else None


async def _listed(store: Store, name: str) -> bool:
    async for page in store.pages(PROOF, _before(name)):
        return name in page
    return False


def _before(name: str) -> str:
    """What is less than the name, with little between them: today's is the last of its kind."""
    return name.removesuffix(".json")


def _content(store: str, began: datetime) -> bytes:
    return orjson.dumps({"store": store, "at": began, "token": secrets.token_hex(16)})


def _skew(theirs: datetime, ours: datetime) -> timedelta:
    # Stores tell whole seconds.
    return timedelta(seconds=round((theirs - ours).total_seconds()))
