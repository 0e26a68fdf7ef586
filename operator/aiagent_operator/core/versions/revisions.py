"""Which version of an agent serves, which is on its way, and what becomes of the others.

The revision that serves is the one with the highest promotion: a single write says so, whatever else is under way. What
the spec asks for is looked for among the revisions by its digest, so that a return to earlier work is a return to its
revision; only work that no revision has makes a new one. Table of states: docs/revisions.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aiagent_operator.api.agentrevision import RevisionState, Trigger
from aiagent_operator.core import texts
from aiagent_operator.core.objects import Child, Manifest, RevisionFacts

_OPEN = (RevisionState.CANDIDATE, RevisionState.ROLLING_OUT)
_FINAL = (RevisionState.SUPERSEDED, RevisionState.ROLLED_BACK, RevisionState.REJECTED, RevisionState.TRAINING)
_BAD = (RevisionState.ROLLED_BACK, RevisionState.REJECTED)


@dataclass(frozen=True, slots=True)
class RollbackOrder:
    """An AgentAction Rollback that is not carried out yet. `to` is a revision's number; None is the one before."""

    name: str
    uid: str
    text: str
    to: int | None = None


@dataclass(frozen=True, slots=True)
class RetrainOrder:
    """An AgentAction Retrain that is not carried out yet. Times are RFC 3339: nothing begins by it after `until`."""

    name: str
    uid: str
    given: str
    until: str


@dataclass(frozen=True, slots=True)
class Choice:
    """What is to serve.

    `stable` serves now; None before the first has become ready. `target` is to serve; None while its record has yet to
    be made. `make`: the number of the record to make. `held`: the work of the spec was rolled back and stays so.
    `rejected`: it failed before it served, and is not tried again. `order`: the order by which the target is to serve.
    `gated`: the work of the spec, which has evaluations to pass; until then the target is what serves.
    """

    stable: Child | None = None
    target: Child | None = None
    make: int | None = None
    held: Child | None = None
    rejected: Child | None = None
    order: RollbackOrder | None = None
    gated: Child | None = None

    @property
    def rolling(self) -> bool:
        """Whether another one than the stable one is on its way."""
        return self.target is not None and self.target is not self.stable

    @property
    def renews(self) -> bool:
        """Whether what serves is to go on serving by an order that does not say so yet."""
        return self.order is not None and self.target is self.stable


def facts(child: Child) -> RevisionFacts:
    """The facts of a child that is a revision."""
    assert child.revision is not None  # noqa: S101 - so is every child of this kind
    return child.revision


def stable(revisions: Iterable[Child]) -> Child | None:
    """The revision that serves: the one that was promoted last."""
    promoted = [child for child in revisions if facts(child).promotion]
    return max(promoted, key=lambda child: facts(child).promotion, default=None)


def choose(
    revisions: Iterable[Child], work: str, last: int, order: RollbackOrder | None = None, container: str = ""
) -> Choice:
    """What is to serve, where the spec asks for `work`. `last` is the highest number that was ever given, `container`
    the one that the spec names of a target."""
    known = [child for child in revisions if not child.deleting]
    kept = sorted((child for child in known if not facts(child).target), key=lambda child: facts(child).number)
    serving = stable(kept)
    # Where it is carried out already, the promotion says by which order it was.
    if order and serving and facts(serving).order != order.uid:
        back = aim(kept, order, container)
        if back is not None and not failed(back, order.uid):
            return Choice(serving, back, order=order)
    same = [child for child in kept if facts(child).work == work]
    if serving and facts(serving).instead == work:
        # The spec still asks for what the order went back from.
        return Choice(serving, serving, held=same[-1] if same and same[-1] is not serving else None)
    if not same:
        return Choice(serving, make=max([last, *(facts(child).number for child in known)]) + 1)
    if serving not in same and facts(same[-1]).state is RevisionState.REJECTED:
        return Choice(serving, serving, rejected=same[-1])
    return Choice(serving, serving if serving in same else same[-1])


def failed(revision: Child, order: str) -> bool:
    """Whether the revision was to serve by the order of this UID, and was rejected on the way."""
    return facts(revision).order == order and facts(revision).state is RevisionState.REJECTED


def image_of(its: RevisionFacts, container: str) -> tuple[str, str] | None:
    """Container and image of a target that the operator sets where the revision serves; None where it sets none.

    `container` is the one that the spec names: of a revision whose images were all their owner's, that one counts.
    """
    name = its.container or container
    image = dict(its.images).get(name)
    return (name, image) if image else None


def aim(revisions: Iterable[Child], order: RollbackOrder, container: str = "") -> Child | None:
    """The revision that a Rollback means; None where there is none that the operator could run. `container` is the one
    that the spec names of a target: without it, only what has a template can be run.

    Without a number: the one that serves, where another is about to take over; else the one that served before. What
    was once found is written on the revision, so that it stays the same while that takes over.
    """
    kept = [child for child in revisions if (its := facts(child)).work and not its.target and _runs(its, container)]
    if found := next((child for child in kept if facts(child).order == order.uid), None):
        return found
    if order.to is not None:
        return next((child for child in kept if facts(child).number == order.to), None)
    serving = stable(kept)
    if any(facts(child).state in _OPEN for child in kept if child is not serving):
        return serving
    promoted = sorted((c for c in kept if facts(c).promotion), key=lambda c: facts(c).promotion)
    before = [c for c in promoted[:-1] if facts(c).state not in _BAD]
    return before[-1] if before else None


def _runs(its: RevisionFacts, container: str) -> bool:
    return image_of(its, container) is not None if container else not its.adopted


def ordered(choice: Choice, records: Iterable[Child]) -> Mapping[str, str]:
    """What orders have done at the gate, by their UIDs: passed over evaluations of what serves, is to serve, or waits
    to; or given one of the records up."""
    return _overruled(choice) | {
        its.aborted_by: f"revision {its.number} is rejected before it served"
        for its in map(facts, records)
        if its.aborted_by
    }


def _overruled(choice: Choice) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    numbers: dict[str, int] = {}
    for child in filter(None, (choice.stable, choice.target, choice.gated)):
        for evaluation, order in facts(child).overruled:
            numbers[order] = facts(child).number
            found.setdefault(order, []).append(evaluation)
    return {
        order: f"revision {numbers[order]} goes on in spite of evaluation {texts.quoted(sorted(set(names)))}, which is "
        "Inconclusive"
        for order, names in found.items()
    }


def trigger(choice: Choice, *, target: bool, handbook: str) -> Trigger:
    """Why a revision is made. `target`: the work is adopted, and its owner's edits come past the operator."""
    if choice.stable is None:
        return Trigger.CREATED
    same_handbook = facts(choice.stable).handbook == handbook
    return Trigger.TARGET_CHANGED if target and same_handbook else Trigger.SPEC_CHANGED


def promotion(revisions: Iterable[Child], choice: Choice, work: str, now: str) -> Manifest:
    """The status by which the target of the choice becomes the one that serves, while the spec asks for `work`."""
    highest = max(facts(child).promotion for child in revisions)
    order = choice.order
    return {
        "state": RevisionState.STABLE.value,
        "promotion": highest + 1,
        "promotionTime": now,
        "order": _order(order, work) if order else None,
        "message": f"Serves by order of {order.text}"[:1024] if order else None,
    }


def rejection(reason: str, by: str = "") -> Manifest:
    """The status of a revision that failed, or was aborted, before it served. `by`: UID of the order that it gave up at
    the gate."""
    aborted = {"abortedBy": by} if by else {}
    return {"state": RevisionState.REJECTED.value, "message": reason[:1024], **aborted}


def _order(order: RollbackOrder, work: str) -> Manifest:
    return {"name": order.name, "uid": order.uid, "insteadOf": work}


def transitions(revisions: Iterable[Child], choice: Choice, work: str) -> list[tuple[Child, Manifest]]:
    """Statuses of revisions that are not what they are said to be; never that of a promotion.

    A crash between a promotion and these leaves an old state, which the next pass puts right.
    """
    changes = []
    for child in revisions:
        state, message = _state(child, choice)
        status: Manifest = {"state": state.value, "message": message}
        order = choice.order if child is choice.target else None
        ordered = order is not None and facts(child).order != order.uid
        if order and ordered:
            status["order"] = _order(order, work)
        if not child.deleting and (ordered or state is not facts(child).state):
            changes.append((child, status))
    return changes


def _state(child: Child, choice: Choice) -> tuple[RevisionState, str | None]:
    its = facts(child)
    if its.target:
        return RevisionState.SUPERSEDED, "An edit of the target by its owner, live at once, and no work of the agent's"
    if child is choice.stable:
        return RevisionState.STABLE, None
    if child is choice.target:
        # The first one has nobody to take over from.
        return (RevisionState.ROLLING_OUT if choice.stable else RevisionState.CANDIDATE), None
    if child is choice.gated:
        return RevisionState.CANDIDATE, None
    if its.state in _FINAL:
        return its.state, None
    serving = facts(choice.stable) if choice.stable else None
    if serving and serving.order and (its.state is RevisionState.STABLE or its.work == serving.instead):
        return RevisionState.ROLLED_BACK, f"An order went back from it to revision {serving.number}"
    coming = choice.gated or choice.target
    by = serving if its.state is RevisionState.STABLE else coming and facts(coming)
    return RevisionState.SUPERSEDED, f"Revision {by.number} follows it" if by else None


def collect(revisions: Iterable[Child], choice: Choice, keep: int, needed: Iterable[Child] = ()) -> list[Child]:
    """The revisions beyond the history, oldest first. What serves, is on its way, does not serve although the spec asks
    for it, or is needed for something else, is not history. Edits of a target by its owner have a history of their own,
    of the same length, so that they drive out nothing that can be gone back to."""
    spared = (choice.stable, choice.target, choice.held, choice.gated, choice.rejected, *needed)
    history = [c for c in revisions if not c.deleting and not any(c is other for other in spared)]
    history.sort(key=lambda child: facts(child).number)
    edits = [child for child in history if facts(child).target]
    others = [child for child in history if not facts(child).target]
    return [*others[: max(0, len(others) - keep)], *edits[: max(0, len(edits) - max(1, keep))]]


def summary(revisions: Iterable[Child], choice: Choice, before: Mapping[str, Any]) -> dict[str, Any] | None:
    """status.revision: what serves, what is on its way, and the highest number given."""
    numbers = [facts(child).number for child in revisions]
    latest = max([before.get("latest", 0), *numbers])
    if not latest:
        return None
    found: dict[str, Any] = {"latest": latest}
    if choice.stable:
        found["stable"] = facts(choice.stable).number
    if choice.rolling and choice.target:
        found["rollingOut"] = facts(choice.target).number
    others = {"heldBack": choice.held, "candidate": choice.gated, "rejected": choice.rejected}
    return found | {name: facts(child).number for name, child in others.items() if child}
