"""Whether an agent's role is one that grants anything: condition RoleAccepted."""

from __future__ import annotations

from aiagent_operator.api.agentrole import RoleState
from aiagent_operator.api.aiagent import AIAgentSpec
from aiagent_operator.api.conditions import Reason, Type, Verdict
from aiagent_operator.core.rights.compiled_role import CompiledRole


def role_verdict(spec: AIAgentSpec, role: CompiledRole | None) -> Verdict:
    """The verdict about the role that the spec names; nothing is granted unless its status is True."""
    name = spec.role_ref.name
    if role is None:
        return _no(
            Reason.ROLE_NOT_FOUND,
            f'AgentRole "{name}" does not exist: create it, or name another one in spec.roleRef.name',
        )
    lifecycle = role.role.spec.lifecycle
    if lifecycle.state is RoleState.DRAFT:
        return _no(
            Reason.ROLE_NOT_APPROVED,
            f'AgentRole "{name}" is a draft and grants nothing: have its spec.lifecycle.state set to Approved, or name '
            "another role in spec.roleRef.name",
        )
    present = {owner.function for owner in spec.owners}
    absent = sorted(function.value for function in role.role.spec.required_owner_functions if function not in present)
    if absent:
        return _no(
            Reason.OWNER_MISSING,
            f'AgentRole "{name}" requires an owner of function {", ".join(absent)}: add one to spec.owners for each',
        )
    if lifecycle.state is RoleState.DEPRECATED:
        where = f'AgentRole "{lifecycle.successor}"' if lifecycle.successor else "another role"
        return Verdict(
            Type.ROLE_ACCEPTED,
            True,
            Reason.ROLE_DEPRECATED,
            f'AgentRole "{name}" is deprecated, though it still grants: move to {where} in spec.roleRef.name',
        )
    return Verdict(Type.ROLE_ACCEPTED, True, Reason.ACCEPTED, f'AgentRole "{name}" is approved')


def _no(reason: Reason, message: str) -> Verdict:
    return Verdict(Type.ROLE_ACCEPTED, False, reason, message)
