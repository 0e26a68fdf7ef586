"""What the end-to-end tests share: a kind cluster with the built image, and a release of the chart."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from support import archives, chart
from support.kindcluster import KUBECONFIG, NAME, on_node
from support.kube import Kube, Object, wait_for
from support.localcluster.build import binaries

ROOT = Path(__file__).parents[2]
IMAGE = os.environ.get("IMAGE", "aiagent-operator:dev")
SAMPLES = ROOT / "manifests" / "samples"
# Whom the operator asks for what evaluations measure: e2e.monitoring puts it there.
PROMETHEUS = "http://prometheus.monitoring:9090"
# Where the node has the volume of the journals. What a provisioner of host paths makes is root's, despite fsGroup.
ARCHIVE = "/var/local/archive"
VOLUME = chart.volume(storageClassName="archive", hostPath={"path": ARCHIVE, "type": "Directory"})


_measured: list[str] = []


def say(text: str) -> None:
    """For the person who runs it: what was measured, printed at the end."""
    _measured.append(text)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints what was measured."""
    if _measured:
        terminalreporter.section("measured")
    for text in _measured:
        terminalreporter.write_line(text)


@pytest.fixture(scope="session")
def kube() -> Iterator[Kube]:
    """The administrator of the kind cluster that `make kind-up` made."""
    if not KUBECONFIG.exists():
        pytest.fail(f"no kind cluster {NAME}: run `make kind-up` first (or `make e2e`, which does)")
    client = Kube.from_kubeconfig(KUBECONFIG)
    yield client
    client.close()


@pytest.fixture(scope="session")
def helm() -> Callable[..., str]:
    """Runs Helm against the cluster and returns what it prints."""

    def run(*arguments: str) -> str:
        command = [str(chart.helm()), "--kubeconfig", str(KUBECONFIG), "--namespace", chart.NAMESPACE, *arguments]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout}{done.stderr}"
        return done.stdout

    return run


@pytest.fixture(scope="session")
def install(kube: Kube, helm: Callable[..., str]) -> Callable[..., str]:
    """Installs or upgrades the release, with `--wait`."""
    repository, _, tag = IMAGE.rpartition(":")
    on_node("mkdir", "-p", ARCHIVE)
    on_node("chown", "65532:65532", ARCHIVE)
    kube.apply(VOLUME)
    kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": chart.NAMESPACE}})
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "signing", "namespace": chart.NAMESPACE}}
    kube.apply({**secret, "stringData": {"signing.key": archives.pem(archives.ED25519).decode()}})

    def run(*settings: str) -> str:
        return helm(
            "upgrade", "--install", chart.RELEASE, str(chart.CHART), "--create-namespace", "--wait", "--timeout", "3m",
            "--set", f"image.repository={repository}", "--set", f"image.tag={tag}",
            "--set", f"prometheus.addresses={{{PROMETHEUS}}}",
            "--set", "archive.directory.storageClassName=archive", "--set", "archive.signingSecret=signing",
            # A Prometheus that is gone is asked for so long for what an agent that leaves was measured by.
            "--set", "archive.captureDeadline=30",
            *(part for setting in settings for part in ("--set", setting)),
        )  # fmt: skip

    return run


@pytest.fixture(scope="session")
def release(kube: Kube, install: Callable[..., str]) -> None:
    """The release, and the policies in force."""
    install()
    wait_for(lambda: chart.in_force(kube), what=f"the policy {chart.LAST_POLICY} to be in force")


@pytest.fixture(scope="session")
def kubectl() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs kubectl against the cluster."""
    program = str(binaries()["kubectl"])

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, "--kubeconfig", str(KUBECONFIG), *arguments], check=False, capture_output=True, text=True
        )

    return run


# Asks the API server from inside a pod, with nothing but what the pod has: address, CA and token where clients look.
_ASK = """
import json, os, ssl, sys, urllib.error, urllib.request
base = "/var/run/secrets/kubernetes.io/serviceaccount/"
host = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
method, path, body, token = sys.argv[1:5]
request = urllib.request.Request("https://%s:%s%s" % (*host, path), method=method, data=body.encode() or None)
request.add_header("Authorization", "Bearer " + (token or open(base + "token").read()))
request.add_header("Content-Type", "application/json")
try:
    answer = urllib.request.urlopen(request, context=ssl.create_default_context(cafile=base + "ca.crt"), timeout=10)
    print(json.dumps([answer.status, answer.read().decode()]))
except urllib.error.HTTPError as error:
    print(json.dumps([error.code, error.read().decode()]))
"""


@pytest.fixture(scope="session")
def inside(kubectl: Callable[..., subprocess.CompletedProcess[str]]) -> Callable[..., tuple[int, str]]:
    """Calls the API from inside a pod; gives the HTTP status and the body."""

    def ask(pod: Object, method: str, path: str, body: Any = None, token: str = "") -> tuple[int, str]:
        metadata = pod["metadata"]
        text = json.dumps(body) if body is not None else ""
        done = kubectl(
            "exec",
            "-n",
            metadata["namespace"],
            metadata["name"],
            "--",
            "python3",
            "-c",
            _ASK,
            method,
            path,
            text,
            token,
        )
        assert done.returncode == 0, f"exec in {metadata['name']}: {done.stdout}{done.stderr}"
        code, answer = json.loads(done.stdout.strip().splitlines()[-1])
        return code, answer

    return ask


@pytest.fixture(scope="session")
def samples(kube: Kube, release: None) -> list[Object]:
    """The samples as they are in the repository, but for the image, which a cluster without registries must have."""
    documents = [
        document
        for file in sorted(SAMPLES.glob("*.yaml"))
        for document in yaml.safe_load_all(file.read_text())
        if document
    ]
    for document in documents:
        if document["kind"] == "AIAgent" and "template" in document["spec"]["workload"]:
            for container in document["spec"]["workload"]["template"]["spec"]["containers"]:
                container |= {"image": IMAGE, "command": ["python3", "-c", "import time; time.sleep(86400)"]}
        kube.apply(document, force=True)
    return [document for document in documents if document["kind"] == "AIAgent"]


def agent(kube: Kube, namespace: str, name: str) -> Object:
    """The AIAgent as it is now."""
    return kube.get("workforce.dev/v1alpha1", "aiagents", name, namespace=namespace)


def condition(found: Object, kind: str) -> Object:
    """One condition of an object; empty where it has none of the type."""
    conditions = (found.get("status") or {}).get("conditions") or []
    return next((entry for entry in conditions if entry["type"] == kind), {})


def is_ready(pod: Object) -> bool:
    """Whether a pod takes requests."""
    return condition(pod, "Ready").get("status") == "True"


def wait_ready(
    kube: Kube, namespace: str, name: str, *, status: str = "True", reason: str = "", timeout: float = 120
) -> Object:
    """Waits until the agent's Ready condition is as given."""

    def is_so(found: Object) -> bool:
        ready = condition(found, "Ready")
        return ready.get("status") == status and (not reason or ready.get("reason") == reason)

    return kube.wait_object(
        "workforce.dev/v1alpha1", "aiagents", name, is_so,
        what=f"AIAgent {namespace}/{name} to have Ready={status} {reason}", namespace=namespace, timeout=timeout,
    )  # fmt: skip


def running_pod(kube: Kube, found: Object) -> Object:
    """A running pod of the agent."""
    metadata = found["metadata"]

    def probe() -> Object | None:
        pods = kube.list(
            "v1", "pods", namespace=metadata["namespace"], labels=f"workforce.dev/agent-uid={metadata['uid']}"
        )
        alive = [p for p in pods if p["status"].get("phase") == "Running" and "deletionTimestamp" not in p["metadata"]]
        return alive[0] if alive else None

    pod = wait_for(probe, what=f"a running pod of AIAgent {metadata['namespace']}/{metadata['name']}", timeout=120)
    assert pod is not None
    return pod
