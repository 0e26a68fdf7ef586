"""The employee handbook as the agent reads it: an immutable ConfigMap whose name tells its content."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from aiagent_operator.api import meta
from aiagent_operator.api.agentrole import AgentRoleSpec
from aiagent_operator.api.aiagent import AIAgentSpec, ModelRef
from aiagent_operator.api.fields import Model
from aiagent_operator.api.handbook import DecisionRule, Handbook, Instructions, KnowledgeSource
from aiagent_operator.core.children import common
from aiagent_operator.core.objects import AgentIdentity, ChildKind, Desired, digest

INSTRUCTIONS_KEY: Final = "instructions.md"
HANDBOOK_KEY: Final = "handbook.json"

# Bytes of UTF-8. A ConfigMap holds 1 MiB; the rest of a handbook has at most about 200 KiB.
INSTRUCTIONS_LIMIT: Final = 768 * 1024


@dataclass(frozen=True, slots=True)
class EffectiveHandbook:
    """The agent's handbook completed by its role's. `instructions` says where the text is.

    `artifact`: where what its last training learned is; empty where it was not trained, or that left none.
    """

    purpose: str
    model: ModelRef | None
    instructions: Instructions | None
    rules: tuple[DecisionRule, ...]
    knowledge_sources: tuple[KnowledgeSource, ...]
    prohibited: tuple[str, ...]
    artifact: str = ""


def resolve(spec: AIAgentSpec, role: AgentRoleSpec) -> EffectiveHandbook:
    """The agent's instructions and model win over the role's; lists are added, the agent's entry winning by name."""
    own, default = spec.handbook, role.defaults.handbook or Handbook()
    return EffectiveHandbook(
        purpose=spec.purpose,
        model=spec.model or role.defaults.model,
        instructions=own.instructions or default.instructions,
        rules=tuple({rule.name: rule for rule in (*default.rules, *own.rules)}.values()),
        knowledge_sources=tuple({s.name: s for s in (*default.knowledge_sources, *own.knowledge_sources)}.values()),
        prohibited=tuple(dict.fromkeys((*default.prohibited, *own.prohibited))),
    )


def build(agent: AgentIdentity, handbook: EffectiveHandbook, text: str | None) -> Desired:
    """The ConfigMap. `text` is that of the instructions, None where there are none.

    Owners are not in it: they are people, and a change of owners is no reason to restart pods.
    """
    data = {HANDBOOK_KEY: _document(handbook)}
    if text is not None:
        data[INSTRUCTIONS_KEY] = text
    name = f"{meta.account_name(agent.name)}.{digest(data)[:10]}"
    manifest = common.header(ChildKind.CONFIG_MAP, agent, agent.namespace, name)
    manifest["immutable"] = True
    manifest["data"] = data
    return common.desired(manifest, owned(manifest))


def content_digest(desired: Desired) -> str:
    """SHA-256 of the content, as in status.handbook; the ConfigMap's name ends in its first ten digits."""
    return f"sha256:{digest(desired.manifest['data'])}"


def knowledge(handbook: EffectiveHandbook, text: str | None) -> str:
    """SHA-256 over what the handbook teaches: not over purpose, model and artifact, which no training is about.

    The order of entries does not matter.
    """
    rules = sorted((_wire(rule) for rule in handbook.rules), key=lambda rule: str(rule["name"]))
    sources = sorted((_wire(source) for source in handbook.knowledge_sources), key=lambda source: str(source["name"]))
    return f"sha256:{digest([text, rules, sources, sorted(handbook.prohibited)])}"


def owned(live: Mapping[str, Any]) -> str:
    """Digest of our labels, immutability and all content."""
    return common.owned_digest(live, live.get("immutable"), live.get("data"), live.get("binaryData"))


def _document(handbook: EffectiveHandbook) -> str:
    content = {
        "purpose": handbook.purpose,
        "model": handbook.model and _wire(handbook.model),
        "rules": [_wire(rule) for rule in handbook.rules],
        "knowledgeSources": [_wire(source) for source in handbook.knowledge_sources],
        "prohibited": list(handbook.prohibited),
    }
    if handbook.artifact:
        content["artifact"] = handbook.artifact
    return orjson.dumps(content, option=orjson.OPT_SORT_KEYS).decode()


def _wire(entry: Model) -> dict[str, Any]:
    return entry.model_dump(mode="json", by_alias=True, exclude_none=True)
