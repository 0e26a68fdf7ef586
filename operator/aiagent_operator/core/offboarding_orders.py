"""What becomes of orders to offboard agents, and to rehire them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from aiagent_operator.api.agentaction import ActionPhase
from aiagent_operator.api.conditions import Reason, Type, Verdict
from aiagent_operator.core import texts
from aiagent_operator.core.order_facts import (
    NAMED,
    AgentFacts,
    Order,
    OrderPlan,
    ended,
    failed,
    no_agent,
    reconciling,
)


def offboard(order: Order, about: list[AgentFacts], now: dt.datetime) -> OrderPlan:
    """A standing order: it waits for the end of its notice, then for the agents to have left, and stays in force."""
    count = len(about)
    if not order.begun(now):
        text = (
            f"Begins at {texts.moment(order.begins)} for {_names(about) or 'whoever is here then'}: until then all "
            "goes on as it is, and deleting the order, with the verb rehire, ends it"
        )
        left = (order.begins - now).total_seconds()
        return OrderPlan(ActionPhase.PENDING, reconciling(Reason.NOTICE, text), count, requeue_after=left)
    waiting = [agent for agent in about if not agent.out]
    if waiting:
        text = f"In force; waiting for {_names(waiting)} to have left: status.offboarding of each says how far it is"
        verdicts = reconciling(Reason.WAITING_FOR_AGENTS, text)
    elif about:
        text = f"In force: {_names(about)} is out, and stays so for as long as this order exists"
        verdicts = (Verdict(Type.READY, True, Reason.IN_FORCE, text),)
    else:
        text = "In force, and there is no agent that it is about: one that comes is not hired"
        verdicts = (Verdict(Type.READY, True, Reason.NO_AGENT, text),)
    return OrderPlan(ActionPhase.IN_FORCE, verdicts, count, count - len(waiting))


def preview(order: Order, about: list[AgentFacts]) -> OrderPlan:
    """A dry run: what it would do stands in its status once it was looked at."""
    if not about:
        return failed(Reason.NO_AGENT, no_agent(order))
    (agent,) = about
    if agent.retired:
        return failed(Reason.RETIRED, f"AIAgent {agent.name} has left already: its archive is what there is of it")
    text = f"AIAgent {agent.name} was looked at, and nothing was changed: status.preview says what an Offboard would do"
    done = (Verdict(Type.READY, True, Reason.PREVIEWED, text),)
    return OrderPlan(ActionPhase.COMPLETE, done, 1, 1, previews=agent.name)


def rehire(order: Order, about: list[AgentFacts], ends: tuple[Order, ...]) -> OrderPlan:
    """Ends the Offboards; then waits for the agents to be applied anew and hired."""
    count = len(about)
    if ends:
        verdicts = reconciling(Reason.REHIRING, f"Ending {texts.some([other.name for other in ends], NAMED)}")
        return OrderPlan(ActionPhase.PENDING, verdicts, count, 0, ends)
    if not about:
        if order.spec.agent_ref is None:
            return ended(ActionPhase.FAILED, Reason.NO_AGENT, no_agent(order), about)
        text = f"No order keeps AIAgent {order.spec.agent_ref.name} out: waiting for it to be applied"
        return OrderPlan(ActionPhase.PENDING, reconciling(Reason.WAITING_FOR_AGENTS, text))
    if left := sorted({str(other) for agent in about for other in agent.by_orders}):
        text = (
            f"Still offboarded by {texts.some(left, NAMED)}: order Rehire with the agent or selector that it has, or "
            "delete it, with the verb rehire"
        )
        return ended(ActionPhase.FAILED, Reason.STILL_OFFBOARDED, text, about)
    if retired := [agent for agent in about if agent.retired]:
        text = (
            f"The identity of {_names(retired)} has ended, and its archive is of that end: waiting for the AIAgent to "
            "be deleted and applied anew"
        )
        return OrderPlan(ActionPhase.PENDING, reconciling(Reason.REHIRING, text), count, count - len(retired))
    if waiting := [agent for agent in about if agent.out]:
        text = f"Waiting for {_names(waiting)} to be looked at"
        return OrderPlan(ActionPhase.PENDING, reconciling(Reason.REHIRING, text), count, count - len(waiting))
    text = f"No order keeps {_names(about)} out any more: hired anew, as any AIAgent that is applied"
    return OrderPlan(ActionPhase.COMPLETE, (Verdict(Type.READY, True, Reason.CARRIED_OUT, text),), count, count)


def _names(agents: Iterable[AgentFacts]) -> str:
    return texts.some([agent.name for agent in agents], NAMED)
