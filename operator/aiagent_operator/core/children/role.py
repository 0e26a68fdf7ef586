"""The agent's rights in one namespace: a single Role, whatever the number of permissions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import orjson

from aiagent_operator.api import meta
from aiagent_operator.core.children import common
from aiagent_operator.core.objects import AgentIdentity, ChildKind, Desired, digest
from aiagent_operator.core.rights import rules as algebra
from aiagent_operator.core.rights.rules import Rule


def name_in(agent: AgentIdentity, namespace: str) -> str:
    """Name of the agent's Role and RoleBinding in the namespace."""
    own = namespace == agent.namespace
    return meta.account_name(agent.name) if own else meta.foreign_name(agent.name, agent.uid)


def build(agent: AgentIdentity, namespace: str, rules: Iterable[Rule]) -> Desired:
    """The Role with these rules, in normal form."""
    manifest = common.header(ChildKind.ROLE, agent, namespace, name_in(agent, namespace))
    manifest["rules"] = [rule.to_wire() for rule in algebra.normalise(rules)]
    return common.desired(manifest, owned(manifest))


def owned(live: Mapping[str, Any]) -> str:
    """Digest of our labels and of what the rules allow: the same rights in another order are no difference."""
    return common.owned_digest(live, _read(orjson.dumps(live.get("rules")))[1])


def rules(live: Mapping[str, Any]) -> tuple[Rule, ...]:
    """The rules in normal form; one object for all Roles with the same ones."""
    return _read(orjson.dumps(live.get("rules")))[0]


@lru_cache(maxsize=8192)
def _read(raw: bytes) -> tuple[tuple[Rule, ...], str]:
    """Rules and their digest. Agents of one role share rules, so that ten thousand Roles cost a few dozen readings."""
    parsed = algebra.read(orjson.loads(raw))
    return parsed, digest([rule.to_wire() for rule in parsed])
