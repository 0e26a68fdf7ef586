"""What the journal has to say of itself: the store knew more than the status, or holds another chain.

The cause of such a record is the head that was told and where it stands, so that a second writer, or the same one after
a crash, knows that it is said already.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from aiagent_operator.core.journal.event import Event
from aiagent_operator.core.journal.head import Head
from aiagent_operator.core.journal.kinds import Kind

OWN: Final = frozenset({Kind.RECOVERED, Kind.FORKED})


def recovered(told: Head, found: Head, now: datetime) -> Event:
    """The status told of one head, and the store's chain went on from it to the other."""
    _, cause = recovery_key(told, found.sequence)
    return Event(Kind.RECOVERED, cause, now, {"told": _written(told), "found": _written(found)})


def forked(told: Head, stored: Head, found: Head, now: datetime) -> Event:
    """The status told of a head that the store's chain does not go on from.

    `stored` is what the store has with this sequence, if it has anything; `found` the tail of its chain.
    """
    _, cause = fork_key(told, found.sequence)
    data = {"told": _written(told), "stored": _written(stored), "found": _written(found)}
    return Event(Kind.FORKED, cause, now, data)


def recovery_key(told: Head, found: int) -> tuple[str, str]:
    """Type and cause of the Recovered that follows the record `found`."""
    return Kind.RECOVERED.type, f"{told.sequence}/{found}"


def fork_key(told: Head, found: int) -> tuple[str, str]:
    """Type and cause of the Forked that follows the record `found`; heads of several branches may have one sequence."""
    return Kind.FORKED.type, f"{told.sequence}/{told.digest or 'none'}/{found}"


def say_recovered(who: str, told: Head, unknown: int, head: Head) -> str:
    """For the status: what was found, and that it may have been a restored cluster."""
    records = "1 record" if unknown == 1 else f"{unknown} records"
    return (
        f"{who}: its status told of the journal up to record {told.sequence}, and the store holds {records} more, all "
        f"unknown to this writer: they are kept, and the journal is at record {head.sequence}. Either another writer "
        "was faster, or the cluster was restored from an older backup: then compare the agent with its journal"
    )


def say_forked(who: str, why: str, head: Head) -> str:
    """For the status: which of two chains goes on, and who has to look."""
    return (
        f"{who}: the journal in the store is not the one that its status told of: {why}. It goes on in the store, "
        f"at record {head.sequence} now, with both heads in its record Forked. Find out who restored the store or "
        "wrote to it, and verify the journal"
    )


def say_stuck(who: str, why: str) -> str:
    """For the status: nothing can be settled with what the store says."""
    return f"{who}: its journal cannot go on: {why}. Nothing is lost; look at the store, it is tried again later"


def _written(head: Head) -> dict[str, Any]:
    return {"sequence": head.sequence, "digest": head.digest}
