"""The archive stores of this operator: opened, proved at the start and from time to time, and asked only while they
keep their promises.

One that fails is not asked again before a new proof, so that an outage costs each agent nothing but a note.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from aiagent_operator.runtime import metrics
from aiagent_operator.runtime.archive import errors
from aiagent_operator.runtime.archive.config import StoreConfig
from aiagent_operator.runtime.archive.described import Described
from aiagent_operator.runtime.archive.errors import StoreError
from aiagent_operator.runtime.archive.opening import looking, opened
from aiagent_operator.runtime.archive.proof import prove
from aiagent_operator.runtime.archive.verdict import Mode, Verdict, failed

if TYPE_CHECKING:
    from aiagent_operator.core.archive.envelope import PublicKey

log = logging.getLogger(__name__)

_KINDS: Final = frozenset(kind.value for kind in errors.Kind)


class Keeper:
    """One store. `restored` is called each time that it takes records again. `run` belongs to its event loop.

    `usable`: it takes records. `reads`: what is in it can be read, at the least. `handovers`: as in its description.
    """

    def __init__(self, config: StoreConfig, *, interval: float, restored: Callable[[str], None]) -> None:
        self.name, self.location, self.handovers = config.name, config.url, config.handovers
        self.store = opened(config)
        self._look = looking(config, self.store)
        self._interval, self._restored = interval, restored
        self._again = asyncio.Event()
        self.usable, self.reads, self.proved = False, False, False
        self.problem = f"archive store {self.name} has not been looked at yet"
        # One that is never to take any has no such series: nobody is to be told of it.
        self._ready = None if config.read_only else metrics.ARCHIVE_STORE_READY.labels(self.name)
        if self._ready:
            self._ready.set(0)

    @property
    def readable(self) -> bool:
        """Whether what is in it can be read, also where it takes nothing."""
        return self.usable or self.reads

    def failed(self, error: StoreError) -> None:
        """An operation failed: nothing is asked of it before a proof, which is made at once."""
        if not self.readable:
            return
        self.usable = self.reads = False
        self.problem = f"archive store {self.name} does not take records ({error.kind.value})"
        log.warning("%s", error)
        self._again.set()

    async def run(self) -> None:
        """Proves until cancelled."""
        failures = 0
        while True:
            self._again.clear()
            verdict = await self._proved()
            self._judge(verdict)
            failures = 0 if self.usable else failures + 1
            kind = errors.Kind(verdict.reason) if verdict.reason in _KINDS else None
            pause = errors.pause(kind, failures) if kind and not self.usable else None
            try:
                async with asyncio.timeout(min(pause or self._interval, self._interval)):
                    await self._again.wait()
            except TimeoutError:
                continue

    async def _proved(self) -> Verdict:
        try:
            return await prove(self.store, look=self._look)
        except Exception:
            # A bug here must not end the operator: its agents work on without the store.
            log.exception("archive store %s could not be proved", self.name)
            error = StoreError(errors.Kind.FAILED, self.name, "", "its proof failed", "see the operator's log")
            return failed(self.name, datetime.now(UTC), error)

    def _judge(self, verdict: Verdict) -> None:
        was, known = self.usable, self.proved
        self.proved, self.usable = True, verdict.mode is Mode.READY
        self.reads = verdict.mode is not Mode.UNUSABLE
        if self._ready:
            self._ready.set(self.usable)
        for warning in verdict.warnings:
            log.warning("%s", warning)
        if self.usable:
            if not was:
                log.info("%s", verdict.message)
                self._restored(self.name)
            return
        if was or not known or self.problem != verdict.message:
            log.warning("%s", verdict.message)
        self.problem = verdict.message


class Archive:
    """All stores by name, and the default among them."""

    def __init__(self, described: Described, *, interval: float, restored: Callable[[str], None]) -> None:
        """Raises StoreError (Misconfigured) for a store that cannot be opened."""
        self.default, self.signing_key = described.default, described.signing_key
        self.former_keys = described.former_keys
        self.keepers = {
            name: Keeper(config, interval=interval, restored=restored) for name, config in described.stores.items()
        }

    @property
    def keys(self) -> tuple[PublicKey, ...]:
        """The keys by which certificates of its own are known."""
        return ((self.signing_key.public,) if self.signing_key else ()) + self.former_keys

    @property
    def unproved(self) -> Iterable[str]:
        """Stores of which nothing is known yet."""
        return tuple(name for name, keeper in self.keepers.items() if not keeper.proved)

    async def run(self) -> None:
        """Proves the stores until cancelled, and closes them then."""
        try:
            async with asyncio.TaskGroup() as group:
                for name, keeper in self.keepers.items():
                    group.create_task(keeper.run(), name=f"archive store {name}")
        finally:
            for keeper in self.keepers.values():
                await keeper.store.close()
