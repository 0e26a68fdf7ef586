"""What a thief of the operator's token tries with Jobs: they are runs, under accounts that hold no right."""

import copy
from typing import Any

import pytest

from aiagent_operator.api import meta, runs
from aiagent_operator.core.objects import AgentIdentity
from support import chart
from support.kube import Object
from support.runs import JOBS, agent_with_run, ground, job, template
from support.tenancy import RBAC, Office, refused, unauthorized

pytestmark = pytest.mark.cluster

TRAINING = "aiagent.triage.training"


def as_account(made: Object, name: str) -> Object:
    """The Job under another account."""
    changed = copy.deepcopy(made)
    changed["spec"]["template"]["spec"] |= {"serviceAccountName": name, "serviceAccount": name}
    return changed


def test_running_a_job_in_kube_system(office: Office) -> None:
    with refused("operator-workloads", "do not run in kube-* namespaces"):
        office.operator.create(job(AgentIdentity("kube-system", "triage", "u")))


def test_running_a_job_in_the_operators_own_namespace(office: Office) -> None:
    with refused("operator-workloads", "move the AIAgent to a namespace of its own"):
        office.operator.create(job(AgentIdentity(chart.NAMESPACE, "triage", "u")))


@pytest.mark.parametrize("account", ["default", "clusterrole-aggregation-controller", "aiagent.triage"])
def test_running_a_job_under_an_account_of_kube_system(office: Office, account: str) -> None:
    # Either policy refuses all of these, for its own reason.
    with refused("operator-workloads", "", or_policy="operator-jobs"):
        office.operator.create(as_account(job(AgentIdentity("kube-system", "triage", "u")), account))


@pytest.mark.parametrize(
    "account", ["aiagent.triage", "aiagent.payroll.training", "aiagent.triage.candidate", "deployer", "default"]
)
def test_running_a_job_under_another_account(office: Office, account: str) -> None:
    made = as_account(job(office.identity()), account)
    with refused("operator-jobs", "the operator runs", or_policy="operator-workloads"):
        office.operator.create(made)


HARM: dict[str, tuple[Object, str]] = {
    "privileged": (
        {"containers": [{"name": "train", "image": "i:1", "securityContext": {"privileged": True}}]},
        "not privileged",
    ),
    "files of the node": ({"volumes": [{"name": "root", "hostPath": {"path": "/"}}]}, "no files of the node"),
    "network of the node": ({"hostNetwork": True}, "share nothing of the node"),
}


@pytest.mark.parametrize("harm", HARM)
def test_running_a_job_that_reaches_the_node(office: Office, harm: str) -> None:
    pod, words = HARM[harm]
    with refused("operator-pods", words):
        office.operator.create(job(office.identity(), template(**pod)))


def test_binding_a_right_to_the_account_of_runs(office: Office) -> None:
    agent = office.identity()
    office.employ(agent)
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "aiagent.triage"}
    for name in (TRAINING, "aiagent.triage.candidate"):
        subject = {"kind": "ServiceAccount", "name": name, "namespace": office.namespace}
        with refused("operator-bindings", "none to accounts of training and evaluation runs"):
            office.operator.create(office.obj(RBAC, "RoleBinding", name, roleRef=ref, subjects=[subject]))
    changed = {"subjects": [{"kind": "ServiceAccount", "name": TRAINING, "namespace": office.namespace}]}
    live = office.admin.get(RBAC, "rolebindings", "aiagent.triage", namespace=office.namespace)
    with refused("operator-bindings", "none to accounts of training and evaluation runs"):
        office.operator.replace(live | changed)


def test_running_a_deployment_as_a_run(office: Office) -> None:
    ground(office.operator, office.identity())
    obj = office.deployment("loot", account=TRAINING)
    obj["metadata"]["labels"] = {meta.LABEL_MANAGED_BY: meta.MANAGER}
    with refused("operator-workloads", "is for Jobs that train or evaluate an agent"):
        office.operator.create(obj)


EDITS: dict[str, tuple[Any, str]] = {
    "pods outside the limits of the network": (
        lambda made: made["spec"]["template"]["metadata"]["labels"].pop(runs.LABEL_RUN_OF),
        "which limits their network",
    ),
    "pods in the network of another agent": (
        lambda made: made["spec"]["template"]["metadata"]["labels"].update({runs.LABEL_RUN_OF: "other"}),
        "which limits their network",
    ),
    "pods that are served as the agent": (
        lambda made: made["spec"]["template"]["metadata"]["labels"].update({meta.LABEL_AGENT: "triage"}),
        "are not known as the agent",
    ),
    "a token of the API server": (
        lambda made: made["spec"]["template"]["spec"].pop("automountServiceAccountToken"),
        "a run gets no token of the API server",
    ),
    "a selector for other pods": (
        lambda made: made["spec"].update(
            manualSelector=True,
            selector={"matchLabels": made["spec"]["template"]["metadata"]["labels"]},
        ),
        "its Job counts no pods but its own",
    ),
}


@pytest.mark.parametrize("edit", EDITS)
def test_making_a_job_that_is_no_run(office: Office, edit: str) -> None:
    change, words = EDITS[edit]
    made = job(office.identity())
    change(made)
    with refused("operator-jobs", words):
        office.operator.create(made)


def test_changing_a_job(office: Office) -> None:
    agent = agent_with_run(office)
    with unauthorized('cannot patch resource "jobs"'):
        office.operator.patch(
            JOBS, "jobs", f"{agent.name}-2-train", {"spec": {"suspend": True}}, namespace=office.namespace
        )


def test_deleting_a_job_of_somebody_else(office: Office) -> None:
    own = office.obj(JOBS, "Job", "mine", spec=template()["spec"])
    own["spec"]["template"]["spec"]["restartPolicy"] = "Never"
    office.editor.create(own)
    with refused("operator-workloads", "who made a workload deletes it"):
        office.operator.delete(JOBS, "jobs", "mine", namespace=office.namespace)
