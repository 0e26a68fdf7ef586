"""Head and waiting events as they stand in an agent's status, read as what anybody may have put there."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import orjson

from aiagent_operator.core.journal import data as contents
from aiagent_operator.core.journal.event import Event, EventError, canonical, check, is_time
from aiagent_operator.core.journal.head import START, Head, HeadError
from aiagent_operator.core.journal.kinds import Kind
from aiagent_operator.core.journal.pending import MOST, MOST_BYTES, Pending, size, written
from aiagent_operator.core.strict_json import kind
from aiagent_operator.core.untrusted import shown

WHERE: Final = "status.journal"

_REMEDY: Final = "restore the status from a backup, or take the field out: then the store is asked what it holds"


class StoredError(ValueError):
    """A status that no operator of this version has written; the message names the field and the remedy."""


def write(head: Head, pending: Pending) -> dict[str, Any]:
    """What goes into the status; empty for a journal without records or events."""
    found: dict[str, Any] = {}
    if head.sequence:
        found["head"] = {"sequence": head.sequence, "digest": head.digest}
    if pending.events:
        found["pending"] = [written(event) for event in pending.events]
    return found


def read(found: object, where: str = WHERE) -> tuple[Head, Pending]:
    """Head and waiting events. Fields that a newer version has added are passed over. Raises StoredError.

    Nothing is to be written to a journal whose status cannot be read: what waits there would be lost.
    """
    if found is None:
        return START, Pending()
    fields = _object(found, where)
    return _head(fields.get("head"), f"{where}.head"), _pending(fields.get("pending"), f"{where}.pending")


def _head(found: object, where: str) -> Head:
    if found is None:
        return START
    fields = _object(found, where)
    sequence, told = fields.get("sequence"), fields.get("digest")
    if type(sequence) is not int or not isinstance(told, str):
        raise StoredError(f"{where} has no sequence and digest: {_REMEDY}")
    try:
        return Head(sequence, told)
    except HeadError as error:
        raise StoredError(f"{where}: {error}; {_REMEDY}") from error


def _pending(found: object, where: str) -> Pending:
    if found is None:
        return Pending()
    if not isinstance(found, list):
        raise StoredError(f"{where} is {kind(found)}, and should be a list: {_REMEDY}")
    if len(found) > MOST:
        raise StoredError(f"{where} has {len(found)} events, and at most {MOST} fit: {_REMEDY}")
    events = tuple(_event(entry, f"{where}[{index}]") for index, entry in enumerate(found))
    if len({event.key for event in events}) < len(events):
        raise StoredError(f"{where} has one event twice: {_REMEDY}")
    if size(events) > MOST_BYTES:
        raise StoredError(f"{where} has {size(events)} bytes, and at most {MOST_BYTES} fit: {_REMEDY}")
    return Pending(events)


def _event(found: object, where: str) -> Event:
    fields = _object(found, where)
    what, cause, time, text = (_text(fields, name, where) for name in ("kind", "cause", "time", "data"))
    if what not in set(Kind):
        raise StoredError(f"{where}.kind is {shown(what)}, which this version does not know: upgrade the operator")
    if not is_time(time):
        raise StoredError(f"{where}.time is {shown(time)}, and no moment in UTC to the millisecond: {_REMEDY}")
    event = Event(Kind(what), cause, datetime.fromisoformat(time), _data(text, f"{where}.data"))
    try:
        check(event)
    except EventError as error:
        raise StoredError(f"{where}: {error}") from error
    return event


def _data(text: str, where: str) -> dict[str, Any]:
    """The data that a string holds, in the one form that it has. Its content is checked with the event's."""
    try:
        found = orjson.loads(text) if len(text) <= contents.MOST_BYTES else None
        if isinstance(found, dict) and canonical(found) == text:
            return found
    except (orjson.JSONDecodeError, orjson.JSONEncodeError) as error:
        raise StoredError(f"{where} is not JSON ({error}): {_REMEDY}") from error
    raise StoredError(
        f"{where} is no object of at most {contents.MOST_BYTES} bytes, keys sorted, no white space: {_REMEDY}"
    )


def _text(fields: Mapping[str, Any], name: str, where: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str):
        raise StoredError(f"{where}.{name} is {kind(value)}, and should be a string: {_REMEDY}")
    return value


def _object(found: object, where: str) -> Mapping[str, Any]:
    if not isinstance(found, dict):
        raise StoredError(f"{where} is {kind(found)}, and should be an object: {_REMEDY}")
    return found
