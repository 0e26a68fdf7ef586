"""What tenants and a thief of the operator's token try with trainings and evaluations of agents, which run as Jobs."""

from typing import Any

import pytest

from aiagent_operator.api import meta, runs
from aiagent_operator.api.runs import RunKind
from support import agents
from support.kube import ApiError, Kube, Object
from support.runs import JOBS, account_of, agent_with_run, begin, ground, job, pod_of, template
from support.tenancy import POD, RBAC, Office, refused

pytestmark = pytest.mark.cluster

TRAINING = "aiagent.triage.training"
SECRET_IN = {
    "volume": {"volumes": [{"name": "loot", "secret": {"secretName": "payroll"}}]},
    "projected volume": {"volumes": [{"name": "loot", "projected": {"sources": [{"secret": {"name": "payroll"}}]}}]},
    "csi volume": {
        "volumes": [{"name": "loot", "csi": {"driver": "d.example", "nodePublishSecretRef": {"name": "payroll"}}}]
    },
    "variable": {
        "containers": [
            {
                "name": "train",
                "image": "i:1",
                "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "payroll", "key": "k"}}}],
            }
        ]
    },
    "variables of an init container": {
        "initContainers": [{"name": "get", "image": "i:1", "envFrom": [{"secretRef": {"name": "payroll"}}]}]
    },
}
CONFIG_IN = {
    "volume": {"volumes": [{"name": "loot", "configMap": {"name": "rules"}}]},
    "variable": {
        "containers": [
            {
                "name": "train",
                "image": "i:1",
                "env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "rules", "key": "k"}}}],
            }
        ]
    },
}
AUTHOR: tuple[Object, ...] = (
    {"apiGroups": [meta.GROUP], "resources": ["aiagents"], "verbs": ["get", "create", "update", "patch"]},
    {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "create", "update"]},
)
MAKES_JOBS: Object = {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create"]}


def reads(resource: str) -> Object:
    """A right to read all of a resource of the core group."""
    return {"apiGroups": [""], "resources": [resource], "verbs": ["get"]}


def trained(office: Office, **pod: Any) -> Object:
    """An AIAgent that is trained by a Job with such a pod."""
    return office.agent(retraining={"every": "720h", "jobTemplate": template(**pod)})


def evaluated(office: Office, **pod: Any) -> Object:
    """An AIAgent that is evaluated by a Job with such a pod, and by another one before it."""
    plain = {"name": "plain", "job": template(), "metrics": [{"name": "m", "min": "1"}]}
    evaluations = [plain, {**plain, "name": "held-out", "job": template(**pod)}]
    return office.agent(workload={"template": {"spec": POD}}, retraining={"evaluations": evaluations})


def audited(office: Office, **pod: Any) -> Object:
    """An AIAgent that is audited by a Job with such a pod while it works."""
    audit = {"name": "by-region", "job": template(**pod), "metrics": [{"name": "m", "min": "1"}]}
    supervision = {"evaluations": [audit], "biasAudits": [{"name": "by-region", "every": "720h"}]}
    return office.agent(workload={"template": {"spec": POD}}, supervision=supervision)


# A role that reads the namespaces of its agents ----------------------------------------------------------------------

ELSEWHERE = {
    "claim": {"volumes": [{"name": "loot", "persistentVolumeClaim": {"claimName": "data"}}]},
    "copy of a claim": {
        "volumes": [
            {
                "name": "loot",
                "ephemeral": {
                    "volumeClaimTemplate": {
                        "spec": {
                            "accessModes": ["ReadWriteOnce"],
                            "dataSource": {"kind": "PersistentVolumeClaim", "name": "data"},
                            "resources": {"requests": {"storage": "1Gi"}},
                        }
                    }
                },
            }
        ]
    },
    "pull secret": {"imagePullSecrets": [{"name": "registry"}]},
    "device": {"resourceClaims": [{"name": "loot", "resourceClaimName": "gpu"}]},
    "token": {"volumes": [{"name": "loot", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}]},
}


@pytest.mark.parametrize(
    "pod", [*SECRET_IN.values(), *CONFIG_IN.values(), *ELSEWHERE.values()], ids=[*SECRET_IN, *CONFIG_IN, *ELSEWHERE]
)
def test_reading_agents_namespaces_by_a_hiring_evaluation(office: Office, pod: Object) -> None:
    plain = {"name": "plain", "job": template(), "metrics": [{"name": "m", "min": "1"}]}
    made = agents.role("looter", hiringEvaluations=[plain, {**plain, "name": "loot", "job": template(**pod)}])
    with refused("role-runs", "may read nothing that is there"):
        office.admin.create(made, dry_run=True)
    own = {"volumes": [{"name": "scratch", "emptyDir": {}}]}
    made["spec"]["hiringEvaluations"][1]["job"] = template(**own)
    office.admin.create(made, dry_run=True)


# Forging a run -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", list(RunKind))
def test_running_a_job_of_ones_own_under_the_account_of_runs(office: Office, kind: RunKind) -> None:
    agent = office.identity()
    ground(office.operator, agent, kind)
    own = office.obj(JOBS, "Job", "mine", spec=template(serviceAccountName=account_of(agent, kind))["spec"])
    own["spec"]["template"]["spec"]["restartPolicy"] = "Never"
    with refused("agent-pods", "only the operator lets a workload run as an agent"):
        office.editor.create(own)


def test_making_the_job_of_a_run_before_the_operator_does(office: Office) -> None:
    agent = office.identity()
    ground(office.operator, agent)
    made = job(agent)
    del made["metadata"]["labels"][meta.LABEL_MANAGED_BY]
    for field in ("serviceAccountName", "serviceAccount"):
        made["spec"]["template"]["spec"][field] = "default"
    made["spec"]["template"]["metadata"]["labels"] = {"app": "mine"}
    with refused("agent-runs", "only the operator sets, changes or removes them"):
        office.editor.create(made)


def test_making_jobs_with_the_labels_of_runs_through_a_cronjob(office: Office) -> None:
    labels = job(office.identity())["metadata"]["labels"]
    spec = template()["spec"]
    spec["template"]["spec"]["restartPolicy"] = "Never"
    own = {"schedule": "* * * * *", "jobTemplate": {"metadata": {"labels": labels}, "spec": spec}}
    with refused("agent-runs", "mark it as a training or evaluation of an agent"):
        office.editor.create(office.obj(JOBS, "CronJob", "mine", spec=own))
    own["jobTemplate"]["metadata"]["labels"] = {meta.LABEL_MANAGED_BY: meta.MANAGER}
    with refused("agent-runs", "Leave them as they are"):
        office.editor.create(office.obj(JOBS, "CronJob", "mine", spec=own))


def test_forging_a_result_by_a_pod_with_the_labels_of_a_run(office: Office) -> None:
    agent = agent_with_run(office)
    real = pod_of(office, agent)
    forged = office.obj("v1", "Pod", "forged", spec={"containers": [{"name": "train", "image": "mine:1"}]})
    forged["metadata"] |= {key: real["metadata"][key] for key in ("labels", "ownerReferences")}
    with refused("agent-labels", "only the operator sets them"):
        office.editor.create(forged)


def test_forging_a_result_by_a_pod_under_the_account_of_a_run(office: Office) -> None:
    agent = agent_with_run(office)
    real = pod_of(office, agent)
    spec = {"containers": [{"name": "train", "image": "mine:1"}], "serviceAccountName": TRAINING}
    forged = office.obj("v1", "Pod", "forged", spec=spec)
    forged["metadata"]["ownerReferences"] = real["metadata"]["ownerReferences"]
    with refused("agent-pods", "only the operator lets a workload run as an agent"):
        office.editor.create(forged)


# Changing a run ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("label", [meta.LABEL_AGENT_UID, meta.LABEL_MANAGED_BY, runs.LABEL_RUN, meta.LABEL_REVISION])
@pytest.mark.parametrize("value", [None, "other"])
def test_changing_the_labels_of_a_run(office: Office, label: str, value: str | None) -> None:
    agent_with_run(office)
    patch: Object = {"metadata": {"labels": {label: value}}}
    with refused("agent-runs", "only the operator", or_policy="agent-labels"):
        office.editor.patch(JOBS, "jobs", "triage-2-train", patch, namespace=office.namespace)


def test_letting_the_pods_of_a_suspended_run_out_of_their_network(office: Office) -> None:
    """While a Job is suspended, the API server lets its pods' labels be changed, as queues need it."""
    agent = office.identity()
    made = template()
    made["spec"]["suspend"] = True
    begin(office.operator, agent, made)
    patch: Object = {"spec": {"template": {"metadata": {"labels": {runs.LABEL_RUN_OF: None}}}}}
    with refused("agent-labels", "they go only together with the agent's account"):
        office.editor.patch(JOBS, "jobs", "triage-2-train", patch, namespace=office.namespace)


def test_letting_a_running_pod_out_of_its_network(office: Office) -> None:
    pod = pod_of(office, agent_with_run(office))
    patch: Object = {"metadata": {"labels": {runs.LABEL_RUN_OF: None}}}
    with refused("agent-labels", "they go only together with the agent's account"):
        office.editor.patch("v1", "pods", pod["metadata"]["name"], patch, namespace=office.namespace)


def test_putting_other_pods_into_a_run(office: Office) -> None:
    agent_with_run(office)
    patch: Object = {"spec": {"template": {"spec": {"containers": [{"name": "train", "image": "mine:1"}]}}}}
    with pytest.raises(ApiError, match="field is immutable"):
        office.editor.patch(JOBS, "jobs", "triage-2-train", patch, namespace=office.namespace)


# The account of runs -------------------------------------------------------------------------------------------------


def test_making_the_account_of_runs_oneself(office: Office) -> None:
    with refused("agent-accounts", "only the operator creates accounts named aiagent.*"):
        office.owner.create(office.obj("v1", "ServiceAccount", TRAINING))


def test_minting_a_token_of_a_run(office: Office) -> None:
    ground(office.operator, office.identity())
    with refused("agent-tokens", "only kubelets request tokens of agents"):
        office.admin.token(office.namespace, TRAINING)


@pytest.mark.parametrize("who", ["owner", "admin"])
def test_giving_a_run_a_right(office: Office, who: str) -> None:
    client: Kube = getattr(office, who)
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
    subject = {"kind": "ServiceAccount", "name": TRAINING, "namespace": office.namespace}
    with refused("agent-bindings", "only the operator binds rights to an agent's account"):
        client.create(office.obj(RBAC, "RoleBinding", "loot", roleRef=ref, subjects=[subject]))


# The author's rights -------------------------------------------------------------------------------------------------


def test_having_jobs_made_without_the_right_to_create_jobs(office: Office) -> None:
    office.editor.create(office.deployment())
    with refused("author-rights", "may not create jobs.batch"):
        office.person(*AUTHOR).create(trained(office))
    office.person(*AUTHOR, MAKES_JOBS).create(trained(office))


@pytest.mark.parametrize("where", SECRET_IN)
def test_reading_a_secret_through_a_run(office: Office, where: str) -> None:
    office.editor.create(office.deployment())
    with refused("author-rights", "which spec.retraining or spec.supervision names: only who may read secrets here"):
        office.person(*AUTHOR, MAKES_JOBS, reads("configmaps")).create(trained(office, **SECRET_IN[where]))
    office.person(*AUTHOR, MAKES_JOBS, reads("secrets")).create(trained(office, **SECRET_IN[where]))


@pytest.mark.parametrize("where", CONFIG_IN)
def test_reading_a_configmap_through_a_run(office: Office, where: str) -> None:
    office.editor.create(office.deployment())
    with refused("author-rights", "may not get configmaps"):
        office.person(*AUTHOR, MAKES_JOBS, reads("secrets")).create(trained(office, **CONFIG_IN[where]))
    office.person(*AUTHOR, MAKES_JOBS, reads("configmaps")).create(trained(office, **CONFIG_IN[where]))


def test_having_jobs_of_evaluations_made_without_the_right_to_create_jobs(office: Office) -> None:
    office.editor.create(office.deployment())
    with refused("author-rights", "may not create jobs.batch"):
        office.person(*AUTHOR).create(evaluated(office))
    office.person(*AUTHOR, MAKES_JOBS).create(evaluated(office))


def test_having_jobs_of_audits_made_without_the_right_to_create_jobs(office: Office) -> None:
    office.editor.create(office.deployment())
    with refused("author-rights", "may not create jobs.batch"):
        office.person(*AUTHOR).create(audited(office))
    office.person(*AUTHOR, MAKES_JOBS).create(audited(office))


def test_reading_secrets_and_configmaps_through_an_audit(office: Office) -> None:
    office.editor.create(office.deployment())
    secret, text = (next(iter(each.values())) for each in (SECRET_IN, CONFIG_IN))
    with refused("author-rights", "spec.supervision names: only who may read secrets here"):
        office.person(*AUTHOR, MAKES_JOBS, reads("configmaps")).create(audited(office, **secret))
    with refused("author-rights", "may not get configmaps"):
        office.person(*AUTHOR, MAKES_JOBS, reads("secrets")).create(audited(office, **text))


@pytest.mark.parametrize("where", SECRET_IN)
def test_reading_a_secret_through_an_evaluation(office: Office, where: str) -> None:
    office.editor.create(office.deployment())
    with refused("author-rights", "which spec.retraining or spec.supervision names: only who may read secrets here"):
        office.person(*AUTHOR, MAKES_JOBS, reads("configmaps")).create(evaluated(office, **SECRET_IN[where]))
    office.person(*AUTHOR, MAKES_JOBS, reads("secrets")).create(evaluated(office, **SECRET_IN[where]))


@pytest.mark.parametrize("where", CONFIG_IN)
def test_reading_a_configmap_through_an_evaluation(office: Office, where: str) -> None:
    office.editor.create(office.deployment())
    with refused("author-rights", "may not get configmaps"):
        office.person(*AUTHOR, MAKES_JOBS, reads("secrets")).create(evaluated(office, **CONFIG_IN[where]))
    office.person(*AUTHOR, MAKES_JOBS, reads("configmaps")).create(evaluated(office, **CONFIG_IN[where]))


def test_slipping_a_secret_into_a_template_that_was_let_through(office: Office) -> None:
    office.editor.create(office.deployment())
    author = office.person(*AUTHOR, MAKES_JOBS)
    author.create(trained(office))
    change: Object = {"spec": {"retraining": {"jobTemplate": template(**SECRET_IN["volume"])}}}
    with refused("author-rights", "may not get secrets"):
        author.patch(meta.API_VERSION, "aiagents", "triage", change, namespace=office.namespace)
