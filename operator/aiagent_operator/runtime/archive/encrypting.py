"""Encrypts and decrypts a stream on its way: in a thread, piece by piece, with memory that does not grow."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import Any, Final, TypeVar

from aiagent_operator.api.archive import Encryption
from aiagent_operator.core.archive import payload

T = TypeVar("T")

# Bytes that are handed on together: each piece is one step of the event loop.
_PIECE: Final = 256 * 1024
_WAITING: Final = 2
_END: Final = b""

_How = Callable[[Iterator[bytes], payload.Sink], None]


async def encrypted(plain: AsyncIterator[bytes], how: Encryption) -> AsyncGenerator[bytes, None]:
    """What comes of the pieces, encrypted. Raises PayloadError, and what the pieces raise.

    To be closed by whoever does not take all of it (contextlib.aclosing).
    """
    async with contextlib.aclosing(_through(plain, lambda pieces, sink: payload.encrypt(pieces, sink, how))) as made:
        async for piece in made:
            yield piece


async def decrypted(data: AsyncIterator[bytes], identity: str, how: Encryption) -> AsyncGenerator[bytes, None]:
    """What the pieces say, decrypted with the key. Raises PayloadError, and what the pieces raise: until its end nobody
    knows whether anything is missing.

    To be closed by whoever does not take all of it (contextlib.aclosing).
    """
    through = _through(data, lambda pieces, sink: payload.decrypt(pieces, sink, identity, how))
    async with contextlib.aclosing(through) as made:
        async for piece in made:
            yield piece


async def _through(given: AsyncIterator[bytes], how: _How) -> AsyncGenerator[bytes, None]:
    work = _Work(given, how)
    # A thread of its own: those of the loop are what a store works with, and it may wait for all that are left.
    threads = ThreadPoolExecutor(1, "encrypting")
    working = asyncio.wrap_future(threads.submit(work.run))
    try:
        while piece := await work.made.get():
            yield piece
        await working
    finally:
        work.end()
        working.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        # Without waiting for it: it has nothing to wait for by now.
        threads.shutdown(wait=False)


class _GivenUpError(Exception):
    """Nobody wants any more of it."""


class _Loop:
    """Lets a thread ask its event loop, until that ends it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._asked: Future[Any] | None = None
        self._ended = False

    def ask(self, what: Callable[[], Awaitable[T]]) -> T:
        """The answer, in the thread."""

        async def asked() -> T:
            return await what()

        with self._lock:
            if self._ended:
                raise _GivenUpError
            self._asked = future = asyncio.run_coroutine_threadsafe(asked(), self._loop)
        return future.result()

    def end(self) -> None:
        """The thread waits for nothing any more."""
        with self._lock:
            self._ended = True
            if self._asked is not None:
                self._asked.cancel()


class _Work:
    """What the thread does: it takes the pieces, and puts what comes of them into `made`, at last _END."""

    def __init__(self, plain: AsyncIterator[bytes], how: _How) -> None:
        self._plain, self._how, self._loop = plain, how, _Loop()
        self.made: asyncio.Queue[bytes] = asyncio.Queue(_WAITING)
        self._together = bytearray()

    def run(self) -> None:
        """All of it."""
        try:
            self._how(self._pieces(), self._sink)
            self._flush()
        finally:
            with contextlib.suppress(_GivenUpError, CancelledError):
                self._loop.ask(lambda: self.made.put(_END))

    def end(self) -> None:
        """Nobody takes any more of it."""
        self._loop.end()

    def _pieces(self) -> Iterator[bytes]:
        while piece := self._loop.ask(self._taken):
            yield piece

    async def _taken(self) -> bytes:
        while (piece := await anext(self._plain, None)) is not None:
            if piece:
                return piece
        return _END

    def _sink(self, piece: bytes) -> None:
        self._together.extend(piece)
        if len(self._together) >= _PIECE:
            self._flush()

    def _flush(self) -> None:
        if self._together:
            piece = bytes(self._together)
            self._together.clear()
            self._loop.ask(lambda: self.made.put(piece))
