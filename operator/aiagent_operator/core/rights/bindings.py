"""Roles and RoleBindings of one agent: which writes bring them to what is granted.

The order is what keeps a half-done change harmless: bindings go before Roles do, Roles are narrowed before any is
widened, and a binding is made only once its Role is as it should be.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aiagent_operator.core.children import role as role_builder
from aiagent_operator.core.children import role_binding as binding_builder
from aiagent_operator.core.objects import AgentIdentity, Child, ChildKind, Desired, ObjectKey
from aiagent_operator.core.plan import Write, create, delete, replace
from aiagent_operator.core.rights import rules as algebra
from aiagent_operator.core.rights.rules import Rule


@dataclass(frozen=True, slots=True)
class RightsPlan:
    """`revoke` goes first and alone; `grant` follows when no revocation is left; `done` when both are empty."""

    revoke: tuple[Write, ...]
    grant: tuple[Write, ...]

    @property
    def done(self) -> bool:
        """Whether the rights are as they should be."""
        return not self.revoke and not self.grant


def plan(
    agent: AgentIdentity, wanted: Mapping[str, tuple[Rule, ...]], children: Mapping[ObjectKey, Child], *, bind: bool
) -> RightsPlan:
    """Writes that bring Roles and RoleBindings to `wanted`; without `bind` no binding stays, but Roles do."""
    roles = {ns: role_builder.build(agent, ns, rules) for ns, rules in wanted.items()}
    bindings = {ns: binding_builder.build(agent, ns) for ns in wanted} if bind else {}
    keep = {d.key: d for d in (*roles.values(), *bindings.values())}
    revoke = [
        _mended(child, keep.get(key), settled=_settled(roles.get(key.namespace), children))
        for key, child in children.items()
        if _stray_binding(key, child, keep)
    ]
    # A Role that nothing wants any more is removed once no binding uses it.
    unused = [
        delete(child)
        for key, child in children.items()
        if key.kind is ChildKind.ROLE and key not in keep and not _bound(key, children) and not child.deleting
    ]
    narrowed, changed = _changes(agent, roles, wanted, children)
    revoke.extend(narrowed)
    grant = [*unused, *changed]
    for namespace, desired in bindings.items():
        if desired.key not in children and _settled(roles[namespace], children):
            grant.append(create(desired, grants=True))
    return RightsPlan(tuple(revoke), tuple(grant))


def withdrawn(children: Mapping[ObjectKey, Child]) -> tuple[Write, ...]:
    """Deletions of all bindings that are not going already: what a suspension begins with, whatever else is true."""
    return tuple(
        delete(child) for key, child in children.items() if key.kind is ChildKind.ROLE_BINDING and not child.deleting
    )


def _stray_binding(key: ObjectKey, child: Child, keep: Mapping[ObjectKey, Desired]) -> bool:
    """A binding that should not be, or that somebody changed."""
    if key.kind is not ChildKind.ROLE_BINDING or child.deleting:
        return False
    return key not in keep or keep[key].digest != child.digest


def _mended(child: Child, desired: Desired | None, *, settled: bool) -> Write:
    """A changed binding is put right in one write, unless its Role must be put right first: then it goes."""
    return replace(child, desired, grants=True) if desired is not None and settled else delete(child)


def _settled(role: Desired | None, children: Mapping[ObjectKey, Child]) -> bool:
    child = children.get(role.key) if role else None
    return role is not None and child is not None and child.digest == role.digest


def _bound(role: ObjectKey, children: Mapping[ObjectKey, Child]) -> bool:
    return ObjectKey(ChildKind.ROLE_BINDING, role.namespace, role.name) in children


def _changes(
    agent: AgentIdentity,
    roles: Mapping[str, Desired],
    wanted: Mapping[str, tuple[Rule, ...]],
    children: Mapping[ObjectKey, Child],
) -> tuple[list[Write], list[Write]]:
    """(narrowing, other) changes of Roles. With several namespaces in motion, what is lost goes before what is won."""
    stale = {
        namespace: child
        for namespace, desired in roles.items()
        if (child := children.get(desired.key)) is not None and child.digest != desired.digest and not child.deleting
    }
    missing = [desired for desired in roles.values() if desired.key not in children]
    narrow: list[Write] = []
    change = [create(desired, grants=_bound(desired.key, children)) for desired in missing]
    for namespace, child in stale.items():
        desired = roles[namespace]
        loses = not algebra.subset(child.rules, wanted[namespace])
        if loses and (len(stale) > 1 or missing):
            # Between two namespaces there is no atomic write: first every right that goes, then those that come.
            kept = algebra.intersection(child.rules, wanted[namespace])
            narrow.append(replace(child, role_builder.build(agent, namespace, kept), grants=False))
        else:
            change.append(replace(child, desired, grants=True))
    return narrow, change
