"""Orders to erase what is personal in an archive: whether that may be done, what is on record, and what comes of them.

Evidence for Regulation (EU) 2016/679 (GDPR), Art. 17(1). The decision is on record first, and from then on it is
brought to its end: `erasure.json` in the store says what is erased, then the key is destroyed, and seen to be gone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aiagent_operator.api.agentaction import ActionPhase
from aiagent_operator.api.agentarchive import AgentArchiveSpec, ErasureStatus
from aiagent_operator.api.conditions import Reason, Type, Verdict
from aiagent_operator.api.holds import HoldEntry
from aiagent_operator.api.tombstone import Destroyed
from aiagent_operator.api.tombstone import Order as OrderGiven
from aiagent_operator.core.archive import disposal, holding, retention
from aiagent_operator.core.archive.disposal import Obstacle, Standing
from aiagent_operator.core.archive.tombstone import Destruction
from aiagent_operator.core.order_facts import Order, OrderPlan, carried_out, ended, reconciling

_WHY = {
    Obstacle.HELD: Reason.STILL_HELD,
    Obstacle.NOTHING_PERSONAL: Reason.NOTHING_TO_ERASE,
    Obstacle.ALREADY_ERASED: Reason.NOTHING_TO_ERASE,
    Obstacle.ALREADY_PURGED: Reason.NOTHING_TO_ERASE,
}


@dataclass(frozen=True, slots=True)
class Erasable:
    """An archive as an order to erase sees it. `holds`: who holds it now, also those that it does not list yet."""

    name: str
    spec: Mapping[str, Any]
    status: Mapping[str, Any]
    holds: tuple[HoldEntry, ...] = ()

    @property
    def erasure(self) -> Mapping[str, Any]:
        """What is on record of an erasure."""
        return self.status.get("erasure") or {}


def decide(order: Order, archive: Erasable | None) -> OrderPlan | None:
    """What becomes of the order as far as that is on record; None where it is for `refused` to say."""
    if archive is None:
        name = order.spec.archive_ref.name if order.spec.archive_ref else ""
        return _failed(Reason.NO_ARCHIVE, f"There is no AgentArchive {name}: name one that exists")
    if archive.erasure.get("uid") != order.uid:
        return None
    if at := archive.erasure.get("completionTime"):
        text = f"What was personal in {archive.name} is erased: at {at} its key was gone. Destroy its backups too"
        done = carried_out(text, [])
        return OrderPlan(done.phase, done.verdicts, 1, 1)
    waits = next(
        (c["message"] for c in archive.status.get("conditions") or () if c["reason"] == Reason.ERASING.value),
        f"What is personal in {archive.name} is being erased",
    )
    return OrderPlan(ActionPhase.PENDING, reconciling(Reason.ERASING, waits), 1, begun=True)


def refused(archive: Erasable, keys: tuple[str, ...]) -> OrderPlan | None:
    """The end of an order that may not be carried out; None where it may. `keys` are those of the personal payload."""
    spec = AgentArchiveSpec.model_validate(archive.spec)
    purge, said = archive.status.get("purge") or {}, archive.erasure
    standing = Standing(
        archive.name,
        retention.recorded(spec.retention, spec.created),
        holding.in_force(archive.holds),
        keys,
        datetime.fromisoformat(said["startTime"]) if said else None,
        datetime.fromisoformat(purge["startTime"]) if purge else None,
    )
    found = disposal.permitted(standing, spec.created).refusal(Destroyed.ERASED)
    return None if found is None else _failed(_WHY[found.obstacle], found.message)


def again(name: str) -> OrderPlan:
    """Somebody else has written to the archive meanwhile."""
    text = f"What is personal in {name} is about to be erased"
    return OrderPlan(ActionPhase.PENDING, reconciling(Reason.ERASING, text), 1, requeue_after=1.0)


def begun(order: Order, now: str) -> dict[str, Any]:
    """What stands in the status of the AgentArchive before anything is destroyed."""
    said = ErasureStatus(
        uid=order.uid,
        namespace=order.namespace,
        order=order.name,
        by=order.spec.requested_by,
        reason=order.spec.reason,
        start_time=datetime.fromisoformat(now),
    )
    return said.model_dump(mode="json", by_alias=True, exclude_none=True)


def destruction(raw: Mapping[str, Any], said: ErasureStatus) -> Destruction:
    """What `erasure.json` says, the same whoever writes it. `raw`: spec of the AgentArchive."""
    spec = AgentArchiveSpec.model_validate(raw)
    given = OrderGiven(name=f"{said.namespace}/{said.order}", uid=said.uid, by=said.by)
    return Destruction(said.start_time, said.reason, retention.recorded(spec.retention, spec.created), given)


def waits(why: str) -> Verdict:
    """It was begun, and something keeps it from its end."""
    text = f"What is personal in it is being erased, and that waits: {why}"
    return Verdict(Type.RECONCILING, True, Reason.ERASING, text)


def done(said: Mapping[str, Any]) -> Verdict:
    """The key is gone."""
    text = (
        f"What was personal in it was erased, by AgentAction {said['namespace']}/{said['order']}: its key is gone "
        f"since {said['completionTime']}. Backups of the key, such as snapshots of etcd, have to go too"
    )
    return Verdict(Type.ERASED, True, Reason.ERASED, text)


def _failed(reason: Reason, text: str) -> OrderPlan:
    plan = ended(ActionPhase.FAILED, reason, text, [])
    return OrderPlan(plan.phase, plan.verdicts, 1)
