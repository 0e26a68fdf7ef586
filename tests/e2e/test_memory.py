"""On kind: an agent with a memory of a gibibyte leaves: it is in its archive, byte for byte, and with its successor.

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
from e2e.conftest import ARCHIVE, IMAGE, agent, condition, running_pod, say, wait_ready
from e2e.test_install import GRANTABLE, NAMESPACE, ROLE, SLEEP, clerk, maps
from support import chart
from support.kindcluster import NAME, on_node
from support.kube import Kube, Object, wait_for

# On the node, as a volume of the cluster; its files are the agent's alone.
MEMORY = "/var/local/e2e-memory"
MEBIBYTES = 1024
WHOSE = 65532
POLL_SECONDS = 0.5


def volume(kube: Kube, name: str, path: str) -> None:
    """A claim of this name, of a folder of the node."""
    kind = f"e2e-{name}"
    common: Object = {"accessModes": ["ReadWriteOnce"], "storageClassName": kind}
    where = {"hostPath": {"path": path, "type": "Directory"}, "persistentVolumeReclaimPolicy": "Retain"}
    wanted = common | {"resources": {"requests": {"storage": "2Gi"}}}
    for obj in (
        {
            "kind": "PersistentVolume",
            "metadata": {"name": kind},
            "spec": {"capacity": {"storage": "2Gi"}, **common, **where},
        },
        {"kind": "PersistentVolumeClaim", "metadata": {"name": name, "namespace": NAMESPACE}, "spec": wanted},
    ):
        kube.apply({"apiVersion": "v1", **obj})


@pytest.fixture(scope="module", autouse=True)
def ground(kube: Kube, release: None) -> Iterator[None]:
    """A namespace, a role, and a volume with much in it."""
    kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    for obj in (GRANTABLE, ROLE):
        kube.apply(obj, force=True)
    on_node("sh", "-c", f"mkdir -p {MEMORY}/cases && echo 'Ada prefers mail' > {MEMORY}/cases/4711")
    on_node("dd", "if=/dev/urandom", f"of={MEMORY}/index", "bs=1M", f"count={MEBIBYTES}", "status=none")
    on_node("sh", "-c", f"chown -R {WHOSE}:{WHOSE} {MEMORY} && chmod 600 {MEMORY}/index")
    volume(kube, "memory", MEMORY)
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


# What has to be where an agent works, or it does not.
READ = "print(open('/memory/{}cases/4711').read(), flush=True); "
JUDGE = """
import hashlib, json
known = open("/memory/inherited/memory/cases/4711").read() == "Ada prefers mail\\n"
told = [json.loads(line)["type"] for line in open("/memory/inherited/bundle/journal.jsonl")]
right = known and told[0].endswith(".Created") and told[-1].endswith(".Terminated")
print(json.dumps({"measurements": [{"name": "answers-right", "value": "1" if right else "0"}]}),
      file=open("/dev/termination-log", "w"))
"""


def working(made: Object, claim: str, below: str = "") -> Object:
    """Has its pods read what is in the volume, and work on."""
    pods = made["spec"]["workload"]["template"]["spec"]
    pods |= on_volume(claim)
    pods["containers"][0] |= {
        "command": ["python3", "-c", READ.format(below) + SLEEP],
        "volumeMounts": [{"name": "memory", "mountPath": "/memory"}],
    }
    return made


def on_volume(claim: str) -> Object:
    """For the spec of a pod."""
    return {
        "securityContext": {"runAsUser": WHOSE, "runAsNonRoot": True},
        "volumes": [{"name": "memory", "persistentVolumeClaim": {"claimName": claim}}],
    }


def elder(name: str, heir: str) -> Object:
    """An agent that works on the volume, has it archived, and a folder of it as what it has decided, and names its
    successor."""
    log = {"volume": {"claimName": "memory", "path": "cases"}}
    retirement = {"memory": {"claimName": "memory"}, "decisionLog": log, "successorRef": {"name": heir}}
    return working(clerk(name, retirement=retirement), "memory")


def successor(name: str, before: str) -> Object:
    """Who comes after it, with a volume of its own, and is measured on what is in there then."""
    mounts = [{"name": "memory", "mountPath": "/memory", "readOnly": True}]
    measures = {"name": "measure", "image": IMAGE, "command": ["python3", "-c", JUDGE], "volumeMounts": mounts}
    job = {"spec": {"template": {"spec": {"containers": [measures], **on_volume(name)}}}}
    handover = {"name": "handover", "job": job, "metrics": [{"name": "answers-right", "min": "1"}]}
    made = clerk(
        name,
        succession={"predecessorRef": {"name": before}, "volume": {"claimName": name}},
        retraining={"evaluations": [handover]},
    )
    return working(made, name, "inherited/memory/")


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


@pytest.mark.timeout(900)
def test_its_memory_is_in_its_archive_and_the_operators_own_does_not_grow(
    kube: Kube,
    kubectl: Callable[..., subprocess.CompletedProcess[str]],
    inside: Callable[..., tuple[int, str]],
    store: str,
    tmp_path: Path,
) -> None:
    name, heir = f"elder-{store}", f"heir-{store}"
    on_node("sh", "-c", f"mkdir -p {MEMORY}-{heir} && chown {WHOSE}:{WHOSE} {MEMORY}-{heir}")
    volume(kube, heir, f"{MEMORY}-{heir}")
    for made in (elder(name, heir), successor(heir, name)):
        made["metadata"]["labels"] = {"store": store}
        kube.apply(made)
    uid = wait_ready(kube, NAMESPACE, name)["metadata"]["uid"]
    read = "print(open('/var/run/secrets/kubernetes.io/serviceaccount/token').read())"
    pod = running_pod(kube, agent(kube, NAMESPACE, name))["metadata"]["name"]
    token = kubectl("exec", "-n", NAMESPACE, pod, "--", "python3", "-c", read).stdout.strip()
    assert token
    wait_ready(kube, NAMESPACE, heir, status="False", reason="WaitingForHandover")
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
            timeout=480,
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

    # Its pods run only where they can read what it has left.
    working_on = running_pod(kube, wait_ready(kube, NAMESPACE, heir))
    taken = agent(kube, NAMESPACE, heir)["status"]["succession"]
    assert (taken["predecessor"]["uid"], taken["digest"]) == (uid, record["spec"]["manifest"]["digest"])
    assert on_node("sha256sum", f"{MEMORY}-{heir}/inherited/memory/index").split()[0] == wanted
    decided = on_node("cat", f"{MEMORY}-{heir}/inherited/bundle/{layout.DECISION_LOG}")
    assert "decisions/4711" in decided
    assert "Ada prefers mail" in decided
    assert len(decided) < 2**20, "the folder, and not the volume"
    code, answer = inside(working_on, "GET", maps(), token=token)
    assert code == 401, f"the token of who has left: {code} {answer}"
    assert inside(working_on, "GET", maps())[0] == 200
    # Who is Retired stays until its author deletes it; both go with the store they are in.
    for each in (name, heir):
        kube.delete("workforce.dev/v1alpha1", "aiagents", each, namespace=NAMESPACE)
        kube.wait_gone("workforce.dev/v1alpha1", "aiagents", each, namespace=NAMESPACE)
    on_node("rm", "-rf", f"{MEMORY}-{heir}")
