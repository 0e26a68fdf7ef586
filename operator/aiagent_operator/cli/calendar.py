"""`calendar`: who is due when, where it clusters, and which windows there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

import typer

from aiagent_operator.cli import options, output
from aiagent_operator.cli.errors import CliError
from aiagent_operator.cli.kube import Cluster, Object, agents_path, path
from aiagent_operator.cli.output import Format
from aiagent_operator.core import texts
from aiagent_operator.core.cadence.windows import PolicyWindows
from aiagent_operator.core.policies.compiled import CompiledPolicy

_BAR: Final = 40
"""Characters of the longest bar."""

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
class Opening:
    """One time for which a window holds."""

    policy: str
    window: str
    kind: str
    begins: datetime
    ends: datetime


def calendar(
    *,
    days: Annotated[int, typer.Option("--days", help="Days to look ahead.", min=1, max=366)] = 14,
    namespace: options.Namespace = None,
    all_namespaces: options.AllNamespaces = False,
    selector: options.Selector = "",
    form: options.Output = Format.TABLE,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> None:
    """Show who is due to be trained when, on which days it clusters, and the windows of their policies, in UTC."""
    cluster = Cluster.connect(kubeconfig, context)
    where = None if all_namespaces else namespace or cluster.namespace
    what = f"AIAgents in namespace {where}" if where else "AIAgents of all namespaces"
    listed = cluster.list(agents_path(where), what=what, selector=selector)
    entries = [found for item in listed if (found := entry(item))]
    now = datetime.now(UTC)
    ends = now + timedelta(days=days)
    policies, unread = _policies(cluster, {name for each in entries for name in each.policies})
    shown = sorted((e for e in entries if e.due is None or e.due < ends), key=_order)
    opened = [each for policy in policies for each in openings(policy.windows, now, ends)]
    if form.structured:
        output.dump(document(shown, opened), form)
    else:
        show(shown, opened, len(entries) - len(shown), now, namespaced=all_namespaces)
    if unread:
        output.note(f"Windows are not shown: {unread}")


def _policies(cluster: Cluster, names: Collection[str]) -> tuple[list[CompiledPolicy], str]:
    """The AgentPolicies of these names, or why they cannot be read: whoever may read agents need not read these."""
    if not names:
        return [], ""
    try:
        found = list(cluster.list(path("agentpolicies", None), what="AgentPolicies"))
    except CliError as error:
        return [], str(error)
    read = [CompiledPolicy.of(item["metadata"]["name"], item.get("spec")) for item in found]
    return [policy for policy in read if policy.name in names], ""


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


def per_day(entries: Iterable[Entry], now: datetime) -> list[tuple[str, int]]:
    """How many agents come due on each day; those that are due already count for today."""
    days = Counter(max(each.starts, now).date() for each in entries if each.starts is not None and each.trains is None)
    return [(day.isoformat(), number) for day, number in sorted(days.items())]


def document(entries: Iterable[Entry], opened: Iterable[Opening]) -> Object:
    """The same for programs."""
    agents = [
        {
            "namespace": each.namespace,
            "name": each.name,
            "due": _wire(each.due),
            "triggeredBy": list(each.triggers),
            "waitsFor": each.waits or None,
            "until": _wire(each.until),
            "training": each.trains,
            "policies": list(each.policies),
        }
        for each in entries
    ]
    windows = [
        {
            "policy": each.policy,
            "name": each.window,
            "kind": each.kind,
            "begins": _wire(each.begins),
            "ends": _wire(each.ends),
        }
        for each in opened
    ]
    return {
        "agents": [{key: value for key, value in agent.items() if value not in (None, [])} for agent in agents],
        "windows": windows,
    }


def show(entries: Sequence[Entry], opened: Sequence[Opening], later: int, now: datetime, *, namespaced: bool) -> None:
    """Prints agents, days and windows; `later` agents come due after that."""
    if not entries:
        output.say("No agent is due")
    else:
        headers = (("NAMESPACE",) if namespaced else ()) + (
            "AGENT",
            "DUE",
            "TRIGGER",
            "WAITS FOR",
            "STARTS",
            "POLICIES",
        )
        output.table(headers, [_row(each, now, namespaced=namespaced) for each in entries])
    if later:
        output.say(f"{output.counted(later, 'agent')} come due later: --days looks further ahead")
    days = per_day(entries, now)
    if days:
        output.say()
        longest = max(number for _, number in days)
        bars = ["█" * max(1, round(number * min(_BAR, longest) / longest)) for _, number in days]
        output.table(("DAY", "AGENTS", ""), [(day, number, bar) for (day, number), bar in zip(days, bars, strict=True)])
    if opened:
        output.say()
        rows = [(o.policy, o.window, o.kind, _text(o.begins), _text(o.ends)) for o in sorted(opened, key=_opened)]
        output.table(("POLICY", "WINDOW", "KIND", "BEGINS", "ENDS"), rows)


def _row(each: Entry, now: datetime, *, namespaced: bool) -> list[str]:
    waits = f"trains revision {each.trains}" if each.trains else each.waits
    starts = "" if each.trains or each.starts is None else ("now" if each.starts <= now else _text(each.starts))
    due = _text(each.due) if each.due else ""
    row = [each.name, due, ", ".join(each.triggers), waits, starts, ", ".join(each.policies)]
    return ([each.namespace] if namespaced else []) + row


def _order(each: Entry) -> tuple[bool, datetime, str, str]:
    return each.due is None, each.due or datetime.max.replace(tzinfo=UTC), each.namespace, each.name


def _opened(each: Opening) -> tuple[datetime, str, str]:
    return each.begins, each.policy, each.window


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _wire(moment: datetime | None) -> str | None:
    return texts.moment(moment) if moment else None


def _text(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}"
