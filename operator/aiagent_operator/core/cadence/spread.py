"""Due times of many agents, spread so that they do not all train at the same minute."""

from __future__ import annotations

from datetime import timedelta
from hashlib import sha256
from typing import Final

_SECOND: Final = timedelta(seconds=1)


def offset(uid: str, span: timedelta) -> timedelta:
    """The agent's place in `span`: whole seconds, at least 0 and less than `span`, the same on every call.

    UIDs are random, but need not be evenly so: the hash makes places uniform. Nothing for a span that is not positive.
    """
    seconds = max(0, span // _SECOND)
    place = int.from_bytes(sha256(uid.encode()).digest()[:8])
    return timedelta(seconds=place * seconds >> 64)
