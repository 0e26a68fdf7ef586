"""A real Prometheus in the kind cluster, which scrapes the example agent's pods every two seconds.

Its program is that of support.prometheus, put onto the node and run in a pod of the agent's own image, so that no
registry has to have one. Debian builds it without discovery in Kubernetes, so a second container tells it what pods
there are.
"""

from __future__ import annotations

import yaml

from e2e.conftest import is_ready
from support import kindcluster, prometheus
from support.kube import Kube, Object

# As e2e.conftest tells the operator.
NAMESPACE, NAME, PORT = "monitoring", "prometheus", 9090
_PROGRAM = "/usr/local/bin/prometheus"
_CONFIG: Object = {
    "global": {"scrape_interval": "2s", "scrape_timeout": "2s"},
    "scrape_configs": [
        {"job_name": "agents", "http_sd_configs": [{"url": "http://localhost:8081", "refresh_interval": "2s"}]}
    ],
}
# Answers Prometheus with the pods of a namespace that listen on a port named http, as the API server knows them.
_DISCOVERY = """
import http.server, json, os, ssl, sys, urllib.request

base = "/var/run/secrets/kubernetes.io/serviceaccount/"
server = "https://%s:%s" % (os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"])
trusted = ssl.create_default_context(cafile=base + "ca.crt")

def targets():
    request = urllib.request.Request(server + "/api/v1/namespaces/%s/pods" % sys.argv[1])
    request.add_header("Authorization", "Bearer " + open(base + "token").read())
    for pod in json.load(urllib.request.urlopen(request, context=trusted, timeout=2))["items"]:
        ports = [p for c in pod["spec"]["containers"] for p in c.get("ports", ()) if p.get("name") == "http"]
        if ports and pod["status"].get("podIP"):
            labels = {key: pod["metadata"][field] for key, field in (("pod", "name"), ("namespace", "namespace"))}
            address = "%s:%d" % (pod["status"]["podIP"], ports[0]["containerPort"])
            yield {"targets": [address], "labels": labels}

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps(list(targets())).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body)

http.server.HTTPServer(("localhost", 8081), Handler).serve_forever()
"""


def install(kube: Kube, image: str) -> None:
    """Starts it, and waits until it is ready. Raises NoPrometheusError where there is none for this machine."""
    kindcluster.put(prometheus.program(), _PROGRAM)
    for obj in _objects(image):
        kube.apply(obj, force=True)
    kube.wait_object("v1", "pods", NAME, is_ready, what="Prometheus to be ready", namespace=NAMESPACE, timeout=120)


def remove(kube: Kube) -> None:
    """Ends it."""
    kube.delete("v1", "pods", NAME, namespace=NAMESPACE, grace_seconds=0)


def _objects(image: str) -> list[Object]:
    here = {"name": NAME, "namespace": NAMESPACE}
    rbac = "rbac.authorization.k8s.io/v1"
    labels = {"app": NAME}
    command = [_PROGRAM, "--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/data"]
    container = {
        "name": "prometheus",
        "image": image,
        "command": command,
        "securityContext": {"runAsUser": 65532},
        "readinessProbe": {"httpGet": {"path": "/-/ready", "port": PORT}, "periodSeconds": 1},
        "volumeMounts": [
            {"name": "config", "mountPath": "/etc/prometheus"},
            {"name": "data", "mountPath": "/data"},
            {"name": "program", "mountPath": _PROGRAM, "readOnly": True},
        ],
    }
    volumes = [
        {"name": "config", "configMap": {"name": NAME}},
        {"name": "data", "emptyDir": {}},
        {"name": "program", "hostPath": {"path": _PROGRAM, "type": "File"}},
    ]
    rule = {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}
    subject = {"kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE}
    role_ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "e2e-prometheus"}
    discovery = {"name": "discovery", "image": image, "command": ["python3", "-uc", _DISCOVERY, "ticket-triage"]}
    spec: Object = {
        "serviceAccountName": NAME,
        "securityContext": {"fsGroup": 65532},
        "containers": [container, discovery],
        "volumes": volumes,
        "terminationGracePeriodSeconds": 0,
    }
    data = {"prometheus.yml": yaml.safe_dump(_CONFIG)}
    cluster = {"name": "e2e-prometheus"}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": here},
        {"apiVersion": rbac, "kind": "ClusterRole", "metadata": cluster, "rules": [rule]},
        {
            "apiVersion": rbac,
            "kind": "ClusterRoleBinding",
            "metadata": cluster,
            "roleRef": role_ref,
            "subjects": [subject],
        },
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": here, "data": data},
        {"apiVersion": "v1", "kind": "Pod", "metadata": here | {"labels": labels}, "spec": spec},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": here,
            "spec": {"selector": labels, "ports": [{"port": PORT}]},
        },
    ]
