"""A real S3-compatible store in the kind cluster: versitygw, with TLS by an authority that only the tests know.

The program is built from its pinned Go module once into the cache and for Linux (`python -m e2e.objectstore` does so
and ends), put onto the node, and run in a pod of the operator's own image.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from e2e.conftest import is_ready
from support import chart, kindcluster
from support.kindcluster import on_node
from support.kube import Kube, Object
from support.localcluster.build import built, say
from support.localcluster.certs import Authority
from support.localcluster.errors import LocalClusterError
from support.s3server import REGION, VERSITYGW

NAMESPACE, NAME = "objects", "store"
HOST = f"{NAME}.{NAMESPACE}.svc"
PORT = 7443
# In the operator's namespace: the keys as the chart expects them, and whom to trust.
CREDENTIALS, TRUSTED = "bucket-keys", "bucket-ca"
BUCKET, PREFIX = "workforce", "archives"
# On the node, where the tests read what the store holds.
DATA = "/var/local/e2e-objects"
_PROGRAM = "/usr/local/bin/versitygw"
# The name by which policies choose it.
STORE = "vault"


def program() -> Path:
    """The program. Raises BuildError where it cannot be built."""
    return built(replace(VERSITYGW, system="linux"), say) / "versitygw"


def install(kube: Kube, image: str, folder: Path) -> list[str]:
    """Starts it with an empty bucket, and waits until it answers: the chart's settings with which it is used."""
    kindcluster.put(program(), _PROGRAM)
    on_node("mkdir", "-p", f"{DATA}/data/{BUCKET}", f"{DATA}/sidecar", f"{DATA}/versions")
    on_node("chown", "-R", "65532:65532", DATA)
    keys = {"access-key-id": f"AK{secrets.token_hex(9).upper()}", "secret-access-key": secrets.token_hex(20)}
    for obj in _objects(image, keys, Authority(folder)):
        kube.apply(obj, force=True)
    kube.wait_object(
        "v1", "pods", NAME, is_ready, what="the object store to be ready", namespace=NAMESPACE, timeout=120
    )
    described = {
        "name": STORE,
        "url": f"s3://{BUCKET}/{PREFIX}",
        "region": REGION,
        "endpoint": f"https://{HOST}:{PORT}",
        "credentialsSecret": CREDENTIALS,
        "caConfigMap": TRUSTED,
    }
    return [
        *(f"archive.stores[0].{field}={value}" for field, value in described.items()),
        f"networkPolicy.archive.ports={{{PORT}}}",
        f"networkPolicy.archive.peers[0].namespaceSelector.matchLabels.kubernetes\\.io/metadata\\.name={NAMESPACE}",
    ]


def remove(kube: Kube) -> None:
    """Ends it, and removes what it held."""
    kube.delete("v1", "pods", NAME, namespace=NAMESPACE, grace_seconds=0)
    kube.wait_gone("v1", "pods", NAME, namespace=NAMESPACE)
    on_node("rm", "-rf", DATA)


def _objects(image: str, keys: dict[str, str], authority: Authority) -> Iterator[Object]:
    """A new certificate each time, and so a new pod: what runs has the old one in memory."""
    cert, key = authority.server(NAME, [HOST])
    ca = authority.cert_file.read_text()
    core, here, operators = {"apiVersion": "v1"}, {"name": NAME, "namespace": NAMESPACE}, {"namespace": chart.NAMESPACE}
    yield {**core, "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    yield {**core, "kind": "Secret", "metadata": operators | {"name": CREDENTIALS}, "stringData": keys}
    yield {**core, "kind": "ConfigMap", "metadata": operators | {"name": TRUSTED}, "data": {"ca.crt": ca}}
    tls = {"tls.crt": cert.read_text(), "tls.key": key.read_text()}
    root = {"ROOT_ACCESS_KEY_ID": keys["access-key-id"], "ROOT_SECRET_ACCESS_KEY": keys["secret-access-key"]}
    yield {**core, "kind": "Secret", "metadata": here, "stringData": tls | root}
    ports, labels = [{"port": PORT}], {"app": NAME}
    yield {**core, "kind": "Service", "metadata": here, "spec": {"selector": labels, "ports": ports}}
    yield {**core, "kind": "Pod", "metadata": here | {"labels": labels}, "spec": _pod(image)}


def _pod(image: str) -> Object:
    kept = ["--sidecar", "/objects/sidecar", "--versioning-dir", "/objects/versions"]
    tls = ["--cert", "/tls/tls.crt", "--key", "/tls/tls.key"]
    command = ["versitygw", "--port", f":{PORT}", "--region", REGION, "--quiet", *tls, "posix", *kept, "/objects/data"]
    root = ("ROOT_ACCESS_KEY_ID", "ROOT_SECRET_ACCESS_KEY")
    return {
        "terminationGracePeriodSeconds": 0,
        "automountServiceAccountToken": False,
        "containers": [
            {
                "name": "versitygw",
                "image": image,
                "command": command,
                "env": [{"name": each, "valueFrom": {"secretKeyRef": {"name": NAME, "key": each}}} for each in root],
                "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1},
                "securityContext": {"runAsUser": 65532},
                "volumeMounts": [
                    {"name": "program", "mountPath": _PROGRAM, "readOnly": True},
                    {"name": "objects", "mountPath": "/objects"},
                    {"name": "tls", "mountPath": "/tls", "readOnly": True},
                ],
            }
        ],
        "volumes": [
            {"name": "program", "hostPath": {"path": _PROGRAM, "type": "File"}},
            {"name": "objects", "hostPath": {"path": DATA, "type": "Directory"}},
            {
                "name": "tls",
                "secret": {"secretName": NAME, "items": [{"key": k, "path": k} for k in ("tls.crt", "tls.key")]},
            },
        ],
    }


if __name__ == "__main__":
    try:
        program()
    except LocalClusterError as error:
        sys.exit(str(error))
