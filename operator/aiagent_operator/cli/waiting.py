"""Looking again until something is so, or the time is over."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

# Seconds between two looks.
_EVERY: Final = 0.5


def looks(seconds: float) -> Iterator[None]:
    """One item for each look that is due: at once, then every half second until the time is over."""
    deadline = time.monotonic() + seconds
    yield
    while time.monotonic() <= deadline:
        time.sleep(_EVERY)
        yield
