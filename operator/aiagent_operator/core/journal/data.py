"""What may stand in the `data` of a record: names, digests, versions, moments, numbers, and nothing that people wrote.

A record is never changed, so what should not be in it must not come in. Every string is one reference without a space
and without an address: no sentence fits, no e-mail address, and no URL with a password. Names of people, and their
words, stand as digests with a key (`keyed`) in fields kept for them; a plain digest or a name there is refused. What is
one word cannot be told from a name of something, so a secret in one word is kept out only by who makes the event.

Numbers are whole, within what every reader of JSON takes exactly (RFC 7493, section 2.2); others are decimal strings.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import orjson

from aiagent_operator.core.journal import keyed
from aiagent_operator.core.strict_json import kind
from aiagent_operator.core.untrusted import shown

MOST_BYTES: Final = 8192
"""Bytes of `data` as JSON."""

LONGEST: Final = 512
"""Characters of a string: the longest image reference, with its digest."""

DEEPEST: Final = 4
MOST_NUMBER: Final = 2**53 - 1

KEYED: Final = frozenset({"by", "approver", "owner", "requester", "message", "notes"})
"""Fields of people and of what they wrote, wherever in the data: digests with a key."""

_REFERENCE: Final = re.compile(r"[A-Za-z0-9._:/+-]*(?:@sha256:[0-9a-f]{64})?")
_KEYED: Final = re.compile(rf"{keyed.PREFIX}[0-9a-f]{{64}}")
_KEY_REMEDY: Final = "write its digest with the journal's key"
_NO_JSON: Final = "nothing that JSON has: write a string, a whole number, true, false, null, a list or an object"

# There are few names, and many records.
_is_name: Final = lru_cache(maxsize=1024)(re.compile(r"[A-Za-z][A-Za-z0-9]{0,62}").fullmatch)


class DataError(ValueError):
    """Data that no record may have; the message names the field and says what to write instead."""


class _UnfitError(Exception):
    """What is wrong, after its path, which comes together on the way up: it costs nothing where nothing is wrong."""


def check(data: object, where: str = "data", *, within: int | None = None) -> None:
    """Raises DataError where this is not what may stand in a record.

    `where` names it in the message. `within`: bytes of some JSON of which the data is a part, where that is known.
    """
    if not isinstance(data, dict):
        raise DataError(f"{where} is {kind(data)}: write an object")
    try:
        _object(data, 1)
    except _UnfitError as error:
        raise DataError(f"{where}{error}") from error
    if within is not None and within <= MOST_BYTES:
        return
    size = len(orjson.dumps(data))
    if size > MOST_BYTES:
        raise DataError(f"{where} has {size} bytes: write at most {MOST_BYTES}, and of what is longer its digest")


def check_value(value: object, where: str) -> None:
    """Raises DataError where this could be no value of a field."""
    try:
        _value(value, 1)
    except _UnfitError as error:
        raise DataError(f"{where}{error}") from error


def _object(found: Mapping[Any, Any], depth: int) -> None:
    for name, value in found.items():
        if type(name) is not str or not _is_name(name):
            raise _UnfitError(f" has the name {shown(str(name))}: write 1 to 63 letters and digits, a letter first")
        # A million records have millions of these, and nearly all are as they should be.
        rule = _KEYED if name in KEYED else _REFERENCE
        if type(value) is str and len(value) <= LONGEST and rule.fullmatch(value):
            continue
        if rule is _KEYED:
            raise _UnfitError(f".{name} is of a person, and is {_what(value)}: {_KEY_REMEDY}")
        try:
            _value(value, depth)
        except _UnfitError as error:
            raise _UnfitError(f".{name}{error}") from error


def _value(value: object, depth: int) -> None:
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, str):
        if len(value) > LONGEST:
            raise _UnfitError(f" has {len(value)} characters: write at most {LONGEST}")
        if not _REFERENCE.fullmatch(value):
            raise _UnfitError(
                f" is {_what(value)}: write a name, a digest, a moment or a number, in letters, digits and . _ : / + -"
            )
    elif isinstance(value, int):
        if not -MOST_NUMBER <= value <= MOST_NUMBER:
            raise _UnfitError(f" is beyond {MOST_NUMBER}: write it as a decimal string")
    else:
        _nested(value, depth)


def _nested(value: object, depth: int) -> None:
    if not isinstance(value, dict | list | tuple):
        fraction = "a number with a fraction: write a decimal string"
        raise _UnfitError(f" is {fraction if isinstance(value, float) else _NO_JSON}")
    if depth >= DEEPEST:
        raise _UnfitError(f" is nested deeper than {DEEPEST} levels: write it flatter")
    if isinstance(value, dict):
        _object(value, depth + 1)
        return
    for index, item in enumerate(value):
        try:
            _value(item, depth + 1)
        except _UnfitError as error:
            raise _UnfitError(f"[{index}]{error}") from error


def _what(value: object) -> str:
    return shown(value) if isinstance(value, str) else kind(value)
