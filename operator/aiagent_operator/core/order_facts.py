"""What decisions read of orders and of the agents that they are about, and what they yield."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from aiagent_operator.api import durations
from aiagent_operator.api.agentaction import DEADLINE, Action, ActionPhase, AgentActionSpec
from aiagent_operator.api.agentrevision import RevisionState
from aiagent_operator.api.conditions import Reason, Type, Verdict
from aiagent_operator.api.rolloutstatus import RolloutOrderStatus
from aiagent_operator.core.objects import Child
from aiagent_operator.core.versions import revisions

NAMED = 8
STEERING = (Action.PROMOTE, Action.ABORT)
"""What is ordered about a rollout: the agent's own pass does it, and says so in the agent's status."""
FINISHED = (ActionPhase.COMPLETE, ActionPhase.FAILED, ActionPhase.EXPIRED)


@dataclass(frozen=True, slots=True)
class Order:
    """An AgentAction as it was last seen. `version` is its resourceVersion; `guarded`: it has its finalizer;
    `partial`: not all that it says can be read, see `order_reading`. `oldest`: the first resourceVersion that was seen
    of it, 0 where that is the last one; `fresh`: nothing was written to its status by then."""

    namespace: str
    name: str
    uid: str
    version: int
    created: dt.datetime
    spec: AgentActionSpec
    finished: dt.datetime | None = None
    phase: ActionPhase | None = None
    deleting: bool = False
    guarded: bool = False
    partial: bool = False
    oldest: int = 0
    fresh: bool = False

    def covers(self, agent: str, labels: Mapping[str, str]) -> bool:
        """Whether it is about the agent of that name and labels in its namespace."""
        if self.spec.agent_ref is not None:
            return self.spec.agent_ref.name == agent and self.home == self.namespace
        wanted = self.spec.selector.match_labels if self.spec.selector else {}
        return bool(wanted) and wanted.items() <= labels.items()

    @property
    def home(self) -> str:
        """Namespace of the agents that it is about: its own, unless it names another one."""
        return (self.spec.agent_ref.namespace if self.spec.agent_ref else None) or self.namespace

    @property
    def age(self) -> tuple[dt.datetime, str]:
        """Sorts orders by when they were given. Times have whole seconds; within one, names tell."""
        return self.created, self.name

    @property
    def deadline(self) -> dt.datetime:
        """When it has expired, where it is not carried out before."""
        return self.created + dt.timedelta(seconds=self.spec.active_deadline_seconds or DEADLINE)

    @property
    def suspends(self) -> bool:
        """Whether it is a standing order to suspend."""
        return self.spec.action is Action.SUSPEND

    @property
    def offboards(self) -> bool:
        """Whether it is a standing order to offboard."""
        return self.spec.action is Action.OFFBOARD and not self.previews

    @property
    def previews(self) -> bool:
        """Whether it asks what would be, and changes nothing."""
        return self.spec.offboarding is not None and bool(self.spec.offboarding.dry_run)

    @property
    def stands(self) -> bool:
        """Whether it is in force for as long as it exists."""
        return self.suspends or self.offboards

    @property
    def begins(self) -> dt.datetime:
        """When an order to offboard is in force: at once, or after its notice."""
        return self.created + self._notice

    def begun(self, now: dt.datetime) -> bool:
        """Whether an order to offboard is in force. Without notice it is whatever the clock says, which may be behind
        that of the API server; and one that was in force stays so when the clock is set back."""
        return not self._notice or self.phase is ActionPhase.IN_FORCE or self.begins <= now

    @property
    def _notice(self) -> dt.timedelta:
        asked = self.spec.offboarding.notice_period if self.spec.offboarding else None
        return durations.parse(asked, "spec.offboarding.noticePeriod") if asked else dt.timedelta()

    def __str__(self) -> str:
        return f"AgentAction {self.name} by {self.spec.requested_by} ({self.spec.reason})"


@dataclass(frozen=True, slots=True)
class AgentFacts:
    """What an order asks of an agent.

    `stopped`: no right of it is bound, and no pod is asked for. `suspended`: it says so itself. `by_spec`, `by_orders`,
    `by_policy`: what wants it so. `adopted`: its work is a target of somebody else's, with all its images; `container`:
    the one of a target whose image is its work. `revisions`: those that exist. `newest`: the newest Rollback about it.
    `trainable`: its spec says how it is trained. `carried`: what its rollout has done about orders, by their UIDs.
    `out`: it is offboarded, or was not hired because of such an order; `retired`: its identity has ended with it.
    """

    name: str
    stopped: bool
    suspended: bool
    by_spec: bool
    by_orders: tuple[Order, ...] = ()
    by_policy: bool = False
    adopted: bool = False
    container: str = ""
    revisions: tuple[Child, ...] = ()
    newest: Order | None = None
    trainable: bool = False
    carried: Mapping[str, RolloutOrderStatus] = field(default_factory=dict)
    out: bool = False
    retired: bool = False

    def trained_by(self, order: Order) -> Child | None:
        """The revision that is or was trained by the order."""
        found = [c for c in self.revisions if (its := revisions.facts(c)).training and its.training.order == order.uid]
        return found[0] if found else None

    def trains_by(self, order: Order) -> bool:
        """Whether it is being trained by the order now."""
        found = self.trained_by(order)
        return found is not None and revisions.facts(found).state is RevisionState.TRAINING


@dataclass(frozen=True, slots=True)
class OrderPlan:
    """What to do about an order, and what is true of it.

    `ends`: orders to delete. `remove`: the order itself has been kept long enough. `previews`: name of the agent of
    which its status is to say what it would do. `begun`: what cannot be undone is done already, so it does not expire.
    `requeue_after` is in seconds.
    """

    phase: ActionPhase
    verdicts: tuple[Verdict, ...] = ()
    agents: int = 0
    done: int = 0
    ends: tuple[Order, ...] = ()
    remove: bool = False
    previews: str = ""
    begun: bool = False
    requeue_after: float | None = None


def failed(reason: Reason, text: str) -> OrderPlan:
    """An order about one agent that will not be carried out."""
    return replace(ended(ActionPhase.FAILED, reason, text, []), agents=1)


def carried_out(text: str, about: list[AgentFacts]) -> OrderPlan:
    """An order that has done what it asks for."""
    done = (Verdict(Type.READY, True, Reason.CARRIED_OUT, text),)
    return OrderPlan(ActionPhase.COMPLETE, done, len(about), len(about))


def no_agent(order: Order) -> str:
    """There is nobody that the order is about, and what to do."""
    if order.spec.agent_ref is not None:
        return f"There is no AIAgent {order.spec.agent_ref.name} in this namespace: name one that exists"
    return "No AIAgent in this namespace has these labels: select some that exist"


def ended(phase: ActionPhase, reason: Reason, text: str, about: list[AgentFacts]) -> OrderPlan:
    """An order that is over without having done what it asks for."""
    verdicts = (Verdict(Type.READY, False, reason, text), Verdict(Type.STALLED, True, reason, text))
    done = sum(not agent.suspended for agent in about)
    return OrderPlan(phase, verdicts, len(about), done)


def reconciling(reason: Reason, text: str) -> tuple[Verdict, ...]:
    """An order that is being carried out."""
    return Verdict(Type.READY, False, reason, text), Verdict(Type.RECONCILING, True, reason, text)
