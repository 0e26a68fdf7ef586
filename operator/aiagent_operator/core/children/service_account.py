"""The agent's identity: a ServiceAccount that mounts no token by itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiagent_operator.api import meta
from aiagent_operator.core.children import common
from aiagent_operator.core.objects import AgentIdentity, ChildKind, Desired


def build(agent: AgentIdentity) -> Desired:
    """The agent's ServiceAccount."""
    return named(agent, meta.account_name(agent.name))


def named(agent: AgentIdentity, name: str) -> Desired:
    """A ServiceAccount of this name that belongs to the agent."""
    manifest = common.header(ChildKind.SERVICE_ACCOUNT, agent, agent.namespace, name)
    manifest["automountServiceAccountToken"] = False
    return common.desired(manifest, owned(manifest))


def owned(live: Mapping[str, Any]) -> str:
    """Digest of our labels and automount. Image pull secrets that others add are theirs."""
    return common.owned_digest(live, live.get("automountServiceAccountToken"))
