"""What may be destroyed of an archive, and when: nothing, all of it (purge), or its personal payload (erase).

A legal hold beats everything. Else the retention forbids a purge before its end, but not an erasure: the right to it
(Regulation (EU) 2016/679, GDPR, Art. 17(1)) is about people, and what stays are digests and reasons. Whether a request
has to be met is for people to decide; here is what stands against it, with the rule that it is evidence for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from aiagent_operator.api.holds import Ground
from aiagent_operator.api.tombstone import Destroyed
from aiagent_operator.core import texts
from aiagent_operator.core.archive.errors import ArchiveError
from aiagent_operator.core.archive.retention import Retention
from aiagent_operator.core.untrusted import line

_LONGEST_REASON: Final = 200


# GDPR, Art. 17(3): paragraphs 1 and 2 shall not apply to the extent that processing is necessary for these.
CITATIONS: Final[Mapping[Ground, str]] = {
    Ground.LEGAL_CLAIMS: "GDPR Art. 17(3)(e): the establishment, exercise or defence of legal claims",
    Ground.LEGAL_OBLIGATION: "GDPR Art. 17(3)(b): compliance with a legal obligation",
    Ground.PUBLIC_INTEREST: "GDPR Art. 17(3)(b): a task carried out in the public interest",
}


class Obstacle(StrEnum):
    """Why something may not be done."""

    HELD = "Held"
    RETAINED = "Retained"
    NOTHING_PERSONAL = "NothingPersonal"
    ALREADY_ERASED = "AlreadyErased"
    ALREADY_PURGED = "AlreadyPurged"


@dataclass(frozen=True, slots=True, order=True)
class Hold:
    """A legal hold that is in force: the AgentAction that put it there, who gave it, since when and why."""

    order: str
    by: str
    since: datetime
    ground: Ground
    reason: str


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of an archive when somebody wants to destroy something of it.

    `keys` are those of its personal payload (none: it has no such payload); `erased` and `purged` say when.
    """

    archive: str
    retention: Retention
    holds: tuple[Hold, ...] = ()
    keys: tuple[str, ...] = ()
    erased: datetime | None = None
    purged: datetime | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """Why not, with the remedy; `until` is when it may be done, where time alone stands against it."""

    obstacle: Obstacle
    message: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Permitted:
    """What may be done now, and of the rest why not. Neither: there is nothing that may be done."""

    acts: frozenset[Destroyed]
    refused: Mapping[Destroyed, Refused]

    def refusal(self, act: Destroyed) -> Refused | None:
        """Why the act is refused; None where it may be done."""
        return self.refused.get(act)


def permitted(archive: Standing, now: datetime) -> Permitted:
    """What may be done to the archive at this moment. Raises ArchiveError for a moment without a time zone."""
    if now.tzinfo is None:
        raise ArchiveError("the moment has no time zone: give one in UTC")
    looked_at = {Destroyed.PURGED: _purge(archive, now), Destroyed.ERASED: _erase(archive)}
    refused = {act: refusal for act, refusal in looked_at.items() if refusal is not None}
    return Permitted(frozenset(looked_at.keys() - refused.keys()), refused)


def _purge(archive: Standing, now: datetime) -> Refused | None:
    if (gone := _gone(archive) or _held(archive, "purged")) is not None:
        return gone
    until = archive.retention.until
    if now >= until:
        return None
    whose = " and ".join(archive.retention.sources)
    text = f"{archive.archive} is kept until {texts.moment(until)}, as {whose} asks: it is purged after that"
    return Refused(Obstacle.RETAINED, text, until)


def _erase(archive: Standing) -> Refused | None:
    if (gone := _gone(archive)) is not None:
        return gone
    if not archive.keys:
        text = f"{archive.archive} has no encrypted personal payload: there is no key whose destruction would erase it"
        return Refused(Obstacle.NOTHING_PERSONAL, text)
    if archive.erased is not None:
        text = f"{archive.archive} was erased at {texts.moment(archive.erased)}: its key is gone, nothing is left to do"
        return Refused(Obstacle.ALREADY_ERASED, text)
    return _held(archive, "erased")


def _gone(archive: Standing) -> Refused | None:
    if archive.purged is None:
        return None
    text = f"{archive.archive} was purged at {texts.moment(archive.purged)}: nothing is left of it but its tombstone"
    return Refused(Obstacle.ALREADY_PURGED, text)


def _held(archive: Standing, what: str) -> Refused | None:
    if not archive.holds:
        return None
    holds = sorted(archive.holds, key=lambda hold: (hold.since, hold.order))
    said = texts.some((_of(hold) for hold in holds), separator="; ")
    cited = "; ".join(sorted({CITATIONS[hold.ground] for hold in holds}))
    text = (
        f"{archive.archive} is held and cannot be {what}: {said}. A hold is evidence for {cited}, and comes before "
        "retention and requests for erasure; release every hold first"
    )
    return Refused(Obstacle.HELD, text)


def _of(hold: Hold) -> str:
    why = f"{hold.ground}: {line(hold.reason, _LONGEST_REASON)}"
    return f"by AgentAction {hold.order} of {line(hold.by, _LONGEST_REASON)} since {texts.moment(hold.since)} ({why})"
