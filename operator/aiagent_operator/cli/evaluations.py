"""Evaluations of the revision that an agent is about: what is measured of it now, and what that has said."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from aiagent_operator.api import meta
from aiagent_operator.api.agentevaluation import Phase, Purpose
from aiagent_operator.cli import output
from aiagent_operator.cli.errors import RefusedError
from aiagent_operator.cli.kube import Cluster, Object, path
from aiagent_operator.cli.output import plain
from aiagent_operator.cli.revisions import Standing
from aiagent_operator.cli.sections import heading

_MAY_NOT: Final = 403


def of(cluster: Cluster, agent: Object) -> list[Object]:
    """The newest run of each evaluation, for each purpose, of the revision that is not history and does not serve; of a
    rollout under way those that belong to it. Empty where they may not be read: conditions say what they come to."""
    now, metadata = Standing.of(agent), agent["metadata"]
    number = now.candidate or now.takes_over or now.rejected
    if not number:
        return []
    what = f"AgentEvaluations of AIAgent {metadata['namespace']}/{metadata['name']}"
    selector = f"{meta.LABEL_AGENT_UID}={metadata['uid']}"
    try:
        found = cluster.list(path("agentevaluations", metadata["namespace"]), what=what, selector=selector)
    except RefusedError as error:
        if error.status == _MAY_NOT:
            return []
        raise
    kept = (agent.get("status") or {}).get("rollout") or {}
    since = (kept.get("startedAt") or "")[:19] if kept.get("revision") == number else ""
    return newest(found, number, since)


def newest(records: Iterable[Object], number: int, since: str) -> list[Object]:
    """The newest of each evaluation and purpose; of rollouts those that were made since then (UTC, to the second)."""
    found: dict[tuple[str, str], Object] = {}
    for record in sorted(records, key=lambda each: str(each["metadata"].get("creationTimestamp", ""))):
        spec = record["spec"]
        old = spec["purpose"] == Purpose.ANALYSIS.value and record["metadata"]["creationTimestamp"][:19] < since
        if spec["revision"] == number and not old:
            found[spec["purpose"], spec["template"]["name"]] = record
    return [found[key] for key in sorted(found)]


def phase(record: Object) -> str:
    """How far it is."""
    return str((record.get("status") or {}).get("phase") or Phase.PENDING.value)


def _message(record: Object) -> str:
    return str((record.get("status") or {}).get("message") or "")


def of_rollout(records: Iterable[Object]) -> list[str]:
    """A line for each evaluation of a rollout."""
    found = [record for record in records if record["spec"]["purpose"] == Purpose.ANALYSIS.value]
    return [f'Evaluation "{each["spec"]["template"]["name"]}" is {_said(each)}' for each in found]


def _said(record: Object) -> str:
    passed = phase(record) == Phase.SUCCESSFUL.value
    return phase(record) + (f": {_message(record)}" if _message(record) and not passed else "")


def section(records: Iterable[Object]) -> None:
    """The section of `describe`, where there is anything to show."""
    rows = [
        (
            each["spec"]["template"]["name"],
            each["spec"]["purpose"],
            each["spec"]["revision"],
            phase(each),
            _message(each),
        )
        for each in records
    ]
    if rows:
        heading("Evaluations")
        output.table(
            ("NAME", "FOR", "REVISION", "PHASE", "SAYS"), [[plain(str(c)) for c in row] for row in rows], indent=2
        )


def report(records: Iterable[Object]) -> list[Object]:
    """The same for programs."""
    return [
        {
            "name": each["spec"]["template"]["name"],
            "purpose": each["spec"]["purpose"],
            "revision": each["spec"]["revision"],
            "phase": phase(each),
            "message": _message(each),
        }
        for each in records
    ]
