"""Puts into archive stores what successors inherit, beside the passes: no slow store holds up another agent.

A pass says what is due of an agent, and hears what became of it. Nothing is kept but what lies in the store: whoever
comes after a crash begins anew, and finds what is there.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from aiagent_operator.core.archive.errors import ArchiveError
from aiagent_operator.core.objects import AgentIdentity
from aiagent_operator.core.succession import Became, Bequest
from aiagent_operator.runtime.archive.errors import DisputedError, StoreError
from aiagent_operator.runtime.client import Api, ApiError
from aiagent_operator.runtime.handovers import Handovers
from aiagent_operator.runtime.intake.endpoint import RefusedError
from aiagent_operator.runtime.queue import WorkQueue
from aiagent_operator.runtime.store import AgentKey, Key, Store

if TYPE_CHECKING:
    from aiagent_operator.runtime.archive.keeper import Archive, Keeper

log = logging.getLogger(__name__)

AT_ONCE: Final = 2
"""Inheritances that are delivered at the same time: a store may have 80 MiB of each in memory."""

AGAIN: Final = 300.0
"""Seconds after which a delivery that failed is tried anew: by then somebody may have mended what it needs."""

# Seconds after which a store is looked at again that cannot be used now: its own proof is made sooner.
_AWAY: Final = 30.0
_SOON: Final = 1.0


@dataclass(slots=True)
class _Wanted:
    """What is due of an agent, and what became of the last try."""

    key: AgentKey
    agent: AgentIdentity
    bequest: Bequest
    became: Became | None = None


class _AgainError(Exception):
    """It cannot be delivered now; the message says why. `failed`: a person has to mend that."""

    def __init__(self, text: str, *, failed: bool = True, after: float = AGAIN) -> None:
        super().__init__(text)
        self.failed, self.after = failed, after


class _GivenUpError(Exception):
    """Nobody wants it any more, or it is wanted anew."""


class Bequests:
    """What is to be delivered, and those who do it: `work` is to be run AT_ONCE times, until cancelled.

    `namespace`: the operator's own, where the keys of archives are.
    """

    def __init__(self, api: Api, store: Store, queue: WorkQueue[Key], namespace: str, archive: Archive | None) -> None:
        self._queue, self._archive = queue, archive
        self._handovers = Handovers(api, store, namespace, archive)
        self._wanted: dict[AgentKey, _Wanted] = {}
        self._ready: asyncio.Queue[_Wanted] = asyncio.Queue()

    def want(self, key: AgentKey, agent: AgentIdentity, bequest: Bequest | None) -> None:
        """From now on this is due of the agent, and nothing else."""
        known = self._wanted.get(key)
        if bequest is None:
            self.forget(key)
        elif known is None or (known.agent, known.bequest) != (agent, bequest):
            self._wanted[key] = wanted = _Wanted(key, agent, bequest)
            self._ready.put_nowait(wanted)

    def forget(self, key: AgentKey) -> None:
        """Nothing is due of the agent any more."""
        self._wanted.pop(key, None)

    def became(self, key: AgentKey) -> Became | None:
        """What became of what was due last; None where nothing is due, or nothing has become of it yet."""
        known = self._wanted.get(key)
        return known.became if known else None

    async def work(self) -> None:
        """Delivers one after the other."""
        while True:
            wanted = await self._ready.get()
            if self._wanted.get(wanted.key) is not wanted:
                continue
            try:
                became, again = await self._tried(wanted)
            except _GivenUpError:
                continue
            except Exception as error:
                # A bug must not end the operator: it is logged whole, said, and tried again.
                log.exception("what AIAgent %s/%s inherits cannot be delivered", *wanted.key)
                text = f"the operator failed ({type(error).__name__}): see its log"
                became, again = Became(wanted.bequest, text=text, failed=True), AGAIN
            if again is not None:
                asyncio.get_running_loop().call_later(again, self._ready.put_nowait, wanted)
            if wanted.became != became:
                wanted.became = became
                self._queue.add(wanted.key)

    async def _tried(self, wanted: _Wanted) -> tuple[Became, float | None]:
        """What became of it, and in how many seconds it is tried again."""
        bequest = wanted.bequest
        try:
            digest = await self._delivered(wanted)
        except _AgainError as error:
            log.warning("AIAgent %s/%s: its inheritance waits: %s", *wanted.key, error)
            return Became(bequest, text=str(error), failed=error.failed), error.after
        log.info("AIAgent %s/%s: %s is in archive store %s", *wanted.key, bequest.archive, bequest.store)
        return Became(bequest, digest=digest), None

    async def _delivered(self, wanted: _Wanted) -> str:
        # Only where there is an archive: the libraries take memory.
        from aiagent_operator.runtime.archive import bequeathing  # noqa: PLC0415

        agent, target = wanted.agent, self._target(wanted.bequest.store)
        try:
            its = self._handovers.agreed(agent)
            if self._handovers.erased(its):
                # What an attempt has left must not outlive the erasure.
                await bequeathing.withdraw(target.store, agent, its.archive)
            source, key = await self._handovers.opened(agent, its)
            still = lambda: self._still(wanted)  # noqa: E731
            return await bequeathing.deliver(target.store, bequeathing.Legacy(source, key, its, agent, still))
        except StoreError as error:
            keeper = self._archive.keepers.get(error.store) if self._archive else None
            if keeper is not None:
                keeper.failed(error)
            raise _AgainError(f"{error}; {_ANEW}") from error
        except (DisputedError, ArchiveError) as error:
            raise _AgainError(f"{error}; {_ANEW}") from error
        except RefusedError as error:
            if error.status == 503:
                raise _AgainError(str(error), failed=False, after=_AWAY) from error
            raise _AgainError(f"{error}; {_ANEW}") from error
        except ApiError as error:
            raise _AgainError(str(error), failed=False, after=_AWAY) from error

    def _still(self, wanted: _Wanted) -> None:
        """Raises where it may not be given any more."""
        if self._wanted.get(wanted.key) is not wanted:
            raise _GivenUpError
        its = self._handovers.agreed(wanted.agent)
        if over := self._handovers.ended(its):
            raise RefusedError(409, over)

    def _target(self, name: str) -> Keeper:
        """The store, where it takes this now."""
        found = self._archive.keepers.get(name) if self._archive else None
        if found is None:
            text = f"spec.succession.store names {name}, and there is no such archive store: describe it"
            raise _AgainError(f"{text} (value archive.stores), or name another one")
        if not found.handovers:
            text = f"archive store {name} takes no handovers: have its administrator set handovers to true"
            raise _AgainError(f"{text} (value archive.stores), or name another store in spec.succession.store")
        if not found.proved:
            raise _AgainError(found.problem, failed=False, after=_SOON)
        if not found.usable:
            raise _AgainError(found.problem, after=_AWAY)
        return found


_ANEW: Final = f"mend that; it is tried anew {AGAIN:.0f} s after it failed"
