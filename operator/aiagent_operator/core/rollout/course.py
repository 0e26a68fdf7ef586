"""The spec of any strategy as one list of steps, so that all go the same way."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from aiagent_operator.api import durations
from aiagent_operator.api.rollout import RolloutSpec, Strategy
from aiagent_operator.api.rollout import Step as Written
from aiagent_operator.core.objects import digest


@dataclass(frozen=True, slots=True)
class Weight:
    """The candidate gets this share, in percent; done when it is in effect."""

    weight: int


@dataclass(frozen=True, slots=True)
class Pause:
    """Stand still for a time; None: until a person says Promote."""

    duration: timedelta | None


@dataclass(frozen=True, slots=True)
class Evaluate:
    """Go on when this evaluation is Successful."""

    name: str


@dataclass(frozen=True, slots=True)
class Analysed:
    """Go on when each evaluation in the background is Successful."""


Step = Weight | Pause | Evaluate | Analysed
EVERYTHING = Weight(100)


def course(spec: RolloutSpec) -> tuple[Step, ...]:
    """All steps. The last one gives everything to the candidate, whether it is written or not."""
    if spec.strategy is Strategy.CANARY:
        steps = tuple(_step(step) for step in spec.steps)
        return steps if steps and steps[-1] == EVERYTHING else (*steps, EVERYTHING)
    if spec.strategy is Strategy.RECREATE or spec.blue_green is None:
        return (EVERYTHING,)
    gate: tuple[Step, ...] = (Analysed(),) if spec.analysis else ()
    return (Weight(0), *_promotion(spec), *gate, EVERYTHING)


def _promotion(spec: RolloutSpec) -> tuple[Step, ...]:
    active = spec.blue_green
    if active is None or (active.auto_promotion_enabled and active.auto_promotion_seconds is None):
        return ()
    seconds = active.auto_promotion_seconds
    return (Pause(timedelta(seconds=seconds) if seconds is not None and active.auto_promotion_enabled else None),)


def _step(step: Written) -> Step:
    if step.weight is not None:
        return Weight(step.weight)
    if step.evaluation is not None:
        return Evaluate(step.evaluation.name)
    if step.pause is None or step.pause.duration is None:
        return Pause(None)
    return Pause(_duration(step.pause.duration))


def _duration(text: str) -> timedelta:
    """A pause longer than any that can be used is as good as the longest: Promote ends it too."""
    try:
        return durations.parse(text, "duration")
    except durations.DurationError:
        return durations.LONGEST


def weight_at(steps: tuple[Step, ...], index: int) -> int:
    """The weight that holds at a step: that of the last one up to it; 0 before the first."""
    weights = [step.weight for step in steps[: index + 1] if isinstance(step, Weight)]
    return weights[-1] if weights else 0


def fingerprint(spec: RolloutSpec) -> str:
    """Digest of what a step's number and a weight mean. Where it changes, the rollout begins anew."""
    whole = spec.model_dump(mode="json", include={"strategy", "steps", "traffic_routing", "blue_green"})
    return digest(whole)[:16]
