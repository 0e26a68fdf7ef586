"""Manifests together: the decisions that the operator would take about these agents with these roles.

Nothing is decided here: core decides, on the facts that files give. What only a cluster knows is taken as it helps the
author: every right is grantable, every namespace exists and has the labels asked for, nobody else holds an identity.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from aiagent_operator.api.agentpolicy import AgentPolicy
from aiagent_operator.api.agentrole import AgentRole
from aiagent_operator.api.agentstatus import PermissionState
from aiagent_operator.api.aiagent import AIAgent
from aiagent_operator.api.conditions import Reason
from aiagent_operator.cli.lint.documents import Document, Where
from aiagent_operator.cli.lint.findings import Issue, Rule, Severity
from aiagent_operator.cli.lint.manifest import Parsed
from aiagent_operator.core.objects import AgentIdentity
from aiagent_operator.core.policies import required
from aiagent_operator.core.policies.compiled import CompiledPolicy, Subject
from aiagent_operator.core.policies.merged import Merged
from aiagent_operator.core.reviews import entries
from aiagent_operator.core.rights import grants, roles
from aiagent_operator.core.rights.compiled_role import CompiledRole
from aiagent_operator.core.rights.role_acceptance import role_verdict
from aiagent_operator.core.rights.rules import ALL, Ceiling
from aiagent_operator.core.rights.rules import Rule as Granted

NAMESPACE_LABEL: Final = "kubernetes.io/metadata.name"
"""What the API server labels each namespace with (Kubernetes: "Well-Known Labels")."""

_EVERYTHING: Final = Ceiling([Granted((ALL,), (ALL,), (ALL,))])
_FIELDS: Final[Mapping[Reason, Where]] = {Reason.OWNER_MISSING: ("spec", "owners")}


@dataclass(slots=True)
class Unit:
    """A manifest that is right by itself (`parsed`), or whose own issues hide what it means (None)."""

    document: Document
    parsed: Parsed | None
    issues: list[Issue] = field(default_factory=list)

    @property
    def key(self) -> tuple[str, str, str]:
        """Kind, namespace and name, as far as they can be read."""
        value = self.document.value
        metadata = value.get("metadata")
        metadata = metadata if isinstance(metadata, dict) else {}
        return str(value.get("kind")), str(metadata.get("namespace") or ""), str(metadata.get("name") or "")


@dataclass(frozen=True, slots=True)
class Judged:
    """How many agents were judged by their role; the others' roles are not in the files, or are wrong themselves."""

    agents: int
    unjudged: int


def judge(units: list[Unit], namespace: str) -> Judged:
    """Adds to each unit what is wrong with it beside the others.

    `namespace` is that of agents that name none; where it is empty too, nothing is said of the namespaces they ask for.
    """
    _doubled(units)
    catalog = {unit.key[2]: unit for unit in units if unit.key[0] == "AgentRole"}
    compiled = {
        name: CompiledRole.of(unit.parsed) for name, unit in catalog.items() if isinstance(unit.parsed, AgentRole)
    }
    for name, role in compiled.items():
        catalog[name].issues += _role(role, set(catalog))
    for unit in units:
        if isinstance(unit.parsed, AgentPolicy):
            unit.issues += _policy(unit)
    agents = [(unit, unit.parsed) for unit in units if isinstance(unit.parsed, AIAgent)]
    for unit, agent in agents:
        unit.issues += _reviews(agent)
    _claimed(agents, namespace)
    policies = [
        CompiledPolicy.of(unit.key[2], unit.document.value["spec"])
        for unit in units
        if isinstance(unit.parsed, AgentPolicy)
    ]
    judged = 0
    for unit, agent in agents:
        wanted = agent.spec.role_ref.name
        unit.issues += _required(agent, policies, compiled.get(wanted), namespace)
        if not catalog or (wanted in catalog and wanted not in compiled):
            continue
        judged += 1
        unit.issues += _agent(agent, compiled.get(wanted), namespace)
    return Judged(judged, sum(unit.key[0] == "AIAgent" for unit in units) - judged)


def _doubled(units: list[Unit]) -> None:
    first: dict[tuple[str, str, str], Unit] = {}
    for unit in units:
        before = first.setdefault(unit.key, unit)
        if before is not unit and unit.key[2]:
            place = f"{before.document.file}:{before.document.line()}"
            message = f"the same object stands in {place} too, and the last one applied wins: remove one"
            unit.issues.append(Issue(("metadata", "name"), Rule.DUPLICATE_OBJECT, message))


def _role(role: CompiledRole, catalog: set[str]) -> Iterator[Issue]:
    for verdict in roles.verdicts(role, "", _EVERYTHING)[:1]:
        if verdict.status is False and verdict.reason is not Reason.ROLE_NOT_APPROVED:
            hiring = verdict.reason is Reason.EVALUATION_INVALID
            yield Issue(("spec", "hiringEvaluations" if hiring else "permissionSets"), verdict.reason, verdict.message)
    successor = role.role.spec.lifecycle.successor
    if successor and successor not in catalog:
        message = f'AgentRole "{successor}" is not in these files: correct the name, or lint the file that has it too'
        yield Issue(("spec", "lifecycle", "successor"), Reason.ROLE_NOT_FOUND, message, Severity.WARNING)


def _policy(unit: Unit) -> Iterator[Issue]:
    """What the schema cannot say: whether a schedule has a date, and a time zone exists."""
    if problem := CompiledPolicy.of(unit.key[2], unit.document.value["spec"]).problem:
        yield Issue(("spec",), Reason.INVALID_SPEC, problem)


def _reviews(agent: AIAgent) -> Iterator[Issue]:
    """What the schema cannot say of reviews: whether a plan has a date, and an evaluation says anything by itself."""
    for entry, problem in entries.problems(agent.spec):
        yield Issue(entry.where, Reason.REVIEW_INVALID, problem)


def _agent(agent: AIAgent, role: CompiledRole | None, namespace: str) -> Iterator[Issue]:
    verdict = role_verdict(agent.spec, role)
    where = _FIELDS.get(verdict.reason, ("spec", "roleRef", "name"))
    if verdict.status is not True:
        yield Issue(where, verdict.reason, verdict.message)
        return
    if verdict.reason is Reason.ROLE_DEPRECATED:
        yield Issue(where, verdict.reason, verdict.message, Severity.WARNING)
    home = agent.metadata.namespace or namespace
    identity = AgentIdentity(home, agent.metadata.name, uid="")
    places = {permission.name: index for index, permission in enumerate(agent.spec.permissions)}
    for decision in grants.decide(agent.spec, identity, role, _EVERYTHING, {}).decisions:
        if decision.state is not PermissionState.REFUSED:
            continue  # granted, or waiting for a namespace that a cluster may have
        if decision.reason is Reason.NAMESPACE_NOT_ALLOWED and not home:
            continue
        index = places.get(decision.name)
        # A permission that the role gives by default stands in no field of the agent.
        field_of = ("spec", "permissions", index) if index is not None else ("spec", "roleRef", "name")
        yield Issue(field_of, decision.reason, decision.message)


def _required(
    agent: AIAgent, policies: list[CompiledPolicy], role: CompiledRole | None, namespace: str
) -> Iterator[Issue]:
    """Evaluations that policies require, and that neither the agent nor a role that hires it has."""
    how = agent.spec.retraining
    late = how.rollout.evaluations if how and how.rollout else frozenset()
    own = [template for template in how.evaluations if template.name not in late] if how else []
    hiring = role.role.spec.hiring_evaluations if role else ()
    home = agent.metadata.namespace or namespace
    subject = Subject(agent.spec.role_ref.name, agent.metadata.labels, {NAMESPACE_LABEL: home})
    for policy in policies:
        # Labels of namespaces are not known here, but for the name, which each has; nor roles of other files.
        covered = policy.scope.covers(subject if home else replace(subject, namespace_labels=None))
        unmet = required.missing(Merged.of(policy).evaluations, {template.name for template in (*own, *hiring)})
        if not covered or not unmet:
            continue
        sure = role is not None and policy.scope.namespaces is None and agent.spec.workload.by_revision
        yield Issue(
            ("spec", "retraining", "evaluations"),
            Reason.EVALUATION_REQUIRED,
            f"{required.said(unmet)}, which the agent does not have: {required.remedy(unmet)}",
            Severity.ERROR if sure else Severity.WARNING,
        )


def _claimed(agents: list[tuple[Unit, AIAgent]], namespace: str) -> None:
    """Two agents with one workload: the second would wait for ever (TargetClaimed)."""
    first: dict[tuple[str, str, str], str] = {}
    for unit, agent in agents:
        target = agent.spec.workload.target_ref
        kind, name = (target.kind.value, target.name) if target else ("Deployment", agent.metadata.name)
        home = agent.metadata.namespace or namespace
        other = first.setdefault((home, kind, name), agent.metadata.name)
        if other != agent.metadata.name:
            message = (
                f'{kind} "{name}" is the work of AIAgent "{other}" already: name another, or drop one of the agents'
            )
            unit.issues.append(Issue(("spec", "workload"), Reason.TARGET_CLAIMED, message))
