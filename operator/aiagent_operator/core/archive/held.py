"""What an agent was allowed to do, and when, as its journal tells it.

A right is told before it is bound and after it is gone, so each interval is a little longer than the right was there,
and never shorter. While the agent was suspended it had none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from aiagent_operator.core.journal.kinds import Kind
from aiagent_operator.core.journal.record import Record
from aiagent_operator.core.rights.rules import Rule

_ENDS = frozenset({Kind.SUSPENDED, Kind.TERMINATED})


@dataclass(frozen=True, slots=True)
class Interval:
    """A permission from one record of the journal to another; `until` and `ended` are None where no record ends it.

    `rules` are as the journal tells them. Times are RFC 3339, in UTC.
    """

    permission: str
    namespaces: tuple[str, ...]
    rules: tuple[Mapping[str, Any], ...]
    since: str
    granted: int
    until: str | None = None
    ended: int | None = None

    def line(self) -> bytes:
        """The interval as one line of `rights.jsonl`."""
        fields = {
            "permission": self.permission,
            "namespaces": self.namespaces,
            "rules": self.rules,
            "from": self.since,
            "until": self.until,
            "granted": self.granted,
            "ended": self.ended,
        }
        return orjson.dumps(fields, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)


@dataclass(slots=True)
class _Holding:
    """A permission that is in force, with the record that granted it as it holds now."""

    namespaces: tuple[str, ...]
    rules: list[Mapping[str, Any]]
    since: str
    granted: int


def over_time(records: Iterable[Record]) -> tuple[Interval, ...]:
    """The intervals in which permissions were in force, in the order of their beginnings and then of their names."""
    found = sorted(_intervals(records), key=lambda interval: (interval.granted, interval.permission))
    return tuple(found)


def _intervals(records: Iterable[Record]) -> Iterator[Interval]:
    held: dict[str, _Holding] = {}
    # What comes back when it is resumed.
    paused: dict[str, _Holding] = {}
    suspended = False
    for record in records:
        name = str(record.data.get("permission", ""))
        if record.kind is Kind.GRANTED:
            where = paused if suspended else held
            if record.data.get("part", 1) != 1 and name in where:
                where[name].rules.extend(record.data.get("rules") or ())
                continue
            if not suspended and (before := held.get(name)):
                yield _ended(name, before, record)
            where[name] = _holding(record)
        elif record.kind is Kind.REVOKED:
            paused.pop(name, None)
            if before := held.pop(name, None):
                yield _ended(name, before, record)
        elif record.kind in _ENDS:
            for each, before in held.items():
                yield _ended(each, before, record)
            paused, held = (held | paused if record.kind is Kind.SUSPENDED else {}), {}
            suspended = record.kind is Kind.SUSPENDED
        elif record.kind is Kind.RESUMED:
            held |= {each: _again(before, record) for each, before in paused.items()}
            paused, suspended = {}, False
    for each, before in held.items():
        yield _ended(each, before, None)


def _holding(record: Record) -> _Holding:
    data = record.data
    return _Holding(
        tuple(map(str, data.get("namespaces") or ())), list(data.get("rules") or ()), record.time, record.sequence
    )


def _again(before: _Holding, record: Record) -> _Holding:
    return _Holding(before.namespaces, before.rules, record.time, record.sequence)


def _ended(name: str, held: _Holding, record: Record | None) -> Interval:
    return Interval(
        name,
        held.namespaces,
        tuple(held.rules),
        held.since,
        held.granted,
        record.time if record else None,
        record.sequence if record else None,
    )


def rules(intervals: Iterable[Interval]) -> tuple[tuple[str, Rule], ...]:
    """Each (namespace, rule) that was ever in force. A rule that was too long to be told whole is left out."""
    found: dict[tuple[str, Rule], None] = {}
    for interval in intervals:
        whole = [rule for rule in interval.rules if {"apiGroups", "resources", "verbs"} <= rule.keys()]
        told = [rule for rule in whole if not any(key.endswith("Digest") for key in rule)]
        found.update(((namespace, Rule.from_wire(rule)), None) for namespace in interval.namespaces for rule in told)
    return tuple(found)
