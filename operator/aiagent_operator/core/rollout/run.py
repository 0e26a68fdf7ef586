"""One evaluation that a rollout asks for, and whose verdict it goes by."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Run:
    """One evaluation of the rollout: of a step, or in the background (`step` is None).

    `round` counts the beginnings of the rollout: after a change of its steps, or a suspension, runs are new ones.
    """

    name: str
    step: int | None = None
    round: int = 0

    @property
    def key(self) -> str:
        """Under which name a person's decision about its verdict is kept, in whatever round."""
        return f"analysis {self.name}" if self.step is None else f"step {self.step}: {self.name}"
