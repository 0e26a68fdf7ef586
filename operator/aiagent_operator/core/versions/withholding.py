"""What an agent may have of its grants while it has not passed what it is to pass."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from aiagent_operator.api.agentstatus import PermissionState
from aiagent_operator.api.conditions import Reason, Verdict
from aiagent_operator.core.objects import ChildKind
from aiagent_operator.core.plan import Observed
from aiagent_operator.core.rights.grants import Grants, PermissionDecision
from aiagent_operator.core.rights.rules import Rule, normalise
from aiagent_operator.core.versions import gate_words, hiring
from aiagent_operator.core.versions.gating import Gate

_UNSAID: Final = gate_words.says(Reason.EVALUATING, "It is not known yet what is to be evaluated")


def given(o: Observed, grants: Grants, gate: Gate) -> Grants:
    """The grants as far as the gate lets the agent have them: what waits, waits with the reason.

    While nothing has passed yet the Roles are made all the same, so that only bindings are missing then; but none
    changes under a binding that is still there, which a finalizer may keep in force for as long as it likes.
    """
    if gate.hires and not gate.withholds:
        return grants
    why = gate.verdict or _UNSAID
    if gate.withholds:
        clear = not any(key.kind is ChildKind.ROLE_BINDING for key in o.children)
        return Grants(tuple(_waiting(decision, why) for decision in grants.decisions), grants.rules if clear else {})
    left: dict[str, tuple[Rule, ...]] = {}
    decisions = []
    for decision in grants.decisions:
        if not hiring.kept(o, decision):
            decisions.append(_waiting(decision, why))
            continue
        decisions.append(decision)
        left |= {where: (*left.get(where, ()), *decision.rules) for where in decision.namespaces}
    return Grants(tuple(decisions), {where: normalise(rules) for where, rules in left.items()})


def _waiting(decision: PermissionDecision, verdict: Verdict) -> PermissionDecision:
    if decision.state is not PermissionState.GRANTED:
        return replace(decision, namespaces=(), rules=()) if decision.namespaces else decision
    what = "is accepted" if verdict.reason is Reason.WAITING_FOR_ACCEPTANCE else "has passed its evaluations"
    text = f"waits until a revision {what}: {verdict.message}"
    return PermissionDecision(decision.name, PermissionState.PENDING, verdict.reason, text)
