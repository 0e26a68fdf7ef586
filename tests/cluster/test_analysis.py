"""Evaluations in steps and analysis of rollouts, and gates that a person ends, on a real API server: they ask a real
Prometheus, and run as Jobs on fake nodes."""

import itertools
from typing import Any

import pytest

from support import agents
from support.kube import Object, wait_for
from support.measured import BAD, BRIEF, GOOD, HONEST, Bench, held_out, live
from support.terminal import Terminal
from support.versions import deployments, revisions, until_rejected, until_waits

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("gates")]

STEPS = [{"weight": 25}, {"pause": {}}]
WATCHED: Object = {"strategy": "Canary", "steps": STEPS, "analysis": [{"name": "live"}]}
MEASURED: Object = {"strategy": "Canary", "steps": [{"weight": 25}, {"evaluation": {"name": "held-out"}}]}
KIND: Object = {"instructions": {"inline": "Be kind."}}


def employ(bench: Bench, rollout: Object, *evaluations: Object, **spec: Any) -> None:
    """An agent with four pods whose first revision serves."""
    bench.measured(r1="0.01", r2="0.02")
    how = {"rollout": rollout, "evaluations": list(evaluations)}
    workload = agents.template(replicas=4)
    bench.employ("triage", bench.new_role(), retraining=how, workload=workload, handbook=KIND, **spec)
    bench.until_serves(1)


def of_rollouts(bench: Bench) -> list[Object]:
    """The runs of evaluations in rollouts, oldest first."""
    found = [each for each in bench.evaluations().values() if each["spec"]["purpose"] == "Analysis"]
    return sorted(found, key=lambda each: str(each["metadata"]["creationTimestamp"]))


def phases(bench: Bench) -> list[str]:
    return [each["status"]["phase"] for each in of_rollouts(bench)]


def paused(bench: Bench, measured: int = 2) -> str:
    """An edit, up to its pause; the analysis has measured so often. Its name."""
    bench.change("triage", handbook=BRIEF)
    until_waits(bench, 2, "Person", step=1, weight=25)
    (record,) = of_rollouts(bench)
    name: str = record["metadata"]["name"]
    bench.until_measured(name, measured)
    return name


# Analysis ------------------------------------------------------------------------------------------------------------


def test_a_canary_is_rolled_back_by_its_analysis_while_a_person_is_waited_for(bench: Bench) -> None:
    employ(bench, WATCHED, live(interval="1s"))
    assert bench.evaluations() == {}, "the first revision has no steps, and no gate"
    name = paused(bench)
    assert name.startswith("triage-2-live.analysis-")
    spec = bench.evaluations()[name]["spec"]
    assert (spec["revision"], spec["stableRevision"], spec["provider"]) == (2, 1, "Prometheus")
    assert deployments(bench) == {"triage-1": 3, "triage-2": 1}

    bench.measured(r1="0.01", r2="0.5")
    until_rejected(bench, 2, 'evaluation "live" is Failed: wrong: 1 failed, failureLimit is 0: 0.5 is above max 0.10')
    bench.until_reason(
        "triage", "RevisionAccepted", "RevisionRejected", 'evaluation "live" is Failed', "revision 1 serves"
    )
    assert deployments(bench) == {"triage-1": 4}
    assert phases(bench) == ["Failed"]
    (result,) = bench.evaluations()[name]["status"]["metricResults"]
    assert (result["failed"], result["value"]) == (1, "0.5")
    assert bench.writes_after_restart() == []


def test_an_analysis_that_finds_nothing_ends_with_its_rollout(bench: Bench) -> None:
    employ(bench, WATCHED, live(interval="1s"))
    name = paused(bench)
    bench.order("Promote", "on", "triage")
    bench.until_ordered("on", "Complete", "CarriedOut", "The pause of step 1 is over")
    bench.until_serves(2)
    status = bench.evaluations()[name]["status"]
    assert status["phase"] == "Successful"
    assert "its rollout is over, measured" in status["metricResults"][0]["message"]
    count = status["metricResults"][0]["count"]
    assert bench.writes_after_restart() == []
    assert bench.evaluations()[name]["status"]["metricResults"][0]["count"] == count, "nothing is measured any more"


def test_freeze_leaves_all_as_it_is_until_a_person_goes_on_in_spite_of_it(bench: Bench) -> None:
    employ(bench, {**WATCHED, "onFailure": "Freeze"}, live(interval="1s"))
    paused(bench, 1)
    bench.measured(r1="0.01", r2="0.5")
    bench.until_reason("triage", "Ready", "RolloutStopped", 'evaluation "live" is Failed', "0.5 is above max 0.10")
    bench.operator.until_idle()
    assert deployments(bench) == {"triage-1": 3, "triage-2": 1}

    bench.order("Promote", "seen", "triage")
    bench.until_ordered("seen", "Complete", "CarriedOut", "Went on in spite of it", 'evaluation "live" is Failed')
    bench.until_reason("triage", "Ready", "RolloutPaused")
    bench.order("Promote", "on", "triage")
    bench.until_serves(2)
    assert phases(bench) == ["Failed"]


def test_what_was_measured_in_another_rollout_does_not_count(bench: Bench) -> None:
    employ(bench, WATCHED, live(interval="1s"))
    bench.measured(r1="0.01", r2="NaN")
    bench.change("triage", handbook=BRIEF)
    bench.until_reason("triage", "Ready", "RolloutStopped", 'evaluation "live" is Inconclusive')
    bench.change("triage", handbook=KIND)
    bench.until_serves(1)
    assert deployments(bench) == {"triage-1": 4}

    bench.measured(r1="0.01", r2="0.02")
    bench.change("triage", handbook=BRIEF)
    until_waits(bench, 2, "Person", step=1, weight=25)
    wait_for(lambda: phases(bench) == ["Inconclusive", "Running"], what="another run of the analysis")
    bench.until_reason("triage", "Ready", "RolloutPaused")


def test_a_suspension_ends_what_is_measured_and_it_begins_anew(bench: Bench) -> None:
    employ(bench, WATCHED, live(interval="1s"))
    name = paused(bench)
    bench.order("Suspend", "stop", "triage")
    bench.until_ordered("stop", "InForce", "InForce", "no pods run")
    wait_for(lambda: phases(bench) == ["Successful"], what="the analysis to end")
    assert "the agent is suspended" in bench.evaluations()[name]["status"]["metricResults"][0]["message"]
    bench.order("Resume", "go-on", "triage")
    until_waits(bench, 2, "Person", step=1, weight=25)
    wait_for(lambda: phases(bench) == ["Successful", "Running"], what="another run of the analysis")


def test_a_record_that_an_administrator_removes_is_made_again(bench: Bench) -> None:
    employ(bench, WATCHED, live(interval="1s"))
    name = paused(bench)
    before = bench.evaluations()[name]["metadata"]["uid"]
    bench.admin.delete(agents.API, "agentevaluations", name, namespace=bench.namespace)

    def anew() -> bool:
        found = bench.evaluations().get(name)
        return found is not None and found["metadata"]["uid"] != before

    wait_for(anew, what="a record of the same name")
    bench.until_measured(name, 1)
    until_waits(bench, 2, "Person", step=1, weight=25)


# Steps ---------------------------------------------------------------------------------------------------------------


def test_a_step_goes_on_when_its_job_has_measured_well(bench: Bench, terminal: Terminal) -> None:
    employ(bench, MEASURED, held_out(GOOD, hold=True))
    bench.change("triage", handbook=BRIEF)
    until_waits(bench, 2, "Evaluation", step=1, weight=25)

    def said(agent: Object) -> bool:
        message = (agents.condition(agent, "Ready") or {})["message"]
        return 'evaluation "held-out" is' in message and "Promote with full passes over" in message

    bench.until("triage", said, what="Ready to name the evaluation")
    (name,) = wait_for(bench.jobs, what="its Job")
    assert name.startswith("triage-2-eval-held-out-")
    assert deployments(bench) == {"triage-1": 3, "triage-2": 1}
    ask = f"kubectl aiagent {{}} triage -n {bench.namespace}"
    config = bench.installed.cluster.kubeconfig
    told = terminal.run(ask.format("rollout status"), config)
    assert (told.code, any(line.startswith('Evaluation "held-out" is ') for line in told.out.splitlines())) == (1, True)
    assert "held-out   Analysis   2" in terminal.run(ask.format("describe"), config).out

    def pods() -> list[Object]:
        return bench.admin.list("v1", "pods", namespace=bench.namespace, labels="workforce.dev/run=evaluation")

    (pod,) = wait_for(pods, what="its pod")
    patch = {"metadata": {"annotations": {"localcluster/hold": None}}}
    bench.admin.patch("v1", "pods", pod["metadata"]["name"], patch, namespace=bench.namespace)
    bench.until_serves(2)
    (record,) = of_rollouts(bench)
    assert (record["status"]["phase"], record["status"]["notes"]) == ("Successful", "3 tickets.")
    assert record["metadata"]["name"].startswith("triage-2-held-out.step-1-")
    wait_for(lambda: not bench.jobs(), what="the Job to be gone")
    assert bench.writes_after_restart() == []


def test_a_step_goes_back_when_its_job_has_measured_badly(bench: Bench) -> None:
    employ(bench, MEASURED, held_out(BAD))
    bench.change("triage", handbook=BRIEF)
    until_rejected(bench, 2, 'evaluation "held-out" is Failed', "0.71 is below min 0.80")
    assert deployments(bench) == {"triage-1": 4}
    wait_for(lambda: not bench.jobs(), what="the Job to be gone")


def test_a_step_that_is_unclear_waits_for_a_person(bench: Bench) -> None:
    steps = [{"weight": 25}, {"evaluation": {"name": "live"}}]
    employ(bench, {"strategy": "Canary", "steps": steps}, live())
    bench.measured(r1="0.01", r2="NaN")
    bench.change("triage", handbook=BRIEF)
    bench.until_reason("triage", "Ready", "RolloutStopped", 'evaluation "live" is Inconclusive', "NaN")
    bench.order("Promote", "seen", "triage")
    bench.until_ordered("seen", "Complete", "CarriedOut", "Went on in spite of it")
    bench.until_serves(2)


def test_full_passes_over_what_is_still_measured(bench: Bench) -> None:
    employ(bench, MEASURED, held_out(GOOD, hold=True))
    bench.change("triage", handbook=BRIEF)
    until_waits(bench, 2, "Evaluation", step=1, weight=25)
    wait_for(bench.jobs, what="its Job")
    bench.order("Promote", "all", "triage", full=True)
    bench.until_serves(2)
    assert phases(bench) == ["Inconclusive"]
    wait_for(lambda: not bench.jobs(), what="the Job to be gone")


def test_a_crash_in_the_middle_leaves_one_run_that_goes_on(bench: Bench) -> None:
    employ(bench, WATCHED, live(interval="1s"))
    name = paused(bench)
    for _ in range(2):
        (before,) = bench.evaluations()[name]["status"]["metricResults"]
        bench.operator.kill9()
        bench.operator.restart()
        bench.until_measured(name, before["count"] + 1)
    assert list(bench.evaluations()) == [name]
    times = [m["finishedAt"] for m in bench.evaluations()[name]["status"]["metricResults"][0]["measurements"]]
    assert all(first <= second for first, second in itertools.pairwise(times))


# Gates that a person ends --------------------------------------------------------------------------------------------


def test_promote_passes_a_gate_that_is_inconclusive_and_its_revision_keeps_who(bench: Bench) -> None:
    employ(bench, {"strategy": "Canary", "steps": STEPS}, live())
    bench.until_serves(1)
    bench.measured(r1="0.01", r2="NaN")
    bench.change("triage", handbook=BRIEF)
    bench.until_reason(
        "triage", "RevisionAccepted", "EvaluationInconclusive", "NaN", "AgentAction Promote lets it pass"
    )
    order = bench.order("Promote", "seen", "triage", reason="Nobody asked anything")
    bench.until_ordered("seen", "Complete", "CarriedOut", 'Revision 2 goes on in spite of evaluation "live"')
    until_waits(bench, 2, "Person", step=1, weight=25)

    (entry,) = revisions(bench)[2]["status"]["overruled"]
    assert (entry["evaluation"], entry["order"]) == ("live", order["metadata"]["uid"])
    assert "AgentAction seen by" in entry["message"]
    assert "Nobody asked anything" in entry["message"]
    assert bench.evaluations()["triage-2-live"]["status"]["phase"] == "Inconclusive", "the record is not whitewashed"
    bench.admin.delete(agents.API, "agentactions", "seen", namespace=bench.namespace)
    assert bench.writes_after_restart() == []
    until_waits(bench, 2, "Person", step=1, weight=25)


def test_promote_of_a_gate_that_does_not_wait_for_a_person_fails(bench: Bench) -> None:
    bench.measured(r1="0.01", r2="0.02")
    bench.gated(initialDelay="1h")
    bench.until_reason("triage", "Ready", "Evaluating")
    bench.order("Promote", "early", "triage")
    bench.until_ordered("early", "Failed", "NoRollout", "Revision 1 has evaluations to pass", "order Promote again")
    assert bench.states() == {1: "Candidate"}


def test_abort_gives_up_what_waits_at_a_gate(bench: Bench) -> None:
    bench.measured(r1="0.01", r2="NaN")
    bench.gated()
    bench.until_serves(1)
    bench.change("triage", handbook=BRIEF)
    bench.until_reason("triage", "RevisionAccepted", "EvaluationInconclusive", "Abort gives it up")
    order = bench.order("Abort", "enough", "triage", reason="Nobody waits for it")
    bench.until_ordered("enough", "Complete", "CarriedOut", "Revision 2 is rejected before it served")
    bench.until_reason("triage", "RevisionAccepted", "RevisionRejected", "AgentAction enough by", "Nobody waits for it")
    assert bench.states() == {1: "Stable", 2: "Rejected"}
    assert revisions(bench)[2]["status"]["abortedBy"] == order["metadata"]["uid"]
    bench.operator.until_idle()
    assert bench.writes_after_restart() == []


def test_promote_does_not_overrule_a_failure(bench: Bench) -> None:
    bench.measured(r1="0.01", r2="0.5")
    bench.gated()
    bench.until_serves(1)
    bench.change("triage", handbook=HONEST)
    bench.until_reason("triage", "Ready", "EvaluationFailed")
    bench.order("Promote", "all-the-same", "triage")
    bench.until_ordered("all-the-same", "Failed", "NoRollout")
    assert bench.states() == {1: "Stable", 2: "Rejected"}
