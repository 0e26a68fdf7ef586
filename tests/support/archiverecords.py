"""AgentArchives for tests: the record of the archive that `support.archives` makes."""

from __future__ import annotations

from typing import Any

from aiagent_operator.api import meta
from aiagent_operator.api.agentarchive import SHOWN_GAPS, AgentArchiveSpec, ManifestSummary
from aiagent_operator.api.archive import FormerAgent
from aiagent_operator.core.archive import layout, manifest, wire
from support import archives
from support.kube import Kube, Object

PLURAL = "agentarchives"
ALLOW_DELETION = "workforce.dev/allow-record-deletion"


def spec(data: bytes = b"") -> AgentArchiveSpec:
    """What is recorded of the archive with this manifest; without one, of the example of docs/archives.md."""
    data = data or archives.example().manifest
    about = manifest.read(data)
    gaps = about.not_captured
    return AgentArchiveSpec(
        agent=FormerAgent.model_validate(about.agent.model_dump()),
        store="local",
        path=layout.Layout(about.agent.uid, about.archive).prefix,
        manifest=ManifestSummary(
            digest=wire.digest(data), items=len(about.items), size=sum(item.size for item in about.items)
        ),
        created=about.created,
        reason=about.reason,
        mode=about.mode,
        journal=about.journal,
        retention=about.retention,
        not_captured=gaps[:SHOWN_GAPS],
        not_captured_more=len(gaps) - SHOWN_GAPS if len(gaps) > SHOWN_GAPS else None,
        lineage=about.lineage,
    )


def wired(found: AgentArchiveSpec) -> Any:
    """As it is sent to the API server."""
    return found.model_dump(mode="json", by_alias=True, exclude_none=True)


def record(name: str) -> Object:
    """The whole object."""
    return {
        "apiVersion": meta.API_VERSION,
        "kind": "AgentArchive",
        "metadata": {"name": name},
        "spec": wired(spec()),
    }


def mark(admin: Kube, name: str, value: str) -> Object:
    """Put the annotation there that lets the object be deleted, where it is the object's name."""
    return admin.patch(meta.API_VERSION, PLURAL, name, {"metadata": {"annotations": {ALLOW_DELETION: value}}})


def clear(admin: Kube, name: str) -> None:
    """Delete the object, by the one way that there is; nothing where it is gone."""
    if admin.find(meta.API_VERSION, PLURAL, name):
        mark(admin, name, name)
        admin.delete(meta.API_VERSION, PLURAL, name)
