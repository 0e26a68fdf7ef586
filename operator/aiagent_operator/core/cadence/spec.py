"""Cadences and windows from the text that users write, with every mistake named."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import partial
from typing import Final, TypeVar

from aiagent_operator.api.durations import LONGEST, DurationError, parse
from aiagent_operator.core.cadence import crontab, zones
from aiagent_operator.core.cadence.due import Cadence
from aiagent_operator.core.cadence.errors import CadenceError
from aiagent_operator.core.cadence.promise import shortest
from aiagent_operator.core.cadence.schedule import Cron, Every, Plan
from aiagent_operator.core.cadence.windows import Kind, Window

LEAST_INTERVAL: Final = timedelta(seconds=1)
LEAST_WINDOW: Final = timedelta(minutes=1)
LONGEST_WINDOW: Final = timedelta(days=366)

_T = TypeVar("_T")


class _Mistakes(list[str]):
    """Collects what is wrong, so that one message names all of it."""

    def attempt(self, read: Callable[[], _T]) -> _T | None:
        try:
            return read()
        except (CadenceError, DurationError) as error:
            self.append(str(error))
            return None

    def raise_any(self) -> None:
        if self:
            raise CadenceError("; ".join(self))


def cadence(
    *,
    schedule: str | None = None,
    every: str | None = None,
    time_zone: str = "UTC",
    max_age: str | None = None,
    grace: str = "0s",
    spread: str = "0s",
    longest_max_ages: Iterable[str] = (),
    field: str = "spec.retraining",
) -> Cadence:
    """The cadence that these fields describe; `longest_max_ages` are what the agent's policies allow at most.

    `field` is what stands before the fields' names in errors. Raises CadenceError that names all mistakes.
    """
    wrong = _Mistakes()
    plan = wrong.attempt(lambda: _plan(schedule, every, time_zone, field))
    ages = [(max_age, f"{field}.maxAge")] if max_age is not None else []
    ages += [(age, "longest maxAge of an AgentPolicy") for age in longest_max_ages]
    read = [wrong.attempt(partial(parse, text, name, least=LEAST_INTERVAL)) for text, name in ages]
    late = wrong.attempt(lambda: parse(grace, f"{field}.grace"))
    spread_over = wrong.attempt(lambda: parse(spread, f"{field}.spread"))
    wrong.raise_any()
    return Cadence(plan, shortest(read), late or timedelta(), spread_over or timedelta())


def window(*, name: str, kind: str, schedule: str, duration: str, time_zone: str = "UTC", field: str) -> Window:
    """One window; `field` is its place in the policy. Raises CadenceError that names all mistakes."""
    wrong = _Mistakes()
    what = wrong.attempt(lambda: _kind(kind, f"{field}.kind"))
    start = wrong.attempt(lambda: _cron(schedule, time_zone, field))
    holds = wrong.attempt(
        lambda: parse(duration, f"{field}.duration", least=LEAST_WINDOW, most=min(LONGEST_WINDOW, LONGEST))
    )
    wrong.raise_any()
    assert what is not None and start is not None and holds is not None  # noqa: PT018, S101 - else it is in `wrong`
    return Window(name, what, start, holds)


def _plan(schedule: str | None, every: str | None, time_zone: str, field: str) -> Plan | None:
    if schedule is not None and every is not None:
        raise CadenceError(f"{field} has both schedule and every: keep one of them")
    if every is not None:
        return Every(parse(every, f"{field}.every", least=LEAST_INTERVAL))
    return None if schedule is None else _cron(schedule, time_zone, field)


def _cron(schedule: str, time_zone: str, field: str) -> Cron:
    wrong = _Mistakes()
    times = wrong.attempt(lambda: crontab.parse(schedule, f"{field}.schedule"))
    where = wrong.attempt(lambda: zones.zone(time_zone, f"{field}.timeZone"))
    wrong.raise_any()
    assert times is not None and where is not None  # noqa: PT018, S101 - else it is in `wrong`
    return Cron(times, where)


def _kind(text: str, field: str) -> Kind:
    try:
        return Kind(text)
    except ValueError as error:
        raise CadenceError(f'{field} "{text}" is not known: write Allow or Freeze') from error
