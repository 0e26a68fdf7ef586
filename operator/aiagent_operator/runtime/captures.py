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
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from aiagent_operator.api.archive import Gap, GapReason
from aiagent_operator.api.archivestatus import MOST_GAPS, Capture
from aiagent_operator.core import capturing, escalations, kpis
from aiagent_operator.core.archive import index, layout
from aiagent_operator.core.archive.errors import ArchiveError
from aiagent_operator.core.capturing import Missed
from aiagent_operator.core.objects import AgentIdentity
from aiagent_operator.core.plan import Observed, Plan
from aiagent_operator.runtime.agentrecord import AgentRecord
from aiagent_operator.runtime.agentstatus import AgentStatusWriter
from aiagent_operator.runtime.archive import captured
from aiagent_operator.runtime.archive.errors import DisputedError, StoreError
from aiagent_operator.runtime.archive.store import Store as ArchiveStore
from aiagent_operator.runtime.client import Api, ApiError
from aiagent_operator.runtime.gather import NotYetSeenError
from aiagent_operator.runtime.kpis import Kpis
from aiagent_operator.runtime.prometheus import Prometheus
from aiagent_operator.runtime.queue import WorkQueue
from aiagent_operator.runtime.settings import Settings
from aiagent_operator.runtime.store import AgentKey, Key, Store

log = logging.getLogger(__name__)

AT_ONCE: Final = 64
"""Agents of which something is captured at the same time; the others wait for their turn, and their rights are gone."""

READ: Final = 4
"""Logs that are on their way into a store at the same time, and decision logs: each has some parts of an upload in
memory."""

# Agents whose KPI series are in memory at the same time: each has a few MB of them.
_MEASURED: Final = 8

# Seconds until another try, doubled with each.
_FIRST, _LONGEST = 1.0, 15.0
# Times that it is said what was captured, where others write to the status meanwhile.
_SAID: Final = 5
_SOON: Final = 0.1


# What is done with for good, and what of it is missing.
_Taken = tuple[frozenset[Capture], tuple[Missed, ...]]


class _AwayError(Exception):
    """The store is away, and so is what else its archive needs: that can wait."""


@dataclass(slots=True)
class _Wanted:
    """What is due of an agent until when (monotonic); `pause`: seconds until the next try. `waits`: what keeps its
    store from taking it."""

    key: AgentKey
    agent: AgentIdentity
    what: frozenset[Capture]
    handbooks: Mapping[str, str]
    series: Kpis
    escalations: bytes
    decisions: str
    ends: float
    terminating: bool
    pause: float = _FIRST
    waits: str = ""


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
        self._api, self._store, self._queue, self._statuses = api, store, queue, statuses
        self._settings, self._prometheus = settings, prometheus
        self._namespace, self._seconds, self._logs = (
            settings.namespace,
            settings.capture_deadline,
            settings.archive_logs,
        )
        self._wanted: dict[AgentKey, _Wanted] = {}
        self._ready: asyncio.Queue[_Wanted] = asyncio.Queue()
        # Each of its own, so that none of them holds up the others.
        self._reading, self._copying = asyncio.Semaphore(READ), asyncio.Semaphore(READ)
        self._measuring = asyncio.Semaphore(_MEASURED)

    def want(self, key: AgentKey, o: Observed | None, what: Iterable[Capture]) -> None:
        """From now on this is due of the agent, and nothing else."""
        known, what = self._wanted.get(key), frozenset(what)
        if o is None or not what:
            self._wanted.pop(key, None)
        elif known is None or known.agent != o.identity or known.what != what:
            ends = time.monotonic() + capturing.left(o, self._seconds)
            born = datetime.fromisoformat(o.agent.metadata.creation_timestamp or o.time)
            chosen = self._settings
            series = Kpis(o.identity, kpis.series(o), born, length=chosen.kpi_period, step=chosen.kpi_step)
            books = capturing.handbooks(o)
            waiting = escalations.lines(escalations.waiting(o))
            log_in = o.agent.spec.retirement.decision_log if o.agent.spec.retirement else None
            told = (books, series, waiting, log_in.store if log_in else "")
            self._wanted[key] = wanted = _Wanted(key, o.identity, what, *told, ends, o.terminating)
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

    async def _tried(self, wanted: _Wanted) -> float | None:
        """One try; None where it was the last, else the seconds until the next."""
        record = self._current(wanted)
        if record is None:
            return None
        try:
            done, missed = await self._take(wanted, record)
        except _AwayError as error:
            return self._held_up(wanted, error)
        except Exception as error:
            # A bug must not keep the agent for ever.
            log.exception("capturing of AIAgent %s/%s failed", *wanted.key)
            text = f"the operator failed ({type(error).__name__}): see its log"
            done, missed = wanted.what, _all(wanted.what, GapReason.UNREADABLE, text)
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
        except _AwayError as error:
            return self._held_up(wanted, error)
        return None

    def _held_up(self, wanted: _Wanted, why: _AwayError) -> float:
        if wanted.waits != str(why):
            wanted.waits = str(why)
            log.warning("AIAgent %s/%s: its archive waits: %s", *wanted.key, why)
            self._queue.add(wanted.key)
        return wanted.pause

    async def _take(self, wanted: _Wanted, record: AgentRecord) -> _Taken:
        keeper = self._statuses.journal.keeper(wanted.key, record)
        if isinstance(keeper, str) or not keeper.usable:
            return _away(wanted, keeper if isinstance(keeper, str) else keeper.problem)
        try:
            logs = await self._taken(wanted, keeper.store) if Capture.LOGS in wanted.what else ()
            told = await self._told(wanted, keeper.store)
            measured = await self._measured(wanted, keeper.store) if Capture.KPIS in wanted.what else ()
        except StoreError as error:
            keeper.failed(error)
            return _away(wanted, str(error))
        return wanted.what, (*logs, *told, *measured)

    async def _taken(self, wanted: _Wanted, store: ArchiveStore) -> tuple[Missed, ...]:
        if not self._logs:
            text = "the operator is told not to archive logs (values archive.logs)"
            return (Missed(layout.LOGS, GapReason.EXCLUDED_BY_POLICY, text),)
        # What encrypts takes 3 MB, which an operator from which nobody leaves does without.
        from aiagent_operator.runtime import podlogs  # noqa: PLC0415

        reader = podlogs.PodLogs(self._api, self._namespace, self._reading)
        taken = await reader.take(store, wanted.agent, self._left(wanted))
        if wanted.terminating and not taken.logs:
            return (Missed(layout.LOGS, GapReason.NAMESPACE_TERMINATING, capturing.GONE),)
        return taken.missed

    async def _told(self, wanted: _Wanted, store: ArchiveStore) -> tuple[Missed, ...]:
        from aiagent_operator.runtime import personaltexts  # noqa: PLC0415 - it encrypts, too

        reader = personaltexts.PersonalTexts(self._api, self._namespace, store, wanted.agent)
        missed: tuple[Missed, ...] = ()
        if Capture.HANDBOOK in wanted.what:
            missed = await reader.handbooks(wanted.handbooks, self._left(wanted))
        if Capture.ESCALATIONS in wanted.what:
            missed += await reader.text(layout.ESCALATIONS, wanted.escalations, self._left(wanted))
        if Capture.DECISIONS in wanted.what:
            missed += await self._decided(wanted, store)
        return missed

    async def _decided(self, wanted: _Wanted, store: ArchiveStore) -> tuple[Missed, ...]:
        from aiagent_operator.runtime import decisions  # noqa: PLC0415 - it encrypts, too

        archive = self._statuses.journal.archive
        source = archive.keepers.get(wanted.decisions) if archive else None
        if source is None:
            text = f'there is no archive store "{wanted.decisions}", which spec.retirement.decisionLog names'
            return (Missed(layout.DECISIONS, GapReason.NOT_FOUND, text),)
        reader = decisions.Decisions(self._api, self._namespace, store, wanted.agent)
        # It may be large, and keeps nobody from anything: its rights and its pods are gone.
        async with self._copying:
            return await reader.take(source.store, max(self._left(wanted), self._seconds))

    async def _measured(self, wanted: _Wanted, store: ArchiveStore) -> tuple[Missed, ...]:
        # The last try is this one, where its time may be over with it.
        last = wanted.terminating or wanted.ends - time.monotonic() <= capturing.LEAST
        try:
            async with self._measuring:
                return await wanted.series.take(self._prometheus, store, capturing.LEAST, last=last)
        except (ArchiveError, DisputedError) as error:
            return (Missed(layout.KPIS, GapReason.UNREADABLE, str(error)),)

    def _left(self, wanted: _Wanted) -> float:
        return max(capturing.LEAST, 0.0 if wanted.terminating else wanted.ends - time.monotonic())

    async def _snapshot(
        self, wanted: _Wanted, record: AgentRecord, done: frozenset[Capture], gaps: tuple[Gap, ...]
    ) -> Mapping[str, int | str] | None:
        """What the journal tells of all that was captured; None where more is to come."""
        if not capturing.last(done):
            return None
        keeper = self._statuses.journal.keeper(wanted.key, record)
        if isinstance(keeper, str):
            raise _AwayError(keeper)
        try:
            stored, noted = await captured.noted(keeper.store, wanted.agent.uid)
        except (StoreError, DisputedError) as error:
            # With a note of somebody else's nothing is sealed either.
            if isinstance(error, StoreError):
                keeper.failed(error)
            raise _AwayError(str(error)) from error
        said = ((record.load().get("status") or {}).get("archive") or {}).get("notCaptured") or ()
        return capturing.snapshot(stored, {gap["path"] for gap in said} | {gap.path for gap in (*noted, *gaps)})

    async def _say(self, wanted: _Wanted, done: frozenset[Capture], gaps: tuple[Gap, ...]) -> None:
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

    def _current(self, wanted: _Wanted) -> AgentRecord | None:
        record = self._store.agents.get(wanted.key)
        return record if record is not None and record.uid == wanted.agent.uid else None


def _said(agent: AgentIdentity, old: Mapping[str, Any], done: Iterable[Capture], gaps: Iterable[Gap]) -> dict[str, Any]:
    """`status.archive` with what is captured now, and what is missing of it."""
    captured = sorted({*(old.get("captured") or ()), *(each.value for each in done)})
    known = {gap["path"]: gap for gap in old.get("notCaptured") or ()}
    known |= {gap.path: gap.model_dump(mode="json", by_alias=True) for gap in gaps}
    said = {"name": index.name(agent), **old, "captured": captured}
    return said | ({"notCaptured": [known[path] for path in sorted(known)][:MOST_GAPS]} if known else {})


def _away(wanted: _Wanted, text: str) -> _Taken:
    if Capture.LOGS not in wanted.what:
        raise _AwayError(text)
    # Its pods wait for a while only, and what else is due for as long as it takes, once they are gone.
    logs = frozenset({Capture.LOGS})
    return logs, _all(logs, GapReason.UNREACHABLE, text)


def _all(what: Iterable[Capture], reason: GapReason, text: str) -> tuple[Missed, ...]:
    return tuple(Missed(capturing.PATHS[each], reason, text, again=True) for each in sorted(what))
