"""What is noted of each item that was captured before its archive is sealed: that it is stored, and what of it is
missing, or why it is not.

A note is a file of its own, in the folder of what is kept of the agent, so that whoever comes after a crash finds what
was done already. The first note of an item is the one that holds.
"""

from __future__ import annotations

from aiagent_operator.api.archive import Gap, Item
from aiagent_operator.api.fields import Model
from aiagent_operator.core.archive import layout, manifest, wire
from aiagent_operator.core.archive.errors import ArchiveError
from aiagent_operator.core.archive.manifest import Stored
from aiagent_operator.core.strict_json import quoted

LIMIT = 64 * 1024
"""Bytes of a note that are read."""


class _Note(Model):
    """Either of the two, or both: an item of which not all is there."""

    item: Item | None = None
    gap: Gap | None = None


def written(what: Stored | Gap, rest: Gap | None = None) -> bytes:
    """The bytes of a note, the same for the same arguments. `rest`: what of the item is missing, by a path of its own.

    Raises ArchiveError for what no manifest would take.
    """
    note = _Note(gap=what) if isinstance(what, Gap) else _Note(item=manifest.item(what), gap=rest)
    return wire.written(note)


def read(data: bytes, path: str) -> tuple[Stored | Gap, ...]:
    """What a note says, of its item first; `path` is its own, in the folder of what is kept. Raises ArchiveError, also
    where it is about another item than its path says."""
    note = wire.read(data, _Note, path, limit=LIMIT)
    found = tuple(each for each in (note.item and _stored(note.item), note.gap) if each)
    if not found or layout.captured(found[0].path) != path:
        about = quoted(found[0].path, 200) if found else "nothing"
        raise ArchiveError(f"{path} is about {about}: the operator has not written it, so find out who has")
    return found


def _stored(item: Item) -> Stored:
    return Stored(item.path, item.digest.removeprefix(wire.PREFIX), item.size, item.personal, item.encrypted)
