"""Durations as Kubernetes users write them (`720h`, `1h30m`, `90s`, `1.5h`): Go's `time.ParseDuration`, bounded.

The rules are those of https://pkg.go.dev/time#ParseDuration, without a sign: no field here may go backwards. It has no
days or weeks, since a day is not always 24 hours; 30 days are `720h`.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

PATTERN: Final = r"^(0|(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)$"
"""For CRDs: exactly what `parse` takes, bounds aside. The two micro signs are U+00B5 and U+03BC, as in Go."""

MAX_LENGTH: Final = 32
"""For CRDs. No sensible duration is longer; CEL cost and messages stay bounded."""

LONGEST: Final = timedelta(hours=87600)
"""Ten years of 365 days: beyond it a typing error is more likely than an intention."""

_NANOSECONDS: Final = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_PART = re.compile(r"([0-9]*)(\.?)([0-9]*)([^0-9.]+)")
_MOST_NANOSECONDS: Final = 2**63 - 1
_FORMATS: Final = (("h", 3_600_000_000), ("m", 60_000_000))


class DurationError(ValueError):
    """A duration that cannot be used; the message names the field and says what to write instead."""


def parse(text: str, field: str, *, least: timedelta = timedelta(), most: timedelta = LONGEST) -> timedelta:
    """The duration, cut to whole microseconds.

    `field` is named in errors. Raises DurationError for what Go would not parse, and outside `least` and `most`.
    """
    if len(text) > MAX_LENGTH:
        raise DurationError(f"{field} has {len(text)} characters; a duration has at most {MAX_LENGTH}, such as 720h")
    found = timedelta(microseconds=_nanoseconds(text, field) // 1_000)
    if found < least:
        raise DurationError(f'{field} "{text}" is too short: write at least {format_duration(least)}')
    if found > most:
        raise DurationError(f'{field} "{text}" is too long: write at most {format_duration(most)}')
    return found


def _nanoseconds(text: str, field: str) -> int:
    if text == "0":
        return 0
    example = "write hours, minutes and seconds, such as 720h, 1h30m or 90s"
    if not text:
        raise DurationError(f"{field} is empty: {example}")
    if text[0] in "+-":
        raise DurationError(f'{field} "{text}" has a sign: {example}, without one')
    total = position = 0
    while position < len(text):
        part = _PART.match(text, position)
        if part is None or not (part[1] or part[3]):
            missing = "has no unit" if re.fullmatch(r"[0-9.]*[0-9]\.?", text[position:]) else "is not a duration"
            raise DurationError(f'{field} "{text}" {missing}: {example}')
        if part[4] not in _NANOSECONDS:
            days = ", and a day as 24h" if part[4] in {"d", "w", "D", "W"} else ""
            raise DurationError(f'{field} "{text}" has the unknown unit "{part[4]}": {example}{days}')
        total += _part(part, _NANOSECONDS[part[4]])
        position = part.end()
    if total > _MOST_NANOSECONDS:
        raise DurationError(f'{field} "{text}" is too long: write at most {format_duration(LONGEST)}')
    return total


def _part(part: re.Match[str], unit: int) -> int:
    """One number with its unit. The fraction is computed as in Go: a float, and as many digits as an int64 takes."""
    fraction, scale = 0, 1.0
    for digit in part[3]:
        if fraction > _MOST_NANOSECONDS // 10:
            break
        fraction, scale = fraction * 10 + int(digit), scale * 10
    return int(part[1] or 0) * unit + int(float(fraction) * (unit / scale))


def format_duration(duration: timedelta) -> str:
    """The canonical text: `1h30m`, `720h`, `1.5s`, `0s`; reads back to the same duration.

    Unlike Go's, parts that are nothing are left out: `720h` stays `720h`, not `720h0m0s`.
    """
    rest = duration // timedelta(microseconds=1)
    if rest < 0:
        return f"-{format_duration(-duration)}"
    text = ""
    for unit, size in _FORMATS:
        count, rest = divmod(rest, size)
        text += f"{count}{unit}" if count else ""
    if rest or not text:
        seconds, fraction = divmod(rest, 1_000_000)
        text += f"{seconds}" + (f".{fraction:06d}".rstrip("0") if fraction else "") + "s"
    return text
