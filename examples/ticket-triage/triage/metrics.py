"""What Prometheus scrapes. Labels have few values: queues, and the model version of this process."""

from __future__ import annotations

from collections import deque
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from triage.artifacts import Artifact
from triage.handbook import Handbook

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

WINDOW: Final = 500
"""Feedbacks over which the accuracy is taken."""

_VERSIONS: Final = 8
"""Versions whose feedback is told apart, the first that come; later ones count as `other`."""

_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
_SHARES: Final = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)


class Metrics:
    """The metrics of one service."""

    def __init__(self, artifact: Artifact, handbook: Handbook) -> None:
        self._version = artifact.version
        self._right: dict[str, deque[bool]] = {artifact.version: deque(maxlen=WINDOW)}
        self.registry = CollectorRegistry()
        self._answers = Counter(
            "triage_answers",
            "Tickets answered, by decision (assign, escalate), queue (the model's, also where a human decides).",
            ["decision", "queue", "version"],
            registry=self.registry,
        )
        self._errors = Counter(
            "triage_errors", "Requests refused or failed, by HTTP status.", ["code"], registry=self.registry
        )
        self.seconds = Histogram(
            "triage_request_seconds",
            "Time from a ticket's arrival to its answer.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._confidence = Histogram(
            "triage_confidence",
            "Confidence of the answers, by model version.",
            ["version"],
            buckets=_SHARES,
            registry=self.registry,
        )
        self._feedback = Counter(
            "triage_feedback",
            "Answers that a human has judged, by right (true, false), queue and model version of the answer.",
            ["right", "queue", "version"],
            registry=self.registry,
        )
        self._accuracy = Gauge(
            "triage_feedback_accuracy",
            f"Share of right answers among the last {WINDOW} that a human has judged; NaN before the first.",
            ["version"],
            registry=self.registry,
        )
        self.in_flight = Gauge("triage_in_flight", "Requests being answered now.", registry=self.registry)
        self.draining = Gauge("triage_draining", "1 from SIGTERM on.", registry=self.registry)
        info = Gauge("triage_info", "1; says what serves.", ["version", "artifact", "handbook"], registry=self.registry)
        info.labels(artifact.version, artifact.uri, handbook.digest).set(1)
        self._accuracy.labels(self._version).set(float("nan"))
        for queue in artifact.model.queues:
            for decision in ("assign", "escalate"):
                self._answers.labels(decision, queue, self._version)

    def answered(self, decision: str, queue: str, confidence: float) -> None:
        """A ticket got its answer."""
        self._answers.labels(decision, queue, self._version).inc()
        self._confidence.labels(self._version).observe(confidence)

    def judged(self, version: str, queue: str, *, right: bool) -> None:
        """A human has judged an answer of this or another version."""
        if version not in self._right and len(self._right) >= _VERSIONS:
            version = "other"
        last = self._right.setdefault(version, deque(maxlen=WINDOW))
        last.append(right)
        self._feedback.labels("true" if right else "false", queue, version).inc()
        self._accuracy.labels(version).set(sum(last) / len(last))

    def failed(self, code: int) -> None:
        """A request was refused, or failed."""
        self._errors.labels(str(code)).inc()

    def exposition(self) -> bytes:
        """All metrics in the text format of Prometheus (version 0.0.4)."""
        return generate_latest(self.registry)
