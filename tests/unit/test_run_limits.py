"""What limits runs is there as long as any of them is, whatever else is missing; and runs end although it is."""

from typing import Any

import pytest

from aiagent_operator.core.objects import ChildKind, ObjectKey
from aiagent_operator.core.plan import Verb
from support.decisions import HOME
from support.gates import by_job
from support.lessons import Desk, retraining

NETWORK = ObjectKey(ChildKind.NETWORK_POLICY, HOME, "aiagent.triage.runs")
MISSING = [{"missing_role": True}, {"instructions_missing": "ConfigMap home/texts does not exist: create it"}]
NAMES = ["no role", "no handbook"]


def begun(**spec: Any) -> Desk:
    """An agent in the middle of its first training."""
    desk = Desk(spec={"retraining": retraining(**spec)})
    desk.settle()
    desk.later(hours=2)
    desk.settle(lambda: bool(desk.jobs()))
    desk.settle()
    assert desk.jobs()
    assert NETWORK in desk.manifests
    return desk


@pytest.mark.parametrize("missing", MISSING, ids=NAMES)
def test_a_network_policy_that_somebody_deletes_comes_back(missing: dict[str, Any]) -> None:
    desk = begun()
    desk.facts |= missing
    desk.settle()
    del desk.manifests[NETWORK]

    desk.settle()

    assert NETWORK in desk.manifests


@pytest.mark.parametrize("missing", MISSING, ids=NAMES)
def test_the_training_of_an_agent_that_is_suspended_stops(missing: dict[str, Any]) -> None:
    desk = begun()
    desk.facts |= missing
    desk.spec["suspended"] = True

    desk.settle()

    assert desk.jobs() == []


@pytest.mark.parametrize("missing", MISSING, ids=NAMES)
def test_no_job_is_made_meanwhile(missing: dict[str, Any]) -> None:
    desk = Desk(spec={"retraining": retraining()})
    desk.settle()
    desk.later(hours=2)
    desk.settle(lambda: desk.states().get(2) == "Training" or NETWORK in desk.manifests)
    assert desk.jobs() == []
    desk.facts |= missing

    desk.settle()

    assert desk.jobs() == []


@pytest.mark.parametrize("missing", MISSING, ids=NAMES)
def test_evaluations_keep_theirs_too(missing: dict[str, Any]) -> None:
    desk = Desk(spec={"retraining": {"evaluations": [by_job("held-out")]}})
    desk.settle()
    assert desk.jobs()
    desk.facts |= missing
    del desk.manifests[NETWORK]

    desk.settle()

    assert NETWORK in desk.manifests


def test_the_network_is_not_taken_from_evaluations_when_training_is_dropped() -> None:
    desk = begun(evaluations=[by_job("held-out")])
    before = len(desk.written)
    desk.spec["retraining"] = {"evaluations": [by_job("held-out")]}

    desk.settle()

    deleted = [write.key for write in desk.written[before:] if write.verb is Verb.DELETE]
    assert NETWORK not in deleted
    assert NETWORK in desk.manifests


def test_the_network_goes_with_the_last_run() -> None:
    desk = begun(evaluations=[by_job("held-out")])
    del desk.spec["retraining"]

    desk.settle()

    assert desk.jobs() == []
    assert NETWORK not in desk.manifests
