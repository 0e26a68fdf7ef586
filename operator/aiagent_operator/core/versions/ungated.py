"""Edits of a target by its owner: live before anybody could hold them up, so they are put on record, and said.

Where all images are the owner's, an edit of one is a revision like any other. Where one image is the agent's work, the
rest of the pod template is still the owner's, and what becomes of that is a record beside the revisions. What of it is
on record already stands in the agent's status; a record whose writing there was cut off is not made twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from aiagent_operator.api.agentrevision import Trigger
from aiagent_operator.api.conditions import Reason
from aiagent_operator.core.children import revision
from aiagent_operator.core.children.revision import Origin, Work
from aiagent_operator.core.objects import Child, ChildKind, Desired, ObjectKey, digest
from aiagent_operator.core.plan import Observed
from aiagent_operator.core.versions.revisions import Choice, facts
from aiagent_operator.core.workload.result import WorkloadPlan


def record(o: Observed, known: Iterable[Child], choice: Choice, permissions: str) -> Desired | None:
    """The record of an edit that is not on record yet; None where there is none."""
    now, stable, child = _mark(o), choice.stable, _target(o)
    if not now or child is None or stable is None or not facts(stable).adopted or not _changed(_seen(o), now):
        return None
    records = tuple(known)
    newest = _newest(records)
    if newest is not None and facts(newest).target == now:
        return None
    its, container = facts(stable), o.agent.spec.workload.container
    work = Work(
        None, child.images, its.handbook, its.handbook_digest, container=container.name if container else "", target=now
    )
    last = (o.agent.status.get("revision") or {}).get("latest", 0)
    number = max([last, *(facts(each).number for each in records)]) + 1
    return revision.build(o.identity, number, work, Origin(Trigger.TARGET_CHANGED, permissions, parent=its.number))


def on_record(o: Observed, known: Iterable[Child]) -> str | None:
    """What of the target is on record now, for status.revision.target."""
    now, seen, newest = _mark(o), _seen(o), _newest(known)
    if not now or not _changed(seen, now) or (newest is not None and facts(newest).target == now):
        return now or None
    return seen


def told(o: Observed, known: Iterable[Child], choice: Choice, work: WorkloadPlan) -> WorkloadPlan:
    """The work, with what is said of it while what serves has an edit in it that nothing could hold up."""
    if work.verdict is None or work.verdict.status is not True or choice.stable is None or choice.rolling:
        return work
    its, newest = facts(choice.stable), _newest(known)
    edit = newest if newest is not None and facts(newest).number > its.number else None
    if edit is None and (its.by_owner and not its.container):
        edit = choice.stable
    target = o.agent.spec.workload.target_ref
    if edit is None or target is None:
        return work
    # Nothing that changes from pass to pass: each edit is told of once.
    text = (
        f"Revision {facts(edit).number} puts on record an edit of {target.kind.value} {target.name} by its owner, "
        "which serves without having been held up by anything"
    )
    return replace(work, verdict=replace(work.verdict, reason=Reason.UNGATED_CHANGE, message=text))


def _newest(known: Iterable[Child]) -> Child | None:
    edits = [child for child in known if facts(child).target]
    return max(edits, key=lambda child: facts(child).number, default=None)


def _seen(o: Observed) -> str | None:
    found: str | None = (o.agent.status.get("revision") or {}).get("target")
    return found


def _changed(seen: str | None, now: str) -> bool:
    """Whether it is another state of the same target and container, and not the first that is seen of it."""
    return seen is not None and seen != now and seen.rpartition(":")[0] == now.rpartition(":")[0]


def _mark(o: Observed) -> str:
    """Which target, which container, and a digest of what the owner says of the rest; empty where there is nothing."""
    container, child = o.agent.spec.workload.container, _target(o)
    if container is None or child is None:
        return ""
    others = [each for each in child.images if each[0] != container.name]
    return f"{child.uid}/{container.name}:{digest([child.template, others])[:16]}"


def _target(o: Observed) -> Child | None:
    target = o.agent.spec.workload.target_ref
    if target is None:
        return None
    child = o.children.get(ObjectKey(ChildKind(target.kind.value), o.identity.namespace, target.name))
    return child if child is not None and child.claimed_by == o.identity.uid else None
