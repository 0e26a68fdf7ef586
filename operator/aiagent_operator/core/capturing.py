"""What of an agent that leaves has to be captured before its work goes: decided here, read elsewhere.

Its rights have ended by then, so it waits for a while only: what could not be had until then is said to be missing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, Final

from aiagent_operator.api import meta, runs
from aiagent_operator.api.archive import Gap, GapReason
from aiagent_operator.api.archivestatus import MOST_GAPS, Capture
from aiagent_operator.core import leaving, texts
from aiagent_operator.core.archive import layout, manifest
from aiagent_operator.core.archive.manifest import Stored
from aiagent_operator.core.objects import AgentIdentity
from aiagent_operator.core.plan import Observed

LEAST: Final = 10.0
"""Seconds that a capture has even where all of its time has passed before it could begin."""

MOST_LOGS: Final = 256
"""Containers of one agent whose logs are captured."""

GIVEN_UP: Final = "it was given up by an order Abandon before it was captured"

GONE: Final = "the namespace was being deleted, and the pods were gone before their logs could be read"

PATHS: Final = {
    Capture.LOGS: layout.LOGS,
    Capture.HANDBOOK: layout.HANDBOOK,
    Capture.KPIS: layout.KPIS,
    Capture.ESCALATIONS: layout.ESCALATIONS,
    Capture.DECISIONS: layout.DECISIONS,
}
"""Where in the archive each of what is captured is."""

_CONTAINERS: Final = (
    ("initContainers", "initContainerStatuses"),
    ("containers", "containerStatuses"),
    ("ephemeralContainers", "ephemeralContainerStatuses"),
)


def due(o: Observed, more: Set[Capture] = frozenset()) -> frozenset[Capture]:
    """What is to be captured of an agent whose pods are about to go: nothing where there is no archive, or it is done.

    Of one that is deleted the handbook comes with the logs, where there is nothing else of it: nobody calls it back,
    and once is less than twice. What the store does not take then comes later: pods are kept for logs only. `more`: as
    of `rest`.
    """
    if o.journal is None or Capture.LOGS in (done := _done(o)):
        return frozenset()
    retirement, beside = o.agent.spec.retirement, rest(o, more)
    at_once = (
        o.agent.metadata.deletion_timestamp
        and beside == {Capture.HANDBOOK}
        and not (retirement and retirement.volumes)
    )  # fmt: skip
    return frozenset({Capture.LOGS, *(beside if at_once else ())} - done)


def last(done: Set[Capture]) -> bool:
    """Whether nothing is captured of an agent after this: what comes with its logs is all that there is beside them."""
    return Capture.LOGS not in done or Capture.HANDBOOK in done


def rest(o: Observed, more: Set[Capture]) -> frozenset[Capture]:
    """What is to be captured once its pods are gone, before its handbook goes. `more`: what else there is of it."""
    if o.journal is None or (o.agent.status.get("archive") or {}).get("completed"):
        return frozenset()
    wanted = {Capture.HANDBOOK} if handbooks(o) else set()
    return frozenset((wanted | more) - _done(o))


def given_up(o: Observed, more: Set[Capture]) -> tuple[Gap, ...]:
    """What an order Abandon has kept from being captured, where there is an archive in the end all the same."""
    worked = bool((o.agent.status.get("revision") or {}).get("latest"))
    lost = rest(o, more) | (due(o, more) if worked else frozenset())
    return tuple(manifest.gap(PATHS[what], GapReason.ABANDONED, GIVEN_UP) for what in sorted(lost))


def _done(o: Observed) -> frozenset[str]:
    return frozenset((o.agent.status.get("archive") or {}).get("captured") or ())


def handbooks(o: Observed) -> Mapping[str, str]:
    """The ConfigMaps in which its handbook is, as its revisions and its status tell them, with their digests."""
    told = {its.handbook: its.handbook_digest for child in o.children.values() if (its := child.revision)}
    last = o.agent.status.get("handbook") or {}
    return told | ({last["configMap"]: last["digest"]} if last else {})


def left(o: Observed, seconds: float) -> float:
    """Seconds that are left for it, of so many from when the agent's departure began."""
    leave = leaving.look(o)
    passed = (o.moment - leave.began).total_seconds() if leave else 0.0
    return max(LEAST, seconds - max(0.0, passed))


def known(status: Mapping[str, Any], *, terminating: bool) -> tuple[Gap, ...]:
    """What is missing by the agent's status: what was not captured, and where nothing was because its namespace has
    taken its pods along first."""
    archive = status.get("archive") or {}
    found = tuple(
        manifest.gap(gap["path"], GapReason(gap["reason"]), gap["message"]) for gap in archive.get("notCaptured") or ()
    )
    done = Capture.LOGS.value in (archive.get("captured") or ())
    # Neither the inventory nor the replicas tell: they follow what the namespace takes away.
    ever_at_work = bool((status.get("revision") or {}).get("latest"))
    if done or not terminating or not ever_at_work:
        return found
    return (*found, manifest.gap(layout.LOGS, GapReason.NAMESPACE_TERMINATING, GONE))


@dataclass(frozen=True, slots=True, order=True)
class Source:
    """A container that has a log."""

    pod: str
    container: str

    @property
    def path(self) -> str:
        """Where its log is in the archive, encrypted."""
        return layout.encrypted(layout.log(self.pod, self.container))


def sources(pods: Iterable[Mapping[str, Any]], agent: AgentIdentity) -> tuple[Source, ...]:
    """The containers of the agent's pods, and of those of its runs, that were ever started.

    A label alone makes no pod the agent's: anybody can write one. The account does, which nobody else can use.
    """
    accounts = {meta.account_name(agent.name), *(runs.account_name(agent.name, kind) for kind in runs.RunKind)}
    return tuple(
        sorted(
            Source(pod["metadata"]["name"], container["name"])
            for pod in pods
            if pod["spec"].get("serviceAccountName") in accounts
            for containers, statuses in _CONTAINERS
            for container in pod["spec"].get(containers) or ()
            if _started(container["name"], (pod.get("status") or {}).get(statuses) or ())
        )
    )


def _started(name: str, statuses: Iterable[Mapping[str, Any]]) -> bool:
    found: Mapping[str, Any] = next((each for each in statuses if each["name"] == name), {})
    state, last = found.get("state") or {}, found.get("lastState") or {}
    return "running" in state or "terminated" in state or "terminated" in last


def snapshot(stored: Collection[Stored], missing: Set[str]) -> dict[str, Any]:
    """What the journal tells of all that was captured of an agent, in numbers: names of its files may be personal.

    `missing`: paths of what could not be captured, also of what was stored after all.
    """
    return {
        "items": len(stored),
        "bytes": sum(each.size for each in stored),
        "digest": manifest.digest_of(stored),
        "missing": len(missing - {layout.item(each.path) for each in stored}),
    }


@dataclass(frozen=True, slots=True)
class Missed:
    """What could not be captured; `again`: it may be had if it is tried once more."""

    path: str
    reason: GapReason
    text: str
    again: bool = False


def gaps(missed: Sequence[Missed], *, terminating: bool) -> tuple[Gap, ...]:
    """What a manifest says of it: each by itself where these are few, else all together."""
    if len(missed) > MOST_GAPS:
        names = texts.some([each.path for each in missed])
        missed = (
            Missed(layout.LOGS, missed[0].reason, f"{len(missed)} logs, {names}; of the first: {missed[0].text}"),
        )
    # What else there is goes with no namespace.
    lost = {each.path for each in missed if terminating and each.path.split("/")[0] in (layout.LOGS, layout.HANDBOOK)}
    found = {
        each.path: manifest.gap(
            each.path, GapReason.NAMESPACE_TERMINATING if each.path in lost else each.reason, each.text
        )
        for each in missed
    }
    return tuple(found[path] for path in sorted(found))
