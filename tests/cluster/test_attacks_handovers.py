"""What a thief of the operator's token tries with the Job that fills a volume, and an author with claims."""

from typing import Any

import pytest

from aiagent_operator.api import meta, runs
from aiagent_operator.api.succession import Volume
from aiagent_operator.core.children import inheritance
from aiagent_operator.core.children.memory import Intake, Owner
from aiagent_operator.core.objects import AgentIdentity
from support import agents, volumejobs
from support.kube import ApiError, Object
from support.operator import IMAGE
from support.runs import JOBS
from support.tenancy import Office, refused
from support.volumejobs import CONTAINER, POD, put

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


MISUSE: dict[str, tuple[str, Any]] = {
    **volumejobs.MISUSE,
    "the program that packs": (f"{CONTAINER}/command", ["python3", "-m", "aiagent_operator.capture"]),
    "a second volume": (f"{POD}/volumes/-", {"name": "o", "persistentVolumeClaim": {"claimName": "other"}}),
    "root's group": (f"{POD}/securityContext/fsGroup", 0),
}


@pytest.mark.parametrize("misuse", MISUSE)
def test_nothing_but_the_operators_own_program_writes_to_a_volume(office: Office, misuse: str) -> None:
    path, value = MISUSE[misuse]
    with refused("operator-handovers", "inheritance"):
        office.operator.create(put(made(office.identity()), path, value))


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
