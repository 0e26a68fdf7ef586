"""Keeping the records of an agent's versions: which to make, what state each is in, and which are history enough.

Order: the record of new work is made beside account and handbook; its Deployment comes after it. A revision is promoted
by one write, once all its pods are ready; states of the others follow, and then what they ran is removed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from aiagent_operator.api.aiagent import ModelRef
from aiagent_operator.core import workload
from aiagent_operator.core.children import handbook, revision
from aiagent_operator.core.children.handbook import EffectiveHandbook
from aiagent_operator.core.children.revision import Images, Origin, Work
from aiagent_operator.core.objects import Child, ChildKind, Desired, Learned, Manifest, digest
from aiagent_operator.core.plan import Observed, Write, create, delete, report
from aiagent_operator.core.reviews import reviewing
from aiagent_operator.core.rights.rules import Rule
from aiagent_operator.core.versions import accepting, gating, governing, learning, revisions, ungated
from aiagent_operator.core.versions.gating import Gate
from aiagent_operator.core.versions.revisions import Choice
from aiagent_operator.core.workload import WorkloadPlan

Granted = Mapping[str, tuple[Rule, ...]]


@dataclass(frozen=True, slots=True)
class Asked:
    """What the spec asks for, with what was learned laid over it.

    `effective` is its handbook without what was learned, `book` with it. `work` is None while a target is not adopted
    whose images are its owner's. `learned` is what of it holds; `base_image` and `base_model` are what the spec
    says itself.
    """

    effective: EffectiveHandbook
    book: Desired
    work: Work | None
    learned: Learned | None = None
    base_image: str = ""
    base_model: Manifest | None = None


@dataclass(frozen=True, slots=True)
class Versions:
    """The versions of one agent as they are, what is to serve, and the gate before what may not serve yet."""

    known: tuple[Child, ...] = ()
    gate: Gate = field(default_factory=lambda: Gate(Choice()))
    asked: Asked | None = None
    make: Desired | None = None

    @property
    def choice(self) -> Choice:
        """What is to serve."""
        return self.gate.choice

    @property
    def work(self) -> str:
        """Digest of what the spec asks for; empty while that is not known."""
        return self.asked.work.digest if self.asked and self.asked.work else ""

    @property
    def handbooks(self) -> frozenset[str]:
        """ConfigMaps that a revision names: each is kept as long as the revision."""
        return frozenset(revisions.facts(child).handbook for child in self.known)


def known(o: Observed) -> tuple[Child, ...]:
    """The records of the agent."""
    return o.of(ChildKind.AGENT_REVISION)


def ask(o: Observed, effective: EffectiveHandbook, learned: Learned | None) -> Asked:
    """What the spec asks for, with what was learned laid over it."""
    target, container = o.agent.spec.workload.target_ref, o.agent.spec.workload.container
    template = None if target else o.raw_spec["workload"]["template"]
    image = container.image if container else revision.first_image(template) if template else ""
    model = effective.model.model_dump(mode="json", by_alias=True, exclude_none=True) if effective.model else None
    holds, taught = learning.over(learned, image, model), effective
    if holds:
        version = ModelRef.model_validate(holds.model) if holds.model else effective.model
        taught = replace(effective, model=version, artifact=holds.artifact)
        model = holds.model or model
        template = revision.with_image(template, holds.image) if template else None
    book = handbook.build(o.identity, taught, o.instructions)
    if container:
        images: Images | None = ((container.name, (holds.image if holds else "") or image),)
    else:
        images = revision.images(template["spec"]) if template else workload.images(o)
    work = None
    if images is not None:
        taught_by, name = handbook.knowledge(effective, o.instructions), container.name if container else ""
        work = Work(template, images, book.key.name, handbook.content_digest(book), model, taught_by, name)
    return Asked(effective, book, work, holds, image, holds.base_model if holds else model)


def look(o: Observed, asked: Asked | None, granted: Granted) -> Versions:
    """The agent's versions, and what is to serve."""
    records = known(o)
    if asked is None or asked.work is None:
        gate = gating.look(o, Choice(revisions.stable(records)), records)
        return Versions(records, accepting.held(o, gate), asked)
    own = o.agent.spec.workload.by_revision
    container = o.agent.spec.workload.container
    last = (o.agent.status.get("revision") or {}).get("latest", 0)
    rollback, named = o.rollback if own else None, container.name if container else ""
    choice = revisions.choose(records, asked.work.digest, last, rollback, named)
    gate = gating.aborted(o, reviewing.held(o, accepting.held(o, gating.look(o, choice, records))))
    if edit := ungated.record(o, records, choice, permissions(granted)):
        return Versions(records, gate, asked, edit)
    if choice.make is None:
        return Versions(records, gate, asked)
    trigger = revisions.trigger(choice, target=not own, handbook=asked.work.handbook)
    origin = Origin(
        trigger,
        permissions(granted),
        parent=revisions.facts(choice.stable).number if choice.stable else None,
        learned=asked.learned,
        base_image=asked.base_image,
        base_model=asked.base_model,
    )
    return Versions(records, gate, asked, revision.build(o.identity, choice.make, asked.work, origin))


def permissions(granted: Granted) -> str:
    """Digest of what is granted, as a revision holds it."""
    wire = {where: [rule.to_wire() for rule in rules] for where, rules in sorted(granted.items())}
    return f"sha256:{digest(wire)}"


def writes(o: Observed, versions: Versions, work: WorkloadPlan) -> list[Write]:
    """Records to make, the promotion of what has taken over, or the states that follow and the history to drop."""
    choice, gate = versions.choice, versions.gate
    if versions.make is not None:
        return [create(versions.make)]
    if choice.gated and gate.rejects:
        return [report(choice.gated, revisions.rejection(gate.rejects, gate.aborted_by))]
    if choice.gated and gate.overrules:
        return [report(choice.gated, gate.overrules)]
    return [*gate.step.writes, *_writes(o, versions, work)]


def _writes(o: Observed, versions: Versions, work: WorkloadPlan) -> list[Write]:
    choice = versions.choice
    if choice.target is None and choice.gated is None:
        return []
    if not governing.may_promote(o, choice):
        return []
    if choice.target and work.rejected and choice.rolling:
        return [report(choice.target, revisions.rejection(work.rejected))]
    if choice.target and (choice.renews or (choice.rolling and work.complete and not o.suspended)):
        return [report(choice.target, revisions.promotion(versions.known, choice, versions.work, o.time))]
    changes = [report(child, status) for child, status in revisions.transitions(versions.known, choice, versions.work)]
    if work.settled and not changes:
        needed = learning.needed(versions.known)
        changes = [delete(child) for child in revisions.collect(versions.known, choice, governing.history(o), needed)]
    return changes


def status(o: Observed, versions: Versions) -> dict[str, Any]:
    """status.revision and status.handbook."""
    before = o.agent.status.get("revision") or {}
    serving = versions.choice.stable or versions.choice.target
    its = revisions.facts(serving) if serving else None
    summary = revisions.summary(versions.known, versions.choice, before)
    if summary and (target := ungated.on_record(o, versions.known)):
        summary["target"] = target
    return {
        "revision": summary,
        "handbook": {"configMap": its.handbook, "digest": its.handbook_digest} if its else None,
    }
