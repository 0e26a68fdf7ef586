"""The example of docs/reviews.md is what the code reads and what the sample measures, and its numbers are right."""

import re
from typing import Any

import pytest

from aiagent_operator.api.aiagent import AIAgentSpec
from aiagent_operator.api.evaluation import EvaluationTemplate
from aiagent_operator.api.reviews import MOST_KEPT, SUCCESSFUL_KEPT, UNSUCCESSFUL_KEPT
from aiagent_operator.core.children import evaluation
from aiagent_operator.core.evaluation import jobs
from aiagent_operator.core.evaluation.jobs import JobState, SeenJob
from aiagent_operator.core.evaluation.query import Names, asked
from aiagent_operator.core.reviews import entries
from support import agents
from support.documents import ROOT, blocks, objects, table
from support.gates import BEGIN

PAGE = ROOT / "docs" / "reviews.md"
README = ROOT / "examples" / "ticket-triage" / "README.md"
SAMPLE = ROOT / "examples" / "ticket-triage" / "triage"


def _supervision() -> dict[str, Any]:
    (block,) = blocks(PAGE, "yaml")
    found: dict[str, Any] = objects(block)[0]["spec"]["supervision"]
    return found


def test_the_example_can_be_carried_out() -> None:
    spec = AIAgentSpec.model_validate(agents.agent("home", "triage", "support", supervision=_supervision())["spec"])
    assert [(entry.purpose.value, entry.name) for entry in entries.of(spec)] == [
        ("Review", "wrong-queue"),
        ("BiasAudit", "by-region"),
    ]
    assert list(entries.problems(spec)) == []
    assert entries.by_job(spec)


def test_the_audit_judges_what_the_sample_measures() -> None:
    audit = next(each for each in _supervision()["evaluations"] if each["name"] == "by-region")
    source = (SAMPLE / "bias_audit.py").read_text()
    for metric in audit["metrics"]:
        assert f'"{metric["name"]}"' in source
    (container,) = audit["job"]["spec"]["template"]["spec"]["containers"]
    assert container["args"] == ["triage.bias_audit"]
    settings = (SAMPLE / "settings.py").read_text()
    for variable in container["env"]:
        assert f'"{variable["name"]}"' in settings


def test_the_query_takes_names() -> None:
    review = next(each for each in _supervision()["evaluations"] if each["name"] == "wrong-queue")
    query = asked(review["metrics"][0]["query"], Names("triage", "crm", 4))
    assert query.count('pod=~"triage-4-[^-]+-[^-]+", namespace="crm"}') == 2


def test_numbers_of_the_page() -> None:
    rows = {row[0]: row for row in table(PAGE, "field of an entry")}
    assert rows["successfulRunHistoryLimit"][2] == str(SUCCESSFUL_KEPT)
    assert rows["unsuccessfulRunHistoryLimit"][2] == str(UNSUCCESSFUL_KEPT)
    assert all(f"1 to {MOST_KEPT}" in row[1] for name, row in rows.items() if name.endswith("HistoryLimit"))


AUDITS = re.findall(r"python -m triage\.bias_audit[^\n]*\n(\{\n.*?\n\})", README.read_text(), re.DOTALL)


@pytest.mark.parametrize(("printed", "phase"), list(zip(AUDITS, ["Successful", "Failed"], strict=True)))
def test_what_the_sample_prints_is_what_the_operator_reads_and_judges(printed: str, phase: str) -> None:
    """The README's outputs are those of its own tests: of a fair model, and of one that learned from a skewed set."""
    audit = next(each for each in _supervision()["evaluations"] if each["name"] == "by-region")
    metrics = EvaluationTemplate.model_validate(audit).metrics
    seen = SeenJob(JobState.SUCCEEDED, printed)
    status = jobs.record(metrics, jobs.begin(metrics, BEGIN), seen, BEGIN, compared=False, grouped=True)
    assert status.phase is not None
    assert status.phase.value == phase
    assert [result.name for result in status.metric_results] == [metric.name for metric in metrics]
    assert [group.name for group in status.groups] == ["dach", "nordics", "south-asia", "uk-ie"]
    assert set(status.groups[0].values) == {"tickets", "accuracy", "escalation-rate"}
    if phase == "Failed":
        assert "equalized-odds-difference: 0.4375 is above max 0.20" in (status.message or "")
        record = {
            "spec": {"revision": 4, "template": {"name": "by-region", "job": "{}"}, "purpose": "BiasAudit"},
            "status": status.model_dump(mode="json", by_alias=True, exclude_none=True),
        }
        assert "accuracy from 0.8056 (dach) to 0.9028 (uk-ie)" in evaluation.facts(record).groups
