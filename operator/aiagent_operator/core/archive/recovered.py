"""What AgentArchives that are made anew say of what was destroyed, by the records of that in the archives' folders."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from aiagent_operator.api.agentarchive import (
    AgentArchiveStatus,
    ArchivePhase,
    CertificateSummary,
    ErasureStatus,
    PurgeStatus,
)
from aiagent_operator.api.conditions import merge
from aiagent_operator.api.tombstone import Tombstone
from aiagent_operator.core import texts
from aiagent_operator.core.archive import index, purging
from aiagent_operator.core.archive.errors import ArchiveError
from aiagent_operator.core.archive.retention import Retention


def erased(stone: Tombstone, now: datetime) -> dict[str, Any]:
    """What an AgentArchive that is made anew says of an erasure, once somebody has seen that there is no key. Raises
    ArchiveError."""
    if stone.order is None:
        raise ArchiveError(f"the erasure of {stone.archive} has no order: find out who wrote that")
    namespace, _, order = stone.order.name.rpartition("/")
    said = ErasureStatus(
        uid=stone.order.uid,
        namespace=namespace or "unknown",
        order=order,
        by=stone.order.by,
        reason=stone.reason,
        start_time=stone.at,
        completion_time=now,
    )
    return {"erasure": said.model_dump(mode="json", by_alias=True, exclude_none=True)}


def purged(stone: Tombstone, certificate: CertificateSummary | None, now: datetime, *, ended: bool) -> dict[str, Any]:
    """What is true of a purged one that is made anew. `ended`: nothing was left of it to remove."""
    found = AgentArchiveStatus(
        observed_generation=1,
        phase=ArchivePhase.PURGED if ended else ArchivePhase.CERTIFIED if certificate else ArchivePhase.SEALED,
        certificate=certificate,
        purge=PurgeStatus(start_time=stone.at, completion_time=now if ended else None),
    )
    said = found.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"holds"})
    # Until when, is all that is said of it.
    kept = Retention(stone.retention.until, timedelta(), stone.retention.sources)
    verdicts = purging.verdicts(kept, stone.at) if ended else purging.unfinished(stone.at)
    signed = index.standing(certified=certificate is not None)[2]
    return {**said, "conditions": merge((), (*verdicts, signed), 1, texts.moment(now))}
