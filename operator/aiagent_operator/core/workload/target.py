"""The work of an agent that adopts a Deployment or StatefulSet of somebody else.

Where the spec names the container whose image is the agent's work, that image, and the handbook, are those of the
revision that is to serve, and the target's own rolling update brings them in.
"""

from __future__ import annotations

from aiagent_operator.api.conditions import Reason
from aiagent_operator.api.workload import TargetRef
from aiagent_operator.core import adoption
from aiagent_operator.core import injection as injections
from aiagent_operator.core import release as releasing
from aiagent_operator.core.injection import Injection
from aiagent_operator.core.objects import Child, ChildKind, ObjectKey, RevisionFacts, digest
from aiagent_operator.core.plan import Observed, Verb, Write
from aiagent_operator.core.revisions import image_of
from aiagent_operator.core.target_image import Image
from aiagent_operator.core.workload.result import WorkloadPlan, not_ready, observed, patches, waiting


def key_of(o: Observed, target: TargetRef) -> ObjectKey:
    """Where the target is."""
    return ObjectKey(ChildKind(target.kind.value), o.identity.namespace, target.name)


def of_revision(o: Observed, target: TargetRef, its: RevisionFacts, *, down: bool) -> WorkloadPlan:
    """Writes by which the target runs what a revision says. `down` asks for no pods."""
    container = o.agent.spec.workload.container
    given = injections.build(o.identity, its.handbook, o.agent.spec.connections)
    return plan(o, target, given, image_of(its, container.name if container else ""), down=down)


def plan(
    o: Observed, target: TargetRef, injection: Injection, image: Image | None = None, *, down: bool
) -> WorkloadPlan:
    """Writes that put the agent's identity and files into the target, and the image of the container that is its work.

    `down` asks for no pods.
    """
    key = key_of(o, target)
    child = o.children.get(key)
    if child is not None and not child.claimed_by and child.agent_uid == o.identity.uid and key not in o.live:
        return WorkloadPlan(needs=frozenset({key}))
    stopped = child is not None and child.rollout is not None and child.rollout.wanted == 0
    wanted = adoption.desired_digest(o.identity, injection, image[0] if image else "")
    if child is not None and child.digest == wanted and _runs(child, image) and stopped == down:
        return observed(o, child)
    if key not in o.live:
        return WorkloadPlan(needs=frozenset({key}))
    return _adopt(o, target, injection, image, key, down=down)


def _runs(child: Child, image: Image | None) -> bool:
    return image is None or image in child.images


def _adopt(
    o: Observed, target: TargetRef, injection: Injection, image: Image | None, key: ObjectKey, *, down: bool
) -> WorkloadPlan:
    """What to do about a target that is not as it should be, from what it is now."""
    live, child = o.live[key], o.children.get(key)
    if live is None:
        return WorkloadPlan(verdict=not_ready(Reason.TARGET_NOT_FOUND, _missing(key)))
    match adoption.plan(live, o.identity, injection, target.on_conflict, image):
        case adoption.NoContainer(message=message):
            return WorkloadPlan(verdict=not_ready(Reason.CONTAINER_NOT_FOUND, message))
        case adoption.Claimed(message=message):
            return WorkloadPlan(verdict=not_ready(Reason.TARGET_CLAIMED, message))
        case adoption.Conflict(message=message):
            return WorkloadPlan(verdict=not_ready(Reason.FIELD_CONFLICT, message))
        case adoption.Apply(body=body, force=force):
            # What was refused is refused again only where it is the same in all that was asked for.
            asked = digest([adoption.desired_digest(o.identity, injection), image])
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
