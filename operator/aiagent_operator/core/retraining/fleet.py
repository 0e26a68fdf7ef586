"""Which of the agents that are to be trained may start now, in the whole fleet.

Computed from the agents' views, that is from what trains and who waits. Decide, start, and decide again from what is
there then: a crash between two starts has started fewer, never more, and the others keep their places.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from aiagent_operator.core.cadence import fleet
from aiagent_operator.core.cadence.fleet import Slots, Waiting
from aiagent_operator.core.retraining.due import Hold, InTraining, Start, View, Wait


@dataclass(frozen=True, slots=True)
class Starts:
    """Who may start now, oldest due first, and what each of the others that are to be trained waits for, by UID."""

    start: tuple[str, ...]
    wait: Mapping[str, Wait]


def starts(agents: Iterable[View]) -> Starts:
    """Gives out the slots. `agents` are all agents, those included that train now: they hold slots."""
    views = tuple(agents)
    slots = {found.policy: found for found in _slots(views)}
    due = [Waiting(view.uid, view.step.since) for view in views if isinstance(view.step, Start)]
    admitted = fleet.admit(due, [slots[name] for name in sorted(slots)])
    return Starts(admitted.start, {queued.uid: _wait(slots[queued.policy]) for queued in admitted.queued})


def _slots(views: Iterable[View]) -> Iterable[Slots]:
    most: dict[str, int] = {}
    members: dict[str, set[str]] = {}
    running: dict[str, int] = {}
    for view in views:
        for limit in view.limits:
            most[limit.policy] = min(limit.most, most.get(limit.policy, limit.most))
            members.setdefault(limit.policy, set()).add(view.uid)
            running[limit.policy] = running.get(limit.policy, 0) + isinstance(view.step, InTraining)
    for policy, allowed in most.items():
        yield Slots(policy, allowed, running[policy], frozenset(members[policy]))


def _wait(slots: Slots) -> Wait:
    """Without the numbers of those that train or wait: else each start would change the status of all that wait."""
    return Wait(
        Hold.SLOT,
        f'waits for a slot: AgentPolicy "{slots.policy}" lets {slots.most} train at once; who is due longest is next',
    )
