"""Captures what agents that leave would take along, beside the passes: no slow kubelet and no store that is away holds
up another agent.

A pass says what is due of an agent, and it is done or given up within a bounded time; then its status says so, and it
is looked at again. Nothing is kept but what is noted in the store: whoever comes after a crash begins with that.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from aiagent_operator.api.archive import Gap, GapReason
from aiagent_operator.api.archivestatus import MOST_GAPS, Capture
from aiagent_operator.core import capturing, escalations, kpis
from aiagent_operator.core.archive import index
from aiagent_operator.core.objects import AgentIdentity
from aiagent_operator.core.plan import Observed, Plan
from aiagent_operator.runtime.agentrecord import AgentRecord
from aiagent_operator.runtime.agentstatus import AgentStatusWriter
from aiagent_operator.runtime.archive import captured
from aiagent_operator.runtime.archive.errors import DisputedError, StoreError
from aiagent_operator.runtime.client import Api, ApiError
from aiagent_operator.runtime.gather import NotYetSeenError
from aiagent_operator.runtime.kpis import Kpis
from aiagent_operator.runtime.prometheus import Prometheus
from aiagent_operator.runtime.queue import WorkQueue
from aiagent_operator.runtime.settings import Settings
from aiagent_operator.runtime.sources import AwayError, Sources, Wanted, all_of
from aiagent_operator.runtime.store import AgentKey, Key, Store

log = logging.getLogger(__name__)

AT_ONCE: Final = 64
"""Agents of which something is captured at the same time; the others wait for their turn, and their rights are gone."""

# Seconds until another try at most; they are doubled with each.
_LONGEST: Final = 15.0
# Times that it is said what was captured, where others write to the status meanwhile.
_SAID: Final = 5
_SOON: Final = 0.1


class Captures:
    """What is to be captured, and those who do it: `work` is to be run several times, until cancelled."""

    def __init__(  # noqa: PLR0917 - what it works with, each thing of its own type
        self,
        api: Api,
        store: Store,
        queue: WorkQueue[Key],
        statuses: AgentStatusWriter,
        settings: Settings,
        prometheus: Prometheus,
    ) -> None:
        """`prometheus` is asked for KPI series."""
        self._store, self._queue, self._statuses, self._settings = store, queue, statuses, settings
        self._sources = Sources(api, statuses.journal, settings, prometheus)
        self._wanted: dict[AgentKey, Wanted] = {}
        self._ready: asyncio.Queue[Wanted] = asyncio.Queue()

    def want(self, key: AgentKey, o: Observed | None, what: Iterable[Capture]) -> None:
        """From now on this is due of the agent, and nothing else."""
        known, what = self._wanted.get(key), frozenset(what)
        if o is None or not what:
            self._wanted.pop(key, None)
        elif known is None or known.agent != o.identity or known.what != what:
            ends = time.monotonic() + capturing.left(o, self._settings.capture_deadline)
            born = datetime.fromisoformat(o.agent.metadata.creation_timestamp or o.time)
            chosen = self._settings
            series = Kpis(o.identity, kpis.series(o), born, length=chosen.kpi_period, step=chosen.kpi_step)
            books = capturing.handbooks(o)
            waiting = escalations.lines(escalations.waiting(o))
            log_in = o.agent.spec.retirement.decision_log if o.agent.spec.retirement else None
            told = (books, series, waiting, (log_in.store if log_in else None) or "")
            self._wanted[key] = wanted = Wanted(key, o.identity, what, *told, ends, o.terminating)
            self._ready.put_nowait(wanted)
        else:
            known.terminating = o.terminating

    def told(self, key: AgentKey, plan: Plan) -> Plan:
        """The plan, which says what that waits for which is due, where it is known."""
        known = self._wanted.get(key)
        if known is None or not known.waits or known.what != plan.capture:
            return plan
        said = (replace(verdict, message=f"{verdict.message}. It waits: {known.waits}") for verdict in plan.verdicts)
        return replace(plan, verdicts=tuple(said))

    async def work(self) -> None:
        """Captures for one agent after the other."""
        while True:
            wanted = await self._ready.get()
            if self._wanted.get(wanted.key) is not wanted:
                continue
            try:
                again = await self._tried(wanted)
            except (ApiError, NotYetSeenError) as error:
                log.info("AIAgent %s/%s: captured, and not said yet: %s", *wanted.key, error)
                again = wanted.pause
            except Exception:
                # A bug must not end the operator: it is logged whole, and tried again.
                log.exception("what was captured of AIAgent %s/%s cannot be said", *wanted.key)
                again = _LONGEST
            if again is not None:
                wanted.pause = min(2 * wanted.pause, _LONGEST)
                asyncio.get_running_loop().call_later(again, self._ready.put_nowait, wanted)
            elif self._wanted.get(wanted.key) is wanted:
                del self._wanted[wanted.key]
                self._queue.add(wanted.key)

    async def _tried(self, wanted: Wanted) -> float | None:
        """One try; None where it was the last, else the seconds until the next."""
        record = self._current(wanted)
        if record is None:
            return None
        try:
            done, missed = await self._sources.take(wanted, record)
        except AwayError as error:
            return self._held_up(wanted, error)
        except Exception as error:
            # A bug must not keep the agent for ever.
            log.exception("capturing of AIAgent %s/%s failed", *wanted.key)
            text = f"the operator failed ({type(error).__name__}): see its log"
            done, missed = wanted.what, all_of(wanted.what, GapReason.UNREADABLE, text)
        left = wanted.ends - time.monotonic()
        if left > 0 and not wanted.terminating and any(each.again for each in missed):
            return min(wanted.pause, left)
        if self._wanted.get(wanted.key) is not wanted:
            # It is not wanted any more, or wanted anew.
            return None
        gaps = capturing.gaps(missed, terminating=wanted.terminating)
        for gap in gaps:
            log.warning("AIAgent %s/%s: not archived: %s: %s", *wanted.key, gap.path, gap.message)
        try:
            await self._say(wanted, done, gaps)
        except AwayError as error:
            return self._held_up(wanted, error)
        return None

    def _held_up(self, wanted: Wanted, why: AwayError) -> float:
        if wanted.waits != str(why):
            wanted.waits = str(why)
            log.warning("AIAgent %s/%s: its archive waits: %s", *wanted.key, why)
            self._queue.add(wanted.key)
        return wanted.pause

    async def _snapshot(
        self, wanted: Wanted, record: AgentRecord, done: frozenset[Capture], gaps: tuple[Gap, ...]
    ) -> Mapping[str, int | str] | None:
        """What the journal tells of all that was captured; None where more is to come."""
        if not capturing.last(done):
            return None
        keeper = self._statuses.journal.keeper(wanted.key, record)
        if isinstance(keeper, str):
            raise AwayError(keeper)
        try:
            stored, noted = await captured.noted(keeper.store, wanted.agent.uid)
        except (StoreError, DisputedError) as error:
            # With a note of somebody else's nothing is sealed either.
            if isinstance(error, StoreError):
                keeper.failed(error)
            raise AwayError(str(error)) from error
        said = ((record.load().get("status") or {}).get("archive") or {}).get("notCaptured") or ()
        return capturing.snapshot(stored, {gap["path"] for gap in said} | {gap.path for gap in (*noted, *gaps)})

    async def _say(self, wanted: Wanted, done: frozenset[Capture], gaps: tuple[Gap, ...]) -> None:
        why = NotYetSeenError("it has changed meanwhile")
        for _ in range(_SAID):
            record = self._current(wanted)
            if record is None:
                return
            snapshot = await self._snapshot(wanted, record, done, gaps)
            status = record.load().get("status") or {}
            fields = {"archive": _said(wanted.agent, status.get("archive") or {}, done, gaps)}
            try:
                if snapshot is not None:
                    await self._statuses.first(wanted.key, record, status, fields, snapshot=snapshot)
                    return
                if await self._statuses.write(wanted.key, record, fields) is not None:
                    return
            except NotYetSeenError as error:
                why = error
            # Its journal was told, say: nothing of that makes what is captured another.
            await asyncio.sleep(_SOON)
        raise why

    def _current(self, wanted: Wanted) -> AgentRecord | None:
        record = self._store.agents.get(wanted.key)
        return record if record is not None and record.uid == wanted.agent.uid else None


def _said(agent: AgentIdentity, old: Mapping[str, Any], done: Iterable[Capture], gaps: Iterable[Gap]) -> dict[str, Any]:
    """`status.archive` with what is captured now, and what is missing of it."""
    captured = sorted({*(old.get("captured") or ()), *(each.value for each in done)})
    known = {gap["path"]: gap for gap in old.get("notCaptured") or ()}
    known |= {gap.path: gap.model_dump(mode="json", by_alias=True) for gap in gaps}
    said = {"name": index.name(agent), **old, "captured": captured}
    return said | ({"notCaptured": [known[path] for path in sorted(known)][:MOST_GAPS]} if known else {})
