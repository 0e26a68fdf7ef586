"""Which replica works: the one that holds the Lease (coordination.k8s.io/v1).

The rules are those of client-go's leaderelection: every change goes by resourceVersion, and a candidate takes over once
it has seen the Lease unchanged for as long as its holder promised, by the candidate's own monotonic clock. Times in the
Lease are for people. (The Python client's own election counts wall-clock time, ends on a failed connection and does not
release, so it is not used.)
"""

from __future__ import annotations

import asyncio
import copy
import logging
import math
import random
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aiagent_operator.runtime import metrics
from aiagent_operator.runtime.client import Api, ApiError
from aiagent_operator.runtime.settings import Settings

LOG = logging.getLogger(__name__)

Callback = Callable[[], Awaitable[None]]


class LeaseLostError(RuntimeError):
    """The Lease was not renewed in time, or somebody else holds it. The process must end."""


@dataclass(slots=True)
class _Seen:
    """The Lease as it was last read or written, and since when (monotonic) it has been so."""

    lease: dict[str, Any]
    since: float

    @property
    def version(self) -> str:
        return str(self.lease["metadata"]["resourceVersion"])

    @property
    def holder(self) -> str:
        return (self.lease.get("spec") or {}).get("holderIdentity") or ""

    @property
    def promised(self) -> float:
        """Seconds after which others may take it; a Lease without a duration is free."""
        return float((self.lease.get("spec") or {}).get("leaseDurationSeconds") or 0)


class Leader:
    """One candidate. Any thread may ask `remaining` and `leading`; all else belongs to the event loop of `run`."""

    def __init__(self, api: Api, settings: Settings) -> None:
        self.identity = f"{settings.pod_name}_{secrets.token_hex(6)}"
        self._api, self._settings = api, settings
        self._collection = f"/apis/coordination.k8s.io/v1/namespaces/{settings.namespace}/leases"
        self._path = f"{self._collection}/{settings.lease_name}"
        self._stop = asyncio.Event()
        self._seen: _Seen | None = None
        self._expires = 0.0
        self._trouble = ""

    def remaining(self) -> float:
        """Seconds for which the Lease is surely still ours; 0 when it is not. Safe to call from any thread.

        Counted from before the last successful renewal was sent, so no other candidate's count can have begun earlier.
        """
        return max(0.0, self._expires - time.monotonic())

    @property
    def leading(self) -> bool:
        """Whether the Lease is ours now."""
        return self.remaining() > 0

    @property
    def waiting_for(self) -> str:
        """What keeps this candidate from being of use; empty for the leader and a standby that has seen the Lease."""
        name = f"Lease {self._settings.namespace}/{self._settings.lease_name}"
        if self._trouble:
            return f"waits for {name}: {self._trouble}"
        return "" if self._seen is not None else f"waits for the first look at {name}"

    def stop(self) -> None:
        """Ends `run`: the work is stopped, then the Lease released, so that the next candidate takes over at once."""
        self._stop.set()

    async def run(self, on_started: Callback, on_stopped: Callback) -> None:
        """Waits for the Lease, then runs `on_started` while it is ours; returns after `stop`.

        `on_started` may return or run on; it is cancelled at the end, then `on_stopped` is awaited, and must have ended
        all work when it returns. On a clean stop the Lease is renewed until then. Raises LeaseLostError where the Lease
        was lost, and the error of `on_started` where that failed (the Lease is released then).
        """
        if not await self._acquire():
            return
        LOG.info("leading", extra={"identity": self.identity})
        metrics.LEADER.set(1)
        renewing = asyncio.create_task(self._renew())
        working = asyncio.ensure_future(on_started())
        stopping = asyncio.create_task(self._stop.wait())
        try:
            await self._until_over(renewing, working, stopping)
        finally:
            await _ended(working, stopping)
            await on_stopped()
            await _ended(renewing)
            metrics.LEADER.set(0)
            await self._release()

    @staticmethod
    async def _until_over(
        renewing: asyncio.Task[None], working: asyncio.Future[None], stopping: asyncio.Task[bool]
    ) -> None:
        """Returns on a stop, raises when the Lease is lost or the work fails."""
        waiting: set[asyncio.Future[Any]] = {renewing, working, stopping}
        while stopping in waiting:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for ended in done:
                ended.result()

    async def _acquire(self) -> bool:
        """True once the Lease is ours, False when stopped before."""
        while not self._stop.is_set():
            try:
                if await self._try():
                    return True
                self._report("")
            except ApiError as error:
                self._report(_explain(error))
            await self._pause(self._settings.retry_period * random.uniform(1.0, 1.2))  # noqa: S311 - jitter
        return False

    async def _try(self) -> bool:
        await self._look()
        if self._seen is None:
            return await self._write(None)
        held = self._seen.holder and time.monotonic() - self._seen.since < self._seen.promised
        return False if held else await self._write(self._seen)

    async def _look(self) -> None:
        """Reads the Lease; one that is as it was keeps the time since when it has been so."""
        try:
            lease = await self._api.request("GET", self._path, timeout=self._patience)
        except ApiError as error:
            if error.status != 404:
                raise
            self._seen = None
            return
        if self._seen is None or self._seen.version != lease["metadata"]["resourceVersion"]:
            self._seen = _Seen(lease, time.monotonic())

    async def _write(self, seen: _Seen | None) -> bool:
        """Takes or renews the Lease; False where somebody else was faster."""
        sent = time.monotonic()
        lease = self._claim(seen)
        try:
            if seen is None:
                lease = await self._api.request("POST", self._collection, body=lease, timeout=self._patience)
            else:
                lease = await self._api.request("PUT", self._path, body=lease, timeout=self._patience)
        except ApiError as error:
            if error.status in {404, 409}:
                return False
            raise
        self._seen = _Seen(lease, time.monotonic())
        self._expires = sent + self._settings.lease_duration
        self._report("")
        return True

    def _claim(self, seen: _Seen | None) -> dict[str, Any]:
        lease: dict[str, Any] = (
            {
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {"name": self._settings.lease_name, "namespace": self._settings.namespace},
            }
            if seen is None
            else copy.deepcopy(seen.lease)
        )
        spec: dict[str, Any] = dict(lease.get("spec") or {})
        lease["spec"] = spec
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        if spec.get("holderIdentity") != self.identity:
            spec |= {"acquireTime": now, "leaseTransitions": (spec.get("leaseTransitions") or 0) + (seen is not None)}
        spec |= {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": math.ceil(self._settings.lease_duration),
            "renewTime": now,
        }
        return lease

    async def _renew(self) -> None:
        """Renews until cancelled. Raises LeaseLostError."""
        renewed = time.monotonic()
        while True:
            await asyncio.sleep(self._settings.retry_period)
            try:
                if await self._write(self._seen):
                    renewed = time.monotonic()
                    continue
                await self._look()
            except ApiError as error:
                self._report(_explain(error))
            holder = self._seen.holder if self._seen else ""
            if self._seen is not None and holder != self.identity:
                self._lost(f"it is held by {holder or 'nobody'}")
            if time.monotonic() - renewed > self._settings.renew_deadline:
                self._lost(
                    f"no renewal succeeded for {self._settings.renew_deadline:g} s ({self._trouble or 'deleted'})"
                )

    def _lost(self, why: str) -> None:
        self._expires = 0.0
        raise LeaseLostError(f"lost Lease {self._settings.namespace}/{self._settings.lease_name}: {why}")

    async def _release(self) -> None:
        """Gives the Lease back, where it is ours. A failure costs the next candidate the rest of its duration."""
        if not self.leading:
            return
        self._expires = 0.0
        try:
            while self._seen is not None and self._seen.holder == self.identity:
                if await self._give_back(self._seen):
                    LOG.info("Lease released", extra={"identity": self.identity})
                    return
                await self._look()
        except ApiError as error:
            LOG.warning("the Lease was not released, the next leader waits for its end: %s", error)

    async def _give_back(self, seen: _Seen) -> bool:
        """False where the Lease has changed since: by others' edits, or a renewal whose answer was not waited for."""
        lease = self._claim(seen)
        lease["spec"] |= {"holderIdentity": "", "leaseDurationSeconds": 1}
        try:
            await self._api.request("PUT", self._path, body=lease, timeout=self._patience)
        except ApiError as error:
            if error.status == 409:
                return False
            raise
        return True

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stop.wait(), seconds)
        except TimeoutError:
            return

    @property
    def _patience(self) -> float:
        """Seconds for one request, so that a second one fits into the deadline."""
        return min(self._settings.request_timeout, self._settings.renew_deadline / 2)

    def _report(self, trouble: str) -> None:
        if trouble and trouble != self._trouble:
            LOG.warning("Lease %s/%s: %s", self._settings.namespace, self._settings.lease_name, trouble)
        self._trouble = trouble


def _explain(error: ApiError) -> str:
    if error.status == 403:
        return f"{error.message}; bind the operator's account to the Role that the chart installs for its Lease"
    if error.status == 404:
        return f"{error.message}; create the operator's namespace"
    return str(error)


async def _ended(*tasks: asyncio.Future[Any]) -> None:
    """Cancels the tasks and waits for their end; their errors have been raised by whoever awaited them."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
