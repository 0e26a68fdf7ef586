"""Hiring: what an agent has to pass before it holds a right of its role for the first time.

`status.hiredAs` names the role that the agent is hired as. The operator alone writes it, and before the first right
that follows from passed evaluations: so a role whose evaluations come later takes nothing from who is hired, and a
transfer to another role is a hiring of its own. Until that is over the agent holds of the new role what it holds
already, and no more. Table of states: docs/hiring.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from aiagent_operator.api.evaluation import EvaluationTemplate
from aiagent_operator.core import texts
from aiagent_operator.core.children import role as role_builder
from aiagent_operator.core.objects import ChildKind, ObjectKey
from aiagent_operator.core.plan import Observed, Plan
from aiagent_operator.core.rights import rules as algebra
from aiagent_operator.core.rights.grants import PermissionDecision
from aiagent_operator.core.rights.role_acceptance import role_verdict
from aiagent_operator.core.rights.rules import Rule


def templates(o: Observed) -> tuple[EvaluationTemplate, ...]:
    """The evaluations of the role that the agent has yet to pass: none once it is hired, nor while the role grants
    nothing at all."""
    if o.role is None or o.hired_as == o.role.name or role_verdict(o.agent.spec, o.role).status is not True:
        return ()
    return o.role.role.spec.hiring_evaluations


def words(o: Observed) -> str:
    """How these evaluations are called in messages; empty where there are none."""
    asked = templates(o)
    if not asked or o.role is None:
        return ""
    names = texts.quoted(template.name for template in asked)
    return f'hiring evaluation{"s" if len(asked) > 1 else ""} {names} of AgentRole "{o.role.name}"'


def meanwhile(o: Observed) -> str:
    """What the agent holds until it has passed them."""
    return f'it holds only what AgentRole "{o.hired_as}" gave it already' if o.hired_as else "no right is bound"


def kept(o: Observed, decision: PermissionDecision) -> bool:
    """Whether the agent may have the permission while it is not hired: it holds all of it already, by bindings that
    another role gave it. What is bound only ever shrinks by this, whoever deletes or suspends something meanwhile."""
    if not o.hired_as or not decision.namespaces:
        return False
    held = bound(o)
    return all(algebra.subset(decision.rules, held.get(namespace, ())) for namespace in decision.namespaces)


def bound(o: Observed) -> Mapping[str, tuple[Rule, ...]]:
    """The rules that bindings give the agent, by namespace."""
    found = {}
    for key, binding in o.children.items():
        if key.kind is not ChildKind.ROLE_BINDING or binding.deleting:
            continue
        name = role_builder.name_in(o.identity, key.namespace)
        role = o.children.get(ObjectKey(ChildKind.ROLE, key.namespace, name))
        if role is not None and key.name == name:
            found[key.namespace] = role.rules
    return found


def hired(o: Observed, plan: Plan) -> Plan:
    """The plan of an agent that may hold the rights of its role, which makes it one that is hired.

    Where that follows from evaluations it is written before anything else, and before a change of the role or of the
    work could ask for others; where the role asks for none, it goes with the rest of the status.
    """
    if o.role is None:
        return plan
    said = {"hiredAs": o.role.name}
    return replace(plan, status={**plan.status, **said}, first={**plan.first, **(said if templates(o) else {})})
