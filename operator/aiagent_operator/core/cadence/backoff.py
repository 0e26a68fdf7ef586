"""When a training that failed is tried again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

_MICROSECOND: Final = timedelta(microseconds=1)
# More than from the shortest duration to the longest.
_MOST_DOUBLINGS: Final = 64


@dataclass(frozen=True, slots=True)
class Backoff:
    """The first pause, doubled with each failure, and the longest. Training is dear: pauses are longer than a Job's."""

    first: timedelta = timedelta(minutes=10)
    longest: timedelta = timedelta(hours=6)

    def delay(self, failed: int) -> timedelta:
        """The pause after so many failures in a row; none after none."""
        if failed <= 0:
            return timedelta()
        # In microseconds, as integers: they have no greatest value, and a count without bound must not overflow.
        first, longest = (pause // _MICROSECOND for pause in (self.first, self.longest))
        return min(first << min(failed - 1, _MOST_DOUBLINGS), longest) * _MICROSECOND

    def not_before(self, failed: int, last_failure: datetime | None) -> datetime | None:
        """The earliest next attempt; None where there was no failure."""
        return last_failure + self.delay(failed) if failed > 0 and last_failure is not None else None
