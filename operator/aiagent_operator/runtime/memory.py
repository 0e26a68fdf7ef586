"""What a pass over an agent leaves for the next one, and what the API server does not keep."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Final

from aiagent_operator.core.objects import ObjectKey
from aiagent_operator.core.plan import Failure

# Seconds that pods may take before the operator looks for the reason; it looks again after twice as long each time.
_PODS_GRACE: Final = 10.0
PODS_MOST: Final = 320.0
"""Seconds between two such looks at most."""


@dataclass(slots=True)
class Memory:
    """What a pass leaves. Losing it costs a look or a repeated refusal, nothing else."""

    failures: dict[ObjectKey, tuple[Failure, float]] = field(default_factory=dict)
    look_at: float | None = None
    look_after: float = _PODS_GRACE
    problems: tuple[str, ...] = ()

    def current(self) -> dict[ObjectKey, Failure]:
        """Failures that are not yet to be tried again."""
        now = time.monotonic()
        self.failures = {key: entry for key, entry in self.failures.items() if entry[1] > now}
        return {key: failure for key, (failure, _) in self.failures.items()}

    def forget_pods(self) -> None:
        """Nothing is to be looked for among the pods any more."""
        self.look_at, self.look_after, self.problems = None, _PODS_GRACE, ()
