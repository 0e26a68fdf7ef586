"""Which of the agents that are due may start now, so that no policy has more trainings at once than it allows.

Computed from what runs and who waits; there is no queue that a restart could lose.

Oldest due first, and of equals by UID. An agent needs a slot in each policy that selects it. One that waits for a slot
in one policy must not be overtaken for ever in the others by younger agents that need less: so the oldest agent that
waits for a full policy keeps a free slot in its other policies until its turn comes. A policy keeps at most one for
each other policy; so slots stay in use, and nobody waits longer than the trainings that run and the agents before it
take.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Waiting:
    """An agent that is due."""

    uid: str
    since: datetime

    @property
    def order(self) -> tuple[datetime, str]:
        """Oldest first, equals by UID."""
        return self.since, self.uid


@dataclass(frozen=True, slots=True)
class Slots:
    """How many agents of a policy may be in training at once, and how many are."""

    policy: str
    most: int
    """maxConcurrent; 0 stops training."""
    running: int
    members: frozenset[str]
    """UIDs of the agents that the policy selects."""


@dataclass(frozen=True, slots=True)
class Queued:
    """An agent that has to wait, and the policy in which there is no slot for it."""

    uid: str
    policy: str
    before: int
    """How many agents that are due longer wait for that policy too."""


@dataclass(frozen=True, slots=True)
class Admission:
    """Who may start now, oldest first, and who waits for what."""

    start: tuple[str, ...]
    queued: tuple[Queued, ...]


def admit(due: Iterable[Waiting], policies: Sequence[Slots]) -> Admission:
    """Gives out the free slots. More running than allowed (a limit was lowered) stops nothing, and starts nothing."""
    free = {slots.policy: max(0, slots.most - slots.running) for slots in policies}
    stopped = {slots.policy for slots in policies if slots.most <= 0}
    waiting = dict.fromkeys(free, 0)
    claimed: set[str] = set()
    start: list[str] = []
    queued: list[Queued] = []
    for agent in sorted(due, key=lambda waiting: waiting.order):
        mine = [slots.policy for slots in policies if agent.uid in slots.members]
        full = [policy for policy in mine if not free[policy]]
        if full:
            queued.append(Queued(agent.uid, full[0], waiting[full[0]]))
            for policy in full:
                waiting[policy] += 1
            # A stopped policy may stay so for weeks: who waits for it keeps nothing from others.
            if stopped.intersection(mine) or claimed.issuperset(full):
                continue
            claimed.update(full)
        else:
            start.append(agent.uid)
        for policy in mine:
            free[policy] = max(0, free[policy] - 1)
    return Admission(tuple(start), tuple(queued))
