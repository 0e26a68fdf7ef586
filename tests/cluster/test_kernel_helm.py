"""The chart under real Helm: what an installation makes, what an upgrade changes, and what stays when it is gone."""

import json
import os
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from aiagent_operator.api import meta
from support import chart, finalizer
from support.kube import ApiError, Kube, Object, wait_for
from support.localcluster import ControlPlane
from support.tenancy import RBAC

# One worker: another would need a control plane too.
pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("real Helm")]

ADMISSION = "admissionregistration.k8s.io/v1"
ROLE: Object = {
    "apiVersion": meta.API_VERSION,
    "kind": "AgentRole",
    "metadata": {"name": "support"},
    "spec": {"description": "First-line support", "lifecycle": {"state": "Approved"}},
}


@pytest.fixture(scope="module")
def empty_plane() -> Iterator[ControlPlane]:
    """A control plane that nothing is installed in."""
    with ControlPlane() as plane:
        yield plane
        plane.check()


def helm(plane: ControlPlane, *arguments: str, values: chart.Values | None = None) -> str:
    """Helm at that control plane, in the chart's usual namespace."""
    command = [str(chart.helm()), *arguments, "--namespace", chart.NAMESPACE]
    if values is not None:
        command += ["--values", "-"]
    env = {**os.environ, "KUBECONFIG": str(plane.kubeconfig)}
    done = subprocess.run(
        command, input=json.dumps(values or {}), capture_output=True, text=True, check=False, env=env, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def install(plane: ControlPlane, values: chart.Values) -> str:
    """Install or upgrade, without waiting for pods that have no image here."""
    command = ["upgrade", "--install", chart.RELEASE, str(chart.CHART), "--create-namespace"]
    return helm(plane, *command, values=values)


def probe(admin: Kube) -> Any:
    """Truthy once the policies refuse the account of an agent that is not there."""
    try:
        admin.create(
            {
                "apiVersion": "v1",
                "kind": "ServiceAccount",
                "metadata": {"name": "aiagent.probe", "namespace": "default"},
            },
            dry_run=True,
        )
    except ApiError as error:
        return "agent-accounts.workforce.dev" in error.message
    return False


def test_agents_rights_outlive_an_upgrade_an_uninstall_and_a_return(empty_plane: ControlPlane) -> None:
    plane, admin = empty_plane, empty_plane.admin
    notes = install(plane, {"replicas": 1})
    assert "On `helm uninstall` these stay" in notes
    wait_for(lambda: probe(admin), what="the policies to be in force")
    admin.create(ROLE)
    where = {"namespace": chart.NAMESPACE}
    assert admin.get("apps/v1", "deployments", "aiagent-operator", **where)["spec"]["replicas"] == 1

    assert admin.get(ADMISSION, "mutatingadmissionpolicies", finalizer.POLICY)

    admin.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team-a"}})
    install(plane, {"replicas": 2, "watchNamespaces": ["team-a"]})
    assert admin.get("apps/v1", "deployments", "aiagent-operator", **where)["spec"]["replicas"] == 2
    assert admin.find(RBAC, "clusterrolebindings", "aiagent-operator-namespaced") is None

    def may_write(namespace: str) -> bool:
        return admin.allowed(chart.USERNAME, "create", "serviceaccounts", groups=chart.GROUPS, namespace=namespace)

    wait_for(lambda: may_write("team-a"), what="the operator to hold its rights in team-a")
    wait_for(lambda: not may_write("default"), what="the operator to have lost its rights elsewhere")

    helm(plane, "uninstall", chart.RELEASE)
    assert admin.find("apps/v1", "deployments", "aiagent-operator", **where) is None
    assert admin.find(RBAC, "clusterroles", "aiagent-operator") is None
    journals = admin.get("v1", "persistentvolumeclaims", "aiagent-operator-archive", **where)
    assert admin.get(meta.API_VERSION, "agentroles", "support")
    kept = {o["metadata"]["name"] for o in admin.list(ADMISSION, "validatingadmissionpolicies")}
    assert kept >= {o["metadata"]["name"] for o in chart.render() if o["kind"] == "ValidatingAdmissionPolicy"}
    assert probe(admin)
    assert admin.list(ADMISSION, "mutatingadmissionpolicies") == [], "without an operator nobody would release an agent"

    install(plane, {})
    claim = admin.get("v1", "persistentvolumeclaims", "aiagent-operator-archive", **where)
    assert claim["metadata"]["uid"] == journals["metadata"]["uid"]
    assert admin.get(RBAC, "clusterrolebindings", "aiagent-operator-namespaced")
    assert admin.get(meta.API_VERSION, "agentroles", "support")


def test_replicas_that_are_anywhere_come_together_where_their_volume_is(empty_plane: ControlPlane) -> None:
    """Also while pods of before, which mount none, are on several nodes still. A drain may take all of them."""
    plane, admin = empty_plane, empty_plane.admin
    where = {"namespace": chart.NAMESPACE}
    admin.create(chart.volume())

    def together(replicas: int, *, on: int, volumes: bool) -> bool:
        pods = [pod["spec"] for pod in admin.list("v1", "pods", **where)]
        mounts = [any("persistentVolumeClaim" in volume for volume in pod["volumes"]) for pod in pods]
        nodes = [pod.get("nodeName") for pod in pods]
        return mounts == replicas * [volumes] and all(nodes) and len(set(nodes)) == on

    # The scheduler may put several on one node: each node is closed as soon as it has one.
    install(plane, {**chart.VARIANTS["a bucket alone"], "replicas": 1})
    for replicas in (1, 2, 3):
        admin.patch("apps/v1", "deployments", chart.RELEASE, {"spec": {"replicas": replicas}}, **where)
        wait_for(lambda n=replicas: together(n, on=n, volumes=False), what=f"{replicas} replicas on as many nodes")
        for pod in admin.list("v1", "pods", **where):
            admin.patch("v1", "nodes", pod["spec"]["nodeName"], {"spec": {"unschedulable": True}})
    for node in admin.list("v1", "nodes"):
        admin.patch("v1", "nodes", node["metadata"]["name"], {"spec": {"unschedulable": None}})
    install(plane, {"replicas": 3})
    wait_for(lambda: together(3, on=1, volumes=True), what="three replicas on the node with the volume")
    for pod in admin.list("v1", "pods", **where):
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod["metadata"]["name"], **where}}
        admin.raw("POST", f"/api/v1/namespaces/{chart.NAMESPACE}/pods/{pod['metadata']['name']}/eviction", body)
    helm(plane, "uninstall", chart.RELEASE)


def test_the_plain_manifest_applies_with_kubectl(empty_plane: ControlPlane) -> None:
    """In whatever order kubectl sends it: the namespace first, and nothing refused by a policy that came before."""
    command = [str(empty_plane.kubectl), "--kubeconfig", str(empty_plane.kubeconfig), "apply", "--server-side"]
    done = subprocess.run(
        [*command, "--force-conflicts", "-f", str(chart.MANIFEST)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
