"""A night in which many agents come due: what the API server tells of it, and what may be said of it in the morning.

Nothing here asks the operator. Who trains is counted from the records and from the Jobs, each in the order in which the
API server says that they change, so that a moment with one training too many cannot be missed between two looks.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from support import agents
from support.follower import Follower
from support.kube import Object

# Seconds by which an agent may be late to say that it waits, on a machine that is busy.
SLACK = 10.0


@dataclass(frozen=True, slots=True)
class Started:
    """A training's record came into being: at which second (of the API server), and when that was seen."""

    uid: str
    second: datetime
    seen: float


@dataclass
class _Count:
    """How many are under way at once, and the most that ever were."""

    now: set[str] = field(default_factory=set)
    most: int = 0

    def take(self, name: str, under_way: bool) -> None:
        if under_way:
            self.now.add(name)
            self.most = max(self.most, len(self.now))
        else:
            self.now.discard(name)


class Night:
    """Follows agents, records and Jobs of a cluster from the moment at which it is entered."""

    def __init__(self, kubeconfig: Path) -> None:
        self._kubeconfig = kubeconfig
        self._followers: list[Follower] = []
        self.ready: set[str] = set()
        """UIDs of the agents that are Ready."""
        self.places: dict[str, datetime] = {}
        """The first moment at which each agent said that it may start."""
        self.started: list[Started] = []
        self.states: dict[str, str] = {}
        """By agent, what has become of its training."""
        self.jobs: dict[str, set[str]] = defaultdict(set)
        """By agent, the UIDs of all its Jobs."""
        self.records, self.at_work = _Count(), _Count()

    def __enter__(self) -> Self:
        for path, take in (
            (f"/apis/{agents.API}/aiagents", self._agent),
            (f"/apis/{agents.API}/agentrevisions", self._record),
            ("/apis/batch/v1/jobs", self._job),
        ):
            self._followers.append(Follower(self._kubeconfig, path, take))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for follower in self._followers:
            follower.close()

    def check(self) -> bool:
        """Raises where a watch has ended: nothing could be said of the night then."""
        for follower in self._followers:
            follower.check()
        return True

    def over(self, number: int) -> bool:
        """Whether that many trainings have ended, and none is under way."""
        ended = sum(state not in ("", "Training", "Candidate", "RollingOut") for state in self.states.values())
        return self.check() and ended >= number and not self.records.now

    def _agent(self, kind: str, agent: Object) -> None:
        uid, status = agent["metadata"]["uid"], agent.get("status") or {}
        found = agents.condition(agent, "Ready")
        if found and found["status"] == "True":
            self.ready.add(uid)
        waits = (status.get("training") or {}).get("waitsFor") or {}
        if waits.get("reason") == "NotDue" and uid not in self.places:
            self.places[uid] = datetime.fromisoformat(waits["until"])

    def _record(self, kind: str, record: Object) -> None:
        spec, metadata = record["spec"], record["metadata"]
        if spec["trigger"] != "Schedule":
            return
        uid, state = spec["agentRef"]["uid"], (record.get("status") or {}).get("state", "")
        if kind == "ADDED":
            self.started.append(Started(uid, datetime.fromisoformat(metadata["creationTimestamp"]), time.time()))
        self.states[uid] = "Deleted" if kind == "DELETED" else state
        # A record is one of a training from its first moment on; what state that is is said a moment later.
        self.records.take(metadata["uid"], kind != "DELETED" and state in ("", "Training"))

    def _job(self, kind: str, job: Object) -> None:
        metadata = job["metadata"]
        conditions = (job.get("status") or {}).get("conditions") or ()
        ended = any(c["type"] in ("Complete", "Failed") and c["status"] == "True" for c in conditions)
        self.jobs[metadata["labels"]["workforce.dev/agent-uid"]].add(metadata["uid"])
        self.at_work.take(metadata["uid"], kind != "DELETED" and not ended)


# In the morning -------------------------------------------------------------------------------------------------------


def overtaken(
    started: Sequence[Started], due: Mapping[str, datetime], places: Mapping[str, datetime]
) -> tuple[int, int]:
    """(most agents that an agent has overtaken, how many have overtaken any).

    Overtaken is who was due earlier (of equals, with a lower UID), whose place in the spread had surely come when the
    other began, and who began later. Who was given a slot and is about to begin looks the same from here.
    """
    order = {each.uid: index for index, each in enumerate(started)}
    waiting = sorted((due[uid], uid, places[uid].timestamp() + SLACK, index) for uid, index in order.items())
    counts = []
    for index, each in enumerate(started):
        mine = (due[each.uid], each.uid)
        counts.append(sum(came <= each.seen and its > index for when, uid, came, its in waiting if (when, uid) < mine))
    return max(counts, default=0), sum(map(bool, counts))


@dataclass(frozen=True, slots=True)
class ChiSquare:
    """How evenly places are spread: the statistic, and its degrees of freedom, to which it should be near."""

    statistic: float
    freedom: int

    def __add__(self, other: ChiSquare) -> ChiSquare:
        """Of two spreads together."""
        return ChiSquare(self.statistic + other.statistic, self.freedom + other.freedom)

    @property
    def deviations(self) -> float:
        """In standard deviations of a normal distribution (Wilson and Hilferty, 1931): even places have under 4."""
        width = 2 / (9 * self.freedom)
        return (math.cbrt(self.statistic / self.freedom) - (1 - width)) / math.sqrt(width)


def chi_square(places: Sequence[datetime], begin: datetime, seconds: int) -> ChiSquare:
    """Of whole seconds in a window, in as many classes of equal length as leave fifteen places to each on average.

    Raises ValueError for a place outside of the window.
    """
    classes = max(number for number in range(1, seconds + 1) if not seconds % number and 15 * number <= len(places))
    counts = [0] * classes
    for place in places:
        at = int((place - begin).total_seconds())
        if not 0 <= at < seconds:
            raise ValueError(f"the place {place} is not in the {seconds} s from {begin} on")
        counts[at * classes // seconds] += 1
    expected = len(places) / classes
    return ChiSquare(sum((count - expected) ** 2 / expected for count in counts), classes - 1)
