"""What is said of an agent while something of it is captured."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from aiagent_operator.api.archivestatus import Capture
from aiagent_operator.api.conditions import Reason, Type, Verdict
from aiagent_operator.core.plan import Plan
from aiagent_operator.runtime.captures import Captures
from aiagent_operator.runtime.queue import WorkQueue
from aiagent_operator.runtime.store import AgentKey, Key, Store
from support.decisions import observed

KEY = AgentKey("crm", "triage")
PLAN = Plan(
    capture=frozenset({Capture.HANDBOOK, Capture.LOGS}),
    patience=5.0,
    verdicts=(Verdict(Type.READY, False, Reason.OFFBOARDING, "reading"),),
)


def captures() -> Captures:
    queue: WorkQueue[Key] = WorkQueue(backoff_initial=1, backoff_max=1)
    settings: Any = SimpleNamespace(
        namespace="ops", capture_deadline=120.0, archive_logs=True, logs=True, kpi_period=60.0, kpi_step=60.0
    )
    nobody: Any = SimpleNamespace(journal=None)
    return Captures(nobody, Store(queue.add), queue, nobody, settings, nobody)


async def test_of_one_that_waits_for_its_turn_nothing_is_said_for_longer_than_of_one_that_is_slow() -> None:
    found = captures()
    assert found.is_new(KEY, PLAN.capture)
    assert not found.is_new(KEY, frozenset())
    found.want(KEY, observed(deleting=True), PLAN)
    assert not found.is_new(KEY, PLAN.capture)
    assert found.told(KEY, PLAN).patience == 60.0
    wanted = found._wanted[KEY]
    wanted.begun = 0.0
    assert found.told(KEY, PLAN).patience == 0.0, "it takes longer than it should"
    wanted.waits = "archive store local: not reachable"
    told = found.told(KEY, PLAN)
    assert (told.patience, told.verdicts[0].message) == (0.0, "reading. It waits: archive store local: not reachable")


async def test_what_is_said_at_once_stays_so() -> None:
    found, plan = captures(), replace(PLAN, patience=0.0)
    found.want(KEY, observed(deleting=True), plan)
    assert found.told(KEY, plan) == plan
