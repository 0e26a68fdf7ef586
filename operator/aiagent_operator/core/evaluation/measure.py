"""Making a measurement: of one metric from a Job's result, or of the answers of Prometheus."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from aiagent_operator.api.agentevaluation import LONGEST_MESSAGE, Measurement, Phase
from aiagent_operator.api.evaluation import Metric
from aiagent_operator.core import texts
from aiagent_operator.core.evaluation import answer as answers
from aiagent_operator.core.evaluation.answer import Answer, AnswerError
from aiagent_operator.core.evaluation.judge import Judged, judge, relative
from aiagent_operator.core.evaluation.numbers import written
from aiagent_operator.core.evaluation.query import needs_stable
from aiagent_operator.core.evaluation.result import Result
from aiagent_operator.core.untrusted import line as shown

Answered = Answer | str
"""What became of a question: the answer, or why there is none."""


def of_result(metric: Metric, result: Result, *, compared: bool, at: dt.datetime) -> Measurement:
    """The measurement of a metric in a Job's result; `compared`: there is a stable revision."""
    found = result.measurements.get(metric.name)
    if found is None:
        names = texts.some(sorted(result.measurements), 8)
        return _made((at, at), Judged(Phase.ERROR, f"the Job measured no {metric.name}; it measured {names}"))
    if compared and relative(metric) and found.stable is None:
        text = "the Job's result has no stableValue: let the Job measure the stable revision too, and write it there"
        return _made((at, at), Judged(Phase.ERROR, text), found.value)
    stable = found.stable if compared else None
    return _made((at, at), judge(metric, found.value, stable), found.value, stable)


def questions(metric: Metric, *, compared: bool) -> tuple[bool, bool]:
    """Whether the metric's query is to be asked about the revision, and about the stable one."""
    if not compared and needs_stable(metric.query or ""):
        return False, False
    return True, compared and relative(metric)


def of_answers(
    metric: Metric, answered: Answered | None, stable: Answered | None, *, began: dt.datetime, ended: dt.datetime
) -> Measurement:
    """The measurement that answers make; they are None where `questions` asks for none."""
    if answered is None:
        text = "the query has {{stableRevision}}, and there is no stable revision yet"
        return _made((began, ended), Judged(Phase.INCONCLUSIVE, text))
    try:
        value, said = _number(answered)
    except AnswerError as error:
        return _made((began, ended), Judged(Phase.ERROR, str(error)))
    if stable is None:
        return _made((began, ended), judge(metric, value), value, said=said)
    try:
        other, also = _number(stable)
    except AnswerError as error:
        return _made((began, ended), Judged(Phase.ERROR, f"asked about the stable revision: {error}"), value)
    return _made((began, ended), judge(metric, value, other), value, other, said=said or also)


def _number(answered: Answered) -> tuple[Decimal, str]:
    if isinstance(answered, str):
        raise AnswerError(answered)
    found = answers.number(answered)
    return found.value, f"Prometheus warns: {'; '.join(found.warnings)}" if found.warnings else ""


def _made(
    span: tuple[dt.datetime, dt.datetime],
    judged: Judged,
    value: Decimal | None = None,
    stable: Decimal | None = None,
    *,
    said: str = "",
) -> Measurement:
    message = "; ".join(filter(None, (judged.message, said)))
    return Measurement(
        phase=judged.phase,
        value=None if value is None else written(value),
        stable_value=None if stable is None else written(stable),
        message=shown(message, LONGEST_MESSAGE) or None,
        started_at=texts.moment(span[0]),
        finished_at=texts.moment(span[1]),
    )
