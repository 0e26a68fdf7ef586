"""What can happen to an agent, in the words that its journal has for it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

PREFIX: Final = "dev.workforce.agent."
"""Reverse domain name of the group, before the kind in a CloudEvents `type` (CloudEvents 1.0, "type")."""


class Kind(StrEnum):
    """Kinds of event. What a newer version adds is read and verified like these."""

    CREATED = "Created"
    HIRED = "Hired"
    GRANTED = "Granted"
    REFUSED = "Refused"
    REVOKED = "Revoked"
    REVISED = "Revised"
    EVALUATED = "Evaluated"
    REJECTED = "Rejected"
    ROLLOUT_STARTED = "RolloutStarted"
    ROLLED_OUT = "RolledOut"
    ROLLED_BACK = "RolledBack"
    TRAINING_STARTED = "TrainingStarted"
    TRAINED = "Trained"
    TRAINING_FAILED = "TrainingFailed"
    OVERDUE = "Overdue"
    DRIFTED = "Drifted"
    REVIEWED = "Reviewed"
    EXPOSED = "Exposed"
    POLICY_CHANGED = "PolicyChanged"
    ORDERED = "Ordered"
    SUSPENDED = "Suspended"
    RESUMED = "Resumed"
    OFFBOARDING_STARTED = "OffboardingStarted"
    CORDONED = "Cordoned"
    DRAINED = "Drained"
    SNAPSHOTTED = "Snapshotted"
    ARCHIVED = "Archived"
    VERIFIED = "Verified"
    HANDED_OVER = "HandedOver"
    ACCEPTED = "Accepted"
    TERMINATED = "Terminated"
    CERTIFIED = "Certified"
    ABANDONED = "Abandoned"
    RECOVERED = "Recovered"
    FORKED = "Forked"

    @property
    def type(self) -> str:
        """The CloudEvents `type`."""
        return PREFIX + self.value


MEANING: Final[Mapping[Kind, str]] = {
    Kind.CREATED: "the operator saw the agent for the first time",
    Kind.HIRED: "it passed what its role asks of whom it hires, or the role asks nothing",
    Kind.GRANTED: "a permission is given: told before its bindings are made",
    Kind.REFUSED: "a permission that it asks for was refused",
    Kind.REVOKED: "rights that it held were taken away",
    Kind.REVISED: "a revision was recorded, after an edit or a training",
    Kind.EVALUATED: "an evaluation came to its verdict",
    Kind.REJECTED: "a revision failed before it served",
    Kind.ROLLOUT_STARTED: "a revision began to take over",
    Kind.ROLLED_OUT: "a revision serves from now on",
    Kind.ROLLED_BACK: "a revision that was taking over, or served, gave way to an earlier one",
    Kind.TRAINING_STARTED: "a training began",
    Kind.TRAINED: "a training ended with a result that was taken",
    Kind.TRAINING_FAILED: "a training ended without one",
    Kind.OVERDUE: "its training became older than it may be",
    Kind.DRIFTED: "drift was seen, or is over",
    Kind.REVIEWED: "a review or bias audit came to its verdict",
    Kind.EXPOSED: "others can act as the agent, or no longer can",
    Kind.POLICY_CHANGED: "the policies that select it demand something else than before",
    Kind.ORDERED: "an AgentAction was carried out",
    Kind.SUSPENDED: "it was suspended",
    Kind.RESUMED: "it was resumed",
    Kind.OFFBOARDING_STARTED: "it began to leave",
    Kind.CORDONED: "it gets no new work",
    Kind.DRAINED: "its work in progress ended, or its time was up",
    Kind.SNAPSHOTTED: "what it leaves was captured: how many items and bytes, their digest, and how many are missing",
    Kind.ARCHIVED: "its archive is complete in the store",
    Kind.VERIFIED: "its archive was read back, and the digests agreed",
    Kind.HANDED_OVER: "it took over from its predecessor, whose archive is named with its digest",
    Kind.ACCEPTED: "a person accepted what it took over, by the order that is named: it may be hired",
    Kind.TERMINATED: "its workload and identity are gone",
    Kind.CERTIFIED: "the certificate of decommission was signed",
    Kind.ABANDONED: "it was released by order without a verified archive",
    Kind.RECOVERED: "the store knew more than the agent's status: both heads",
    Kind.FORKED: "the store does not hold what the agent's status tells of it: both heads",
}
"""What each kind tells, in a line; docs/journal.md shows it."""

RESERVED: Final = frozenset(
    {
        Kind.REVOKED,
        Kind.SUSPENDED,
        Kind.OFFBOARDING_STARTED,
        Kind.CORDONED,
        Kind.DRAINED,
        Kind.TERMINATED,
        Kind.ABANDONED,
    }
)
"""Kinds that take something away from the agent: they may still be noted when nothing else may (see `pending`)."""

_BY_TYPE: Final = {kind.type: kind for kind in Kind}


def of_type(text: str) -> Kind | None:
    """The kind with this CloudEvents `type`; None for one that this version does not know."""
    return _BY_TYPE.get(text)
