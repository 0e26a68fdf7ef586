"""Reading one record from bytes that anybody may have written.

A record has one form, so what is read is written again and has to give the same bytes: that leaves no room for a name
given twice, for other white space, for NaN, or for two readers who see two things. What a newer version adds, kinds of
event and attributes, is taken under the same rules.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import orjson

from aiagent_operator.api.meta import GROUP
from aiagent_operator.core.journal import data as contents
from aiagent_operator.core.journal import kinds
from aiagent_operator.core.journal.event import CONTENT_TYPE, LONGEST_CAUSE, SPEC_VERSION, is_cause, is_time
from aiagent_operator.core.journal.head import WIDTH, digest, is_digest, is_uid, numbered
from aiagent_operator.core.strict_json import StrictJsonError, kind, read_object
from aiagent_operator.core.untrusted import line, shown

MOST_BYTES: Final = 12_288
"""Bytes of a record: its data, its attributes, and as much again for those of newer versions."""

_LONGEST_PATH: Final = 200
_SEQUENCE: Final = re.compile(rf"(?!0{{{WIDTH}}})[0-9]{{{WIDTH}}}")
_SOURCE: Final = re.compile(
    rf"/apis/{re.escape(GROUP)}/v[a-z0-9]{{1,62}}/namespaces/[a-z0-9-]{{1,63}}/aiagents/[a-z0-9.-]{{1,253}}"
)
_TYPE: Final = re.compile(rf"{re.escape(kinds.PREFIX)}[A-Za-z][A-Za-z0-9]{{0,62}}")
_FIRST: Final = numbered(1)
_EXTENSION: Final = re.compile(r"[a-z0-9]{1,20}")


class RecordError(ValueError):
    """Bytes that are no record of a journal: where they are, and what is wrong with them."""

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(f"{safe(where)}: {problem}")
        self.where = where
        self.problem = problem


def safe(where: str) -> str:
    """A path for a message: whoever can write to a store gives names to what is in it."""
    return line(where, _LONGEST_PATH)


@dataclass(frozen=True, slots=True)
class Record:
    """One record. `previous` is empty in the first, `time` RFC 3339, and `digest` that of its bytes."""

    sequence: int
    previous: str
    subject: str
    source: str
    type: str
    cause: str
    time: str
    data: Mapping[str, Any]
    digest: str

    @property
    def kind(self) -> kinds.Kind | None:
        """What happened; None where a newer version has a word for it that this one does not know."""
        return kinds.of_type(self.type)

    @property
    def key(self) -> tuple[str, str]:
        """Type and cause, as `Event.key`."""
        return self.type, self.cause


def read(raw: bytes, where: str) -> Record:
    """The record that the bytes are. `where` is their path, for the message. Raises RecordError."""
    found = attributes(raw, where)
    return Record(
        sequence=int(found["sequence"]),
        previous=found.get("previous", ""),
        subject=found["subject"],
        source=found["source"],
        type=found["type"],
        cause=found["cause"],
        time=found["time"],
        data=found["data"],
        digest=digest(raw),
    )


def attributes(raw: bytes, where: str) -> dict[str, Any]:
    """The attributes of the record that the bytes are, each of the right form. Raises RecordError.

    The same as `read` for whoever goes through a million of them.
    """
    if len(raw) > MOST_BYTES:
        raise RecordError(where, f"has {len(raw)} bytes, and a record has at most {MOST_BYTES}")
    try:
        found = orjson.loads(raw)
        same = orjson.dumps(found, option=orjson.OPT_SORT_KEYS) == raw
    except (orjson.JSONDecodeError, orjson.JSONEncodeError) as error:
        raise RecordError(where, _why_unreadable(raw)) from error
    if type(found) is not dict or not same:
        raise RecordError(where, _why_unreadable(raw))
    for name, fits in _CHECKS:
        value = found.get(name)
        if type(value) is not str or not fits(value):
            raise RecordError(where, f"{_wrong(found, name)}: a record has {_ATTRIBUTES[name][1]} there")
    if found.get("id") != f"{found['subject']}/{found['sequence']}":
        raise RecordError(where, f"{_wrong(found, 'id')}: a record has its subject, a slash and its sequence there")
    first = found["sequence"] == _FIRST
    if first == ("previous" in found) or not (first or is_digest(found["previous"])):
        shape = "none in the first record" if first else "the digest of the record before"
        raise RecordError(where, f"{_wrong(found, 'previous')}: a chain has {shape} there")
    try:
        contents.check(found.get("data"), within=len(raw))
        if len(found) > _REQUIRED + (not first):
            _extensions(found)
    except contents.DataError as error:
        raise RecordError(where, str(error)) from error
    return found


def _known(fits: Callable[[str], object]) -> Callable[[str], object]:
    """The same, for what is equal in most records of a journal."""
    return lru_cache(maxsize=1024)(fits)


_ATTRIBUTES: Final[Mapping[str, tuple[Callable[[str], object], str]]] = {
    "specversion": (SPEC_VERSION.__eq__, f'"{SPEC_VERSION}"'),
    "datacontenttype": (CONTENT_TYPE.__eq__, f'"{CONTENT_TYPE}"'),
    "subject": (_known(is_uid), "the UID of the agent"),
    "sequence": (_SEQUENCE.fullmatch, f"its sequence in {WIDTH} digits"),
    "source": (_known(_SOURCE.fullmatch), "the path of an AIAgent in the API"),
    "type": (_known(_TYPE.fullmatch), f"{kinds.PREFIX} and a kind"),
    "cause": (is_cause, f"1 to {LONGEST_CAUSE} letters, digits and . _ : / + -"),
    "time": (is_time, "a moment in UTC to the millisecond"),
}
_CHECKS: Final = tuple((name, fits) for name, (fits, _) in _ATTRIBUTES.items())
_REQUIRED: Final = len(_ATTRIBUTES) + 2
"""How many attributes the first record has: these, `id` and `data`."""


def _extensions(found: Mapping[str, Any]) -> None:
    """What a newer version has added (CloudEvents 1.0, "Naming Conventions")."""
    for name in found.keys() - _ATTRIBUTES.keys() - {"id", "data", "previous"}:
        if not _EXTENSION.fullmatch(name):
            raise contents.DataError(
                f"has the attribute {shown(name)}: names of attributes are 1 to 20 lower-case letters and digits"
            )
        contents.check_value(found[name], name)


def _wrong(found: Mapping[str, Any], name: str) -> str:
    if name not in found:
        return f"has no {name}"
    value = found[name]
    return f"{name} is {shown(value, 80) if isinstance(value, str) else kind(value)}"


def _why_unreadable(raw: bytes) -> str:
    """What is wrong with bytes that do not come back as they are."""
    try:
        read_object(raw.decode(), "the record", limit=MOST_BYTES)
    except UnicodeDecodeError as error:
        return f"the record is not UTF-8 at byte {error.start}: it was altered, or is something else"
    except StrictJsonError as error:
        # What it says to write instead is for the authors of Jobs.
        return str(error).partition(": write ")[0]
    return "the record is JSON in another form than a record has: keys sorted, no white space, nothing escaped"
