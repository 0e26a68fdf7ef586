"""How many writes are under way at a time, and which of those that wait goes first."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Slots:
    """A semaphore with two lines. What takes rights away goes before all else, in the order of arrival.

    For use within one event loop.
    """

    def __init__(self, number: int) -> None:
        self._free = number
        self._lines: tuple[deque[asyncio.Future[None]], deque[asyncio.Future[None]]] = (deque(), deque())

    @asynccontextmanager
    async def take(self, *, urgent: bool = False) -> AsyncIterator[None]:
        """A slot, for the time of the block."""
        await self._acquire(self._lines[0 if urgent else 1])
        try:
            yield
        finally:
            self._release()

    async def _acquire(self, line: deque[asyncio.Future[None]]) -> None:
        if self._free:
            self._free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        line.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._release()  # it was given the slot at the very moment
            raise

    def _release(self) -> None:
        for line in self._lines:
            while line:
                turn = line.popleft()
                if not turn.done():
                    turn.set_result(None)  # the slot goes from hand to hand
                    return
        self._free += 1
