"""The operator process: election and probes in the main thread, kopf and the work in a thread of the leader's own.

Two event loops on purpose: a leader that is busy with ten thousand agents must still renew its Lease in time.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import sys
import threading
from typing import Any, cast

import kopf
import uvloop

from aiagent_operator.runtime import handlers, logs, metrics, settings
from aiagent_operator.runtime.archive import described
from aiagent_operator.runtime.archive.config import ConfigError
from aiagent_operator.runtime.archive.described import Described
from aiagent_operator.runtime.client import Api, NoClusterError
from aiagent_operator.runtime.definitions import DefinitionsGoneError, until_served
from aiagent_operator.runtime.health import Health, Heartbeat, unanswered
from aiagent_operator.runtime.leader import Leader, LeaseLostError
from aiagent_operator.runtime.leading import Leading
from aiagent_operator.runtime.settings import Settings

log = logging.getLogger(__name__)

# Connections beside those for writes: one per watch, kopf's own apart.
_WATCHES = 64
# Seconds that the work may take to end before the process ends without it.
_PATIENCE = 10.0


class Work:
    """The leader's work in a thread and an event loop of its own. `run` and `stop` belong to the main loop."""

    def __init__(self, chosen: Settings, leader: Leader, health: Health, archive: Described | None) -> None:
        self._settings, self._leader, self._health, self._archive = chosen, leader, health, archive
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._leading: Leading | None = None
        self._waiting = "the work to begin"

    @property
    def waits_for(self) -> str:
        """What keeps the work from being complete; empty when all is known and worked on."""
        return self._leading.waits_for if self._leading else self._waiting

    def _wait_for(self, what: str) -> None:
        self._waiting = what

    async def run(self) -> None:
        """Works until stopped; raises what the work failed with."""
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        main = asyncio.get_running_loop()

        def tell(error: BaseException | None) -> None:
            if ended.done():
                return
            if error is None:
                ended.set_result(None)
            else:
                ended.set_exception(error)

        def thread() -> None:
            error: BaseException | None = None
            try:
                with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                    self._loop = runner.get_loop()
                    runner.run(self._main())
            except asyncio.CancelledError:
                log.info("work stopped")
            except BaseException as failure:  # noqa: BLE001 - handed to the main thread, which ends the process
                error = failure
            main.call_soon_threadsafe(tell, error)

        self._thread = threading.Thread(target=thread, name="work", daemon=True)
        self._thread.start()
        await ended

    async def stop(self) -> None:
        """Ends the work; returns when nothing more can be written."""
        if self._loop and self._task and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._task.cancel)
        if self._thread:
            await asyncio.to_thread(self._thread.join, _PATIENCE)
            if self._thread.is_alive():
                raise RuntimeError(f"the work did not end within {_PATIENCE:.0f} s")

    async def _main(self) -> None:
        self._task = asyncio.current_task()
        chosen = self._settings
        heart = self._health.register("work")
        pulse = asyncio.create_task(heart.pulse())
        connections = chosen.writes_in_flight + _WATCHES
        try:
            async with await Api.connect(connections=connections, timeout=chosen.request_timeout) as api:
                while True:
                    await until_served(api, self._wait_for)
                    await self._lead(api)
        finally:
            pulse.cancel()
            self._health.unregister(heart)

    async def _lead(self, api: Api) -> None:
        """Works until a definition is gone, of which nothing that is known can be true any more; raises all else."""
        leading = self._leading = Leading(api, self._settings, lease=self._leader.remaining, archive=self._archive)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_kopf(self._settings, leading, self._leader.identity))
                group.create_task(leading.run())
        except* DefinitionsGoneError as gone:
            log.warning("%s; starts over when all are served", gone.exceptions[0])
        self._leading = None
        metrics.SYNCED.set(0)
        gc.unfreeze()


async def _kopf(chosen: Settings, leading: Leading, identity: str) -> None:
    namespaces = chosen.watch_namespaces
    try:
        await kopf.operator(
            registry=handlers.registry(leading.store),
            settings=handlers.settings_for_kopf(chosen),
            standalone=True,
            # Else kopf makes one up from the name of the user, and in a container the user has none.
            identity=cast("Any", identity),
            clusterwide=not namespaces,
            namespaces=namespaces,
        )
    except Exception as error:
        # kopf's own errors are private; all that are answers of the API server bear its code.
        if getattr(error, "status", None) != 404:
            raise
        raise DefinitionsGoneError("a kind that the operator listens to is no longer served") from error
    raise RuntimeError("kopf ended although nobody asked it to")


async def _run(chosen: Settings, archive: Described | None) -> None:
    loop = asyncio.get_running_loop()
    async with await Api.connect(connections=4, timeout=chosen.request_timeout) as api:
        leader = Leader(api, chosen)
        works: list[Work] = []

        def readiness() -> str:
            if trouble := leader.waiting_for:
                return trouble
            if silent := unanswered(api.last_answer):
                return silent
            return f"waits for {works[0].waits_for}" if leader.leading and works and works[0].waits_for else ""

        health = Health(chosen, readiness)
        works.append(Work(chosen, leader, health, archive))
        heart: Heartbeat = health.register("election")
        pulse = asyncio.create_task(heart.pulse())
        await health.start()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, leader.stop)
        try:
            await leader.run(works[0].run, works[0].stop)
        finally:
            pulse.cancel()
            await health.stop()
            metrics.LEADER.set(0)


def main() -> None:
    """Entry point of the process. Exit status 0 after SIGTERM, 1 where the Lease was lost or the work failed."""
    chosen = settings.load()
    logs.configure(chosen)
    # The store grows to hundreds of thousands of small objects, none of them in cycles: at the default threshold the
    # collector would go through all of them many times while they are read.
    gc.set_threshold(50_000, 20, 50)
    try:
        archive = described.load(chosen.archive_file) if chosen.archive_file else None
        if archive is None:
            log.warning("AIAGENT_ARCHIVE_FILE names no archive stores: no journal of any agent is kept")
        asyncio.run(_run(chosen, archive))
    except ConfigError as error:
        sys.exit(f"AIAGENT_ARCHIVE_FILE: {error}")
    except NoClusterError as error:
        sys.exit(str(error))
    except LeaseLostError as error:
        sys.exit(f"the Lease was lost: {error}")
    except BaseExceptionGroup as group:
        log.exception("the operator ends")
        sys.exit(f"the work failed: {group.exceptions[0]!r}")
