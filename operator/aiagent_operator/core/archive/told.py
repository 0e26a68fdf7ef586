"""The journal in an archive: whether its chain holds, and ends where the manifest says that it does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from aiagent_operator.api.archive import Item, Manifest
from aiagent_operator.core.archive import layout
from aiagent_operator.core.journal.chain import Entry, verify
from aiagent_operator.core.journal.head import START, Head, HeadError


@dataclass(frozen=True, slots=True)
class Told:
    """How many records hold, and the last of them. `fault` says what is wrong, and is empty where nothing is."""

    records: int
    head: Head
    fault: str = ""


def item(about: Manifest) -> Item | None:
    """The item that is the journal, perhaps encrypted; None where the archive has none."""
    return next((each for each in about.items if layout.item(each.path) == layout.JOURNAL), None)


def check(entries: Iterable[Entry], about: Manifest) -> Told:
    """Whether the records, as they come, are the whole journal of the agent that this manifest is of.

    Not all of them are taken where something is wrong.
    """
    try:
        told = Head(about.journal.sequence, about.journal.digest) if about.journal else None
        found = verify(entries, about.agent.uid, told=told)
    except HeadError as error:
        return Told(0, START, f"the manifest tells of a journal that cannot be: {error}")
    fault = f"{found.flaw.fault}: {found.flaw.message}" if found.flaw else ""
    if told is not None and found.head.sequence > told.sequence:
        fault = (
            f"it goes on to the record {found.head.sequence}, and the manifest was sealed at {told.sequence}: the "
            "records after that were put there later, so remove them"
        )
    return Told(found.records, found.head, fault)
