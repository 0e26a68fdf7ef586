"""The fastest client: requests made beforehand, sent over kept connections, answers looked at no closer than needed.

It is what the operator is measured against, so it does nothing that is not needed for a write: no objects for requests,
no futures, no decoding. One request is under way on each connection (HTTP/1.1, TLS by uvloop).
"""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import uvloop

from support.kubetransport import Access

_SHOWN = 600
# Seconds for a whole load.
_PATIENCE = 1800.0


class LoadError(Exception):
    """The API server refused something that a measure rests on."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request as bytes. `then` is sent once this one is answered (a Role before its RoleBinding)."""

    data: bytes
    then: Request | None = None


@dataclass(slots=True)
class Outcome:
    """What came of a load: seconds from the first byte out to the last answer in, and each request's own seconds."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)


class Later:
    """Requests of a load that is under way already: they go before those that wait. For use from any thread."""

    def __init__(self, number: int) -> None:
        """`number`: how many will come; the load has not ended before."""
        self._missing = number
        self._put: Callable[[Request], None] | None = None
        self._early: list[Request] = []
        self._lock = threading.Lock()

    def put(self, request: Request) -> None:
        """One of them."""
        with self._lock:
            if self._put is None:
                self._early.append(request)
            else:
                self._put(request)

    @property
    def missing(self) -> bool:
        """Whether some are still to come. For the load."""
        return self._missing > 0

    def begin(self, loop: asyncio.AbstractEventLoop, take: Callable[[Request], None]) -> None:
        """The load has begun, in this loop."""

        def taken(request: Request) -> None:
            self._missing -= 1
            take(request)

        def put(request: Request) -> None:
            loop.call_soon_threadsafe(taken, request)

        with self._lock:
            self._put = put
            for request in self._early:
                put(request)


class Client:
    """Makes requests for one identity, and sends them."""

    def __init__(self, kubeconfig: Path) -> None:
        access = Access.read(kubeconfig)
        url = urlsplit(access.server)
        if url.hostname is None or url.port is None or access.context is None:
            raise LoadError(f"{kubeconfig}: the server must be https with a port, is {access.server}")
        self._host, self._port, self._context = url.hostname, url.port, access.context
        self._head = f"Host: {url.netloc}\r\nAccept: application/json\r\n"
        if access.token:
            self._head += f"Authorization: Bearer {access.token}\r\n"

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        then: Request | None = None,
        content: str = "application/json",
    ) -> Request:
        """A request, ready to be sent."""
        data = b"" if body is None else orjson.dumps(body)
        head = f"{method} {path} HTTP/1.1\r\n{self._head}Content-Type: {content}\r\nContent-Length: {len(data)}\r\n\r\n"
        return Request(head.encode() + data, then)

    def send(self, requests: Iterable[Request], *, connections: int, later: Later | None = None) -> Outcome:
        """Sends all, that many at a time. Raises LoadError at the first refusal."""
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(self.sending(requests, connections=connections, later=later))

    async def sending(self, requests: Iterable[Request], *, connections: int, later: Later | None = None) -> Outcome:
        """As `send`, in a running loop."""
        loop = asyncio.get_running_loop()
        load = _Load(iter(requests), loop.create_future(), later or Later(0))
        for _ in range(connections):
            await self._connect(loop, load)
        try:
            return await load.run()
        finally:
            for connection in load.connections:
                connection.close()

    async def _connect(self, loop: asyncio.AbstractEventLoop, load: _Load) -> None:
        context: ssl.SSLContext = self._context
        await loop.create_connection(
            lambda: _Connection(load), self._host, self._port, ssl=context, server_hostname=self._host
        )


class _Load:
    """What is left to be sent, and who is sending."""

    def __init__(self, requests: Iterator[Request], ended: asyncio.Future[None], later: Later) -> None:
        self._requests, self._ended, self._later = requests, ended, later
        self._released: deque[Request] = deque()
        self.connections: list[_Connection] = []
        self.idle: list[_Connection] = []
        self.outcome = Outcome()
        self._under_way = 0

    async def run(self) -> Outcome:
        began = time.perf_counter()
        for connection in self.connections:
            self.feed(connection)
        self._later.begin(asyncio.get_running_loop(), self.release)
        self._settle()
        await asyncio.wait_for(self._ended, _PATIENCE)
        self.outcome.seconds = time.perf_counter() - began
        return self.outcome

    def release(self, request: Request) -> None:
        """One more, which goes before those that wait."""
        self._released.append(request)
        if self.idle:
            self.feed(self.idle.pop())

    def feed(self, connection: _Connection) -> None:
        request = self._released.popleft() if self._released else next(self._requests, None)
        if request is None:
            self.idle.append(connection)
            return
        self._under_way += 1
        connection.send(request)

    def answered(self, connection: _Connection, request: Request, seconds: float) -> None:
        self.outcome.latencies.append(seconds)
        self._under_way -= 1
        if request.then is not None:
            self._released.append(request.then)
        self.feed(connection)
        while self._released and self.idle:
            self.feed(self.idle.pop())
        self._settle()

    def fail(self, error: Exception) -> None:
        if not self._ended.done():
            self._ended.set_exception(error)

    def lost(self, connection: _Connection) -> None:
        """A connection without a request was closed: while Jobs run, it may be idle for too long."""
        self.connections.remove(connection)
        if connection in self.idle:
            self.idle.remove(connection)
        if not self.connections and self._later.missing:
            self.fail(LoadError("the API server closed all connections while nothing was to be sent"))

    def _settle(self) -> None:
        if not self._under_way and not self._later.missing and not self._ended.done():
            self._ended.set_result(None)


class _Connection(asyncio.Protocol):
    def __init__(self, load: _Load) -> None:
        self._load = load
        self._transport: asyncio.Transport | None = None
        self._request: Request | None = None
        self._began = 0.0
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self._transport = transport  # type: ignore[assignment]
        self._load.connections.append(self)

    def send(self, request: Request) -> None:
        if self._transport is None:
            raise LoadError("a request on a connection that is closed")
        self._request, self._began = request, time.perf_counter()
        self._transport.write(request.data)

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        if not _complete(self._buffer):
            return
        answer, self._buffer = self._buffer, b""
        request = self._request
        if request is None:
            self._load.fail(LoadError(f"an answer that nobody asked for: {answer[:_SHOWN]!r}"))
            return
        if answer[9:10] != b"2":
            first = request.data.partition(b"\r\n")[0].decode()
            self._load.fail(LoadError(f"{first}: {answer[:_SHOWN].decode(errors='replace')} ... {answer[-_SHOWN:]!r}"))
            return
        self._request = None
        self._load.answered(self, request, time.perf_counter() - self._began)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._request is not None:
            self._load.fail(LoadError(f"the API server closed a connection with a request under way: {exc}"))
        elif self in self._load.connections:
            self._load.lost(self)

    def close(self) -> None:
        if self._transport is not None:
            self._request = None
            self._transport.close()


def _complete(buffer: bytes) -> bool:
    """Whether the buffer holds a whole answer; there is never more than one on a connection."""
    head, separator, body = buffer.partition(b"\r\n\r\n")
    if not separator:
        return False
    lowered = head.lower()
    at = lowered.find(b"\r\ncontent-length:")
    if at >= 0:
        length = int(lowered[at + 17 :].partition(b"\r\n")[0])
        return len(body) >= length
    return body.endswith(b"0\r\n\r\n")
