"""The volume of an agent that leaves, without a node: its Job is the API server's, the program in it a local process.

Fake nodes run nothing. So the pod is held back, the token is asked for as its kubelet would, and the pod's command runs
here with the pod's own environment, on a folder in place of the volume.
"""

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from aiagent_operator.api import capture, runs
from aiagent_operator.core.archive.sending import AUDIENCE
from support.kube import ApiError, Kube, Object, wait_for
from support.workplace import Workplace

SOURCES = Path(__file__).parents[2] / "operator"
CLAIM = "facts"
MEMORY = {"memory": {"claimName": CLAIM}}
"""For spec.retirement."""
FOLDER = "logs/decisions"
LOG = {"decisionLog": {"volume": {"claimName": CLAIM, "path": FOLDER}}}
"""The same, of the volume on which its memory is."""


def claim(admin: Kube, namespace: str, name: str = CLAIM, mode: str = "ReadWriteOnce") -> None:
    """A claim that no volume is bound to yet: a pod that mounts it is not scheduled."""
    admin.create(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {
                "accessModes": [mode],
                "storageClassName": "",
                "volumeName": f"{namespace}-{name}",
                "resources": {"requests": {"storage": "1Mi"}},
            },
        }
    )


def volume(admin: Kube, namespace: str, name: str = CLAIM) -> None:
    """The volume of the claim: pods that mount it go to a node that is let have it, see `attached`."""
    wanted = {"key": _attaches(namespace), "operator": "Exists"}
    asked = admin.get("v1", "persistentvolumeclaims", name, namespace=namespace)["spec"]
    admin.create(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": f"{namespace}-{name}"},
            "spec": {
                "accessModes": asked["accessModes"],
                "capacity": {"storage": "1Mi"},
                "claimRef": {"namespace": namespace, "name": name},
                "hostPath": {"path": "/tmp"},
                "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [wanted]}]}},
                "storageClassName": "",
            },
        }
    )


@contextmanager
def attached(admin: Kube, namespace: str) -> Iterator[None]:
    """Meanwhile there is a node for a pod that mounts the volume. Else a pod that nobody holds back yet would be on one
    at once, and over, without having run anything."""
    node = admin.list("v1", "nodes")[0]["metadata"]["name"]
    label = _attaches(namespace)
    admin.patch("v1", "nodes", node, {"metadata": {"labels": {label: "true"}}})
    try:
        yield
    finally:
        admin.patch("v1", "nodes", node, {"metadata": {"labels": {label: None}}})


def _attaches(namespace: str) -> str:
    return f"tests/attaches-{namespace}"


@dataclass(frozen=True)
class Sender:
    """The pod of the Job that archives an agent's memory, or that delivers it to another one."""

    admin: Kube
    pod: Object

    @classmethod
    def of(cls, place: Workplace, uid: str, run: str = capture.RUN, claim: str = CLAIM) -> Self:
        """The agent's, once it is on a node; it stays there until it is told to end."""
        admin, namespace = place.admin, place.namespace
        labels = f"{runs.LABEL_RUN}={run},{runs.LABEL_RUN_OF}={uid}"

        def found() -> Object:
            pods = admin.list("v1", "pods", namespace=namespace, labels=labels)
            return next((pod for pod in pods if "deletionTimestamp" not in pod["metadata"]), {})

        pod: Object = wait_for(found, what=f"the pod of the {run}")
        name = pod["metadata"]["name"]
        hold = {"metadata": {"annotations": {"localcluster/hold": "true"}}}
        admin.patch("v1", "pods", name, hold, namespace=namespace)
        if not admin.find("v1", "persistentvolumes", f"{namespace}-{claim}"):
            volume(admin, namespace, claim)
        with attached(admin, namespace):
            placed = admin.wait_object(
                "v1", "pods", name, lambda p: p["spec"].get("nodeName"), what="a node for it", namespace=namespace
            )
        return cls(admin, placed)

    @property
    def environment(self) -> dict[str, str]:
        """What the pod is told."""
        return {each["name"]: each["value"] for each in self.pod["spec"]["containers"][0]["env"]}

    def token(self, *audiences: str) -> str:
        """A token of the pod, as the kubelet of its node gets it; for the API server where no audience is named."""
        metadata, spec = self.pod["metadata"], self.pod["spec"]
        kubelet = self.admin.as_user(f"system:node:{spec['nodeName']}", ["system:nodes"])
        reference = {"apiVersion": "v1", "kind": "Pod", "name": metadata["name"], "uid": metadata["uid"]}
        wanted: Object = {"boundObjectRef": reference, "expirationSeconds": 600}
        if audiences:
            wanted["audiences"] = list(audiences)
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": wanted}
        path = f"/api/v1/namespaces/{metadata['namespace']}/serviceaccounts/{spec['serviceAccountName']}/token"

        def asked() -> str | None:
            try:
                return str(kubelet.raw("POST", path, body)["status"]["token"])
            except ApiError as refused:
                # The node authorizer learns by a watch of its own which pods are on which node. A kubelet asks again.
                if "no relationship found between node" not in refused.message:
                    raise
                return None

        return str(wait_for(asked, what="the token of the pod on the kubelet's node"))

    def run(self, folder: Path, token: str = "", *, wanted: Callable[[], bool] = lambda: True) -> tuple[int, str]:
        """Runs what the pod would, on this folder, while it is wanted; the exit status, and the termination message."""
        with tempfile.TemporaryDirectory(prefix="sender-") as own:
            result, file = Path(own) / "result", Path(own) / "token"
            file.write_text(token or self.token(AUDIENCE))
            told = {capture.ENV_VOLUME: str(folder), capture.ENV_TOKEN: str(file), capture.ENV_RESULT: str(result)}
            command = [sys.executable, *self.pod["spec"]["containers"][0]["command"][1:]]
            env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(SOURCES), **self.environment, **told}
            deadline, errors = time.monotonic() + 120, b""
            with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
                while True:
                    try:
                        _, errors = process.communicate(timeout=0.2)
                        break
                    except subprocess.TimeoutExpired:
                        if wanted() and time.monotonic() < deadline:
                            continue
                        process.kill()
                        if wanted():
                            raise
            return process.returncode, result.read_text() if result.exists() else errors.decode()

    def end(self, status: int, message: str) -> None:
        """Tells the API server what has become of the pod, as its kubelet would."""
        metadata = self.pod["metadata"]
        ended = {"exitCode": status, "reason": "Error" if status else "Completed", "message": message}
        now = {"startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:00:01Z"}
        (of,) = self.pod["spec"]["containers"]
        container = {
            "name": of["name"], "image": "x", "imageID": "", "ready": False, "restartCount": 0,
            "state": {"terminated": {**ended, **now}},
        }  # fmt: skip
        patch = {"status": {"phase": "Failed" if status else "Succeeded", "containerStatuses": [container]}}
        self.admin.patch("v1", "pods", metadata["name"], patch, namespace=metadata["namespace"], subresource="status")


class Node:
    """Runs each pod that is to send the memory, or to fetch what it leaves, as a kubelet would, whatever becomes of the
    operator that it is for."""

    def __init__(self, place: Workplace, uid: str, folder: Path, *, run: str = capture.RUN, claim: str = CLAIM) -> None:
        self._place, self._uid, self._folder, self._task, self._claim = place, uid, folder, run, claim
        self._stop = threading.Event()
        self._pods: list[threading.Thread] = []

    def watch(self) -> None:
        known: set[str] = set()
        labels = f"{runs.LABEL_RUN}={self._task},{runs.LABEL_RUN_OF}={self._uid}"
        while not self._stop.wait(0.1):
            for pod in self._place.admin.list("v1", "pods", namespace=self._place.namespace, labels=labels):
                if pod["metadata"]["uid"] not in known and "deletionTimestamp" not in pod["metadata"]:
                    known.add(pod["metadata"]["uid"])
                    self._pods.append(threading.Thread(target=self._run))
                    self._pods[-1].start()

    def _run(self) -> None:
        try:
            sender = Sender.of(self._place, self._uid, self._task, self._claim)
            status, message = sender.run(self._folder, wanted=lambda: not self._stop.is_set())
            if not self._stop.is_set():
                sender.end(status, message)
        except (ApiError, AssertionError, TimeoutError) as error:
            # The pod goes with its Job, as that of an operator that is dead does.
            print(f"a pod of the {self._task}: {error}")

    @contextmanager
    def at_work(self) -> Iterator[None]:
        worker = threading.Thread(target=self.watch, daemon=True)
        worker.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in (worker, *self._pods):
                thread.join()
