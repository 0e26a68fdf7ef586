"""What the command says of evaluations, from their records as the API server has them."""

from __future__ import annotations

from typing import Any

import pytest

from aiagent_operator.cli import evaluations
from aiagent_operator.cli.rollout import Pods, progress
from unit.test_cli_revisions import STEP, agent


def record(
    name: str, *, at: str = "2026-11-02T09:00:00Z", purpose: str = "Analysis", revision: int = 2, **status: Any
) -> Any:
    spec = {"purpose": purpose, "revision": revision, "template": {"name": name}}
    return {"metadata": {"creationTimestamp": at}, "spec": spec, "status": status}


def test_of_each_evaluation_the_newest_of_this_rollout_is_shown() -> None:
    found = evaluations.newest(
        [
            record("errors", at="2026-11-02T09:00:02Z", phase="Running"),
            record("errors", at="2026-11-02T09:00:01Z", phase="Successful"),
            record("slow", at="2026-11-02T08:59:59Z", phase="Failed"),
            record("errors", revision=1, phase="Failed"),
            record("errors", at="2026-11-01T00:00:00Z", purpose="Promotion", phase="Successful"),
        ],
        2,
        "2026-11-02T09:00:00",
    )
    assert [(each["spec"]["purpose"], evaluations.phase(each)) for each in found] == [
        ("Analysis", "Running"),
        ("Promotion", "Successful"),
    ]
    assert evaluations.of_rollout(found) == ['Evaluation "errors" is Running']


def test_a_line_says_why_and_one_without_a_status_is_pending() -> None:
    found = [record("a"), record("b", phase="Failed", message="m: 0.5 is below min 1")]
    found.append(record("c", phase="Successful", message="m: all bounds kept"))
    assert evaluations.of_rollout(found) == [
        'Evaluation "a" is Pending',
        'Evaluation "b" is Failed: m: 0.5 is below min 1',
        'Evaluation "c" is Successful',
    ]


def test_rollout_status_has_them_below_the_step() -> None:
    now = agent(stable=1, rollingOut=2, rollout=STEP)
    lines = progress(now, {1: Pods(1, 1), 2: Pods(1, 1)}, ['Evaluation "a" is Running']).lines
    assert lines[lines.index('Evaluation "a" is Running') - 1].startswith("1 of ")


def test_describe_has_a_table_and_programs_get_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    found = [record("errors", phase="Running"), record("live", purpose="Promotion", phase="Error", message="why")]
    evaluations.section(found)
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert rows == [
        ["Evaluations:"],
        ["NAME", "FOR", "REVISION", "PHASE", "SAYS"],
        ["errors", "Analysis", "2", "Running"],
        ["live", "Promotion", "2", "Error", "why"],
    ]
    assert evaluations.report(found)[1] == {
        "name": "live",
        "purpose": "Promotion",
        "revision": 2,
        "phase": "Error",
        "message": "why",
    }
    evaluations.section([])
    assert capsys.readouterr().out == ""
