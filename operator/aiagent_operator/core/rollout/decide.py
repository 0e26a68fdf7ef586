"""What to do about a rollout now.

Abort and failure first; then a hold that only a person ends; then the steps, as many in one go as are done, so that the
status that comes out says where the rollout stands and not where it stood.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from aiagent_operator.api.agentevaluation import Phase
from aiagent_operator.api.rolloutstatus import PausedFor
from aiagent_operator.core.rollout import clock, motion, orders, verdicts, waits
from aiagent_operator.core.rollout.course import EVERYTHING, Analysed, Evaluate, Pause, Step, Weight, course, weight_at
from aiagent_operator.core.rollout.decision import Decision, RolloutStatus, Transition, Wait, Waiting, WaitsFor
from aiagent_operator.core.rollout.facts import Facts
from aiagent_operator.core.rollout.move import Motion

_HELD = (PausedFor.FAILED, PausedFor.INCONCLUSIVE)


def decide(f: Facts) -> Decision:
    """What to do now, and what to remember. Nothing of it depends on how often it was asked before."""
    steps = course(f.spec) if f.stable is not None else (EVERYTHING,)
    status = orders.apply(f, clock.begin(f), steps)
    decision = _act(f, verdicts.judge(f, status, steps), steps)
    # What is needed may be so only from where the rollout has just come to, and there it stands still.
    return _act(f, decision.status, steps) if f.unmeasured and decision.runs else decision


def _act(f: Facts, status: RolloutStatus, steps: tuple[Step, ...]) -> Decision:
    if status.aborted_at is not None:
        return _back(f, status)
    if f.suspended:
        return _made(motion.stopped(f), status, waits.resume(f))
    if status.paused_for in _HELD:
        decision = _made(motion.hold(f, status), status, waits.person(f, status))
        transition = Transition.FREEZE if status.paused_for is PausedFor.FAILED else Transition.NONE
        return replace(decision, transition=transition, runs=verdicts.running(f, status, steps))
    if f.unmeasured and (runs := verdicts.running(f, status, steps)):
        status = replace(status, waiting=None)
        return replace(_made(motion.hold(f, status), status, waits.unmeasured(f)), runs=runs)
    return _forward(f, status, steps)


def _forward(f: Facts, status: RolloutStatus, steps: tuple[Step, ...]) -> Decision:
    """Goes through the steps up to the first one that is not done."""
    while True:
        index = len(steps) - 1 if status.full else min(status.step, len(steps) - 1)
        weight = weight_at(steps, index)
        move = motion.forward(f, status, weight)
        if not move.done:
            return _moving(f, status, steps, move)
        status = replace(status, weight=weight, waiting=None)
        judged = verdicts.judge(f, status, steps)
        if judged != status:
            return _act(f, judged, steps)
        if index == len(steps) - 1:
            return replace(_made(move, _ended(status, index), Wait(WaitsFor.NOTHING)), transition=Transition.PROMOTE)
        status = _begun(f, status, steps[index])
        stop = _stop(f, status, steps)
        if f.held and not status.full:
            # The step that is under way ends all the same: half of one would be nobody's wish.
            stop = waits.held(f, index), stop[1] if stop else None
        if stop is not None:
            judged = verdicts.judge(f, status, steps)
            if judged != status:
                return _act(f, judged, steps)
            return replace(_made(move, status, stop[0], stop[1]), runs=verdicts.running(f, status, steps))
        status = replace(status, step=index + 1, step_started_at=None, paused_for=None)


def _ended(status: RolloutStatus, index: int) -> RolloutStatus:
    return replace(status, step=index, step_started_at=None, paused_for=None)


def _begun(f: Facts, status: RolloutStatus, step: Step) -> RolloutStatus:
    """A pause counts, and an evaluation runs, from when the weight before it is in effect."""
    if isinstance(step, Weight):
        return status
    paused = PausedFor.STEP if isinstance(step, Pause) else None
    return replace(status, step_started_at=status.step_started_at or f.now, paused_for=paused)


def _stop(f: Facts, status: RolloutStatus, steps: tuple[Step, ...]) -> tuple[Wait, timedelta | None] | None:
    """What the step still waits for, and for how long at most; None when it is done."""
    index, since = status.step, status.step_started_at or f.now
    step = steps[index]
    if isinstance(step, Pause):
        if step.duration is None:
            return waits.promotion(f, index), None
        rest = clock.left(since, step.duration, f.now)
        return (waits.time(f, index, since + step.duration), rest) if rest > timedelta() else None
    if isinstance(step, Evaluate):
        run = verdicts.of_step(f, status, steps)
        passed = run is None or run.key in status.released or f.verdicts.get(run) is Phase.SUCCESSFUL
        return None if passed or run is None else (waits.evaluations(f, [run]), None)
    if isinstance(step, Analysed):
        background = verdicts.background(f, status)
        open_runs = [
            run for run in background if run.key not in status.released and f.verdicts.get(run) is not Phase.SUCCESSFUL
        ]
        return (waits.evaluations(f, open_runs), None) if open_runs else None
    return None


def _moving(f: Facts, status: RolloutStatus, steps: tuple[Step, ...], move: Motion) -> Decision:
    """Pods are waited for, with a deadline, or traffic, which is in others' hands and has none."""
    if move.missing == 0:
        decision = _made(move, replace(status, waiting=None), waits.traffic(move.traffic))
        return replace(decision, runs=verdicts.running(f, decision.status, steps))
    status = replace(status, waiting=_waiting(f, status.waiting, move.missing))
    since = status.waiting.since if status.waiting else f.now
    rest = clock.left(since, timedelta(seconds=f.spec.progress_deadline_seconds), f.now)
    if rest <= timedelta() and f.stable is not None:
        return _act(f, verdicts.fail(f, status, waits.late(f, move)), steps)
    decision = _made(move, status, waits.pods(f, move), rest if rest > timedelta() else None)
    return replace(decision, runs=verdicts.running(f, status, steps))


def _waiting(f: Facts, before: Waiting | None, missing: int) -> Waiting:
    """Progress is fewer missing than ever since; pods that come and go again are none."""
    if before is None or before.replicas != f.replicas or missing < before.missing:
        return Waiting(f.now, missing, f.replicas)
    return before


def _back(f: Facts, status: RolloutStatus) -> Decision:
    status = replace(status, weight=0, waiting=None)
    move = motion.stopped(f) if f.suspended else motion.back(f, status)
    gone = f.candidate.gone if f.suspended else move.done
    if gone:
        return replace(_made(move, status, Wait(WaitsFor.NOTHING)), transition=Transition.ROLL_BACK)
    delay = move.delay if move.delay > timedelta() else None
    return _made(move, status, waits.rollback(f, status, move), delay)


def _made(move: Motion, status: RolloutStatus, wait: Wait, after: timedelta | None = None) -> Decision:
    seconds = None if after is None else after.total_seconds()
    return Decision(
        move.stable, move.candidate, move.traffic, status, wait=wait, requeue_after=seconds, lands=move.lands
    )
