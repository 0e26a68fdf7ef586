"""What is said of an AgentRole: whether agents can be granted what it offers."""

from __future__ import annotations

from aiagent_operator.api.agentrole import RoleState
from aiagent_operator.api.conditions import Reason, Type, Verdict
from aiagent_operator.core.rights import forbidden
from aiagent_operator.core.rights.grants import CompiledRole
from aiagent_operator.core.rights.rules import Ceiling, Rule
from aiagent_operator.core.runs import foreign


def verdicts(role: CompiledRole | None, problem: str, grantable: Ceiling) -> tuple[Verdict, ...]:
    """Conditions of the role. A role whose sets are not grantable misleads who writes agents, so it is not Ready."""
    ready = _ready(role, problem, grantable)
    if ready.status or ready.reason is Reason.ROLE_NOT_APPROVED:
        return (ready,)
    return ready, Verdict(Type.STALLED, True, ready.reason, ready.message)


def _ready(role: CompiledRole | None, problem: str, grantable: Ceiling) -> Verdict:
    if role is None:
        return Verdict(Type.READY, False, Reason.INVALID_SPEC, problem)
    spec = role.role.spec
    for permission_set in spec.permission_sets:
        rules = tuple(Rule.of(rule) for rule in permission_set.rules)
        for rule in rules:
            if why := forbidden.refused(rule):
                text = f"permission set {permission_set.name} holds what no agent may: {why}"
                return Verdict(Type.READY, False, Reason.FORBIDDEN_RIGHT, text)
        if missing := grantable.missing(rules):
            text = (
                f"permission set {permission_set.name} is not grantable: {', '.join(map(str, missing[:5]))}. "
                'An administrator must label a ClusterRole that holds this with workforce.dev/grantable: "true"'
            )
            return Verdict(Type.READY, False, Reason.NOT_GRANTABLE, text)
    for template in spec.hiring_evaluations:
        if problem := foreign.of(template):
            text = f"spec.hiringEvaluations[{template.name}] cannot run in an agent's namespace: {problem}"
            return Verdict(Type.READY, False, Reason.EVALUATION_INVALID, text)
    if spec.lifecycle.state is RoleState.DRAFT:
        text = "Draft: nothing is granted until spec.lifecycle.state is Approved"
        return Verdict(Type.READY, False, Reason.ROLE_NOT_APPROVED, text)
    if spec.lifecycle.state is RoleState.DEPRECATED:
        successor = f"; move agents to {spec.lifecycle.successor}" if spec.lifecycle.successor else ""
        return Verdict(Type.READY, True, Reason.ROLE_DEPRECATED, f"Deprecated{successor}")
    return Verdict(Type.READY, True, Reason.ACCEPTED, f"{len(spec.permission_sets)} permission sets can be granted")
