"""What an answer of Prometheus means.

A measurement is one number. An answer without one is an error, as in Argo Rollouts: it is asked again, and says nothing
of the revision. Several series are an error too: their order means nothing, so taking the first would be drawing lots.
Source: Prometheus, "HTTP API", format overview and instant vectors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from aiagent_operator.core.evaluation import numbers
from aiagent_operator.core.untrusted import line as shown

_SHOWN = 160
# Seconds since 1970: the end of the year 9999.
_LATEST = 253_402_300_800


class AnswerError(ValueError):
    """An answer that is no number; the message says what it is and what to do about it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer: type of the result (vector, scalar, matrix, string), the result, and warnings."""

    kind: str
    result: Any
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sample:
    """One number, with what Prometheus warned of; NaN and infinities are numbers here."""

    value: Decimal
    warnings: tuple[str, ...] = ()


def read(body: Any) -> Answer:
    """The answer in the body of a response. Raises AnswerError where it is an error, or no answer at all."""
    if not isinstance(body, Mapping):
        raise AnswerError("the answer is no object of JSON: is the address that of a Prometheus?")
    if body.get("status") == "error":
        raise AnswerError(f"Prometheus answers {_text(body.get('errorType'))}: {_text(body.get('error'))}")
    data = body.get("data")
    if body.get("status") != "success" or not isinstance(data, Mapping) or "result" not in data:
        raise AnswerError("the answer has no status success with data: is the address that of a Prometheus?")
    warnings = body.get("warnings")
    listed = tuple(map(_text, warnings[:3])) if isinstance(warnings, list) else ()
    return Answer(_text(data.get("resultType")), data["result"], listed)


def number(answer: Answer) -> Sample:
    """The one number that the answer holds. Raises AnswerError."""
    if answer.kind == "scalar":
        return Sample(_number(answer.result), answer.warnings)
    if answer.kind != "vector" or not isinstance(answer.result, list):
        raise AnswerError(
            f"the answer is a {answer.kind}, not one number: leave out a range such as [5m], or put a function such as "
            "rate or avg_over_time around it"
        )
    if not answer.result:
        raise AnswerError("the answer is empty: no series has these labels now; check names and labels in the query")
    if len(answer.result) > 1:
        raise AnswerError(
            f"the answer has {len(answer.result)} series, not one number: put sum, max or another aggregation around it"
        )
    only = answer.result[0]
    if not isinstance(only, Mapping) or "value" not in only:
        what = "a histogram" if isinstance(only, Mapping) and "histogram" in only else "no sample"
        raise AnswerError(f"the answer is {what}, not one number: use a function such as histogram_quantile")
    return Sample(_number(only["value"]), answer.warnings)


@dataclass(frozen=True, slots=True)
class Point:
    """A number of a series at a time, in seconds since 1970, UTC."""

    at: float
    value: str


def points(answer: Answer) -> tuple[Point, ...]:
    """The points of the one series that the answer holds, without its labels; none where nothing was there to measure.

    Raises AnswerError.
    """
    if answer.kind != "matrix" or not isinstance(answer.result, list):
        raise AnswerError(f"the answer is a {answer.kind}, not a series")
    if len(answer.result) > 1:
        raise AnswerError(
            f"the answer has {len(answer.result)} series, not one: put sum, max or another aggregation around it"
        )
    found = answer.result[0] if answer.result else {"values": []}
    if not isinstance(found, Mapping) or not isinstance(found.get("values"), list):
        raise AnswerError("the answer has no series of numbers: use a function such as histogram_quantile")
    return tuple(Point(_at(pair), numbers.written(_number(pair))) for pair in found["values"])


def _at(pair: Any) -> float:
    at = pair[0] if isinstance(pair, list) and pair else None
    if isinstance(at, int | float) and not isinstance(at, bool) and 0 <= at < _LATEST:
        return at
    raise AnswerError(f"the answer has the sample {_text(pair)}, which is no time and number")


def _number(pair: Any) -> Decimal:
    """The value of `[time, "value"]`."""
    if isinstance(pair, list) and len(pair) == 2 and isinstance(pair[1], str):
        found = numbers.of_prometheus(pair[1])
        if found is not None:
            return found
    raise AnswerError(f"the answer has the sample {_text(pair)}, which is no time and number")


def _text(value: Any) -> str:
    return shown(str(value), _SHOWN)
