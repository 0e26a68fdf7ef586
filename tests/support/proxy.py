"""A reverse proxy before the API server that injects faults, so that tests can break exactly one request.

Plain http on loopback in front, the API server's TLS behind; the client's own bearer token is passed through.
"""

import asyncio
import tempfile
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

from support.faults import Call, Delay, Drop, Fault, Hold, Rule, Status, When, expired_event, is_mutation
from support.kubetransport import Access
from support.localcluster import kubeconfig
from support.watchstream import WatchStream

__all__ = ["Call", "Delay", "Drop", "Fault", "FaultProxy", "Hold", "Rule", "Status", "When"]

HOP_BY_HOP = frozenset({"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "host"})
MAX_BODY = 64 * 1024**2
Hook = Callable[[Call], None]


class ProxyError(Exception):
    """A hook of a test failed; its own error is the cause."""


class FaultProxy:
    """Forwards everything, counts mutating requests, and does to single ones what the test asks for.

    Hooks run in a thread of their own and may block: the request they belong to waits, the others go on.
    """

    def __init__(self, access: Access) -> None:
        """`access` names the server behind; its credentials are not used."""
        self._access = access
        self._lock = threading.Lock()
        # How many requests are at their crash points.
        self._deadly, self._struck = 0, threading.Condition(self._lock)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy", daemon=True)
        self._folder = tempfile.TemporaryDirectory(prefix="aiagent-proxy-")
        self._runner: web.AppRunner | None = None
        self._session: aiohttp.ClientSession | None = None
        self._streams: set[WatchStream] = set()
        self._mutations = 0
        self._calls: list[Call] = []
        self._crashes: dict[int, tuple[When, Hook]] = {}
        self._rules: list[Rule] = []
        self._errors: list[BaseException] = []
        self.url = ""
        # How far the API server's clock seems to be ahead.
        self.clock = timedelta()

    @classmethod
    def before(cls, admin_kubeconfig: Path) -> "FaultProxy":
        """A proxy before the server of a kubeconfig."""
        return cls(Access.read(admin_kubeconfig))

    def start(self) -> Self:
        """Listen on a free port of 127.0.0.1."""
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(30)
        return self

    def stop(self) -> None:
        """End it; raises ProxyError where a hook had failed."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._loop.close()
        self._folder.cleanup()
        if self._errors:
            raise ProxyError(f"{len(self._errors)} hooks failed, the first with {self._errors[0]!r}") from self._errors[
                0
            ]

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def kubeconfig(self, token: str) -> Path:
        """A kubeconfig that leads through this proxy, with a bearer token."""
        with self._lock:
            path = Path(self._folder.name) / f"{len(list(Path(self._folder.name).iterdir()))}.kubeconfig"
            return kubeconfig.write(path, self.url, token=token)

    # What was asked -------------------------------------------------------------------------------------------------

    @property
    def mutations(self) -> int:
        """How many mutating requests have come since the last reset (see is_mutation for what counts)."""
        with self._lock:
            return self._mutations

    @property
    def calls(self) -> list[Call]:
        """Every request since the last reset, in the order of arrival, with the status it was answered with."""
        with self._lock:
            return list(self._calls)

    def reset(self) -> None:
        """Count from the beginning, and forget all calls, rules and crash points."""
        with self._lock:
            self._mutations = 0
            self._calls.clear()
            self._crashes.clear()
            self._rules.clear()

    # What shall happen ----------------------------------------------------------------------------------------------

    def crash_at(self, number: int, when: When, kill: Hook) -> None:
        """Call `kill` at the mutating request with this number (from 1), once, and then drop its connection.

        BEFORE: the request never reaches the API server. AFTER: it was carried out, but its client never hears of it.
        """
        with self._lock:
            self._crashes[number] = (when, kill)

    def spare(self) -> None:
        """Call no `kill` any more. What has been called is over when this returns: whether it died is certain then."""
        with self._struck:
            self._crashes.clear()
            if not self._struck.wait_for(lambda: not self._deadly, timeout=30):
                raise ProxyError("a hook that kills has not ended within 30 s")

    def inject(self, fault: Fault, match: Callable[[Call], bool], *, times: int | None = None) -> Rule:
        """Do this to the requests that match: the next `times` ones or, with None, all. The first that fits wins."""
        rule = Rule(match, fault, times)
        with self._lock:
            self._rules.append(rule)
        return rule

    def withdraw(self, rule: Rule) -> None:
        """End a rule."""
        with self._lock:
            self._rules = [item for item in self._rules if item is not rule]

    def expire_watches(self) -> int:
        """Tell every open watch that its version is too old (410 in the stream) and end it; returns how many."""
        return asyncio.run_coroutine_threadsafe(self._end_streams(expired_event()), self._loop).result(30)

    def break_watches(self) -> int:
        """Cut the connection of every open watch; returns how many."""
        return asyncio.run_coroutine_threadsafe(self._end_streams(None), self._loop).result(30)

    # Inside ---------------------------------------------------------------------------------------------------------

    async def _open(self) -> None:
        connector = aiohttp.TCPConnector(limit=0, ssl=self._access.anonymous or True)
        timeout = aiohttp.ClientTimeout(total=None, connect=10)
        self._session = aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False)
        app = web.Application(client_max_size=MAX_BODY)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"

    async def _close(self) -> None:
        await self._end_streams(None)
        if self._runner is not None:
            await self._runner.cleanup()
        if self._session is not None:
            await self._session.close()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)  # they were cancelled; there is nothing left to report

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        call = Call(request.method, request.path, dict(request.query), body)
        with self._lock:
            if is_mutation(call):
                self._mutations += 1
                call = replace(call, number=self._mutations)
            index = len(self._calls)
            self._calls.append(call)
            crash = self._crashes.pop(call.number, None) if call.number is not None else None
            self._deadly += crash is not None
            fault = self._take_fault(call)
        try:
            response, status = await self._answer(request, call, crash, fault)
        finally:
            with self._struck:
                self._deadly -= crash is not None
                self._struck.notify_all()
        with self._lock:
            if index < len(self._calls) and self._calls[index] is call:  # not reset meanwhile
                self._calls[index] = replace(call, status=status)
        return response

    async def _answer(
        self, request: web.Request, call: Call, crash: tuple[When, Hook] | None, fault: Fault | None
    ) -> tuple[web.StreamResponse, int | None]:
        if crash is not None and crash[0] is When.BEFORE:
            await self._run_hook(crash[1], call)
            return _dropped(request), None
        match fault:
            case Status():
                return fault.response(), fault.code
            case Drop(when=When.BEFORE):
                return _dropped(request), None
            case Delay():
                await asyncio.sleep(fault.seconds)
            case Hold():
                while not fault.released.is_set():  # noqa: ASYNC110 - set by the test, in another thread
                    await asyncio.sleep(0.01)
        response = await self._forward(request, call, stream=call.is_watch)
        if crash is not None:
            await self._run_hook(crash[1], call)
            return _dropped(request), None
        if response is None or isinstance(fault, Drop):
            return _dropped(request), None
        return response, response.status

    def _take_fault(self, call: Call) -> Fault | None:
        for rule in self._rules:
            if rule.takes(call):
                return rule.fault
        return None

    async def _run_hook(self, hook: Hook, call: Call) -> None:
        try:
            await asyncio.to_thread(hook, call)
        except Exception as error:  # noqa: BLE001 - kept, and raised by stop() in the test's own thread
            self._errors.append(error)

    async def _forward(self, request: web.Request, call: Call, *, stream: bool) -> web.StreamResponse | None:
        """The API server's answer; None where it cannot be reached or breaks off, as a client would see it."""
        if self._session is None:
            raise RuntimeError("the proxy is not started")
        headers = _passed_on(request.headers)
        url = self._access.server + request.raw_path
        try:
            async with self._session.request(call.method, url, headers=headers, data=call.body or None) as upstream:
                answer_headers = _passed_on(upstream.headers)
                if self.clock:
                    answer_headers["Date"] = format_datetime(datetime.now(UTC) + self.clock, usegmt=True)
                if stream and upstream.status == 200:
                    return await self._stream(request, upstream, answer_headers)
                content = await upstream.read()
                answer_headers.popall("Content-Length", None)
                return web.Response(status=upstream.status, headers=answer_headers, body=content)
        except aiohttp.ClientError:
            return None

    async def _stream(
        self, request: web.Request, upstream: aiohttp.ClientResponse, headers: "CIMultiDict[str]"
    ) -> web.StreamResponse:
        response = web.StreamResponse(status=200, headers=headers)
        await response.prepare(request)
        stream = WatchStream(request, response, upstream)
        self._streams.add(stream)
        try:
            async for chunk in upstream.content.iter_any():
                if not await stream.write(chunk):
                    break
        except aiohttp.ClientError:
            if not stream.ended:  # the API server broke off, so its client sees the same
                raise
        finally:
            self._streams.discard(stream)
        return response

    async def _end_streams(self, last_words: bytes | None) -> int:
        streams, self._streams = self._streams, set()
        for stream in streams:
            await stream.end(last_words)
        return len(streams)


def _dropped(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)  # goes nowhere: the connection is gone


def _passed_on(headers: "CIMultiDict[str] | aiohttp.typedefs.LooseHeaders") -> "CIMultiDict[str]":
    kept = CIMultiDict(headers)
    for name in list(kept):
        if name.lower() in HOP_BY_HOP:
            kept.popall(name, None)
    return kept
