"""The model as it serves: TF-IDF and a linear classifier in plain Python, and the JSON document that holds it.

No pickle: a document can be wrong, and then it is refused, but reading it runs nothing. Service and jobs share this
code, so an evaluation measures what will serve.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from triage import features
from triage.errors import TriageError

FORMAT: Final = "ticket-triage/1"
_DIGITS: Final = 6
"""Decimals that are kept of each number: enough for every answer, and the same document on every machine."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model says of one text: its queue, the probability of it (0 to 1), all queues', and the terms that spoke
    most for it."""

    queue: str
    confidence: float
    probabilities: dict[str, float]
    because: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Model:
    """A trained classifier. `terms` has, for each term, its weight among terms (IDF) and one weight for each queue."""

    queues: tuple[str, ...]
    intercepts: tuple[float, ...]
    terms: Mapping[str, tuple[float, ...]]
    training: Mapping[str, str] = field(default_factory=dict)

    def classify(self, text: str, because: int = 3) -> Answer:
        """The answer for one text; `because` is how many terms are named as its reasons."""
        found = {term: count for term, count in Counter(features.terms(text)).items() if term in self.terms}
        values = {term: (1 + math.log(count)) * self.terms[term][0] for term, count in found.items()}
        norm = math.sqrt(math.fsum(value * value for value in values.values())) or 1.0
        scores = list(self.intercepts)
        for term, value in values.items():
            for index, weight in enumerate(self.terms[term][1:]):
                scores[index] += value / norm * weight
        top = max(scores)
        powers = [math.exp(score - top) for score in scores]
        probabilities = [power / sum(powers) for power in powers]
        best = max(range(len(scores)), key=scores.__getitem__)
        speaks = {term: value * self.terms[term][best + 1] for term, value in values.items()}
        reasons = sorted((term for term in speaks if speaks[term] > 0), key=lambda term: (-speaks[term], term))
        return Answer(
            queue=self.queues[best],
            confidence=probabilities[best],
            probabilities=dict(zip(self.queues, probabilities, strict=True)),
            because=tuple(reasons[:because]),
        )


def to_bytes(model: Model) -> bytes:
    """The document: canonical JSON, so that the same model has the same digest."""
    content = {
        "format": FORMAT,
        "features": features.VERSION,
        "queues": list(model.queues),
        "intercepts": [round(value, _DIGITS) for value in model.intercepts],
        "terms": {term: [round(value, _DIGITS) for value in values] for term, values in model.terms.items()},
        "training": dict(model.training),
    }
    return (json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":")) + "\n").encode()


def from_bytes(document: bytes, origin: str) -> Model:
    """The model of a document. `origin` is for the message of the TriageError where it is no model of this format."""
    try:
        content: Any = json.loads(document)
        return _checked(content)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        text = f"{origin} is no model of format {FORMAT} ({error}): name an artifact that triage.train wrote"
        raise TriageError(text) from error


def _checked(content: Any) -> Model:
    for key, known in (("format", FORMAT), ("features", features.VERSION)):
        if content[key] != known:
            raise ValueError(f"{key} is {content[key]!r}, this version of the agent reads {known!r}")
    queues = tuple(content["queues"])
    if len(queues) < 2 or len(set(queues)) != len(queues) or not all(isinstance(q, str) and q for q in queues):
        raise ValueError("queues must be two or more different names")
    terms = {term: _numbers(values, len(queues) + 1, f"terms[{term!r}]") for term, values in content["terms"].items()}
    training = {str(key): str(value) for key, value in content["training"].items()}
    return Model(queues, _numbers(content["intercepts"], len(queues), "intercepts"), terms, training)


def _numbers(values: Any, count: int, where: str) -> tuple[float, ...]:
    if len(values) != count:
        raise ValueError(f"{where} has {len(values)} numbers, not {count}")
    numbers = tuple(float(value) for value in values)
    if not all(map(math.isfinite, numbers)):
        raise ValueError(f"{where} has a number that is not finite")
    return numbers
