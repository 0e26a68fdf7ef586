"""The chart: rendered by Helm, checked, written as one plain manifest, and put into a cluster for tests.

`python -m support.chart crds` copies crds/ into the chart, `manifest` writes manifests/install.yaml, `lint` checks the
chart with every set of values in VARIANTS, `helm` prints the path of the Helm that is used.
"""

import functools
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from support import finalizer
from support.definitions import served
from support.kube import ApiError, Kube, Object, wait_for
from support.localcluster.build import Module, built, say
from support.localcluster.errors import BuildError, LocalClusterError

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "aiagent-operator"
CRDS = ROOT / "crds"
CHART_CRDS = CHART / "files" / "crds"
MANIFEST = ROOT / "manifests" / "install.yaml"

RELEASE = "aiagent-operator"
NAMESPACE = "workforce-system"
ACCOUNT = "aiagent-operator"
USERNAME = f"system:serviceaccount:{NAMESPACE}:{ACCOUNT}"
GROUPS = ("system:serviceaccounts", f"system:serviceaccounts:{NAMESPACE}")

HELM = Module("helm", "helm.sh/helm/v4", {"helm": "helm.sh/helm/v4/cmd/helm"})
OLDEST_HELM = (3, 14)
# The kinds that only a cluster with nodes has a use for. A test runs the operator itself.
WORKLOAD = ("Deployment", "PodDisruptionBudget", "NetworkPolicy", "Service", "ServiceMonitor", "PrometheusRule")
# The policy that is applied last: when it is in force, so are all.
LAST_POLICY = "agent-accounts.workforce.dev"
FIRST_KINDS = ("Namespace", "CustomResourceDefinition", "ServiceAccount", "ClusterRole", "Role")
LAST_KINDS = (
    "MutatingAdmissionPolicy",
    "MutatingAdmissionPolicyBinding",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
)

Values = Mapping[str, Any]
# With every policy that there is.
PROTECTING: Values = {"policies": {"protectNamespaces": True}}
# Sets of values that must render, between them using every setting that changes which objects there are.
VARIANTS: Mapping[str, Values] = {
    "defaults": {},
    "one replica, nothing optional": {
        "replicas": 1,
        "crds": {"install": False},
        "policies": {"install": False},
        "rbac": {"userRoles": False},
        "networkPolicy": {"enabled": False},
        "podDisruptionBudget": {"enabled": False},
        "archive": {"enabled": False},
    },
    "named namespaces": {"watchNamespaces": ["team-a", "team-b"]},
    "a volume for all nodes": {
        "archive": {
            "memory": False,
            "directory": {"accessModes": ["ReadWriteMany"], "storageClassName": "nfs", "size": "1Ti"},
        }
    },
    "a bucket alone": {
        "archive": {
            "default": "vault",
            "directory": {"enabled": False},
            "stores": [{"name": "vault", "url": "gs://agents/journals"}],
        }
    },
    "everything": {
        "replicas": 3,
        "image": {"repository": "registry.example/aiagent-operator", "digest": "sha256:" + 64 * "a"},
        "imagePullSecrets": ["pull"],
        "policies": {
            "trustedControllers": ["system:serviceaccount:argo-rollouts:argo-rollouts"],
            "protectNamespaces": True,
        },
        "serviceAccount": {"annotations": {"example.com/identity": "operator"}},
        "rbac": {
            "catalogReaders": ["system:authenticated"],
            "roleUsers": [
                {
                    "role": "customer-support",
                    "subjects": [
                        {"kind": "Group", "name": "support-engineers"},
                        {"kind": "ServiceAccount", "name": "argocd-application-controller", "namespace": "argocd"},
                    ],
                }
            ],
        },
        "prometheus": {
            "addresses": ["https://prometheus.monitoring:9090", "https://prometheus.example/tenant"],
            "caConfigMap": "prometheus-ca",
            "tokenSecret": "prometheus-token",
        },
        "networkPolicy": {
            "prometheus": {
                "peers": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
                "ports": [9090, 443],
            },
            "archive": {"peers": [{"ipBlock": {"cidr": "203.0.113.0/24"}}], "ports": [9000]},
        },
        "archive": {
            "default": "vault",
            "proofInterval": 60,
            "verificationInterval": 86400,
            "purge": "AfterRetention",
            "signingSecret": "signing",
            "directory": {"existingClaim": "journals"},
            "stores": [
                {
                    "name": "vault",
                    "url": "s3://agents/journals",
                    "region": "eu-central-1",
                    "endpoint": "https://minio.example:9000",
                    "credentialsSecret": "vault-credentials",
                    "caConfigMap": "vault-ca",
                    "timeout": "1m30s",
                    "lockMode": "Compliance",
                    "retention": "52560h",
                },
                {"name": "copy", "url": "az://account/container", "readOnly": True},
            ],
        },
        "extraEnv": [{"name": "AIAGENT_PAGE_SIZE", "value": "1000"}],
        "podLabels": {"team": "platform"},
        "podAnnotations": {"example.com/scrape": "true"},
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "dedicated", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "priorityClassName": "system-cluster-critical",
        "metrics": {
            "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
            "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}},
        },
    },
}


class ChartError(LocalClusterError):
    """The chart cannot be rendered; the text has Helm's own words."""


@functools.cache
def helm() -> Path:
    """The Helm on the PATH where it is recent enough, else the pinned one, built once into the user's cache."""
    own = shutil.which("helm")
    if own:
        answer = subprocess.run([own, "version", "--short"], capture_output=True, text=True, check=False).stdout
        found = re.search(r"v(\d+)\.(\d+)", answer)
        if found and (int(found[1]), int(found[2])) >= OLDEST_HELM:
            return Path(own)
    try:
        return built(HELM, say) / "helm"
    except BuildError as error:
        raise BuildError(f"{error}\nFor the chart alone, put Helm 3.14 or newer on the PATH.") from error


def run_helm(*arguments: str, stdin: str = "") -> str:
    """Run Helm and return what it prints; ChartError with its own words where it fails."""
    done = subprocess.run([str(helm()), *arguments], input=stdin, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ChartError(f"helm {' '.join(arguments)} failed: {done.stderr.strip()}\n{done.stdout.strip()}")
    return done.stdout


def render(values: Values | None = None, *, has: str = "") -> tuple[Object, ...]:
    """All objects of the chart with these values, in Helm's order; each call gives fresh copies.

    `has` is an API version and kind that the API server is said to have beyond what Helm takes for granted.
    """
    text = _render(json.dumps(values or {}, sort_keys=True), has)
    return tuple(doc for doc in yaml.load_all(text, Loader=yaml.CSafeLoader) if doc)


@functools.cache
def _render(values: str, has: str = "") -> str:
    more = ("--api-versions", has) if has else ()
    return run_helm("template", RELEASE, str(CHART), "--namespace", NAMESPACE, "--values", "-", *more, stdin=values)


def volume(**spec: Any) -> Object:
    """A volume for the chart's claim, where no provisioner makes a fitting one; `spec` are more of its fields."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": "archive"},
        "spec": {
            "capacity": {"storage": "10Gi"},
            "accessModes": ["ReadWriteOnce"],
            "hostPath": {"path": "/nowhere"},
            **spec,
        },
    }


# Into a cluster ------------------------------------------------------------------------------------------------------


def install(admin: Kube, values: Values | None = None, *, workload: bool = False, from_manifest: bool = False) -> None:
    """Apply the chart's objects and wait until they are in force: kinds served, rights held, policies deciding.

    Without `workload`, the operator's Deployment and what goes with it are left out. Can be repeated; policies that
    an earlier installation with other values has left are replaced, but their replacement is not waited for.
    `from_manifest` takes manifests/install.yaml, for which no Helm is needed.
    """
    namespace: Object = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    mutates = not from_manifest and finalizer.has_mutating_policies(admin)
    source = read_manifest() if from_manifest else render(values, has=finalizer.MUTATING_POLICIES if mutates else "")
    objects = [obj for obj in source if workload or obj["kind"] not in WORKLOAD]
    for obj in sorted([namespace, *objects], key=_rank):
        admin.apply(obj, manager="helm", force=True)
    for obj in objects:
        if obj["kind"] == "CustomResourceDefinition":
            name = obj["metadata"]["name"]
            admin.wait_object(
                "apiextensions.k8s.io/v1",
                "customresourcedefinitions",
                name,
                _established,
                what=f"{name} to be established",
            )
            served(admin, obj)
    wait_for(lambda: _may_work(admin, values or {}), what=f"{USERNAME} to hold the rights of the chart")
    if (values or {}).get("policies", {}).get("install", True):
        wait_for(lambda: in_force(admin), what=f"the policy {LAST_POLICY} to be in force")
        if mutates:
            home = next(iter((values or {}).get("watchNamespaces") or [NAMESPACE]))
            wait_for(lambda: finalizer.born_with_it(admin, home), what="agents to be born with the finalizer")


def _rank(obj: Object) -> tuple[int, bool]:
    """Namespaces, kinds and roles first, bindings after roles, policies last, and their bindings after them."""
    kind = obj["kind"]
    if kind in FIRST_KINDS:
        return FIRST_KINDS.index(kind), False
    last = LAST_KINDS.index(kind) + 1 if kind in LAST_KINDS else 0
    return len(FIRST_KINDS) + last, obj["metadata"]["name"] == LAST_POLICY


def _established(crd: Object) -> bool:
    conditions = crd.get("status", {}).get("conditions", [])
    return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)


def _may_work(admin: Kube, values: Values) -> bool:
    namespaces = values.get("watchNamespaces") or [NAMESPACE]
    return admin.allowed(USERNAME, "list", "agentroles", group="workforce.dev", groups=GROUPS) and all(
        admin.allowed(USERNAME, "list", "aiagents", group="workforce.dev", groups=GROUPS, namespace=namespace)
        for namespace in namespaces
    )


def in_force(admin: Kube) -> bool:
    probe: Object = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": "aiagent.probe", "namespace": NAMESPACE},
    }
    try:
        admin.create(probe, dry_run=True)
    except ApiError as error:
        if LAST_POLICY in str(error):
            return True
        raise
    return False


# Files ---------------------------------------------------------------------------------------------------------------


def copy_crds() -> None:
    """Make the chart's copy of crds/ the same again: Helm packs only what is in the chart's own folder."""
    CHART_CRDS.mkdir(parents=True, exist_ok=True)
    wanted = {path.name for path in CRDS.glob("*.yaml")}
    for path in CHART_CRDS.glob("*.yaml"):
        if path.name not in wanted:
            path.unlink()
    for name in wanted:
        shutil.copyfile(CRDS / name, CHART_CRDS / name)


def manifest() -> str:
    """The text of manifests/install.yaml: the chart with its defaults, for `kubectl apply --server-side`."""
    head = (
        "# Generated from charts/aiagent-operator by `make generate`. Do not edit.\n"
        "# Install: kubectl apply --server-side -f install.yaml\n"
        "---\napiVersion: v1\nkind: Namespace\nmetadata:\n"
        f"  name: {NAMESPACE}\n"
        "  labels:\n    pod-security.kubernetes.io/enforce: restricted\n"
    )
    return head + _render("{}")


def read_manifest() -> tuple[Object, ...]:
    """The objects of manifests/install.yaml."""
    return tuple(doc for doc in yaml.load_all(MANIFEST.read_text(), Loader=yaml.CSafeLoader) if doc)


def write_manifest() -> None:
    """Write manifests/install.yaml."""
    MANIFEST.parent.mkdir(parents=True, exist_ok=True)
    MANIFEST.write_text(manifest(), encoding="utf-8")


def lint() -> None:
    """Lint the chart, and render it with every set of values in VARIANTS."""
    print(run_helm("lint", "--strict", str(CHART)), end="")
    for name, values in VARIANTS.items():
        run_helm("lint", "--strict", "--quiet", str(CHART), "--values", "-", stdin=json.dumps(values))
        most = len(render(values, has=finalizer.MUTATING_POLICIES))
        print(f"rendered with {name}: {most} objects at most, {len(render(values))} before Kubernetes 1.36")


COMMANDS: Mapping[str, Callable[[], None]] = {
    "crds": copy_crds,
    "manifest": write_manifest,
    "lint": lint,
    "helm": lambda: print(helm()),
}


def main() -> None:
    """Run the commands that are named, in order."""
    unknown = set(sys.argv[1:]) - COMMANDS.keys()
    if unknown or len(sys.argv) < 2:
        sys.exit(f"usage: python -m support.chart {'|'.join(COMMANDS)} ...")
    try:
        for name in sys.argv[1:]:
            COMMANDS[name]()
    except LocalClusterError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
