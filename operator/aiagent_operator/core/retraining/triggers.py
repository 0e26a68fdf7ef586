"""What makes an agent due beside its plan and its promise (`spec.retraining.triggers`).

Each cause is what differs now between the agent and its last successful training, so it ends by the success of another
one, and nothing has to be remembered for it. What serves counts, not what the spec asks for: an edit goes its own way
first. Table of cases: docs/triggers.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from aiagent_operator.api.agentrevision import Trigger
from aiagent_operator.api.drift import DriftState
from aiagent_operator.api.retraining import RetrainingTrigger
from aiagent_operator.core import texts
from aiagent_operator.core.objects import Child, Learned
from aiagent_operator.core.plan import Observed
from aiagent_operator.core.retraining.due import Cause
from aiagent_operator.core.versions import learning, revisions

_NAMED: Final = 5


def causes(o: Observed) -> tuple[Cause, ...]:
    """What makes the agent due now, the oldest first; nothing where the spec does not say how it is trained."""
    how = o.agent.spec.retraining
    if how is None or how.job_template is None or not how.triggers:
        return ()
    known = tuple(child for child in o.children.values() if child.revision)
    taught, said = learning.succeeded(known), _since(o)
    found = []
    for trigger in RetrainingTrigger:
        text = _CHANGES[trigger](o, known, taught) if trigger in how.triggers else ""
        if text:
            name = Trigger(trigger.value)
            found.append(Cause(name, _detected(o) if name is Trigger.DRIFT else said.get(name.value, o.now), text))
    return tuple(sorted(found, key=lambda cause: cause.since))


def _since(o: Observed) -> Mapping[str, datetime]:
    """Since when the status says that it is due by each trigger. It is said again for as long as that is so."""
    entries = (o.agent.status.get("training") or {}).get("triggeredBy") or ()
    return {entry["trigger"]: datetime.fromisoformat(entry["since"]) for entry in entries}


def _detected(o: Observed) -> datetime:
    return datetime.fromisoformat(o.drift.status.detected) if o.drift and o.drift.status.detected else o.now


def _drift(o: Observed, known: tuple[Child, ...], taught: Learned | None) -> str:  # noqa: ARG001 - as the others
    seen = o.drift
    if seen is None or seen.status.state is not DriftState.DRIFTING:
        return ""
    return f"the agent drifts: its query gave {seen.status.value}, {seen.bound} (spec.supervision.drift)"


def _knowledge(o: Observed, known: tuple[Child, ...], taught: Learned | None) -> str:  # noqa: ARG001 - as the others
    serving = revisions.stable(known)
    if taught is None or serving is None:
        return ""
    now = revisions.facts(serving).knowledge
    if not now or not taught.knowledge or now == taught.knowledge:
        return ""
    number = revisions.facts(serving).number
    return (
        f"the handbook of revision {number}, which serves, is another than that which revision {taught.by} was taught"
    )


def _policies(o: Observed, known: tuple[Child, ...], taught: Learned | None) -> str:  # noqa: ARG001 - as the others
    if taught is None:
        return ""
    had = dict(taught.curricula)
    changed = [
        f'AgentPolicy "{policy}" asks for curriculum {version}, and revision {taught.by} was taught '
        f"{had.get(policy, 'none')}"
        for policy, version in o.policies.curricula
        if had.get(policy) != version
    ]
    return texts.some(changed, _NAMED, "; ")


_CHANGES: Final[Mapping[RetrainingTrigger, Callable[[Observed, tuple[Child, ...], Learned | None], str]]] = {
    RetrainingTrigger.DRIFT: _drift,
    RetrainingTrigger.KNOWLEDGE_CHANGE: _knowledge,
    RetrainingTrigger.POLICY_CHANGE: _policies,
}
