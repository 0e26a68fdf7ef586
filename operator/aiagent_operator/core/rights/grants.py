"""What an agent is granted: its role's word and the ceilings, applied to what it asks for.

A permission is granted whole or not at all; only namespaces that do not exist yet may be left out, and are waited for.
Combinations of duties and the bound on size are judged on what is asked for, in the order of the spec, not on what the
ceilings let through: else a ceiling that shrinks would take one duty from an agent and give it the opposite one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from aiagent_operator.api.agentrole import Isolation
from aiagent_operator.api.agentstatus import PermissionState
from aiagent_operator.api.aiagent import AIAgentSpec
from aiagent_operator.api.conditions import Reason, Type, Verdict
from aiagent_operator.core.objects import AgentIdentity
from aiagent_operator.core.rights import ceilings
from aiagent_operator.core.rights.ceilings import NamespaceFacts
from aiagent_operator.core.rights.compiled_role import Ask, Bundle, CompiledRole
from aiagent_operator.core.rights.ledger import MOST_RIGHTS, Ledger
from aiagent_operator.core.rights.role_acceptance import role_verdict
from aiagent_operator.core.rights.rules import Ceiling, Rule, normalise
from aiagent_operator.core.texts import quoted, some

__all__ = [
    "MOST_RIGHTS",
    "CompiledRole",
    "Grants",
    "NamespaceFacts",
    "PermissionDecision",
    "decide",
    "permissions_verdict",
    "role_verdict",
]


@dataclass(frozen=True, slots=True)
class PermissionDecision:
    """What becomes of one permission: where it holds (namespaces; none if refused), what it allows, and why."""

    name: str
    state: PermissionState
    reason: Reason
    message: str
    namespaces: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class Grants:
    """All decisions about one agent, and the rules of its Role in each namespace where it has one."""

    decisions: tuple[PermissionDecision, ...]
    rules: Mapping[str, tuple[Rule, ...]]


# A condition's message has at most 32768 characters (metav1); nobody reads even this many.
_LONGEST: Final = 8000


def decide(  # noqa: PLR0917 - the facts of one decision, each of its own type
    spec: AIAgentSpec,
    agent: AgentIdentity,
    role: CompiledRole | None,
    ceiling: Ceiling,
    namespaces: Mapping[str, NamespaceFacts],
    exposed: tuple[str, ...] = (),
) -> Grants:
    """Decides about every permission that the agent asks for, or that its role gives it where it asks for none.

    `ceiling` is what administrators made grantable, `namespaces` those that exist, `exposed` the bindings through which
    somebody else can act as the agent.
    """
    verdict = role_verdict(spec, role)
    if role is None or verdict.status is not True:
        return _withheld(spec, role, verdict.reason, verdict.message)
    if exposed and role.role.spec.identity_isolation is Isolation.REQUIRED:
        return _withheld(spec, role, Reason.NOT_ISOLATED, _not_isolated(role, exposed))
    decisions = tuple(_decisions(spec, agent, role, ceiling, namespaces))
    union: dict[str, list[Rule]] = {}
    for decision in decisions:
        for namespace in decision.namespaces:
            union.setdefault(namespace, []).extend(decision.rules)
    return Grants(decisions, {namespace: normalise(rules) for namespace, rules in union.items()})


def _decisions(
    spec: AIAgentSpec,
    agent: AgentIdentity,
    role: CompiledRole,
    ceiling: Ceiling,
    namespaces: Mapping[str, NamespaceFacts],
) -> Iterator[PermissionDecision]:
    ledger = Ledger(role)
    for ask in role.asks(spec.permissions):
        bundle = ask.bundle
        if bundle is None:
            yield _refused(ask.name, *ceilings.no_such_set(ask, role))
            continue
        wanted = ask.namespaces or (agent.namespace,)
        # Entered whatever the ceilings say, see the head of this module.
        conflict = ledger.enter(ask, bundle, len(wanted))
        refusal = (
            ceilings.namespaces_not_allowed(ask, wanted, agent, role, namespaces)
            or ceilings.forbidden(ask, bundle, role)
            or conflict
            or ceilings.beyond_role(ask, bundle, role)
            or ceilings.not_grantable(bundle, ceiling)
        )
        if refusal:
            yield _refused(ask.name, *refusal)
        else:
            yield _placed(ask, bundle, wanted, namespaces)


def _not_isolated(role: CompiledRole, exposed: tuple[str, ...]) -> str:
    return (
        f'AgentRole "{role.name}" requires an isolated identity, but others can act as this agent: {some(exposed)}; '
        "remove these bindings, or bind ClusterRoles workforce-edit and workforce-admin instead"
    )


def _withheld(spec: AIAgentSpec, role: CompiledRole | None, reason: Reason, message: str) -> Grants:
    """Every permission asked for is refused; a role that does not exist yet is waited for."""
    state = PermissionState.PENDING if role is None else PermissionState.REFUSED
    asked = spec.permissions or (role.role.spec.defaults.permissions if role else ())
    return Grants(tuple(PermissionDecision(permission.name, state, reason, message) for permission in asked), {})


def _refused(name: str, reason: Reason, message: str) -> PermissionDecision:
    return PermissionDecision(name, PermissionState.REFUSED, reason, message)


def _placed(
    ask: Ask, bundle: Bundle, wanted: tuple[str, ...], namespaces: Mapping[str, NamespaceFacts]
) -> PermissionDecision:
    """The permission where it can hold, and pending where its namespaces are missing or going away."""
    missing = [namespace for namespace in wanted if namespace not in namespaces]
    going = [namespace for namespace in wanted if namespace in namespaces and namespaces[namespace].terminating]
    holds = tuple(namespace for namespace in wanted if namespace not in missing and namespace not in going)
    rules = bundle.rules if holds else ()
    if not missing and not going:
        message = f"granted in {some(holds, 16)}"
        return PermissionDecision(ask.name, PermissionState.GRANTED, Reason.GRANTED, message, holds, rules)
    parts = []
    if missing:
        parts.append(
            f"waits for namespace {quoted(missing)}, which does not exist: create it, or take it out of {ask.field}"
        )
    if going:
        parts.append(f"namespace {quoted(going)} is being deleted: nothing is granted there")
    if holds:
        parts.append(f"granted in {some(holds, 16)}")
    reason = Reason.NAMESPACE_NOT_FOUND if missing else Reason.NAMESPACE_TERMINATING
    return PermissionDecision(ask.name, PermissionState.PENDING, reason, "; ".join(parts), holds, rules)


def permissions_verdict(decisions: Iterable[PermissionDecision]) -> Verdict:
    """Condition PermissionsGranted: the first refusal gives the reason, else the first that is waited for."""
    every = tuple(decisions)
    if not every:
        return Verdict(Type.PERMISSIONS_GRANTED, True, Reason.NONE_REQUESTED, "no permissions are asked for")
    short = [decision for decision in every if decision.state is not PermissionState.GRANTED]
    total = f"{len(every) - len(short)} of {len(every)} permissions granted"
    if not short:
        return Verdict(Type.PERMISSIONS_GRANTED, True, Reason.GRANTED, total)
    first = next((decision for decision in short if decision.state is PermissionState.REFUSED), short[0])
    details = "; ".join(
        f'permission "{decision.name}" is {decision.state.value.lower()} ({decision.reason}): {decision.message}'
        for decision in short
    )
    return Verdict(Type.PERMISSIONS_GRANTED, False, first.reason, f"{total}; {details}"[:_LONGEST])
