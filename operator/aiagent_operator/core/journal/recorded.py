"""Which records of an agent its events are about: they are kept, since they may be gone when the agent leaves."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from aiagent_operator.core.children import revision
from aiagent_operator.core.journal.event import Event
from aiagent_operator.core.journal.kinds import Kind
from aiagent_operator.core.objects import AgentIdentity, ChildKind, ObjectKey

_REVISED: Final = (Kind.REVISED, Kind.TRAINED, Kind.TRAINING_FAILED)
JUDGED: Final = (Kind.EVALUATED, Kind.REVIEWED)
"""Events that tell of a verdict, and name the AgentEvaluation that it is of."""


def orders(found: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """UIDs of the AgentActions that the data of events names, each once, in the order in which they come."""
    named: dict[str, None] = {}
    for data in found:
        for value in (data.get("order"), *_several(data.get("orders")), *_several(data.get("overruled"))):
            if isinstance(value, str) and value:
                named[value] = None
    return tuple(named)


def _several(value: object) -> Sequence[object]:
    return value if isinstance(value, list | tuple) else ()


def records(agent: AgentIdentity, events: Iterable[Event], training: Collection[int]) -> frozenset[ObjectKey]:
    """The AgentRevisions that are all that they will be since these events, and the AgentEvaluations with a verdict.

    `training`: numbers of those that are in training still, and get what they are from that.
    """
    found = set()
    for event in events:
        if event.kind in _REVISED and event.data["revision"] not in training:
            found.add(revision.key_of(agent, event.data["revision"]))
        elif event.kind in JUDGED and event.data.get("evaluation"):
            name = event.data["evaluation"]
            found.add(ObjectKey(ChildKind.AGENT_EVALUATION, agent.namespace, name))
    return frozenset(found)
