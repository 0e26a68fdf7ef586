"""One watch on its way from the API server to a client."""

import asyncio
from collections.abc import Awaitable

import aiohttp
from aiohttp import web


class WatchStream:
    """One open watch: passes on whole lines only, so that an event of our own can stand between two of the server's."""

    def __init__(self, request: web.Request, response: web.StreamResponse, upstream: aiohttp.ClientResponse) -> None:
        self._request, self._response, self._upstream = request, response, upstream
        self._rest, self.ended = b"", False
        self._writing = asyncio.Lock()

    async def write(self, chunk: bytes) -> bool:
        """Pass it on; False once the stream has ended."""
        lines, newline, self._rest = (self._rest + chunk).rpartition(b"\n")
        async with self._writing:
            if not self.ended:
                self.ended = not await _said(self._response.write(lines + newline))
        return not self.ended

    async def end(self, last_words: bytes | None) -> None:
        """Say the last words and close, or without any cut the connection."""
        async with self._writing:
            self.ended = True
            if last_words is not None and await _said(self._response.write(last_words)):
                await _said(self._response.write_eof())
            elif self._request.transport is not None:
                self._request.transport.abort()
        self._upstream.close()


async def _said(writing: Awaitable[None]) -> bool:
    """Whether the client is still there to hear it; one that ended its watch, or was killed, is no error of ours."""
    try:
        await writing
    except (ConnectionError, aiohttp.ClientConnectionError):
        return False
    return True
