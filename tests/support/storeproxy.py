"""A reverse proxy before an object store that breaks single requests.

Not `support.proxy`: what that answers is the API server's, and it changes the Host header, which S3 signs.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from support.proxy import HOP_BY_HOP

_MAX_BODY = 64 * 1024**2


@dataclass(frozen=True)
class Answer:
    """Answered by the proxy as S3 would, without asking the store, or, with `after`, although the store did it."""

    status: int
    code: str = ""
    after: bool = False

    def response(self) -> web.Response:
        """As in Amazon S3 API Reference, "Error responses"; with an ETag, which an answer to a put has."""
        body = f"<Error><Code>{self.code}</Code><Message>injected by a test</Message></Error>" if self.code else ""
        headers = {"Content-Type": "application/xml", "ETag": '"injected"'}
        return web.Response(status=self.status, text=body, headers=headers)


@dataclass(frozen=True)
class Redirect:
    """Answered with another address, which keeps the method."""

    location: str


@dataclass(frozen=True)
class Reset:
    """The connection breaks before the request is passed on, or after the store has carried it out."""

    after: bool = False


@dataclass(frozen=True)
class Half:
    """The store gets half of the body, and then both connections break."""


@dataclass(frozen=True)
class Hang:
    """No answer, until the proxy ends."""


@dataclass(frozen=True)
class Slow:
    """The store is asked only after so many seconds."""

    seconds: float


@dataclass(frozen=True)
class Truncate:
    """So many bytes of the store's answer, and then the connection breaks."""

    size: int


@dataclass(frozen=True)
class Corrupt:
    """The first byte of the body is another one: of the answer's or, with `sent`, of the request's."""

    sent: bool = False


@dataclass(frozen=True)
class Headers:
    """The store's answer with these headers instead of its own."""

    headers: dict[str, str]


@dataclass(frozen=True)
class Kill:
    """`hook` is called, in a thread, before the request is passed on or, with `after`, once the store has carried it
    out; then its connection breaks."""

    hook: Callable[[], None]
    after: bool = False


Fault = Answer | Redirect | Reset | Half | Hang | Slow | Truncate | Corrupt | Headers | Kill
Match = Callable[[str, str], bool]


@dataclass
class _Rule:
    fault: Fault
    match: Match
    left: int | None


@dataclass
class StoreProxy:
    """To be used in the event loop of the test, or by `beside` where the test has none."""

    behind: str
    url: str = ""
    requests: list[tuple[str, str]] = field(default_factory=list)
    """Method and path of each request, with its query."""
    headers: list[CIMultiDictProxy[str]] = field(default_factory=list)
    """Those of each request."""
    _rules: list[_Rule] = field(default_factory=list)
    _ended: asyncio.Event = field(default_factory=asyncio.Event)
    _runner: web.AppRunner | None = None
    _session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(auto_decompress=False)
        app = web.Application(client_max_size=_MAX_BODY)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._runner is not None:
            await self._runner.cleanup()
        if self._session is not None:
            await self._session.close()

    def inject(self, fault: Fault, method: str = "", part: str = "", *, times: int | None = None) -> None:
        """Do this to requests with the method and with `part` in path or query: the next `times` ones, or all."""
        self.inject_where(fault, lambda verb, path: method in ("", verb) and part in path, times=times)

    def inject_where(self, fault: Fault, match: Match, *, times: int | None = None) -> None:
        """Do this to the requests whose method and path, with its query, match."""
        self._rules.append(_Rule(fault, match, times))

    def heal(self) -> None:
        """No faults any more."""
        self._rules.clear()

    def _fault(self, method: str, path: str) -> Fault | None:
        for rule in self._rules:
            if rule.left != 0 and rule.match(method, path):
                rule.left = None if rule.left is None else rule.left - 1
                return rule.fault
        return None

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.requests.append((request.method, request.raw_path))
        self.headers.append(request.headers)
        fault = self._fault(request.method, request.raw_path)
        instead = await self._before(fault, request, body)
        if instead is not None:
            return instead
        response = await self._forward(request, _flipped(body) if fault == Corrupt(sent=True) else body)
        match fault:
            case Reset():
                return _dropped(request)
            case Kill():
                await asyncio.to_thread(fault.hook)
                return _dropped(request)
            case Answer():
                return fault.response()
            case Truncate():
                return await _truncated(request, response, fault.size)
            case Corrupt(sent=False) if isinstance(response.body, bytes):
                response.body = _flipped(response.body)
            case Headers():
                response.headers.update(fault.headers)
        return response

    async def _before(self, fault: Fault | None, request: web.Request, body: bytes) -> web.StreamResponse | None:
        """What is answered in place of the store; None where the store is asked."""
        match fault:
            case Slow():
                await asyncio.sleep(fault.seconds)
            case Hang():
                await self._ended.wait()
                return _dropped(request)
            case Reset(after=False):
                return _dropped(request)
            case Kill(after=False):
                await asyncio.to_thread(fault.hook)
                return _dropped(request)
            case Half():
                await self._forward_half(request, body)
                return _dropped(request)
            case Redirect():
                return web.Response(status=307, headers={"Location": fault.location})
            case Answer(after=False):
                return fault.response()
        return None

    async def _forward_half(self, request: web.Request, body: bytes) -> None:
        url = URL(self.behind)
        _, writer = await asyncio.open_connection(url.host, url.port)
        lines = [f"{request.method} {request.raw_path} HTTP/1.1", *(f"{k}: {v}" for k, v in request.headers.items())]
        writer.write("\r\n".join([*lines, "", ""]).encode() + body[: len(body) // 2])
        await writer.drain()
        await asyncio.sleep(0.2)  # for the store to have read it
        writer.close()
        await writer.wait_closed()

    async def _forward(self, request: web.Request, body: bytes) -> web.Response:
        if self._session is None:
            raise RuntimeError("the proxy is not started")
        headers = _kept(request.headers) | {"Host": request.headers["Host"]}
        url = URL(self.behind + request.raw_path, encoded=True)
        async with self._session.request(
            request.method, url, headers=headers, data=body or None, skip_auto_headers=("Content-Type",)
        ) as upstream:
            answer = _kept(upstream.headers)
            content = await upstream.read()
            if request.method != "HEAD":
                answer.pop("Content-Length", None)
            return web.Response(status=upstream.status, headers=answer, body=content)


@contextmanager
def beside(behind: str) -> Iterator[StoreProxy]:
    """A proxy with an event loop in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="store-proxy", daemon=True)
    thread.start()

    async def begun() -> StoreProxy:
        return await StoreProxy(behind).__aenter__()

    try:
        proxy = asyncio.run_coroutine_threadsafe(begun(), loop).result(30)
        try:
            yield proxy
        finally:
            asyncio.run_coroutine_threadsafe(proxy.__aexit__(None, None, None), loop).result(30)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()


def _kept(headers: CIMultiDict[str] | aiohttp.typedefs.LooseHeaders) -> dict[str, str]:
    return {name: value for name, value in CIMultiDict(headers).items() if name.lower() not in HOP_BY_HOP}


def _flipped(body: bytes) -> bytes:
    return bytes([body[0] ^ 1]) + body[1:] if body else body


def _dropped(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)  # goes nowhere: the connection is gone


async def _truncated(request: web.Request, response: web.Response, size: int) -> web.StreamResponse:
    body = response.body if isinstance(response.body, bytes) else b""
    headers = dict(response.headers) | {"Content-Length": str(len(body))}
    partial = web.StreamResponse(status=response.status, headers=headers)
    await partial.prepare(request)
    await partial.write(body[:size])
    return _dropped(request)
