"""An event, and the record that tells it: one line of JSON, sealed onto the one before by its digest.

The form is CloudEvents 1.0 in its JSON event format, with the extension `sequence` ("CloudEvents: Documented
Extensions") and two of the journal's own, `previous` and `cause`. The bytes are those of `orjson` with sorted keys: no
white space between tokens, no line end, and nothing outside of ASCII, since nothing else may stand in a record.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from aiagent_operator.api import meta
from aiagent_operator.api.fields import DNS_LABEL, DNS_SUBDOMAIN
from aiagent_operator.core.journal import data as contents
from aiagent_operator.core.journal.head import Head, digest, folder, numbered
from aiagent_operator.core.journal.kinds import Kind
from aiagent_operator.core.objects import AgentIdentity
from aiagent_operator.core.untrusted import shown

LONGEST_CAUSE: Final = 253
SPEC_VERSION: Final = "1.0"
CONTENT_TYPE: Final = "application/json"

_CAUSE: Final = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._:/+-]{{0,{LONGEST_CAUSE - 1}}}")
_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z")
_NAMESPACE: Final = re.compile(DNS_LABEL)
_NAME: Final = re.compile(DNS_SUBDOMAIN)


class EventError(ValueError):
    """An event that no record can tell; the message names the field and says what to write instead."""


@dataclass(frozen=True, slots=True)
class Event:
    """What happened to an agent, when, and what is to be known of it.

    `cause` is what makes it this event and no other of its kind, such as `revision/7` or the UID of an order: it comes
    from what is stored, never from a clock or from chance, so that another writer gives the same event the same one.
    `data` is bounded as `data.check` says.
    """

    kind: Kind
    cause: str
    time: datetime
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str]:
        """Type and cause: of two events of one agent with the same, there is but one."""
        return self.kind.type, self.cause

    def __str__(self) -> str:
        return f"{self.kind} {self.cause}"


def check(event: Event) -> None:
    """Raises EventError where no record can tell the event."""
    if not is_cause(event.cause):
        raise EventError(
            f"{event.kind}: cause is {shown(str(event.cause))}: write 1 to {LONGEST_CAUSE} letters, digits and . _ : / "
            "+ -, with a letter or digit first"
        )
    if event.time.tzinfo is None:
        raise EventError(f"{event}: time has no zone: give it one")
    try:
        moment(event.time)
    except OverflowError as error:
        raise EventError(f"{event}: time is {event.time}, which is no moment in UTC") from error
    try:
        contents.check(event.data)
    except contents.DataError as error:
        raise EventError(f"{event}: {error}") from error


def seal(agent: AgentIdentity, head: Head, event: Event) -> tuple[bytes, Head]:
    """The record of the event after `head`, and the head that it makes.

    Raises EventError for an event that no record can tell, HeadError for an agent without a UID, or past the last
    sequence.
    """
    check(event)
    sequence = head.sequence + 1
    number = numbered(sequence)
    folder(agent.uid)
    record: dict[str, Any] = {
        "cause": event.cause,
        "data": event.data,
        "datacontenttype": CONTENT_TYPE,
        "id": f"{agent.uid}/{number}",
        "sequence": number,
        "source": source(agent),
        "specversion": SPEC_VERSION,
        "subject": agent.uid,
        "time": moment(event.time),
        "type": event.kind.type,
    }
    if head.sequence:
        record["previous"] = head.digest
    raw = orjson.dumps(record, option=orjson.OPT_SORT_KEYS)
    return raw, Head(sequence, digest(raw))


def is_cause(text: object) -> bool:
    """Whether this can be the cause of an event."""
    return isinstance(text, str) and _CAUSE.fullmatch(text) is not None


def source(agent: AgentIdentity) -> str:
    """The CloudEvents `source`: path of the agent in the API. Raises EventError for what no object is named."""
    named = len(agent.namespace) <= 63 and _NAMESPACE.fullmatch(agent.namespace)
    if not named or len(agent.name) > 253 or not _NAME.fullmatch(agent.name):
        raise EventError(f"{shown(f'{agent.namespace}/{agent.name}')} is no namespace and name of an AIAgent")
    return f"/apis/{meta.API_VERSION}/namespaces/{agent.namespace}/aiagents/{agent.name}"


def canonical(data: Mapping[str, Any]) -> str:
    """The data as text in the one form that it has: sorted keys, no white space."""
    return orjson.dumps(data, option=orjson.OPT_SORT_KEYS).decode()


def is_time(text: str) -> bool:
    """Whether this is a moment as records have it."""
    if not _TIME.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def moment(when: datetime) -> str:
    """A moment in UTC to the millisecond (RFC 3339), always of 24 characters."""
    return f"{when.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"
