"""The binding of the agent's Role in one namespace to the agent's account, and to nobody else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiagent_operator.api import meta
from aiagent_operator.core.children import common, role
from aiagent_operator.core.objects import AgentIdentity, ChildKind, Desired


def build(agent: AgentIdentity, namespace: str) -> Desired:
    """The RoleBinding beside the Role of the same name."""
    name = role.name_in(agent, namespace)
    manifest = common.header(ChildKind.ROLE_BINDING, agent, namespace, name)
    manifest["roleRef"] = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
    manifest["subjects"] = [
        {"kind": "ServiceAccount", "name": meta.account_name(agent.name), "namespace": agent.namespace}
    ]
    return common.desired(manifest, owned(manifest))


def owned(live: Mapping[str, Any]) -> str:
    """Digest of our labels, the role and all subjects. roleRef is immutable: another one means delete, then create."""
    return common.owned_digest(live, live.get("roleRef"), live.get("subjects"))
