"""AgentRevision: one version of what an agent is, numbered and immutable. The operator writes it, and nobody else."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from aiagent_operator.api.agentaction import AgentRef
from aiagent_operator.api.agentstatus import HandbookStatus
from aiagent_operator.api.aiagent import ModelRef
from aiagent_operator.api.curriculum import MOST_CURRICULA, Curriculum
from aiagent_operator.api.evaluation import TemplateName
from aiagent_operator.api.fields import ATOMIC, Digest, Model, cel, described, map_by, rules
from aiagent_operator.api.runs import UpdateKind

# Characters. The longest pod template that an object of etcd's usual limit (1.5 MiB) can hold twice.
TEMPLATE_LIMIT = 524_288
MOST_OVERRULED = 64


class Trigger(StrEnum):
    """What made the revision."""

    CREATED = "Created"
    SPEC_CHANGED = "SpecChanged"
    TARGET_CHANGED = "TargetChanged"
    SCHEDULE = "Schedule"
    RETRAIN = "Retrain"
    DRIFT = "Drift"
    KNOWLEDGE_CHANGE = "KnowledgeChange"
    POLICY_CHANGE = "PolicyChange"


TRAININGS = (Trigger.SCHEDULE, Trigger.RETRAIN, Trigger.DRIFT, Trigger.KNOWLEDGE_CHANGE, Trigger.POLICY_CHANGE)
"""The triggers of a training: such a revision's work is what its Job makes of the work that it began with."""


class RevisionState(StrEnum):
    """Where a revision is in its life."""

    TRAINING = "Training"
    CANDIDATE = "Candidate"
    ROLLING_OUT = "RollingOut"
    STABLE = "Stable"
    SUPERSEDED = "Superseded"
    ROLLED_BACK = "RolledBack"
    REJECTED = "Rejected"


class RevisionAgent(AgentRef):
    """The agent that the revision is of."""

    uid: Annotated[str, StringConstraints(min_length=1, max_length=64), described("UID of the AIAgent.")]


ContainerName = Annotated[str, StringConstraints(min_length=1, max_length=63)]


class ContainerImage(Model):
    """The image of one container."""

    container: Annotated[ContainerName, described("Its name.")]
    image: Annotated[str, StringConstraints(max_length=1024), described("Its image, as it was written.")]


Knowledge = Annotated[
    Digest,
    described("SHA-256 over instructions, rules, knowledge sources and prohibitions of the handbook."),
]
Curricula = Annotated[
    tuple[Curriculum, ...],
    described("What its policies had it taught.", max_length=MOST_CURRICULA, json_schema_extra=map_by("policy")),
]


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
    container: ContainerName | None = described(
        "Of an adopted target, the container whose image the revision is; none where its owner has all images.",
        default=None,
    )
    target: Annotated[str, StringConstraints(max_length=128)] | None = described(
        "Identifies the rest of the target's pod template, in the record of an edit of it by its owner. Such a "
        "revision is no other work of the agent's, and is never rolled out.",
        default=None,
    )
    handbook: Annotated[HandbookStatus, described("The handbook, which is kept as long as the revision is.")]
    knowledge: Knowledge | None = None
    model: ModelRef | None = described("The model that the handbook names.", default=None)
    digest: Annotated[Digest, described("SHA-256 over template, or images of the target, and handbook.")]


Image = Annotated[str, StringConstraints(max_length=1024)]
Artifact = Annotated[str, StringConstraints(max_length=1024)]


class Base(Model):
    """What the spec of the agent says itself where a training can say something else."""

    image: Image | None = described(
        "Image of the first container, or of the one that spec.workload.container names.", default=None
    )
    model: ModelRef | None = described("The model.", default=None)


class Learned(Model):
    """What an earlier training has left, and is in force in this revision."""

    revision: Annotated[int, Field(ge=1, le=2**31 - 1), described("Number of the revision that was trained.")]
    time: Annotated[
        str, Field(json_schema_extra={"format": "date-time"}, max_length=64), described("When its training ended.")
    ]
    image: Image | None = described("Image of the first container.", default=None)
    model: ModelRef | None = described("The model.", default=None)
    artifact: Artifact | None = described("Where what was learned is.", default=None)
    knowledge: Knowledge | None = None
    curricula: Curricula = ()


class TrainingOrder(Model):
    """The AgentAction Retrain by which it is trained."""

    name: Annotated[str, described("Name of the AgentAction.", max_length=253)]
    uid: Annotated[str, described("UID of the AgentAction.", max_length=64)]


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
    work: Annotated[Work, described("What the agent is; of a training, what it begins with.")]
    base: Base | None = described("What the spec says where a training says something else.", default=None)
    learned: Learned | None = described("What earlier trainings have left.", default=None)
    order: TrainingOrder | None = described("The order to train, where one was given.", default=None)
    curricula: Curricula = ()


class RevisionOrder(Model):
    """The order by which a revision serves, or is to."""

    name: Annotated[str, described("Name of the AgentAction.", max_length=253)]
    uid: Annotated[str, described("UID of the AgentAction.", max_length=64)]
    instead_of: Annotated[Digest, described("Work that the spec asks for instead, and that is held back.")]


class Overruled(Model):
    """An evaluation whose verdict Inconclusive a person has passed over."""

    evaluation: Annotated[TemplateName, described("Name of the evaluation.")]
    order: Annotated[str, StringConstraints(min_length=1, max_length=64), described("UID of the AgentAction Promote.")]
    message: Annotated[str, StringConstraints(max_length=1024), described("The order, who gave it, and why.")]


class Result(Model):
    """What a training said it has made."""

    artifact: Artifact | None = described("Where what was learned is.", default=None)
    image: Image | None = described("Image of the first container.", default=None)
    model: ModelRef | None = described("The model.", default=None)
    metrics: Annotated[
        dict[str, Annotated[str, StringConstraints(max_length=32)]],
        described("What the training measured of itself, as decimals.", max_length=32, default_factory=dict),
    ]
    kind: UpdateKind | None = described("What sort of change it is.", default=None)
    notes: Annotated[str, StringConstraints(max_length=4096)] | None = described("Notes of the training.", default=None)


class TrainedWork(Model):
    """What the agent is after the training: the work that the spec asked for then, with the result put in."""

    template: Annotated[str, StringConstraints(max_length=TEMPLATE_LIMIT)] | None = described(
        "The pod template as canonical JSON; none for an adopted target.", default=None
    )
    images: Annotated[
        tuple[ContainerImage, ...], described("Images of the containers.", max_length=32, json_schema_extra=ATOMIC)
    ] = ()
    container: ContainerName | None = described(
        "Of an adopted target, the container whose image the revision is.", default=None
    )
    handbook: Annotated[HandbookStatus, described("The handbook, which is kept as long as the revision is.")]
    knowledge: Knowledge | None = None
    digest: Annotated[Digest, described("SHA-256 over template, or images of the target, and handbook.")]


class AgentRevisionStatus(Model):
    """Where the revision is in its life."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            *(
                cel(
                    f"!has(oldSelf.{field}) || (has(self.{field}) && self.{field} == oldSelf.{field})",
                    f"{field} of a training is a record, and is never changed",
                    path=f".{field}",
                )
                for field in ("result", "work", "completionTime")
            )
        )
    )

    state: Annotated[
        RevisionState,
        described(
            "Training: its Job is to run, or runs. Candidate: made, not yet serving. RollingOut: takes over pod by "
            "pod. Stable: serves. Superseded: another one serves. RolledBack: an order went back to an earlier one. "
            "Rejected: its training failed, it did not pass its evaluations, or its rollout failed or was aborted. The "
            "last two are not rolled out again without an order."
        ),
    ] = RevisionState.CANDIDATE
    promotion: Annotated[int, Field(ge=1)] | None = described(
        "Counts the promotions of the agent's revisions: the one with the highest number serves.", default=None
    )
    promotion_time: Annotated[str, Field(json_schema_extra={"format": "date-time"}, max_length=64)] | None = described(
        "When it last became Stable.", default=None
    )
    order: RevisionOrder | None = described("The AgentAction that made it serve, where one did.", default=None)
    overruled: Annotated[
        tuple[Overruled, ...],
        described(
            "Evaluations before it serves that were Inconclusive, and that a person has passed over.",
            max_length=MOST_OVERRULED,
            json_schema_extra=map_by("evaluation"),
        ),
    ] = ()
    aborted_by: Annotated[str, StringConstraints(max_length=64)] | None = described(
        "UID of the AgentAction that gave it up while it waited to serve, where one did.", default=None
    )
    result: Result | None = described("What the training said it has made.", default=None)
    work: TrainedWork | None = described("What the agent is after the training.", default=None)
    completion_time: Annotated[str, Field(json_schema_extra={"format": "date-time"}, max_length=64)] | None = described(
        "When the training ended, well or not.", default=None
    )
    log: Annotated[str, StringConstraints(max_length=2048)] | None = described(
        "End of what a training has said.", default=None
    )
    message: Annotated[str, StringConstraints(max_length=1024)] | None = described(
        "Why it is in this state.", default=None
    )
