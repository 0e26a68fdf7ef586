"""How far the rollout of an agent is, as the agent's own status keeps it: of which revision, and by which order.

What was done about orders is kept while these stand, also after the rollout that they were about.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from aiagent_operator.api.rolloutstatus import MOST_ORDERS, RolloutOrderStatus
from aiagent_operator.core.rollout import stored
from aiagent_operator.core.rollout.course import course
from aiagent_operator.core.rollout.decision import Carried, Decision, RolloutStatus
from aiagent_operator.core.rollout.facts import Facts, RolloutOrder


@dataclass(frozen=True, slots=True)
class Moved:
    """What Services are asked to say, and since when."""

    traffic: str
    since: datetime

    def dump(self) -> dict[str, str]:
        """As the status has it."""
        return {"traffic": self.traffic, "trafficSince": stored.written(self.since)}


@dataclass(frozen=True, slots=True)
class Standing:
    """What is kept. `revision` is None where none takes over; `order` is the UID of the Rollback by which it does.

    `began`: when it was first seen to take over, which tells its evaluations from those of another time. `traffic`
    identifies what Services were last asked to say, `since` when.
    """

    revision: int | None = None
    order: str = ""
    status: RolloutStatus = field(default_factory=RolloutStatus)
    traffic: str = ""
    since: datetime | None = None
    began: str = ""

    def moved(self, traffic: str, now: datetime) -> Moved:
        """What is asked for now, and since when."""
        known = self.since is not None and self.traffic == traffic
        return Moved(traffic, min(self.since or now, now) if known else now)


def read(status: Mapping[str, Any]) -> Standing:
    """From the status of an agent. Raises stored.StoredRolloutError for what cannot be read."""
    raw = status.get("rollout")
    if not raw:
        return Standing()
    since = raw.get("trafficSince")
    return Standing(
        raw.get("revision"),
        raw.get("order", ""),
        stored.load(raw),
        raw.get("traffic", ""),
        stored.moment(since) if since else None,
        raw.get("startedAt", ""),
    )


def begun(found: Standing, revision: int, order: str) -> RolloutStatus:
    """The status of the rollout of this revision, by this order: what is kept, or that of one that begins now.

    One by order has no steps: whoever goes back wants the way to be short. Its pods must become ready all the same.
    """
    if (found.revision, found.order) == (revision, order):
        return found.status
    return RolloutStatus(full=bool(order), orders=found.status.orders)


def began(found: Standing, revision: int, order: str, now: datetime) -> str:
    """When the rollout of this revision, by this order, began: now, where it is not the one that is kept."""
    same = (found.revision, found.order) == (revision, order)
    return found.began if same and found.began else stored.written(now)


def under_way(f: Facts, order: str, since: str, decision: Decision, moved: Moved | None) -> dict[str, Any]:
    """What the agent's status is to say of a rollout."""
    steps = {"steps": len(course(f.spec))} if f.stable is not None else {}
    return {
        "revision": f.candidate.revision,
        **({"order": order} if order else {}),
        "startedAt": since,
        **steps,
        **stored.dump(decision.status),
        **(moved.dump() if moved else {}),
        "waitsFor": decision.wait.what.value,
    }


def acknowledged(status: RolloutStatus, orders: Iterable[RolloutOrder], done: Mapping[str, str]) -> RolloutStatus:
    """The status, with orders that were carried out before it began; `done` says what was done, by UID of the order."""
    known = {carried.uid for carried in status.orders}
    new = [Carried(order.uid, True, done[order.uid]) for order in orders if order.uid in done.keys() - known]
    return replace(status, orders=(*status.orders, *new)[:MOST_ORDERS]) if new else status


def over(
    found: Standing,
    orders: Iterable[RolloutOrder],
    text: str,
    moved: Moved | None = None,
    done: Mapping[str, str] | None = None,
) -> dict[str, Any] | None:
    """What it is to say where no revision takes over by steps; None where nothing. `text` is why new orders fail, but
    for those in `done`, which says by UID what was done.

    `moved` is kept while pods of those who have lost requests wait for the delay.
    """
    there = {order.uid: order for order in orders}
    kept = {carried.uid: carried for carried in found.status.orders if carried.uid in there}
    room = MOST_ORDERS - len(kept)
    made = done or {}
    unseen = [uid for uid in sorted(there) if uid not in kept][:room]
    new = {uid: Carried(uid, uid in made, made.get(uid, text)) for uid in unseen}
    if not kept and not new and moved is None:
        return None
    return stored.dump(RolloutStatus(orders=(*kept.values(), *new.values()))) | (moved.dump() if moved else {})


def acted(status: Mapping[str, Any]) -> frozenset[str]:
    """UIDs of the orders that something was done about, as the status of an agent says."""
    return frozenset(entry.get("uid", "") for entry in (status.get("rollout") or {}).get("orders") or ())


def carried(status: Mapping[str, Any]) -> dict[str, RolloutOrderStatus]:
    """What was done about orders, by their UIDs, as the status of an agent says."""
    raw = (status.get("rollout") or {}).get("orders") or ()
    return {entry["uid"]: RolloutOrderStatus.model_validate(entry) for entry in raw}
