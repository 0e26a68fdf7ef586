"""The work of one agent: which writes bring its Deployment, or its adopted target, to what the spec says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from aiagent_operator.api.conditions import Reason, Type, Verdict
from aiagent_operator.api.workload import TargetRef
from aiagent_operator.core import adoption
from aiagent_operator.core import release as releasing
from aiagent_operator.core.adoption import PatchType
from aiagent_operator.core.children import deployment as deployment_builder
from aiagent_operator.core.injection import Injection
from aiagent_operator.core.objects import AgentIdentity, Child, ChildKind, Manifest, ObjectKey, Rollout
from aiagent_operator.core.plan import Observed, Verb, Write, create, delete, replace

_VERBS = {PatchType.APPLY: Verb.APPLY, PatchType.MERGE: Verb.MERGE}
_KINDS = (ChildKind.DEPLOYMENT, ChildKind.STATEFUL_SET)


@dataclass(frozen=True, slots=True)
class WorkloadPlan:
    """Writes, objects to read first, and what is to be said of the work."""

    writes: tuple[Write, ...] = ()
    needs: frozenset[ObjectKey] = frozenset()
    verdict: Verdict | None = None
    rollout: Rollout | None = None
    settled: bool = False


def key_of(o: Observed) -> ObjectKey:
    """Which object is the agent's work."""
    target = o.agent.spec.workload.target_ref
    if target is None:
        return ObjectKey(ChildKind.DEPLOYMENT, o.identity.namespace, o.identity.name)
    return ObjectKey(ChildKind(target.kind.value), o.identity.namespace, target.name)


def plan(o: Observed, injection: Injection, *, down: bool) -> WorkloadPlan:
    """Writes for the work the spec names. `down` asks for no pods, once no binding is left."""
    target = o.agent.spec.workload.target_ref
    return _template(o, injection, down=down) if target is None else _target(o, target, injection, down=down)


def stop(o: Observed) -> WorkloadPlan | None:
    """Writes that stop the pods of a suspended agent whose work cannot be decided about; None where none runs.

    Whatever is missing (its role, its handbook), what exists already can be scaled down as it is.
    """
    child = o.children.get(key_of(o))
    if child is None or child.deleting or child.rollout is None or child.rollout.wanted == 0:
        return None
    verdict = _progress(child.key.kind.value, child.key, "to be scaled down")
    if not child.claimed_by:
        return WorkloadPlan((Write(Verb.MERGE, child.key, {"spec": {"replicas": 0}}, uid=child.uid),), verdict=verdict)
    if child.key not in o.live:
        return WorkloadPlan(needs=frozenset({child.key}), verdict=verdict)
    live = o.live[child.key]
    scale = releasing.scale(live, suspended=True) if live else None
    return WorkloadPlan(tuple(_patches(child.key, [scale])), verdict=verdict) if scale else None


def lingering(o: Observed, keep: ObjectKey) -> Verdict | None:
    """What is to be said while work that the spec no longer names is on its way out: its pods still run."""
    left = sorted(
        k for k, c in o.children.items() if k.kind in _KINDS and k != keep and c.deleting and not c.claimed_by
    )
    return _progress(left[0].kind.value, left[0], "to be gone") if left else None


def leave(o: Observed, keep: ObjectKey | None) -> WorkloadPlan:
    """Writes that remove the agent's other Deployments and release targets it no longer names."""
    others = [c for k, c in o.children.items() if k.kind in _KINDS and k != keep and not c.deleting]
    released = release(o.identity, [child for child in others if child.claimed_by], o.live)
    deleted = tuple(delete(child) for child in others if not child.claimed_by)
    return WorkloadPlan((*deleted, *released.writes), released.needs)


def release(agent: AgentIdentity, claimed: Iterable[Child], live: Mapping[ObjectKey, Manifest | None]) -> WorkloadPlan:
    """Gives adopted targets back, one step at a time: each next one is made from what the last one left."""
    writes: list[Write] = []
    needs: set[ObjectKey] = set()
    for child in claimed:
        if child.key not in live:
            needs.add(child.key)
        elif (manifest := live[child.key]) is not None:
            writes.extend(_patches(child.key, releasing.release(manifest, agent)))
    return WorkloadPlan(tuple(writes), frozenset(needs))


def _patches(key: ObjectKey, patches: Iterable[adoption.Patch]) -> list[Write]:
    return [Write(_VERBS[p.type], key, p.body, force=p.force, manager=p.manager) for p in patches]


def _template(o: Observed, injection: Injection, *, down: bool) -> WorkloadPlan:
    replicas = o.agent.spec.workload.replicas
    desired = deployment_builder.build(
        o.identity, o.raw_spec["workload"]["template"], 1 if replicas is None else replicas, injection, suspended=down
    )
    child = o.children.get(desired.key)
    if child is None:
        return WorkloadPlan((create(desired),), verdict=_progress("Deployment", desired.key, "to be created"))
    if child.deleting:
        return WorkloadPlan(verdict=_progress("Deployment", desired.key, "to be gone, so that it can be made anew"))
    if child.claimed_by:
        return WorkloadPlan(verdict=_progress("Deployment", desired.key, "to be released by its former claim"))
    # The API server fills in defaults, so the spec cannot be compared; its generation tells of every foreign edit.
    edited = child.generation != o.generations.get(child.uid, 1)
    if child.digest != desired.digest or edited:
        return WorkloadPlan((replace(child, desired),), verdict=_progress("Deployment", desired.key, "to be updated"))
    return _observed(o, child, desired.key)


def _target(o: Observed, target: TargetRef, injection: Injection, *, down: bool) -> WorkloadPlan:
    key = key_of(o)
    child = o.children.get(key)
    if child is not None and not child.claimed_by and child.agent_uid == o.identity.uid and key not in o.live:
        return WorkloadPlan(needs=frozenset({key}))
    stopped = child is not None and child.rollout is not None and child.rollout.wanted == 0
    wanted = adoption.desired_digest(o.identity, injection)
    if child is not None and child.digest == wanted and stopped == down:
        return _observed(o, child, key)
    if key not in o.live:
        return WorkloadPlan(needs=frozenset({key}))
    return _adopt(o, target, injection, key, wanted, down=down)


def _adopt(
    o: Observed, target: TargetRef, injection: Injection, key: ObjectKey, wanted: str, *, down: bool
) -> WorkloadPlan:
    """What to do about a target that is not as it should be, from what it is now."""
    live, child = o.live[key], o.children.get(key)
    if live is None:
        return WorkloadPlan(verdict=Verdict(Type.WORKLOAD_READY, False, Reason.TARGET_NOT_FOUND, _missing(key)))
    match adoption.plan(live, o.identity, injection, target.on_conflict):
        case adoption.Claimed(message=message):
            return WorkloadPlan(verdict=Verdict(Type.WORKLOAD_READY, False, Reason.TARGET_CLAIMED, message))
        case adoption.Conflict(message=message):
            return WorkloadPlan(verdict=Verdict(Type.WORKLOAD_READY, False, Reason.FIELD_CONFLICT, message))
        case adoption.Apply(body=body, force=force):
            write = Write(Verb.APPLY, key, body, digest=wanted, force=force, grants=True)
            return WorkloadPlan((write,), verdict=_progress(key.kind.value, key, "to be adopted"))
        case adoption.Disown(patch=patch):
            return WorkloadPlan(tuple(_patches(key, [patch])), verdict=_progress(key.kind.value, key, "to be adopted"))
    if down and (fought := releasing.scale_conflict(live)):
        return WorkloadPlan(verdict=Verdict(Type.WORKLOAD_READY, False, Reason.FIELD_CONFLICT, fought.message))
    scale = releasing.scale(live, down)
    if scale is not None:
        verdict = _progress(key.kind.value, key, "to be scaled")
        return WorkloadPlan(tuple(_patches(key, [scale])), verdict=verdict)
    return _observed(o, child, key) if child else WorkloadPlan(verdict=_progress(key.kind.value, key, "to be seen"))


def _observed(o: Observed, child: Child, key: ObjectKey) -> WorkloadPlan:
    rollout = child.rollout
    if rollout is None:
        return WorkloadPlan(verdict=_progress(key.kind.value, key, "to report its status"))
    if rollout.complete(child.generation):
        text = f"{key.kind} {key.namespace}/{key.name} has {rollout.ready} of {rollout.wanted} pods ready"
        return WorkloadPlan(
            verdict=Verdict(Type.WORKLOAD_READY, True, Reason.AVAILABLE, text), rollout=rollout, settled=True
        )
    wait = f"{rollout.ready} of {rollout.wanted} pods of {key.kind} {key.namespace}/{key.name} are ready"
    problems = (*((rollout.failure,) if rollout.failure else ()), *o.pod_problems)
    if problems:
        text = f"{wait}: {'; '.join(problems)}"
        return WorkloadPlan(verdict=Verdict(Type.WORKLOAD_READY, False, Reason.PODS_FAILING, text), rollout=rollout)
    return WorkloadPlan(
        verdict=Verdict(Type.WORKLOAD_READY, False, Reason.PROGRESSING, f"Waiting for pods: {wait}"), rollout=rollout
    )


def _progress(kind: str, key: ObjectKey, what: str) -> Verdict:
    return Verdict(
        Type.WORKLOAD_READY, False, Reason.PROGRESSING, f"Waiting for {kind} {key.namespace}/{key.name} {what}"
    )


def _missing(key: ObjectKey) -> str:
    return (
        f"{key.kind} {key.namespace}/{key.name}, named by spec.workload.targetRef, does not exist: "
        f"create it, or name another; it is adopted as soon as it is there"
    )
