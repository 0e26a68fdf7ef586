"""Legal holds on archives: who holds one, and what becomes of the orders about that.

A Hold is in force while the object exists, and its AgentArchive lists it. It may go in two ways. Somebody who may
release deletes it, or orders so: then the entry goes first, and the object after it. Or its namespace goes, with all
that is in it: then the entry stays, and only a Release that names the archive ends it. A finalizer on the order keeps
the object until one of the two is on record.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from aiagent_operator.api.agentaction import ActionPhase
from aiagent_operator.api.conditions import Reason, Type, Verdict
from aiagent_operator.api.holds import MOST_HOLDS, HoldEntry
from aiagent_operator.core import texts
from aiagent_operator.core.archive.disposal import Hold
from aiagent_operator.core.archive.errors import ArchiveError
from aiagent_operator.core.order_facts import FINISHED, NAMED, Order, OrderPlan, carried_out, ended, reconciling
from aiagent_operator.core.untrusted import line

_LONGEST: Final = 200


@dataclass(frozen=True, slots=True)
class HeldArchive:
    """An archive as orders about it see it. `purged`: nothing is left of it to hold."""

    name: str
    holds: tuple[HoldEntry, ...] = ()
    purged: bool = False

    def lists(self, uid: str) -> HoldEntry | None:
        """What it says of the order with that UID."""
        return next((entry for entry in self.holds if entry.uid == uid), None)


def read(status: Mapping[str, Any], name: str) -> HeldArchive:
    """The archive by the status of its AgentArchive. Raises ArchiveError: nothing may be concluded from an entry that
    this version cannot read, and nothing destroyed."""
    try:
        holds = tuple(HoldEntry.model_validate(entry) for entry in status.get("holds") or ())
    except ValidationError as error:
        raise ArchiveError(
            f"AgentArchive {name}: status.holds cannot be read: let an operator of the version that wrote it run"
        ) from error
    return HeldArchive(name, holds, purged="purge" in status)


def entries(
    archive: HeldArchive, standing: Iterable[Order], lost: Collection[str], releases: Iterable[Order]
) -> tuple[HoldEntry, ...]:
    """Who holds the archive now.

    `standing` are the Holds about it that exist, `lost` the UIDs of those of them that go with their namespaces,
    `releases` the Releases that name it and are not carried out yet.
    """
    orders = {order.uid: order for order in standing}
    until = max((release.created for release in releases), default=None)
    found: dict[str, HoldEntry] = {}
    for entry in archive.holds:
        order = orders.pop(entry.uid, None)
        if order is not None and order.uid not in lost:
            if not order.deleting:
                found[entry.uid] = _entry(order)
        elif until is None or entry.since > until:
            found[entry.uid] = entry.model_copy(update={"orphaned": True})
    if archive.purged:
        return tuple(found.values())
    for order in sorted(orders.values(), key=lambda order: order.age):
        gone = order.uid in lost
        if (order.deleting and not gone) or (gone and until is not None and order.created <= until):
            continue
        if len(found) < MOST_HOLDS:
            found[order.uid] = _entry(order, orphaned=gone)
    return tuple(sorted(found.values(), key=lambda entry: (entry.since, entry.namespace, entry.order)))


def verdict(holds: Collection[HoldEntry]) -> Verdict | None:
    """The condition Held; None where nobody holds the archive."""
    if not holds:
        return None
    text = (
        f"Held by {texts.some(map(_named, holds), separator='; ')}: nothing of it is destroyed until all are released"
    )
    return Verdict(Type.HELD, True, Reason.HELD, text)


def in_force(holds: Iterable[HoldEntry]) -> tuple[Hold, ...]:
    """The holds as rules about destruction read them."""
    return tuple(
        Hold(f"{each.namespace}/{each.order}", each.by, each.since, each.ground, each.reason) for each in holds
    )


def settled(order: Order, archives: Iterable[HeldArchive], *, lost: bool, expected: bool) -> bool:
    """Whether an order that is deleted may go: what follows from that is on record.

    `lost`: it goes with its namespace. `expected`: agents that it is about are still there, whose archives are to come.
    """
    if not lost:
        return all(archive.lists(order.uid) is None for archive in archives)
    if expected:
        return False
    return all(archive.purged or _is_orphaned(archive.lists(order.uid)) for archive in archives)


def hold(order: Order, archives: Collection[HeldArchive]) -> OrderPlan:
    """What is true of a Hold."""
    purged = sorted(archive.name for archive in archives if archive.purged)
    kept = [archive for archive in archives if not archive.purged]
    waiting = [archive for archive in kept if archive.lists(order.uid) is None]
    late = f"; of {texts.some(purged, NAMED)} nothing is left, since it was purged before" if purged else ""
    if waiting:
        names = texts.some(sorted(archive.name for archive in waiting), NAMED)
        text = f"In force; waiting for AgentArchive {names} to list it{late}"
        if full := sorted(archive.name for archive in waiting if len(archive.holds) >= MOST_HOLDS):
            text += f"; {texts.some(full, NAMED)} has {MOST_HOLDS} holds, which is all that it can list: release one"
        verdicts = reconciling(Reason.WAITING_FOR_ARCHIVES, text)
    elif kept:
        names = texts.some(sorted(archive.name for archive in kept), NAMED)
        verdicts = (Verdict(Type.READY, True, Reason.IN_FORCE, f"In force: AgentArchive {names} is held{late}"),)
    else:
        text = f"In force, but there is no archive of {about(order)} yet: one that comes will be held{late}"
        verdicts = (Verdict(Type.READY, True, Reason.NO_ARCHIVE, text),)
    return OrderPlan(ActionPhase.IN_FORCE, verdicts, len(kept), len(kept) - len(waiting))


def release(order: Order, archives: Collection[HeldArchive], lifted: Collection[Order], *, expected: bool) -> OrderPlan:
    """What becomes of a Release. `lifted` are the Holds that it ends; `expected`: its agent is there."""
    count = len(archives)
    if ends := tuple(other for other in lifted if not other.deleting):
        names = texts.some([other.name for other in ends], NAMED)
        return OrderPlan(ActionPhase.PENDING, reconciling(Reason.RELEASING, f"Ending {names}"), count, 0, ends)
    going = {other.uid for other in lifted}
    waiting = [archive.name for archive in archives if any(_ends(order, entry, going) for entry in archive.holds)]
    if waiting:
        names = texts.some(sorted(waiting), NAMED)
        text = f"Waiting for AgentArchive {names} to forget the holds that have ended"
        verdicts = reconciling(Reason.WAITING_FOR_ARCHIVES, text)
        return OrderPlan(ActionPhase.PENDING, verdicts, count, count - len(waiting))
    if not (archives or expected or lifted):
        text = f"There is no archive of {about(order)}: name one that exists"
        return ended(ActionPhase.FAILED, Reason.NO_ARCHIVE, text, [])
    if left := sorted({_named(entry) for archive in archives for entry in archive.holds}):
        text = (
            f"Still held by {texts.some(left, NAMED, '; ')}: order Release with the agentRef or archiveRef "
            "that it has, or where its AgentAction has gone, with archiveRef"
        )
        return ended(ActionPhase.FAILED, Reason.STILL_HELD, text, [])
    names = texts.some(sorted(archive.name for archive in archives), NAMED) or f"what comes of {about(order)}"
    done = carried_out(f"No order holds {names} any more", [])
    return OrderPlan(done.phase, done.verdicts, count, count)


def about(order: Order) -> str:
    """Whom or what the order is about."""
    if order.spec.archive_ref is not None:
        return f"the name {order.spec.archive_ref.name}"
    return f"an AIAgent {order.namespace}/{order.spec.agent_ref.name if order.spec.agent_ref else ''}"


def is_open(order: Order) -> bool:
    """Whether a Release is still to be carried out."""
    return order.phase not in FINISHED


def _ends(order: Order, entry: HoldEntry, going: Collection[str]) -> bool:
    named = order.spec.archive_ref is not None
    return entry.uid in going or (named and _is_orphaned(entry) and entry.since <= order.created)


def _is_orphaned(entry: HoldEntry | None) -> bool:
    return entry is not None and entry.orphaned is True


def _named(entry: HoldEntry) -> str:
    why = f"{entry.ground}: {line(entry.reason, _LONGEST)}"
    gone = ", which has gone" if entry.orphaned else ""
    return f"AgentAction {entry.namespace}/{entry.order}{gone} of {line(entry.by, _LONGEST)} ({why})"


def _entry(order: Order, *, orphaned: bool = False) -> HoldEntry:
    if order.spec.ground is None:
        raise ValueError(f"AgentAction {order.namespace}/{order.name} is no Hold: it has no ground")
    return HoldEntry(
        uid=order.uid,
        namespace=order.namespace,
        order=order.name,
        by=order.spec.requested_by,
        since=order.created,
        ground=order.spec.ground,
        reason=order.spec.reason,
        orphaned=orphaned or None,
    )
