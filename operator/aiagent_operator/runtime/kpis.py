"""Asks Prometheus for the KPI series of an agent that leaves, and puts them into its archive's folder."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from aiagent_operator.api.archive import GapReason
from aiagent_operator.core import kpis
from aiagent_operator.core.archive import index, layout, manifest
from aiagent_operator.core.archive.contents import File
from aiagent_operator.core.archive.layout import Layout
from aiagent_operator.core.capturing import Missed
from aiagent_operator.core.evaluation.answer import Point
from aiagent_operator.core.kpis import Failed, Period, Series
from aiagent_operator.core.objects import AgentIdentity
from aiagent_operator.runtime.archive import captured
from aiagent_operator.runtime.archive.putting import put
from aiagent_operator.runtime.archive.store import Store
from aiagent_operator.runtime.prometheus import Prometheus, PrometheusError


class Kpis:
    """The series of one agent, and what was answered about them until now. `length` of the period, and `step` between
    two points, are in seconds."""

    def __init__(
        self, agent: AgentIdentity, of: Sequence[Series], born: datetime, *, length: float, step: float
    ) -> None:
        self._agent, self._of = agent, of
        self._when: Period = kpis.period(
            datetime.now(UTC).replace(microsecond=0), born, timedelta(seconds=length), timedelta(seconds=step)
        )
        self._answers: dict[Series, tuple[Point, ...]] = {}

    async def take(self, prometheus: Prometheus, store: Store, seconds: float, *, last: bool) -> tuple[Missed, ...]:
        """Asks about what is not answered yet, for so many seconds, and says what could not be had. Once all is had, or
        with the `last` try, what there is is stored and noted. Raises StoreError, ArchiveError, DisputedError."""
        stored, gaps = await captured.noted(store, self._agent.uid)
        noted = {layout.item(path) for path in (*(each.path for each in stored), *(gap.path for gap in gaps))}
        if layout.KPIS in noted:
            return ()
        failed: dict[Series, Failed] = {}

        async def one(series: Series) -> None:
            try:
                async with asyncio.timeout(seconds):
                    self._answers[series] = await prometheus.series(
                        series.query, self._when, namespace=self._agent.namespace, address=series.address
                    )
            except TimeoutError:
                text = f"no answer within {seconds:.0f} s"
                failed[series] = Failed(GapReason.DEADLINE_EXCEEDED, text, again=True)
            except PrometheusError as error:
                reason = GapReason.UNREACHABLE if error.again else GapReason.UNREADABLE
                failed[series] = Failed(reason, str(error), again=error.again)

        await asyncio.gather(*(one(each) for each in self._of if each not in self._answers))
        missed = kpis.missed(self._of, failed, some=bool(self._answers))
        if not last and any(each.again for each in missed):
            return missed
        if self._answers:
            await self._put(store, missed)
        return tuple(replace(each, again=False) for each in missed)

    async def _put(self, store: Store, missed: Sequence[Missed]) -> None:
        rest = next((manifest.gap(each.path, each.reason, each.text) for each in missed), None)
        where = Layout(self._agent.uid, index.name(self._agent))
        file = File(layout.KPIS, kpis.lines(self._of, self._when, self._answers))
        for item in await put(store, where, [file]):
            await captured.note(store, self._agent.uid, item, rest)
