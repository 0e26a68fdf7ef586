"""What stays where something of an archive was destroyed: what it was, why, when, and on whose order.

Its digests let anybody show later that a copy found elsewhere is, or is not, what was destroyed.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from aiagent_operator.api.archive import (
    MOST_ITEMS,
    ArchivedAgent,
    ItemPath,
    Moment,
    RetentionRecord,
    Short,
    Size,
    Uid,
)
from aiagent_operator.api.fields import Digest, Model, Text

VERSION: Final = "tombstone.workforce.dev/v1"


class Destroyed(StrEnum):
    """What was done: all files removed, or the key of the personal ones destroyed."""

    PURGED = "Purged"
    ERASED = "Erased"


class Order(Model):
    """An AgentAction, and the user who gave it."""

    name: Short
    uid: Uid
    by: Text


class Lost(Model):
    """One file as it was."""

    path: ItemPath
    digest: Digest
    size: Size


class Tombstone(Model):
    """Record of one destruction. Without an order it was the end of the retention alone."""

    version: Literal["tombstone.workforce.dev/v1"] = VERSION
    act: Destroyed
    archive: Short
    agent: ArchivedAgent
    manifest: Digest
    at: Moment
    reason: Text
    order: Order | None = None
    retention: RetentionRecord
    items: Annotated[tuple[Lost, ...], Field(max_length=MOST_ITEMS)]
    keys: Annotated[
        tuple[Annotated[str, StringConstraints(min_length=1, max_length=256)], ...], Field(max_length=MOST_ITEMS)
    ] = ()
