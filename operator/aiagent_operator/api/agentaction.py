"""AgentAction: a manager's order, carried out without an edit of the AIAgent, whose spec may belong to Git."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from pydantic import ConfigDict, Field, StringConstraints

from aiagent_operator.api.conditions import Condition
from aiagent_operator.api.fields import Label, Model, Text, cel, described, map_by, rules
from aiagent_operator.api.holds import ArchiveRef, Ground
from aiagent_operator.api.objectmeta import ObjectMeta
from aiagent_operator.api.offboarding import Offboarding, OffboardingPreview

# Seconds. An order that nobody could carry out for a day is a surprise rather than a wish.
DEADLINE = 86_400
# Seconds. A week is long enough to read what became of an order; the audit log keeps it for good.
KEPT = 604_800
YEAR = 31_536_000


_DRY_RUN = "has(self.offboarding) && has(self.offboarding.dryRun) && self.offboarding.dryRun"


class Action(StrEnum):
    """What is ordered. Each is a verb on `aiagents`, in lower case, that whoever orders it must hold."""

    SUSPEND = "Suspend"
    RESUME = "Resume"
    ROLLBACK = "Rollback"
    RETRAIN = "Retrain"
    PROMOTE = "Promote"
    ABORT = "Abort"
    OFFBOARD = "Offboard"
    REHIRE = "Rehire"
    HOLD = "Hold"
    RELEASE = "Release"
    ABANDON = "Abandon"
    ERASE = "Erase"


class AgentRef(Model):
    """An AIAgent in the namespace of the order."""

    name: Annotated[Label, Field(max_length=40), described("Name of the AIAgent.")]


class OrderedAgent(AgentRef):
    """The agent that an order is about: in its namespace, or in the one that is named."""

    namespace: Label | None = described(
        "Abandon: its namespace, where the order cannot be given there, since that namespace is being deleted.",
        default=None,
    )


class AgentSelector(Model):
    """AIAgents in the namespace of the order, by their labels."""

    match_labels: Annotated[
        dict[str, Annotated[str, Field(max_length=63)]],
        described("Labels, all of which an agent must have.", min_length=1, max_length=16),
    ]


class AgentActionSpec(Model):
    """Who orders what, about whom, and why. Immutable."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel("self == oldSelf", "an order is never changed: delete it, and give another one"),
            cel(
                "[has(self.agentRef), has(self.selector), has(self.archiveRef)].filter(named, named).size() == 1",
                "name one agent in agentRef, or several by their labels in selector, or an archive in archiveRef",
            ),
            cel(
                "!has(self.archiveRef) || self.action in ['Hold', 'Release', 'Erase']",
                "archiveRef goes with Hold, Release and Erase only",
                path=".archiveRef",
            ),
            cel(
                "!has(self.selector) || !(self.action in ['Hold', 'Release'])",
                "Hold and Release are about one agent or one archive: name it in agentRef or archiveRef",
                path=".selector",
            ),
            cel(
                "(self.action == 'Hold') == has(self.ground)",
                "ground goes with Hold, which needs it: LegalClaims, LegalObligation or PublicInterest",
                path=".ground",
            ),
            cel(
                "self.action != 'Hold' || !has(self.activeDeadlineSeconds)",
                "Hold is in force while it exists and has no activeDeadlineSeconds: delete it, or order Release",
                path=".activeDeadlineSeconds",
            ),
            cel(
                "self.action != 'Hold' || !has(self.ttlSecondsAfterFinished)",
                "Hold is in force while it exists and has no ttlSecondsAfterFinished: delete it, or order Release",
                path=".ttlSecondsAfterFinished",
            ),
            *(
                cel(
                    f"self.action != '{action}'{but} || !has(self.{field})",
                    f"{action} is in force while it exists and has no {field}: delete it, or order {opposite}",
                    path=f".{field}",
                )
                for action, but, opposite in (
                    ("Suspend", "", "Resume"),
                    ("Offboard", f" || {_DRY_RUN}", "Rehire"),
                )
                for field in ("activeDeadlineSeconds", "ttlSecondsAfterFinished")
            ),
            cel(
                "(self.action == 'Offboard') == has(self.offboarding)",
                "offboarding goes with Offboard, which needs it: it says why the agent leaves, and how",
                path=".offboarding",
            ),
            cel(
                f"!({_DRY_RUN}) || has(self.agentRef)",
                "a dry run is about one agent: name it in agentRef",
                path=".agentRef",
            ),
            cel(
                "self.action != 'Rollback' || has(self.agentRef)",
                "Rollback is about one agent: name it in agentRef",
                path=".agentRef",
            ),
            cel(
                "self.action == 'Rollback' || !has(self.revision)",
                "revision goes with Rollback only",
                path=".revision",
            ),
            cel(
                "!(self.action in ['Promote', 'Abort']) || has(self.agentRef)",
                "Promote and Abort are about the rollout of one agent: name it in agentRef",
                path=".agentRef",
            ),
            cel("self.action == 'Promote' || !has(self.full)", "full goes with Promote only", path=".full"),
            cel(
                "self.action != 'Erase' || has(self.archiveRef)",
                "Erase is about one archive: name it in archiveRef",
                path=".archiveRef",
            ),
            cel(
                "self.action != 'Abandon' || has(self.agentRef)",
                "Abandon is about one agent: name it in agentRef",
                path=".agentRef",
            ),
            cel(
                "self.action == 'Abandon' || !has(self.agentRef) || !has(self.agentRef.namespace)",
                "agentRef.namespace goes with Abandon only: give other orders in the namespace of the agent",
                path=".agentRef.namespace",
            ),
        )
    )

    action: Annotated[
        Action,
        described(
            "Suspend takes the rights away, then scales the work down, for as long as the order exists. Resume ends "
            "such orders. Rollback lets another revision serve. Retrain trains anew, without waiting for the plan. "
            "Promote ends the pause at which a rollout stands, passes over evaluations that are Inconclusive, lets "
            "revisions take over in spite of what a review has found, or accepts what a successor took over; Abort "
            "ends the rollout. Offboard lets it go: its rights end, and it is archived; it stays out for as long as "
            "the order exists. Rehire ends such orders. Hold keeps archives from being destroyed, for as long as the "
            "order exists. Release ends such orders. Abandon releases an agent that leaves and cannot be archived, "
            "once its rights are proved gone. Erase "
            "destroys the key of what is personal in an archive."
        ),
    ]
    agent_ref: OrderedAgent | None = described("The agent that it is about.", default=None)
    selector: AgentSelector | None = described(
        "The agents that it is about, those that come later too while the order is in force.", default=None
    )
    archive_ref: ArchiveRef | None = described(
        "Hold, Release and Erase: the one archive that it is about, of an agent of any namespace.", default=None
    )
    ground: Ground | None = described(
        "Hold: why, by the rule that it is evidence for (GDPR, Art. 17(3)).", default=None
    )
    revision: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = described(
        "Rollback: number of the revision that is to serve; the one that served before where it is left out.",
        default=None,
    )
    full: bool | None = described("Promote: pass over all steps that are left, not only over the pause.", default=None)
    offboarding: Offboarding | None = described("Offboard: why the agent leaves, and how.", default=None)
    requested_by: Annotated[
        str,
        StringConstraints(min_length=1, max_length=253),
        described("Who orders it: the user name with which the order is created, and no other."),
    ]
    reason: Annotated[Text, described("Why; it is shown to whoever asks why the agent does not work.")]
    active_deadline_seconds: Annotated[int, Field(ge=1, le=YEAR)] | None = described(
        f"Seconds after which an order that was not carried out has expired (by default {DEADLINE}).", default=None
    )
    ttl_seconds_after_finished: Annotated[int, Field(ge=0, le=YEAR)] | None = described(
        f"Seconds for which the order is kept once it is carried out, failed or expired (by default {KEPT}).",
        default=None,
    )


class ActionPhase(StrEnum):
    """A summary for people. Programs read the conditions."""

    PENDING = "Pending"
    IN_FORCE = "InForce"
    COMPLETE = "Complete"
    FAILED = "Failed"
    EXPIRED = "Expired"


class AgentActionStatus(Model):
    """What became of the order."""

    observed_generation: int | None = described("Generation of the spec last acted upon.", default=None)
    phase: ActionPhase | None = described("Summary for people.", default=None)
    agents: Annotated[int, Field(ge=0)] | None = described(
        "Agents that the order is about; archives of Hold, Release and Erase.", default=None
    )
    done: Annotated[int, Field(ge=0)] | None = described("Those of these for which it is carried out.", default=None)
    completion_time: Annotated[str, Field(json_schema_extra={"format": "date-time"}, max_length=64)] | None = described(
        "When it was carried out, failed or expired.", default=None
    )
    preview: OffboardingPreview | None = described("Of a dry run: what the order would do to the agent.", default=None)
    conditions: Annotated[
        tuple[Condition, ...], described("Conditions (metav1).", max_length=8, json_schema_extra=map_by("type"))
    ] = ()


class AgentAction(Model):
    """A manager's order about agents, without an edit of their specs."""

    metadata: ObjectMeta
    spec: AgentActionSpec
    status: dict[str, Any] = Field(default_factory=dict)
