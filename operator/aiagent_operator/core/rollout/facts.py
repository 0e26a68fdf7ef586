"""What a decision about a rollout rests on: all of it observed, or kept in the candidate's status."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from aiagent_operator.api.agentevaluation import Phase
from aiagent_operator.api.rollout import RolloutSpec
from aiagent_operator.core.rollout.decision import RolloutStatus, Traffic
from aiagent_operator.core.rollout.run import Run


@dataclass(frozen=True, slots=True)
class Pods:
    """The Deployment of one revision, or an adopted workload, as observed. What does not exist yet has no pods.

    `observed`: its controller has seen its last change; until then its numbers are those of before.
    """

    revision: int
    name: str
    wanted: int = 0
    """spec.replicas."""
    replicas: int = 0
    updated: int = 0
    ready: int = 0
    terminating: int = 0
    """status.terminatingReplicas, where the cluster tells it: Recreate waits for them too."""
    failure: str = ""
    """Why its controller cannot go on, in its own words; said where pods are waited for."""
    observed: bool = True
    kind: str = "Deployment"
    """What the name is one of, for messages."""

    @property
    def present(self) -> int:
        """Pods that are there, or will be when nobody writes anything."""
        return max(self.wanted, self.replicas)

    @property
    def serving(self) -> int:
        """Ready pods that will stay: of more than are wanted, the controller is about to take the rest away."""
        return min(self.ready, self.wanted)

    @property
    def unsettled(self) -> int:
        """Pods that still have an older template, as after a change of what the operator puts into it."""
        return max(0, self.replicas - self.updated)

    @property
    def gone(self) -> bool:
        """Whether no pod is wanted and none is left."""
        return self.observed and self.present + self.terminating == 0


class OrderKind(StrEnum):
    """What is ordered about a rollout."""

    PROMOTE = "Promote"
    PROMOTE_FULL = "PromoteFull"
    ABORT = "Abort"


@dataclass(frozen=True, slots=True)
class RolloutOrder:
    """An AgentAction about this rollout that is not finished. `text` names it and who gave it.

    `given`: when (RFC 3339 in UTC, to the second). `name`: that of the AgentAction.
    """

    uid: str
    kind: OrderKind
    text: str
    given: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that a decision about one rollout rests on.

    `replicas` is what the agent wants. `stable` is None where there is no stable revision yet. `traffic` is what the
    cluster's Services and HTTPRoute say, in the form in which a decision says it; None where it is not known. `said` is
    what there is to say of evaluations. `unmeasured`: why evaluations that must run do not; meanwhile nothing moves.
    `held`: why no further step begins, whatever its own say; empty where nothing holds it.
    `landed` is None where each revision has a Deployment of its own; else `stable` are the pods of an adopted target,
    and it says whether these have the candidate's work already. `within`: the candidate's pods are among the target's,
    and `contested`: another manager says how many of them. `former`: beside these are still the pods of a candidate
    before this one. `since`: when `traffic` was first asked for, where it is what was asked for last.
    """

    spec: RolloutSpec
    replicas: int
    stable: Pods | None
    candidate: Pods
    status: RolloutStatus
    now: datetime
    verdicts: Mapping[Run, Phase] = field(default_factory=dict)
    orders: tuple[RolloutOrder, ...] = ()
    traffic: Traffic | None = None
    suspended: bool = False
    said: Mapping[Run, str] = field(default_factory=dict)
    unmeasured: str = ""
    held: str = ""
    landed: bool | None = None
    within: bool = False
    contested: bool = False
    former: bool = False
    since: datetime | None = None
