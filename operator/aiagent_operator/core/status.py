"""What is said of an agent: conditions and the rest of its status, from what is observed and what is planned."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from aiagent_operator.api import meta
from aiagent_operator.api.agentstatus import INVENTORY_LIMIT, PermissionState, Phase
from aiagent_operator.api.conditions import TRANSIENT, Reason, Type, Verdict
from aiagent_operator.api.owners import Responsibility
from aiagent_operator.core import texts
from aiagent_operator.core.children import role as role_builder
from aiagent_operator.core.objects import ChildKind, ObjectKey
from aiagent_operator.core.plan import Failure, Observed, Plan, Write
from aiagent_operator.core.retraining import facts, report
from aiagent_operator.core.rights import grants as granting
from aiagent_operator.core.rights.exposure import Exposure, Way
from aiagent_operator.core.rights.grants import Grants, PermissionDecision
from aiagent_operator.core.workload import WorkloadPlan

# Reasons for which the work of an agent was never begun: there is nothing to stop.
_NOT_BEGUN: Final = frozenset(
    {
        Reason.EVALUATING,
        Reason.EVALUATION_FAILED,
        Reason.EVALUATION_INCONCLUSIVE,
        Reason.EVALUATION_INVALID,
        Reason.EVALUATION_REQUIRED,
        Reason.WAITING_FOR_HANDOVER,
        Reason.WAITING_FOR_ACCEPTANCE,
        Reason.SUCCESSION_INVALID,
    }
)
_LONGEST = 2000


def exposure_verdict(exposures: tuple[Exposure, ...]) -> Verdict | None:
    """IdentityExposed, there only while others can act as the agent, or give it more than it was granted."""
    found = [(reason, text, some) for reason, text, some in _exposed(exposures) if some]
    if not found:
        return None
    text = ". ".join(text.format(texts.some(some, 8, "; ")) for _, text, some in found)
    return Verdict(Type.IDENTITY_EXPOSED, True, found[0][0], text)


def _exposed(exposures: tuple[Exposure, ...]) -> Iterator[tuple[Reason, str, list[Exposure]]]:
    """(reason, what it means and what to do, the exposures of it), gravest first."""
    yield (
        Reason.EXPOSED,
        "Others can act as this agent: {}. Bind ClusterRoles workforce-edit and workforce-admin instead of edit and "
        "admin, or remove these",
        [exposure for exposure in exposures if exposure.way.takes_identity],
    )
    yield (
        Reason.FOREIGN_RIGHTS,
        "It has rights that were not granted to it: {}. Remove these bindings, or name the accounts that need them",
        [exposure for exposure in exposures if exposure.way in (Way.NAMED, Way.GROUP)],
    )
    yield (
        Reason.NETWORK_WIDENED,
        "Its network is wider than spec.connections: {}. Let these policies select other pods, or declare the "
        "connection",
        [exposure for exposure in exposures if exposure.way is Way.NETWORK],
    )


def compose(
    o: Observed,
    role: Verdict,
    grants: Grants,
    work: WorkloadPlan,
    exposed: Verdict | None,
    *,
    writes: tuple[Write, ...] = (),
    fields: Mapping[str, Any] | None = None,
    revision: Verdict | None = None,
    bindings_left: bool = False,
    revokes: bool = False,
) -> Plan:
    """The plan with all that is to be said of the agent if nothing more happened; `fields` are more of status.

    `revision`: why what the spec asks for may not serve; None while it may.
    """
    suspended = o.suspended
    decisions = tuple(_with_failures(o, decision) for decision in grants.decisions)
    permissions = granting.permissions_verdict(decisions) if role.status else _none_granted(role)
    work_verdict = work.verdict or Verdict(Type.WORKLOAD_READY, None, Reason.PENDING, "Not looked at yet")
    if suspended and role.status:
        work_verdict = _suspended(o, work_verdict, bindings_left)
    ready = _ready(o, role, permissions, work_verdict, revision, writes)
    verdicts = [ready, *_abnormal(ready), role, permissions, work_verdict]
    verdicts.extend(verdict for verdict in (revision, exposed, report.verdict(o)) if verdict)
    waits = work_verdict.reason in (
        Reason.TARGET_NOT_FOUND,
        Reason.TARGET_CLAIMED,
        Reason.CONTAINER_NOT_FOUND,
        Reason.AUTOSCALED,
        Reason.NO_CANARY,
        Reason.FIELD_CONFLICT,
        Reason.HANDBOOK_NOT_FOUND,
    )
    return Plan(
        writes=writes,
        revokes=revokes,
        needs=work.needs,
        verdicts=tuple(verdicts),
        status=_fields(o, decisions, work, ready) | dict(fields or {}) | dict(work.status),
        first=work.status,
        training=o.training,
        requeue_after=min(filter(None, (60.0 if waits else None, work.requeue_after, report.again(o))), default=None),
    )


def _none_granted(role: Verdict) -> Verdict:
    return Verdict(Type.PERMISSIONS_GRANTED, False, role.reason, f"Nothing is granted: {role.message}")


def _with_failures(o: Observed, decision: PermissionDecision) -> PermissionDecision:
    """A permission that was decided but that the API server did not let the operator write is not granted."""
    if decision.state is PermissionState.REFUSED:
        return decision
    for namespace in decision.namespaces:
        name = role_builder.name_in(o.identity, namespace)
        for kind in (ChildKind.ROLE, ChildKind.ROLE_BINDING):
            failure = o.failures.get(ObjectKey(kind, namespace, name))
            if failure:
                return _failed(decision, namespace, failure)
    return decision


def _failed(decision: PermissionDecision, namespace: str, failure: Failure) -> PermissionDecision:
    kept = tuple(ns for ns in decision.namespaces if ns != namespace)
    return PermissionDecision(
        decision.name, PermissionState.PENDING, failure.reason, failure.message, kept, decision.rules
    )


def _suspended(o: Observed, work: Verdict, bindings_left: bool) -> Verdict:
    if work.reason in (Reason.PROGRESSING, Reason.AVAILABLE) and work.status is not True:
        return Verdict(Type.WORKLOAD_READY, False, Reason.SUSPENDING, f"Scaling down: {work.message}")
    if bindings_left:
        return Verdict(
            Type.WORKLOAD_READY, False, Reason.SUSPENDING, "Waiting for the bindings to be gone before pods are stopped"
        )
    if work.status is True or work.reason in _NOT_BEGUN:
        return Verdict(Type.WORKLOAD_READY, False, Reason.SUSPENDED, f"No pods run: {_suspended_by(o)}")
    return work


def _suspended_by(o: Observed) -> str:
    return "; ".join((*facts.stops(o), *report.stops(o)))


def _way_back(o: Observed) -> str:
    """What gives the rights back: one thing for each that has taken them."""
    ways = ["set spec.suspended to false"] if o.agent.spec.suspended else []
    if o.orders:
        named = ", ".join(str(order) for order in o.orders[:4])
        ways.append(f"who holds the verb resume on aiagents deletes, or ends by an AgentAction Resume: {named}")
    return " and ".join((*ways, *report.way_back(o))) + " to give them back"


def _ready(  # noqa: PLR0917 - what is said of each part of the agent
    o: Observed,
    role: Verdict,
    permissions: Verdict,
    work: Verdict,
    revision: Verdict | None,
    writes: tuple[Write, ...],
) -> Verdict:
    if o.terminating:
        text = f"Namespace {o.identity.namespace} is being deleted: nothing can be created in it"
        return Verdict(Type.READY, False, Reason.NAMESPACE_TERMINATING, text)
    if not role.status:
        return Verdict(Type.READY, False, role.reason, role.message)
    if o.suspended:
        done = work.reason is Reason.SUSPENDED
        text = f"Suspended: no rights are bound and no pods run; {_way_back(o)}"
        return Verdict(
            Type.READY, False, Reason.SUSPENDED if done else Reason.SUSPENDING, text if done else work.message
        )
    if permissions.status is not True:
        return Verdict(Type.READY, False, permissions.reason, permissions.message)
    if work.status is not True:
        return Verdict(Type.READY, False, work.reason, work.message)
    # A target is changed by its owner, past every gate: what a policy misses of it stands beside Ready.
    live = not o.agent.spec.workload.by_revision
    beside = live and revision and revision.reason is Reason.EVALUATION_REQUIRED
    if revision and not beside:
        return Verdict(Type.READY, False, revision.reason, revision.message)
    if writes:
        waiting = ", ".join(f"{write.verb} of {write.key}" for write in writes)
        return Verdict(Type.READY, False, Reason.ONBOARDING, f"Waiting for {waiting}")
    return Verdict(Type.READY, True, Reason.ONBOARDED, f"{permissions.message}; {work.message}")


def _abnormal(ready: Verdict) -> Iterable[Verdict]:
    """Reconciling and Stalled, as kstatus reads them: one while time helps, the other while a person is needed."""
    if ready.status is True or ready.reason is Reason.SUSPENDED:
        return ()
    kind = Type.RECONCILING if ready.reason in TRANSIENT else Type.STALLED
    return (Verdict(kind, True, ready.reason, ready.message),)


def _phase(o: Observed, ready: Verdict) -> Phase:
    if ready.status is True:
        return Phase.ACTIVE
    if o.suspended:
        return Phase.SUSPENDED
    if ready.reason is Reason.ROLLOUT_PAUSED:
        return Phase.ACTIVE
    if ready.reason in TRANSIENT:
        return Phase.ONBOARDING
    return Phase.DEGRADED if o.children else Phase.PENDING


def _fields(
    o: Observed, decisions: tuple[PermissionDecision, ...], work: WorkloadPlan, ready: Verdict
) -> dict[str, Any]:
    owners = o.agent.spec.owners
    accountable = next(
        (owner.subject.name for owner in owners if owner.responsibility is Responsibility.ACCOUNTABLE), None
    )
    granted = sum(decision.state is PermissionState.GRANTED for decision in decisions)
    account = meta.account_name(o.identity.name)
    fields: dict[str, Any] = {
        "phase": _phase(o, ready).value,
        "serviceAccount": account if _has(o, ChildKind.SERVICE_ACCOUNT, account) else None,
        "accountable": accountable,
        "granted": f"{granted}/{len(decisions)}",
        "permissions": [_permission(decision) for decision in decisions],
        "inventory": inventory(o),
        "training": report.summary(o),
        "selector": f"{meta.LABEL_AGENT_UID}={o.identity.uid}",
        "replicas": work.rollout.replicas if work.rollout else None,
        "readyReplicas": work.rollout.ready if work.rollout else None,
        # It was called back.
        "offboarding": None,
        "archive": None,
    }
    return fields


def _has(o: Observed, kind: ChildKind, name: str) -> bool:
    return ObjectKey(kind, o.identity.namespace, name) in o.children


def _permission(decision: PermissionDecision) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": decision.name,
        "state": decision.state.value,
        "reason": decision.reason.value,
        "message": decision.message[:_LONGEST],
    }
    if decision.namespaces:
        entry["namespaces"] = list(decision.namespaces)
    if decision.rules and decision.state is not PermissionState.REFUSED:
        entry["rules"] = [rule.to_wire() for rule in decision.rules]
    return entry


def inventory(o: Observed) -> list[dict[str, Any]]:
    """The agent's objects, in a fixed order; workloads with the generation that the operator last wrote."""
    entries = []
    for key, child in sorted(o.children.items()):
        entry: dict[str, Any] = {
            "apiVersion": key.kind.api_version,
            "kind": key.kind.value,
            "namespace": key.namespace,
            "name": key.name,
            "uid": child.uid,
        }
        if key.kind is ChildKind.DEPLOYMENT and not child.claimed_by:
            entry["generation"] = o.generations.get(child.uid, 1)
        entries.append(entry)
    return entries[:INVENTORY_LIMIT]
