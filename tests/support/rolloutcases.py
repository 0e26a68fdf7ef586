"""Wrong rollouts, one for each rule of their schema, and the words that their authors will read."""

from typing import Any

from support.evaluationcases import EVALUATIONS, LIVE
from support.schemacases import Case, rule

WHERE = "spec.retraining.rollout"
TARGET = {"targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "triage"}}
OWN = TARGET | {"container": {"name": "app", "image": "registry.example/triage:1"}}
ROLLOUT: dict[str, Any] = {
    "strategy": "Canary",
    "steps": [{"weight": 20}, {"pause": {"duration": "10m"}}, {"evaluation": {"name": "held-out"}}, {"weight": 50}],
}
ROUTING = {"httpRoute": {"name": "triage"}, "stableService": "triage", "canaryService": "canary"}
ROUTED: dict[str, Any] = {"strategy": "Canary", "steps": [{"weight": 80}], "trafficRouting": ROUTING}
"""What is right beside a target: any weight."""
BLUE_GREEN: dict[str, Any] = {"strategy": "BlueGreen", "blueGreen": {"activeService": "triage"}}


def _active(**fields: Any) -> dict[str, Any]:
    return {**BLUE_GREEN, "blueGreen": {"activeService": "triage", **fields}}


def _of(value: dict[str, Any], words: str, field: str = "") -> Case:
    return rule(WHERE, value, words, f"{WHERE}.{field}" if field else WHERE)


def _beside(value: dict[str, Any], words: str) -> Case:
    """A rollout in an adopted workload."""
    return rule(WHERE, value, words, WHERE, "AIAgent/adopting")


_ENDLESS = [EVALUATIONS[0], {**EVALUATIONS[1], "metrics": [{**LIVE, "interval": "1m"}]}]
_WATCHED = {**ROLLOUT, "analysis": [{"name": "live"}]}
_TOO_LONG = "set count where interval is set"


def _unended(rollout: dict[str, Any]) -> Case:
    """An endless evaluation with this rollout."""
    return rule("spec.retraining", retraining(rollout), _TOO_LONG, "spec.retraining.evaluations")


def retraining(rollout: dict[str, Any]) -> dict[str, Any]:
    """An evaluation by a Job, and one by Prometheus that something has to end."""
    return {"rollout": rollout, "evaluations": _ENDLESS}


WATCHED = retraining(_WATCHED)
"""What is right: analysis of a Canary goes on as long as the rollout."""

ROLLOUT_RULES = [
    _unended(ROLLOUT),
    _unended({**BLUE_GREEN, "analysis": [{"name": "live"}]}),
    _unended({**_WATCHED, "steps": [{"weight": 20}, {"evaluation": {"name": "live"}}]}),
    _of({**ROLLOUT, "steps": [{"evaluation": {"name": "ghost"}}]}, "is not among spec.retraining.evaluations", "steps"),
    _of({**ROLLOUT, "analysis": [{"name": "ghost"}]}, "is not among spec.retraining.evaluations", "analysis"),
    _of({"strategy": "Recreate", "analysis": [{"name": "live"}]}, "with Recreate is gone by then", "analysis"),
    _of({"strategy": "Canary", "analysis": [{"name": "live"}]}, "begins with the first weight above 0", "analysis"),
    rule("spec.workload", TARGET, "the images of a targetRef are its owner's", WHERE),
    _beside(BLUE_GREEN, "between which a Service could be switched at once"),
    rule("spec.workload.targetRef.kind", "StatefulSet", "nothing comes beside a StatefulSet", WHERE, "AIAgent/routed"),
    _beside({"strategy": "Canary", "steps": [{"weight": 51}]}, "write weights of at most 50, or name trafficRouting"),
    rule("spec.retraining", {"rollout": ROLLOUT, "every": "720h"}, "say when the Job of jobTemplate runs"),
    rule("spec.retraining", {"suspend": False}, "needs a jobTemplate to train by, or a rollout"),
    _of({"strategy": "Canary", "steps": [{}]}, "exactly one of weight", "steps[0]"),
    _of({"strategy": "Canary", "steps": [{"weight": 1, "pause": {}}]}, "exactly one of weight", "steps[0]"),
    _of({"strategy": "Recreate", "steps": [{"pause": {}}]}, "steps go with strategy Canary", "steps"),
    _of({"strategy": "Canary", "steps": [{"weight": 9}, {"weight": 8}]}, "weights must rise", "steps"),
    _of({"strategy": "Canary", "steps": [{"weight": 9}, {"weight": 9}]}, "each weight stands in one step", "steps"),
    _of({"strategy": "Recreate", "onFailure": "Freeze"}, "and Freeze would leave it so", "onFailure"),
    _of({**BLUE_GREEN, "trafficRouting": ROUTING}, "trafficRouting goes with strategy Canary", "trafficRouting"),
    _of(
        {**ROLLOUT, "trafficRouting": {**ROUTING, "canaryService": "triage"}},
        "must be two Services: by one",
        "trafficRouting.canaryService",
    ),
    _of({"strategy": "BlueGreen"}, "strategy BlueGreen needs blueGreen", "blueGreen"),
    _of({**BLUE_GREEN, "steps": [{"weight": 9}]}, "steps go with strategy Canary", "steps"),
    _of(_active(previewService="triage"), "must be two Services: a preview", "blueGreen.previewService"),
    _of(
        _active(autoPromotionEnabled=False, autoPromotionSeconds=9),
        "autoPromotionSeconds promotes by itself",
        "blueGreen.autoPromotionSeconds",
    ),
    _of({**ROLLOUT, "scaleDownDelaySeconds": 9}, "scaleDownDelaySeconds waits for traffic", "scaleDownDelaySeconds"),
    _of(
        {**ROLLOUT, "abortScaleDownDelaySeconds": 9},
        "abortScaleDownDelaySeconds waits for traffic",
        "abortScaleDownDelaySeconds",
    ),
]

ROLLOUT_CONSTRAINTS = [
    Case(f"{WHERE}.strategy", "Rolling", 'supported values: "Canary"'),
    Case(f"{WHERE}.steps.0.weight", 101, "should be less than or equal to 100"),
    Case(f"{WHERE}.steps.1.pause.duration", "ten minutes", "should match"),
    Case(f"{WHERE}.progressDeadlineSeconds", 0, "should be greater than or equal to 1"),
]
"""What an agent with `ROLLOUT` breaks of its schema."""
