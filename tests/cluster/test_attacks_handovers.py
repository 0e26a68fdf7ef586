"""What a thief of the operator's token tries with the Job that fills a volume, and an author with claims."""

from typing import Any

import pytest

from aiagent_operator.api import meta, runs
from aiagent_operator.api.succession import Volume
from aiagent_operator.core.children import inheritance
from aiagent_operator.core.children.memory import Intake, Owner
from aiagent_operator.core.objects import AgentIdentity
from support import agents
from support.kube import ApiError, Object
from support.operator import IMAGE
from support.runs import JOBS
from support.tenancy import Office, refused

pytestmark = pytest.mark.cluster

OUTLET = Intake("https://10.1.2.3:8443/v1/inheritance", "PEM", IMAGE, deadline=3600)
DIGEST = f"sha256:{'a' * 64}"
INTO = {"predecessorRef": {"name": "before"}, "volume": {"claimName": "facts"}}


def made(agent: AgentIdentity) -> Object:
    """The Job as the operator makes it."""
    return inheritance.job(agent, Volume(claim_name="facts"), Owner(), OUTLET, DIGEST).manifest


def test_the_operator_makes_and_removes_all_that_a_delivery_needs(office: Office) -> None:
    agent = office.identity()
    for child in (inheritance.account(agent), inheritance.network(agent, OUTLET)):
        office.operator.create(child.manifest)
    job = office.operator.create(made(agent))
    office.operator.delete(JOBS, "jobs", job["metadata"]["name"], namespace=office.namespace, propagation="Background")


CONTAINER = "/spec/template/spec/containers/0"
POD = "/spec/template/spec"
MISUSE: dict[str, tuple[str, Any]] = {
    "another image": (f"{CONTAINER}/image", "registry.example/evil:1"),
    "another command": (f"{CONTAINER}/command", ["sh", "-c", "cat /memory/*"]),
    "the program that packs": (f"{CONTAINER}/command", ["python3", "-m", "aiagent_operator.capture"]),
    "arguments": (f"{CONTAINER}/args", ["-c", "import os"]),
    "a variable that is not the program's": (f"{CONTAINER}/env/-", {"name": "PYTHONPATH", "value": "/memory"}),
    "a variable from a Secret": (
        f"{CONTAINER}/env/-",
        {"name": "WORKFORCE_X", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
    ),
    "a container beside it": (f"{POD}/containers/-", {"name": "b", "image": IMAGE}),
    "one before it": (f"{POD}/initContainers", [{"name": "b", "image": IMAGE}]),
    "a Secret as files": (f"{POD}/volumes/-", {"name": "s", "secret": {"secretName": "s"}}),
    "a second volume": (f"{POD}/volumes/-", {"name": "o", "persistentVolumeClaim": {"claimName": "other"}}),
    "a token of the API server": (
        f"{POD}/volumes/-",
        {"name": "t", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}},
    ),
    "root": (f"{POD}/securityContext/runAsUser", 0),
    "root's group": (f"{POD}/securityContext/fsGroup", 0),
    "more rights": (f"{CONTAINER}/securityContext/allowPrivilegeEscalation", True),
}


@pytest.mark.parametrize("misuse", MISUSE)
def test_nothing_but_the_operators_own_program_writes_to_a_volume(office: Office, misuse: str) -> None:
    path, value = MISUSE[misuse]
    with refused("operator-handovers", "inheritance"):
        office.operator.create(put(made(office.identity()), path, value))


def put(job: Object, path: str, value: Any) -> Object:
    """The Job with this at a path, as in a JSON patch."""
    *folders, leaf = path.strip("/").split("/")
    at: Any = job
    for folder in folders:
        at = at[int(folder)] if isinstance(at, list) else at[folder]
    if leaf == "-":
        at.append(value)
    else:
        at[leaf] = value
    return job


def test_no_other_job_runs_as_what_delivers(office: Office) -> None:
    job = made(office.identity())
    job["metadata"]["labels"][runs.LABEL_RUN] = "training"
    with refused("operator-jobs", "not as aiagent.triage.handover", or_policy="operator-handovers"):
        office.operator.create(job)
    other = made(office.identity())
    put(other, f"{POD}/serviceAccountName", "aiagent.payroll.handover")
    with refused("operator-jobs", "the operator runs this Job as aiagent.triage.handover"):
        office.operator.create(other)
    with pytest.raises(ApiError, match=r"ValidatingAdmissionPolicy 'agent-(runs|labels|pods)\.") as caught:
        office.editor.create(made(office.identity()))
    assert caught.value.status == 403


def test_who_names_a_claim_may_change_it(office: Office) -> None:
    verbs = "create get update"
    allowed = [agents.rule(verbs, "aiagents", group=meta.GROUP), agents.rule(verbs, "deployments", group="apps")]
    author = office.person(*allowed, agents.rule("get", "persistentvolumeclaims", group=""))
    with refused("author-rights", "may not update persistentvolumeclaims"):
        author.create(office.agent(succession=INTO))
    office.person(*allowed, agents.rule("update", "persistentvolumeclaims", group="")).create(
        office.agent(succession=INTO)
    )
