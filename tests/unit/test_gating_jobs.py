"""Evaluations by Jobs: what a run needs and is told, when it begins, and what becomes of its result."""

import json
from typing import Any

import pytest

from aiagent_operator.core.objects import ChildKind, ObjectKey
from aiagent_operator.core.plan import Verb
from support.agents import permission
from support.decisions import HOME, UID, said
from support.gates import Desk, by_job, template

HANDBOOK = {"instructions": {"inline": "Be brief."}}
FIRST, SECOND = "triage-1-eval-held-out", "triage-2-eval-held-out"
GOOD = json.dumps({"measurements": [{"name": "m", "value": "1.5"}], "notes": "On 3 tickets."})


def beginning(**spec: Any) -> Desk:
    """An agent whose first revision is measured by a Job."""
    given = {"retraining": {"evaluations": [by_job("held-out")]}, **spec}
    desk = Desk(permission("refund"), **given)
    desk.settle()
    return desk


def employed() -> Desk:
    """An agent at work that has passed."""
    desk = beginning()
    desk.finish(FIRST, GOOD)
    assert said(desk.settle(), "Ready")[0] is True
    return desk


def test_a_run_has_an_account_and_a_network_of_its_own_and_no_right() -> None:
    desk = beginning()
    (job,) = desk.of(ChildKind.JOB).values()
    pods = job["spec"]["template"]
    assert job["metadata"]["name"] == FIRST
    assert pods["spec"]["serviceAccountName"] == "aiagent.triage.candidate"
    assert "aiagent.triage.candidate" in desk.of(ChildKind.SERVICE_ACCOUNT)
    network = desk.of(ChildKind.NETWORK_POLICY)["aiagent.triage.runs"]
    assert network["spec"]["podSelector"]["matchLabels"] == {"workforce.dev/run-of": UID}
    assert not desk.of(ChildKind.ROLE_BINDING)
    assert job["metadata"]["labels"]["queue"] == "q"


def test_the_job_is_made_only_when_what_limits_it_is_there() -> None:
    desk = Desk(retraining={"evaluations": [by_job("held-out")]})
    order = []
    for _ in range(12):
        plan = desk.decide()
        for write in plan.writes:
            order.append((write.verb, write.key.kind, write.key.name))
            desk.write(write)
        for needed in ("aiagent.triage.candidate", "aiagent.triage.runs"):
            names = [name for _, _, name in order]
            assert FIRST not in names or needed in names[: names.index(FIRST)]
    assert (Verb.CREATE, ChildKind.JOB, FIRST) in order


def test_a_run_is_told_what_it_measures_and_what_serves() -> None:
    desk = employed()
    image = "registry.example/agent:2"
    container = {"name": "app", "image": image}
    desk.spec["workload"] = {"template": {"spec": {"containers": [container]}}}
    desk.settle()
    (measure,) = desk.of(ChildKind.JOB)[SECOND]["spec"]["template"]["spec"]["containers"]
    env = {entry["name"]: entry["value"] for entry in measure["env"]}
    assert env["WORKFORCE_RUN"] == "evaluation"
    assert (env["WORKFORCE_REVISION"], env["WORKFORCE_IMAGE"]) == ("2", image)
    assert (env["WORKFORCE_STABLE_REVISION"], env["WORKFORCE_STABLE_IMAGE"]) == ("1", "registry.example/agent:1")
    assert env["WORKFORCE_TRIGGER"] == "SpecChanged"
    assert {"WORKFORCE_ARTIFACT", "WORKFORCE_STABLE_ARTIFACT"} <= env.keys()


def test_a_result_that_keeps_the_bounds_lets_it_serve_and_the_job_goes() -> None:
    desk = beginning()
    assert desk.phases() == {"triage-1-held-out": "Pending"}
    desk.finish(FIRST, GOOD)
    plan = desk.settle()
    assert desk.phases() == {"triage-1-held-out": "Successful"}
    record = desk.of(ChildKind.AGENT_EVALUATION)["triage-1-held-out"]["status"]
    assert record["notes"] == "On 3 tickets."
    assert record["metricResults"][0]["value"] == "1.5"
    assert desk.of(ChildKind.JOB) == {}
    assert said(plan, "Ready")[0] is True


@pytest.mark.parametrize(
    ("message", "failed", "phase", "words"),
    [
        ('{"measurements": [{"name": "m", "value": "0.5"}]}', False, "Failed", "0.5 is below min 1"),
        ('{"measurements": [{"name": "n", "value": "1.5"}]}', False, "Error", "the Job measured no m; it measured n"),
        ("it went well", False, "Error", "The Job's result is not JSON"),
        ("", False, "Error", "left no termination message"),
        ("no tickets there", True, "Error", "no tickets there"),
        ("", True, "Error", "BackoffLimitExceeded"),
    ],
)
def test_any_other_result_rejects_it_with_the_reason(message: str, failed: bool, phase: str, words: str) -> None:
    desk = employed()
    desk.spec["handbook"] = HANDBOOK
    desk.settle()
    desk.finish(SECOND, message, failed=failed)
    plan = desk.settle()
    assert desk.phases()["triage-2-held-out"] == phase
    assert words in said(plan, "RevisionAccepted")[2]
    assert desk.states() == {"triage-1": "Stable", "triage-2": "Rejected"}
    assert desk.of(ChildKind.JOB) == {}


def test_a_job_that_somebody_removed_is_an_error_and_no_second_one_is_made() -> None:
    desk = employed()
    desk.spec["handbook"] = HANDBOOK
    desk.settle()
    del desk.bodies[ObjectKey(ChildKind.JOB, HOME, SECOND)]
    plan = desk.settle()
    assert "its Job was removed before the result was read" in said(plan, "RevisionAccepted")[2]
    assert desk.of(ChildKind.JOB) == {}


def test_no_job_begins_while_the_agent_is_suspended_but_one_that_has_goes_on_to_its_end() -> None:
    desk = employed()
    desk.spec |= {"handbook": HANDBOOK, "suspended": True}
    desk.settle()
    assert desk.of(ChildKind.JOB) == {}
    desk.spec["suspended"] = False
    desk.settle()
    desk.spec["suspended"] = True
    desk.settle()
    assert set(desk.of(ChildKind.JOB)) == {SECOND}
    desk.finish(SECOND, GOOD)
    plan = desk.settle()
    assert desk.phases()["triage-2-held-out"] == "Successful"
    assert said(plan, "Ready")[:2] == (False, "Suspended")


def test_the_run_of_a_revision_that_is_not_asked_for_goes_on_and_counts_when_it_is() -> None:
    desk = employed()
    desk.spec["handbook"] = HANDBOOK
    desk.settle()
    desk.spec["handbook"] = {"instructions": {"inline": "Be honest."}}
    desk.settle()
    desk.finish(SECOND, GOOD)
    desk.settle()
    assert desk.phases()["triage-2-held-out"] == "Successful"
    desk.spec["handbook"] = HANDBOOK
    assert said(desk.settle(), "Ready")[0] is True
    assert desk.states()["triage-2"] == "Stable"


def test_what_runs_needed_goes_with_the_last_evaluation_of_the_spec() -> None:
    desk = employed()
    desk.spec["retraining"] = {"evaluations": [template("live")]}
    desk.settle()
    assert set(desk.of(ChildKind.SERVICE_ACCOUNT)) == {"aiagent.triage"}
    assert set(desk.of(ChildKind.NETWORK_POLICY)) == {"aiagent.triage"}


def test_a_connection_that_the_agent_does_not_declare_is_said() -> None:
    desk = Desk(retraining={"evaluations": [by_job("held-out")], "connections": ["store"]})
    plan = desk.settle()
    assert said(plan, "RevisionAccepted")[1] == "EvaluationInvalid"
    assert 'spec.retraining.connections names "store"' in said(plan, "RevisionAccepted")[2]
    assert "Stalled" in {v.type.value for v in plan.verdicts}


def test_a_pod_that_waits_is_looked_at_again() -> None:
    desk = beginning()
    assert desk.settle().requeue_after == 30
    assert "has no pod" in desk.of(ChildKind.AGENT_EVALUATION)["triage-1-held-out"]["status"]["message"]
