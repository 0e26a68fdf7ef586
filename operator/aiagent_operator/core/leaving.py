"""Whether an agent leaves, why and how: because it is deleted, or by an order that is in force.

Nothing about it is remembered: the moments follow from the deletion and the orders, so whoever looks sees the same. But
an agent whose journal has ended does not come back, whatever becomes of the order: its archive is of that end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from aiagent_operator.api import durations
from aiagent_operator.api.archive import LeaveReason, Mode
from aiagent_operator.api.retirement import DRAIN
from aiagent_operator.core import succession, texts
from aiagent_operator.core.archive.steps import Step
from aiagent_operator.core.order_facts import Order
from aiagent_operator.core.plan import Observed


@dataclass(frozen=True, slots=True)
class Leave:
    """How an agent leaves. `rights_end`: when its rights end at the latest. `order`: the first one that is in force."""

    reason: LeaveReason
    mode: Mode
    began: datetime
    rights_end: datetime
    order: Order | None = None
    deleted: bool = False


def look(o: Observed) -> Leave | None:
    """How the agent leaves; None while it stays."""
    known = _known(o)
    deletion = o.agent.metadata.deletion_timestamp
    orders = in_force(o.offboards, o.moment)
    ends = [(order.begins, order.begins + _drain(o, order)) for order in orders]
    if deletion:
        deleted = datetime.fromisoformat(deletion)
        ends.append((deleted, deleted + (_asked(o) or timedelta())))
    if not ends:
        if not irrevocable(o.agent.status):
            return None
        ends = [(o.now, o.now)]
    began = min(began for began, _ in ends)
    # In a namespace that goes, what has rights elsewhere goes within seconds, and nothing is waited for.
    rights_end = began if o.terminating else min([end for _, end in ends] + _promised(known, orders, deletion))
    hurry = any(order.spec.offboarding and order.spec.offboarding.mode is Mode.EMERGENCY for order in orders)
    mode = Mode.PLANNED if rights_end > began and not hurry else Mode.EMERGENCY
    if "mode" in known and Step.REVOKE in done(o.agent.status):
        # Its rights have ended, and how they did stays as it was, whatever was ordered later.
        mode = Mode(known["mode"])
    order = orders[0] if orders else None
    return Leave(_reason(order, known), mode, began, rights_end, order, deletion is not None)


def in_force(orders: Iterable[Order], now: datetime) -> list[Order]:
    """Those of the orders to offboard whose notice is over, the first one first."""
    return sorted((order for order in orders if order.begun(now)), key=lambda order: (order.begins, order.name))


def notice(orders: Iterable[Order], now: datetime) -> float | None:
    """Seconds until the next of the orders begins; None where none will."""
    return min(((order.begins - now).total_seconds() for order in orders if not order.begun(now)), default=None)


def irrevocable(status: Mapping[str, Any]) -> bool:
    """Whether the agent's journal has ended, or its archive is made, or a volume, or what else it leaves, is captured
    for it, or it was abandoned: nothing brings back what is on record as ended."""
    closed = (status.get("journal") or {}).get("closed") is True
    archive = status.get("archive") or {}
    # A volume is captured once, and that of an agent that went on working would be another one; so is the rest.
    begun = archive.get("manifests") or archive.get("capturing") or archive.get("abandoned")
    return closed or bool(begun) or completed(status)


def employed(status: Mapping[str, Any]) -> bool:
    """Whether anything was ever done for the agent, or said of it beside that it is not hired."""
    return any(status.get(field) for field in ("phase", "journal", "inventory", "archive", "offboarding"))


def completed(status: Mapping[str, Any]) -> bool:
    """Whether it has left, and nothing of it is there any more but its object."""
    return bool((status.get("offboarding") or {}).get("completionTime"))


def done(status: Mapping[str, Any]) -> frozenset[str]:
    """Names of the steps that were seen to be done."""
    return frozenset(step.get("name", "") for step in (status.get("offboarding") or {}).get("steps") or ())


def fields(o: Observed, leave: Leave, steps: Mapping[Step, str], *, completed: bool = False) -> dict[str, Any]:
    """`status.offboarding`: how it leaves. `steps` that are done now, with what is to be known of each."""
    known = _known(o)
    before = {step["name"]: step for step in known.get("steps") or ()}
    told = [
        before.get(step.value) or {"name": step.value, "completionTime": o.time} | _said(message)
        for step, message in steps.items()
    ]
    stays = known if leave.order is None and not leave.deleted else {}
    said: dict[str, Any] = {
        "reason": leave.reason.value,
        "mode": leave.mode.value,
        "startTime": stays.get("startTime") or texts.moment(leave.began),
        "rightsEnd": stays.get("rightsEnd") or texts.moment(leave.rights_end),
        "steps": told,
    }
    if leave.order is not None:
        said["order"] = {"name": leave.order.name, "uid": leave.order.uid}
    elif "order" in known:
        said["order"] = known["order"]
    if handed := succession.handed(o) or known.get("handover"):
        said["handover"] = handed
    if completed:
        said["completionTime"] = known.get("completionTime") or o.time
    return said


def _said(message: str) -> dict[str, str]:
    return {"message": message[:1024]} if message else {}


def _known(o: Observed) -> Mapping[str, Any]:
    return o.agent.status.get("offboarding") or {}


def _promised(known: Mapping[str, Any], orders: Iterable[Order], deletion: str | None) -> list[datetime]:
    """Until when it was said that it has its rights, where that is of the same deletion, or of an order that is still
    in force: an author who edits the spec meanwhile may end them sooner, and never later."""
    by = (known.get("order") or {}).get("uid")
    same = "rightsEnd" in known and (by in {order.uid for order in orders} if by else bool(deletion))
    return [datetime.fromisoformat(known["rightsEnd"])] if same else []


def _reason(order: Order | None, known: Mapping[str, Any]) -> LeaveReason:
    if order is not None and order.spec.offboarding is not None:
        return order.spec.offboarding.reason
    # A deletion gives no reason.
    return LeaveReason(known.get("reason") or LeaveReason.BUSINESS)


def _drain(o: Observed, order: Order) -> timedelta:
    how = order.spec.offboarding
    if how is None or how.mode is Mode.EMERGENCY:
        return timedelta()
    asked = _asked(o)
    return DRAIN if asked is None else asked


def _asked(o: Observed) -> timedelta | None:
    """What the spec says; None where it says nothing."""
    retirement = o.agent.spec.retirement
    if retirement is None or retirement.drain_timeout is None:
        return None
    return durations.parse(retirement.drain_timeout, "spec.retirement.drainTimeout")
