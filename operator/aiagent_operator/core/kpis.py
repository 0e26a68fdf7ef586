"""The KPI series of an agent: every number that its spec or its role has Prometheus asked for, over its last period.

A series goes into the archive as it was answered, without its labels, which could name people: the queries are those of
one number, as measurements are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import orjson

from aiagent_operator.api.archive import GapReason
from aiagent_operator.api.evaluation import EvaluationTemplate
from aiagent_operator.core import texts
from aiagent_operator.core.archive import layout
from aiagent_operator.core.capturing import Missed
from aiagent_operator.core.evaluation.answer import Point
from aiagent_operator.core.evaluation.query import Names, QueryError, asked
from aiagent_operator.core.objects import ChildKind
from aiagent_operator.core.plan import Observed
from aiagent_operator.core.versions import revisions

MOST: Final = 32
"""Series of one agent; of more, the first ones."""

MOST_POINTS: Final = 10_000
"""Of one series: Prometheus answers at most 11,000."""

DRIFT: Final = "drift"


@dataclass(frozen=True, slots=True)
class Series:
    """What is asked: its name, the query with its placeholders replaced, and the address that the author chose."""

    name: str
    query: str
    address: str | None = None


@dataclass(frozen=True, slots=True)
class Period:
    """Of which time, with which distance between two points."""

    since: datetime
    until: datetime
    step: timedelta


@dataclass(frozen=True, slots=True)
class Failed:
    """Why there is no answer; `again`: there may be one later."""

    reason: GapReason
    text: str
    again: bool = False


def period(until: datetime, born: datetime, length: timedelta, step: timedelta) -> Period:
    """The last period of an agent, not before it was there; the step is longer where there would be too many points."""
    since = max(born, until - length)
    least = timedelta(seconds=-(-(until - since).total_seconds() // MOST_POINTS))
    return Period(since, until, max(step, least))


def series(o: Observed) -> tuple[Series, ...]:
    """What there is to ask about; nothing of an agent that never had a revision."""
    known = o.of(ChildKind.AGENT_REVISION)
    serving = revisions.stable(known)
    number = revisions.facts(serving).number if serving else (o.agent.status.get("revision") or {}).get("latest")
    if not number:
        return ()
    names = Names(o.identity.name, o.identity.namespace, number, number)
    found: dict[tuple[str, str | None], Series] = {}
    for name, query, address in _queries(o):
        try:
            text = asked(query, names)
        except QueryError:
            # The API server takes none of these; whoever asks for one is told by the measurement.
            continue
        found.setdefault((text, address), Series(name, text, address))
    return tuple(found.values())[:MOST]


def _queries(o: Observed) -> Iterator[tuple[str, str, str | None]]:
    spec = o.agent.spec
    watched, trained = spec.supervision, spec.retraining
    if watched is not None and watched.drift is not None:
        yield DRIFT, watched.drift.query, watched.drift.prometheus.address
    hired = o.role.role.spec.hiring_evaluations if o.role is not None else ()
    own = (*(watched.evaluations if watched else ()), *(trained.evaluations if trained else ()))
    yield from _asked((*own, *hired))


def _asked(templates: Iterable[EvaluationTemplate]) -> Iterator[tuple[str, str, str | None]]:
    for template in templates:
        if template.prometheus is not None:
            for metric in template.metrics:
                if metric.query is not None:
                    yield f"{template.name}/{metric.name}", metric.query, template.prometheus.address


def lines(of: Sequence[Series], when: Period, answers: Mapping[Series, Sequence[Point]]) -> bytes:
    """`kpis.jsonl`: a series a line, with what was asked. Points are seconds since 1970, UTC, and a number as text."""
    common = {
        "from": texts.moment(when.since),
        "until": texts.moment(when.until),
        "step": f"{when.step.total_seconds():g}s",
    }
    return b"".join(
        orjson.dumps(
            {
                "name": each.name,
                "query": each.query,
                **({"address": each.address} if each.address else {}),
                **common,
                "values": [[point.at, point.value] for point in answers[each]],
            },
            option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE,
        )
        for each in of
        if each in answers
    )


def missed(of: Sequence[Series], failed: Mapping[Series, Failed], *, some: bool) -> tuple[Missed, ...]:
    """What the archive says of those that could not be had; `some` others could."""
    without = [each for each in of if each in failed]
    if not without:
        return ()
    first = failed[without[0]]
    text = (
        f"{len(without)} of {len(of)} series, {texts.some([each.name for each in without])}; of the first: {first.text}"
    )
    path = layout.rest(layout.KPIS) if some else layout.KPIS
    return (Missed(path, first.reason, text, again=any(failed[each].again for each in without)),)
