"""Keeping the records of an agent's versions: which to make, what state each is in, and which are history enough.

Order: the record of new work is made beside account and handbook; its Deployment comes after it. A revision is promoted
by one write, once all its pods are ready; states of the others follow, and then what they ran is removed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiagent_operator.api.aiagent import HISTORY
from aiagent_operator.core import revisions, workload
from aiagent_operator.core.children import handbook, revision
from aiagent_operator.core.children.handbook import EffectiveHandbook
from aiagent_operator.core.children.revision import Work
from aiagent_operator.core.objects import Child, ChildKind, Desired, digest
from aiagent_operator.core.plan import Observed, Write, create, delete, report
from aiagent_operator.core.revisions import Choice
from aiagent_operator.core.rules import Rule
from aiagent_operator.core.workload import WorkloadPlan

Granted = Mapping[str, tuple[Rule, ...]]


@dataclass(frozen=True, slots=True)
class Versions:
    """The versions of one agent as they are, and what is to serve."""

    known: tuple[Child, ...] = ()
    choice: Choice = field(default_factory=Choice)
    work: str = ""
    make: Desired | None = None

    @property
    def handbooks(self) -> frozenset[str]:
        """ConfigMaps that a revision names: each is kept as long as the revision."""
        return frozenset(revisions.facts(child).handbook for child in self.known)


def work_of(o: Observed, effective: EffectiveHandbook, book: Desired) -> Work | None:
    """What the spec asks for; None while a target is not adopted, since its images are its owner's."""
    target = o.agent.spec.workload.target_ref
    model = effective.model.model_dump(mode="json", by_alias=True, exclude_none=True) if effective.model else None
    if target is None:
        template = o.raw_spec["workload"]["template"]
        return Work(template, revision.images(template["spec"]), book.key.name, handbook.content_digest(book), model)
    images = workload.images(o)
    return None if images is None else Work(None, images, book.key.name, handbook.content_digest(book), model)


def look(o: Observed, work: Work | None, granted: Granted) -> Versions:
    """The agent's versions, and what is to serve."""
    known = tuple(child for key, child in sorted(o.children.items()) if key.kind is ChildKind.AGENT_REVISION)
    if work is None:
        return Versions(known, Choice(revisions.stable(known)))
    adopted = o.agent.spec.workload.target_ref is not None
    # Over the whole template, and at every pass: once.
    asked = work.digest
    last = (o.agent.status.get("revision") or {}).get("latest", 0)
    choice = revisions.choose(known, asked, last, None if adopted else o.rollback)
    if choice.make is None:
        return Versions(known, choice, asked)
    wire = {where: [rule.to_wire() for rule in rules] for where, rules in sorted(granted.items())}
    record = revision.build(
        o.identity,
        choice.make,
        work,
        trigger=revisions.trigger(choice, target=adopted, handbook=work.handbook),
        parent=revisions.facts(choice.stable).number if choice.stable else None,
        permissions=f"sha256:{digest(wire)}",
    )
    return Versions(known, choice, asked, record)


def writes(o: Observed, versions: Versions, work: WorkloadPlan) -> list[Write]:
    """Records to make, the promotion of what has taken over, or the states that follow and the history to drop."""
    choice = versions.choice
    if versions.make is not None:
        return [create(versions.make)]
    if choice.target is None:
        return []
    if choice.renews or (choice.rolling and work.complete and not o.suspended):
        return [report(choice.target, revisions.promotion(versions.known, choice, versions.work, o.time))]
    changes = [report(child, status) for child, status in revisions.transitions(versions.known, choice, versions.work)]
    if work.settled and not changes:
        limit = o.agent.spec.revision_history_limit
        changes = [
            delete(child) for child in revisions.collect(versions.known, choice, HISTORY if limit is None else limit)
        ]
    return changes


def status(o: Observed, versions: Versions) -> dict[str, Any]:
    """status.revision and status.handbook."""
    before = o.agent.status.get("revision") or {}
    serving = versions.choice.stable or versions.choice.target
    its = revisions.facts(serving) if serving else None
    return {
        "revision": revisions.summary(versions.known, versions.choice, before),
        "handbook": {"configMap": its.handbook, "digest": its.handbook_digest} if its else None,
    }
