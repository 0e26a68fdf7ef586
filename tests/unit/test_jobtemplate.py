"""What a Job of a run may say: the schema is bounded, and each rule refuses one thing with a remedy."""

import copy
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from aiagent_operator.api.jobtemplate import JobTemplate
from aiagent_operator.api.schema import structural
from support.celrules import broken

Json = dict[str, Any]
SCHEMA = structural(JobTemplate)
TEMPLATE: Json = {
    "metadata": {"labels": {"kueue.x-k8s.io/queue-name": "nightly"}, "annotations": {"team": "data"}},
    "spec": {
        "backoffLimit": 0,
        "activeDeadlineSeconds": 3600,
        "suspend": True,
        "podFailurePolicy": {"rules": []},
        "template": {
            "metadata": {"labels": {"app": "train"}},
            "spec": {
                "restartPolicy": "Never",
                "containers": [
                    {
                        "name": "train",
                        "image": "registry.example/triage:7",
                        "env": [{"name": "STABLE", "value": "$(WORKFORCE_STABLE_ARTIFACT)"}],
                    }
                ],
                "volumes": [{"name": "models", "persistentVolumeClaim": {"claimName": "models"}}],
            },
        },
    },
}


def nodes(schema: Json, path: str = "") -> Iterator[tuple[str, Json]]:
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if key in schema:
            yield from nodes(schema[key], path + "[]")


def edited(edit: Callable[[Json, Json], Any]) -> Json:
    """The template after an edit of its Job spec and pod spec."""
    template = copy.deepcopy(TEMPLATE)
    edit(template["spec"], template["spec"]["template"]["spec"])
    return template


def test_a_plain_template_breaks_no_rule_and_keeps_what_no_rule_reads() -> None:
    assert list(broken(TEMPLATE, SCHEMA)) == []
    parsed = JobTemplate.model_validate(TEMPLATE)
    assert parsed.spec.backoff_limit == 0
    assert parsed.spec.template.spec.containers[0].env[0].name == "STABLE"
    for name in ("suspend", "podFailurePolicy"):
        assert name not in SCHEMA["properties"]["spec"]["properties"]
    assert SCHEMA["properties"]["spec"]["x-kubernetes-preserve-unknown-fields"]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda job, pod: job.update(selector={"matchLabels": {"a": "b"}}), "leave selector and manualSelector out"),
        (lambda job, pod: job.update(manualSelector=True), "leave selector and manualSelector out"),
        (lambda job, pod: job.update(ttlSecondsAfterFinished=0), "leave ttlSecondsAfterFinished out"),
        (lambda job, pod: job.update(managedBy="kueue.x-k8s.io/multikueue"), "leave managedBy out"),
        (lambda job, pod: job.update(completionMode="Indexed"), "leave completionMode out"),
        (lambda job, pod: pod.update(restartPolicy="OnFailure"), "write restartPolicy: Never"),
        (lambda job, pod: pod.update(serviceAccountName="default"), "leave serviceAccountName out"),
        (lambda job, pod: pod.update(serviceAccount="default"), "leave serviceAccountName out"),
        (lambda job, pod: pod.update(hostNetwork=True), "remove hostNetwork"),
        (lambda job, pod: pod.update(hostPID=True), "remove hostNetwork"),
        (lambda job, pod: pod.update(hostIPC=True), "remove hostNetwork"),
        (lambda job, pod: pod["volumes"].append({"name": "workforce-token"}), "are reserved"),
        (lambda job, pod: pod["containers"][0]["env"].append({"name": "WORKFORCE_REVISION"}), "another name"),
        (
            lambda job, pod: pod.update(initContainers=[{"name": "get", "env": [{"name": "WORKFORCE_X"}]}]),
            "another name",
        ),
        (
            lambda job, pod: job["template"]["metadata"]["labels"].update({"workforce.dev/agent-uid": "x"}),
            "labels of workforce.dev/ are",
        ),
        (
            lambda job, pod: job["template"]["metadata"].update(annotations={"workforce.dev/x": "y"}),
            "annotations of workforce.dev/ are",
        ),
    ],
)
def test_each_rule_refuses_one_thing(edit: Callable[[Json, Json], Any], message: str) -> None:
    found = list(broken(edited(edit), SCHEMA))
    assert len(found) == 1
    assert message in found[0]


@pytest.mark.parametrize("field", ["labels", "annotations"])
def test_the_jobs_own_labels_and_annotations_are_not_ours_either(field: str) -> None:
    template = copy.deepcopy(TEMPLATE)
    template["metadata"][field]["workforce.dev/agent"] = "other"
    assert [message.split()[0] for message in broken(template, SCHEMA)] == [field]
    template["metadata"][field] = {"workforce.device/agent": "fine", "x.workforce.dev/y": "fine"}
    assert list(broken(template, SCHEMA)) == []


@pytest.mark.parametrize(
    ("field", "least", "most"),
    [
        ("backoffLimit", 0, 10),
        ("activeDeadlineSeconds", 1, 604_800),
        ("parallelism", 1, 1),
        ("completions", 1, 1),
    ],
)
def test_numbers_are_bounded(field: str, least: int, most: int) -> None:
    schema = SCHEMA["properties"]["spec"]["properties"][field]
    assert (schema["minimum"], schema["maximum"]) == (least, most)
    for value in (least, most):
        JobTemplate.model_validate({"spec": TEMPLATE["spec"] | {field: value}})
    for value in (least - 1, most + 1):
        with pytest.raises(ValidationError):
            JobTemplate.model_validate({"spec": TEMPLATE["spec"] | {field: value}})


def test_everything_is_described_and_bounded() -> None:
    for path, node in nodes(SCHEMA):
        if not path.endswith("[]"):
            assert node["description"].endswith("."), path
        match node["type"]:
            case "string":
                assert "maxLength" in node, path
            case "array":
                assert "maxItems" in node, path
                assert node["x-kubernetes-list-map-keys"] == ["name"], path
            case "object":
                assert "maxProperties" in node or "additionalProperties" not in node, path


def test_rules_name_fields_that_exist() -> None:
    rules = [(node, rule) for _, node in nodes(SCHEMA) for rule in node.get("x-kubernetes-validations", ())]
    assert len(rules) >= 10
    for node, rule in rules:
        assert set(re.findall(r"self\.(\w+)", rule["rule"])) <= set(node["properties"])
        if "fieldPath" in rule:
            assert rule["fieldPath"].removeprefix(".") in node["properties"]
