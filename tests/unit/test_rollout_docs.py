"""The tables of docs/rollouts.md are what the code decides: each of their rows is a test."""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from aiagent_operator.api.agentevaluation import Phase
from aiagent_operator.api.retraining import MOST_EVALUATIONS, Retraining
from aiagent_operator.api.rollout import PROGRESS_DEADLINE, SCALE_DOWN_DELAY, Strategy
from aiagent_operator.api.rolloutstatus import PausedFor
from aiagent_operator.cli.lint import manifest
from aiagent_operator.cli.lint.documents import Document
from aiagent_operator.core.rollout import course, motion, traffic
from aiagent_operator.core.rollout.decide import decide
from aiagent_operator.core.rollout.decision import Decision, RolloutStatus, Traffic, Transition, Waiting, WaitsFor
from aiagent_operator.core.rollout.facts import Facts, OrderKind, Pods, RolloutOrder
from aiagent_operator.core.rollout.replicas import Counts, share, split
from aiagent_operator.core.rollout.run import Run
from cluster.test_schema_rules import AGENT
from support.documents import ROOT, blocks, objects, prose
from support.rollouts import BEGIN, spec

PAGE = ROOT / "docs" / "rollouts.md"
REPLICAS = 10
STABLE, CANDIDATE = 4, 5
UNITS = {"s": "seconds", "h": "hours"}


def _tables(heading: str) -> list[list[list[str]]]:
    """The rows of each table that begins with this heading."""
    found = re.findall(rf"^\| {re.escape(heading)} \|.*\n\|[-|]+\n((?:\|.*\n)+)", PAGE.read_text(), re.MULTILINE)
    return [[[c.strip(" `") for c in line.strip("|").split(" | ")] for line in table.splitlines()] for table in found]


BLOCKS = [found for block in blocks(PAGE, "yaml") if "rollout" in (found := objects(block)[0])]
SPECS = [found["rollout"] for found in BLOCKS]
STATES = _tables("state")
ROWS = [(author, row) for author, table in zip(BLOCKS, STATES, strict=True) for row in table]


def _id(case: Any) -> str:
    return " | ".join(case) if isinstance(case, list) else str(case["rollout"]["strategy"])


@dataclass
class Row:
    """The facts of a row, and the decision that they lead to."""

    block: dict[str, Any]
    cells: list[str]

    @property
    def author(self) -> dict[str, Any]:
        """The rollout as it is written; `workload` beside it is a target."""
        found: dict[str, Any] = self.block["rollout"]
        return found

    @property
    def beside(self) -> bool:
        return "workload" in self.block

    def decide(self) -> Decision:
        return decide(self.facts())

    def facts(self) -> Facts:
        state, stable, candidate, requests, happens = self.cells[:5]
        facts = Facts(
            spec(**self.author),
            REPLICAS,
            _pods(STABLE, stable),
            _pods(CANDIDATE, candidate),
            RolloutStatus(),
            BEGIN,
            suspended="suspended" in state,
            landed=f"of {CANDIDATE}" in stable if self.beside else None,
        )
        observed = self._traffic(facts, requests)
        facts = replace(facts, status=self._status(facts, state), traffic=observed)
        return self._happened(facts, happens)

    def _status(self, f: Facts, state: str) -> RolloutStatus:
        """What is kept when the rollout has stood in this state since BEGIN."""
        number, *marks = state.removeprefix("step ").split(", ")
        steps, step = course.course(f.spec), int(number)
        moving = isinstance(steps[step], course.Weight)
        found = RolloutStatus(
            course=course.fingerprint(f.spec),
            step=step,
            step_started_at=None if moving else BEGIN,
            weight=course.weight_at(steps, step - 1 if moving else step) if step or not moving else 0,
        )
        if moving and not marks:
            missing = motion.forward(f, found, course.weight_at(steps, step)).missing
            found = replace(found, waiting=Waiting(BEGIN, missing, REPLICAS) if missing else None)
        for mark in marks:
            found = replace(found, **self._mark(mark))
        return found

    def _mark(self, mark: str) -> dict[str, Any]:
        if mark == "aborted":
            return {"aborted_at": BEGIN, "reason": "a test", "weight": 0}
        if mark == "suspended":
            return {"suspended_at": BEGIN, "weight": 0}
        name = "analysis error-rate"
        return {"paused_for": PausedFor(mark), "paused_by": (name,), "reason": "a test"}

    def _traffic(self, f: Facts, cell: str) -> Traffic:
        if f.spec.strategy is Strategy.BLUE_GREEN:
            return traffic.blue_green(f.spec, int(cell), CANDIDATE)
        return traffic.weighted(f.spec, STABLE, CANDIDATE, 0 if cell == "-" else int(cell))

    def _happened(self, f: Facts, what: str) -> Facts:
        if what == "-":
            return f
        if what == "not measured":
            return replace(f, unmeasured='evaluation "error-rate" is about to begin')
        if what == "suspended":
            return replace(f, suspended=True)
        if what == "resumed":
            return replace(f, suspended=False)
        if what == "other steps":
            return replace(f, spec=spec(**self.author | {"steps": [{"weight": 20}, {"pause": {}}]}))
        if what in set(OrderKind):
            return replace(f, orders=(RolloutOrder("uid", OrderKind(what), "AgentAction one by ann@corp.example"),))
        if found := re.fullmatch(r"(clock back )?(\d+) ([sh])", what):
            passed = timedelta(**{UNITS[found[3]]: int(found[2])})
            return replace(f, now=BEGIN - passed if found[1] else BEGIN + passed)
        if found := re.fullmatch(r"(\d+) replicas", what):
            return replace(f, replicas=int(found[1]))
        name, verdict = what.split()
        run = Run(name, f.status.step if name == "accuracy" else None)
        return replace(f, verdicts={run: Phase(verdict)})


def _pods(revision: int, cell: str) -> Pods:
    ready, wanted = (int(part) for part in re.split("[/ ]", cell)[:2])
    updated = wanted // 2 if "rolling" in cell else wanted
    return Pods(revision, f"triage-{revision}", wanted, wanted, updated, ready)


def _state(status: RolloutStatus) -> str:
    marks = [
        *(["suspended"] if status.suspended_at else []),
        *(["aborted"] if status.aborted_at else []),
        *([status.paused_for.value] if status.paused_for not in {None, PausedFor.STEP} else []),
        *(["full"] if status.full else []),
    ]
    return ", ".join((f"step {status.step}", *marks))


def _asked(f: Facts, wanted: Traffic) -> str:
    if f.spec.strategy is Strategy.BLUE_GREEN:
        return str(dict(wanted.selectors)["triage"])
    return str(dict(wanted.weights)["triage-canary"]) if wanted.weights else "-"


def _then(decision: Decision) -> str:
    ends = decision.transition in {Transition.PROMOTE, Transition.ROLL_BACK}
    return decision.transition.value if ends else decision.wait.what.value


@pytest.mark.parametrize(("author", "cells"), ROWS, ids=_id)
def test_each_row_is_what_is_decided(author: dict[str, Any], cells: list[str]) -> None:
    row = Row(author, cells)
    found = row.decide()
    stable = f"{found.stable} of {CANDIDATE if found.lands else STABLE}" if row.beside else str(found.stable)
    decided = [stable, str(found.candidate), _asked(row.facts(), found.traffic), _state(found.status)]
    assert [*decided, _then(found)] == cells[5:]
    assert (found.transition is Transition.FREEZE) == (found.status.paused_for is PausedFor.FAILED)


def test_the_tables_have_every_strategy_and_every_end() -> None:
    assert {author["strategy"] for author in SPECS} == {strategy.value for strategy in Strategy}
    assert {row[-1] for _, row in ROWS} == (set(WaitsFor) - {WaitsFor.NOTHING}) | {"Promote", "RollBack"}
    assert len(ROWS) >= 70


@pytest.mark.parametrize("row", _tables("replicas")[0], ids=" ".join)
def test_examples_of_pods_and_shares(row: list[str]) -> None:
    replicas, weight, stable, candidate = (int(cell) for cell in row[:4])
    found = split(replicas, weight)
    assert found == Counts(stable, candidate)
    assert f"{float(share(found)):.1f}".removesuffix(".0") == row[4]


def test_every_wait_is_on_the_page() -> None:
    explained = {row[0] for row in _tables("waits for")[0]}
    assert explained == {what.value for what in WaitsFor} - {"Nothing"}


def test_the_example_with_evaluations_is_right() -> None:
    (example,) = (found for block in blocks(PAGE, "yaml") if "evaluations" in str(found := objects(block)[0]))
    agent = copy.deepcopy(AGENT)
    agent["spec"]["retraining"] = example["spec"]["retraining"]
    assert manifest.check(Document("agent.yaml", agent, {})).issues == ()
    how = Retraining.model_validate(example["spec"]["retraining"])
    assert how.rollout is not None
    assert {each.name for each in how.evaluations} - how.rollout.evaluations == {"held-out"}


def test_numbers_of_the_text_are_those_of_the_code() -> None:
    assert f"no progress for {PROGRESS_DEADLINE} s" in PAGE.read_text()
    assert f"`scaleDownDelaySeconds` ({SCALE_DOWN_DELAY} by default)" in prose(PAGE)
    assert f"the newest {MOST_EVALUATIONS} records" in prose(PAGE)
