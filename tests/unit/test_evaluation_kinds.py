"""Templates of evaluations and their records: what may be written, in which words the rest is refused, and bounds."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from aiagent_operator.api.agentevaluation import AgentEvaluationSpec, AgentEvaluationStatus, RecordedTemplate
from aiagent_operator.api.evaluation import ENDS, EvaluationTemplate, Metric
from aiagent_operator.api.schema import structural
from aiagent_operator.cli.lint import cel_rules
from aiagent_operator.core.evaluation.query import Names, QueryError, asked
from aiagent_operator.core.evaluation.record import RecordError, job_of, recorded

Schema = dict[str, Any]
GONE = object()
"""Put in place of a value: the field is left out."""

JOB = {
    "metadata": {"labels": {"kueue.x-k8s.io/queue-name": "evaluations"}},
    "spec": {
        "backoffLimit": 1,
        "template": {"spec": {"containers": [{"name": "measure", "image": "triage:dev", "args": ["triage.evaluate"]}]}},
    },
}
BY_JOB: dict[str, Any] = {"name": "held-out", "job": JOB, "metrics": [{"name": "accuracy", "min": "0.85"}]}
LIVE: dict[str, Any] = {"name": "errors", "query": "sum(errors{revision={{revision}}})", "max": "0.01"}
BY_QUERY: dict[str, Any] = {"name": "live", "prometheus": {}, "metrics": [LIVE]}
RECORD: dict[str, Any] = {
    "agentRef": {"name": "triage", "uid": "0b2d"},
    "revision": 4,
    "stableRevision": 3,
    "purpose": "Promotion",
    "provider": "Prometheus",
    "template": BY_QUERY,
}


def changed(value: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The value with fields set, by paths such as `metrics__0__query`."""
    whole = copy.deepcopy(value)
    for path, change in changes.items():
        *way, last = (int(part) if part.isdigit() else part for part in path.split("__"))
        node = whole
        for part in way:
            node = node[part]
        if change is GONE:
            del node[last]
        else:
            node[last] = change
    return whole


def broken(value: Any, schema: Schema) -> Iterator[str]:
    """Messages of the CEL rules that do not hold, those about an older object aside."""
    for rule in schema.get("x-kubernetes-validations", ()):
        if "oldSelf" not in rule["rule"] and not cel_rules.holds(rule["rule"], value):
            yield rule["message"]
    if isinstance(value, dict):
        for key, child in value.items():
            yield from broken(child, schema.get("properties", {}).get(key, schema.get("additionalProperties", {})))
    elif isinstance(value, list):
        for item in value:
            yield from broken(item, schema.get("items", {}))


def refusals(value: dict[str, Any], model: type[BaseModel]) -> str:
    """All that is said against the value; empty where it is taken."""
    said = list(broken(value, structural(model)))
    try:
        model.model_validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        said += [f"{'.'.join(map(str, found['loc']))}: {found['msg']}" for found in error.errors()]
    return "; ".join(said)


@pytest.mark.parametrize(
    ("value", "model"),
    [
        (BY_JOB, EvaluationTemplate),
        (BY_QUERY, EvaluationTemplate),
        (changed(BY_QUERY, prometheus__address="https://prom.example:9090/tenant"), EvaluationTemplate),
        (changed(BY_QUERY, metrics__0__interval="30s"), EvaluationTemplate),
        (changed(BY_QUERY, metrics__0__interval="30s", metrics__0__failureLimit=100), EvaluationTemplate),
        (
            changed(BY_QUERY, metrics__0__interval="30s", metrics__0__count=5, metrics__0__failureLimit=4),
            EvaluationTemplate,
        ),
        (changed(BY_QUERY, metrics__0__maxIncrease="0.005"), EvaluationTemplate),
        (changed(BY_QUERY, metrics__0__min="-1", metrics__0__max="-1"), EvaluationTemplate),
        (changed(BY_QUERY, metrics__0__min="9", metrics__0__max="10"), EvaluationTemplate),
        (RECORD, AgentEvaluationSpec),
        (changed(RECORD, stableRevision=GONE), AgentEvaluationSpec),
        (changed(RECORD, purpose="Analysis", template__metrics__0__interval="1m"), AgentEvaluationSpec),
    ],
)
def test_taken(value: dict[str, Any], model: type[BaseModel]) -> None:
    assert not refusals(value, model)


OF_TEMPLATES = [
    (changed(BY_JOB, prometheus={}), "set exactly one of job and prometheus"),
    (changed(BY_JOB, job=GONE), "set exactly one of job and prometheus"),
    (changed(BY_JOB, metrics=[]), "metrics: Tuple should have at least 1 item"),
    (changed(BY_JOB, name="n" * 41), "name: String should have at most 40 characters"),
    (changed(BY_JOB, metrics__0__query="up"), "a Job measures once"),
    (changed(BY_JOB, metrics__0__interval="1m"), "set job.spec.backoffLimit for retries"),
    (changed(BY_JOB, metrics__0__failureLimit=0), "a Job measures once"),
    (changed(BY_JOB, metrics__0__min=GONE), "set at least one of min, max, maxDecrease and maxIncrease"),
    (changed(BY_JOB, metrics__0__min="0,85"), "min: String should match pattern"),
    (changed(BY_JOB, metrics__0__min="NaN"), "min: String should match pattern"),
    (changed(BY_JOB, metrics__0__min=0.85), "min: Input should be a valid string"),
    (changed(BY_JOB, metrics__0__min="0.9", metrics__0__max="0.85"), "min must not be greater than max"),
    (changed(BY_JOB, metrics__0__maxDecrease="-0.1"), "maxDecrease: String should match pattern"),
    (changed(BY_JOB, metrics__0__name="Macro F1"), "name: String should match pattern"),
    (changed(BY_QUERY, metrics__0__query=GONE), "each metric of prometheus needs a query"),
    (changed(BY_QUERY, metrics__0__query="up{a={{revison}}}"), "only {{revision}}, {{stableRevision}}, {{agent}}"),
    (changed(BY_QUERY, metrics__0__query="up{a={{ revision }}}"), "written without spaces"),
    (changed(BY_QUERY, metrics__0__query='up{a="{{args.name}}"}'), "correct or remove what else stands in {{ }}"),
    (changed(BY_QUERY, metrics__0__query="up{{"), "correct or remove"),
    (changed(BY_QUERY, metrics__0__query="up", metrics__0__maxIncrease="1"), "use {{revision}} in it"),
    (changed(BY_QUERY, metrics__0__count=2), "a count of more than 1 needs an interval"),
    (changed(BY_QUERY, metrics__0__failureLimit=1), "failureLimit must be less than count (1 unless set)"),
    (
        changed(BY_QUERY, metrics__0__interval="1m", metrics__0__count=3, metrics__0__inconclusiveLimit=3),
        "inconclusiveLimit must be less than count",
    ),
    (changed(BY_QUERY, metrics__0__interval="1d"), "interval: String should match pattern"),
    (changed(BY_QUERY, prometheus__address="file:///etc/passwd"), "address: String should match pattern"),
    (changed(BY_QUERY, prometheus__address="http://a:b@prom:9090"), "address: String should match pattern"),
    (changed(BY_QUERY, prometheus__address="http://prom:9090/?x=1"), "address: String should match pattern"),
]


@pytest.mark.parametrize(("template", "message"), OF_TEMPLATES)
def test_refused_templates(template: dict[str, Any], message: str) -> None:
    assert message in refusals(template, EvaluationTemplate)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (changed(RECORD, stableRevision=4), "a revision is not compared with itself"),
        (changed(RECORD, revision=0), "revision: Input should be greater than or equal to 1"),
        (changed(RECORD, purpose="Fun"), "purpose: Input should be"),
        (changed(RECORD, template__metrics__0__interval="1m"), "only an Analysis is ended by its rollout"),
        (changed(RECORD, provider="Job"), "provider is Job where the template has one"),
        (changed(RECORD, template__jobDigest="sha256:" + "0" * 64), "job and jobDigest go together"),
        (changed(RECORD, template__job="{}", template__prometheus=GONE), "job and jobDigest go together"),
    ],
)
def test_refused_records(record: dict[str, Any], message: str) -> None:
    assert message in refusals(record, AgentEvaluationSpec)


def test_a_record_never_changes() -> None:
    rules = structural(AgentEvaluationSpec)["x-kubernetes-validations"]
    assert "self == oldSelf" in [rule["rule"] for rule in rules]


def test_nothing_in_a_record_is_open() -> None:
    """What a schema leaves open, `self == oldSelf` does not protect."""
    assert "x-kubernetes-preserve-unknown-fields" not in json.dumps(structural(AgentEvaluationSpec))


@pytest.mark.parametrize(("endless", "held"), [(False, True), (True, False)])
def test_a_gate_ends(endless: bool, held: bool) -> None:
    template = changed(BY_QUERY, metrics__0__interval="1m") if endless else BY_QUERY
    assert cel_rules.holds(ENDS["rule"], [BY_JOB, template]) is held


MODELS = (EvaluationTemplate, AgentEvaluationSpec, AgentEvaluationStatus)


def fields(schema: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    """Every node below, by its path."""
    for name, child in schema.get("properties", {}).items():
        yield f"{path}.{name}", child
        yield from fields(child, f"{path}.{name}")
    for key, mark in (("items", "[]"), ("additionalProperties", "{}")):
        if key in schema:
            yield path + mark, schema[key]
            yield from fields(schema[key], path + mark)


@pytest.mark.parametrize("model", MODELS)
def test_fields_are_described_and_bounded(model: type[BaseModel]) -> None:
    for path, node in fields(structural(model)):
        if not path.endswith(("[]", "{}", ".metadata")):
            assert node.get("description", "").endswith("."), path
        match node["type"]:
            case "string":
                assert {"maxLength", "enum"} & node.keys() or node.get("format") == "date-time", path
            case "array":
                assert "maxItems" in node, path
            case "object":
                assert "maxProperties" in node or "additionalProperties" not in node, path


def test_three_lists_of_templates_leave_room_in_a_definition() -> None:
    assert len(yaml.safe_dump(structural(EvaluationTemplate)).encode()) < 25_000


def test_a_record_keeps_the_template_whole() -> None:
    template = EvaluationTemplate.model_validate(BY_JOB)
    record = recorded(template)
    assert record.job == json.dumps(JOB, sort_keys=True, separators=(",", ":"))
    assert job_of(record) == template.job
    assert record.metrics == template.metrics
    assert not refusals(record.model_dump(by_alias=True, exclude_none=True, mode="json"), RecordedTemplate)
    assert job_of(recorded(EvaluationTemplate.model_validate(BY_QUERY))) is None


def test_a_record_is_the_same_whatever_the_order_of_fields() -> None:
    turned = {**BY_JOB, "job": {"spec": dict(reversed(JOB["spec"].items())), "metadata": JOB["metadata"]}}
    assert recorded(EvaluationTemplate.model_validate(turned)) == recorded(EvaluationTemplate.model_validate(BY_JOB))


def test_a_record_that_was_changed_is_not_run() -> None:
    record = recorded(EvaluationTemplate.model_validate(BY_JOB))
    other = record.model_copy(update={"job": (record.job or "").replace("triage:dev", "evil:dev")})
    with pytest.raises(RecordError, match="jobDigest of evaluation held-out is not that of its job"):
        job_of(other)


def test_a_job_too_long_for_a_record_is_refused() -> None:
    container = {"name": "measure", "image": "triage:dev", "args": ["x" * 131_072]}
    long = changed(BY_JOB, job__spec__template__spec__containers=[container])
    with pytest.raises(RecordError, match="write at most 131072, and put longer texts into a ConfigMap"):
        recorded(EvaluationTemplate.model_validate(long))


PIECES = st.sampled_from(
    ["{{revision}}", "{{agent}}", "{{nope}}", "{{", "}}", "{", "}", '"', "'", "`", "\\", "#", "\n", "a", "=", "{{{"]
)


@given(st.lists(PIECES, max_size=12).map("".join))
def test_what_the_definition_takes_as_a_query_can_be_asked(query: str) -> None:
    metric = {"name": "m", "min": "1", "query": query or "up"}
    said = "; ".join(broken(metric, structural(Metric)))
    if not said:
        assert "{{" not in asked(query, Names("triage", "crm", 4))
    try:
        asked(query, Names("triage", "crm", 4))
    except QueryError:
        assert "only {{revision}}" in said
