"""The agent at work: HTTP, with a way out that loses no request.

On SIGTERM it first says that it is not ready and goes on answering, each time with `Connection: close`, for as long as
the cluster needs to send tickets elsewhere (TRIAGE_DRAIN_DELAY). Then it stops listening, ends what it has begun, and
exits with 0.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import signal
import time
from typing import Any, Final

from aiohttp import web
from aiohttp.typedefs import Handler

from triage import metrics as exposing
from triage.artifacts import Artifact
from triage.features import LONGEST
from triage.handbook import Handbook
from triage.metrics import Metrics

LOG = logging.getLogger("triage")

_BODY: Final = 128 * 1024
_LAST: Final = 1.0
"""Seconds in which aiohttp writes the last answers."""

_VERSION: Final = re.compile(r"[0-9a-f]{12}")


class Service:
    """One model behind HTTP."""

    def __init__(self, artifact: Artifact, handbook: Handbook) -> None:
        self._artifact, self._handbook = artifact, handbook
        self._metrics = Metrics(artifact, handbook)
        self._draining = False
        self._begun = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def app(self) -> web.Application:
        """The routes."""
        app = web.Application(client_max_size=_BODY, middlewares=[self._around])
        app.router.add_post("/v1/triage", self._triage)
        app.router.add_post("/v1/feedback", self._feedback)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._expose)
        return app

    def drain(self) -> None:
        """From now on: not ready, and no connection is kept."""
        self._draining = True
        self._metrics.draining.set(1)

    async def finish(self, patience: float) -> bool:
        """Waits for the requests that have begun, `patience` seconds at most; whether all of them have ended."""
        try:
            await asyncio.wait_for(self._idle.wait(), patience)
        except TimeoutError:
            return False
        return True

    @web.middleware
    async def _around(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Errors as JSON, counted; connections closed while draining."""
        self._count(1)
        try:
            response = await handler(request)
        except web.HTTPException as error:
            response = web.json_response({"error": error.text or error.reason}, status=error.status)
            if isinstance(error, web.HTTPMethodNotAllowed):
                response.headers["Allow"] = error.headers["Allow"]
        except Exception:
            self._metrics.failed(500)
            raise
        finally:
            self._count(-1)
        if response.status >= 400 and request.path != "/readyz":
            self._metrics.failed(response.status)
        if self._draining:
            response.force_close()
        return response

    def _count(self, change: int) -> None:
        self._begun += change
        self._metrics.in_flight.set(self._begun)
        if self._begun:
            self._idle.clear()
        else:
            self._idle.set()

    async def _triage(self, request: web.Request) -> web.Response:
        began = time.perf_counter()
        text = _text(await _object(request), "text", LONGEST)
        answer = self._artifact.model.classify(text)
        verdict = self._handbook.verdict(answer)
        decision = "escalate" if verdict.reason else "assign"
        body: dict[str, Any] = {
            "decision": decision,
            "confidence": round(answer.confidence, 4),
            "model": self._artifact.version,
        }
        if verdict.reason:
            body["reason"] = verdict.reason
        else:
            body |= {"queue": answer.queue, "because": list(answer.because)}
        if verdict.suggest:
            body["suggestion"] = answer.queue
        self._metrics.answered(decision, answer.queue, answer.confidence)
        self._metrics.seconds.observe(time.perf_counter() - began)
        # The record of the decision, without the customer's words.
        LOG.info("decision", extra={"fields": body | {"queue": answer.queue}})
        return web.json_response(body)

    async def _feedback(self, request: web.Request) -> web.Response:
        """What a human says of an answer: the model and queue that it gave, and the right queue.

        Any replica takes it, whichever version gave the answer, so that the sender needs no memory of replicas.
        """
        content = await _object(request)
        version, queue, right = (_text(content, key, 253) for key in ("model", "queue", "right"))
        if not _VERSION.fullmatch(version):
            raise web.HTTPBadRequest(text=f"'model' is {version!r}, and must be the one of the answer: 12 hex digits")
        known = self._artifact.model.queues
        if queue not in known:
            raise web.HTTPBadRequest(text=f"'queue' is {queue!r}; this model answers with {', '.join(known)}")
        self._metrics.judged(version, queue, right=queue == right)
        return web.Response(status=204)

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.Response(text="alive\n")

    async def _readyz(self, _: web.Request) -> web.Response:
        return web.Response(text="draining\n" if self._draining else "ready\n", status=503 if self._draining else 200)

    async def _expose(self, _: web.Request) -> web.Response:
        return web.Response(body=self._metrics.exposition(), headers={"Content-Type": exposing.CONTENT_TYPE})


async def _object(request: web.Request) -> dict[str, Any]:
    body = await request.read()
    try:
        content = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise web.HTTPBadRequest(text='the body must be a JSON object, such as {"text": "Where is my parcel?"}')
    return content


def _text(content: dict[str, Any], key: str, longest: int) -> str:
    value = content.get(key)
    if not isinstance(value, str) or not value.strip():
        raise web.HTTPBadRequest(text=f"{key!r} must be a text that is not empty")
    if len(value) > longest:
        raise web.HTTPRequestEntityTooLarge(
            longest, len(value), text=f"{key!r} has {len(value)} characters; at most {longest} are read"
        )
    return value


async def serve(service: Service, host: str, port: int, delay: float, patience: float) -> None:
    """Serves until SIGTERM or SIGINT, then drains: `delay` and `patience` in seconds, as above.

    aiohttp's own shutdown throws away what a client sends after it began, also the rest of a request (as of 3.14). So
    the requests are waited for here, between the end of listening and that shutdown.
    """
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    runner = web.AppRunner(service.app(), access_log=None, handle_signals=False, shutdown_timeout=_LAST)
    await runner.setup()
    site = web.TCPSite(runner, host, port, backlog=1024)
    await site.start()
    LOG.info("serving", extra={"fields": {"port": runner.addresses[0][1]}})
    await stop.wait()
    LOG.info("draining", extra={"fields": {"delay": delay, "timeout": patience}})
    service.drain()
    await asyncio.sleep(delay)
    await site.stop()
    if not await service.finish(patience):
        LOG.warning("requests given up", extra={"fields": {"timeout": patience}})
    await runner.cleanup()
    LOG.info("done")
