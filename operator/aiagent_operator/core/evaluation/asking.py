"""What Prometheus is to be asked for one run, and how an answer is known to be the one that was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aiagent_operator.api.agentevaluation import Measurement
from aiagent_operator.api.evaluation import Metric
from aiagent_operator.core.evaluation.query import Names

AskedFor = tuple[str, str, int]
"""UID of the run, name of the metric, and how many measurements of it are written down already.

With the number, an answer counts once, however often it is looked at.
"""

Measured = Mapping[AskedFor, Measurement]


@dataclass(frozen=True, slots=True)
class Asking:
    """Metrics of one run that are due, each with the number of its measurements so far.

    `address`: what the template chooses; None for the first that may be asked.
    """

    uid: str
    names: Names
    metrics: tuple[tuple[Metric, int], ...]
    address: str | None = None

    def known_by(self) -> frozenset[AskedFor]:
        """What the answers to it are known by."""
        return frozenset((self.uid, metric.name, number) for metric, number in self.metrics)
