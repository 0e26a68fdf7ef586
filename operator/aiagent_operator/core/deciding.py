"""What to do about an agent: whether it arrives, stays or leaves."""

from __future__ import annotations

from dataclasses import replace

from aiagent_operator.api import meta
from aiagent_operator.core import leaving, offboarding, onboarding
from aiagent_operator.core.plan import Finalizer, Observed, Plan
from aiagent_operator.core.retraining import facts


def decide(o: Observed) -> Plan:
    """What to do about the agent, and what is true of it."""
    if leaving.look(o):
        return replace(offboarding.decide(o), training=facts.leaving(o))
    if meta.FINALIZER not in o.agent.metadata.finalizers:
        return Plan(finalizer=Finalizer.ADD, training=facts.leaving(o))
    plan = onboarding.decide(o)
    ahead = leaving.notice(o.offboards, o.moment)
    return plan if ahead is None else replace(plan, requeue_after=min(filter(None, (ahead, plan.requeue_after))))
