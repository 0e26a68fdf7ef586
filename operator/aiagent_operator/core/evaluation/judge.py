"""Judging one measurement against its bounds, with exact numbers.

A bound that is broken makes it Failed, whatever else is unknown. Else it is Inconclusive where a value is not a finite
number: an infinite one can break a bound, but nothing should rest on its keeping one.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from aiagent_operator.api.agentevaluation import Phase
from aiagent_operator.api.evaluation import Metric
from aiagent_operator.core.evaluation.numbers import written


@dataclass(frozen=True, slots=True)
class Judged:
    """What becomes of a measurement, and why; without a message where there is nothing to say."""

    phase: Phase
    message: str = ""


def judge(metric: Metric, value: Decimal, stable: Decimal | None = None) -> Judged:
    """The verdict on a value. `stable` is that of the stable revision; None where there is none to compare with."""
    if value.is_nan():
        return Judged(Phase.INCONCLUSIVE, "the value is NaN, which is no number: nothing was counted, or 0 / 0")
    compared = None if stable is None or not stable.is_finite() else stable
    if broken := [*_absolute(metric, value), *_relative(metric, value, compared)]:
        return Judged(Phase.FAILED, "; ".join(broken))
    if value.is_infinite():
        return Judged(Phase.INCONCLUSIVE, f"the value is {written(value)}: an infinite value keeps no bound")
    if relative(metric) and stable is not None and not stable.is_finite():
        text = f"the stable revision's value is {written(stable)}: it cannot be compared with"
        return Judged(Phase.INCONCLUSIVE, text)
    if relative(metric) and stable is None:
        return Judged(Phase.SUCCESSFUL, "there is no stable revision to compare with")
    return Judged(Phase.SUCCESSFUL)


def relative(metric: Metric) -> bool:
    """Whether the metric is compared with the stable revision."""
    return metric.max_decrease is not None or metric.max_increase is not None


def _absolute(metric: Metric, value: Decimal) -> list[str]:
    broken = []
    if metric.min is not None and value < Decimal(metric.min):
        broken.append(f"{written(value)} is below min {metric.min}")
    if metric.max is not None and value > Decimal(metric.max):
        broken.append(f"{written(value)} is above max {metric.max}")
    return broken


def _relative(metric: Metric, value: Decimal, stable: Decimal | None) -> list[str]:
    if stable is None:
        return []
    broken = []
    if metric.max_decrease is not None and _further(stable, value, metric.max_decrease):
        broken.append(
            f"{written(value)} is more than maxDecrease {metric.max_decrease} below the stable revision's "
            f"{written(stable)}"
        )
    if metric.max_increase is not None and _further(value, stable, metric.max_increase):
        broken.append(
            f"{written(value)} is more than maxIncrease {metric.max_increase} above the stable revision's "
            f"{written(stable)}"
        )
    return broken


def _further(high: Decimal, low: Decimal, difference: str) -> bool:
    """Whether `high` is above `low` by more than the difference, exactly: decimals would be rounded to 28 digits."""
    if high.is_infinite() or low.is_infinite():
        return high > low
    return Fraction(high) - Fraction(low) > Fraction(difference)
