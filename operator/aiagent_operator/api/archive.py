"""The manifest of an archive: what is in it, of whom, until when, and what could not be put into it.

It is no kind: it lies in the archive store as `manifest.json`, is written last and never again. Its own digest is what
the certificate of decommission is about. Times are UTC, to the second (RFC 3339); digests are SHA-256 (FIPS 180-4).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Final, Literal

from pydantic import AwareDatetime, BeforeValidator, Field, PlainSerializer, StringConstraints

from aiagent_operator.api.agentrevision import Digest
from aiagent_operator.api.durations import MAX_LENGTH, PATTERN
from aiagent_operator.api.fields import Model, ObjectName, Text

VERSION: Final = "archive.workforce.dev/v1"
MOST_ITEMS: Final = 50_000
MOST_SOURCES: Final = 64
LONGEST_PATH: Final = 512

_MOMENT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_LARGEST: Final = 2**63 - 1


def _to_the_second(value: Any) -> Any:
    """Moments in UTC without a fraction, so that what is written is what was given. As text, only RFC 3339 in UTC."""
    if isinstance(value, str):
        if not _MOMENT.fullmatch(value):
            raise ValueError("write a moment in UTC, such as 2026-11-22T10:00:00Z")
        return datetime.fromisoformat(value)
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).replace(microsecond=0)
    return value


def _written(when: datetime) -> str:
    return f"{when.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='seconds')}Z"


Moment = Annotated[AwareDatetime, BeforeValidator(_to_the_second), PlainSerializer(_written, when_used="json")]
"""A moment, in UTC and to the second."""

ItemPath = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_PATH)]
Uid = Annotated[str, StringConstraints(min_length=1, max_length=128)]
Size = Annotated[int, Field(ge=0, le=_LARGEST)]
Short = Annotated[str, StringConstraints(min_length=1, max_length=253)]


class LeaveReason(StrEnum):
    """Why the agent left."""

    REPLACED = "Replaced"
    EXPIRED = "Expired"
    PERFORMANCE = "Performance"
    INCIDENT = "Incident"
    OWNER_LEFT = "OwnerLeft"
    BUSINESS = "Business"


class Mode(StrEnum):
    """How it left: with its rights until it was archived, or without them from the first step on."""

    PLANNED = "Planned"
    EMERGENCY = "Emergency"


class GapReason(StrEnum):
    """Why something is not in the archive."""

    NAMESPACE_TERMINATING = "NamespaceTerminating"
    NOT_FOUND = "NotFound"
    FORBIDDEN = "Forbidden"
    UNREACHABLE = "Unreachable"
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    TOO_LARGE = "TooLarge"
    UNREADABLE = "Unreadable"
    CHANGED_MEANWHILE = "ChangedMeanwhile"
    EXCLUDED_BY_POLICY = "ExcludedByPolicy"


class Encryption(Model):
    """How an item is encrypted. Whoever has destroyed the key has erased the item."""

    algorithm: Short
    key_id: Annotated[str, StringConstraints(min_length=1, max_length=256)]


class Item(Model):
    """One file. Digest and size are of the bytes as they lie in the store, which are those that `sha256sum` reads."""

    path: ItemPath
    digest: Digest
    size: Size
    media_type: Annotated[str, StringConstraints(pattern=r"^[a-z0-9.+-]+/[a-z0-9.+-]+$", max_length=127)]
    personal: bool = False
    encrypted: Encryption | None = None


class Gap(Model):
    """What could not be captured: one item, or a folder of them."""

    path: ItemPath
    reason: GapReason
    message: Text


class ArchivedAgent(Model):
    """The agent. `accountable` is the digest of its accountable owner, whose name may have to be forgotten."""

    namespace: Short
    name: Short
    uid: Uid
    role: ObjectName
    accountable: Digest


class Relative(Model):
    """The agent before or after this one, and its archive where there is one."""

    namespace: Short
    name: Short
    uid: Uid
    archive: Short | None = None


class Lineage(Model):
    """Whom the agent came after, and who came after it."""

    predecessor: Relative | None = None
    successor: Relative | None = None


class JournalHead(Model):
    """The last record of the agent's journal: its number, counted from 1, and its digest in the chain."""

    sequence: Annotated[int, Field(ge=1, le=_LARGEST)]
    digest: Digest


class RetentionRecord(Model):
    """How long the archive is kept, counted from its creation, and who asks for so long."""

    duration: Annotated[str, StringConstraints(pattern=PATTERN, max_length=MAX_LENGTH)]
    until: Moment
    sources: Annotated[tuple[Text, ...], Field(min_length=1, max_length=MOST_SOURCES)]


class Manifest(Model):
    """What an archive holds. `items` and `not_captured` are in the order of their paths, and no path is in both."""

    version: Literal["archive.workforce.dev/v1"] = VERSION
    archive: Short
    created: Moment
    agent: ArchivedAgent
    lineage: Lineage = Lineage()
    reason: LeaveReason
    mode: Mode
    journal: JournalHead | None = None
    retention: RetentionRecord
    items: Annotated[tuple[Item, ...], Field(max_length=MOST_ITEMS)]
    not_captured: Annotated[tuple[Gap, ...], Field(max_length=MOST_ITEMS)] = ()
