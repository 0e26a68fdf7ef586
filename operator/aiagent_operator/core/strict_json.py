"""JSON that somebody else wrote, read strictly: what two readers could take for two things is refused.

Source of the grammar: RFC 8259. Refused beyond it: names given twice, NaN and Infinity (which Python's reader takes),
characters that steer a terminal or reverse the direction of text, halves of surrogate pairs, and what is nested deeper
or has longer numbers than any result needs. Numbers are exact: whole ones `int`, others `Decimal`, never floats.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final, NoReturn

from aiagent_operator.core import untrusted

LIMIT: Final = 4096
"""Bytes. The kubelet keeps no more of a termination message (Kubernetes: "Determine the reason for Pod failure")."""

DEEPEST: Final = 8
LONGEST_NUMBER: Final = 32
"""Characters of a number, and the most places that its exponent may move the point."""

_SHOWN = 40
_LEAST_SHARE = 1024
_LINES = frozenset("\n\t")


class StrictJsonError(ValueError):
    """Text that is not taken; the message says what is wrong with it and what to write instead."""


def read_object(text: str, what: str = "the result", *, limit: int = LIMIT) -> dict[str, Any]:
    """The JSON object that the text is.

    `what` names the text in errors, and `limit` is in bytes of UTF-8. Raises StrictJsonError. Line feeds and tabs are
    taken in values, where notes may have them.
    """
    size = len(text.encode(errors="surrogatepass"))
    if size > limit:
        raise StrictJsonError(f"{what} has {size} bytes: write at most {limit}")
    if not text.strip():
        raise StrictJsonError(f"{what} is empty: write one JSON object")
    try:
        found = json.loads(
            text, object_pairs_hook=_object, parse_float=_decimal, parse_int=_whole, parse_constant=_constant
        )
    except json.JSONDecodeError as error:
        # The kubelet keeps that much, and where a pod has more than three containers a share of 12 KiB for each.
        cut = f"; it has {size} bytes, and may have been cut there: write less" if size >= _LEAST_SHARE else ""
        where = f"line {error.lineno}, column {error.colno}"
        raise StrictJsonError(
            f"{what} is not JSON ({error.msg} at {where}): write one JSON object, and no log{cut}"
        ) from error
    except RecursionError as error:
        raise StrictJsonError(f"{what} is nested deeper than {DEEPEST} levels: write it flatter") from error
    except StrictJsonError as error:
        raise StrictJsonError(f"{what} {error}") from error
    if not isinstance(found, dict):
        raise StrictJsonError(f"{what} is {kind(found)}: write one JSON object")
    _check(found, what)
    return found


def quoted(text: str, longest: int = _SHOWN) -> str:
    """Foreign text as messages show it: in quotes, escaped, cut to so many characters."""
    return json.dumps(text if len(text) <= longest else f"{text[:longest]}...")


def kind(value: Any) -> str:
    """What a value is, in the words of JSON."""
    if value is None:
        return "null"
    names = {bool: "true or false", str: "a string", list: "a list", dict: "an object"}
    return names.get(type(value), "a number")


def unfit(text: str, *, lines: bool = False) -> str | None:
    """The first character of the text that is refused, as U+hhhh; None where all are fit to be shown."""
    if text.isprintable():
        # Whatever is hidden is no printable character, and archives have texts of megabytes.
        return None
    for character in text:
        if untrusted.is_hidden(character) and not (lines and character in _LINES):
            return f"U+{ord(character):04X}"
    return None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise StrictJsonError(f"has {quoted(name)} twice in one object: write it once")
        found[name] = value
    return found


def _whole(text: str) -> int:
    return int(_number(text))


def _decimal(text: str) -> Decimal:
    return _number(text)


def _number(text: str) -> Decimal:
    """The number, short enough that neither comparing nor writing it out costs anything."""
    if len(text) <= LONGEST_NUMBER:
        _, _, exponent = text.lower().partition("e")
        if abs(int(exponent or 0)) <= LONGEST_NUMBER:
            return Decimal(text)
    raise StrictJsonError(
        f"has the number {quoted(text)}: write at most {LONGEST_NUMBER} characters, with an exponent of at most "
        f"{LONGEST_NUMBER}"
    )


def _constant(text: str) -> NoReturn:
    raise StrictJsonError(f"has {text}, which is no number in JSON: leave out what could not be measured")


def _check(found: dict[str, Any], what: str) -> None:
    for trail, depth, value in _nodes(found):
        if depth > DEEPEST:
            raise StrictJsonError(f"{what} is nested deeper than {DEEPEST} levels at {_path(trail)}: write it flatter")
        if isinstance(value, dict):
            for name in value:
                if character := unfit(name):
                    raise StrictJsonError(
                        f"{what} has the name {quoted(name)} with the character {character}: write it without"
                    )
        elif isinstance(value, str) and (character := unfit(value, lines=True)):
            raise StrictJsonError(f"{what} has the character {character} in {_path(trail)}: write it without")


# The way to a value: the one to what it is in, and its name or index there.
_Trail = tuple["_Trail", str | int] | None


def _nodes(root: Any) -> Iterator[tuple[_Trail, int, Any]]:
    """All values, parents first, with the ways to them; without recursion, since the depth is the author's."""
    waiting: list[tuple[_Trail, int, Any]] = [(None, 1, root)]
    while waiting:
        trail, depth, value = waiting.pop()
        yield trail, depth, value
        if depth > DEEPEST:
            continue
        if isinstance(value, dict):
            waiting += [((trail, name), depth + 1, child) for name, child in value.items()]
        elif isinstance(value, list):
            waiting += [((trail, index), depth + 1, child) for index, child in enumerate(value)]


def _path(trail: _Trail) -> str:
    """The way as messages show it. Nobody has to see that of a value that is fit."""
    steps: list[str] = []
    while trail is not None:
        trail, step = trail
        steps.append(f"[{step}]" if isinstance(step, int) else f".{quoted(step)[1:-1]}")
    return "".join(reversed(steps)).lstrip(".")
