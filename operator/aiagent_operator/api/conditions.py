"""Conditions of metav1, the types and reasons in use, and how a list of them is brought up to date."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import Field, StringConstraints

from aiagent_operator.api.fields import Model, described


class Type(StrEnum):
    """Condition types. Ready is always present; the abnormal ones are there only while they are True (kstatus)."""

    READY = "Ready"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"
    ROLE_ACCEPTED = "RoleAccepted"
    PERMISSIONS_GRANTED = "PermissionsGranted"
    WORKLOAD_READY = "WorkloadReady"
    REVISION_ACCEPTED = "RevisionAccepted"
    IDENTITY_EXPOSED = "IdentityExposed"
    TRAINING_CURRENT = "TrainingCurrent"
    DRIFT_DETECTED = "DriftDetected"
    REVIEWS_PASSED = "ReviewsPassed"
    JOURNAL_BEHIND = "JournalBehind"
    HANDOVER_FAILED = "HandoverFailed"
    # of an AgentArchive
    VERIFIED = "Verified"
    CERTIFIED = "Certified"
    HELD = "Held"
    ERASED = "Erased"


class Reason(StrEnum):
    """Why a condition or a permission is as it is. Each is explained in docs/troubleshooting.md."""

    # Ready, Reconciling
    PENDING = "Pending"
    ONBOARDED = "Onboarded"
    ONBOARDING = "Onboarding"
    SUSPENDED = "Suspended"
    SUSPENDING = "Suspending"
    OFFBOARDING = "Offboarding"
    RETIRED = "Retired"
    WAITING_FOR_SUCCESSOR = "WaitingForSuccessor"
    WAITING_FOR_HANDOVER = "WaitingForHandover"
    WAITING_FOR_ACCEPTANCE = "WaitingForAcceptance"
    SUCCESSION_INVALID = "SuccessionInvalid"
    NAMESPACE_TERMINATING = "NamespaceTerminating"
    DEFINITION_TERMINATING = "DefinitionTerminating"
    # spec and role
    INVALID_SPEC = "InvalidSpec"
    ACCEPTED = "Accepted"
    ROLE_NOT_FOUND = "RoleNotFound"
    ROLE_NOT_APPROVED = "RoleNotApproved"
    ROLE_DEPRECATED = "RoleDeprecated"
    NAMESPACE_NOT_ALLOWED = "NamespaceNotAllowed"
    OWNER_MISSING = "OwnerMissing"
    # permissions
    GRANTED = "Granted"
    NONE_REQUESTED = "NoneRequested"
    SET_NOT_FOUND = "PermissionSetNotFound"
    BEYOND_ROLE_CEILING = "BeyondRoleCeiling"
    NOT_GRANTABLE = "NotGrantable"
    FORBIDDEN_RIGHT = "ForbiddenRight"
    FORBIDDEN_COMBINATION = "ForbiddenCombination"
    TOO_MANY_RIGHTS = "TooManyRights"
    NAMESPACE_NOT_FOUND = "NamespaceNotFound"
    NOT_ISOLATED = "IdentityNotIsolated"
    NAME_TAKEN = "NameTaken"
    REFUSED_BY_API = "RefusedByApiServer"
    # workload
    AVAILABLE = "Available"
    UNGATED_CHANGE = "UngatedChange"
    PROGRESSING = "Progressing"
    HANDBOOK_NOT_FOUND = "HandbookSourceNotFound"
    TARGET_NOT_FOUND = "TargetNotFound"
    TARGET_CLAIMED = "TargetClaimed"
    CONTAINER_NOT_FOUND = "ContainerNotFound"
    FIELD_CONFLICT = "FieldConflict"
    WORKLOAD_INVALID = "WorkloadInvalid"
    PODS_FAILING = "PodsFailing"
    # rollout
    ROLLOUT_PAUSED = "RolloutPaused"
    ROLLOUT_STOPPED = "RolloutStopped"
    AUTOSCALED = "Autoscaled"
    NO_CANARY = "CanaryNotPossible"
    TRAFFIC_NOT_FOUND = "TrafficNotFound"
    GATEWAY_API_MISSING = "GatewayApiMissing"
    REVISION_REJECTED = "RevisionRejected"
    # evaluations
    EVALUATING = "Evaluating"
    EVALUATION_FAILED = "EvaluationFailed"
    EVALUATION_INCONCLUSIVE = "EvaluationInconclusive"
    EVALUATION_INVALID = "EvaluationInvalid"
    EVALUATION_REQUIRED = "EvaluationRequired"
    # reviews and bias audits
    HELD_BY_FINDING = "HeldByFinding"
    FINDING = "Finding"
    FINDING_RELEASED = "FindingReleased"
    REVIEW_INVALID = "ReviewInvalid"
    REVIEW_UNCLEAR = "ReviewUnclear"
    NOT_REVIEWED = "NotReviewed"
    REVIEWED = "Reviewed"
    # orders
    IN_FORCE = "InForce"
    CARRIED_OUT = "CarriedOut"
    WAITING_FOR_AGENTS = "WaitingForAgents"
    RESUMING = "Resuming"
    NO_AGENT = "NoAgent"
    STILL_SUSPENDED = "StillSuspended"
    NOTICE = "NoticePeriod"
    PREVIEWED = "Previewed"
    REHIRING = "Rehiring"
    STILL_OFFBOARDED = "StillOffboarded"
    ROLLING_BACK = "RollingBack"
    OVERTAKEN = "Overtaken"
    NO_REVISION = "NoRevision"
    RETRAINING = "Retraining"
    NO_RETRAINING = "NoRetraining"
    TRAINING_FAILED = "TrainingFailed"
    NO_ROLLOUT = "NoRollout"
    WAITING_FOR_ARCHIVES = "WaitingForArchives"
    RELEASING = "Releasing"
    NO_ARCHIVE = "NoArchive"
    STILL_HELD = "StillHeld"
    NOT_LEAVING = "NotLeaving"
    TOO_EARLY = "TooEarly"
    ARCHIVED = "Archived"
    ABANDONING = "Abandoning"
    NOTHING_TO_ERASE = "NothingToErase"
    EXPIRED = "Expired"
    # policies
    POLICY_UNREADABLE = "PolicyUnreadable"
    UP_TO_DATE = "UpToDate"
    OVERDUE = "Overdue"
    OVERDUE_BEYOND_GRACE = "OverdueBeyondGrace"
    SUSPENDED_FOR_AGE = "SuspendedForAge"
    # triggers
    DRIFT = "Drift"
    KNOWLEDGE_CHANGE = "KnowledgeChange"
    POLICY_CHANGE = "PolicyChange"
    # drift
    DRIFTING = "Drifting"
    BOUND_CROSSED = "BoundCrossed"
    NOT_MEASURED = "NotMeasured"
    # identity
    EXPOSED = "OthersHoldIdentity"
    FOREIGN_RIGHTS = "RightsFromOthers"
    NETWORK_WIDENED = "NetworkWidened"
    # journal
    GRANTING = "Granting"
    STORE_UNAVAILABLE = "ArchiveStoreUnavailable"
    STORE_NOT_FOUND = "ArchiveStoreNotFound"
    STORE_DISPUTED = "ArchiveStoreDisputed"
    JOURNAL_UNREADABLE = "JournalUnreadable"
    JOURNAL_STUCK = "JournalStuck"
    # archives
    READ_BACK = "ReadBack"
    CERTIFIED = "Certified"
    NO_SIGNING_KEY = "NoSigningKey"
    ALTERED = "Altered"
    PURGING = "Purging"
    PURGED = "Purged"
    ABANDONED = "Abandoned"
    ERASING = "Erasing"
    ERASED = "Erased"
    HELD = "Held"


# Reasons that time or the cluster resolves; all others wait for a person.
TRANSIENT: Final = frozenset(
    {
        Reason.PROGRESSING,
        Reason.PENDING,
        Reason.EVALUATING,
        Reason.NAMESPACE_TERMINATING,
        Reason.ONBOARDING,
        Reason.SUSPENDING,
        Reason.ROLLOUT_PAUSED,
        Reason.WAITING_FOR_HANDOVER,
    }
)

Status = Annotated[
    str,
    StringConstraints(pattern=r"^(True|False|Unknown)$"),
    Field(json_schema_extra={"enum": ["True", "False", "Unknown"]}),
]


class Condition(Model):
    """metav1.Condition (Kubernetes API conventions)."""

    type: Annotated[str, StringConstraints(max_length=316), described("Type of the condition.")]
    status: Annotated[Status, described("True, False or Unknown.")]
    reason: Annotated[str, StringConstraints(min_length=1, max_length=1024), described("Why, in one word.")]
    message: Annotated[str, StringConstraints(max_length=32768), described("Why, and what to do about it.")]
    last_transition_time: Annotated[
        str, Field(json_schema_extra={"format": "date-time"}, max_length=64), described("When the status last changed.")
    ]
    observed_generation: Annotated[int, Field(ge=0)] | None = described(
        "Generation of the spec that this is about.", default=None
    )


@dataclass(frozen=True, slots=True)
class Verdict:
    """A condition as the core decides it, without the clock."""

    type: Type
    status: bool | None
    reason: Reason
    message: str

    @property
    def text(self) -> str:
        """The status as it is written on the wire."""
        return "Unknown" if self.status is None else str(self.status)


def merge(
    old: Iterable[Mapping[str, Any]], verdicts: Iterable[Verdict], generation: int, now: str
) -> list[dict[str, Any]]:
    """New list of conditions: the verdicts, each keeping its old transition time where its status did not change.

    `now` is RFC 3339 in UTC. Conditions that no verdict names are dropped: an abnormal condition that is gone
    is absent. Unchanged verdicts give back equal entries, so that a converged agent compares equal and costs no write.
    """
    before = {c.get("type"): c for c in old}
    merged = []
    for verdict in verdicts:
        prior = before.get(verdict.type.value)
        since = prior["lastTransitionTime"] if prior and prior.get("status") == verdict.text else now
        merged.append(
            {
                "type": verdict.type.value,
                "status": verdict.text,
                "reason": verdict.reason.value,
                "message": verdict.message,
                "lastTransitionTime": since,
                "observedGeneration": generation,
            }
        )
    return merged
