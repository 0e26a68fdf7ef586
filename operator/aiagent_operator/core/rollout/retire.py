"""The pods of the former stable revision, after a promotion."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from aiagent_operator.api.rollout import SCALE_DOWN_DELAY, RolloutSpec
from aiagent_operator.core.rollout import clock, motion, traffic
from aiagent_operator.core.rollout.decision import Traffic
from aiagent_operator.core.rollout.facts import Pods


@dataclass(frozen=True, slots=True)
class Retirement:
    """How many pods the former revision keeps for now; `requeue_after` is in seconds."""

    replicas: int
    requeue_after: float | None = None


def retire(
    *,
    spec: RolloutSpec,
    former: Pods,
    stable: Pods,
    replicas: int,
    promoted_at: datetime,
    observed: Traffic | None,
    now: datetime,
) -> Retirement:
    """What to ask for of a revision that `stable` has followed, when the agent wants so many replicas.

    Its pods go when nobody sends them requests any more: traffic is observed to be the new one's, and the delay, which
    others need to learn of that, has passed. None goes while the new one's ready pods do not make up for it.
    """
    if replicas == 0:
        return Retirement(0)
    kept = min(former.wanted, max(0, min(former.serving, replicas - stable.serving)))
    if not motion.routed(spec):
        return Retirement(kept)
    if observed != traffic.steady(spec, stable.revision):
        return Retirement(former.wanted)
    seconds = SCALE_DOWN_DELAY if spec.scale_down_delay_seconds is None else spec.scale_down_delay_seconds
    rest = clock.left(min(promoted_at, now), timedelta(seconds=seconds), now)
    if rest > timedelta() and former.wanted:
        return Retirement(former.wanted, rest.total_seconds())
    return Retirement(kept)
