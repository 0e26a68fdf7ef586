"""Recognises the records of a long chain by their form, once such a form has been checked.

A journal has millions of records and a few dozen forms: the same names in the same places, with other values. A record
that was checked in full gives a pattern of its bytes that leaves open only what may differ, and nothing fits it that
the full check would refuse. What fits none, however good it is, is checked in full.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from aiagent_operator.core.journal import data as contents
from aiagent_operator.core.journal import keyed

AFTER: Final = 256
"""Records that are checked in full before the first pattern is made: one takes as long as a hundred checks."""

MOST: Final = 64
"""Patterns of one chain: whoever writes a million forms must not have a million patterns made of them."""

_TEXT: Final = r'"[A-Za-z0-9._:/+-]{0,440}+(?:@sha256:[0-9a-f]{64})?+"'
_KEYED: Final = rf'"{keyed.PREFIX}[0-9a-f]{{64}}"'
# Fewer than may be: of the others some are beyond what every reader takes exactly.
_NUMBER: Final = r"(?:0|-?[1-9][0-9]{0,14})"
_CAUSE: Final = r"[A-Za-z0-9][A-Za-z0-9._:/+-]{0,252}+"
# The 29th of February is in some years only, so it is left to the full check.
_DAY: Final = r"(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
_MOMENT: Final = re.compile(
    rf"(?!0000)[0-9]{{4}}-{_DAY}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{{3}}Z".encode()
)
_TYPE: Final = b'","type":"'
_MOMENT_LENGTH: Final = 24
_LONGEST: Final = 4096
# The attributes of every record but the first, apart from those that a newer version has.
_NAMES: Final = frozenset({
    "cause", "data", "datacontenttype", "id", "previous", "sequence", "source", "specversion", "subject", "time", "type"
})  # fmt: skip


class Shapes:
    """The forms of one chain, of the agent with this UID. `after` as AFTER: fewer where a test wants it sooner."""

    def __init__(self, uid: str, *, after: int = AFTER) -> None:
        self._uid, self._left = uid, after
        self._patterns: dict[bytes, list[re.Pattern[bytes]]] = {}
        self._known: set[tuple[bytes, str]] = set()
        self._begins = f',"datacontenttype":"application/json","id":"{uid}/'.encode()
        # From the source to the time. That of the last one that was checked in full holds for all.
        self._goes_on = b""

    def fits(self, raw: bytes, sequence: int, previous: str) -> bool:
        """Whether this surely is the agent's record with this sequence, after the one with this digest.

        False says nothing: then it has to be checked in full.
        """
        at = raw.rfind(_TYPE)
        patterns = self._patterns.get(raw[at:])
        if patterns is None or len(raw) > contents.MOST_BYTES:
            return False
        number, told = b"%012d" % sequence, previous.encode()
        middle = b"".join((self._begins, number, b'","previous":"', told, b'","sequence":"', number, self._goes_on))
        ends = at - _MOMENT_LENGTH - len(middle)
        if ends <= 0 or not raw.startswith(middle, ends) or not _MOMENT.fullmatch(raw, at - _MOMENT_LENGTH, at):
            return False
        for pattern in patterns:  # noqa: SIM110 - a million times, and any() takes as long again
            if pattern.fullmatch(raw, 0, ends):
                return True
        return False

    def learn(self, raw: bytes, found: Mapping[str, Any]) -> None:
        """Takes in a record of the agent that was checked in full, with its attributes."""
        if self._left > 0:
            self._left -= 1
            return
        if len(self._known) >= MOST or found.keys() != _NAMES:
            return
        self._goes_on = f'","source":"{found["source"]}","specversion":"1.0","subject":"{self._uid}","time":"'.encode()
        kind, data = raw[raw.rfind(_TYPE) :], _pattern(found["data"])
        if len(data) <= _LONGEST and (kind, data) not in self._known:
            self._known.add((kind, data))
            self._patterns.setdefault(kind, []).append(re.compile(rf'\{{"cause":"{_CAUSE}","data":{data}'.encode()))


def _pattern(value: object) -> str:
    """Of what a record has as data: the names as they are, and for each value all that may stand there."""
    if isinstance(value, dict):
        # They are sorted, and have letters and digits only.
        members = (f'"{name}":{_KEYED if name in contents.KEYED else _pattern(its)}' for name, its in value.items())
        return rf"\{{{','.join(members)}\}}"
    if isinstance(value, list):
        items = [_pattern(item) for item in value]
        alike = f"{items[0]}(?:,{items[0]})*+" if len(set(items)) == 1 else ",".join(items)
        return rf"\[{alike}\]"
    if isinstance(value, str):
        return _TEXT
    return "(?:null|true|false)" if value is None or isinstance(value, bool) else _NUMBER
