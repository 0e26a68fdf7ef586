"""Evaluations of a rollout: which must be running, and what their verdicts mean for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from aiagent_operator.api.agentevaluation import Phase
from aiagent_operator.api.rollout import OnFailure, Strategy
from aiagent_operator.api.rolloutstatus import PausedFor
from aiagent_operator.core import texts
from aiagent_operator.core.rollout.course import Evaluate, Step, course
from aiagent_operator.core.rollout.decision import RolloutStatus
from aiagent_operator.core.rollout.facts import Facts
from aiagent_operator.core.rollout.run import Run

_BAD: Final = (Phase.FAILED, Phase.ERROR)
FINAL: Final = (*_BAD, Phase.INCONCLUSIVE)
"""Verdicts that stop a rollout until a person overrules them."""
_LONGEST_REASON: Final = 512


def background(f: Facts, status: RolloutStatus) -> tuple[Run, ...]:
    """Evaluations in the background, from when the candidate answers on."""
    answers = status.step > 0 if f.spec.strategy is Strategy.BLUE_GREEN else status.weight > 0
    if not answers or status.full or f.suspended:
        return ()
    return tuple(Run(entry.name, None, status.round) for entry in f.spec.analysis)


def of_step(f: Facts, status: RolloutStatus, steps: tuple[Step, ...]) -> Run | None:
    """The evaluation of the step that is under way, from when its weight is in effect on."""
    step = steps[min(status.step, len(steps) - 1)]
    if not isinstance(step, Evaluate) or status.step_started_at is None or status.full or f.suspended:
        return None
    return Run(step.name, status.step, status.round)


def known(f: Facts) -> tuple[Run, ...]:
    """All that the rollout may ask for before it begins anew."""
    now = f.status.round
    steps = [Run(step.name, index, now) for index, step in enumerate(course(f.spec)) if isinstance(step, Evaluate)]
    return (*(Run(entry.name, None, now) for entry in f.spec.analysis), *steps)


def running(f: Facts, status: RolloutStatus, steps: tuple[Step, ...]) -> tuple[Run, ...]:
    """All that must exist and go on now. Finished ones stay what they are. The first revision of all takes over from
    nobody, and has none."""
    if f.stable is None:
        return ()
    own = of_step(f, status, steps)
    return (*background(f, status), *((own,) if own else ()))


def judge(f: Facts, status: RolloutStatus, steps: tuple[Step, ...]) -> RolloutStatus:
    """The status after the verdicts: failed, paused for a person, or as it was."""
    if status.aborted_at is not None or f.stable is None:
        return status
    if status.paused_for is PausedFor.FAILED and f.spec.on_failure is OnFailure.ROLLBACK:
        return abort(f, status, status.reason)
    open_runs = [run for run in running(f, status, steps) if run.key not in status.released]
    if status.paused_for is not PausedFor.FAILED and (bad := _with(f, open_runs, _BAD)):
        return fail(f, status, _named(f, bad), bad)
    unclear = _with(f, open_runs, (Phase.INCONCLUSIVE,))
    if unclear and status.paused_for not in {PausedFor.FAILED, PausedFor.INCONCLUSIVE}:
        return _paused(status, PausedFor.INCONCLUSIVE, _named(f, unclear), unclear)
    return status


def fail(f: Facts, status: RolloutStatus, reason: str, by: Iterable[Run] = ()) -> RolloutStatus:
    """The candidate has failed: what onFailure says."""
    # With Recreate nothing serves while the candidate does not: there is nothing to freeze.
    if f.spec.on_failure is OnFailure.ROLLBACK or f.spec.strategy is Strategy.RECREATE:
        return abort(f, status, reason)
    return _paused(replace(status, waiting=None), PausedFor.FAILED, reason, by)


def abort(f: Facts, status: RolloutStatus, reason: str) -> RolloutStatus:
    """The candidate goes back, for good."""
    return replace(
        status, aborted_at=f.now, reason=reason[:_LONGEST_REASON], paused_for=None, paused_by=(), waiting=None
    )


def _paused(status: RolloutStatus, what: PausedFor, reason: str, by: Iterable[Run]) -> RolloutStatus:
    keys = tuple(run.key for run in by)
    return replace(status, paused_for=what, paused_by=keys, reason=reason[:_LONGEST_REASON])


def _with(f: Facts, runs: Iterable[Run], verdicts: tuple[Phase, ...]) -> list[Run]:
    return [run for run in runs if f.verdicts.get(run) in verdicts]


def _named(f: Facts, runs: Iterable[Run]) -> str:
    return texts.some((named(f, run) for run in runs), separator="; ")


def named(f: Facts, run: Run) -> str:
    """How far an evaluation is, in words."""
    phase, said = f.verdicts.get(run, Phase.PENDING), f.said.get(run)
    return f'evaluation "{run.name}" is {phase.value}' + (f": {said}" if said else "")
