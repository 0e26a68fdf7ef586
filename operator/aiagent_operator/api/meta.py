"""Names that the operator, its children and its policies share. Changing one is an API change."""

from __future__ import annotations

import hashlib
from typing import Final

GROUP: Final = "workforce.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"

MANAGER: Final = "aiagent-operator"
FINALIZER: Final = f"{GROUP}/offboarding"
HOLD_FINALIZER: Final = f"{GROUP}/hold"

LABEL_AGENT: Final = f"{GROUP}/agent"
LABEL_AGENT_NAMESPACE: Final = f"{GROUP}/agent-namespace"
LABEL_AGENT_UID: Final = f"{GROUP}/agent-uid"
LABEL_REVISION: Final = f"{GROUP}/revision"
LABEL_CANARY: Final = f"{GROUP}/canary"
LABEL_MANAGED_BY: Final = "app.kubernetes.io/managed-by"
LABEL_GRANTABLE: Final = f"{GROUP}/grantable"

ANNOTATION_SPEC_HASH: Final = f"{GROUP}/spec-hash"
ANNOTATION_CANARY_OF: Final = f"{GROUP}/canary-of"
ANNOTATION_CLAIMED_BY: Final = f"{GROUP}/claimed-by"
ANNOTATION_PRIOR_ACCOUNT: Final = f"{GROUP}/prior-service-account"
ANNOTATION_PRIOR_MANAGER: Final = f"{GROUP}/prior-manager"
ANNOTATION_PRIOR_REPLICAS: Final = f"{GROUP}/prior-replicas"
ANNOTATION_PRIOR_IMAGE: Final = f"{GROUP}/prior-image"
ANNOTATION_PRIOR_IMAGE_MANAGER: Final = f"{GROUP}/prior-image-manager"

GRANTABLE_CLUSTER_ROLE: Final = "workforce-grantable"

ACCOUNT_PREFIX: Final = "aiagent."
VOLUME_PREFIX: Final = "workforce-"

TOKEN_MOUNT: Final = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 (a path)
HANDBOOK_MOUNT: Final = "/etc/workforce/handbook"
CONNECTIONS_MOUNT: Final = "/var/run/workforce/connections"


def account_name(agent: str) -> str:
    """Name of the agent's ServiceAccount, and of its other children in its own namespace."""
    return f"{ACCOUNT_PREFIX}{agent}"


def run_account(agent: str, run: str) -> str:
    """Name of the account of an agent's Jobs of a kind. Agents' names have no dot, so it is no other agent's."""
    return f"{account_name(agent)}.{run}"


def agent_of_run(account: str, run: str) -> str | None:
    """The agent as the account of whose Jobs of that kind this would be named; None where it is no such account."""
    name = account.removeprefix(ACCOUNT_PREFIX).removesuffix(f".{run}")
    return name if name and account == run_account(name, run) else None


def foreign_name(agent: str, uid: str) -> str:
    """Name of the agent's Role and RoleBinding in a namespace that is not its own.

    Agents of the same name in two namespaces may both hold rights in a third, so the UID's hash keeps them apart.
    """
    return f"{ACCOUNT_PREFIX}{agent}-{hashlib.sha256(uid.encode()).hexdigest()[:10]}"


def username(namespace: str, agent: str) -> str:
    """The user name under which the API server knows the agent (Kubernetes: service account user names)."""
    return f"system:serviceaccount:{namespace}:{account_name(agent)}"


def user_groups(namespace: str) -> tuple[str, ...]:
    """The groups that every service account of the namespace has (Kubernetes: service account groups)."""
    return ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")


def canary_name(target: str) -> str:
    """Name of the Deployment with a candidate's pods beside an adopted Deployment."""
    return f"{target}-canary"


def child_labels(agent: str, namespace: str, uid: str) -> dict[str, str]:
    """Labels that mark an object as belonging to an agent; the reflectors select by them."""
    return {LABEL_AGENT: agent, LABEL_AGENT_NAMESPACE: namespace, LABEL_AGENT_UID: uid}
