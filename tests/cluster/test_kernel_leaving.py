"""The way out by hand that docs/security.md gives for when the operator is gone, command by command."""

import shlex
import subprocess

import pytest

from aiagent_operator.api import meta
from support.cluster import Cluster
from support.documents import ROOT, blocks
from support.localcluster import ControlPlane
from support.tenancy import APPS, RBAC, Office

pytestmark = pytest.mark.cluster

SECURITY = ROOT / "docs" / "security.md"


def commands(namespace: str) -> list[list[str]]:
    """The commands of the page's only block, for an agent of this namespace."""
    (block,) = blocks(SECURITY, "console")
    lines = [line.removeprefix("$ ") for line in block.text.splitlines()]
    words = [shlex.split(line.replace("support", namespace)) for line in lines]
    assert all(line[0] == "kubectl" for line in words)
    return [line[1:] for line in words]


def test_an_agent_is_taken_down_by_hand_when_the_operator_is_gone(kernel: Cluster, office: Office) -> None:
    assert isinstance(kernel, ControlPlane)
    where = {"namespace": office.namespace}
    live = office.editor.create(office.agent())
    agent = office.identity()
    agent = type(agent)(agent.namespace, agent.name, live["metadata"]["uid"])
    held = {"metadata": {"finalizers": [meta.FINALIZER]}}
    office.operator.patch(meta.API_VERSION, "aiagents", "triage", held, **where)
    hold = office.obj(meta.API_VERSION, "AgentAction", "case-4711")
    agreed = {"action": "Hold", "agentRef": {"name": "triage"}, "ground": "LegalClaims", "reason": "Case 4711"}
    office.admin.create(hold | {"spec": agreed | {"requestedBy": office.admin.whoami()}})
    held = {"metadata": {"finalizers": [meta.HOLD_FINALIZER]}}
    office.operator.patch(meta.API_VERSION, "agentactions", "case-4711", held, **where)
    office.employ(agent)
    office.run(agent)
    office.editor.create(office.deployment("bystander"))
    for command in commands(office.namespace):
        done = subprocess.run(
            [str(kernel.kubectl), "--kubeconfig", str(kernel.kubeconfig), *command],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, f"{command}\n{done.stderr}"
    for api_version, kind, name in (
        (meta.API_VERSION, "AIAgent", "triage"),
        (meta.API_VERSION, "AgentAction", "case-4711"),
        (RBAC, "RoleBinding", "aiagent.triage"),
        (RBAC, "Role", "aiagent.triage"),
        ("v1", "ServiceAccount", "aiagent.triage"),
        (APPS, "Deployment", "triage-1"),
    ):
        office.admin.wait_gone(api_version, kind, name, **where)
    assert office.admin.get(APPS, "deployments", "bystander", **where)
