"""The examples of docs/evaluations.md are what the code does."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from aiagent_operator.api.agentevaluation import Phase
from aiagent_operator.api.evaluation import ERROR_LIMIT, EvaluationTemplate
from aiagent_operator.core.evaluation import result
from aiagent_operator.core.evaluation.query import Names, asked
from aiagent_operator.core.evaluation.run import RETRY
from aiagent_operator.runtime.prometheus import MOST_BYTES, TIMEOUT
from support.documents import ROOT, blocks, objects
from support.evaluations import course

PAGE = ROOT / "docs" / "evaluations.md"
TEMPLATES = {template["name"]: template for block in blocks(PAGE, "yaml") for template in objects(block)}


def _table(heading: str) -> list[list[str]]:
    """The rows of the table that begins with this heading."""
    found = re.search(rf"^\| {re.escape(heading)} \|.*\n\|[-|]+\n((?:\|.*\n)+)", PAGE.read_text(), re.MULTILINE)
    assert found
    return [[cell.strip(" `") for cell in line[1:-1].split("|")] for line in found[1].splitlines()]


VERDICTS = _table("limits")


@pytest.mark.parametrize(("limits", "measurements", "verdict"), VERDICTS)
def test_verdicts(limits: str, measurements: str, verdict: str) -> None:
    fields = {name: int(value) for name, value in re.findall(r"(\w+): (\d+)", limits)}
    _, status = course(measurements.replace(" ", ""), interval="10s", count=3, **fields)
    assert status.phase is not None
    assert status.phase.value == verdict


def test_there_are_verdicts_of_each_kind() -> None:
    assert {row[2] for row in VERDICTS} == {phase.value for phase in Phase} - {"Pending"}


def test_templates_can_be_read() -> None:
    assert set(TEMPLATES) == {"held-out", "by-region", "live"}
    for template in TEMPLATES.values():
        EvaluationTemplate.model_validate(template)


def test_the_result_has_what_the_template_judges() -> None:
    (block,) = blocks(PAGE, "json")
    found = result.read(json.dumps(json.loads(block.text)))
    wanted = {metric["name"] for metric in TEMPLATES["held-out"]["metrics"]}
    assert wanted < set(found.measurements)


@pytest.mark.parametrize("name", ["evaluate", "bias_audit"])
def test_metrics_are_what_the_sample_measures(name: str) -> None:
    template: dict[str, Any] = {"evaluate": TEMPLATES["held-out"], "bias_audit": TEMPLATES["by-region"]}[name]
    source = (ROOT / "examples" / "ticket-triage" / "triage" / f"{name}.py").read_text()
    for metric in template["metrics"]:
        assert f'"{metric["name"]}"' in source
    (container,) = template["job"]["spec"]["template"]["spec"]["containers"]
    assert container["args"] == [f"triage.{name}"]
    for variable in container["env"]:
        assert variable["name"] in source


def test_the_query_takes_names() -> None:
    query = asked(TEMPLATES["live"]["metrics"][0]["query"], Names("triage", "crm", 4))
    assert query.count('pod=~"triage-4-[^-]+-[^-]+", namespace="crm"}') == 2
    source = (ROOT / "examples" / "ticket-triage" / "triage" / "metrics.py").read_text()
    assert {f'"{name}"' for name in re.findall(r"(triage_\w+)_total", query)} <= set(
        re.findall(r'"triage_\w+"', source)
    )


def test_numbers_of_the_page() -> None:
    text = PAGE.read_text()
    assert f"asked again after {RETRY.total_seconds():.0f} s" in text
    assert f"is no answer after {TIMEOUT:.0f} s" in text
    assert MOST_BYTES == 1024**2
    assert f"| errors in a row that are tolerated | {ERROR_LIMIT} |" in text
