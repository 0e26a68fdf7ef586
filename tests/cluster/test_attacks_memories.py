"""What a thief of the operator's token tries with the Jobs that archive a memory and a decision log, and an author with
claims."""

from typing import Any

import pytest

from aiagent_operator.api import meta, runs
from aiagent_operator.api.memory import LogVolume, Memory
from aiagent_operator.core.children import memory
from aiagent_operator.core.children.memory import Intake, Owner
from aiagent_operator.core.objects import AgentIdentity
from support import agents, memories, volumejobs
from support.kube import ApiError, Object
from support.memories import CLAIM
from support.operator import IMAGE
from support.runs import JOBS
from support.tenancy import Office, refused
from support.volumejobs import CONTAINER, POD, put

pytestmark = pytest.mark.cluster

INTAKE = Intake("https://10.1.2.3:8443/v1/memory", "PEM", IMAGE, "age1x", 3600)


VOLUMES = {"memory": Memory(claim_name=CLAIM), "decisions": LogVolume(claim_name=CLAIM, path=memories.FOLDER)}


def made(agent: AgentIdentity, what: str = "memory") -> Object:
    """The Job as the operator makes it."""
    return memory.job(agent, VOLUMES[what], Owner(), INTAKE).manifest


@pytest.mark.parametrize("what", VOLUMES)
def test_the_operator_makes_and_removes_all_that_a_volume_needs(office: Office, what: str) -> None:
    agent = office.identity()
    for child in (memory.account(agent), memory.network(agent, INTAKE)):
        office.operator.create(child.manifest)
    job = office.operator.create(made(agent, what))
    office.operator.delete(JOBS, "jobs", job["metadata"]["name"], namespace=office.namespace, propagation="Background")


MISUSE: dict[str, tuple[str, Any]] = {
    **volumejobs.MISUSE,
    "all of a Secret's": (f"{CONTAINER}/envFrom", [{"secretRef": {"name": "s"}}]),
    "a hook": (f"{CONTAINER}/lifecycle", {"preStop": {"exec": {"command": ["sh"]}}}),
    "a volume to write to": (f"{CONTAINER}/volumeMounts/0/readOnly", False),
    "root in the container": (f"{CONTAINER}/securityContext/runAsUser", 0),
    "a group for all files": (f"{POD}/securityContext/fsGroup", 1),
}


@pytest.mark.parametrize("misuse", MISUSE)
def test_nothing_but_the_operators_own_program_reads_a_volume(office: Office, misuse: str) -> None:
    path, value = MISUSE[misuse]
    with refused("operator-memories", "memory"):
        office.operator.create(put(made(office.identity()), path, value))


@pytest.mark.parametrize("misuse", ["another image", "a Secret as files", "a volume to write to", "root"])
def test_nor_does_another_read_a_decision_log(office: Office, misuse: str) -> None:
    path, value = MISUSE[misuse]
    with refused("operator-memories", "memory or decision log"):
        office.operator.create(put(made(office.identity(), "decisions"), path, value))


@pytest.mark.parametrize("what", VOLUMES)
def test_no_other_job_runs_as_what_reads_volumes(office: Office, what: str) -> None:
    job = made(office.identity(), what)
    job["metadata"]["labels"][runs.LABEL_RUN] = "training"
    with refused("operator-jobs", "not as aiagent.triage.memory", or_policy="operator-memories"):
        office.operator.create(job)
    other = made(office.identity(), what)
    put(other, f"{POD}/serviceAccountName", "aiagent.payroll.memory")
    with refused("operator-jobs", "the operator runs this Job as aiagent.triage.memory"):
        office.operator.create(other)
    # Several policies refuse this one, and the API server gives the words of any.
    with pytest.raises(ApiError, match=r"ValidatingAdmissionPolicy 'agent-(runs|labels|pods)\.") as caught:
        office.editor.create(made(office.identity(), what))
    assert caught.value.status == 403


@pytest.mark.parametrize("names", [memories.MEMORY, memories.LOG], ids=VOLUMES)
def test_who_names_a_claim_may_read_it(office: Office, names: Object) -> None:
    verbs = "create get update"
    allowed = [agents.rule(verbs, "aiagents", group=meta.GROUP), agents.rule(verbs, "deployments", group="apps")]
    author = office.person(*allowed)
    with refused("author-rights", "may not get persistentvolumeclaims"):
        author.create(office.agent(retirement=names))
    office.person(*allowed, agents.rule("get", "persistentvolumeclaims", group="")).create(
        office.agent(retirement=names)
    )
