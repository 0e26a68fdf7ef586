"""What is true of an agent, as its status says it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from aiagent_operator.api.archivestatus import ArchiveStatus
from aiagent_operator.api.conditions import Condition
from aiagent_operator.api.drift import DriftStatus
from aiagent_operator.api.fields import AS_SET, ATOMIC, Label, Model, ObjectName, described, map_by
from aiagent_operator.api.journalstatus import JournalStatus
from aiagent_operator.api.offboarding import OffboardingStatus
from aiagent_operator.api.permissions import PolicyRule
from aiagent_operator.api.retraining import MOST_EVALUATIONS
from aiagent_operator.api.reviews import MOST_FORMER, MOST_KEPT, MOST_REVIEWS, ReviewStatus
from aiagent_operator.api.rolloutstatus import AgentRollout
from aiagent_operator.api.succession import SuccessionStatus
from aiagent_operator.api.trainingstatus import TrainingStatus

MOST_HISTORY = 50
# An agent holds at most 512 rights, so in at most as many namespaces: a Role and a RoleBinding in each, what is its
# own, and the evaluations of each revision: those at its gate, as many of its rollouts, and those by which it was
# hired; and the reviews that are kept. A shorter inventory would forget objects that offboarding has to find.
MOST_HIRING_EVALUATIONS = 8
INVENTORY_LIMIT = 2 * 512 + 256 + (2 * MOST_EVALUATIONS + MOST_HIRING_EVALUATIONS) * (MOST_HISTORY + 6)
INVENTORY_LIMIT += 2 * MOST_REVIEWS * (2 * MOST_KEPT + 3) + 2 * MOST_FORMER


class Phase(StrEnum):
    """A summary for people. Programs read the conditions."""

    PENDING = "Pending"
    ONBOARDING = "Onboarding"
    ACTIVE = "Active"
    DEGRADED = "Degraded"
    SUSPENDED = "Suspended"
    OFFBOARDING = "Offboarding"
    RETIRED = "Retired"


class PermissionState(StrEnum):
    """What became of a permission asked for."""

    GRANTED = "Granted"
    REFUSED = "Refused"
    PENDING = "Pending"


class PermissionStatus(Model):
    """What became of one permission, and why."""

    name: Annotated[Label, described("Name of the permission.")]
    state: Annotated[PermissionState, described("Granted, Refused or Pending.")]
    reason: Annotated[str, StringConstraints(max_length=64), described("Why, in one word.")]
    message: Annotated[str, StringConstraints(max_length=2048), described("Why, and what to do about it.")]
    namespaces: Annotated[
        tuple[Annotated[str, StringConstraints(max_length=63)], ...],
        described("Where it holds.", max_length=16, json_schema_extra=ATOMIC),
    ] = ()
    rules: Annotated[tuple[PolicyRule, ...], described("What it allows.", max_length=16, json_schema_extra=ATOMIC)] = ()


class InventoryEntry(Model):
    """An object that belongs to the agent."""

    api_version: Annotated[str, described("API version.", max_length=64)]
    kind: Annotated[str, described("Kind.", max_length=63)]
    namespace: Annotated[str, described("Namespace.", max_length=63)]
    name: Annotated[str, described("Name.", max_length=253)]
    uid: Annotated[str, described("UID; an object of this name with another UID is somebody else's.", max_length=64)]
    generation: int | None = described(
        "Generation after the operator's last write, for workloads: another one means a foreign edit.", default=None
    )


class HandbookStatus(Model):
    """The handbook in force."""

    config_map: Annotated[str, described("Name of the ConfigMap.", max_length=253)]
    digest: Annotated[str, described("SHA-256 of its content.", max_length=71)]


class RevisionStatus(Model):
    """The agent's versions by their numbers."""

    stable: Annotated[int, Field(ge=1)] | None = described("The one that serves.", default=None)
    rolling_out: Annotated[int, Field(ge=1)] | None = described("The one that takes over.", default=None)
    held_back: Annotated[int, Field(ge=1)] | None = described(
        "What the spec asks for, where an order went back from it.", default=None
    )
    candidate: Annotated[int, Field(ge=1)] | None = described(
        "What the spec asks for, while it has not passed its evaluations, or a finding of a review holds it up.",
        default=None,
    )
    rejected: Annotated[int, Field(ge=1)] | None = described(
        "What the spec asks for, where it failed before it served; its record says why.", default=None
    )
    latest: Annotated[int, Field(ge=1)] | None = described("Highest number given.", default=None)
    target: Annotated[str, StringConstraints(max_length=128)] | None = described(
        "Identifies what the owner of the adopted target says of its pods, as far as it is on record.", default=None
    )


class AIAgentStatus(Model):
    """What is true of the agent, as last observed."""

    observed_generation: int | None = described("Generation of the spec last acted upon.", default=None)
    phase: Phase | None = described("Summary for people.", default=None)
    service_account: Annotated[str, StringConstraints(max_length=253)] | None = described(
        "The agent's identity.", default=None
    )
    accountable: Annotated[str, StringConstraints(max_length=253)] | None = described(
        "Who is accountable for the agent.", default=None
    )
    granted: Annotated[str, StringConstraints(max_length=16)] | None = described(
        "Permissions granted, of those asked for.", default=None
    )
    permissions: Annotated[
        tuple[PermissionStatus, ...],
        described("What became of each permission.", max_length=64, json_schema_extra=map_by("name")),
    ] = ()
    inventory: Annotated[
        tuple[InventoryEntry, ...],
        described("Objects that belong to the agent.", max_length=INVENTORY_LIMIT, json_schema_extra=ATOMIC),
    ] = ()
    hired_as: ObjectName | None = described(
        "The AgentRole that it is hired as: its hiring evaluations were passed, or it had none.", default=None
    )
    handbook: HandbookStatus | None = described("Handbook in force.", default=None)
    revision: RevisionStatus | None = described("Versions of the work.", default=None)
    training: TrainingStatus | None = described("Training of the agent, and the policies about it.", default=None)
    drift: DriftStatus | None = described(
        "Drift, while spec.supervision.drift sees some, or cannot be measured.", default=None
    )
    reviews: Annotated[
        tuple[ReviewStatus, ...],
        described(
            "Reviews and bias audits, with what they found.",
            max_length=2 * MOST_REVIEWS + MOST_FORMER,
            json_schema_extra=map_by("purpose", "name"),
        ),
    ] = ()
    services: Annotated[
        tuple[Label, ...],
        described(
            "Services in whose selectors the operator has put the key workforce.dev/revision.",
            max_length=4,
            json_schema_extra=AS_SET,
        ),
    ] = ()
    journal: JournalStatus | None = described(
        "How far its journal in the archive store is; absent where none is kept.", default=None
    )
    offboarding: OffboardingStatus | None = described("How it leaves, and how far it is.", default=None)
    archive: ArchiveStatus | None = described("How far its archive is, once it leaves.", default=None)
    succession: SuccessionStatus | None = described("What it has taken over from its predecessor.", default=None)
    rollout: AgentRollout | None = described("How far the revision is that takes over.", default=None)
    replicas: Annotated[int, Field(ge=0)] | None = described("Pods of the work.", default=None)
    ready_replicas: Annotated[int, Field(ge=0)] | None = described("Pods of the work that are ready.", default=None)
    selector: Annotated[str, StringConstraints(max_length=512)] | None = described(
        "Label selector of the agent's pods.", default=None
    )
    conditions: Annotated[
        tuple[Condition, ...], described("Conditions (metav1).", max_length=16, json_schema_extra=map_by("type"))
    ] = ()
