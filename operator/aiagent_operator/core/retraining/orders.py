"""What becomes of an order to retrain: carried out where each of its agents was trained by it."""

from __future__ import annotations

from aiagent_operator.api.agentaction import ActionPhase
from aiagent_operator.api.agentrevision import RevisionState
from aiagent_operator.api.conditions import Reason
from aiagent_operator.core import texts
from aiagent_operator.core.objects import Child
from aiagent_operator.core.order_facts import (
    NAMED,
    AgentFacts,
    Order,
    OrderPlan,
    carried_out,
    ended,
    no_agent,
    reconciling,
)
from aiagent_operator.core.versions import revisions


def decide(order: Order, about: list[AgentFacts], *, late: bool) -> OrderPlan:
    """What becomes of the order. The agents' own passes train, and say by which order on the revision.

    `late`: nothing begins by it any more, and it waits for what has begun. Whether a result serves afterwards is told
    by its revision, not here.
    """
    if not about:
        return ended(ActionPhase.FAILED, Reason.NO_AGENT, no_agent(order), about)
    found = {agent.name: agent.trained_by(order) for agent in about}
    untrainable = [agent.name for agent in about if not agent.trainable and found[agent.name] is None]
    if untrainable:
        text = f"{_agents(untrainable)} cannot be trained: say how in spec.retraining.jobTemplate, and order it anew"
        return ended(ActionPhase.FAILED, Reason.NO_RETRAINING, text, about)
    done = [name for name, child in found.items() if child and _state(child) is not RevisionState.TRAINING]
    training = [name for name, child in found.items() if child and _state(child) is RevisionState.TRAINING]
    waiting = [] if late else [name for name, child in found.items() if child is None]
    if training or waiting:
        parts = [f"{_agents(training)} trains" if training else "", _waiting(waiting)]
        verdicts = reconciling(Reason.RETRAINING, "; ".join(filter(None, parts)))
        return OrderPlan(ActionPhase.PENDING, verdicts, len(about), len(done))
    failed = [f"{name} (revision {_number(c)})" for name, c in found.items() if c and not _trained(c)]
    if failed or len(done) < len(about):
        never = [name for name, child in found.items() if child is None]
        parts = [f"the training of {texts.some(failed, NAMED)} failed: its revision says why" if failed else ""]
        parts += [f"the training of {texts.some(never, NAMED)} did not begin in time" if never else ""]
        return ended(ActionPhase.FAILED, Reason.TRAINING_FAILED, _sentence(parts), about)
    numbers = [f"{name} made revision {_number(child)}" for name, child in found.items() if child]
    return carried_out(f"The training of {texts.some(numbers, NAMED)}", about)


def _waiting(names: list[str]) -> str:
    if not names:
        return ""
    return f"{_agents(names)} waits to be trained: status.training.waitsFor says for what"


def _agents(names: list[str]) -> str:
    return f"AIAgent {texts.some(names, NAMED)}"


def _sentence(parts: list[str]) -> str:
    text = "; ".join(filter(None, parts))
    return text[:1].upper() + text[1:]


def _state(child: Child) -> RevisionState:
    return revisions.facts(child).state


def _number(child: Child) -> int:
    return revisions.facts(child).number


def _trained(child: Child) -> bool:
    return bool(revisions.facts(child).work)
