"""What trainings have taught an agent, laid over what its spec says.

The work of an agent is that of its spec, in which the last training's image, model and artifact stand instead, field by
field. An edit of a field in the spec drops what was learned in its place. What the last training has left that was not
rejected is in force; so a training that failed, or was refused, changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from aiagent_operator.api.agentrevision import RevisionState
from aiagent_operator.core.objects import Child, Learned, Manifest
from aiagent_operator.core.retraining.due import Run, RunState
from aiagent_operator.core.versions.revisions import facts

_NOT_IN_FORCE = (RevisionState.TRAINING, RevisionState.REJECTED)
_OPEN = (RevisionState.CANDIDATE, RevisionState.ROLLING_OUT)
# Failures that are kept beyond the history, for the pause after the next one: it does not grow any more after these.
_FAILURES = 8


def source(revisions: Iterable[Child]) -> Child | None:
    """The revision whose learning is in force: the newest that has that of the last training, and was not rejected.

    An edit while a training is under way makes a newer revision, which still has what was learned before.
    """
    known = [c for c in revisions if facts(c).learned and facts(c).state not in _NOT_IN_FORCE]
    return max(known, key=lambda child: (_by(child), facts(child).number), default=None)


def in_force(revisions: Iterable[Child]) -> Learned | None:
    """What was learned last, and not rejected."""
    found = source(revisions)
    return facts(found).learned if found else None


def over(learned: Learned | None, image: str, model: Manifest | None) -> Learned | None:
    """What of it holds over a spec with this image and model: not what stands in the place of a field edited since."""
    if learned is None:
        return None
    return replace(
        learned,
        image=learned.image if image == learned.base_image else "",
        model=learned.model if model == learned.base_model else None,
        base_image=image,
        base_model=model,
    )


def runs(revisions: Iterable[Child]) -> tuple[Run, ...]:
    """The trainings that revisions tell of, as plan and promise count them."""
    known = tuple(revisions)
    found = [run for child in known if facts(child).training and (run := _run(child, known))]
    carried = {(learned.by, learned.at) for learned in _carried(known)}
    return (*found, *(Run(RunState.SUCCEEDED, _time(at)) for _, at in sorted(carried)))


def succeeded(revisions: Iterable[Child]) -> Learned | None:
    """What the last training that succeeded has left, and what it was trained with; as `runs` counts success."""
    known = tuple(revisions)
    own = [
        its
        for child in known
        if facts(child).training and (its := facts(child).learned) and (run := _run(child, known))
        if run.state is RunState.SUCCEEDED
    ]
    return max((*own, *_carried(known)), key=lambda learned: learned.by, default=None)


def _carried(known: tuple[Child, ...]) -> list[Learned]:
    """What trainings have left whose own revision has gone into history: one that has served with it tells of it."""
    own = {facts(child).number for child in known if facts(child).training}
    return [its for c in known if facts(c).promotion and (its := facts(c).learned) and its.by not in own]


def _run(child: Child, known: tuple[Child, ...]) -> Run | None:
    its = facts(child)
    assert its.training is not None  # noqa: S101 - so is every one that is asked about
    if its.state is RevisionState.TRAINING:
        return Run(RunState.TRAINING, _time(its.training.began))
    ended = _time(its.training.ended or its.training.began)
    if its.state in (RevisionState.REJECTED, RevisionState.ROLLED_BACK):
        return Run(RunState.FAILED, ended)
    if its.work and any(facts(each).promotion and facts(each).work == its.work for each in known):
        # What it made has served: it may be what served before, too.
        return Run(RunState.SUCCEEDED, ended)
    carriers = [each for each in known if (has := facts(each).learned) and has.by == its.number]
    if any(facts(each).promotion for each in carriers):
        return Run(RunState.SUCCEEDED, ended)
    if any(facts(each).state in _OPEN for each in carriers):
        return Run(RunState.IN_FLIGHT, ended)
    return None


def needed(revisions: Iterable[Child]) -> list[Child]:
    """Revisions that are no history yet: in training, with learning in force, and what the next due time rests on."""
    known = tuple(revisions)
    trained = sorted((c for c in known if facts(c).training), key=lambda child: facts(child).number)
    failed = [c for c in trained if facts(c).state in (RevisionState.REJECTED, RevisionState.ROLLED_BACK)]
    ok = [c for c in known if facts(c).promotion and facts(c).learned and not any(c is other for other in failed)]
    last = max(ok, key=lambda child: (_by(child), facts(child).number), default=None)
    since = _by(last) if last else 0
    kept = [child for child in trained if facts(child).state is RevisionState.TRAINING]
    kept += [child for child in (source(known), last) if child]
    return kept + [child for child in failed if facts(child).number > since][-_FAILURES:]


def _by(child: Child) -> int:
    learned = facts(child).learned
    return learned.by if learned else 0


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
