"""Training, with scikit-learn. What comes out of it is the plain model of model.py; only jobs import this module."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline

from triage.errors import TriageError
from triage.features import terms
from triage.model import Model
from triage.tickets import Ticket

VALIDATION: Final = 0.2
"""Share of the tickets that is kept for validation."""

_STRENGTH: Final = 10.0


def split(tickets: Sequence[Ticket], seed: int) -> tuple[list[Ticket], list[Ticket]]:
    """Tickets to learn from and tickets to validate on, each queue in both by its share."""
    queues = [ticket.queue for ticket in tickets]
    learn, validate = train_test_split(list(tickets), test_size=VALIDATION, random_state=seed, stratify=queues)
    return learn, validate


def fit(tickets: Sequence[Ticket], seed: int) -> Pipeline:
    """A fitted scikit-learn pipeline. The same tickets and seed give the same one.

    TriageError where the tickets have nothing in common to learn.
    """
    pipeline = Pipeline(
        [
            ("terms", TfidfVectorizer(analyzer=terms, sublinear_tf=True, min_df=2)),
            ("queues", LogisticRegression(C=_STRENGTH, max_iter=1000, random_state=seed)),
        ]
    )
    try:
        pipeline.fit([ticket.text for ticket in tickets], [ticket.queue for ticket in tickets])
    except ValueError as error:
        # Such as texts that have no word in common.
        text = (
            f"nothing can be learned from these {len(tickets)} tickets ({error}): are the texts what customers wrote?"
        )
        raise TriageError(text) from error
    return pipeline


def export(pipeline: Pipeline, training: dict[str, str]) -> Model:
    """The plain model of a pipeline. `training` says what it was made from, and becomes part of its digest."""
    vectorizer, classifier = pipeline.named_steps["terms"], pipeline.named_steps["queues"]
    weights, intercepts = classifier.coef_, classifier.intercept_
    if len(weights) == 1:
        # With two queues scikit-learn keeps only the second's score; that of the first is 0.
        weights, intercepts = np.vstack([np.zeros_like(weights), weights]), np.array([0.0, *intercepts])
    columns = np.vstack([vectorizer.idf_, weights]).T
    return Model(
        queues=tuple(str(queue) for queue in classifier.classes_),
        intercepts=tuple(float(value) for value in intercepts),
        terms={term: tuple(map(float, columns[index])) for term, index in vectorizer.vocabulary_.items()},
        training=training,
    )
