"""What is true of an archive once it is sealed: when it is read again, and what its AgentArchive says of it then."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from aiagent_operator.api.agentarchive import CertificateSummary
from aiagent_operator.api.conditions import Reason, Type, Verdict, merge
from aiagent_operator.core.archive import index
from aiagent_operator.core.cadence.spread import offset

UNREAD: Final = timedelta(minutes=10)
"""How old an AgentArchive gets of which nobody has said yet that it was read back: whoever made it says so first."""

_GENERATION: Final = 1


@dataclass(frozen=True, slots=True)
class Whole:
    """All of it was read, and is what was sealed; bytes. `certificate`: of the record that there is no archive."""

    files: int
    size: int
    certificate: CertificateSummary | None = None


@dataclass(frozen=True, slots=True)
class Altered:
    """Something is not what was sealed; the text names the file and the remedy."""

    text: str


@dataclass(frozen=True, slots=True)
class Unread:
    """It could not be read, so nothing is known; the text says why, and is the same while the cause is."""

    reason: Reason
    text: str


Found = Whole | Altered | Unread


def due(uid: str, created: datetime, status: Mapping[str, Any], interval: timedelta) -> datetime:
    """When it is to be read again: `interval` after the last time at the latest, each archive up to a quarter earlier.

    What was found otherwise than sealed, or could not be read, is due at once: whoever tries decides how often.
    """
    verified = condition(status, Type.VERIFIED)
    last = (status.get("verification") or {}).get("lastTime")
    if verified is not None and verified.get("status") != "True":
        return created
    if verified is None or last is None:
        return created + UNREAD
    return datetime.fromisoformat(last) + interval - offset(uid, interval / 4)


def unsaid(created: datetime, status: Mapping[str, Any], now: datetime) -> bool:
    """Whether its maker is about to say how it is with it: until then nothing else is said, which would be one write
    more and in its way."""
    return condition(status, Type.VERIFIED) is None and now < created + UNREAD


def verdicts(found: Found, status: Mapping[str, Any]) -> tuple[Verdict, ...]:
    """What follows from a look at it.

    Damage that was seen stays seen until somebody has read it whole: that the store is away mends nothing.
    """
    match found:
        case Whole():
            ready, read, _ = index.standing(certified="certificate" in status)
            return ready, read
        case Altered(text):
            return tuple(Verdict(each, False, Reason.ALTERED, text) for each in (Type.READY, Type.VERIFIED))
        case Unread(reason, text):
            if (condition(status, Type.VERIFIED) or {}).get("status") == "False":
                return ()
            last = (status.get("verification") or {}).get("lastTime")
            text = f"{text}. It was last whole at {last}" if last else text
            return tuple(Verdict(each, None, reason, text) for each in (Type.READY, Type.VERIFIED))


def conditions(
    before: Iterable[Mapping[str, Any]], said: Collection[Verdict], now: str, *, gone: Collection[Type] = ()
) -> list[dict[str, Any]]:
    """The conditions, some of them replaced, added or `gone`, and the others as they were; in a stable order."""
    before = list(before)
    new = {c["type"]: c for c in merge(before, said, _GENERATION, now)}
    kept = [new.pop(c["type"], dict(c)) for c in before if c["type"] not in {each.value for each in gone}]
    return [*kept, *new.values()]


def condition(status: Mapping[str, Any], kind: Type) -> Mapping[str, Any] | None:
    """The condition of that type."""
    return next((c for c in status.get("conditions") or () if c["type"] == kind.value), None)
