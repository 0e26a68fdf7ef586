"""The work of an agent that adopts a Deployment or StatefulSet of somebody else."""

from __future__ import annotations

from aiagent_operator.api.conditions import Reason
from aiagent_operator.api.workload import TargetRef
from aiagent_operator.core import adoption
from aiagent_operator.core import release as releasing
from aiagent_operator.core.injection import Injection
from aiagent_operator.core.objects import ChildKind, ObjectKey
from aiagent_operator.core.plan import Observed, Verb, Write
from aiagent_operator.core.workload.result import WorkloadPlan, not_ready, observed, patches, waiting


def key_of(o: Observed, target: TargetRef) -> ObjectKey:
    """Where the target is."""
    return ObjectKey(ChildKind(target.kind.value), o.identity.namespace, target.name)


def plan(o: Observed, target: TargetRef, injection: Injection, *, down: bool) -> WorkloadPlan:
    """Writes that put the agent's identity and files into the target. `down` asks for no pods."""
    key = key_of(o, target)
    child = o.children.get(key)
    if child is not None and not child.claimed_by and child.agent_uid == o.identity.uid and key not in o.live:
        return WorkloadPlan(needs=frozenset({key}))
    stopped = child is not None and child.rollout is not None and child.rollout.wanted == 0
    wanted = adoption.desired_digest(o.identity, injection)
    if child is not None and child.digest == wanted and stopped == down:
        return observed(o, child)
    if key not in o.live:
        return WorkloadPlan(needs=frozenset({key}))
    return _adopt(o, target, injection, key, wanted, down=down)


def _adopt(
    o: Observed, target: TargetRef, injection: Injection, key: ObjectKey, wanted: str, *, down: bool
) -> WorkloadPlan:
    """What to do about a target that is not as it should be, from what it is now."""
    live, child = o.live[key], o.children.get(key)
    if live is None:
        return WorkloadPlan(verdict=not_ready(Reason.TARGET_NOT_FOUND, _missing(key)))
    match adoption.plan(live, o.identity, injection, target.on_conflict):
        case adoption.Claimed(message=message):
            return WorkloadPlan(verdict=not_ready(Reason.TARGET_CLAIMED, message))
        case adoption.Conflict(message=message):
            return WorkloadPlan(verdict=not_ready(Reason.FIELD_CONFLICT, message))
        case adoption.Apply(body=body, force=force):
            write = Write(Verb.APPLY, key, body, digest=wanted, force=force, grants=True)
            return WorkloadPlan((write,), verdict=waiting(key, "to be adopted"))
        case adoption.Disown(patch=patch):
            return WorkloadPlan(tuple(patches(key, [patch])), verdict=waiting(key, "to be adopted"))
    if down and (fought := releasing.scale_conflict(live)):
        return WorkloadPlan(verdict=not_ready(Reason.FIELD_CONFLICT, fought.message))
    scale = releasing.scale(live, down)
    if scale is not None:
        return WorkloadPlan(tuple(patches(key, [scale])), verdict=waiting(key, "to be scaled"))
    return observed(o, child) if child else WorkloadPlan(verdict=waiting(key, "to be seen"))


def _missing(key: ObjectKey) -> str:
    return (
        f"{key}, named by spec.workload.targetRef, does not exist: create it, or name another; "
        "it is adopted as soon as it is there"
    )
