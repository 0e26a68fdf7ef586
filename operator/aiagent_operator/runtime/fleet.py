"""Who of all agents may be trained now, and how each policy stands: computed from what was last seen of each agent.

An agent that is to be trained asks here at each pass whether it has a slot in each policy that limits it. What it is
given is held for it until its next passes show that it trains, or no longer wants to: so nothing is given twice while
the record of a training is on its way. A restart forgets what was given and loses nothing, since who trains is seen in
what exists; no slot is given before every agent was looked at once.

Thousands of agents may come due in the same minute. So it is computed once for all changes of a moment, and takes a
tenth of the time at most. One event loop uses it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from aiagent_operator.core.cadence.promise import Kept
from aiagent_operator.core.policies.merged import Limit, Merged
from aiagent_operator.core.retraining import fleet
from aiagent_operator.core.retraining.due import Hold, InTraining, Start, View, Wait
from aiagent_operator.runtime.policies import PolicyKey
from aiagent_operator.runtime.store import AgentKey, Key

# Seconds from a change to what follows from it, and what share of the time that may take.
_PAUSE, _SHARE = 0.3, 0.1
# Passes that an agent may make with a slot and without a training, and seconds for which others go before it then.
_UNUSED, _ASIDE = 3, 600.0
_ASIDE_WAIT: Final = Wait(
    Hold.SLOT,
    "had a slot and did not begin, so that others go first for some minutes: its other conditions say what is wrong",
)

Later = Callable[[float, Callable[[], None]], object]


class Counts(NamedTuple):
    """Agents that a policy selects, those of them that train, and those that are overdue."""

    agents: int = 0
    training: int = 0
    overdue: int = 0


@dataclass(frozen=True, slots=True)
class _Entry:
    """What was last seen of an agent; `policies` are those that select it."""

    view: View
    policies: tuple[str, ...]

    @property
    def mark(self) -> tuple[object, ...]:
        """All of it that anything here depends on."""
        view, step = self.view, self.view.step
        since = step.since if isinstance(step, Start) else None
        return view.uid, type(step), since, view.limits, self.policies, isinstance(view.promise, Kept)


@dataclass(slots=True)
class _Given:
    """A slot in each policy of `limits`, and how many passes have made nothing of it."""

    limits: tuple[Limit, ...]
    unused: int = 0


class Fleet:
    """Gives out slots. `notify` is called with each agent that got one or waits for another policy now, and with each
    policy whose numbers have changed. `bare` says what is true of an agent that could not be decided about."""

    def __init__(
        self,
        notify: Callable[[Key], None],
        bare: Callable[[AgentKey], tuple[View | None, tuple[str, ...]]],
        *,
        later: Later | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._notify, self._bare, self._clock = notify, bare, clock
        self._later = later or (lambda seconds, call: asyncio.get_running_loop().call_later(seconds, call))
        self._entries: dict[AgentKey, _Entry] = {}
        self._expected: set[AgentKey] | None = None
        self._given: dict[str, _Given] = {}
        self._aside: dict[str, float] = {}
        self._waits: Mapping[str, Wait] = {}
        self._counts: Mapping[str, Counts] | None = None
        self._asked: set[str] = set()
        self._armed = False
        self._pause = _PAUSE

    # What passes tell

    def begin(self, agents: Iterable[AgentKey]) -> None:
        """All agents that exist at the start: no slot is given before each of them was looked at once."""
        self._expected = set(agents)
        self._touch()

    def seen(self, key: AgentKey, view: View | None, policies: tuple[str, ...]) -> None:
        """What was just decided about an agent; one that no policy selects is nobody else's affair."""
        old = self._entries.get(key)
        if view is None or not policies:
            self.forget(key)
            return
        new = self._entries[key] = _Entry(view, policies)
        if old and old.view.uid != view.uid:
            self._given.pop(old.view.uid, None)
        held = self._given.get(view.uid)
        if held and (not isinstance(view.step, Start) or view.limits != held.limits):
            del self._given[view.uid]
        if old is None or old.mark != new.mark:
            self._touch()
        self._met(key)

    def unreadable(self, key: AgentKey) -> None:
        """The agent cannot be decided about as it is: what matters is whether it trains."""
        self.seen(key, *self._bare(key))

    def finished(self, key: AgentKey) -> None:
        """A pass over the agent is complete. One that makes nothing of its slot lets others go first for a while."""
        entry = self._entries.get(key)
        given = self._given.get(entry.view.uid) if entry else None
        if entry is None or given is None:
            return
        given.unused += 1
        if given.unused >= _UNUSED:
            del self._given[entry.view.uid]
            self._aside[entry.view.uid] = self._clock() + _ASIDE
            self._later(_ASIDE, self._touch)
            self._touch()

    def ended(self, key: AgentKey) -> None:
        """A pass is over, whatever came of it."""
        if self._expected and key in self._expected:
            self.unreadable(key)

    def forget(self, key: AgentKey) -> None:
        """The agent is gone, or nothing is demanded of it any more."""
        entry = self._entries.pop(key, None)
        if entry:
            self._given.pop(entry.view.uid, None)
            self._touch()
        self._met(key)

    # What passes ask

    def admitted(self, uid: str, demands: Merged) -> bool:
        """Whether the agent may be trained now, as far as others are concerned."""
        if not demands.limits:
            return True
        given = self._given.get(uid)
        return given is not None and given.limits == demands.limits

    def slot(self, uid: str) -> Wait | None:
        """What the agent waits for, where that is a slot; None before it is known."""
        return self._waits.get(uid)

    def counts(self, policy: str) -> Counts | None:
        """The numbers of a policy; None before they are known, of which it hears then."""
        if self._counts is None:
            self._asked.add(policy)
            return None
        return self._counts.get(policy, Counts())

    # What follows

    def compute(self) -> None:
        """Gives out the slots that are free, and counts."""
        self._armed = False
        if self._expected is None or self._expected:
            return
        began = self._clock()
        self._give()
        self._count()
        self._pause = max(_PAUSE, (self._clock() - began) / _SHARE)

    def _give(self) -> None:
        keys = {entry.view.uid: key for key, entry in self._entries.items() if entry.view.limits}
        now = self._clock()
        self._aside = {uid: until for uid, until in self._aside.items() if until > now and uid in keys}
        found = fleet.starts(self._views())
        aside = {uid: _ASIDE_WAIT for uid in self._aside if isinstance(self._entries[keys[uid]].view.step, Start)}
        waits = {**found.wait, **aside}
        for uid in found.start:
            self._given[uid] = _Given(self._entries[keys[uid]].view.limits)
            self._notify(keys[uid])
        for uid, wait in waits.items():
            if self._waits.get(uid) != wait:
                self._notify(keys[uid])
        self._waits = waits

    def _views(self) -> Iterator[View]:
        """The agents that limits are about. Who was given a slot trains, as far as others are concerned."""
        for entry in self._entries.values():
            view = entry.view
            if not view.limits or (view.uid in self._aside and isinstance(view.step, Start)):
                continue
            held = view.uid in self._given and isinstance(view.step, Start)
            yield replace(view, step=InTraining(view.step.since)) if held and isinstance(view.step, Start) else view

    def _count(self) -> None:
        agents: dict[str, list[int]] = {}
        for entry in self._entries.values():
            trains = isinstance(entry.view.step, InTraining)
            late = not isinstance(entry.view.promise, Kept)
            for policy in entry.policies:
                numbers = agents.setdefault(policy, [0, 0, 0])
                numbers[0] += 1
                numbers[1] += trains
                numbers[2] += late
        before, self._counts = self._counts, {name: Counts(*numbers) for name, numbers in agents.items()}
        asked, self._asked = self._asked, set()
        for name in self._counts.keys() | (before or {}).keys() | asked:
            if name in asked or before is None or before.get(name) != self._counts.get(name):
                self._notify(PolicyKey(name))

    def _met(self, key: AgentKey) -> None:
        if self._expected and key in self._expected:
            self._expected.discard(key)
            if not self._expected:
                self._touch()

    def _touch(self) -> None:
        """Something has changed: computed a moment later, together with what else changes until then."""
        if not self._armed:
            self._armed = True
            self._later(self._pause, self.compute)
