"""Tombstones: made before something is destroyed, so that no crash leaves a loss without its record; and read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pydantic import ValidationError

from aiagent_operator.api.archive import Manifest
from aiagent_operator.api.tombstone import VERSION, Destroyed, Lost, Order, Tombstone
from aiagent_operator.core.archive import manifest, wire
from aiagent_operator.core.archive.errors import ArchiveError
from aiagent_operator.core.archive.retention import Retention
from aiagent_operator.core.untrusted import line

LIMIT: Final = manifest.LIMIT
"""Bytes of a tombstone that are read; it names each item, as the manifest does."""


@dataclass(frozen=True, slots=True)
class Destruction:
    """When something is destroyed, why, and on whose order. `retention` is the one that holds then."""

    at: datetime
    reason: str
    retention: Retention
    order: Order | None = None


def purged(manifest_data: bytes, why: Destruction) -> bytes:
    """The bytes of `tombstone.json`, to be written before the first file is removed. Raises ArchiveError."""
    about = manifest.read(manifest_data)
    return _made(Destroyed.PURGED, wire.digest(manifest_data), about, why)


def erased(manifest_data: bytes, why: Destruction) -> bytes:
    """The bytes of `erasure.json`, to be written before the key of the personal payload is destroyed.

    Raises ArchiveError, also where there is no order: nobody's payload is erased by the calendar.
    """
    about = manifest.read(manifest_data)
    if why.order is None:
        raise ArchiveError(f"the erasure of {about.archive} has no order: name the AgentAction and who gave it")
    return _made(Destroyed.ERASED, wire.digest(manifest_data), about, why)


def read(data: bytes, act: Destroyed, about: Manifest, digest: str, what: str) -> Tombstone:
    """The tombstone in a file of the archive with this manifest; `what` names the file. Raises ArchiveError."""
    found = wire.read(data, Tombstone, what, limit=LIMIT, version=VERSION)
    if found.act is not act:
        raise ArchiveError(f"{what} says {found.act}, and has to say {act}: it is in the wrong place")
    if found.manifest != digest:
        raise ArchiveError(
            f"{what} is of the manifest {found.manifest}, and this one is {digest}: it is of another archive"
        )
    if found.items != _lost(act, about):
        raise ArchiveError(f"{what} names other items than the manifest: get an undamaged copy")
    return found


def _made(act: Destroyed, digest: str, about: Manifest, why: Destruction) -> bytes:
    try:
        made = Tombstone(
            act=act,
            archive=about.archive,
            agent=about.agent,
            manifest=digest,
            at=why.at,
            reason=line(why.reason, manifest.LONGEST_MESSAGE),
            order=why.order,
            retention=why.retention.record(),
            items=_lost(act, about),
            keys=manifest.personal_keys(about),
        )
    except ValidationError as error:
        raise ArchiveError(
            f"the tombstone of {about.archive} cannot be made: {wire.faults(error)}: correct it"
        ) from error
    data = wire.written(made)
    read(data, act, about, digest, f"the tombstone of {about.archive}")
    return data


def _lost(act: Destroyed, about: Manifest) -> tuple[Lost, ...]:
    """The items that are destroyed: all, or those that are personal."""
    lost = (item for item in about.items if item.personal or act is Destroyed.PURGED)
    return tuple(Lost(path=item.path, digest=item.digest, size=item.size) for item in lost)
