"""The agents that are measured: alike but for their names, each with everything that an onboarding makes."""

from __future__ import annotations

from typing import Any

from aiagent_operator.api import meta
from support.kube import Object

ROLE = "bench-clerk"
# What an onboarding makes for each of them: resource, API version.
VERSIONS = {
    "serviceaccounts": "v1",
    "configmaps": "v1",
    "roles": "rbac.authorization.k8s.io/v1",
    "rolebindings": "rbac.authorization.k8s.io/v1",
    "networkpolicies": "networking.k8s.io/v1",
    "deployments": "apps/v1",
    "agentrevisions": meta.API_VERSION,
}
KINDS = tuple(VERSIONS)
# By which an order selects them.
LABELS = {"team": "bench"}
CHILDREN = len(KINDS)
COLLECTIONS = {
    resource: f"/{'apis' if '/' in version else 'api'}/{version}/namespaces/{{}}/{resource}"
    for resource, version in VERSIONS.items()
}

_GRANTABLE = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRole",
    "metadata": {"name": "bench-grantable", "labels": {"workforce.dev/grantable": "true"}},
    "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "watch"]}],
}
_RULES = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}]
_ROLE = {
    "apiVersion": meta.API_VERSION,
    "kind": "AgentRole",
    "metadata": {"name": ROLE},
    "spec": {
        "description": "A clerk that reads the tickets of its own namespace",
        "lifecycle": {"state": "Approved"},
        "permissionSets": [{"name": "read", "description": "Read tickets", "rules": _RULES}],
    },
}


def prerequisites() -> list[Object]:
    """What the agents need beside their namespaces: a role, and a ceiling that holds its rules."""
    return [_GRANTABLE, _ROLE]


def namespace(name: str) -> Object:
    """A namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def agent(name: str, where: str, **spec: Any) -> Object:
    """An agent with one permission, a handbook, a connection and a Deployment; `spec` is more of its spec.

    Its Deployment asks for no pods: what is measured is the operator, and pods would cost the one machine that all of
    it runs on far more than everything else does, for the operator and for what it is compared with.
    """
    owner: dict[str, Any] = {
        "name": "product",
        "function": "Product",
        "responsibility": "Accountable",
        "subject": {"kind": "User", "name": "product-owner@corp.example"},
    }
    container = {"name": "agent", "image": "registry.example/clerk:1.0", "args": ["serve"]}
    return {
        "apiVersion": meta.API_VERSION,
        "kind": "AIAgent",
        "metadata": {"name": name, "namespace": where, "labels": LABELS},
        "spec": {
            "roleRef": {"name": ROLE},
            "purpose": "Triage and answer first-line support tickets",
            "owners": [owner],
            "permissions": [{"name": "read"}],
            "connections": [{"name": "crm", "egress": {"cidr": "203.0.113.0/24", "port": 443}}],
            "handbook": {"instructions": {"inline": "Answer politely. Escalate what you do not know.\n" * 8}},
            "workload": {"replicas": 0, "template": {"spec": {"containers": [container]}}},
            **spec,
        },
    }


def job_template() -> Object:
    """The Job of a training that ends at once on a fake node, and leaves a result."""
    pods = {
        "metadata": {"annotations": {"localcluster/message": '{"artifact": "s3://models/clerk/2"}'}},
        "spec": {"containers": [{"name": "train", "image": "registry.example/train:1"}]},
    }
    return {"spec": {"backoffLimit": 0, "template": pods}}


def spread(count: int, namespaces: int, prefix: str) -> list[tuple[str, str]]:
    """(name, namespace) of each agent, dealt out over the namespaces in turn, as a fleet is applied."""
    return [(f"clerk-{index:05d}", f"{prefix}-{index % namespaces:04d}") for index in range(count)]
