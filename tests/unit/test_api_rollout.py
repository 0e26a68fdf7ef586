"""The RolloutSpec: every rule of it with a spec that breaks it, and the words that its author reads."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from aiagent_operator.api.rollout import OnFailure, RolloutSpec, Step
from aiagent_operator.api.schema import structural
from aiagent_operator.cli.lint import cel_rules

Author = dict[str, Any]
SCHEMA = structural(RolloutSpec)
ROUTING = {"httpRoute": {"name": "triage"}, "stableService": "triage-stable", "canaryService": "triage-canary"}
ACTIVE = {"activeService": "triage", "previewService": "triage-preview"}
CANARY: Author = {"strategy": "Canary", "steps": [{"weight": 20}, {"pause": {"duration": "10m"}}, {"weight": 50}]}
BLUE_GREEN: Author = {"strategy": "BlueGreen", "blueGreen": ACTIVE}
RECREATE: Author = {"strategy": "Recreate"}
ANALYSIS = [{"name": "error-rate"}]

GOOD = [
    {"strategy": "Canary"},
    CANARY,
    CANARY | {"analysis": ANALYSIS, "onFailure": "Freeze", "progressDeadlineSeconds": 60},
    CANARY | {"trafficRouting": ROUTING, "scaleDownDelaySeconds": 0, "abortScaleDownDelaySeconds": 1},
    CANARY | {"steps": [{"weight": 0}, {"pause": {}}, {"evaluation": {"name": "accuracy"}}, {"weight": 100}]},
    BLUE_GREEN | {"analysis": ANALYSIS, "scaleDownDelaySeconds": 60, "abortScaleDownDelaySeconds": 60},
    {"strategy": "BlueGreen", "blueGreen": {"activeService": "triage", "autoPromotionSeconds": 60}},
    {"strategy": "BlueGreen", "blueGreen": {"activeService": "triage", "autoPromotionEnabled": False}},
    BLUE_GREEN | {"blueGreen": ACTIVE | {"autoPromotionEnabled": True, "autoPromotionSeconds": 60}},
    RECREATE | {"onFailure": "Rollback"},
]
BAD = [
    (CANARY | {"steps": [{}]}, "exactly one of weight, pause and evaluation"),
    (CANARY | {"steps": [{"weight": 20, "pause": {}}]}, "exactly one of weight, pause and evaluation"),
    (CANARY | {"steps": [{"pause": {}, "evaluation": {"name": "a"}}]}, "exactly one of weight, pause and evaluation"),
    (CANARY | {"steps": [{"weight": 50}, {"pause": {}}, {"weight": 20}]}, "weights must rise"),
    (CANARY | {"steps": [{"weight": 50}, {"pause": {}}, {"weight": 50}]}, "each weight stands in one step only"),
    (BLUE_GREEN | {"steps": [{"weight": 20}]}, "steps go with strategy Canary"),
    (RECREATE | {"steps": [{"pause": {}}]}, "steps go with strategy Canary"),
    (BLUE_GREEN | {"trafficRouting": ROUTING}, "trafficRouting goes with strategy Canary"),
    (RECREATE | {"trafficRouting": ROUTING}, "trafficRouting goes with strategy Canary"),
    (CANARY | {"trafficRouting": ROUTING | {"canaryService": "triage-stable"}}, "must be two Services: by one"),
    (CANARY | {"blueGreen": ACTIVE}, "strategy BlueGreen needs blueGreen"),
    ({"strategy": "BlueGreen"}, "strategy BlueGreen needs blueGreen"),
    (BLUE_GREEN | {"blueGreen": ACTIVE | {"previewService": "triage"}}, "must be two Services: a preview"),
    (
        BLUE_GREEN | {"blueGreen": ACTIVE | {"autoPromotionEnabled": False, "autoPromotionSeconds": 9}},
        "autoPromotionSeconds promotes by itself",
    ),
    (RECREATE | {"analysis": ANALYSIS}, "with Recreate is gone by then"),
    ({"strategy": "Canary", "analysis": ANALYSIS}, "analysis begins with the first weight above 0"),
    (CANARY | {"steps": [{"weight": 0}], "analysis": ANALYSIS}, "analysis begins with the first weight above 0"),
    (RECREATE | {"onFailure": "Freeze"}, "and Freeze would leave it so"),
    (CANARY | {"scaleDownDelaySeconds": 30}, "scaleDownDelaySeconds waits for traffic to move"),
    (RECREATE | {"scaleDownDelaySeconds": 30}, "scaleDownDelaySeconds waits for traffic to move"),
    (CANARY | {"abortScaleDownDelaySeconds": 30}, "abortScaleDownDelaySeconds waits for traffic to move"),
]


def broken(value: Any, schema: Author) -> Iterator[str]:
    """Messages of the rules that do not hold, of the value and of all below it."""
    for rule in schema.get("x-kubernetes-validations", ()):
        if not cel_rules.holds(rule["rule"], value):
            yield rule["message"]
    for name, below in schema.get("properties", {}).items():
        if isinstance(value, dict) and name in value:
            yield from broken(value[name], below)
    for item in value if "items" in schema else ():
        yield from broken(item, schema["items"])


def messages(schema: Author) -> Iterator[str]:
    for rule in schema.get("x-kubernetes-validations", ()):
        yield rule["message"]
    for below in (*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else [])):
        yield from messages(below)


@pytest.mark.parametrize("author", GOOD, ids=str)
def test_what_makes_sense_is_accepted(author: Author) -> None:
    assert list(broken(author, SCHEMA)) == []
    RolloutSpec.model_validate(author)


@pytest.mark.parametrize(("author", "words"), BAD, ids=str)
def test_what_makes_no_sense_is_refused_with_the_remedy(author: Author, words: str) -> None:
    found = list(broken(author, SCHEMA))
    assert len(found) == 1, found
    assert words in found[0]


def test_every_rule_has_an_example() -> None:
    tried = [message for author, _ in BAD for message in broken(author, SCHEMA)]
    assert set(messages(SCHEMA)) == set(tried)


def test_names_are_those_of_the_manifest_and_defaults_are_those_of_argo_rollouts_and_deployment() -> None:
    found = RolloutSpec.model_validate(CANARY | {"trafficRouting": ROUTING})
    assert (found.on_failure, found.progress_deadline_seconds) == (OnFailure.ROLLBACK, 600)
    assert (found.scale_down_delay_seconds, found.abort_scale_down_delay_seconds) == (None, None)
    assert found.model_dump(by_alias=True, exclude_none=True)["trafficRouting"] == ROUTING
    assert RolloutSpec.model_validate(BLUE_GREEN).blue_green is not None


@pytest.mark.parametrize(
    "step", [{"weight": -1}, {"weight": 101}, {"pause": {"duration": "ten minutes"}}, {"evaluation": {"name": "A b"}}]
)
def test_steps_are_bounded(step: Author) -> None:
    with pytest.raises(ValidationError):
        Step.model_validate(step)


def nodes(schema: Author, path: str = "") -> Iterator[tuple[str, Author]]:
    for name, below in schema.get("properties", {}).items():
        yield f"{path}.{name}", below
        yield from nodes(below, f"{path}.{name}")
    if "items" in schema:
        yield f"{path}[]", schema["items"]
        yield from nodes(schema["items"], f"{path}[]")


def test_every_field_is_described_and_bounded() -> None:
    for path, node in nodes(copy.deepcopy(SCHEMA)):
        assert path.endswith("[]") or node["description"].endswith("."), path
        assert node["type"] != "string" or "maxLength" in node or "enum" in node, path
        assert node["type"] != "array" or {"maxItems", "x-kubernetes-list-type"} <= set(node), path
        assert node["type"] != "integer" or {"minimum", "maximum"} <= set(node), path
