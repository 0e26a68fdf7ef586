"""The AgentArchive of an archive: its index in the cluster, made of its manifest."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from aiagent_operator.api import meta
from aiagent_operator.api.agentarchive import (
    SHOWN_GAPS,
    AgentArchiveSpec,
    AgentArchiveStatus,
    ArchivePhase,
    CertificateSummary,
    ManifestSummary,
    Verification,
)
from aiagent_operator.api.archive import FormerAgent, Lineage, Manifest
from aiagent_operator.api.conditions import Reason, Type, Verdict, merge
from aiagent_operator.api.fields import Model
from aiagent_operator.core import texts
from aiagent_operator.core.objects import AgentIdentity, digest


def name(agent: AgentIdentity) -> str:
    """Name of the archive of an agent, and of its AgentArchive: always the same, whoever makes it."""
    return f"{agent.namespace}.{agent.name}.{digest(agent.uid)[:8]}"


def build(manifest: Manifest, manifest_digest: str, *, store: str, path: str) -> dict[str, Any]:
    """The AgentArchive. `path` is the archive's folder in the store."""
    gaps, agent = manifest.not_captured, manifest.agent
    spec = AgentArchiveSpec(
        agent=FormerAgent(namespace=agent.namespace, name=agent.name, uid=agent.uid, role=agent.role),
        store=store,
        path=path,
        manifest=ManifestSummary(digest=manifest_digest, items=len(manifest.items), size=_size(manifest)),
        created=manifest.created,
        reason=manifest.reason,
        mode=manifest.mode,
        journal=manifest.journal,
        retention=manifest.retention,
        not_captured=gaps[:SHOWN_GAPS],
        not_captured_more=max(0, len(gaps) - SHOWN_GAPS) or None,
        lineage=manifest.lineage if manifest.lineage != Lineage() else None,
    )
    return body(manifest.archive, spec)


def body(name: str, spec: AgentArchiveSpec) -> dict[str, Any]:
    """The AgentArchive with that spec."""
    return {
        "apiVersion": meta.API_VERSION,
        "kind": "AgentArchive",
        "metadata": {"name": name, "labels": {meta.LABEL_MANAGED_BY: meta.MANAGER}},
        "spec": _dumped(spec),
    }


def status(
    manifest: Manifest, verified_at: datetime, certificate: CertificateSummary | None, now: datetime
) -> dict[str, Any]:
    """What is true of it once all was read back; `certificate`: where there is a key."""
    found = AgentArchiveStatus(
        observed_generation=1,
        phase=ArchivePhase.CERTIFIED if certificate else ArchivePhase.SEALED,
        verification=Verification(last_time=verified_at, files=len(manifest.items), size=_size(manifest)),
        certificate=certificate,
        # By the rules with which it was sealed, until somebody looks whether others hold by now.
        retained_until=manifest.retention.until,
    )
    # Who holds it, and its end, are not said here.
    said = found.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"holds", "purge", "erasure"})
    return {
        **said,
        "conditions": merge((), standing(certified=certificate is not None), 1, texts.moment(now)),
    }


def standing(*, certified: bool) -> tuple[Verdict, Verdict, Verdict]:
    """Ready, Verified and Certified of an archive that was read whole; `certified`: where there was a key."""
    read = Verdict(Type.VERIFIED, True, Reason.READ_BACK, "All files were read back, and their digests agree")
    if certified:
        signed = Verdict(Type.CERTIFIED, True, Reason.CERTIFIED, "The certificate of decommission is in the store")
        return Verdict(Type.READY, True, Reason.CERTIFIED, "Archived, read back and certified"), read, signed
    text = (
        "No certificate of decommission: the operator had no key to sign it with. Give it one for the agents that "
        "leave later (values archive.signingSecret)"
    )
    unsigned = Verdict(Type.CERTIFIED, False, Reason.NO_SIGNING_KEY, text)
    return (
        Verdict(Type.READY, True, Reason.READ_BACK, "Archived and read back; there is no certificate"),
        read,
        unsigned,
    )


def _size(manifest: Manifest) -> int:
    return sum(item.size for item in manifest.items)


def _dumped(model: Model) -> dict[str, Any]:
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)
