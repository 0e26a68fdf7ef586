"""Runs of agents for tests: their accounts, network policies and Jobs, as the operator's own builders make them."""

import copy
from typing import Any

from aiagent_operator.api import runs
from aiagent_operator.api.runs import RunKind
from aiagent_operator.core.children import run_account, run_job, run_network
from aiagent_operator.core.children.network_policy import DnsPeers
from aiagent_operator.core.children.run_job import Run
from aiagent_operator.core.objects import AgentIdentity
from support.kube import Kube, Object
from support.tenancy import Office

JOBS = "batch/v1"
RESULT = '{"artifact": "s3://models/triage/2"}'


def template(*, message: str = RESULT, hold: bool = False, exit_code: int = 0, **pod: Any) -> Object:
    """A jobTemplate whose pod ends on a fake node with this message, or never gets ready; `pod` is more of its spec."""
    annotations = {"localcluster/message": message} | ({"localcluster/hold": "true"} if hold else {})
    if exit_code:
        annotations["localcluster/exit-code"] = str(exit_code)
    spec = {"containers": [{"name": "train", "image": "registry.example/train:1"}], **copy.deepcopy(pod)}
    return {"spec": {"backoffLimit": 0, "template": {"metadata": {"annotations": annotations}, "spec": spec}}}


def job(agent: AgentIdentity, made_from: Object | None = None, *, kind: RunKind = RunKind.TRAINING) -> Object:
    """The Job of a run of the agent's revision 2."""
    suffix = "train" if kind is RunKind.TRAINING else "evaluate"
    run = Run(kind, 2, suffix, run_job.environment(agent, kind, 2, None))
    return run_job.build(agent, run, made_from or template())


def account_of(agent: AgentIdentity, kind: RunKind = RunKind.TRAINING) -> str:
    """Name of the account of the agent's runs."""
    return runs.account_name(agent.name, kind)


def ground(operator: Kube, agent: AgentIdentity, kind: RunKind = RunKind.TRAINING) -> None:
    """What is there before a Job: account and network policy, written by the operator's account."""
    operator.create(run_account.build(agent, kind).manifest)
    operator.create(run_network.build(agent, (), DnsPeers()).manifest)


def begin(operator: Kube, agent: AgentIdentity, made_from: Object | None = None) -> Object:
    """A training of the agent's revision 2, all of it written by the operator's account; its Job as created."""
    ground(operator, agent)
    return operator.create(job(agent, made_from))


def agent_with_run(office: Office) -> AgentIdentity:
    """An agent whose training waits for a pod that does not get ready."""
    agent = office.identity()
    begin(office.operator, agent, template(hold=True))
    return agent


def pod_of(office: Office, agent: AgentIdentity) -> Object:
    """The pod that the Job controller has made for the run."""
    labels = f"{runs.LABEL_RUN_OF}={agent.uid}"
    return office.admin.wait_for(
        lambda: office.admin.list("v1", "pods", namespace=office.namespace, labels=labels), what="a pod of the run"
    )[0]
