"""On kind: an agent with a memory of a gibibyte leaves, and what it remembered is in its archive, byte for byte.

Once in the directory that the chart makes, once in a bucket of a real S3-compatible store.
"""

import base64
import hashlib
import json
import subprocess
import tarfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from aiagent_operator.api.archive import Encryption
from aiagent_operator.core.archive import archivekey, layout, payload
from e2e import objectstore
from e2e.conftest import ARCHIVE, IMAGE, agent, condition, say, wait_ready
from e2e.test_install import GRANTABLE, NAMESPACE, ROLE, SLEEP, clerk
from support import chart
from support.kindcluster import NAME, on_node
from support.kube import Kube, Object, wait_for

# On the node, as a volume of the cluster; its files are the agent's alone.
MEMORY = "/var/local/e2e-memory"
MEBIBYTES = 1024
WHOSE = 65532
POLL_SECONDS = 0.5


@pytest.fixture(scope="module", autouse=True)
def ground(kube: Kube, release: None) -> Iterator[None]:
    """A namespace, a role, and a volume with much in it."""
    kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    for obj in (GRANTABLE, ROLE):
        kube.apply(obj, force=True)
    on_node("sh", "-c", f"mkdir -p {MEMORY}/cases && echo 'Ada prefers mail' > {MEMORY}/cases/4711")
    on_node("dd", "if=/dev/urandom", f"of={MEMORY}/index", "bs=1M", f"count={MEBIBYTES}", "status=none")
    on_node("sh", "-c", f"chown -R {WHOSE}:{WHOSE} {MEMORY} && chmod 600 {MEMORY}/index")
    spec: Object = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "e2e-memory",
        "capacity": {"storage": "2Gi"},
    }
    where = {"hostPath": {"path": MEMORY, "type": "Directory"}, "persistentVolumeReclaimPolicy": "Retain"}
    kube.apply(
        {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "e2e-memory"}, "spec": spec | where}
    )
    claim = {
        "accessModes": spec["accessModes"],
        "storageClassName": "e2e-memory",
        "resources": {"requests": {"storage": "2Gi"}},
    }
    kube.apply(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "memory", "namespace": NAMESPACE},
            "spec": claim,
        }
    )
    yield
    on_node("rm", "-rf", MEMORY)


@pytest.fixture(params=["local", objectstore.STORE])
def store(kube: Kube, install: Callable[..., str], tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of a store for the agents of the test, and of what it is made."""
    if request.param == "local":
        yield "local"
        return
    settings: Sequence[str] = objectstore.install(kube, IMAGE, tmp_path / "authority")
    policy: Object = {
        "apiVersion": "workforce.dev/v1alpha1",
        "kind": "AgentPolicy",
        "metadata": {"name": "e2e-vault"},
        "spec": {
            "description": "Agents labelled so are archived in the bucket.",
            "selector": {"agentSelector": {"matchLabels": {"store": objectstore.STORE}}},
            "archive": {"store": objectstore.STORE},
        },
    }
    install(*settings)
    kube.apply(policy)
    yield objectstore.STORE
    kube.delete("workforce.dev/v1alpha1", "agentpolicies", "e2e-vault")
    install()
    objectstore.remove(kube)


# Where the node has the files of each store.
FILES = {"local": ARCHIVE, objectstore.STORE: f"{objectstore.DATA}/data/{objectstore.BUCKET}/{objectstore.PREFIX}"}


def remembering(name: str) -> Object:
    """An agent that works on the volume, and has it archived."""
    made = clerk(name, retirement={"memory": {"claimName": "memory"}})
    pods = made["spec"]["workload"]["template"]["spec"]
    pods["securityContext"] = {"runAsUser": WHOSE, "runAsNonRoot": True}
    pods["volumes"] = [{"name": "memory", "persistentVolumeClaim": {"claimName": "memory"}}]
    pods["containers"][0] |= {
        "command": ["python3", "-c", f"print(open('/memory/cases/4711').read(), flush=True); {SLEEP}"],
        "volumeMounts": [{"name": "memory", "mountPath": "/memory"}],
    }
    return made


@contextmanager
def resident(kube: Kube) -> Iterator[Callable[[], int]]:
    """Meanwhile it is looked how much memory the operator takes; what is yielded says the most so far, in MiB."""
    most, over = [0], threading.Event()

    def look() -> None:
        while not over.wait(POLL_SECONDS):
            for pod in kube.list("v1", "pods", namespace=chart.NAMESPACE):
                text = kube.raw(
                    "GET", f"/api/v1/namespaces/{chart.NAMESPACE}/pods/{pod['metadata']['name']}:8080/proxy/metrics"
                )
                found = (line for line in text.splitlines() if line.startswith("process_resident_memory_bytes "))
                most[0] = max(most[0], *(int(float(line.split()[1])) // 2**20 for line in found))

    with ThreadPoolExecutor(1) as pool:
        looking = pool.submit(look)
        try:
            yield lambda: most[0]
        finally:
            over.set()
        looking.result()


def from_node(path: str) -> Iterator[bytes]:
    """A file of the node, piece by piece."""
    command = ["docker", "exec", f"{NAME}-control-plane", "cat", path]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        while piece := process.stdout.read(2**20):
            yield piece
    assert process.returncode == 0, path


def test_its_memory_is_in_its_archive_and_the_operators_own_does_not_grow(
    kube: Kube, store: str, tmp_path: Path
) -> None:
    name = f"elder-{store}"
    made = remembering(name)
    made["metadata"]["labels"] = {"store": store}
    kube.apply(made)
    uid = wait_ready(kube, NAMESPACE, name)["metadata"]["uid"]
    with resident(kube) as most:
        wait_for(most, what="the operator's metrics")
        before = most()
        order: Object = {
            "apiVersion": "workforce.dev/v1alpha1",
            "kind": "AgentAction",
            "metadata": {"name": f"{name}-leaves", "namespace": NAMESPACE},
            "spec": {
                "action": "Offboard",
                "agentRef": {"name": name},
                "offboarding": {"reason": "Replaced"},
                "requestedBy": kube.whoami(),
                "reason": "Another one has taken over",
            },
        }
        kube.create(order)
        wait_for(
            lambda: agent(kube, NAMESPACE, name)["status"].get("phase") == "Retired",
            what="the agent to have left",
            timeout=300,
            state=lambda: agent(kube, NAMESPACE, name)["status"],
        )
        grown = most() - before
    (record,) = [
        found for found in kube.list("workforce.dev/v1alpha1", "agentarchives") if found["spec"]["agent"]["uid"] == uid
    ]
    assert condition(record, "Certified")["status"] == "True", record
    assert record["spec"]["store"] == store
    folder = f"{FILES[store]}/{record['spec']['path']}"
    manifest = json.loads(on_node("cat", f"{folder}/{layout.MANIFEST}"))
    assert manifest["notCaptured"] == []
    (item,) = [each for each in manifest["items"] if layout.item(each["path"]) == layout.MEMORY]
    assert item["size"] > MEBIBYTES * 2**20
    took = f"the operator took {before} MiB before, and at most {grown} MiB more"
    say(f"a memory of {MEBIBYTES} MiB archived in {store}: {took}")
    # It would be as much as the volume, were it held in memory anywhere.
    assert grown < MEBIBYTES // 4

    secret = kube.get("v1", "secrets", f"{archivekey.PREFIX}{record['metadata']['name']}", namespace=chart.NAMESPACE)
    identity = base64.b64decode(secret["data"][archivekey.FIELD]).decode()
    clear = tmp_path / "memory.tar"
    with clear.open("wb") as target:
        how = Encryption.model_validate(item["encrypted"])
        payload.decrypt(from_node(f"{folder}/{item['path']}"), target.write, identity, how)
    wanted = on_node("sha256sum", f"{MEMORY}/index").split()[0]
    found = {}
    with tarfile.open(clear) as tar:
        for member in tar:
            if (content := tar.extractfile(member)) is not None:
                found[member.name.rpartition("memory/")[2]] = hashlib.file_digest(content, "sha256").hexdigest()
    assert found["index"] == wanted
    assert found["cases/4711"] == hashlib.sha256(b"Ada prefers mail\n").hexdigest()
    # Who is Retired stays until its author deletes it; the order and the agent go with the store they are in.
    kube.delete("workforce.dev/v1alpha1", "aiagents", name, namespace=NAMESPACE)
    kube.wait_gone("workforce.dev/v1alpha1", "aiagents", name, namespace=NAMESPACE)
