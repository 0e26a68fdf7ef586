"""The work queue: each key at most once waiting and once at work, with one heap for all due times.

What is urgent goes before all that waits: after a start ten thousand agents do, and an order is not to wait for them.
The rules are those of client-go's workqueue: a key added while it is at work is done again afterwards; failures back
off exponentially per key. Nothing here survives a restart, since everything is observed anew then.
"""

from __future__ import annotations

import asyncio
import heapq
import random
import time
from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class WorkQueue(Generic[K]):
    """Keys to be worked on: the urgent ones first, each lot in the order of arrival. For use within one event loop."""

    def __init__(self, *, backoff_initial: float, backoff_max: float) -> None:
        self._initial, self._max = backoff_initial, backoff_max
        # A key that became urgent while it waited is in both; where it is met the second time, it no longer waits.
        self._ready: deque[K] = deque()
        self._urgent: deque[K] = deque()
        self._waiting: dict[K, bool] = {}
        self._working: set[K] = set()
        self._again: dict[K, bool] = {}
        self._failures: dict[K, int] = {}
        self._due: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._count = 0
        self._wake = asyncio.Event()
        self._alarm: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def working(self) -> int:
        """Keys that are at work now."""
        return len(self._working)

    @property
    def scheduled(self) -> int:
        """Keys that have a due time."""
        return len(self._due)

    def add(self, key: K, *, urgent: bool = False) -> None:
        """The key is to be worked on now; `urgent`: before those that are not."""
        if key in self._working:
            self._again[key] = urgent or self._again.get(key, False)
        elif urgent > self._waiting.get(key, -1):
            self._waiting[key] = urgent
            (self._urgent if urgent else self._ready).append(key)
            self._wake.set()

    def add_after(self, key: K, seconds: float) -> None:
        """The key is to be worked on in that many seconds, or earlier where an earlier time is set already."""
        due = time.monotonic() + seconds
        if self._due.get(key, float("inf")) <= due:
            return
        self._due[key] = due
        self._count += 1
        heapq.heappush(self._heap, (due, self._count, key))
        self._arm()

    def retry(self, key: K, at_least: float = 0.0) -> float:
        """Backs off exponentially, with jitter; returns the delay in seconds."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        delay: float = min(self._initial * 2.0 ** min(failures, 20), self._max)
        delay = max(delay * random.uniform(0.75, 1.25), at_least)  # noqa: S311 - jitter, not a secret
        self.add_after(key, delay)
        return delay

    def forget(self, key: K) -> None:
        """The key succeeded: its next failure backs off from the start."""
        self._failures.pop(key, None)

    async def get(self) -> K:
        """The next key; the caller must call `done` with it."""
        while not self._waiting:
            self._wake.clear()
            await self._wake.wait()
        while (key := (self._urgent or self._ready).popleft()) not in self._waiting:
            pass
        del self._waiting[key]
        self._working.add(key)
        return key

    def done(self, key: K) -> None:
        """The work on the key is over."""
        self._working.discard(key)
        if (urgent := self._again.pop(key, None)) is not None:
            self.add(key, urgent=urgent)
        elif self._waiting:
            self._wake.set()

    def _arm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        while self._heap and self._due.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)  # an earlier time was set since, or the key has been worked on
        if self._heap:
            delay = max(0.0, self._heap[0][0] - time.monotonic())
            self._alarm = asyncio.get_running_loop().call_later(delay, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        now = time.monotonic()
        while self._heap and self._heap[0][0] <= now:
            due, _, key = heapq.heappop(self._heap)
            if self._due.get(key) == due:
                del self._due[key]
                self.add(key)
        self._arm()
