"""Evaluations before a revision serves, on a real API server, asking a real Prometheus, and by Jobs on fake nodes."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import orjson
import pytest

from aiagent_operator.core.objects import AgentIdentity
from support import agents
from support.agents import permission
from support.kube import Object
from support.measured import BAD, BRIEF, GOOD, HONEST, Bench, held_out, live
from support.prometheus import PrometheusServer

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("gates")]

# Prometheus ----------------------------------------------------------------------------------------------------------


def test_work_that_passes_takes_over_and_nothing_of_it_runs_before(bench: Bench) -> None:
    bench.measured(r1="0.01", r2="0.02")
    bench.gated()
    bench.until_serves(1)
    mark = bench.plane.audit_mark()

    bench.change("triage", handbook=BRIEF)
    bench.until_serves(2)

    assert bench.states() == {1: "Superseded", 2: "Stable"}
    record = bench.evaluations()["triage-2-live"]
    assert record["spec"]["agentRef"] == {"name": "triage", "uid": bench.get("triage")["metadata"]["uid"]}
    assert (record["spec"]["purpose"], record["spec"]["provider"]) == ("Promotion", "Prometheus")
    assert (record["spec"]["revision"], record["spec"]["stableRevision"]) == (2, 1)
    assert record["status"]["phase"] == "Successful"
    assert record["status"]["metricResults"][0]["value"] == "0.02"
    written = [(event.verb, event.uri.split("?")[0].split(bench.namespace)[1]) for event in bench.writes(mark)]
    verdict = max(i for i, (_, uri) in enumerate(written) if uri == "/agentevaluations/triage-2-live/status")
    made = next(i for i, (verb, uri) in enumerate(written) if verb == "create" and uri == "/deployments")
    assert verdict < made, written
    assert bench.writes_after_restart() == []


def test_work_that_fails_is_rejected_and_what_serves_goes_on(bench: Bench) -> None:
    bench.measured(r1="0.01", r2="0.5", r3="0.02")
    bench.gated(permission("read-tickets"))
    bench.until_serves(1)

    bench.change("triage", handbook=BRIEF)
    agent = bench.until_reason(
        "triage",
        "Ready",
        "EvaluationFailed",
        "Revision 2 is rejected",
        "wrong",
        "0.5 is above max 0.10",
        "revision 1 serves",
    )
    bench.operator.until_idle()
    assert bench.states() == {1: "Stable", 2: "Rejected"}
    assert bench.deployments() == {"triage-1"}
    assert agent["status"]["revision"] == {"stable": 1, "rejected": 2, "latest": 2}
    accepted = agents.condition(agent, "RevisionAccepted")
    assert accepted is not None
    assert (accepted["status"], accepted["reason"]) == ("False", "EvaluationFailed")
    bench.until_can("triage", "get", "tickets")

    # Now it would pass; the same work is not tried again, by no event and no restart.
    bench.measured(r1="0.01", r2="0.02", r3="0.02")
    bench.touch(bench.get("triage"))
    bench.operator.until_idle()
    assert bench.writes_after_restart() == []
    assert bench.states() == {1: "Stable", 2: "Rejected"}

    bench.change("triage", handbook=HONEST)
    bench.until_serves(3)
    assert bench.states() == {1: "Superseded", 2: "Rejected", 3: "Stable"}
    assert agents.condition(bench.get("triage"), "RevisionAccepted") is None


def test_a_new_agent_has_no_right_and_no_pod_before_it_has_passed(bench: Bench) -> None:
    bench.measured(r1="0.01")
    bench.gated(permission("read-tickets"), initialDelay="1h")
    agent = bench.until_reason("triage", "Ready", "Evaluating", "no right is bound")
    bench.operator.until_idle()

    uid = agent["metadata"]["uid"]
    assert bench.rights(uid) == set()
    assert not {kind for kind, _, _ in bench.children(uid)} & {"RoleBinding", "Deployment"}
    assert [(p["state"], p["reason"]) for p in agent["status"]["permissions"]] == [("Pending", "Evaluating")]
    assert not bench.can("triage", "get", "tickets")
    assert bench.writes_after_restart() == []

    # Its author takes the evaluation back: then there is nothing to pass.
    bench.admin.patch(agents.API, "aiagents", "triage", {"spec": {"retraining": None}}, namespace=bench.namespace)
    bench.until_serves(1)
    bench.until_can("triage", "get", "tickets")
    assert bench.evaluations()["triage-1-live"]["status"]["phase"] == "Inconclusive", (
        "it was ended, and stays on record"
    )


def test_what_waits_for_a_person_when_its_agent_goes_is_in_the_archive(bench: Bench) -> None:
    bench.measured(r1="0.01", r2="NaN")
    bench.gated()
    bench.until_serves(1)
    bench.change("triage", handbook=BRIEF)
    agent = bench.until_reason("triage", "Ready", "EvaluationInconclusive", "waits for a person")
    bench.dismiss("triage")
    bench.until_gone("triage")
    identity = AgentIdentity(bench.namespace, "triage", agent["metadata"]["uid"])
    found = bench.installed.archive.personal(identity, bench.admin)
    (entry,) = map(orjson.loads, found["escalations.jsonl"].splitlines())
    assert {name: entry[name] for name in ("kind", "evaluation", "phase", "revision")} == {
        "kind": "Evaluation", "evaluation": "triage-2-live", "phase": "Inconclusive", "revision": 2
    }  # fmt: skip


def test_what_is_no_number_waits_for_a_person(bench: Bench) -> None:
    bench.measured(r1="0.01", r2="NaN")
    bench.gated()
    bench.until_serves(1)
    bench.change("triage", handbook=BRIEF)
    bench.until_reason("triage", "Ready", "EvaluationInconclusive", "waits for a person", "NaN", "AgentAction Promote")
    bench.operator.until_idle()
    assert bench.states() == {1: "Stable", 2: "Candidate"}
    assert bench.deployments() == {"triage-1"}

    bench.order("Rollback", "all-the-same", "triage", revision=2)
    bench.until_ordered("all-the-same", "Complete", "CarriedOut", "Revision 2 serves")
    bench.until_serves(2)
    assert bench.evaluations()["triage-2-live"]["status"]["phase"] == "Inconclusive", "the record is not whitewashed"


def test_an_empty_answer_is_asked_again(bench: Bench) -> None:
    bench.measured(r1="0.01")
    bench.gated()
    bench.until_serves(1)
    bench.change("triage", handbook=BRIEF)
    record = bench.until_measured("triage-2-live", 1, "error")
    assert "the answer is empty" in record["status"]["metricResults"][0]["message"]
    assert bench.states()[2] == "Candidate"

    bench.measured(r1="0.01", r2="0.02")
    bench.until_serves(2)
    (result,) = bench.evaluations()["triage-2-live"]["status"]["metricResults"]
    assert (result["count"], result["error"]) == (1, 1)


@pytest.mark.parametrize(
    ("trouble", "said"),
    [(PrometheusServer.down, "cannot be asked"), (PrometheusServer.hanging, "did not answer within 30 s")],
    ids=["down", "hanging"],
)
def test_a_prometheus_that_does_not_answer_for_a_while_rejects_nothing(
    bench: Bench, trouble: Callable[[PrometheusServer], AbstractContextManager[None]], said: str
) -> None:
    bench.measured(r1="0.01", r2="0.02")
    bench.gated()
    bench.until_serves(1)
    with trouble(bench.server):
        bench.change("triage", handbook=BRIEF)
        # The agent is looked after meanwhile: nobody waits for a server that does not answer.
        bench.until(
            "triage", lambda a: a["status"]["revision"].get("candidate") == 2, what="revision 2 to be a candidate"
        )
        bench.order("Suspend", "stop", "triage")
        bench.until_ordered("stop", "InForce", "InForce")
        bench.order("Resume", "go-on", "triage")
        bench.until_ordered("go-on", "Complete", "CarriedOut")
        record = bench.until_measured("triage-2-live", 1, "error")
        assert said in record["status"]["metricResults"][0]["message"]
        assert bench.states()[2] == "Candidate"
    bench.measured(r1="0.01", r2="0.02")
    bench.until_serves(2)


def test_a_huge_answer_is_read_no_further_than_a_number_can_be_long(bench: Bench) -> None:
    bench.measured(r1="0.01", r2="0.01")
    bench.gated()
    bench.until_serves(1)
    # Each makes the label ten times as long: 1.3 MB in the end, from a server that means no harm.
    query = "wrong{namespace={{namespace}},revision={{revision}}}"
    for _ in range(5):
        query = f'label_replace({query}, "namespace", "{"$1" * 10}", "namespace", "(.*)")'
    huge = live(query=query, consecutiveErrorLimit=0)
    bench.change("triage", handbook=BRIEF, retraining={"evaluations": [huge]})
    said = bench.until_reason("triage", "Ready", "EvaluationFailed", "Revision 2", "more than 1048576 bytes")
    assert said["status"]["revision"]["stable"] == 1
    assert bench.states() == {1: "Stable", 2: "Rejected"}


def test_a_run_goes_on_after_a_crash_where_it_stood(bench: Bench) -> None:
    bench.measured(r1="0.01", r2="0.02")
    bench.gated(interval="2s", count=5)
    bench.until_serves(1)
    bench.change("triage", handbook=BRIEF)
    bench.until_measured("triage-2-live", 2)
    bench.operator.kill9()
    (before,) = bench.evaluations()["triage-2-live"]["status"]["metricResults"]
    bench.operator.restart()
    bench.until_serves(2)
    (after,) = bench.evaluations()["triage-2-live"]["status"]["metricResults"]
    assert (after["count"], after["successful"]) == (5, 5)
    size = len(before["measurements"])
    assert after["measurements"][:size] == before["measurements"]
    times = [m["finishedAt"] for m in after["measurements"]]
    assert times == sorted(set(times)), "no measurement is counted twice"


def test_a_definition_that_changes_is_for_the_next_revision(bench: Bench) -> None:
    bench.measured(r1="0.01", r2="0.02", r3="0.02")
    bench.gated()
    bench.until_serves(1)
    bench.change("triage", handbook=BRIEF, retraining={"evaluations": [live(initialDelay="10s")]})
    bench.until_reason("triage", "Ready", "Evaluating")
    strict = [live(max="0.001")]
    bench.change("triage", retraining={"evaluations": strict})
    bench.until_serves(2)
    bench.change("triage", handbook=HONEST)
    bench.until_reason("triage", "Ready", "EvaluationFailed", "0.02 is above max 0.001")


def test_evaluations_go_with_their_revision_and_with_their_agent(bench: Bench) -> None:
    bench.measured(r1="0.01", r2="0.02", r3="0.02")
    bench.employ("triage", bench.new_role(), retraining={"evaluations": [live()]}, revisionHistoryLimit=0)
    bench.until_serves(1)
    bench.change("triage", handbook=BRIEF)
    bench.until_serves(2)
    bench.admin.wait_for(lambda: set(bench.evaluations()) == {"triage-2-live"}, what="the first one to be gone")

    uid = bench.get("triage")["metadata"]["uid"]
    bench.dismiss("triage")
    bench.until_gone("triage")
    assert bench.children(uid) == {}


# Jobs ----------------------------------------------------------------------------------------------------------------


def test_a_job_measures_under_an_account_without_rights_and_lets_it_serve(bench: Bench) -> None:
    hold = {"evaluations": [held_out(GOOD, hold=True)]}
    bench.employ("triage", bench.new_role(), permission("read-tickets"), retraining=hold)
    agent = bench.until_reason("triage", "Ready", "Evaluating", "held-out")
    job = bench.admin.wait_object(
        "batch/v1", "jobs", "triage-1-eval-held-out", bool, what="its Job", namespace=bench.namespace
    )
    assert job["spec"]["template"]["spec"]["serviceAccountName"] == "aiagent.triage.candidate"
    assert bench.rights(agent["metadata"]["uid"]) == set()

    def pods() -> list[Object]:
        return bench.admin.list("v1", "pods", namespace=bench.namespace, labels="workforce.dev/run=evaluation")

    (pod,) = bench.admin.wait_for(pods, what="its pod")
    # The kubelet's part: the pod is let go, and ends with its message.
    name = pod["metadata"]["name"]
    patch = {"metadata": {"annotations": {"localcluster/hold": None}}}
    bench.admin.patch("v1", "pods", name, patch, namespace=bench.namespace)

    bench.until_serves(1)
    record = bench.evaluations()["triage-1-held-out"]
    assert (record["status"]["phase"], record["status"]["notes"]) == ("Successful", "3 tickets.")
    assert record["spec"]["provider"] == "Job"
    bench.admin.wait_for(lambda: not bench.jobs() and not pods(), what="the Job to be gone")
    assert bench.writes_after_restart() == []


def test_a_jobs_numbers_reject_and_other_work_heals(bench: Bench) -> None:
    bench.employ("triage", bench.new_role(), retraining={"evaluations": [held_out(GOOD)]})
    bench.until_serves(1)
    bench.change("triage", handbook=BRIEF, retraining={"evaluations": [held_out(BAD)]})
    bench.until_reason("triage", "Ready", "EvaluationFailed", "0.71 is below min 0.80", "maxDecrease 0.02")
    assert bench.states() == {1: "Stable", 2: "Rejected"}
    bench.change("triage", handbook=HONEST, retraining={"evaluations": [held_out(GOOD)]})
    bench.until_serves(3)


def test_a_job_that_fails_is_an_error_and_not_a_verdict_on_the_work(bench: Bench) -> None:
    bench.employ("triage", bench.new_role(), retraining={"evaluations": [held_out(GOOD)]})
    bench.until_serves(1)
    bench.change("triage", handbook=BRIEF, retraining={"evaluations": [held_out("no tickets there", code=1)]})
    bench.until_reason("triage", "Ready", "EvaluationFailed", "is Error", "no tickets there")


def test_an_agent_that_leaves_while_it_is_measured_leaves_nothing(bench: Bench) -> None:
    bench.employ("triage", bench.new_role(), retraining={"evaluations": [held_out(GOOD, hold=True), live()]})
    bench.admin.wait_for(bench.jobs, what="the Job to be there")
    uid = bench.get("triage")["metadata"]["uid"]
    bench.dismiss("triage")
    bench.until_gone("triage")
    assert bench.children(uid) == {}
