"""What AgentPolicies change about an agent's versions: how many are kept, and whether any may take over.

A policy that cannot be read may forbid anything, so nothing takes over and nothing is removed until it can be. An order
goes back all the same: a person answers for it, and a mistyped policy must not keep a bad version in place.
"""

from __future__ import annotations

from dataclasses import replace

from aiagent_operator.api.aiagent import HISTORY
from aiagent_operator.api.conditions import Reason
from aiagent_operator.core import texts
from aiagent_operator.core.plan import Observed
from aiagent_operator.core.versions.revisions import Choice, facts
from aiagent_operator.core.workload.result import WorkloadPlan, not_ready

_LONGEST = 2000


def history(o: Observed) -> int:
    """Superseded revisions to keep: the most that the agent or a policy of it says."""
    own = o.agent.spec.revision_history_limit
    kept = HISTORY if own is None else own
    return kept if o.policies.history is None else max(kept, o.policies.history.value)


def may_promote(o: Observed, choice: Choice) -> bool:
    """Whether the target of the choice may take over, and history may be removed."""
    return o.policies.readable or choice.order is not None


def held(o: Observed, choice: Choice, work: WorkloadPlan) -> WorkloadPlan:
    """The work, with what is said of it while an unreadable policy keeps another revision from taking over."""
    if may_promote(o, choice) or choice.target is None or not choice.rolling or o.suspended:
        return work
    if work.verdict is None or work.verdict.status is not True:
        return work
    number = facts(choice.target).number
    serves = f", revision {facts(choice.stable).number} serves" if choice.stable else ""
    what = "may not" if o.agent.spec.workload.by_revision else "runs by its owner's edit, and may not"
    text = f"revision {number} {what} take over{serves}: {texts.some(o.policies.broken, separator='; ')}"
    return replace(work, verdict=not_ready(Reason.POLICY_UNREADABLE, text[:_LONGEST]))
