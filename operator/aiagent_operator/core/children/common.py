"""What all children have in common: their metadata, and how it is read back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from aiagent_operator.api import meta
from aiagent_operator.core.objects import AgentIdentity, ChildKind, Desired, Manifest, ObjectKey, digest

OWN_LABELS: Final = (meta.LABEL_AGENT, meta.LABEL_AGENT_NAMESPACE, meta.LABEL_AGENT_UID, meta.LABEL_MANAGED_BY)


def header(kind: ChildKind, agent: AgentIdentity, namespace: str, name: str) -> Manifest:
    """apiVersion, kind and metadata of a child. No ownerReference: offboarding removes children in its own order."""
    labels = meta.child_labels(agent.name, agent.namespace, agent.uid) | {meta.LABEL_MANAGED_BY: meta.MANAGER}
    return {
        "apiVersion": kind.api_version,
        "kind": kind.value,
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
    }


def desired(manifest: Manifest, owned: str) -> Desired:
    """The child with its key read from the manifest."""
    metadata = manifest["metadata"]
    key = ObjectKey(ChildKind(manifest["kind"]), metadata["namespace"], metadata["name"])
    return Desired(key, manifest, owned)


def owned_digest(live: Mapping[str, Any], *parts: object) -> str:
    """Digest of our labels on the object and of the parts given. Labels that others add are theirs."""
    labels = live["metadata"].get("labels") or {}
    return digest([[labels.get(label) for label in OWN_LABELS], *parts])
