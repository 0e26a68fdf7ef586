"""An adopted workload as it is seen: what of it is the operator's, who has it, and the requests that change it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from aiagent_operator.api import meta
from aiagent_operator.core.objects import Manifest

LABELS: Final = (meta.LABEL_AGENT, meta.LABEL_AGENT_NAMESPACE, meta.LABEL_AGENT_UID)
PRIOR: Final = (meta.ANNOTATION_PRIOR_ACCOUNT, meta.ANNOTATION_PRIOR_MANAGER)


class PatchType(StrEnum):
    """Content types of a PATCH request."""

    MERGE = "application/merge-patch+json"
    APPLY = "application/apply-patch+yaml"


@dataclass(frozen=True, slots=True)
class Patch:
    """One PATCH of the target. The body names a resourceVersion: it changes what was looked at, or nothing (409)."""

    type: PatchType
    body: Manifest
    manager: str = meta.MANAGER
    force: bool = False

    @property
    def apply(self) -> bool:
        """Whether it is a server-side apply."""
        return self.type is PatchType.APPLY


@dataclass(frozen=True, slots=True)
class Conflict:
    """Somebody else sets a field that the agent needs; nothing is written."""

    field: str
    manager: str
    message: str


def claim(live: Mapping[str, Any]) -> str:
    """UID of the agent that has the target; empty when none has."""
    return str((live["metadata"].get("annotations") or {}).get(meta.ANNOTATION_CLAIMED_BY, ""))


def is_template_made(live: Mapping[str, Any]) -> bool:
    """Whether the workload is the operator's own, made from a template. Its selector says so, which nobody can edit."""
    return meta.LABEL_AGENT_UID in (live["spec"]["selector"].get("matchLabels") or {})


def is_ours(entry: Mapping[str, Any]) -> bool:
    """Whether a volume, or a mount of one, is the operator's: the prefix is reserved for it."""
    return str(entry.get("name", "")).startswith(meta.VOLUME_PREFIX)


def name_of(live: Mapping[str, Any]) -> str:
    """The target as people name it."""
    metadata = live["metadata"]
    return f"{live.get('kind', 'target')} {metadata['namespace']}/{metadata['name']}"


def head(live: Mapping[str, Any]) -> Manifest:
    """Identity of the target for a patch: exactly this version of exactly this object."""
    metadata = live["metadata"]
    return {name: metadata[name] for name in ("name", "namespace", "uid", "resourceVersion")}
