"""Paths of the API server's resources."""

from __future__ import annotations

from aiagent_operator.api import meta
from aiagent_operator.core.objects import ChildKind, ObjectKey, TrafficKind


def collection(kind: ChildKind | TrafficKind, namespace: str | None = None) -> str:
    """Where objects of the kind are listed and created; without a namespace, those of all namespaces."""
    root = f"/api/{kind.api_version}" if "/" not in kind.api_version else f"/apis/{kind.api_version}"
    return f"{root}/namespaces/{namespace}/{kind.plural}" if namespace else f"{root}/{kind.plural}"


def item(key: ObjectKey) -> str:
    """Where the object is, or the list of all."""
    where = collection(key.kind, key.namespace)
    return f"{where}/{key.name}" if key.name else where


def agent(namespace: str, name: str) -> str:
    """Where the AIAgent is."""
    return f"/apis/{meta.API_VERSION}/namespaces/{namespace}/aiagents/{name}"


def action(namespace: str, name: str) -> str:
    """Where the AgentAction is."""
    return f"/apis/{meta.API_VERSION}/namespaces/{namespace}/agentactions/{name}"


def policy(name: str) -> str:
    """Where the AgentPolicy is."""
    return f"/apis/{meta.API_VERSION}/agentpolicies/{name}"


ARCHIVES = f"/apis/{meta.API_VERSION}/agentarchives"


def archive(name: str) -> str:
    """Where the AgentArchive is."""
    return f"{ARCHIVES}/{name}"


def role(name: str) -> str:
    """Where the AgentRole is."""
    return f"/apis/{meta.API_VERSION}/agentroles/{name}"


def secrets(namespace: str) -> str:
    """Where Secrets of the namespace are created."""
    return f"/api/v1/namespaces/{namespace}/secrets"


def secret(namespace: str, name: str) -> str:
    """Where the Secret is."""
    return f"{secrets(namespace)}/{name}"


def log(namespace: str, pod: str) -> str:
    """Where the logs of the pod's containers are."""
    return f"/api/v1/namespaces/{namespace}/pods/{pod}/log"
