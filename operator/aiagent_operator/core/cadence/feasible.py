"""Whether a plan can keep its promise: a schedule that pauses for longer than maxAge breaks it by itself."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from aiagent_operator.api.durations import format_duration
from aiagent_operator.core import texts
from aiagent_operator.core.cadence.due import Cadence
from aiagent_operator.core.cadence.schedule import Every

MOST_TIMES: Final = 400
"""Due times that are looked at: more than a year of daily ones, and centuries of yearly ones."""

_YEARS: Final = timedelta(days=4 * 366)


def problem(cadence: Cadence, now: datetime) -> str | None:
    """Why the plan cannot keep the promise even if every training succeeds at once; None where it can, or none is made.

    The spread counts: an agent may be trained at the begin of it once and at its end the next time.
    """
    if cadence.plan is None or cadence.max_age is None:
        return None
    pause, when = _longest_pause(cadence, now)
    if pause is None or pause + cadence.spread < cadence.max_age:
        return None
    spread = f" and a spread of {format_duration(cadence.spread)}" if cadence.spread else ""
    return (
        f"the plan has a pause of {format_duration(pause)}{when}{spread}, and maxAge is "
        f"{format_duration(cadence.max_age)}: plan more often, or promise less"
    )


def _longest_pause(cadence: Cadence, now: datetime) -> tuple[timedelta | None, str]:
    if cadence.plan is None or isinstance(cadence.plan, Every):
        return (cadence.plan.interval if cadence.plan else None), ""
    longest, when = None, ""
    time = cadence.plan.next_after(now)
    for _ in range(MOST_TIMES):
        following = cadence.plan.next_after(time) if time else None
        if time is None or following is None or time > now + _YEARS:
            break
        if longest is None or following - time > longest:
            longest, when = following - time, f" after {texts.moment(time)}"
        time = following
    return longest, when
