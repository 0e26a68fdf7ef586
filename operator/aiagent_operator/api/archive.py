"""The manifest of an archive: what is in it, of whom, until when, and what could not be put into it.

It is no kind: it lies in the archive store as `manifest.json`, is written last and never again. Its own digest is what
the certificate of decommission is about. Times are UTC, to the second (RFC 3339); digests are SHA-256 (FIPS 180-4).
What an AgentArchive says too has the same type in both, and so a description for the definition of that kind.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Final, Literal

from pydantic import AwareDatetime, BeforeValidator, Field, PlainSerializer, StringConstraints

from aiagent_operator.api.durations import MAX_LENGTH, PATTERN
from aiagent_operator.api.fields import AS_SET, Digest, Model, ObjectName, Text, described

VERSION: Final = "archive.workforce.dev/v1"
MOST_ITEMS: Final = 50_000
MOST_LEFT_OVER: Final = 1000
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


Moment = Annotated[
    AwareDatetime,
    BeforeValidator(_to_the_second),
    PlainSerializer(_written, when_used="json"),
    # CEL compares what has this format as moments: the pattern leaves one way only to write each.
    Field(json_schema_extra={"pattern": f"^{_MOMENT.pattern}$", "maxLength": 20}),
]
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
    ABANDONED = "Abandoned"


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

    path: Annotated[ItemPath, described("Where it would be in the archive: an item, or a folder of them.")]
    reason: Annotated[GapReason, described("Why it is not there, in one word.")]
    message: Annotated[Text, described("Why, in the words of the system that said so.")]


class FormerAgent(Model):
    """The agent that left."""

    namespace: Annotated[Short, described("Namespace of the AIAgent.")]
    name: Annotated[Short, described("Name of the AIAgent.")]
    uid: Annotated[Uid, described("UID of the AIAgent.")]
    role: Annotated[ObjectName, described("Name of the AgentRole that it had.")]


class ArchivedAgent(FormerAgent):
    """The agent. `accountable` is the digest of its accountable owner, whose name may have to be forgotten."""

    accountable: Digest


class Relative(Model):
    """The agent before or after this one, and its archive where there is one."""

    namespace: Annotated[Short, described("Namespace of that AIAgent.")]
    name: Annotated[Short, described("Name of that AIAgent.")]
    uid: Annotated[Uid, described("UID of that AIAgent.")]
    archive: Short | None = described("Its archive, where there is one.", default=None)


class Lineage(Model):
    """Whom the agent came after, who came after it, and who it was before: an agent that is rehired has another UID."""

    predecessor: Relative | None = described("The agent that this one came after.", default=None)
    successor: Relative | None = described("The agent that came after this one.", default=None)
    former: Relative | None = described("The last agent that had its name, and was archived, before it.", default=None)


class JournalHead(Model):
    """The last record of the agent's journal."""

    sequence: Annotated[int, Field(ge=1, le=_LARGEST), described("Its number, counted from 1.")]
    digest: Annotated[Digest, described("Its digest in the chain.")]


class RetentionRecord(Model):
    """How long the archive is kept, counted from its creation, and who asks for so long."""

    duration: Annotated[
        str,
        StringConstraints(pattern=PATTERN, max_length=MAX_LENGTH),
        described("For how long, counted from its creation, such as 52560h."),
    ]
    until: Annotated[Moment, described("When that ends, if no rule has come that asks for longer.")]
    sources: Annotated[
        tuple[Text, ...],
        described(
            "Who asks for so long, such as AgentPolicy eu.",
            min_length=1,
            max_length=MOST_SOURCES,
            json_schema_extra=AS_SET,
        ),
    ]


class Manifest(Model):
    """What an archive holds. `items`, `not_captured` and `left_over` are in the order of their paths, and no path is in
    two of them. `left_over`: files that an attempt to archive it had left in its folder by then."""

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
    left_over: Annotated[tuple[ItemPath, ...], Field(max_length=MOST_LEFT_OVER)] | None = None
