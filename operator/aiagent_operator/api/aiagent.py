"""AIAgent: the employee."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from pydantic import ConfigDict, Field, StringConstraints

from aiagent_operator.api.conditions import Condition
from aiagent_operator.api.connections import Connection
from aiagent_operator.api.drift import DriftStatus
from aiagent_operator.api.fields import AS_SET, ATOMIC, Label, Model, ObjectName, Text, cel, described, map_by, rules
from aiagent_operator.api.handbook import Handbook
from aiagent_operator.api.owners import Owner
from aiagent_operator.api.permissions import Permissions, PolicyRule
from aiagent_operator.api.retraining import MOST_EVALUATIONS, Retraining
from aiagent_operator.api.reviews import MOST_FORMER, MOST_KEPT, MOST_REVIEWS, ReviewStatus
from aiagent_operator.api.rolloutstatus import AgentRollout
from aiagent_operator.api.supervision import Supervision
from aiagent_operator.api.trainingstatus import TrainingStatus
from aiagent_operator.api.workload import Workload

# Revisions that are kept beside the one that serves, as a Deployment keeps its ReplicaSets.
HISTORY = 10
MOST_HISTORY = 50
# An agent holds at most 512 rights, so in at most as many namespaces: a Role and a RoleBinding in each, what is its
# own, and the evaluations of each revision: those at its gate, as many of its rollouts, and those by which it was
# hired; and the reviews that are kept. A shorter inventory would forget objects that offboarding has to find.
MOST_HIRING_EVALUATIONS = 8
INVENTORY_LIMIT = 2 * 512 + 256 + (2 * MOST_EVALUATIONS + MOST_HIRING_EVALUATIONS) * (MOST_HISTORY + 6)
INVENTORY_LIMIT += 2 * MOST_REVIEWS * (2 * MOST_KEPT + 3) + 2 * MOST_FORMER


class RoleRef(Model):
    """The agent's role."""

    name: Annotated[ObjectName, described("Name of an AgentRole that the author may `use`.")]


class ModelRef(Model):
    """The model that the agent works with; the agent reads it in its handbook (handbook.json, key `model`)."""

    provider: Annotated[str, StringConstraints(min_length=1, max_length=128), described("Who provides it.")]
    name: Annotated[str, StringConstraints(min_length=1, max_length=128), described("Its name.")]
    version: Annotated[str, StringConstraints(min_length=1, max_length=128)] | None = described(
        "Its version.", default=None
    )


def _defined(field: str) -> dict[str, str]:
    """The rule that a review or audit names an evaluation that is there."""
    there = "has({0}) && {0}.exists(e, e.name == r.name)"
    own, gate = (there.format(f"self.{of}.evaluations") for of in ("supervision", "retraining"))
    return cel(
        f"!has(self.supervision) || !has(self.supervision.{field}) || self.supervision.{field}.all(r, ({own}) || "
        f"(has(self.retraining) && {gate}))",
        "names an evaluation that is not defined: define it in spec.supervision.evaluations or "
        "spec.retraining.evaluations, or correct the name",
        path=f".supervision.{field}",
    )


class AIAgentSpec(Model):
    """What an agent is, may do, and who answers for it."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            # Else a training would fail for it on the night when it is due.
            cel(
                "!has(self.retraining) || !has(self.retraining.connections) || self.retraining.connections.all(n, "
                "has(self.connections) && self.connections.exists(c, c.name == n))",
                "names a connection that is not among spec.connections: declare it there, or take its name out",
                path=".retraining.connections",
            ),
            cel(
                "!has(self.retraining) || !has(self.retraining.rollout) || has(self.workload.template) || "
                "has(self.workload.container)",
                "a rollout is of revisions, and the images of a targetRef are its owner's: say in workload.container "
                "which one is the agent's work, bring a template, or leave spec.retraining.rollout out",
                path=".retraining.rollout",
            ),
            cel(
                "!has(self.retraining) || !has(self.retraining.rollout) || !has(self.workload.targetRef) || "
                "self.retraining.rollout.strategy in ['Canary', 'Recreate']",
                "a targetRef has no Deployment for each revision, between which a Service could be switched at once: "
                "use Canary or Recreate, or bring a template",
                path=".retraining.rollout",
            ),
            cel(
                "!has(self.retraining) || !has(self.retraining.rollout) || !has(self.workload.targetRef) || "
                "!has(self.retraining.rollout.trafficRouting) || self.workload.targetRef.kind == 'Deployment'",
                "trafficRouting sends requests to pods beside a Deployment, and nothing comes beside a StatefulSet: "
                "leave it out, or use Recreate",
                path=".retraining.rollout",
            ),
            cel(
                "!has(self.retraining) || !has(self.retraining.rollout) || !has(self.workload.targetRef) || "
                "self.workload.targetRef.kind != 'Deployment' || !has(self.retraining.rollout.steps) || "
                "has(self.retraining.rollout.trafficRouting) || "
                "self.retraining.rollout.steps.all(s, !has(s.weight) || s.weight <= 50 || s.weight == 100)",
                "beside a Deployment a candidate gets at most as many pods as the target has: write weights of at most "
                "50, or name trafficRouting; after the last step the target itself gets the candidate's image",
                path=".retraining.rollout",
            ),
            cel(
                "!has(self.workload.targetRef) || has(self.workload.container) || !has(self.retraining) || "
                "!has(self.retraining.evaluations) || self.retraining.evaluations.size() == 0",
                "evaluations hold up revisions, and those of a targetRef serve as soon as its owner changes it: say in "
                "workload.container which image is the agent's work, write a template, or leave evaluations out",
                path=".retraining.evaluations",
            ),
            cel(
                "!has(self.retraining) || !has(self.retraining.triggers) || !('Drift' in self.retraining.triggers) || "
                "(has(self.supervision) && has(self.supervision.drift))",
                "the trigger Drift needs to know what drift is: declare spec.supervision.drift, or take it out",
                path=".retraining.triggers",
            ),
            *(_defined(field) for field in ("reviews", "biasAudits")),
        )
    )

    role_ref: Annotated[RoleRef, described("The agent's role: ceiling of its rights and defaults.")]
    purpose: Annotated[Text, described("What the agent is for, in a sentence.")]
    owners: Annotated[
        tuple[Owner, ...],
        described(
            "Who answers for the agent (RACI).",
            min_length=1,
            max_length=16,
            json_schema_extra=map_by(
                "name",
                validations=(
                    cel(
                        "self.filter(o, o.responsibility == 'Accountable').size() == 1",
                        "exactly one owner must be Accountable: one person or group answers for the agent's outcomes",
                    ),
                ),
            ),
        ),
    ]
    permissions: Annotated[
        Permissions, described("Rights asked for; what is granted stands in status.permissions.")
    ] = ()
    connections: Annotated[
        tuple[Connection, ...],
        described("Systems outside the cluster's RBAC.", max_length=16, json_schema_extra=map_by("name")),
    ] = ()
    handbook: Handbook = described("What the agent is told.", default=Handbook())
    workload: Annotated[Workload, described("What runs as the agent.")]
    model: ModelRef | None = described("The model that the agent works with.", default=None)
    retraining: Retraining | None = described("How new versions of it come about, and take over.", default=None)
    supervision: Supervision | None = described("How it is watched over while it works.", default=None)
    revision_history_limit: Annotated[int, Field(ge=0, le=MOST_HISTORY)] | None = described(
        f"Revisions that are kept beside the one that serves, to go back to ({HISTORY} where it is left out).",
        default=None,
    )
    suspended: Annotated[bool, described("True takes the rights away, then scales the work down.")] = False


class Phase(StrEnum):
    """A summary for people. Programs read the conditions."""

    PENDING = "Pending"
    ONBOARDING = "Onboarding"
    ACTIVE = "Active"
    DEGRADED = "Degraded"
    SUSPENDED = "Suspended"
    OFFBOARDING = "Offboarding"


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
    rollout: AgentRollout | None = described("How far the revision is that takes over.", default=None)
    replicas: Annotated[int, Field(ge=0)] | None = described("Pods of the work.", default=None)
    ready_replicas: Annotated[int, Field(ge=0)] | None = described("Pods of the work that are ready.", default=None)
    selector: Annotated[str, StringConstraints(max_length=512)] | None = described(
        "Label selector of the agent's pods.", default=None
    )
    conditions: Annotated[
        tuple[Condition, ...], described("Conditions (metav1).", max_length=16, json_schema_extra=map_by("type"))
    ] = ()


class ObjectMeta(Model):
    """The metadata that the operator reads."""

    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str = ""
    deletion_timestamp: str | None = None
    finalizers: tuple[str, ...] = ()
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)


class AIAgent(Model):
    """An AI agent as an employee: role, permissions, owners, work, supervision."""

    metadata: ObjectMeta
    spec: AIAgentSpec
    status: dict[str, Any] = Field(default_factory=dict)
