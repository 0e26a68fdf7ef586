"""The work of an agent that adopts a Deployment or StatefulSet of somebody else.

Where the spec names the container whose image is the agent's work, that image, and the handbook, are those of the
revision that is to serve, and the target's own rolling update brings them in.
"""

from __future__ import annotations

from dataclasses import replace

from aiagent_operator.api import meta
from aiagent_operator.api.conditions import Reason
from aiagent_operator.api.rollout import Strategy
from aiagent_operator.api.workload import TargetKind, TargetRef
from aiagent_operator.core import injection as injections
from aiagent_operator.core.injection import Injection
from aiagent_operator.core.objects import Child, ChildKind, ObjectKey, RevisionFacts, digest
from aiagent_operator.core.plan import Observed, Verb, Write
from aiagent_operator.core.targets import adoption, contents
from aiagent_operator.core.targets import release as releasing
from aiagent_operator.core.targets.target_image import Image
from aiagent_operator.core.versions.revisions import image_of
from aiagent_operator.core.workload.result import WorkloadPlan, not_ready, observed, patches, waiting


def key_of(o: Observed, target: TargetRef) -> ObjectKey:
    """Where the target is."""
    return ObjectKey(ChildKind(target.kind.value), o.identity.namespace, target.name)


def of_revision(
    o: Observed, target: TargetRef, its: RevisionFacts, staged: int | None = None, *, down: bool
) -> WorkloadPlan:
    """Writes by which the target runs what a revision says, from the ordinal `staged` on. `down` asks for no pods."""
    given, image = _given(o, its)
    return plan(o, target, given, image, staged, down=down)


def has(o: Observed, child: Child, its: RevisionFacts) -> bool:
    """Whether the target has all that the revision says, whatever pods it has."""
    given, image = _given(o, its)
    return child.digest == contents.desired_digest(o.identity, given, image[0] if image else "") and _runs(child, image)


def _given(o: Observed, its: RevisionFacts) -> tuple[Injection, Image | None]:
    """What the target gets of a revision. Where its pods are to be told apart by their revision, they bear the number:
    by it Services do so, and metrics of a StatefulSet, whose pods else are alike."""
    workload = o.agent.spec.workload
    given = injections.build(o.identity, its.handbook, o.agent.spec.connections)
    rollout = o.agent.spec.retraining and o.agent.spec.retraining.rollout
    ordered = workload.target_ref is not None and workload.target_ref.kind is TargetKind.STATEFUL_SET
    if rollout and rollout.strategy is Strategy.CANARY and (ordered or rollout.traffic_routing is not None):
        given = replace(given, labels={**given.labels, meta.LABEL_REVISION: str(its.number)})
    return given, image_of(its, workload.container.name if workload.container else "")


def plan(
    o: Observed,
    target: TargetRef,
    injection: Injection,
    image: Image | None = None,
    staged: int | None = None,
    *,
    down: bool,
) -> WorkloadPlan:
    """Writes that put the agent's identity and files into the target, and the image of the container that is its work.

    `down` asks for no pods.
    """
    key = key_of(o, target)
    child = o.children.get(key)
    if child is not None and not child.claimed_by and child.agent_uid == o.identity.uid and key not in o.live:
        return WorkloadPlan(needs=frozenset({key}))
    stopped = child is not None and child.rollout is not None and child.rollout.wanted == 0
    wanted = contents.desired_digest(o.identity, injection, image[0] if image else "", staged)
    if child is not None and child.digest == wanted and _runs(child, image) and stopped == down:
        return observed(o, child)
    if key not in o.live:
        return WorkloadPlan(needs=frozenset({key}))
    return _adopt(o, target, injection, image, staged, key, down=down)


def _runs(child: Child, image: Image | None) -> bool:
    return image is None or image in child.images


def _adopt(  # noqa: PLR0917 - what goes in, each thing of its own type
    o: Observed,
    target: TargetRef,
    injection: Injection,
    image: Image | None,
    staged: int | None,
    key: ObjectKey,
    *,
    down: bool,
) -> WorkloadPlan:
    """What to do about a target that is not as it should be, from what it is now."""
    live, child = o.live[key], o.children.get(key)
    if live is None:
        return WorkloadPlan(verdict=not_ready(Reason.TARGET_NOT_FOUND, _missing(key)))
    match adoption.plan(live, o.identity, injection, target.on_conflict, image, staged=staged):
        case adoption.NoContainer(message=message):
            return WorkloadPlan(verdict=not_ready(Reason.CONTAINER_NOT_FOUND, message))
        case adoption.Claimed(message=message):
            return WorkloadPlan(verdict=not_ready(Reason.TARGET_CLAIMED, message))
        case adoption.Conflict(message=message):
            return WorkloadPlan(verdict=not_ready(Reason.FIELD_CONFLICT, message))
        case adoption.Apply(body=body, force=force):
            # What was refused is refused again only where it is the same in all that was asked for.
            asked = digest([contents.desired_digest(o.identity, injection), image, staged])
            write = Write(Verb.APPLY, key, body, digest=asked, force=force, grants=True)
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
