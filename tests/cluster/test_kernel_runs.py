"""What the security kernel must let pass of trainings and evaluations, which run as Jobs."""

import pytest

from aiagent_operator.api import meta
from aiagent_operator.api.runs import RunKind
from aiagent_operator.core.children import run_account, run_network, service_account
from aiagent_operator.core.children.network_policy import DnsPeers
from support.kube import Object
from support.runs import JOBS, account_of, begin, job, pod_of, template
from support.tenancy import Office

pytestmark = pytest.mark.cluster


@pytest.mark.parametrize("kind", list(RunKind))
def test_the_operator_makes_and_removes_all_that_a_run_needs(office: Office, kind: RunKind) -> None:
    agent = office.identity()
    for made in (
        service_account.build(agent).manifest,
        run_account.build(agent, kind).manifest,
        run_network.build(agent, (), DnsPeers()).manifest,
        job(agent, kind=kind),
    ):
        office.operator.create(made)
    pod = pod_of(office, agent)
    assert pod["spec"]["serviceAccountName"] == account_of(agent, kind)
    name = job(agent, kind=kind)["metadata"]["name"]
    office.operator.delete(JOBS, "jobs", name, namespace=office.namespace, propagation="Foreground")
    office.admin.wait_gone(JOBS, "jobs", name, namespace=office.namespace)
    assert office.admin.find("v1", "pods", pod["metadata"]["name"], namespace=office.namespace) is None
    office.operator.delete("v1", "serviceaccounts", account_of(agent, kind), namespace=office.namespace)


def test_queues_and_people_may_change_what_is_theirs_of_a_run(office: Office) -> None:
    agent = office.identity()
    made = template()
    made["spec"]["suspend"] = True
    begin(office.operator, agent, made)
    patch: Object = {
        "metadata": {"labels": {"kueue.x-k8s.io/queue-name": "nightly"}, "annotations": {"note": "theirs"}},
        "spec": {"template": {"spec": {"nodeSelector": {"pool": "training"}}}},
    }
    office.editor.patch(JOBS, "jobs", "triage-2-train", patch, namespace=office.namespace)
    office.editor.patch(JOBS, "jobs", "triage-2-train", {"spec": {"suspend": False}}, namespace=office.namespace)
    pod = pod_of(office, agent)
    assert pod["spec"]["nodeSelector"] == {"pool": "training"}


def test_jobs_of_tenants_go_on_as_before(office: Office) -> None:
    own = office.obj(JOBS, "Job", "mine", metadata={"labels": {meta.LABEL_MANAGED_BY: "Helm"}}, spec=template()["spec"])
    own["spec"]["template"]["spec"]["restartPolicy"] = "Never"
    office.editor.create(own)
    cron = {"schedule": "0 2 * * 1", "jobTemplate": {"spec": own["spec"]}}
    office.editor.create(office.obj(JOBS, "CronJob", "mine", spec=cron))
    office.editor.patch(JOBS, "jobs", "mine", {"metadata": {"labels": {"a": "b"}}}, namespace=office.namespace)
    office.editor.delete(JOBS, "jobs", "mine", namespace=office.namespace, propagation="Background")
