"""What tenants do to trainings while the operator is at work: what no policy refuses is put right, or not believed."""

from __future__ import annotations

import pytest

from aiagent_operator.api import runs
from support import agents
from support.kube import Kube, Object
from support.runs import JOBS, template
from support.workplace import Workplace

pytestmark = pytest.mark.cluster

NETWORKING = "networking.k8s.io/v1"
LIMITS = "aiagent.triage.runs"
FORGED = '{"artifact": "s3://elsewhere/evil"}'


@pytest.fixture
def tenant(place: Workplace) -> Kube:
    """An `admin` of the namespace, where an agent is that trains by order only."""
    user = place.name("mallory")
    place.let_administer(user, place.namespace)
    place.employ("triage", place.new_role(), retraining={"jobTemplate": template(hold=True)})
    place.until_ready("triage")
    return place.admin.as_user(user)


def train(place: Workplace) -> str:
    """Order a training whose pod does not end; the UID of the agent, once the pod is there."""
    uid: str = place.get("triage")["metadata"]["uid"]
    place.order("Retrain", "again", "triage")
    labels = f"{runs.LABEL_RUN_OF}={uid}"
    place.admin.wait_for(
        lambda: place.admin.list("v1", "pods", namespace=place.namespace, labels=labels), what="the pod of the training"
    )
    # Until its record says that there was a Job, one that is gone is made again.
    place.admin.wait_object(
        agents.API,
        "agentrevisions",
        "triage-2",
        lambda found: found.get("status", {}).get("state") == "Training",
        what="the Job to be on record",
        namespace=place.namespace,
    )
    return uid


def limits(place: Workplace) -> Object:
    """The rules of the network policy of runs."""
    found: Object = place.admin.get(NETWORKING, "networkpolicies", LIMITS, namespace=place.namespace)["spec"]
    return found


def test_the_network_of_a_run_stays_closed(place: Workplace, tenant: Kube) -> None:
    train(place)
    before = limits(place)

    tenant.delete(NETWORKING, "networkpolicies", LIMITS, namespace=place.namespace)
    place.admin.wait_for(lambda: limits(place) == before, what="the deleted network policy to be back")
    for wider in ({"egress": [{}]}, {"podSelector": {"matchLabels": {"none": "such"}}}):
        tenant.patch(NETWORKING, "networkpolicies", LIMITS, {"spec": wider}, namespace=place.namespace)
        place.admin.wait_for(lambda: limits(place) == before, what=f"{wider} to be put right")


def test_the_account_of_a_run_comes_back(place: Workplace, tenant: Kube) -> None:
    train(place)
    where = {"namespace": place.namespace}
    name = runs.account_name("triage", runs.RunKind.TRAINING)
    first = place.admin.get("v1", "serviceaccounts", name, **where)["metadata"]["uid"]

    tenant.delete("v1", "serviceaccounts", name, **where)

    def back(found: Object) -> bool:
        return bool(found["metadata"]["uid"] != first and found["automountServiceAccountToken"] is False)

    place.admin.wait_object("v1", "serviceaccounts", name, back, what="the account to be made anew", **where)


def test_a_job_that_waits_under_the_name_of_a_run_is_not_believed(place: Workplace, tenant: Kube) -> None:
    own = template(message=FORGED)
    own["spec"]["template"]["spec"]["restartPolicy"] = "Never"
    head = {"name": "triage-2-train", "namespace": place.namespace}
    tenant.create({"apiVersion": JOBS, "kind": "Job", "metadata": head, **own})

    place.order("Retrain", "again", "triage")

    record = place.admin.wait_object(
        agents.API,
        "agentrevisions",
        "triage-2",
        lambda found: found["status"]["state"] == "Rejected",
        what="the training to be given up",
        namespace=place.namespace,
    )
    assert "Job" in record["status"]["message"]
    assert "it is not the operator's: delete or rename it" in record["status"]["message"]
    assert "work" not in record["status"]
    assert place.exists("Job", place.namespace, "triage-2-train"), "it stays its owner's"


def test_a_deleted_run_is_no_result(place: Workplace, tenant: Kube) -> None:
    train(place)

    tenant.delete(JOBS, "jobs", "triage-2-train", namespace=place.namespace, propagation="Background")

    record = place.admin.wait_object(
        agents.API,
        "agentrevisions",
        "triage-2",
        lambda found: found["status"]["state"] == "Rejected",
        what="the training to have failed",
        namespace=place.namespace,
    )
    assert "start the run again" in record["status"]["message"]
    assert place.is_ready("triage"), "it serves as before"


def test_a_suspended_agent_trains_no_longer(place: Workplace, tenant: Kube) -> None:
    uid = train(place)

    place.change("triage", suspended=True)

    place.admin.wait_gone(JOBS, "jobs", "triage-2-train", namespace=place.namespace)
    labels = f"{runs.LABEL_RUN_OF}={uid}"
    assert place.admin.list("v1", "pods", namespace=place.namespace, labels=labels) == []
    place.until_reason("triage", "Ready", "Suspended")
