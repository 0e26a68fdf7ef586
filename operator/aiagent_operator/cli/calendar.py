"""`calendar`: who is trained and reviewed when, where it clusters, and which windows there are."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

import typer

from aiagent_operator.cli import options, output
from aiagent_operator.cli.agenda import Entry, Opening, Review, entry, openings, per_day, reviews
from aiagent_operator.cli.errors import CliError
from aiagent_operator.cli.kube import Cluster, Object, agents_path, path
from aiagent_operator.cli.output import Format
from aiagent_operator.core import texts
from aiagent_operator.core.policies.compiled import CompiledPolicy

_BAR: Final = 40
"""Characters of the longest bar."""


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
    """Show who is trained and reviewed when, on which days it clusters, and the windows of their policies, in UTC."""
    cluster = Cluster.connect(kubeconfig, context)
    where = None if all_namespaces else namespace or cluster.namespace
    what = f"AIAgents in namespace {where}" if where else "AIAgents of all namespaces"
    listed = list(cluster.list(agents_path(where), what=what, selector=selector))
    entries = [found for item in listed if (found := entry(item))]
    planned = [review for item in listed for review in reviews(item)]
    now = datetime.now(UTC)
    ends = now + timedelta(days=days)
    policies, unread = _policies(cluster, {name for each in entries for name in each.policies})
    shown = sorted((e for e in entries if e.due is None or e.due < ends), key=_order)
    checked = sorted((r for r in planned if r.active or (r.starts and r.starts < ends)), key=_reviewed)
    opened = [each for policy in policies for each in openings(policy.windows, now, ends)]
    if form.structured:
        output.dump(document(shown, checked, opened), form)
    else:
        later = len(entries) - len(shown), len(planned) - len(checked)
        show(shown, checked, opened, later, now, namespaced=all_namespaces)
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


def document(entries: Iterable[Entry], planned: Iterable[Review], opened: Iterable[Opening]) -> Object:
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
    checked = [
        {
            "namespace": each.namespace,
            "agent": each.agent,
            "name": each.name,
            "purpose": each.purpose,
            "starts": _wire(each.starts),
            "active": each.active or None,
            "last": each.last or None,
        }
        for each in planned
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
    return {"agents": _without_empty(agents), "reviews": _without_empty(checked), "windows": windows}


def _without_empty(found: Iterable[Object]) -> list[Object]:
    return [{key: value for key, value in each.items() if value not in (None, [])} for each in found]


def show(
    entries: Sequence[Entry],
    planned: Sequence[Review],
    opened: Sequence[Opening],
    later: tuple[int, int],
    now: datetime,
    *,
    namespaced: bool,
) -> None:
    """Prints agents, reviews, days and windows; so many agents and reviews come `later`."""
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
    if planned:
        output.say()
        headers = (("NAMESPACE",) if namespaced else ()) + ("AGENT", "REVIEW", "PURPOSE", "NEXT", "LAST")
        output.table(headers, [_checked(each, now, namespaced=namespaced) for each in planned])
    if any(later):
        counts = (
            output.counted(number, thing) for number, thing in zip(later, ("agent", "review"), strict=True) if number
        )
        output.say(f"Later: {', '.join(counts)}; --days looks further ahead")
    _show_days(per_day(entries, planned, now), reviewed=bool(planned))
    if opened:
        output.say()
        rows = [(o.policy, o.window, o.kind, _text(o.begins), _text(o.ends)) for o in sorted(opened, key=_opened)]
        output.table(("POLICY", "WINDOW", "KIND", "BEGINS", "ENDS"), rows)


def _show_days(days: Sequence[tuple[str, int, int]], *, reviewed: bool) -> None:
    """A bar for each day; the column of reviews only where there are any."""
    if not days:
        return
    output.say()
    longest = max(trained + checked for _, trained, checked in days)
    rows = []
    for day, trained, checked in days:
        number = trained + checked
        bar = "█" * max(1, round(number * min(_BAR, longest) / longest))
        rows.append((day, trained, checked, bar) if reviewed else (day, trained, bar))
    output.table(("DAY", "AGENTS", "REVIEWS", "") if reviewed else ("DAY", "AGENTS", ""), rows)


def _checked(each: Review, now: datetime, *, namespaced: bool) -> list[str]:
    row = [each.agent, each.name, each.purpose, _when(each.starts, now), each.state]
    return ([each.namespace] if namespaced else []) + row


def _reviewed(each: Review) -> tuple[datetime, str, str, str]:
    return each.starts or datetime.min.replace(tzinfo=UTC), each.namespace, each.agent, each.name


def _row(each: Entry, now: datetime, *, namespaced: bool) -> list[str]:
    waits = f"trains revision {each.trains}" if each.trains else each.waits
    starts = "" if each.trains else _when(each.starts, now)
    due = _text(each.due) if each.due else ""
    row = [each.name, due, ", ".join(each.triggers), waits, starts, ", ".join(each.policies)]
    return ([each.namespace] if namespaced else []) + row


def _when(starts: datetime | None, now: datetime) -> str:
    return "" if starts is None else ("now" if starts <= now else _text(starts))


def _order(each: Entry) -> tuple[bool, datetime, str, str]:
    return each.due is None, each.due or datetime.max.replace(tzinfo=UTC), each.namespace, each.name


def _opened(each: Opening) -> tuple[datetime, str, str]:
    return each.begins, each.policy, each.window


def _wire(moment: datetime | None) -> str | None:
    return texts.moment(moment) if moment else None


def _text(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}"
