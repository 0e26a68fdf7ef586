"""`spec.supervision.drift`: when an agent has drifted from what it was trained to do, and what is said of that."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

from pydantic import ConfigDict, Field, StringConstraints

from aiagent_operator.api.evaluation import QUERY_RULE, PrometheusProvider, Query
from aiagent_operator.api.fields import Model, cel, described, rules
from aiagent_operator.api.handbook import Decimal
from aiagent_operator.api.retraining import duration
from aiagent_operator.api.trainingstatus import Moment

INTERVAL: Final = "5m"
"""Between two measurements, where the author says nothing."""


class Drift(Model):
    """A number that tells how well the agent still does its work, and the bound beyond which it has drifted."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel("has(self.min) != has(self.max)", "set exactly one of min and max: which side is drift"),
            cel(
                "!has(self.recovery) || !has(self.max) || double(self.recovery) <= double(self.max)",
                "recovery must not be greater than max: drift would end where it begins",
                path=".recovery",
            ),
            cel(
                "!has(self.recovery) || !has(self.min) || double(self.recovery) >= double(self.min)",
                "recovery must not be less than min: drift would end where it begins",
                path=".recovery",
            ),
            QUERY_RULE,
        )
    )

    prometheus: PrometheusProvider = described("The Prometheus that is asked.", default=PrometheusProvider())
    query: Annotated[
        Query,
        described(
            "PromQL with one number as its answer. {{revision}} and {{stableRevision}}, both the revision that serves, "
            "{{agent}} and {{namespace}} are replaced: within a string as they are, elsewhere in quotes."
        ),
    ]
    min: Decimal | None = described("Below it the agent drifts; a decimal number.", default=None)
    max: Decimal | None = described("Above it the agent drifts; a decimal number.", default=None)
    recovery: Decimal | None = described(
        "At this value, or further within the bound, drift has ended (by default at the bound itself).", default=None
    )
    for_: Annotated[str, duration("0s", "8760h")] = described(
        "How long each measurement has to be beyond the bound before it is drift, such as 30m.",
        default="0s",
        alias="for",
    )
    interval: Annotated[Annotated[str, duration("10s", "168h")], described("Time between two measurements.")] = INTERVAL


class DriftState(StrEnum):
    """How far drift is. A status without it: measured, and within the bound."""

    CROSSED = "Crossed"
    DRIFTING = "Drifting"


class Unmeasured(Model):
    """Why there is no number."""

    since: Annotated[Moment, described("The first measurement that failed since one succeeded.")]
    message: Annotated[str, StringConstraints(max_length=1024), described("What was wrong with that one.")]


class DriftStatus(Model):
    """Drift, written down when it changes, not when it is measured."""

    digest: Annotated[
        str,
        StringConstraints(max_length=64),
        described("Which query and bounds it is about, shortened SHA-256; others begin anew."),
    ]
    state: DriftState | None = described(
        "Crossed: beyond the bound, not yet for long enough. Drifting: beyond it for long enough, and not recovered.",
        default=None,
    )
    since: Moment | None = described("The first measurement beyond the bound.", default=None)
    detected: Moment | None = described("The measurement with which it became drift.", default=None)
    value: Annotated[str, StringConstraints(max_length=64)] | None = described(
        "The number that was measured then.", default=None
    )
    training: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = described(
        "Revision of the last successful training before; the success of another one begins anew.", default=None
    )
    unmeasured: Unmeasured | None = described("Why it cannot be measured now.", default=None)
