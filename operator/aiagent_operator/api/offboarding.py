"""How an agent leaves: what an order says of it, and how far it is, as the agent's status says it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field, StringConstraints

from aiagent_operator.api.archive import LeaveReason, Mode
from aiagent_operator.api.fields import ATOMIC, Model, described, map_by
from aiagent_operator.api.retraining import Interval
from aiagent_operator.api.succession import HandoverStatus

MOST_STEPS: Final = 16
MOST_DEPENDENTS: Final = 32


class Kinship(StrEnum):
    """As what one agent names another."""

    SUCCESSOR = "Successor"
    PREDECESSOR = "Predecessor"


class Offboarding(Model):
    """What is ordered about the end of an agent."""

    reason: Annotated[LeaveReason, described("Why it leaves, in one word; it stands in its archive.")]
    mode: Annotated[
        Mode,
        described(
            "Planned: it keeps its rights until its pods have ended, for spec.retirement.drainTimeout at most. "
            "Emergency: its rights end first."
        ),
    ] = Mode.PLANNED
    notice_period: Interval | None = described(
        "How long after the order it begins, such as 72h (by default at once).", default=None
    )
    dry_run: bool | None = described(
        "True carries out nothing, and says in status.preview what would be.", default=None
    )


class OffboardingOrder(Model):
    """The AgentAction by which an agent leaves."""

    name: Annotated[str, StringConstraints(max_length=253), described("Its name.")]
    uid: Annotated[str, StringConstraints(max_length=64), described("Its UID.")]


class OffboardingStep(Model):
    """A step that was seen to be done."""

    name: Annotated[str, StringConstraints(max_length=63), described("Name of the step.")]
    completion_time: Annotated[
        str, Field(json_schema_extra={"format": "date-time"}, max_length=64), described("When that was first seen.")
    ]
    message: Annotated[str, StringConstraints(max_length=1024)] | None = described(
        "What is to be known of how it ended.", default=None
    )


class OffboardingStatus(Model):
    """How far the agent is that leaves."""

    reason: Annotated[LeaveReason, described("Why it leaves.")]
    mode: Annotated[Mode, described("Planned, or Emergency where its rights ended first.")]
    start_time: Annotated[
        str, Field(json_schema_extra={"format": "date-time"}, max_length=64), described("When it began to leave.")
    ]
    rights_end: Annotated[
        str,
        Field(json_schema_extra={"format": "date-time"}, max_length=64),
        described("When its rights end, whatever else is not done by then."),
    ]
    order: OffboardingOrder | None = described("The AgentAction by which it leaves.", default=None)
    steps: Annotated[
        tuple[OffboardingStep, ...],
        described("The steps that are done.", max_length=MOST_STEPS, json_schema_extra=map_by("name")),
    ] = ()
    handover: HandoverStatus | None = described("What its successor has taken over.", default=None)
    completion_time: Annotated[str, Field(json_schema_extra={"format": "date-time"}, max_length=64)] | None = described(
        "When it had left: nothing of it is there any more but this object.", default=None
    )


class Dependent(Model):
    """An agent that counts on the one that would leave."""

    name: Annotated[str, StringConstraints(max_length=63), described("Its name.")]
    names_it: Annotated[
        Kinship, described("Successor: it would have nobody to hand over to. Predecessor: it waits for the handover.")
    ]


class OffboardingPreview(Model):
    """What an order would do, as of the moment when it was looked at."""

    rights: Annotated[int, Field(ge=0), described("Rights that it has held and would hold no more (RBAC tuples).")]
    namespaces: Annotated[int, Field(ge=0), described("Namespaces in which it has held them.")]
    pods: Annotated[int, Field(ge=0), described("Pods of its work that would end.")]
    files: Annotated[int, Field(ge=0), described("Files that its archive would have.")]
    size: Annotated[int, Field(ge=0), described("Their bytes together.")]
    retained_until: Annotated[str, StringConstraints(max_length=64)] | None = described(
        "Until when its archive would be kept.", default=None
    )
    retained_for: Annotated[
        tuple[Annotated[str, StringConstraints(max_length=1024)], ...],
        described("Who asks for so long.", max_length=64, json_schema_extra=ATOMIC),
    ] = ()
    dependents: Annotated[
        tuple[Dependent, ...],
        described(
            "Agents that name it, and have not left or taken over themselves.",
            max_length=MOST_DEPENDENTS,
            json_schema_extra=ATOMIC,
        ),
    ] = ()
