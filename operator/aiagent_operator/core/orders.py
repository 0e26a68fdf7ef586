"""Orders about agents: which of them are in force, and what becomes of each.

A Suspend, and an Offboard, is in force while the object exists. Nothing about it is remembered elsewhere, so an AIAgent
that is restored, or applied anew, stays suspended, or out. A Resume ends the Suspends that it is about by deleting
them, and is then done with; so does a Rehire with Offboards.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import replace

from aiagent_operator.api.agentaction import KEPT, Action, ActionPhase
from aiagent_operator.api.conditions import Reason, Type, Verdict
from aiagent_operator.core import offboarding_orders as leaving
from aiagent_operator.core import texts
from aiagent_operator.core.order_facts import (
    FINISHED,
    NAMED,
    STEERING,
    AgentFacts,
    Order,
    OrderPlan,
    carried_out,
    ended,
    failed,
    no_agent,
    reconciling,
)
from aiagent_operator.core.retraining import orders as retrain_orders
from aiagent_operator.core.versions import revisions
from aiagent_operator.core.versions.revisions import RollbackOrder

__all__ = ["FINISHED", "STEERING", "AgentFacts", "Order", "OrderPlan", "decide"]


def decide(
    order: Order,
    agents: Iterable[AgentFacts],
    standing: Iterable[Order],
    now: dt.datetime,
    *,
    held: OrderPlan | None = None,
) -> OrderPlan:
    """The plan for one order. `agents` are those that it covers; `standing` all of its namespace that stand; `held`:
    what archives have to say of an order about them."""
    about = sorted(agents, key=lambda agent: agent.name)
    if order.suspends:
        return _suspend(about, order)
    if order.offboards:
        return leaving.offboard(order, about, now)
    if order.spec.action is Action.HOLD and held is not None:
        return held
    if order.phase in FINISHED:
        return _keep(order, order.phase, now)
    late = now >= order.deadline
    if late and not (held and held.begun) and not any(agent.trains_by(order) for agent in about):
        seconds = (order.deadline - order.created).total_seconds()
        text = f"Not carried out within {seconds:.0f} s: give the order again"
        return ended(ActionPhase.EXPIRED, Reason.EXPIRED, text, about)
    plan = held or _pending(order, about, tuple(standing), late=late)
    if plan.phase is ActionPhase.PENDING and not late and not plan.begun:
        left = (order.deadline - now).total_seconds()
        return replace(plan, requeue_after=min(left, plan.requeue_after or left))
    return plan


def _pending(order: Order, about: list[AgentFacts], standing: tuple[Order, ...], *, late: bool) -> OrderPlan:
    match order.spec.action:
        case Action.ROLLBACK:
            return _rollback(order, about)
        case Action.RETRAIN:
            return retrain_orders.decide(order, about, late=late)
        case Action.PROMOTE | Action.ABORT:
            return _steer(order, about)
        case Action.OFFBOARD:
            return leaving.preview(order, about)
        case Action.REHIRE:
            return leaving.rehire(order, about, _ended(order, about, standing))
        case _:
            return _resume(order, about, _ended(order, about, standing))


def _suspend(about: list[AgentFacts], order: Order) -> OrderPlan:
    waiting = [agent.name for agent in about if not agent.stopped]
    done = len(about) - len(waiting)
    if waiting:
        text = f"In force; waiting for rights and pods of {texts.some(waiting, NAMED)} to be gone"
        verdicts = reconciling(Reason.WAITING_FOR_AGENTS, text)
    elif about:
        text = f"In force for {texts.some([agent.name for agent in about], NAMED)}: no rights are bound and no pods run"
        verdicts = (Verdict(Type.READY, True, Reason.IN_FORCE, text),)
    elif order.spec.agent_ref is not None:
        text = f"In force, but there is no AIAgent {order.spec.agent_ref.name} here yet: it will come suspended"
        verdicts = (Verdict(Type.READY, True, Reason.NO_AGENT, text),)
    else:
        text = "In force, but no AIAgent here has these labels yet: those that come will be suspended"
        verdicts = (Verdict(Type.READY, True, Reason.NO_AGENT, text),)
    return OrderPlan(ActionPhase.IN_FORCE, verdicts, len(about), done)


def _ended(order: Order, about: list[AgentFacts], standing: tuple[Order, ...]) -> tuple[Order, ...]:
    """The standing orders that the order ends."""
    names = frozenset(agent.name for agent in about)
    wanted = Action.OFFBOARD if order.spec.action is Action.REHIRE else Action.SUSPEND
    return lifted(order, (other for other in standing if other.spec.action is wanted), names)


def _resume(order: Order, about: list[AgentFacts], ends: tuple[Order, ...]) -> OrderPlan:
    if ends:
        verdicts = reconciling(Reason.RESUMING, f"Ending {texts.some([other.name for other in ends], NAMED)}")
        return OrderPlan(ActionPhase.PENDING, verdicts, len(about), 0, ends)
    if not about:
        return ended(ActionPhase.FAILED, Reason.NO_AGENT, no_agent(order), about)
    if left := sorted({str(other) for agent in about for other in agent.by_orders}):
        text = (
            f"Still suspended by {texts.some(left, NAMED)}: order Resume with the agent or selector "
            "that it has, or delete it, with the verb resume"
        )
        return ended(ActionPhase.FAILED, Reason.STILL_SUSPENDED, text, about)
    waiting = [agent.name for agent in about if agent.suspended and not (agent.by_spec or agent.by_policy)]
    if waiting:
        verdicts = reconciling(
            Reason.WAITING_FOR_AGENTS, f"Waiting for {texts.some(waiting, NAMED)} to get rights and pods back"
        )
        return OrderPlan(ActionPhase.PENDING, verdicts, len(about), len(about) - len(waiting))
    text = f"No order suspends {texts.some([agent.name for agent in about], NAMED)} any more"
    if by_spec := [agent.name for agent in about if agent.by_spec]:
        text += f"; spec.suspended is true for {texts.some(by_spec, NAMED)}: their author sets it to false"
    if by_policy := [agent.name for agent in about if agent.by_policy]:
        text += f"; a policy suspends {texts.some(by_policy, NAMED)} for the age of training: have them trained"
    return OrderPlan(
        ActionPhase.COMPLETE, (Verdict(Type.READY, True, Reason.CARRIED_OUT, text),), len(about), len(about)
    )


def _rollback(order: Order, about: list[AgentFacts]) -> OrderPlan:
    """Whether the agent has gone back. The agent's own pass does it, and says by which order on the revision."""
    if not about:
        return failed(Reason.NO_AGENT, no_agent(order))
    (agent,) = about
    if agent.newest and agent.newest.uid != order.uid:
        return failed(Reason.OVERTAKEN, f"{agent.newest} was given after it")
    if agent.adopted:
        text = (
            f"The work of AIAgent {agent.name} is an adopted workload, whose images are its owner's: go back where "
            "they are set, and change spec.handbook where it is about the handbook; the operator goes back where "
            "spec.workload.container names the container whose image is the agent's work"
        )
        return failed(Reason.NO_REVISION, text)
    serving = revisions.stable(agent.revisions)
    if serving and revisions.facts(serving).order == order.uid:
        return carried_out(f"Revision {revisions.facts(serving).number} serves", about)
    wish = RollbackOrder(order.name, order.uid, str(order), order.spec.revision)
    goal = revisions.aim(agent.revisions, wish, agent.container)
    if goal is None:
        return failed(Reason.NO_REVISION, _no_revision(order, agent))
    number = revisions.facts(goal).number
    if revisions.failed(goal, order.uid):
        text = f"Revision {number} failed before it served, and says why in its status; what served goes on serving"
        return failed(Reason.REVISION_REJECTED, text)
    if agent.suspended or agent.by_spec or agent.by_orders or agent.by_policy:
        text = f"AIAgent {agent.name} is suspended: waiting for it to be resumed, to go back to revision {number} then"
    else:
        text = f"Waiting for the pods of revision {number} of AIAgent {agent.name} to be ready"
    return OrderPlan(ActionPhase.PENDING, reconciling(Reason.ROLLING_BACK, text), 1)


def _steer(order: Order, about: list[AgentFacts]) -> OrderPlan:
    """What the agent's pass has done about an order to Promote or Abort. It acts once, on what it finds."""
    if not about:
        return failed(Reason.NO_AGENT, no_agent(order))
    (agent,) = about
    outcome = agent.carried.get(order.uid)
    if outcome is None:
        text = f"Waiting for the rollout of AIAgent {agent.name} to be looked at"
        return OrderPlan(ActionPhase.PENDING, reconciling(Reason.WAITING_FOR_AGENTS, text), 1)
    text = outcome.message[:1].upper() + outcome.message[1:]
    return carried_out(text, about) if outcome.done else failed(Reason.NO_ROLLOUT, text)


def _no_revision(order: Order, agent: AgentFacts) -> str:
    numbers = texts.some([revisions.facts(child).number for child in agent.revisions][::-1], NAMED)
    if order.spec.revision is None:
        return f"No revision of AIAgent {agent.name} served before this one: name one of {numbers} in spec.revision"
    return f"AIAgent {agent.name} has no revision {order.spec.revision}: name one of {numbers} in spec.revision"


def lifted(order: Order, standing: Iterable[Order], names: frozenset[str] = frozenset()) -> tuple[Order, ...]:
    """Those of the standing orders that the order ends. `names` are those of the agents that it is about."""
    return tuple(other for other in standing if _lifts(order, other, names) and _before(other, order))


def _lifts(order: Order, other: Order, names: frozenset[str]) -> bool:
    """Whether it ends the standing order: it names the same, or selects the agent that the other one names."""
    if order.spec.agent_ref is None and other.spec.agent_ref is not None:
        return other.spec.agent_ref.name in names
    said, wanted = order.spec, other.spec
    return (said.agent_ref, said.selector, said.archive_ref) == (wanted.agent_ref, wanted.selector, wanted.archive_ref)


def _before(other: Order, order: Order) -> bool:
    """Whether the standing order was given before. What came later is a new decision, and stays.

    Times have whole seconds. In the same second, versions tell: both have grown by what was written to their statuses,
    so the oldest count that were seen. That of the order is its first only where nothing was written to it yet.
    """
    given = order.oldest if order.fresh else order.version
    return (other.created, other.oldest or other.version) < (order.created, given)


def _keep(order: Order, phase: ActionPhase, now: dt.datetime) -> OrderPlan:
    """A finished order says what it said, until it has been kept long enough."""
    kept = order.spec.ttl_seconds_after_finished
    since = order.finished or order.created
    left = since + dt.timedelta(seconds=KEPT if kept is None else kept) - now
    if left <= dt.timedelta(0):
        return OrderPlan(phase, remove=True)
    return OrderPlan(phase, requeue_after=left.total_seconds())
