"""What stands between a permission and its grant, each check with its reason and remedy; None where nothing does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from aiagent_operator.api.conditions import Reason
from aiagent_operator.api.meta import LABEL_GRANTABLE
from aiagent_operator.core.objects import AgentIdentity
from aiagent_operator.core.rights.compiled_role import Ask, Bundle, CompiledRole
from aiagent_operator.core.rights.rules import Ceiling, Right
from aiagent_operator.core.texts import quoted, some

Refusal = tuple[Reason, str]


@dataclass(frozen=True, slots=True)
class NamespaceFacts:
    """What is known of a namespace that exists."""

    labels: Mapping[str, str] = field(default_factory=dict)
    terminating: bool = False


def no_such_set(ask: Ask, role: CompiledRole) -> Refusal:
    """The role has no permission set of this name."""
    known = f"it has {quoted(sorted(role.sets))}" if role.sets else "it has none"
    message = (
        f'AgentRole "{role.name}" has no permission set "{ask.name}" ({known}); name one of these, or give '
        f"{ask.field} rules of its own"
    )
    return Reason.SET_NOT_FOUND, message


def namespaces_not_allowed(
    ask: Ask,
    wanted: tuple[str, ...],
    agent: AgentIdentity,
    role: CompiledRole,
    namespaces: Mapping[str, NamespaceFacts],
) -> Refusal | None:
    """The role does not allow its agents rights in a namespace asked for."""
    allowed = role.role.spec.namespaces
    beyond = [
        namespace
        for namespace in wanted
        if not (namespace in allowed.names or (allowed.own and namespace == agent.namespace))
        and not _may_match(allowed.match_labels, namespaces.get(namespace))
    ]
    if not beyond:
        return None
    message = (
        f'AgentRole "{role.name}" does not allow its agents rights in {quoted(beyond)} (it allows '
        f"{_allowance(role)}); take these out of {ask.field}.namespaces, or have them allowed in the "
        "role's spec.namespaces"
    )
    return Reason.NAMESPACE_NOT_ALLOWED, message


def _may_match(labels: Mapping[str, str], facts: NamespaceFacts | None) -> bool:
    """Whether the namespace matches, or could once it exists; without labels nothing does."""
    return bool(labels) and (facts is None or labels.items() <= facts.labels.items())


def _allowance(role: CompiledRole) -> str:
    allowed = role.role.spec.namespaces
    parts = ["the agent's own namespace"] if allowed.own else []
    if allowed.names:
        parts.append(some(sorted(allowed.names)))
    if allowed.match_labels:
        parts.append("labels " + ",".join(f"{key}={value}" for key, value in sorted(allowed.match_labels.items())))
    return "; ".join(parts) or "none"


def forbidden(ask: Ask, bundle: Bundle, role: CompiledRole) -> Refusal | None:
    """No agent may hold one of the rights."""
    if not bundle.refused:
        return None
    where = f"{ask.field}.rules" if ask.inline else f'permission set "{ask.name}" of AgentRole "{role.name}"'
    return Reason.FORBIDDEN_RIGHT, f"no agent may have {bundle.refused}; take it out of {where}"


def beyond_role(ask: Ask, bundle: Bundle, role: CompiledRole) -> Refusal | None:
    """Rules of the agent's own lie beyond what its role allows."""
    beyond = role.ceiling.missing(bundle.rules) if ask.inline else ()
    if not beyond:
        return None
    message = (
        f'beyond AgentRole "{role.name}": {_listed(beyond)}; take this out of {ask.field}.rules, or have it '
        "added to the role's spec.ceiling"
    )
    return Reason.BEYOND_ROLE_CEILING, message


def not_grantable(bundle: Bundle, ceiling: Ceiling) -> Refusal | None:
    """Rights that no administrator made grantable: the API server would refuse them to the operator."""
    beyond = ceiling.missing(bundle.rules)
    if not beyond:
        return None
    message = (
        f"not grantable in this cluster: {_listed(beyond)}; an administrator makes it so by labelling a ClusterRole "
        f"that holds it with {LABEL_GRANTABLE}=true"
    )
    return Reason.NOT_GRANTABLE, message


def _listed(rights: Iterable[Right]) -> str:
    """The rights as people say them: the verbs of a resource together."""
    verbs: dict[Right, list[str]] = {}
    for right in rights:
        verbs.setdefault(right._replace(verb=""), []).append(right.verb)
    return some(right._replace(verb=",".join(together)) for right, together in verbs.items())
