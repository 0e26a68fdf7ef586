"""Observations for tests of decisions: an agent, its role, and children as they would be read back."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from aiagent_operator.api import meta
from aiagent_operator.api.agentrevision import RevisionState
from aiagent_operator.api.agentrole import AgentRole
from aiagent_operator.api.aiagent import AIAgent
from aiagent_operator.core.children import observe
from aiagent_operator.core.children.network_policy import DnsPeers
from aiagent_operator.core.objects import AgentIdentity, Child, ChildKind, Manifest, ObjectKey
from aiagent_operator.core.plan import Environment, Observed, Plan, Verb, Write
from aiagent_operator.core.rights.grants import CompiledRole, NamespaceFacts
from aiagent_operator.core.rights.rules import Ceiling, Rule
from support import agents

HOME, UID = "home", "0a1b"
IDENTITY = AgentIdentity(HOME, "triage", UID)
GRANTABLE = Ceiling(
    [
        Rule(("crm.example",), ("tickets", "refunds", "invoices", "articles"), ("get", "list", "create", "update")),
    ]
)
ENVIRONMENT = Environment(GRANTABLE, (("10.0.0.1", 6443),), DnsPeers())
NAMESPACES = {name: NamespaceFacts({"tests": "true"}) for name in (HOME, "crm", "archive")}


def compiled(name: str = "support", **spec: Any) -> CompiledRole:
    """A role, prepared; see agents.role."""
    return CompiledRole.of(AgentRole.model_validate(agents.role(name, **spec)))


def observed(
    *permissions: Manifest,
    role: CompiledRole | None = None,
    missing_role: bool = False,
    children: Iterable[Child] = (),
    status: Mapping[str, Any] | None = None,
    deleting: bool = False,
    finalizers: tuple[str, ...] = (meta.FINALIZER,),
    spec: Mapping[str, Any] | None = None,
    **facts: Any,
) -> Observed:
    """What is known of the agent `home/triage`; `facts` are other fields of Observed."""
    manifest = agents.agent(HOME, IDENTITY.name, "support", *permissions, **(spec or {}))
    manifest["metadata"] |= {"uid": UID, "resourceVersion": "1", "generation": 1, "finalizers": list(finalizers)}
    if deleting:
        manifest["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    instructions = manifest["spec"]["handbook"].get("instructions", {}).get("inline")
    given = {
        "environment": ENVIRONMENT,
        "namespaces": NAMESPACES,
        "instructions": instructions,
        "time": "2026-01-01T00:00:00Z",
        **facts,
    }
    return Observed(
        agent=AIAgent.model_validate({**manifest, "status": dict(status or {})}),
        raw_spec=manifest["spec"],
        identity=IDENTITY,
        role=None if missing_role else role or compiled(),
        children={child.key: child for child in children},
        **given,
    )


def seen(write: Write, *, number: int = 0, ready: bool = True) -> Child:
    """The child that a write leaves, as it is read back; workloads with all their pods ready, or none."""
    if write.body is None or not isinstance(write.key.kind, ChildKind):
        raise ValueError(f"{write.verb} of {write.key} leaves nothing of the agent's")
    body = dict(write.body)
    body["metadata"] = {**body["metadata"], "uid": f"uid-{write.key}", "resourceVersion": str(number + 1)}
    if write.key.kind in (ChildKind.DEPLOYMENT, ChildKind.STATEFUL_SET):
        wanted = body["spec"]["replicas"]
        body["metadata"]["generation"] = 1
        body["status"] = {
            "observedGeneration": 1,
            "replicas": wanted,
            "updatedReplicas": wanted,
            "readyReplicas": wanted if ready else 0,
        }
    return observe(write.key.kind, body)


def reported(child: Child, status: Manifest) -> Child:
    """A revision whose status was written, as it is read back."""
    if child.revision is None:
        raise ValueError(f"{child.key} is no revision")
    its, order = child.revision, status.get("order") or {}
    told = replace(
        its,
        state=RevisionState(status["state"]),
        promotion=status.get("promotion", its.promotion),
        order=order.get("uid", "" if "order" in status else its.order),
        instead=order.get("insteadOf", "" if "order" in status else its.instead),
    )
    return replace(child, revision=told, resource_version=str(int(child.resource_version) + 1))


def after(children: Mapping[ObjectKey, Child], plan: Plan, *, ready: bool = True) -> dict[ObjectKey, Child]:
    """The children when every write of the plan has taken effect."""
    result = dict(children)
    for number, write in enumerate(plan.writes):
        if write.body is None:
            result.pop(write.key)
        elif write.verb is Verb.REPORT:
            result[write.key] = reported(result[write.key], write.body["status"])
        else:
            result[write.key] = seen(write, number=number, ready=ready)
    return result


def kinds(plan: Plan) -> list[tuple[str, str, str]]:
    """(verb, kind, namespace) of each write, sorted."""
    return sorted((write.verb.value, write.key.kind.value, write.key.namespace) for write in plan.writes)


def said(plan: Plan, kind: str) -> tuple[bool | None, str, str]:
    """Status, reason and message of one verdict."""
    return next((v.status, v.reason.value, v.message) for v in plan.verdicts if v.type.value == kind)
