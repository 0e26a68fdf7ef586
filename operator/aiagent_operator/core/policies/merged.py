"""What several policies demand of one agent together: the strictest of each, and which policy it is from.

Strict is:

- of ages the shorter one. Age and grace of a policy belong together: an agent is suspended when the grace of a policy
  that suspends has passed, not when the age of one policy and the grace of another have.
- of limits on training all of them: each window, each number of trainings at once.
- of evaluations each that any policy names.
- of the history the longer one. A revision that is removed does not come back, neither to be served again nor to be
  asked about, while one too many costs a few kilobytes. So a policy says what is kept at least.
- of curricula each, as the policy's own.
- of retentions the longer one, as of the history; so too of the times after which an agent may be abandoned.
- of archive stores each: where they differ, nobody chooses among them (see `journal.place`).
- a policy that cannot be read (see `compiled`) holds trainings, promotions and removals back.

Merging is a join: the order of policies does not matter, nor how often one is counted, and one more only adds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import reduce
from typing import Generic, TypeVar

from aiagent_operator.api.curriculum import MOST_CURRICULA
from aiagent_operator.api.durations import format_duration
from aiagent_operator.core.cadence.due import Cadence
from aiagent_operator.core.cadence.windows import PolicyWindows
from aiagent_operator.core.objects import Curricula
from aiagent_operator.core.policies.compiled import CompiledPolicy, Subject

T = TypeVar("T")


@dataclass(frozen=True, slots=True, order=True)
class Source:
    """Who demands it: a policy by its name, or (empty) the agent's own `spec.retraining`."""

    policy: str = ""

    def __str__(self) -> str:
        return f'AgentPolicy "{self.policy}"' if self.policy else "spec.retraining"


OWN = Source()


@dataclass(frozen=True, slots=True)
class Strictest(Generic[T]):
    """A value, and all who demand just it, in the order of their names."""

    value: T
    sources: tuple[Source, ...]

    def __str__(self) -> str:
        value = format_duration(self.value) if isinstance(self.value, timedelta) else str(self.value)
        return f"{value} of {' and '.join(map(str, self.sources))}"


@dataclass(frozen=True, slots=True)
class Limit:
    """How many agents of a policy may train at once."""

    policy: str
    most: int


@dataclass(frozen=True, slots=True)
class Broken:
    """A policy that cannot be read."""

    policy: str
    problem: str

    def __str__(self) -> str:
        return f'AgentPolicy "{self.policy}" cannot be read, so nothing that it may forbid is done: {self.problem}'


@dataclass(frozen=True, slots=True)
class Merged:
    """What holds for one agent. Ages count from its last successful training.

    `max_age`: from then on it is due and overdue. `beyond`: from then on it is overdue beyond its grace. `suspends`:
    from then on it is suspended. `history`: superseded revisions to keep at least. `names`: all policies that select
    it, also those that demand nothing. `curricula`: what they have it taught, of the first by name. `stores`: where its
    journal is to be. `retention`: how long its archive is kept at least. `abandon_after`: how long after the end of its
    rights it may be released without an archive. `handover`: how long it waits for its successor; `waits`: who has it
    wait on after that.
    """

    max_age: Strictest[timedelta] | None = None
    beyond: Strictest[timedelta] | None = None
    suspends: Strictest[timedelta] | None = None
    windows: tuple[PolicyWindows, ...] = ()
    limits: tuple[Limit, ...] = ()
    evaluations: tuple[Strictest[str], ...] = ()
    history: Strictest[int] | None = None
    curricula: Curricula = ()
    stores: tuple[Strictest[str], ...] = ()
    retention: Strictest[timedelta] | None = None
    abandon_after: Strictest[timedelta] | None = None
    broken: tuple[Broken, ...] = ()
    names: tuple[str, ...] = ()
    handover: Strictest[timedelta] | None = None
    waits: tuple[Source, ...] = ()

    @classmethod
    def of(cls, policy: CompiledPolicy) -> Merged:
        """What one policy demands."""
        source = (Source(policy.name),)
        fresh = policy.freshness
        beyond = Strictest(fresh.max_age + fresh.grace, source) if fresh else None
        return cls(
            max_age=Strictest(fresh.max_age, source) if fresh else None,
            beyond=beyond,
            suspends=beyond if fresh and fresh.suspends else None,
            windows=(policy.windows,) if policy.windows.windows else (),
            limits=() if policy.most is None else (Limit(policy.name, policy.most),),
            evaluations=tuple(Strictest(name, source) for name in sorted(policy.evaluations)),
            history=None if policy.history is None else Strictest(policy.history, source),
            curricula=((policy.name, policy.curriculum),) if policy.curriculum else (),
            stores=(Strictest(policy.store, source),) if policy.store else (),
            retention=None if policy.retention is None else Strictest(policy.retention, source),
            abandon_after=None if policy.abandon_after is None else Strictest(policy.abandon_after, source),
            broken=(Broken(policy.name, policy.problem),) if policy.problem else (),
            names=(policy.name,),
            handover=None if policy.handover is None else Strictest(policy.handover, source),
            waits=() if policy.handover is None or policy.releases else source,
        )

    @classmethod
    def own(cls, cadence: Cadence) -> Merged:
        """What the agent itself promises. Breaking it is announced, and suspends nobody."""
        if cadence.max_age is None:
            return cls()
        return cls(
            max_age=Strictest(cadence.max_age, (OWN,)), beyond=Strictest(cadence.max_age + cadence.grace, (OWN,))
        )

    def join(self, other: Merged) -> Merged:
        """What both demand."""
        return Merged(
            max_age=_strictest(self.max_age, other.max_age, min),
            beyond=_strictest(self.beyond, other.beyond, min),
            suspends=_strictest(self.suspends, other.suspends, min),
            windows=_union(self.windows, other.windows, lambda windows: windows.policy),
            limits=_union(self.limits, other.limits, lambda limit: limit.policy),
            evaluations=_each((*self.evaluations, *other.evaluations)),
            history=_strictest(self.history, other.history, max),
            curricula=tuple(sorted({*self.curricula, *other.curricula}))[:MOST_CURRICULA],
            stores=_each((*self.stores, *other.stores)),
            retention=_strictest(self.retention, other.retention, max),
            abandon_after=_strictest(self.abandon_after, other.abandon_after, max),
            broken=_union(self.broken, other.broken, lambda broken: broken.policy),
            names=tuple(sorted({*self.names, *other.names})),
            handover=_strictest(self.handover, other.handover, max),
            waits=tuple(sorted({*self.waits, *other.waits})),
        )

    @property
    def readable(self) -> bool:
        """Whether all policies could be read; else nothing is trained, promoted, or removed from the history."""
        return not self.broken

    def cadence(self, own: Cadence) -> Cadence:
        """The agent's own cadence, with the promise that holds."""
        both = self.join(Merged.own(own))
        if both.max_age is None or both.beyond is None:
            return own
        grace = both.beyond.value - both.max_age.value
        return Cadence(own.plan, both.max_age.value, grace, own.spread, own.backoff)


NOTHING = Merged()
"""What no policy demands."""


def merge(policies: Iterable[CompiledPolicy], subject: Subject) -> Merged:
    """What the policies that select the agent demand together."""
    return reduce(Merged.join, (Merged.of(policy) for policy in policies if policy.scope.covers(subject)), NOTHING)


def _strictest(
    one: Strictest[T] | None, other: Strictest[T] | None, stricter: Callable[[T, T], T]
) -> Strictest[T] | None:
    if one is None or other is None:
        return one or other
    value = stricter(one.value, other.value)
    return Strictest(value, _sources(found for found in (one, other) if found.value == value))


def _sources(found: Iterable[Strictest[T]]) -> tuple[Source, ...]:
    return tuple(sorted({source for strictest in found for source in strictest.sources}))


def _union(one: tuple[T, ...], other: tuple[T, ...], name: Callable[[T], str]) -> tuple[T, ...]:
    return tuple(sorted({*one, *other}, key=name))


def _each(found: tuple[Strictest[str], ...]) -> tuple[Strictest[str], ...]:
    return tuple(
        Strictest(name, _sources(each for each in found if each.value == name))
        for name in sorted({each.value for each in found})
    )
