"""`spec.supervision`: how an agent is watched over while it works."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict

from aiagent_operator.api.drift import Drift
from aiagent_operator.api.evaluation import ENDS, EvaluationTemplate
from aiagent_operator.api.fields import Model, cel, described, map_by, rules
from aiagent_operator.api.reviews import MOST_REVIEWS, Review


class Supervision(Model):
    """How an agent is watched over while it works."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel(
                "!has(self.reviews) || !has(self.biasAudits) || "
                "self.reviews.all(r, !self.biasAudits.exists(a, a.name == r.name))",
                "reviews and biasAudits have an entry of the same name: give each a name of its own",
                path=".biasAudits",
            )
        )
    )

    drift: Drift | None = described("When the agent has drifted from what it was trained to do.", default=None)
    evaluations: Annotated[
        tuple[EvaluationTemplate, ...],
        described(
            "Evaluations that reviews and biasAudits name, and that no revision has to pass before it serves.",
            max_length=MOST_REVIEWS,
            json_schema_extra=map_by("name", validations=(ENDS,)),
        ),
    ] = ()
    reviews: Annotated[
        tuple[Review, ...],
        described(
            "Evaluations of the revision that serves, on a cadence. While the newest of an entry is Failed, no other "
            "revision takes over until a person orders Promote.",
            max_length=MOST_REVIEWS,
            json_schema_extra=map_by("name"),
        ),
    ] = ()
    bias_audits: Annotated[
        tuple[Review, ...],
        described(
            "The same, for whether groups of people are treated alike. A Job leaves the rates of each group beside "
            "what is judged. One that is Inconclusive waits for a person, too.",
            max_length=MOST_REVIEWS,
            json_schema_extra=map_by("name"),
        ),
    ] = ()
