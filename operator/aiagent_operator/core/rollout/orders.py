"""Orders about a rollout: each acts once, on what the rollout stands at when it is first seen.

A Promote that finds nothing to release fails, instead of releasing a pause that comes later and that nobody has seen.
"""

from __future__ import annotations

from dataclasses import replace

from aiagent_operator.api.rolloutstatus import MOST_ORDERS, PausedFor
from aiagent_operator.core.rollout import verdicts
from aiagent_operator.core.rollout.course import Analysed, Evaluate, Pause, Step
from aiagent_operator.core.rollout.decision import Carried, RolloutStatus
from aiagent_operator.core.rollout.facts import Facts, OrderKind, RolloutOrder

_RANK = (OrderKind.ABORT, OrderKind.PROMOTE_FULL, OrderKind.PROMOTE)
_HELD = (PausedFor.FAILED, PausedFor.INCONCLUSIVE)


def apply(f: Facts, status: RolloutStatus, steps: tuple[Step, ...]) -> RolloutStatus:
    """The status after all new orders. Abort comes before Promote; several of a kind are one.

    More than can be remembered wait until others are finished: one that is forgotten would act twice.
    """
    known = {carried.uid for carried in status.orders}
    there = {order.uid for order in f.orders}
    kept = tuple(carried for carried in status.orders if carried.uid in there)
    new = sorted((order for order in f.orders if order.uid not in known), key=lambda order: _RANK.index(order.kind))
    new = new[: MOST_ORDERS - len(kept)]
    carried: list[Carried] = []
    for kind in _RANK:
        if same := sorted((order for order in new if order.kind is kind), key=lambda order: order.uid):
            status, done, text = _one(f, status, steps, same[0])
            carried += [Carried(order.uid, done, text) for order in same]
    return replace(status, orders=(*kept, *carried))


def _one(
    f: Facts, status: RolloutStatus, steps: tuple[Step, ...], order: RolloutOrder
) -> tuple[RolloutStatus, bool, str]:
    if f.stable is None:
        text = "there is no earlier revision to go back to, and nothing to promote over: suspend the agent to stop it"
        return status, False, text
    if status.aborted_at is not None:
        done = order.kind is OrderKind.ABORT
        return status, done, f"{f.candidate.kind} {f.candidate.name} is already being rolled back: {status.reason}"
    if order.kind is OrderKind.ABORT:
        return verdicts.abort(f, status, order.text), True, f"{f.candidate.kind} {f.candidate.name} is rolled back"
    if f.suspended:
        return status, False, "the agent is suspended, and its rollout with it: resume it, then order Promote again"
    if order.kind is OrderKind.PROMOTE_FULL:
        full = replace(status, full=True, paused_for=None, paused_by=(), reason="", waiting=None)
        return full, True, "all remaining steps and evaluations are passed over"
    return _promoted(f, status, steps)


def _promoted(f: Facts, status: RolloutStatus, steps: tuple[Step, ...]) -> tuple[RolloutStatus, bool, str]:
    step = steps[min(status.step, len(steps) - 1)]
    if status.paused_for in _HELD:
        return _overruled(f, status, steps), True, f"went on in spite of it: {status.reason}"
    if f.held:
        text = f"{f.held}; order it again when this is over, or with full to pass over all that is left"
        return status, False, f"step {status.step} stays the last one that begins: {text}"
    if status.step_started_at is not None and isinstance(step, Pause):
        return _next(status), True, f"the pause of step {status.step} is over"
    if status.step_started_at is not None and isinstance(step, Analysed):
        keys = [run.key for run in verdicts.background(f, status)]
        return _next(_released(status, keys)), True, "went on without waiting for the analysis"
    what = "an evaluation" if isinstance(step, Evaluate) and status.step_started_at else "pods or traffic"
    text = (
        f"there is no pause to release at step {status.step}, which waits for {what}: order it again when it is "
        "paused, or with full to pass over all that is left"
    )
    return status, False, text


def _overruled(f: Facts, status: RolloutStatus, steps: tuple[Step, ...]) -> RolloutStatus:
    """A person has seen the verdicts that there are, and goes on: none of these stops the rollout again."""
    judged = (run for run in verdicts.running(f, status, steps) if f.verdicts.get(run) in verdicts.FINAL)
    keys = [*status.paused_by, *(run.key for run in judged)]
    return replace(_released(status, keys), paused_for=None, paused_by=(), reason="", waiting=None)


def _released(status: RolloutStatus, keys: list[str]) -> RolloutStatus:
    return replace(status, released=tuple(dict.fromkeys((*status.released, *keys))))


def _next(status: RolloutStatus) -> RolloutStatus:
    return replace(status, step=status.step + 1, step_started_at=None, paused_for=None)
