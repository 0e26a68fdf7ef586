"""What is to come for agents: trainings and reviews as their statuses tell of them, and the windows of policies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from aiagent_operator.core.cadence.windows import PolicyWindows

_MOST_OPENINGS: Final = 8
"""Openings of one window that are shown."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One agent: since when it is due, or when it will be, and what its next training waits for.

    `due` is None where nothing is planned or promised. `until` is the earliest start, where a clock tells it. `trains`:
    the number of the revision that is being trained. `triggers`: what makes it due beside plan and promise.
    """

    namespace: str
    name: str
    due: datetime | None
    waits: str = ""
    until: datetime | None = None
    trains: int | None = None
    policies: tuple[str, ...] = ()
    triggers: tuple[str, ...] = ()

    @property
    def starts(self) -> datetime | None:
        """The earliest moment at which it may start."""
        return max((time for time in (self.due, self.until) if time), default=None)


@dataclass(frozen=True, slots=True)
class Review:
    """One review or bias audit of an agent: when it runs next, and how it stands."""

    namespace: str
    agent: str
    name: str
    purpose: str
    starts: datetime | None
    active: bool = False
    last: str = ""

    @property
    def state(self) -> str:
        """What the table says of it."""
        return "runs" if self.active else self.last


@dataclass(frozen=True, slots=True)
class Opening:
    """One time for which a window holds."""

    policy: str
    window: str
    kind: str
    begins: datetime
    ends: datetime


def entry(agent: Mapping[str, Any]) -> Entry | None:
    """What the agent's status says of its training; None where it says nothing."""
    status = (agent.get("status") or {}).get("training") or {}
    waits, trains = status.get("waitsFor") or {}, (status.get("current") or {}).get("revision")
    if not (waits or trains or status.get("due")):
        return None
    metadata = agent["metadata"]
    return Entry(
        metadata["namespace"],
        metadata["name"],
        _time(status.get("due")),
        str(waits.get("reason", "")),
        _time(waits.get("until")),
        trains,
        tuple(status.get("policies") or ()),
        tuple(str(each.get("trigger", "")) for each in status.get("triggeredBy") or ()),
    )


def reviews(agent: Mapping[str, Any]) -> Iterator[Review]:
    """The reviews and bias audits that the agent's status tells of."""
    metadata = agent["metadata"]
    for each in (agent.get("status") or {}).get("reviews") or ():
        yield Review(
            metadata["namespace"],
            metadata["name"],
            str(each.get("name", "")),
            str(each.get("purpose", "")),
            _time(each.get("nextScheduleTime")),
            active="active" in each,
            last="Finding" if "finding" in each else str((each.get("last") or {}).get("phase", "")),
        )


def openings(windows: PolicyWindows, now: datetime, ends: datetime) -> Iterator[Opening]:
    """When the windows of a policy hold between two moments; of each window some, from the one that holds now on."""
    for window in windows.windows:
        at = window.start.last_at(now)
        begins = at if at is not None and now < at + window.duration else window.start.next_after(now)
        for _ in range(_MOST_OPENINGS):
            if begins is None or begins >= ends:
                break
            yield Opening(windows.policy, window.name, window.kind.value, begins, begins + window.duration)
            begins = window.start.next_after(begins)


def per_day(entries: Iterable[Entry], planned: Iterable[Review], now: datetime) -> list[tuple[str, int, int]]:
    """How many agents come due on each day, and how many reviews; those that are due already count for today."""
    trained = Counter(max(e.starts, now).date() for e in entries if e.starts is not None and e.trains is None)
    checked = Counter(max(r.starts, now).date() for r in planned if r.starts is not None)
    return [(day.isoformat(), trained[day], checked[day]) for day in sorted(trained.keys() | checked.keys())]


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
