"""What a weight asks for next, of pods and of traffic."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from aiagent_operator.core.rollout.decision import Traffic


@dataclass(frozen=True, slots=True)
class Motion:
    """The next replicas and traffic. `missing` pods have to come or go; `moved`: the traffic is observed as wanted."""

    stable: int
    candidate: int
    traffic: Traffic
    missing: int = 0
    moved: bool = True
    delay: timedelta = timedelta()
    """How long pods are still kept that get no traffic any more."""
    lands: bool = False
    """The adopted target is to have the candidate's work."""

    @property
    def done(self) -> bool:
        """Whether the weight is in effect."""
        return self.missing == 0 and self.moved and self.delay <= timedelta()
