"""The fields of AgentPolicy and of spec.retraining's cadence: bounded, described, and ruled by CEL where it can."""

from typing import Any

import pytest

from aiagent_operator.api.agentpolicy import AgentPolicySpec, AgentPolicyStatus, OverdueAction, WindowKind
from aiagent_operator.api.durations import DurationError, format_duration, parse
from aiagent_operator.api.fields import rules
from aiagent_operator.api.retraining import CADENCE_RULES, CadenceFields
from aiagent_operator.api.schema import Schema, structural
from aiagent_operator.api.selectors import LabelSelectorRequirement, SelectorOperator
from aiagent_operator.cli.lint.cel_rules import holds
from aiagent_operator.core.cadence import crontab, windows, zones
from aiagent_operator.core.cadence import spec as cadence_spec

MODELS = (AgentPolicySpec, AgentPolicyStatus, CadenceFields)


def fields(schema: Schema, path: str = "") -> list[tuple[str, Schema]]:
    """Every node below, by its path; [] stands for an item, {} for a value of a map."""
    found = []
    for name, child in schema.get("properties", {}).items():
        found += [(f"{path}.{name}", child), *fields(child, f"{path}.{name}")]
    for key, mark in (("items", "[]"), ("additionalProperties", "{}")):
        if key in schema:
            found += [(path + mark, schema[key]), *fields(schema[key], path + mark)]
    return found


NODES = [
    pytest.param(path, node, id=f"{model.__name__}{path}")
    for model in MODELS
    for path, node in fields(structural(model))
]


@pytest.mark.parametrize(("path", "node"), NODES)
def test_every_field_is_bounded_and_described(path: str, node: Schema) -> None:
    if not path.endswith(("[]", "{}")):
        assert node["description"].endswith(".")
    match node["type"]:
        case "string":
            assert "maxLength" in node or "enum" in node or node.get("format") == "date-time"
        case "array":
            assert "maxItems" in node
            assert "x-kubernetes-list-type" in node
            assert set(node.get("x-kubernetes-list-map-keys", ())) <= set(node["items"].get("required", ()))
        case "object":
            assert "maxProperties" in node or "additionalProperties" not in node
    assert not isinstance(node.get("default"), dict | list)
    assert all(len(rule["message"]) > 20 for rule in node.get("x-kubernetes-validations", ()))


def _node(model: Any, path: str) -> Schema:
    return structural(model) if not path else dict(fields(structural(model)))[path]


def _fits(node: Schema, value: Any) -> bool:
    return all(holds(rule["rule"], value) for rule in node["x-kubernetes-validations"])


@pytest.mark.parametrize(
    ("path", "text", "fits"),
    [
        (".maxAge", "1s", True),
        (".maxAge", "999ms", False),
        (".maxAge", "0", False),
        (".maxAge", "87600h", True),
        (".maxAge", "87600h1s", False),
        (".overdue.grace", "0s", True),
        (".overdue.grace", "87601h", False),
        (".windows[].duration", "59s", False),
        (".windows[].duration", "1m", True),
        (".windows[].duration", "1.5h", True),
        (".windows[].duration", "8784h", True),
        (".windows[].duration", "8784h1m", False),
    ],
)
def test_the_bounds_of_durations_are_those_of_the_core(path: str, text: str, fits: bool) -> None:
    """So that what the API server takes can be read, and what it refuses could not."""
    assert _fits(_node(AgentPolicySpec, path), text) is fits
    least = {".maxAge": cadence_spec.LEAST_INTERVAL, ".windows[].duration": cadence_spec.LEAST_WINDOW}.get(path)
    most = {".windows[].duration": cadence_spec.LONGEST_WINDOW}.get(path)
    bounds = {name: bound for name, bound in (("least", least), ("most", most)) if bound is not None}
    try:
        parse(text, path, **bounds)
    except DurationError:
        assert not fits
    else:
        assert fits


def test_lengths_and_words_are_those_of_the_core() -> None:
    for model, path in ((AgentPolicySpec, ".windows[]"), (CadenceFields, "")):
        assert _node(model, f"{path}.schedule")["maxLength"] == crontab.MAX_LENGTH
        assert _node(model, f"{path}.timeZone")["maxLength"] == zones.MAX_LENGTH
    assert {kind.value for kind in WindowKind} == {kind.value for kind in windows.Kind}
    assert format_duration(cadence_spec.LONGEST_WINDOW) == "8784h"


@pytest.mark.parametrize(
    ("spec", "fits"),
    [
        ({}, True),
        ({"maxAge": "720h"}, True),
        ({"maxAge": "720h", "overdue": {"grace": "1h"}}, True),
        ({"overdue": {"grace": "1h"}}, False),
    ],
)
def test_overdue_needs_an_age(spec: dict[str, Any], fits: bool) -> None:
    assert _fits(structural(AgentPolicySpec), spec) is fits


@pytest.mark.parametrize("operator", SelectorOperator)
@pytest.mark.parametrize("values", [None, (), ("a",), ("a", "b")])
def test_only_in_and_not_in_have_values(operator: SelectorOperator, values: tuple[str, ...] | None) -> None:
    requirement: dict[str, Any] = {"key": "tier", "operator": operator.value}
    if values is not None:
        requirement["values"] = list(values)
    assert _fits(structural(LabelSelectorRequirement), requirement) is (bool(values) == (operator in ("In", "NotIn")))


@pytest.mark.parametrize(
    ("retraining", "fits"),
    [
        ({}, True),
        ({"schedule": "0 2 * * 1"}, True),
        ({"schedule": "0 2 * * 1", "timeZone": "Europe/Zurich", "maxAge": "720h", "grace": "24h"}, True),
        ({"every": "720h", "spread": "2h", "suspend": True}, True),
        ({"schedule": "0 2 * * 1", "every": "720h"}, False),
        ({"every": "720h", "timeZone": "UTC"}, False),
        ({"timeZone": "UTC"}, False),
        ({"schedule": "0 2 * * 1", "grace": "24h"}, False),
    ],
)
def test_rules_of_the_cadence(retraining: dict[str, Any], fits: bool) -> None:
    assert _fits(structural(CadenceFields), retraining) is fits
    assert structural(CadenceFields)["x-kubernetes-validations"] == rules(*CADENCE_RULES)["x-kubernetes-validations"]


def test_words_of_the_contract() -> None:
    """What users of Kubernetes know by these names, and what the operator's own documents promise."""
    assert set(structural(AgentPolicySpec)["properties"]) == {
        "description", "selector", "windows", "maxConcurrent", "maxAge", "overdue", "requiredEvaluations", "curriculum",
        "archive", "revisionHistoryLimit", "handover",
    }  # fmt: skip
    assert set(structural(AgentPolicyStatus)["properties"]) == {
        "observedGeneration", "agents", "training", "overdue", "conditions",
    }  # fmt: skip
    assert structural(AgentPolicySpec)["required"] == ["description", "selector"]
    assert _node(AgentPolicySpec, ".maxConcurrent")["minimum"] == 1
    assert {action.value for action in OverdueAction} == {"Announce", "Suspend"}
    assert {operator.value for operator in SelectorOperator} == {"In", "NotIn", "Exists", "DoesNotExist"}


@pytest.mark.parametrize("text", ["30d", "-1h", "1", "", "h", "1h ", "+1h"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="maxAge"):
        CadenceFields.model_validate({"maxAge": text})
