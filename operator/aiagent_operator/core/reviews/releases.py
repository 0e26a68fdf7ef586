"""Orders to Promote that are about findings: who lets other revisions take over in spite of what was found.

Such an order releases what had been found when it was given, and nothing else: no pause of a rollout, and nothing that
is found later. The release is written on the record of the run, by one order of several; then the order is carried out,
which is remembered where that of orders about rollouts is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from aiagent_operator.core import texts
from aiagent_operator.core.evaluation.evaluating import facts
from aiagent_operator.core.objects import Child
from aiagent_operator.core.plan import Observed, Write, report
from aiagent_operator.core.rollout.facts import OrderKind, RolloutOrder

_LONGEST = 2048


@dataclass(frozen=True, slots=True)
class Ordered:
    """What orders do about findings. `mine`: UIDs of those that have yet to release some; `carried`: of those that
    have, with what they did."""

    writes: tuple[Write, ...] = ()
    mine: frozenset[str] = frozenset()
    carried: tuple[tuple[str, str], ...] = ()


def of(orders: Sequence[RolloutOrder], findings: Sequence[Child], known: Iterable[Child], now: str) -> Ordered:
    """What these orders do. `findings` are those that stand, `known` all runs of the agent; `now` is RFC 3339."""
    promotes = [order for order in orders if order.kind is not OrderKind.ABORT]
    standing = [child for child in findings if not facts(child).released and not child.deleting]
    owed = {order.uid: [c for c in standing if facts(c).completed <= order.given] for order in promotes}
    first = next((order for order in promotes if owed[order.uid]), None)
    writes = [report(child, {"released": _release(first, now)}) for child in owed[first.uid]] if first else []
    released = [child for child in known if facts(child).released]
    done = [(o.uid, _done(mine)) for o in promotes if not owed[o.uid] and (mine := _by(o, released))]
    return Ordered(tuple(writes), frozenset(uid for uid, found in owed.items() if found), tuple(done))


def remembered(o: Observed, carried: Iterable[tuple[str, str]]) -> Observed:
    """What is observed, with these orders as carried out: they do nothing more, and what they did is not lost."""
    rollout = o.agent.status.get("rollout") or {}
    known = rollout.get("orders") or []
    uids = {entry["uid"] for entry in known}
    new = [{"uid": uid, "done": True, "message": text} for uid, text in carried if uid not in uids]
    if not new:
        return o
    status = {**o.agent.status, "rollout": {**rollout, "orders": [*known, *new]}}
    return replace(o, agent=o.agent.model_copy(update={"status": status}))


def _release(order: RolloutOrder, now: str) -> dict[str, str]:
    return {"uid": order.uid, "by": order.text[:_LONGEST], "time": now}


def _by(order: RolloutOrder, released: Iterable[Child]) -> list[Child]:
    """The findings that the order has released, or that another one had while it waited for the same."""
    found = []
    for child in released:
        its = facts(child)
        if its.released == order.uid or its.completed <= order.given <= its.released_at:
            found.append(child)
    return found


def _done(released: Iterable[Child]) -> str:
    names = texts.some([child.key.name for child in released], 4)
    return f"other revisions may take over in spite of what was found by {names}"
