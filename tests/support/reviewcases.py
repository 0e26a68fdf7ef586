"""Wrong reviews and bias audits, one for each rule or constraint of their schema."""

from typing import Any

from support.evaluationcases import LIVE
from support.schemacases import GONE, JOB_TEMPLATE, Case, rule

_PARITY = [{"name": "parity", "max": "0.2"}]
REVIEWED: dict[str, Any] = {
    "evaluations": [
        {"name": "by-region", "job": JOB_TEMPLATE, "metrics": _PARITY},
        {"name": "wrong", "prometheus": {}, "metrics": [LIVE]},
    ],
    # One of them is defined among those that a revision has to pass.
    "reviews": [{"name": "wrong", "every": "24h"}, {"name": "held-out", "schedule": "0 6 * * *"}],
    "biasAudits": [{"name": "by-region", "schedule": "0 6 1 * *", "timeZone": "Europe/Zurich", "spread": "4h"}],
}

_AT = "spec.supervision"
_REVIEW, _AUDIT = f"{_AT}.reviews.0", f"{_AT}.biasAudits.0"

REVIEW_RULES = [
    rule(f"{_REVIEW}.schedule", "0 6 * * *", "set exactly one of schedule and every", _REVIEW),
    rule(f"{_REVIEW}.every", GONE, "set exactly one of schedule and every", _REVIEW),
    rule(f"{_REVIEW}.timeZone", "UTC", "timeZone is that of schedule", _REVIEW),
    rule(f"{_REVIEW}.name", "by-region", "an entry of the same name", f"{_AT}.biasAudits"),
    rule(f"{_REVIEW}.name", "nobody", "names an evaluation that is not defined", f"{_AT}.reviews"),
    rule(f"{_AUDIT}.name", "nobody", "names an evaluation that is not defined", f"{_AT}.biasAudits"),
    rule("spec.retraining.evaluations", GONE, "names an evaluation that is not defined", f"{_AT}.reviews"),
    rule(f"{_AT}.evaluations.1.metrics.0.interval", "1m", "set count where interval is set", f"{_AT}.evaluations"),
]

REVIEW_CONSTRAINTS = [
    Case(f"{_REVIEW}.every", "1d", "should match"),
    Case(f"{_REVIEW}.name", "held-out", "Duplicate value", f"{_AT}.reviews.1"),
    Case(f"{_REVIEW}.successfulRunHistoryLimit", 0, "should be greater than or equal to 1"),
    Case(f"{_REVIEW}.unsuccessfulRunHistoryLimit", 11, "should be less than or equal to 10"),
    Case(f"{_AT}.evaluations.0.metrics", [], "should have at least 1 items"),
]
