"""What a person can do, in words, and the right in the cluster that it takes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from aiagent_operator.api import meta
from aiagent_operator.cli.authorizer import Question

_RBAC: Final = "rbac.authorization.k8s.io"


class Right(Enum):
    """What a step takes: verb, resource, group, and whether it is in the agent's namespace."""

    EDIT_AGENT = ("patch", "aiagents", meta.GROUP, True)
    RESUME = ("resume", "aiagents", meta.GROUP, True)
    OFFBOARD = ("offboard", "aiagents", meta.GROUP, True)
    REHIRE = ("rehire", "aiagents", meta.GROUP, True)
    RETRAIN = ("retrain", "aiagents", meta.GROUP, True)
    ROLLBACK = ("rollback", "aiagents", meta.GROUP, True)
    PROMOTE = ("promote", "aiagents", meta.GROUP, True)
    ABORT = ("abort", "aiagents", meta.GROUP, True)
    ABANDON = ("abandon", "aiagents", meta.GROUP, True)
    EDIT_ROLE = ("patch", "agentroles", meta.GROUP, False)
    CREATE_ROLE = ("create", "agentroles", meta.GROUP, False)
    EDIT_POLICY = ("patch", "agentpolicies", meta.GROUP, False)
    LABEL_CLUSTER_ROLE = ("patch", "clusterroles", _RBAC, False)
    CREATE_NAMESPACE = ("create", "namespaces", "", False)
    REMOVE_BINDING = ("delete", "rolebindings", _RBAC, True)
    REMOVE_CLUSTER_BINDING = ("delete", "clusterrolebindings", _RBAC, False)
    CREATE_CONFIG_MAP = ("create", "configmaps", "", True)
    CREATE_DEPLOYMENT = ("create", "deployments", "apps", True)
    EDIT_DEPLOYMENT = ("patch", "deployments", "apps", True)
    EDIT_STATEFUL_SET = ("patch", "statefulsets", "apps", True)
    EDIT_SERVICE = ("patch", "services", "", True)
    EDIT_ROUTE = ("patch", "httproutes", "gateway.networking.k8s.io", True)
    CREATE_CRD = ("create", "customresourcedefinitions", "apiextensions.k8s.io", False)
    EDIT_NETWORK_POLICY = ("patch", "networkpolicies", "networking.k8s.io", True)
    READ_OPERATOR = ("get", "pods", "", False)
    READ_PODS = ("get", "pods", "", True)

    def question(self, namespace: str, agent: str, role: str) -> Question:
        """The right as a question about one agent and its role."""
        verb, resource, group, inside = self.value
        names = {"aiagents": agent, "agentroles": role}
        name = "" if verb == "create" else names.get(resource, "")
        return Question(verb, resource, group, namespace if inside else "", name)


@dataclass(frozen=True, slots=True)
class Step:
    """Something that can be done, in words, and the right it takes."""

    text: str
    right: Right
