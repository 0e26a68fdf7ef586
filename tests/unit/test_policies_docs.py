"""What docs/policies.md says is what the code does: its samples, and each row of its tables."""

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
import yaml

from aiagent_operator.api.agentpolicy import AgentPolicy
from aiagent_operator.api.durations import format_duration
from aiagent_operator.api.retraining import CadenceFields
from aiagent_operator.core.cadence.due import Cadence
from aiagent_operator.core.policies.compiled import CompiledPolicy, Subject
from aiagent_operator.core.policies.merged import Merged, Strictest, merge
from aiagent_operator.core.retraining.due import Facts, Hold, Run, RunState, Start, Wait, cadence, view
from support.documents import ROOT, blocks, objects
from support.policies import merged, policy

PAGE = ROOT / "docs" / "policies.md"


def _table(heading: str) -> list[list[str]]:
    """The rows of the table that begins with this heading."""
    found = re.search(rf"^\| {re.escape(heading)} \|.*\n\|[-|]+\n((?:\|.*\n)+)", PAGE.read_text(), re.MULTILINE)
    assert found
    return [[cell.strip(" `") for cell in line.strip("|").split(" | ")] for line in found[1].splitlines()]


SELECTED = _table("`agentSelector`")
WINS = _table("AgentPolicy a")
WAITS = _table("reason")


def test_there_are_examples() -> None:
    assert (len(SELECTED), len(WINS)) >= (8, 12)


def test_the_samples_can_be_read_whole() -> None:
    sample, agent = (objects(block)[0] for block in blocks(PAGE, "yaml"))
    read = AgentPolicy.model_validate(sample)
    written = {field: sample[field] for field in ("metadata", "spec")}
    assert read.model_dump(by_alias=True, exclude_unset=True, mode="json") == written, "a field is not ours"
    compiled = CompiledPolicy.of("customer-data", sample["spec"])
    assert compiled.problem == ""
    assert compiled.scope.covers(Subject("complaints", {}, {"data": "customer"}))
    assert not compiled.scope.covers(Subject("complaints", {"tier": "sandbox"}, {"data": "customer"}))
    fields = CadenceFields.model_validate(agent["retraining"])
    assert fields.model_dump(by_alias=True, exclude_unset=True, mode="json") == agent["retraining"]
    assert Merged.of(compiled).cadence(cadence(fields)) == cadence(fields)


@pytest.mark.parametrize(("selector", "labels", "selected"), SELECTED)
def test_which_agents_are_selected(selector: str, labels: str, selected: str) -> None:
    found = policy(selector={"agentSelector": yaml.safe_load(selector)})
    assert not found.problem
    assert found.scope.covers(Subject("any", yaml.safe_load(labels), {})) is {"yes": True, "no": False}[selected]


def _who(strictest: Strictest[Any]) -> str:
    return ", ".join(source.policy or "own" for source in strictest.sources)


def _says(found: Merged) -> str:
    """What holds, in the words of the table."""
    parts = []
    if found.max_age and found.beyond:
        parts.append(f"due at {format_duration(found.max_age.value)} ({_who(found.max_age)})")
        if found.beyond.value != found.max_age.value:
            parts.append(f"beyond grace at {format_duration(found.beyond.value)} ({_who(found.beyond)})")
    if found.suspends:
        parts.append(f"suspended at {format_duration(found.suspends.value)} ({_who(found.suspends)})")
    parts += [f"at most {limit.most} of {limit.policy}" for limit in found.limits]
    parts += [f"windows of {windows.policy}" for windows in found.windows]
    parts += [f"passes {each.value} ({_who(each)})" for each in found.evaluations]
    parts += [f"teaches {version} of {name}" for name, version in found.curricula]
    parts += [f"keeps {found.history.value} ({_who(found.history)})"] if found.history else []
    parts += (
        [f"archived for {format_duration(found.retention.value)} ({_who(found.retention)})"] if found.retention else []
    )
    if found.abandon_after:
        parts.append(f"abandoned after {format_duration(found.abandon_after.value)} ({_who(found.abandon_after)})")
    if found.handover:
        waits = f", else {', '.join(source.policy for source in found.waits)} waits" if found.waits else ""
        parts.append(f"handed over within {format_duration(found.handover.value)} ({_who(found.handover)}){waits}")
    return ", ".join([*parts, *(f"held by {broken.policy}" for broken in found.broken)])


@pytest.mark.parametrize(("first", "second", "own", "holds"), WINS)
def test_which_value_wins(first: str, second: str, own: str, holds: str) -> None:
    policies = [policy("a", **yaml.safe_load(first)), policy("b", **yaml.safe_load(second))]
    promise = Merged.own(cadence(CadenceFields.model_validate(yaml.safe_load(own))))
    for order in (policies, policies[::-1]):
        assert _says(merge(order, Subject("any", {}, {})).join(promise)) == holds


def test_the_samples_keep_their_promises_through_the_freeze() -> None:
    """One training a week, an hour each, for two years: never overdue, and trained again after each freeze."""
    sample, agent = (objects(block)[0] for block in blocks(PAGE, "yaml"))
    holds = Merged.of(CompiledPolicy.of("customer-data", sample["spec"]))
    own = cadence(CadenceFields.model_validate(agent["retraining"]))
    now = born = datetime(2026, 7, 1, tzinfo=UTC)
    ends: list[datetime] = []
    while now < born + timedelta(days=730):
        facts = Facts("a", born, own, holds, tuple(Run(RunState.SUCCEEDED, end) for end in ends[-1:]))
        found = view(facts, now)
        assert not found.announcement
        if isinstance(found.step, Start):
            now += timedelta(hours=1)
            ends.append(now)
        else:
            assert found.again
            now = found.again
    ages = [after - before for before, after in pairwise(ends)]
    assert timedelta(hours=504) < max(ages) < timedelta(hours=168 + 504)
    assert len(ends) == 2 * (52 - 3 + 1), "three Mondays a year are frozen, and made up for once"
    assert "168 and 504 hours are shorter than 720 and 72" in PAGE.read_text()


def test_every_reason_to_wait_is_explained() -> None:
    assert {name for name, _ in WAITS} == {hold.value for hold in Hold}


def test_an_agent_that_was_never_trained_counts_from_its_creation() -> None:
    assert "An agent that was never trained counts from its creation." in PAGE.read_text()
    born = datetime(2026, 7, 1, tzinfo=UTC)
    facts = Facts("a", born, Cadence(), merged(policy(maxAge="720h", overdue={"grace": "72h", "action": "Suspend"})))
    due = born + timedelta(hours=720)
    assert isinstance(view(facts, due - timedelta(seconds=1)).step, Wait)
    assert view(facts, due).step == Start(due)
    assert "suspends the agent at 2026-08-03T00:00:00Z" in view(facts, due).announcement
    assert not view(facts, due + timedelta(hours=71)).suspend
    assert view(facts, due + timedelta(hours=72)).suspend
