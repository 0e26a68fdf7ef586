"""What docs/training.md shows is what the code does."""

import re
from typing import Any

import orjson
import pytest

from aiagent_operator.api import meta, runs
from aiagent_operator.api.connections import Connection
from aiagent_operator.api.jobtemplate import LONGEST_RUN, MOST_RETRIES, JobTemplate
from aiagent_operator.api.runs import RunKind
from aiagent_operator.api.schema import structural
from aiagent_operator.core.children import run_job
from aiagent_operator.core.children.run_job import Run, Stable
from aiagent_operator.core.objects import AgentIdentity
from aiagent_operator.core.runs import bounds as result_bounds
from aiagent_operator.core.runs import images
from aiagent_operator.core.runs import outcome as outcomes
from aiagent_operator.core.runs import result as training_result
from aiagent_operator.core.runs.outcome import RunReason
from aiagent_operator.core.runs.result import ResultError
from support.celrules import broken
from support.documents import ROOT, blocks, code, objects

PAGE = ROOT / "docs" / "training.md"
TEXT = PAGE.read_text()
AGENT = AgentIdentity("support", "triage", "0b7e7f3a-8a1c-4f43-9d50-4f57f5a0e0d1")
RETRAINING: dict[str, Any] = objects(blocks(PAGE, "yaml")[0])[0]["retraining"]
RESULT = blocks(PAGE, "json")[0].text


def table(heading: str) -> list[list[str]]:
    """The rows of the table whose first column has this heading."""
    found = re.search(rf"^\| {re.escape(heading)} \|.*\n\|[-|]+\n((?:\|.*\n)+)", TEXT, re.MULTILINE)
    assert found, heading
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in found[1].splitlines()]


def test_the_template_is_accepted_and_makes_a_job() -> None:
    template = RETRAINING["jobTemplate"]
    assert list(broken(template, structural(JobTemplate))) == []
    JobTemplate.model_validate(template)
    declared = [Connection.model_validate({"name": "models", "secretRef": {"name": "models"}})]
    given = run_job.named(RETRAINING["connections"], declared, "spec.retraining.connections")
    env = run_job.environment(AGENT, RunKind.TRAINING, 7, Stable(6, "file:///store/sha256-0a.json"))
    job = run_job.build(AGENT, Run(RunKind.TRAINING, 7, "train", env, "book", given), template)
    assert job["metadata"]["name"] == "triage-7-train"
    assert "`<agent>-<revision>-train`" in TEXT
    told = [entry["name"] for entry in job["spec"]["template"]["spec"]["containers"][0]["env"]]
    referred = set(re.findall(r"\$\((\w+)\)", TEXT))
    assert referred
    assert referred <= set(told)
    paths = [m["mountPath"] for m in job["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]]
    mounts = [row[0].strip("`").replace("<name>", "models") for row in table("mount")]
    assert set(mounts) == {*paths, "yours"} - {"/store"}


def test_every_variable_is_in_the_table() -> None:
    listed = [row[0].strip("`") for row in table("variable")]
    env = run_job.environment(AGENT, RunKind.TRAINING, 7, None)
    assert listed == [*env, runs.ENV_RESULT]


def test_bounds_and_defaults_are_those_of_the_code() -> None:
    rows = {row[0]: row[1] for row in table("field")}
    assert rows["`backoffLimit`"] == f"0 to {MOST_RETRIES}; {run_job.BACKOFF_LIMIT} where it is left out"
    deadline = f"1 to {LONGEST_RUN} (a week); {run_job.ACTIVE_DEADLINE_SECONDS} (6 hours) where it is left out"
    assert rows["`activeDeadlineSeconds`"] == deadline
    assert run_job.ACTIVE_DEADLINE_SECONDS == 6 * 3600
    for text in (runs.account_name("<agent>", kind) for kind in RunKind):
        assert text in code(PAGE)
    assert runs.network_name("<agent>") in code(PAGE)
    assert f"keeps {training_result.LIMIT} bytes" in TEXT
    assert f"at most {outcomes.TAIL} characters" in TEXT
    assert meta.HANDBOOK_MOUNT in code(PAGE)


def test_fields_that_the_page_wants_left_out_are_those_that_rules_refuse() -> None:
    spec = structural(JobTemplate)["properties"]["spec"]["properties"]
    never = {name for name, node in spec.items() if node["description"] == "Forbidden."}
    out = {name for row in table("field") if row[1] == "left out" for name in re.findall(r"`(\w+)`", row[0])}
    assert never | {"completionMode", "serviceAccountName", "hostNetwork", "hostPID", "hostIPC"} == out


def test_the_result_is_accepted_and_within_its_bounds() -> None:
    result = training_result.read(RESULT)
    assert result.to_wire() == orjson.loads(RESULT)
    assert result_bounds.refusal(result, "a:1", RETRAINING["imageRepositories"], RETRAINING["artifactLocations"]) == ""
    rows = re.findall(r"^\| `(\w+)` \| .* \| (.*) \|$", TEXT.split("## The result")[1].split("## ")[0], re.MULTILINE)
    bounds = dict(rows)
    assert list(bounds) == list(training_result.FIELDS)
    assert bounds["artifact"] == f"{training_result.LONGEST_ARTIFACT} characters"
    assert bounds["image"] == f"{images.LONGEST} characters"
    assert bounds["model"] == f"{training_result.LONGEST_NAME} characters each"
    metrics = f"{training_result.MOST_METRICS} of them, {training_result.LONGEST_METRIC} characters each, names of 63"
    assert bounds["metrics"] == metrics


REFUSED = table("result")


@pytest.mark.parametrize(("result", "words"), REFUSED)
def test_what_the_page_says_is_refused_is_refused_in_these_words(result: str, words: str) -> None:
    with pytest.raises(ResultError) as caught:
        training_result.read(result.strip("`"))
    assert str(caught.value).startswith(words)


@pytest.mark.parametrize("image", ["registry.example/support/triage-new:1", "registry.example/support/triage/new:1"])
def test_repositories_are_compared_as_whole_names(image: str) -> None:
    result = training_result.read(f'{{"image": "{image}"}}')
    assert result_bounds.refusal(result, "registry.example/support/triage:1")
    assert image.removesuffix(":1") in code(PAGE)


def test_every_way_to_end_is_in_the_table() -> None:
    listed = {name for row in table("the run") for name in re.findall(r"`(\w+)`", row[0])}
    assert listed >= {reason.value for reason in RunReason}
