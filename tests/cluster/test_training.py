"""Trainings on a real API server: by plan and by order, with Jobs whose pods end as a test says."""

import json
from typing import Any

import pytest

from support import agents
from support.kube import ApiError, Object
from support.localcluster.components import LOG
from support.operator import OperatorProcess
from support.trainings import ARTIFACT, jobs, trains, until_states
from support.versions import revisions, states
from support.workplace import Workplace

pytestmark = pytest.mark.cluster

SAID = "\n".join(line.text for line in LOG)


def employ(place: Workplace, retraining: Object, **spec: Any) -> Object:
    place.employ("triage", place.new_role(), retraining=retraining, **spec)
    return place.until_ready("triage")


def handbook(place: Workplace) -> Object:
    name = place.get("triage")["status"]["handbook"]["configMap"]
    book = place.admin.get("v1", "configmaps", name, namespace=place.namespace)
    found: Object = json.loads(book["data"]["handbook.json"])
    return found


def test_a_plan_trains_and_what_is_learned_serves(place: Workplace, operator: OperatorProcess) -> None:
    employ(place, trains() | {"every": "1s"})
    until = "a training by plan to serve"
    place.until("triage", lambda a: a["status"]["revision"].get("stable", 0) >= 2, what=until)
    place.change("triage", retraining={"suspend": True})
    place.admin.wait_for(lambda: "Training" not in states(place).values(), what="the last training to end")
    place.until_settled("triage")

    second = revisions(place)[2]
    assert (second["spec"]["trigger"], second["status"]["result"]) == ("Schedule", {"artifact": ARTIFACT})
    assert handbook(place)["artifact"] == ARTIFACT
    agent = place.get("triage")
    assert agent["status"]["training"]["waitsFor"]["reason"] == "Paused"
    place.admin.wait_for(lambda: jobs(place) == [], what="the Jobs to be gone")

    operator.until_idle()
    mark = place.plane.audit_mark()
    operator.restart()
    operator.until_idle()
    assert place.writes(mark) == []


def test_a_run_has_an_identity_without_rights_and_the_environment_that_is_promised(place: Workplace) -> None:
    employ(place, trains(hold=True), permissions=[agents.permission("read-tickets")])
    place.order("Retrain", "again", "triage")
    place.admin.wait_for(lambda: len(jobs(place)) == 1, what="the Job of the training")
    until_states(place, r1="Stable", r2="Training")

    (job,) = jobs(place)
    pod = job["spec"]["template"]["spec"]
    assert job["metadata"]["name"] == "triage-2-train"
    assert pod["serviceAccountName"] == "aiagent.triage.training"
    assert pod["automountServiceAccountToken"] is False
    env = {each["name"]: each.get("value", "") for each in pod["containers"][0]["env"]}
    assert (env["WORKFORCE_AGENT"], env["WORKFORCE_REVISION"], env["WORKFORCE_TRIGGER"]) == ("triage", "2", "Retrain")
    account = f"system:serviceaccount:{place.namespace}:aiagent.triage.training"
    assert not place.admin.allowed(account, "get", "tickets", group="crm.example", namespace=place.namespace)
    place.until("triage", lambda a: "current" in a["status"].get("training", {}), what="the training to be told of")
    place.until_ordered("again", "Pending", "Retraining", "AIAgent triage trains")


def test_an_order_is_carried_out_when_the_training_has_ended(place: Workplace) -> None:
    employ(place, trains({"artifact": ARTIFACT, "metrics": {"accuracy": "0.91"}}))
    place.order("Retrain", "again", "triage")
    place.until_ordered("again", "Complete", "CarriedOut", "triage made revision 2")
    until_states(place, r1="Superseded", r2="Stable")
    second = revisions(place)[2]
    assert second["spec"]["order"]["name"] == "again"
    assert second["status"]["log"] == SAID


def test_no_log_is_read_where_its_author_does_not_want_it_shown(place: Workplace) -> None:
    how = trains()
    how["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["terminationMessagePolicy"] = "File"
    employ(place, how)
    place.order("Retrain", "again", "triage")
    until_states(place, r1="Superseded", r2="Stable")
    assert "log" not in revisions(place)[2]["status"]


@pytest.mark.parametrize(
    ("retraining", "text"),
    [
        (trains("Epoch 1/10"), "the result is not JSON"),
        (trains({"image": "registry.example/stranger:1"}), "spec.retraining.imageRepositories"),
        (trains("out of tickets", exit_code=3), "ended with exit code 3"),
    ],
    ids=["garbage", "hostile", "failed"],
)
def test_what_is_refused_changes_nothing_and_says_why(place: Workplace, retraining: Object, text: str) -> None:
    before = employ(place, retraining)
    place.order("Retrain", "again", "triage")
    place.until_ordered("again", "Failed", "TrainingFailed", "triage (revision 2)")
    until_states(place, r1="Stable", r2="Rejected")
    place.until_settled("triage")

    second = revisions(place)[2]["status"]
    assert text in second["message"]
    assert second["log"] == ("out of tickets" if "exit code" in text else SAID)
    after = place.get("triage")
    assert after["status"]["handbook"] == before["status"]["handbook"]
    assert after["status"]["training"]["last"]["state"] == "Rejected"
    place.admin.wait_for(lambda: jobs(place) == [], what="the Job to be gone")


def test_what_trained_well_is_written_once(place: Workplace) -> None:
    employ(place, trains())
    place.order("Retrain", "again", "triage")
    until_states(place, r1="Superseded", r2="Stable")
    patch = {"status": {"result": {"artifact": "s3://models/stranger"}}}
    with pytest.raises(ApiError, match="result of a training is a record"):
        place.admin.patch(
            agents.API, "agentrevisions", "triage-2", patch, namespace=place.namespace, subresource="status"
        )


def test_suspending_the_agent_stops_its_training(place: Workplace) -> None:
    employ(place, trains(hold=True))
    place.order("Retrain", "again", "triage")
    until_states(place, r1="Stable", r2="Training")
    place.order("Suspend", "stop", "triage")
    until_states(place, r1="Stable", r2="Superseded")
    place.admin.wait_for(lambda: jobs(place) == [], what="the Job to be gone")
    assert "Training stopped: ordered by AgentAction stop" in revisions(place)[2]["status"]["message"]


def test_an_agent_leaves_while_it_trains(place: Workplace) -> None:
    agent = employ(place, trains(hold=True))
    place.order("Retrain", "again", "triage")
    until_states(place, r1="Stable", r2="Training")
    place.dismiss("triage")
    place.until_gone("triage")
    assert place.children(agent["metadata"]["uid"]) == {}


def test_who_may_not_order_is_refused_and_who_may_is_told_of_agents_that_cannot_be_trained(place: Workplace) -> None:
    place.employ("triage", place.new_role())
    place.until_ready("triage")
    place.order("Retrain", "again", "triage")
    place.until_ordered("again", "Failed", "NoRetraining", "spec.retraining.jobTemplate")
    place.let("tenant@corp.example", "suspend", place.namespace, "workforce-agents-suspend")
    tenant = place.admin.as_user("tenant@corp.example")
    with pytest.raises(ApiError, match="verb retrain on aiagents"):
        tenant.create(agents.order(place.namespace, "mine", "Retrain", "tenant@corp.example", "triage"))
