"""What is measured of a model, the same for training, evaluation and audit, and requirements on it."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from sklearn.metrics import accuracy_score, f1_score

from triage.errors import TriageError
from triage.model import Answer, Model
from triage.tickets import Ticket

_REQUIREMENT: Final = re.compile(r"([a-z0-9-]+)\s*(>=|<=)\s*(-?[0-9]+(?:\.[0-9]+)?)")


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answers of a model to tickets, and the time of each in milliseconds."""

    tickets: Sequence[Ticket]
    answers: tuple[Answer, ...]
    milliseconds: tuple[float, ...]

    @property
    def right(self) -> list[str]:
        """The queues by label."""
        return [ticket.queue for ticket in self.tickets]

    @property
    def given(self) -> list[str]:
        """The queues by the model."""
        return [answer.queue for answer in self.answers]

    @property
    def accuracy(self) -> float:
        """Share of right answers."""
        return float(accuracy_score(self.right, self.given))

    @property
    def macro_f1(self) -> float:
        """Mean of the queues' F1: a queue that is always missed shows, however few tickets it has."""
        return float(f1_score(self.right, self.given, average="macro", zero_division=0.0))

    def latency(self, percentile: float) -> float:
        """Milliseconds within which this percentage of the answers came, in this process."""
        return float(np.percentile(self.milliseconds, percentile))

    def sure(self, threshold: float) -> list[bool]:
        """Which answers reach the threshold."""
        return [answer.confidence >= threshold for answer in self.answers]


def outcome(model: Model, tickets: Sequence[Ticket]) -> Outcome:
    """Asks the model, in the way that the service does."""
    answers, milliseconds = [], []
    for ticket in tickets:
        began = time.perf_counter()
        answers.append(model.classify(ticket.text))
        milliseconds.append((time.perf_counter() - began) * 1000)
    return Outcome(tickets, tuple(answers), tuple(milliseconds))


def requirements(text: str) -> list[tuple[str, str, float]]:
    """Those of TRIAGE_REQUIRE, such as `accuracy>=0.85,macro-f1>=0.80`."""
    found = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        matched = _REQUIREMENT.fullmatch(part)
        if matched is None:
            raise TriageError(f"TRIAGE_REQUIRE has {part!r}: write <measurement>>=<number> or <measurement><=<number>")
        found.append((matched[1], matched[2], float(matched[3])))
    return found


def unmet(required: Sequence[tuple[str, str, float]], values: Mapping[str, float]) -> list[str]:
    """A sentence for each requirement that is not met; TriageError where one is about nothing that was measured."""
    sentences = []
    for name, sign, limit in required:
        if name not in values:
            raise TriageError(f"TRIAGE_REQUIRE names {name!r}; measured are {', '.join(sorted(values))}")
        met = values[name] >= limit if sign == ">=" else values[name] <= limit
        if not met:
            sentences.append(f"{name} is {values[name]:.4f}, required is {sign} {limit:g}")
    return sentences
