"""The runs of one review: which is the newest, what they say of a revision, and which are history enough.

A run says something of a revision where it is Successful or Failed, and one of a bias audit where it is Inconclusive,
too: a person decides then. What could not be measured says nothing, and takes nothing back that was found before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from aiagent_operator.api.agentevaluation import Phase, Purpose
from aiagent_operator.core.evaluation.evaluating import facts
from aiagent_operator.core.objects import Child

PURPOSES = (Purpose.REVIEW, Purpose.BIAS_AUDIT)


@dataclass(frozen=True, slots=True)
class Runs:
    """All runs of one review or bias audit, of whatever revision, in the order of their planned times."""

    purpose: Purpose
    name: str
    runs: tuple[Child, ...] = ()

    @classmethod
    def of(cls, purpose: Purpose, name: str, known: Iterable[Child]) -> Runs:
        """Those among the agent's evaluations."""
        own = [c for c in known if facts(c).purpose is purpose and facts(c).name == name]
        return cls(purpose, name, tuple(sorted(own, key=_order)))

    @property
    def newest(self) -> datetime | None:
        """The latest planned time for which there is a run."""
        times = [facts(child).scheduled for child in self.runs if facts(child).scheduled]
        return datetime.fromisoformat(max(times)) if times else None

    @property
    def open(self) -> tuple[Child, ...]:
        """Those that are not over."""
        return tuple(child for child in self.runs if not facts(child).phase.completed)

    @property
    def ended(self) -> tuple[Child, ...]:
        """Those that are over."""
        return tuple(child for child in self.runs if facts(child).phase.completed)

    def last_word(self, revision: int) -> Child | None:
        """The newest run that says something of the revision."""
        return next((c for c in reversed(self.ended) if self._of(c, revision) and self._says_something(c)), None)

    def finding(self, revision: int) -> Child | None:
        """That run, where a person has to decide about it."""
        found = self.last_word(revision)
        return found if found and facts(found).phase is not Phase.SUCCESSFUL else None

    def history(self, successful: int, unsuccessful: int, serving: int | None) -> list[Child]:
        """The runs beyond what is to be kept of the Successful and of the others.

        Kept in any case: the newest of all, from which the next one follows, and the last word on what serves. Of a
        revision that does not serve, nothing older is kept than its last word: it would be taken for that.
        """
        last = self.last_word(serving) if serving is not None else None
        spared = {child.key for child in (last, *self.runs[-1:]) if child}
        beyond = {child.key for child in self._beyond(successful, unsuccessful)} - spared
        for number in {facts(child).revision for child in self.ended}:
            word = self.last_word(number)
            if word and word.key in beyond:
                older = self.ended[: self.ended.index(word)]
                beyond |= {child.key for child in older if self._of(child, number)}
        return [child for child in self.ended if child.key in beyond]

    def _beyond(self, successful: int, unsuccessful: int) -> Iterator[Child]:
        good = [child for child in self.ended if facts(child).phase is Phase.SUCCESSFUL]
        bad = [child for child in self.ended if facts(child).phase is not Phase.SUCCESSFUL]
        yield from good[: max(0, len(good) - successful)]
        yield from bad[: max(0, len(bad) - unsuccessful)]

    def _of(self, child: Child, revision: int) -> bool:
        return facts(child).revision == revision

    def _says_something(self, child: Child) -> bool:
        said = {Phase.SUCCESSFUL, Phase.FAILED}
        if self.purpose is Purpose.BIAS_AUDIT:
            said.add(Phase.INCONCLUSIVE)
        return facts(child).phase in said


def _order(child: Child) -> tuple[str, int, str]:
    return facts(child).scheduled, facts(child).revision, child.key.name
