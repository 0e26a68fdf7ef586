"""Drift: what one measurement makes of what was known before.

Beyond the bound from one measurement to another that is `for` later, without one within it between them, is drift. It
ends at the recovery bound. A measurement without a number changes neither, it is only said. Each step depends on the
measurement and on what stands in the status, and taking the same measurement twice is taking it once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from aiagent_operator.api.agentevaluation import Measurement, Phase
from aiagent_operator.api.drift import Drift, DriftState, DriftStatus, Unmeasured
from aiagent_operator.api.durations import parse
from aiagent_operator.api.evaluation import Metric
from aiagent_operator.core.evaluation.asking import Asking
from aiagent_operator.core.objects import digest

FIELD = "spec.supervision.drift"


@dataclass(frozen=True, slots=True)
class Rule:
    """When it is drift, and when it has ended. `interval` is the time between two measurements."""

    drift: Drift
    lasts: timedelta
    interval: timedelta

    @classmethod
    def of(cls, drift: Drift) -> Rule:
        """Reads the durations. Raises DurationError, which names the field."""
        return cls(
            drift,
            parse(drift.for_, f"{FIELD}.for"),
            parse(drift.interval, f"{FIELD}.interval", least=timedelta(seconds=1)),
        )

    @property
    def metric(self) -> Metric:
        """What is measured: beyond the bound it is Failed."""
        return Metric(name="drift", query=self.drift.query, min=self.drift.min, max=self.drift.max)

    @property
    def digest(self) -> str:
        """What it is about: with another query, bound or server, what was measured before says nothing."""
        its = self.drift
        return digest([its.query, its.min, its.max, its.recovery, its.prometheus.address])[:10]

    def recovered(self, value: Decimal) -> bool:
        """Whether a value within the bound ends drift."""
        its = self.drift
        if its.recovery is None:
            return True
        return value >= Decimal(its.recovery) if its.max is None else value <= Decimal(its.recovery)


@dataclass(frozen=True, slots=True)
class Seen:
    """Drift of one agent as it stands. `bound`: which one is crossed, in words.

    `asking`: what is to be measured now, or has been and is remembered for as long. `due`: seconds until the next.
    """

    status: DriftStatus
    bound: str
    asking: Asking | None = None
    due: float | None = None

    @property
    def wire(self) -> dict[str, object] | None:
        """status.drift; None where there is nothing to say."""
        if self.status.state is None and self.status.unmeasured is None:
            return None
        return self.status.model_dump(mode="json", by_alias=True, exclude_none=True)


def bound(drift: Drift) -> str:
    """The bound, in words that follow a value."""
    return f"below min {drift.min}" if drift.max is None else f"above max {drift.max}"


def recovery(drift: Drift) -> str:
    """Where drift ends, in words."""
    value = drift.recovery or drift.max or drift.min
    return f"at {value} or {'above' if drift.max is None else 'below'}"


def after(before: DriftStatus, rule: Rule, measured: Measurement) -> DriftStatus:
    """What is known after a measurement."""
    at = measured.finished_at or ""
    if measured.phase not in (Phase.SUCCESSFUL, Phase.FAILED):
        # The first failure stays, so that a server that is down for a night costs one write.
        why = Unmeasured(since=at, message=measured.message or "no number")
        return before if before.unmeasured else before.model_copy(update={"unmeasured": why})
    beyond = measured.phase is Phase.FAILED
    known = before.model_copy(update={"unmeasured": None})
    if before.state is DriftState.DRIFTING:
        over = not beyond and rule.recovered(Decimal(measured.value or "NaN"))
        return nothing(before) if over else known
    if not beyond:
        return nothing(before)
    since = before.since or at
    if _time(at) - _time(since) < rule.lasts:
        value = before.value or measured.value
        return known.model_copy(update={"state": DriftState.CROSSED, "since": since, "value": value})
    new = {"state": DriftState.DRIFTING, "since": since, "detected": at, "value": measured.value}
    return known.model_copy(update=new)


def nothing(before: DriftStatus) -> DriftStatus:
    """Measured, and no drift."""
    return DriftStatus(digest=before.digest, training=before.training)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
