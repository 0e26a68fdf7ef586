"""What the operator believes of pods and Jobs, where nothing keeps a stranger from forging them.

The control plane has no policies of the chart: those refuse all of this beforehand.
"""

from __future__ import annotations

import copy
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio
from kubernetes.aio import config
from kubernetes.aio.client.configuration import Configuration

from aiagent_operator.api import meta, runs
from aiagent_operator.api.conditions import Reason
from aiagent_operator.core.children import observe, run_account, run_job, selector
from aiagent_operator.core.children.run_job import Run
from aiagent_operator.core.objects import AgentIdentity, Child, ChildKind
from aiagent_operator.core.plan import create
from aiagent_operator.core.runs.outcome import Failed, Outcome, Running, RunReason, Succeeded, outcome
from aiagent_operator.runtime.client import Api
from aiagent_operator.runtime.execute import Executor
from aiagent_operator.runtime.runs import PodsOfRuns, log_tail, run_pods
from aiagent_operator.runtime.store import Store
from support import kubelets
from support.kube import Kube, Object
from support.localcluster import ControlPlane
from support.localcluster.components import LOG
from support.runs import JOBS, RESULT, account_of, job, template

# One worker: another would need a control plane too.
pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("run pods")]

FORGED = '{"artifact": "s3://elsewhere/evil"}'


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    with ControlPlane() as plane:
        yield plane


@pytest.fixture
def agent(plane: ControlPlane) -> AgentIdentity:
    """An agent in a namespace of its own, where runs have their account."""
    namespace = f"runs-{uuid.uuid4().hex[:8]}"
    plane.admin.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    agent = AgentIdentity(namespace, "triage", str(uuid.uuid4()))
    plane.admin.wait_object("v1", "serviceaccounts", "default", bool, what="the account default", namespace=namespace)
    plane.admin.create(run_account.build(agent, runs.RunKind.TRAINING).manifest)
    return agent


@pytest_asyncio.fixture
async def api(plane: ControlPlane) -> AsyncIterator[Api]:
    configuration = Configuration()
    await config.load_kube_config(config_file=str(plane.kubeconfig), client_configuration=configuration)
    async with Api(configuration) as api:
        yield api


def job_of(admin: Kube, agent: AgentIdentity, name: str = "triage-2-train") -> Child:
    """The Job as the operator observes it."""
    return observe(ChildKind.JOB, admin.get(JOBS, "jobs", name, namespace=agent.namespace))


def pods_of(admin: Kube, agent: AgentIdentity) -> list[Object]:
    """All pods with the labels of the agent's runs."""
    return admin.list("v1", "pods", namespace=agent.namespace, labels=f"{runs.LABEL_RUN_OF}={agent.uid}")


async def outcome_of(api: Api, child: Child) -> Outcome:
    """What the operator makes of the run now."""
    assert child.job is not None
    return outcome(child.job, await run_pods(api, child.key.namespace, child.job, agent_uid=child.agent_uid))


def until_complete(admin: Kube, agent: AgentIdentity, name: str = "triage-2-train") -> Child:
    def ended(live: Object) -> bool:
        return any(c["type"] in ("Complete", "Failed") for c in live.get("status", {}).get("conditions", []))

    admin.wait_object(JOBS, "jobs", name, ended, what="the Job to end", namespace=agent.namespace)
    return job_of(admin, agent, name)


async def test_the_result_is_what_the_pod_of_the_job_left(plane: ControlPlane, api: Api, agent: AgentIdentity) -> None:
    plane.admin.create(job(agent))
    found = await outcome_of(api, until_complete(plane.admin, agent))
    assert isinstance(found, Succeeded)
    assert found.result == RESULT
    assert found.pod == pods_of(plane.admin, agent)[0]["metadata"]["name"]


async def test_a_failure_is_told_with_the_last_words_of_the_pod(
    plane: ControlPlane, api: Api, agent: AgentIdentity
) -> None:
    plane.admin.create(job(agent, template(message="no data", exit_code=3)))
    found = await outcome_of(api, until_complete(plane.admin, agent))
    assert isinstance(found, Failed)
    assert (found.reason, found.tail) == ("BackoffLimitExceeded", "no data")
    assert "exit code 3" in found.message


async def test_the_end_of_a_log_is_read_where_the_pod_is_there_and_its_kubelet_answers(
    plane: ControlPlane, api: Api, agent: AgentIdentity
) -> None:
    admin = plane.admin
    admin.create(job(agent))
    child = until_complete(admin, agent)
    (pod,) = pods_of(admin, agent)
    name, node = pod["metadata"]["name"], pod["spec"]["nodeName"]
    read = PodsOfRuns(api, logs=True)
    said = "\n".join(line.text for line in LOG)

    await read.read({child.key}, {child.key: child})
    assert [each.log for each in read.current({child.key: child})[child.key]] == [said]
    assert child.job is not None
    quiet = replace(child, job=replace(child.job, shows_log=False))
    await read.read({child.key}, {child.key: quiet})
    assert [each.log for each in read.current({child.key: quiet})[child.key]] == [""]

    assert await log_tail(api, agent.namespace, name, "train") == said
    missing = await log_tail(api, agent.namespace, "nobody", "train")
    assert (
        missing == f'[the log of pod {agent.namespace}/nobody could not be read: 404 NotFound: pods "nobody" not found]'
    )
    with kubelets.away(admin, [node]):
        away = await log_tail(api, agent.namespace, name, "train")
    assert away.startswith(f"[the log of pod {agent.namespace}/{name} could not be read: ")
    assert "connection refused" in away


def forgeries(agent: AgentIdentity, real: Object, other: Object) -> dict[str, Object]:
    """Pods that say a result of their own, each with all but one of the marks of a pod of the run.

    `other`: another Job, which has to exist, since the garbage collector removes pods whose owner does not.
    """
    owner = real["metadata"]["ownerReferences"]
    labels = {k: v for k, v in real["metadata"]["labels"].items() if "controller-uid" not in k}
    stranger = [{**owner[0], "name": other["metadata"]["name"], "uid": other["metadata"]["uid"]}]
    uncontrolled = [{**owner[0], "controller": False}]
    run, default = account_of(agent), "default"
    marks: dict[str, tuple[list[Object], str]] = {
        "labels alone": ([], run),
        "the account of another": (owner, default),
        "another Job": (stranger, run),
        "an owner that does not control it": (uncontrolled, run),
    }

    def forged(name: str, owners: list[Object], account: str) -> Object:
        metadata: Object = {"name": name, "namespace": agent.namespace, "labels": labels, "ownerReferences": owners}
        spec = {"serviceAccountName": account, "containers": [{"name": "train", "image": "mine:1"}]}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}

    return {what: forged(f"forged-{n}", *marked) for n, (what, marked) in enumerate(marks.items())}


async def test_no_forged_pod_is_believed(plane: ControlPlane, api: Api, agent: AgentIdentity) -> None:
    admin = plane.admin
    admin.create(job(agent, template(hold=True)))
    real = admin.wait_for(lambda: pods_of(admin, agent), what="the pod of the run")[0]
    ended = {"exitCode": 0, "reason": "Completed", "message": FORGED, "finishedAt": "2030-01-01T00:00:00Z"}
    status = {"phase": "Succeeded", "containerStatuses": [_status("train", terminated=ended)]}
    beside = job(agent, template(hold=True))
    beside["metadata"]["name"] = "beside"
    beside["spec"]["suspend"] = True
    made = forgeries(agent, real, admin.create(beside))
    for pod in made.values():
        admin.create(pod)
        where = {"namespace": agent.namespace, "subresource": "status"}
        admin.patch("v1", "pods", pod["metadata"]["name"], {"status": status}, **where)
    assert len(pods_of(admin, agent)) == len(made) + 1

    child = job_of(admin, agent)
    assert child.job is not None
    seen = await run_pods(api, agent.namespace, child.job, agent_uid=agent.uid)

    assert [pod.name for pod in seen] == [real["metadata"]["name"]]
    assert FORGED not in str(seen)


async def test_a_job_that_somebody_else_made_is_no_run(plane: ControlPlane, api: Api, agent: AgentIdentity) -> None:
    """It has the name, the account and all labels but the one that admission keeps for the operator."""
    planted = job(agent, template(message=FORGED))
    del planted["metadata"]["labels"][meta.LABEL_MANAGED_BY]
    plane.admin.create(planted)

    assert plane.admin.list(JOBS, "jobs", namespace=agent.namespace, labels=selector(ChildKind.JOB)) == []
    store = Store(lambda _: None)
    executor = Executor(api, store, in_flight=1, lease=lambda: 60.0)
    run = Run(runs.RunKind.TRAINING, 2, "train", {})
    failure = await executor.send(agent, create(run_job.desired(agent, run, template())), frozenset())

    assert failure is not None
    assert failure.reason is Reason.NAME_TAKEN
    assert "it is not the operator's: delete or rename it" in failure.message
    assert store.children(agent.uid) == {}


async def test_what_a_pod_waits_for_is_told_as_the_kubelet_tells_it(
    plane: ControlPlane, api: Api, agent: AgentIdentity
) -> None:
    admin = plane.admin
    admin.create(job(agent, template(hold=True, volumes=[{"name": "key", "secret": {"secretName": "key"}}])))
    pod = admin.wait_for(lambda: [p for p in pods_of(admin, agent) if p["spec"].get("nodeName")], what="the pod")[0]
    where = {"namespace": agent.namespace, "subresource": "status"}
    waiting = {"phase": "Pending", "containerStatuses": [_status("train", waiting={"reason": "ContainerCreating"})]}
    admin.patch("v1", "pods", pod["metadata"]["name"], {"status": waiting}, **where)
    about = {"kind": "Pod", "namespace": agent.namespace, "name": pod["metadata"]["name"]}
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "mount", "namespace": agent.namespace},
        "involvedObject": about | {"uid": pod["metadata"]["uid"]},
        "reason": "FailedMount",
        "message": 'MountVolume.SetUp failed for volume "key":\nsecret "key" not found',
        "type": "Warning",
    }
    admin.create(event)

    found = await outcome_of(api, job_of(admin, agent))

    assert isinstance(found, Running)
    assert 'FailedMount: MountVolume.SetUp failed for volume "key": secret "key" not found' in found.problem


async def test_pods_count_only_for_the_job_as_it_was_then(plane: ControlPlane, api: Api, agent: AgentIdentity) -> None:
    """A result that came after the pods were read would be missing in them."""
    admin = plane.admin
    made = template()
    made["spec"]["suspend"] = True
    admin.create(job(agent, made))
    before = job_of(admin, agent)
    read = PodsOfRuns(api)
    await read.read({before.key}, {before.key: before})
    assert read.current({before.key: before}) == {before.key: ()}

    admin.patch(JOBS, "jobs", before.key.name, {"spec": {"suspend": False}}, namespace=agent.namespace)
    after = until_complete(admin, agent)

    assert read.current({after.key: after}) == {}
    await read.read({after.key}, {after.key: after})
    pods = read.current({after.key: after})[after.key]
    assert [(pod.succeeded, pod.message) for pod in pods] == [(True, RESULT)]
    assert read.current({}) == {}
    await read.read({after.key}, {})
    assert read.current({}) == {after.key: ()}


async def test_a_removed_pod_takes_its_result_along(plane: ControlPlane, api: Api, agent: AgentIdentity) -> None:
    admin = plane.admin
    admin.create(job(agent))
    child = until_complete(admin, agent)
    for pod in pods_of(admin, agent):
        admin.delete("v1", "pods", pod["metadata"]["name"], namespace=agent.namespace)
    admin.wait_for(lambda: not pods_of(admin, agent), what="the pod to be gone")

    found = await outcome_of(api, child)

    assert isinstance(found, Failed)
    assert found.reason == RunReason.RESULT_LOST


def _status(name: str, **state: Any) -> Object:
    status = {"name": name, "image": "i", "imageID": "", "ready": False, "restartCount": 0, "state": state}
    return copy.deepcopy(status)
