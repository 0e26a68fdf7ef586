"""Which verdicts of evaluations are told already: an AgentEvaluation is an object of its own, so no status differs.

Its mark is in the agent's status, noted together with the event. Reviews and bias audits are told from the status.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Final

from aiagent_operator.api.agentevaluation import Purpose
from aiagent_operator.core.journal.event import Event
from aiagent_operator.core.journal.kinds import Kind
from aiagent_operator.core.objects import Child

MOST_AT_ONCE: Final = 32
"""Verdicts that are told in one turn: those of an agent that had many before it had a journal find room in several."""

_TOLD_OTHERWISE: Final = (Purpose.REVIEW, Purpose.BIAS_AUDIT)
# Of a UUID: enough to tell the evaluations of one agent apart.
_MARK: Final = 13


def fresh(children: Iterable[Child], told: Collection[str]) -> tuple[Child, ...]:
    """Evaluations whose verdict is there and not told yet, by name; `told` are marks."""
    found = (child for child in _completed(children) if _mark(child) not in told)
    return tuple(sorted(found, key=lambda child: child.key.name)[:MOST_AT_ONCE])


def marks(children: Iterable[Child], told: Collection[str], news: Iterable[Child]) -> tuple[str, ...]:
    """The marks of all that are told, with these, as far as they still exist."""
    now = {*told, *map(_mark, news)}
    return tuple(sorted(now & set(map(_mark, _completed(children)))))


def event(child: Child, now: datetime) -> Event:
    """That an evaluation came to its verdict. Its cause is the evaluation: no other turn tells of it."""
    its = child.evaluation
    if its is None:
        raise ValueError(f"{child.key} is no evaluation")
    what = {"evaluation": child.key.name, "name": its.name, "revision": its.revision, "phase": its.phase.value}
    data = {**what, "purpose": its.purpose.value if its.purpose else None, "role": its.role or None}
    return Event(Kind.EVALUATED, f"evaluation/{child.uid}", now, data)


def _completed(children: Iterable[Child]) -> Iterable[Child]:
    for child in children:
        its = child.evaluation
        if its is not None and its.phase.completed and its.purpose not in _TOLD_OTHERWISE:
            yield child


def _mark(child: Child) -> str:
    return child.uid[:_MARK]
