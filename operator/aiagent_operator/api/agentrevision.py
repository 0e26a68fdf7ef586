"""AgentRevision: one version of what an agent is, numbered and immutable. The operator writes it, and nobody else."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from aiagent_operator.api.agentaction import AgentRef
from aiagent_operator.api.aiagent import HandbookStatus, ModelRef
from aiagent_operator.api.fields import ATOMIC, Model, cel, described, rules

# Characters. The longest pod template that an object of etcd's usual limit (1.5 MiB) can hold twice.
TEMPLATE_LIMIT = 524_288

Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$", max_length=71)]


class Trigger(StrEnum):
    """What made the revision."""

    CREATED = "Created"
    SPEC_CHANGED = "SpecChanged"
    TARGET_CHANGED = "TargetChanged"


class RevisionState(StrEnum):
    """Where a revision is in its life."""

    CANDIDATE = "Candidate"
    ROLLING_OUT = "RollingOut"
    STABLE = "Stable"
    SUPERSEDED = "Superseded"
    ROLLED_BACK = "RolledBack"


class RevisionAgent(AgentRef):
    """The agent that the revision is of."""

    uid: Annotated[str, StringConstraints(min_length=1, max_length=64), described("UID of the AIAgent.")]


class ContainerImage(Model):
    """The image of one container."""

    container: Annotated[str, StringConstraints(min_length=1, max_length=63), described("Name of the container.")]
    image: Annotated[str, StringConstraints(max_length=1024), described("Its image, as it was written.")]


class Work(Model):
    """What the agent is in this revision."""

    template: Annotated[str, StringConstraints(max_length=TEMPLATE_LIMIT)] | None = described(
        "The pod template as canonical JSON, with which the revision can be run again; none for an adopted target, "
        "whose owner has it.",
        default=None,
    )
    images: Annotated[
        tuple[ContainerImage, ...], described("Images of the containers.", max_length=32, json_schema_extra=ATOMIC)
    ] = ()
    handbook: Annotated[HandbookStatus, described("The handbook, which is kept as long as the revision is.")]
    model: ModelRef | None = described("The model that the handbook names.", default=None)
    digest: Annotated[Digest, described("SHA-256 over template, or images of the target, and handbook.")]


class AgentRevisionSpec(Model):
    """One version of an agent. Immutable."""

    model_config = ConfigDict(
        json_schema_extra=rules(cel("self == oldSelf", "a revision is a record, and is never changed"))
    )

    agent_ref: Annotated[RevisionAgent, described("The agent.")]
    number: Annotated[int, Field(ge=1, le=2**31 - 1), described("Number; no number is given twice.")]
    trigger: Annotated[Trigger, described("What made the revision.")]
    parent: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = described(
        "Number of the revision that served when this one was made.", default=None
    )
    permissions: Annotated[Digest, described("SHA-256 over what was granted when the revision was made.")]
    work: Annotated[Work, described("What the agent is.")]


class RevisionOrder(Model):
    """The order by which a revision serves, or is to."""

    name: Annotated[str, described("Name of the AgentAction.", max_length=253)]
    uid: Annotated[str, described("UID of the AgentAction.", max_length=64)]
    instead_of: Annotated[Digest, described("Work that the spec asks for instead, and that is held back.")]


class AgentRevisionStatus(Model):
    """Where the revision is in its life."""

    state: Annotated[
        RevisionState,
        described(
            "Candidate: made, not yet serving. RollingOut: takes over pod by pod. Stable: serves. Superseded: another "
            "one serves. RolledBack: an order went back to an earlier one; it is not rolled out again without an order."
        ),
    ] = RevisionState.CANDIDATE
    promotion: Annotated[int, Field(ge=1)] | None = described(
        "Counts the promotions of the agent's revisions: the one with the highest number serves.", default=None
    )
    promotion_time: Annotated[str, Field(json_schema_extra={"format": "date-time"}, max_length=64)] | None = described(
        "When it last became Stable.", default=None
    )
    order: RevisionOrder | None = described("The AgentAction that made it serve, where one did.", default=None)
    message: Annotated[str, StringConstraints(max_length=1024)] | None = described(
        "Why it is in this state.", default=None
    )
