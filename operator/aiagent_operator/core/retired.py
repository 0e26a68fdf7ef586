"""What is said of an agent that an order keeps out: one that has left, and stays as an object, or is not hired at all.

An author, or Git, may apply it anew; so as long as the order exists, and once its identity has ended, it gets nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from aiagent_operator.api.agentstatus import Phase
from aiagent_operator.api.conditions import Reason, Type, Verdict
from aiagent_operator.core import leaving
from aiagent_operator.core.archive.steps import Step
from aiagent_operator.core.leaving import Leave
from aiagent_operator.core.plan import Observed, Plan

# What the status says of one that works.
_OVER: Final = (
    "drift", "granted", "handbook", "hiredAs", "readyReplicas", "replicas", "reviews", "rollout", "serviceAccount",
    "services", "training",
)  # fmt: skip


def plan(o: Observed, leave: Leave, steps: Mapping[Step, str]) -> Plan:
    """It has left: its rights are proved gone, and where there is a store, it is archived."""
    said = o.agent.status.get("archive") or {}
    archive = said.get("name")
    what = f"archived as AgentArchive {archive}" if archive else "not archived, since there is no archive store"
    if "abandoned" in said:
        what = f"not archived: it was abandoned by AgentAction {said['abandoned']['order']}, see AgentArchive {archive}"
    by = f", by {leave.order}" if leave.order else ""
    text = (
        f"It has left{by}: its rights are proved gone, and it is {what}. Its identity has ended: delete this AIAgent. "
        "To employ it again, order Rehire and apply it anew"
    )
    return Plan(
        verdicts=_out(text),
        status={
            "phase": Phase.RETIRED.value,
            "permissions": [],
            "inventory": [],
            **dict.fromkeys(_OVER),
            "offboarding": leaving.fields(o, leave, steps, completed=True),
        },
    )


def not_hired(leave: Leave) -> Plan:
    """It was applied while an order says that it is out: the operator makes nothing for it."""
    text = f"Not hired: offboarded by {leave.order}. To employ it again, order Rehire"
    return Plan(verdicts=_out(text), outside=True)


def _out(text: str) -> tuple[Verdict, ...]:
    return (
        Verdict(Type.READY, False, Reason.RETIRED, text),
        Verdict(Type.PERMISSIONS_GRANTED, False, Reason.RETIRED, "Nothing is granted to an agent that has left"),
        Verdict(Type.WORKLOAD_READY, False, Reason.RETIRED, "Nothing of an agent that has left runs"),
    )
