"""The commands of docs/install.md, as they stand there, on a control plane of their own: they end with nothing left."""

import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from aiagent_operator.api import meta
from aiagent_operator.api.kinds import KINDS
from support import agents, chart, finalizer
from support.documents import ROOT, blocks, objects
from support.kube import ApiError, Kube, wait_for
from support.localcluster import ControlPlane
from support.operator import OperatorProcess

# One worker: another would need a control plane too.
pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("docs of the installation")]

INSTALL = ROOT / "docs" / "install.md"
README = ROOT / "README.md"
POLICIES = "admissionregistration.k8s.io/v1"
CRDS = tuple(f"{kind.plural}.{meta.GROUP}" for kind in KINDS)


class Shell:
    """Runs helm and kubectl as an administrator would, from the repository's root."""

    def __init__(self, plane: ControlPlane) -> None:
        self._programs = {"helm": str(chart.helm()), "kubectl": str(plane.kubectl)}
        self._env = {**os.environ, "KUBECONFIG": str(plane.kubeconfig)}

    def run(self, command: str, *, folder: Path = ROOT) -> str:
        """What it prints; fails with its own words where it fails."""
        program, *arguments = shlex.split(command)
        done = subprocess.run(
            [self._programs[program], *arguments],
            cwd=folder,
            env=self._env,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    """Not the shared one: the last command leaves no kind and no policy of ours."""
    with ControlPlane() as plane:
        yield plane
        plane.check()


def commands(path: Path, beginning: str) -> list[str]:
    """The commands of the block whose first command begins so."""
    for block in blocks(path, "console"):
        lines = block.text.replace("\\\n", " ").splitlines()
        found = [" ".join(line.removeprefix("$ ").split()) for line in lines]
        if found[0].startswith(beginning):
            return found
    raise AssertionError(f"{path.name} has no block of commands that begins with {beginning}")


def policies(admin: Kube) -> set[str]:
    kinds = ("validatingadmissionpolicies", "validatingadmissionpolicybindings")
    return {obj["metadata"]["name"] for kind in kinds for obj in admin.list(POLICIES, kind)}


@pytest.mark.timeout(600)
def test_helm_installs_and_leaves_what_the_page_says(plane: ControlPlane, tmp_path: Path) -> None:
    shell, admin = Shell(plane), plane.admin
    admin.create(chart.volume())
    (install,) = commands(INSTALL, "helm install")
    assert [install] == commands(README, "helm install")
    shell.run(install)
    before = policies(admin)
    assert before

    kubeconfig = plane.kubeconfig_for_serviceaccount(chart.NAMESPACE, chart.ACCOUNT)
    dismiss, uninstall, *rest = commands(INSTALL, "kubectl delete aiagents")
    with OperatorProcess(kubeconfig, admin=admin, folder=tmp_path):
        admin.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "first-agents"}})
        # As `helm install --wait` does, until the pods run: so long mutating policies do not know a new kind's schema.
        wait_for(lambda: finalizer.born_with_it(admin, "first-agents"), what="agents to be born with the finalizer")
        for document in (document for block in blocks(README, "yaml") for document in objects(block)):
            admin.apply(document)
        account = ("v1", "serviceaccounts", "aiagent.helper")
        admin.wait_object(*account, bool, what="the agent's account", namespace="first-agents")
        what = "the agent to be at work"
        admin.wait_object(agents.API, "aiagents", "helper", _at_work, what=what, namespace="first-agents")
        shell.run(dismiss)
        assert admin.find(*account, namespace="first-agents") is None

    shell.run(uninstall)
    assert admin.find("apps/v1", "deployments", "aiagent-operator", namespace=chart.NAMESPACE) is None
    assert admin.get("v1", "persistentvolumeclaims", "aiagent-operator-archive", namespace=chart.NAMESPACE)
    assert policies(admin) == before
    for name in CRDS:
        with pytest.raises(ApiError, match=r"workforce\.dev/allow-deletion"):
            admin.delete("apiextensions.k8s.io/v1", "customresourcedefinitions", name)

    for command in rest:
        shell.run(command)
    assert not policies(admin)
    left = {crd["metadata"]["name"] for crd in admin.list("apiextensions.k8s.io/v1", "customresourcedefinitions")}
    assert not left & set(CRDS)


def _at_work(agent: dict[str, object]) -> bool:
    work = agents.condition(agent, "WorkloadReady")
    return bool(work and work["status"] == "True")


def test_kustomize_sets_the_image_of_the_plain_manifest(plane: ControlPlane, tmp_path: Path) -> None:
    (kustomization,) = (
        block
        for block in blocks(INSTALL, "yaml")
        if objects(block)[0].get("kind") == "Kustomization" and "images" in block.text
    )
    (tmp_path / "kustomization.yaml").write_text(kustomization.text)
    shutil.copy(ROOT / "manifests" / "install.yaml", tmp_path)
    made = list(yaml.safe_load_all(Shell(plane).run("kubectl kustomize .", folder=tmp_path)))
    (deployment,) = (obj for obj in made if obj["kind"] == "Deployment")
    image = deployment["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image == "registry.example/aiagent-operator:0.1.0"
