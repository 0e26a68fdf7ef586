"""Probes and metrics over HTTP: /healthz, /readyz, /metrics."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from aiohttp import web

from aiagent_operator.runtime import metrics
from aiagent_operator.runtime.settings import Settings

LOG = logging.getLogger(__name__)

STALE: Final = 60.0
"""Seconds without a beat after which an event loop counts as stuck, and the kubelet is told to restart the process."""

_PULSE: Final = 5.0


class Heartbeat:
    """Sign of life of one event loop. `beat` may be called from any thread."""

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = name
        self._clock = clock
        self._last = clock()

    def beat(self) -> None:
        """The loop is alive."""
        self._last = self._clock()

    @property
    def age(self) -> float:
        """Seconds since the last beat."""
        return self._clock() - self._last

    async def pulse(self) -> None:
        """Beats until cancelled; to run as a task in the loop that it stands for."""
        while True:
            self.beat()
            await asyncio.sleep(_PULSE)


class Health:
    """The HTTP server. `readiness` says what the process waits for, and is empty when it is ready."""

    def __init__(self, settings: Settings, readiness: Callable[[], str]) -> None:
        self._settings = settings
        self._readiness = readiness
        self._hearts: dict[str, Heartbeat] = {}
        self._lock = threading.Lock()
        self._runner: web.AppRunner | None = None
        self.port = settings.health_port

    def register(self, name: str, clock: Callable[[], float] = time.monotonic) -> Heartbeat:
        """A new heartbeat; from now on the process is healthy only while it beats."""
        heart = Heartbeat(name, clock)
        with self._lock:
            self._hearts[name] = heart
        return heart

    def unregister(self, heart: Heartbeat) -> None:
        """The loop ended as it should."""
        with self._lock:
            self._hearts.pop(heart.name, None)

    def stuck(self) -> str:
        """The event loops that have not beaten for STALE seconds; empty when all are alive."""
        with self._lock:
            hearts = list(self._hearts.values())
        ages = [(heart.name, heart.age) for heart in hearts]
        return "; ".join(f"event loop {name!r} has been stuck for {age:.0f} s" for name, age in ages if age > STALE)

    async def start(self) -> None:
        """Listens; OSError where the port is taken. With port 0, `port` is the one that was free."""
        app = web.Application()
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", _metrics)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._settings.health_host, self._settings.health_port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        LOG.info("probes and metrics on port %d", self.port)

    async def stop(self) -> None:
        """Stops listening."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _healthz(self, _: web.Request) -> web.Response:
        return _verdict(self.stuck(), "alive")

    async def _readyz(self, _: web.Request) -> web.Response:
        return _verdict(self._readiness(), "ready")


def unanswered(last_answer: float, within: float = STALE) -> str:
    """What /readyz says where the API server last answered more than `within` seconds ago (monotonic); empty else."""
    silence = time.monotonic() - last_answer
    return f"waits for the API server: no answer for {silence:.0f} s" if silence > within else ""


def _verdict(trouble: str, fine: str) -> web.Response:
    return web.Response(text=(trouble or fine) + "\n", status=503 if trouble else 200)


async def _metrics(_: web.Request) -> web.Response:
    return web.Response(body=metrics.exposition(), headers={"Content-Type": metrics.CONTENT_TYPE})
