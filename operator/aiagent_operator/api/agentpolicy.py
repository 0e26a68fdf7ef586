"""AgentPolicy: the governance committee's rules about training and records, for the agents that it selects."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from aiagent_operator.api.conditions import Condition
from aiagent_operator.api.curriculum import CurriculumVersion
from aiagent_operator.api.evaluation import TemplateName
from aiagent_operator.api.fields import AS_SET, Label, Model, ObjectName, Text, cel, described, map_by, rules
from aiagent_operator.api.journalstatus import StoreName
from aiagent_operator.api.objectmeta import ObjectMeta
from aiagent_operator.api.retraining import CronSchedule, Interval, Span, TimeZone, duration
from aiagent_operator.api.selectors import LabelSelector


class PolicySelector(Model):
    """Which agents: all that is named must hold. Empty, it selects all agents."""

    namespace_selector: LabelSelector | None = described(
        "Agents in namespaces with these labels; each namespace has the label kubernetes.io/metadata.name.",
        default=None,
    )
    agent_selector: LabelSelector | None = described("Agents with these labels.", default=None)
    roles: Annotated[
        tuple[ObjectName, ...],
        described("Agents of one of these AgentRoles; empty means any.", max_length=64, json_schema_extra=AS_SET),
    ] = ()


class WindowKind(StrEnum):
    """What a window does."""

    ALLOW = "Allow"
    FREEZE = "Freeze"


class Window(Model):
    """A time in which training may start, or must not."""

    name: Annotated[Label, described("Name of the window.")]
    kind: Annotated[
        WindowKind,
        described(
            "Allow: training starts in windows of this kind only. Freeze: it does not start in them; Freeze wins."
        ),
    ]
    schedule: Annotated[
        CronSchedule, described('When the window begins: five fields as of a CronJob, such as "0 22 * * *".')
    ]
    duration: Annotated[
        Annotated[str, duration("1m", "8784h")], described("How long it holds, in real time, such as 6h.")
    ]
    time_zone: Annotated[TimeZone, described("Time zone of schedule, such as Europe/Zurich.")] = "UTC"


class OverdueAction(StrEnum):
    """What follows where an agent is overdue beyond the grace."""

    ANNOUNCE = "Announce"
    SUSPEND = "Suspend"


class Overdue(Model):
    """What follows where the training of an agent is older than maxAge."""

    grace: Annotated[
        Span,
        described("How long an agent may be overdue. It is due, and announced as overdue, from the end of maxAge on."),
    ]
    action: Annotated[
        OverdueAction,
        described(
            "What follows at the end of the grace. Announce: it is announced as overdue beyond its grace. Suspend: it "
            "is suspended as well, until a training of it succeeds."
        ),
    ] = OverdueAction.ANNOUNCE


class RequiredEvaluation(Model):
    """An evaluation that each revision must have passed."""

    name: Annotated[TemplateName, described("Name of the evaluation.")]


class ArchiveRules(Model):
    """Where what is to outlive the agents is kept, and for how long."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel(
                "has(self.store) || has(self.retention) || has(self.abandonAfter)",
                "says nothing: give store, retention or abandonAfter, or leave it out",
            )
        )
    )

    store: StoreName | None = described(
        "Name of the archive store for the journals and archives of the agents, among those that the operator is "
        "configured with. A journal stays where it began. Policies that name several stores for one agent have its "
        "events wait.",
        default=None,
    )
    retention: Interval | None = described(
        "How long archives are kept at least, such as 52560h. Of all that ask for something the longest holds.",
        default=None,
    )
    abandon_after: Interval | None = described(
        "How long after the end of its rights an agent that cannot be archived may be released without an archive, by "
        "an order Abandon, such as 168h (by default 72h). Of all that ask for something the longest holds.",
        default=None,
    )


class LateHandover(StrEnum):
    """What follows where nobody has taken over in time."""

    WAIT = "Wait"
    RELEASE = "Release"


class HandoverRules(Model):
    """How long an agent that leaves waits for its successor."""

    deadline: Annotated[Interval, described("How long after its archive is complete, such as 168h.")]
    on_deadline: Annotated[
        LateHandover,
        described(
            "Wait: it waits on, and its condition Ready says since when it is late. Release: it ends though its "
            "successor is not hired, and its AgentArchive says so."
        ),
    ] = LateHandover.WAIT


class AgentPolicySpec(Model):
    """Rules about training and records. Of several policies that select an agent, the strictest of each holds."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel(
                "!has(self.overdue) || has(self.maxAge)",
                "overdue says what follows when maxAge is exceeded: give maxAge too",
            )
        )
    )

    description: Annotated[Text, described("What the policy is for; whoever is held by it reads this.")]
    selector: Annotated[PolicySelector, described("Which agents it is about; {} means all.")]
    windows: Annotated[
        tuple[Window, ...],
        described(
            "When training may start. The windows of all policies of an agent hold together.",
            max_length=32,
            json_schema_extra=map_by("name"),
        ),
    ] = ()
    curriculum: CurriculumVersion | None = described(
        "Version of what the agents have to be taught, such as 2026-2. Those with the trigger PolicyChange are trained "
        "anew when it differs from that of their last successful training; no other field of a policy does that.",
        default=None,
    )
    max_concurrent: Annotated[int, Field(ge=1, le=10_000)] | None = described(
        "How many of the agents may train at once.", default=None
    )
    max_age: Interval | None = described("How old an agent's training may get at most, such as 720h.", default=None)
    overdue: Overdue | None = described(
        "What follows where training is older than maxAge (by default it is announced).", default=None
    )
    required_evaluations: Annotated[
        tuple[RequiredEvaluation, ...],
        described(
            "Evaluations that each revision must have passed before it serves: by name, among those of the agent's "
            "spec.retraining.evaluations; while it is hired, those of its role count too.",
            max_length=16,
            json_schema_extra=map_by("name"),
        ),
    ] = ()
    revision_history_limit: Annotated[int, Field(ge=0, le=100)] | None = described(
        "How many superseded revisions of each agent are kept at least.", default=None
    )
    archive: ArchiveRules | None = described(
        "Where journals and archives of the agents are kept, and for how long.", default=None
    )
    handover: HandoverRules | None = described(
        "How long agents that leave wait for their successors. Of several deadlines the longest holds, and Wait before "
        "Release; without any they wait.",
        default=None,
    )


class AgentPolicyStatus(Model):
    """What is true of the policy."""

    observed_generation: int | None = described("Generation of the spec last acted upon.", default=None)
    agents: Annotated[int, Field(ge=0)] | None = described("Agents that it selects.", default=None)
    training: Annotated[int, Field(ge=0)] | None = described("Agents of these that train now.", default=None)
    overdue: Annotated[int, Field(ge=0)] | None = described(
        "Agents of these whose training is older than they, or a policy of theirs, allow.", default=None
    )
    conditions: Annotated[
        tuple[Condition, ...], described("Conditions (metav1).", max_length=8, json_schema_extra=map_by("type"))
    ] = ()


class AgentPolicy(Model):
    """The governance committee's rules about training, for the agents that it selects."""

    metadata: ObjectMeta
    spec: AgentPolicySpec
    status: dict[str, Any] = Field(default_factory=dict)
