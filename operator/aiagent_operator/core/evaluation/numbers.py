"""Decimal numbers as measured: exact, and with what a float can be besides."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, Final

from aiagent_operator.core.strict_json import LONGEST_NUMBER, StrictJsonError, kind, quoted

LONGEST: Final = 64
"""Characters of a number in a status."""

_DECIMAL = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?([0-9]{1,3}))?", re.ASCII)
_FLOAT = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?", re.ASCII)
_LONGEST_FLOAT: Final = 400


def of_result(value: Any, where: str) -> Decimal:
    """The number that a Job wrote, as a string or as a number of JSON. Raises StrictJsonError, naming `where`."""
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return Decimal(value)
    if not isinstance(value, str):
        raise StrictJsonError(f'{where} is {kind(value)}: write a decimal number, such as "0.91"')
    found = _DECIMAL.fullmatch(value) if len(value) <= LONGEST_NUMBER else None
    if found is None or int(found[3] or 0) > LONGEST_NUMBER:
        raise StrictJsonError(
            f'{where} is {quoted(value)}: write a decimal number of at most {LONGEST_NUMBER} characters, such as "0.91"'
        )
    return Decimal(value)


def of_prometheus(text: str) -> Decimal | None:
    """The number of a sample (`1.5`, `1e-07`, `NaN`, `+Inf`), None where the text is none.

    Source: Prometheus, "HTTP API", expression query result formats: a float as a quoted string.
    """
    if text == "NaN":
        return Decimal("NaN")
    if text in {"+Inf", "Inf", "-Inf"}:
        return Decimal("-Infinity" if text[0] == "-" else "Infinity")
    if len(text) <= _LONGEST_FLOAT and _FLOAT.fullmatch(text):
        return Decimal(text)
    return None


def written(value: Decimal) -> str:
    """The number as a status holds it; exact where it fits there."""
    if value.is_nan():
        return "NaN"
    if value.is_infinite():
        return "-Inf" if value.is_signed() else "+Inf"
    plain = f"{value:f}"
    if len(plain) <= LONGEST:
        return plain
    return text if len(text := str(value)) <= LONGEST else f"{value:.16e}"
