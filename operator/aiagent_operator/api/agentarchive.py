"""AgentArchive: the personnel file after leaving, which is the index of one archive in an archive store.

The operator writes it, and nobody else; the store is the record. What its spec says is what the manifest of the archive
says, in the same types; times are UTC, to the second (RFC 3339), sizes are bytes.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import ConfigDict, Field, StringConstraints

from aiagent_operator.api.abandonment import RecordedAbandonment
from aiagent_operator.api.archive import (
    MOST_ITEMS,
    FormerAgent,
    Gap,
    JournalHead,
    LeaveReason,
    Lineage,
    Mode,
    Moment,
    RetentionRecord,
    Short,
    Size,
    Uid,
)
from aiagent_operator.api.conditions import Condition
from aiagent_operator.api.fields import (
    AS_SET,
    Digest,
    Label,
    Model,
    ObjectName,
    Text,
    cel,
    described,
    map_by,
    rules,
)
from aiagent_operator.api.holds import MOST_HOLDS, HoldEntry
from aiagent_operator.api.journalstatus import StoreName
from aiagent_operator.api.objectmeta import ObjectMeta
from aiagent_operator.api.succession import AcceptanceStatus, DeliveryStatus, KinStatus

SHOWN_GAPS: Final = 64
"""Gaps that stand in the spec. A manifest may have 50,000, which is more than an object in etcd can hold."""

MOST_KEYS: Final = 16
"""Keys that may have signed a certificate."""

Prefix = Annotated[
    str, StringConstraints(min_length=1, max_length=266, pattern=r"^archives(/[a-z0-9_][a-z0-9._-]{0,127}){2}$")
]
"""Where an archive lies in its store: archives/<agent's UID>/<archive>, each as a part of a path."""

Files = Annotated[int, Field(ge=0, le=2**31 - 1)]


class ManifestSummary(Model):
    """What the archive's manifest.json is, and what it counts."""

    digest: Annotated[Digest, described("SHA-256 of manifest.json: what sha256sum says of it.")]
    items: Annotated[int, Field(ge=0, le=MOST_ITEMS), described("Files that it names.")]
    size: Annotated[Size, described("Their bytes together, as they lie in the store.")]


class AgentArchiveSpec(Model):
    """What was archived, of whom, and until when. Immutable."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel("self == oldSelf", "an archive is a record and never changes: what it says was sealed with it"),
            cel(
                "has(self.manifest) != has(self.abandoned)",
                "an archive has a manifest, or it was abandoned: give one of manifest and abandoned",
            ),
        )
    )

    agent: Annotated[FormerAgent, described("The agent that left.")]
    store: Annotated[StoreName, described("Name of the archive store that it is in.")]
    path: Annotated[Prefix, described("Where it lies there, without a slash at the end.")]
    manifest: ManifestSummary | None = described("Its manifest.json, which names all that is in it.", default=None)
    abandoned: RecordedAbandonment | None = described(
        "In place of a manifest: the order by which the agent was released without an archive.", default=None
    )
    created: Annotated[Moment, described("When it was sealed, or abandoned; the retention counts from here.")]
    reason: Annotated[LeaveReason, described("Why the agent left.")]
    mode: Annotated[
        Mode,
        described("Planned, or Emergency where its rights were revoked before anything was archived."),
    ]
    journal: JournalHead | None = described(
        "The last record of the journal in it; none where there is no journal.", default=None
    )
    retention: Annotated[RetentionRecord, described("How long it is kept, and who asks for so long.")]
    not_captured: Annotated[
        tuple[Gap, ...],
        described(
            "What should be in it and is not, in the order of the paths.",
            max_length=SHOWN_GAPS,
            json_schema_extra=map_by("path"),
        ),
    ] = ()
    not_captured_more: Annotated[int, Field(ge=1, le=MOST_ITEMS)] | None = described(
        "How many more are not in it, which only the manifest names.", default=None
    )
    lineage: Lineage | None = described("Whom the agent came after, and who came after it.", default=None)


class ArchivePhase(StrEnum):
    """A summary for people. Programs read the conditions."""

    SEALED = "Sealed"
    CERTIFIED = "Certified"
    PURGED = "Purged"
    ABANDONED = "Abandoned"


class Verification(Model):
    """The last time that all of the archive was read back, and equal to its digests."""

    last_time: Annotated[Moment, described("When that was.")]
    files: Annotated[Files, described("Files that were read.")]
    size: Annotated[Size, described("Their bytes.")]


class CertificateSummary(Model):
    """The certificate of decommission, which lies beside the manifest."""

    digest: Annotated[Digest, described("SHA-256 of certificate.json: what sha256sum says of it.")]
    key_ids: Annotated[
        tuple[Annotated[str, StringConstraints(min_length=1, max_length=256)], ...],
        described("Ids of the keys that have signed it.", min_length=1, max_length=MOST_KEYS, json_schema_extra=AS_SET),
    ]
    completion_time: Annotated[Moment, described("When the decommission was complete, as it certifies.")]


class PurgeStatus(Model):
    """The end of an archive: all of it is removed but manifest, certificate and tombstone."""

    start_time: Annotated[Moment, described("When that was decided: after this it cannot be held any more.")]
    completion_time: Moment | None = described("When all of it was removed.", default=None)


class ErasureStatus(Model):
    """The end of what is personal in an archive: its key is destroyed. The order, and what it was given for."""

    uid: Annotated[Uid, described("UID of the AgentAction.")]
    namespace: Annotated[Label, described("Namespace of the AgentAction.")]
    order: Annotated[ObjectName, described("Name of the AgentAction.")]
    by: Annotated[Short, described("Who gave it.")]
    reason: Annotated[Text, described("Why, in the words of who gave it.")]
    start_time: Annotated[Moment, described("When that was decided: after this a hold comes too late.")]
    completion_time: Moment | None = described("When the key was seen to be gone.", default=None)


class HandoverRecord(Model):
    """How the handover to the agent's successor ended."""

    successor: KinStatus | None = described("Who has taken over; nobody, where it is left out.", default=None)
    acceptance: AcceptanceStatus | None = described(
        "The order by which that was accepted, where it had to be.", default=None
    )
    delivery: DeliveryStatus | None = described(
        "Where a store had what was delivered by then, decrypted.", default=None
    )
    time: Annotated[Moment, described("When that was found.")]
    message: Annotated[str, StringConstraints(max_length=1024), described("What is to be known of it.")]


class AgentArchiveStatus(Model):
    """What is known of the archive in its store."""

    observed_generation: int | None = described("Generation of the spec last acted upon.", default=None)
    phase: ArchivePhase | None = described("Summary for people.", default=None)
    verification: Verification | None = described(
        "When all of it was last read back and agreed with its digests; of one abandoned, its record.", default=None
    )
    certificate: CertificateSummary | None = described(
        "The certificate of decommission, once it is in the store; of one abandoned, the signature of its record.",
        default=None,
    )
    retained_until: Moment | None = described(
        "Until when it is kept by the rules of today, which may ask for longer than was sealed.", default=None
    )
    handover: HandoverRecord | None = described(
        "How the handover ended, where the agent named a successor.", default=None
    )
    purge: PurgeStatus | None = described("The end of the archive, once its retention is over.", default=None)
    erasure: ErasureStatus | None = described(
        "The end of what is personal in it, by order; the rest stays as it was.", default=None
    )
    holds: Annotated[
        tuple[HoldEntry, ...],
        described(
            "Legal holds, the oldest first. While there is one, nothing of the archive is destroyed, and the "
            "AgentArchive cannot be deleted.",
            max_length=MOST_HOLDS,
            json_schema_extra=map_by("uid"),
        ),
    ] = ()
    conditions: Annotated[
        tuple[Condition, ...],
        described(
            "Conditions (metav1). Verified: it, or the record that there is none, was read back and is what was put. "
            "Certified: its certificate is in the store. Held: somebody holds it. Erased: what is personal in it "
            "cannot be read any more.",
            max_length=8,
            json_schema_extra=map_by("type"),
        ),
    ] = ()


class AgentArchive(Model):
    """The index of one archive: the personnel file of an agent that has left."""

    metadata: ObjectMeta
    spec: AgentArchiveSpec
    status: dict[str, Any] = Field(default_factory=dict)
