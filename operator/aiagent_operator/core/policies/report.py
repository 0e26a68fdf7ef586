"""What is true of an AgentPolicy: its conditions, and how many agents it is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aiagent_operator.api.conditions import Reason, Type, Verdict
from aiagent_operator.core.policies.compiled import CompiledPolicy


@dataclass(frozen=True, slots=True)
class PolicyReport:
    """The verdicts about a policy, and the fields of its status beside conditions."""

    verdicts: tuple[Verdict, ...]
    status: Mapping[str, int]


def report(policy: CompiledPolicy, agents: int, training: int, overdue: int) -> PolicyReport:
    """What to say of a policy that selects so many agents, of which so many train now, and so many are overdue.

    The numbers stand in the status only: in a message they would change it, and the Event with it, at every training.
    """
    status = {"agents": agents, "training": training, "overdue": overdue}
    if policy.problem:
        text = (
            f"{policy.problem}. Until then no training of the agents that it selects starts, and no revision of theirs "
            "takes over or is removed; what can be read of it holds"
        )
        broken = (
            Verdict(Type.READY, False, Reason.INVALID_SPEC, text),
            Verdict(Type.STALLED, True, Reason.INVALID_SPEC, text),
        )
        return PolicyReport(broken, status)
    return PolicyReport(
        (Verdict(Type.READY, True, Reason.ACCEPTED, "It holds for the agents that it selects"),), status
    )
