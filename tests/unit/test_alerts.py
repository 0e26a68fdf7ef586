"""The chart's alerts ask for series that the operator exposes, and say whom to tell, what of, and what to do.

That they fire and end is tested by Prometheus itself, in tests/cluster/test_alerts.py.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from aiagent_operator.runtime import controller as _controller  # noqa: F401 - some series come with it
from aiagent_operator.runtime import gauges, metrics
from aiagent_operator.runtime.archive.keeper import Keeper
from aiagent_operator.runtime.store import Store
from support import chart
from support.archive import directory_config
from support.documents import ROOT, headings, table

FILE = chart.CHART / "files" / "alerts.yaml"
TROUBLESHOOTING = ROOT / "docs" / "troubleshooting.md"
(GROUP,) = yaml.safe_load(FILE.read_text())["groups"]
ALERTS: Mapping[str, Mapping[str, Any]] = {each["alert"]: each for each in GROUP["rules"]}

each = pytest.mark.parametrize("name", ALERTS)


@pytest.fixture
def exposed(tmp_path: Path) -> dict[str, list[dict[str, str]]]:
    """Labels of the series that an operator exposes before anything has happened, by name."""
    gauges.update(Store(lambda _: None))
    keeper = Keeper(directory_config(tmp_path), interval=1, restored=lambda _: None)
    asyncio.run(keeper.store.close())
    found: dict[str, list[dict[str, str]]] = {}
    for family in text_string_to_metric_families(metrics.exposition().decode()):
        for sample in family.samples:
            found.setdefault(sample.name, []).append(sample.labels)
    return found


@each
def test_what_it_asks_for_is_exposed(name: str, exposed: dict[str, list[dict[str, str]]]) -> None:
    expression = ALERTS[name]["expr"]
    selectors = re.findall(r"\b(aiagent_\w+)(?:\{([^}]*)\})?", expression)
    assert selectors
    for series, matchers in selectors:
        wanted = dict(re.findall(r'(\w+)="([^"]*)"', matchers))
        assert any(wanted.items() <= labels.items() for labels in exposed[series]), f"{series}{{{matchers}}}"
    for label in re.findall(r"\bby \((\w+)\)", expression):
        assert all(label in labels for series, _ in selectors for labels in exposed[series]), label


@each
def test_it_says_what_is_wrong_and_what_to_do(name: str) -> None:
    alert = ALERTS[name]
    assert alert["labels"] == {"severity": alert["labels"]["severity"]}
    assert alert["labels"]["severity"] in {"critical", "warning"}
    assert alert["annotations"].keys() == {"summary", "description"}
    assert len(alert["annotations"]["summary"]) < 120
    section = re.search(r'docs/troubleshooting\.md, "([^"]+)"\.$', alert["annotations"]["description"])
    assert section
    assert section[1] in {heading.strip("`") for heading in headings(TROUBLESHOOTING)}
    grouped = set(re.findall(r"\bby \((\w+)\)", alert["expr"]))
    assert set(re.findall(r"\$labels\.(\w+)", str(alert["annotations"]))) == grouped, "it names what it is about"


def test_the_page_has_all_of_them() -> None:
    rows = {row[0]: row[1] for row in table(TROUBLESHOOTING, "alert")}
    assert rows == {name: alert["labels"]["severity"] for name, alert in ALERTS.items()}


def test_the_chart_makes_a_rule_of_them_where_that_is_asked_for() -> None:
    def rules(**values: Any) -> list[Any]:
        return [o for o in chart.render({"metrics": {"prometheusRule": values}}) if o["kind"] == "PrometheusRule"]

    assert rules() == []
    (rule,) = rules(enabled=True, labels={"release": "prometheus"})
    assert rule["apiVersion"] == "monitoring.coreos.com/v1"
    assert rule["spec"] == {"groups": [GROUP]}
    assert rule["metadata"]["namespace"] == chart.NAMESPACE
    assert rule["metadata"]["labels"]["release"] == "prometheus"
