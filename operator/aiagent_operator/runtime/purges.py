"""Has archives purged whose retention is over and that nobody holds, where the operator's settings ask for it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from aiagent_operator.api.agentarchive import ArchivePhase
from aiagent_operator.api.conditions import Reason, Type, Verdict
from aiagent_operator.core import texts
from aiagent_operator.core.archive import holding, purging, retention
from aiagent_operator.core.archive.errors import ArchiveError
from aiagent_operator.core.archive.purging import Purge
from aiagent_operator.core.archive.retention import Claim
from aiagent_operator.core.archive.upkeep import Unread
from aiagent_operator.runtime import archivestatus, looking, paths, report
from aiagent_operator.runtime.archive.keeper import Keeper
from aiagent_operator.runtime.archives import ArchiveRecord
from aiagent_operator.runtime.client import Api
from aiagent_operator.runtime.erasures import Erasures
from aiagent_operator.runtime.reflector import METADATA_ONLY
from aiagent_operator.runtime.settings_archive import Purge as Wanted
from aiagent_operator.runtime.store import Store

log = logging.getLogger(__name__)

NEVER: Final = datetime.max.replace(tzinfo=UTC)
AWAY: Final = 60.0
"""Seconds until another try where the store was away."""
HOUR: Final = 3600.0
"""Most seconds until another look where a person is needed: whoever has mended something does not tell the operator."""

# Seconds by which two clocks may differ without a person hearing of it.
_NEARLY: Final = 120.0


class Purges:
    """When archives are purged, and how that goes. `rest`: has an archive, by name, let be for so many seconds."""

    def __init__(
        self, api: Api, store: Store, wanted: Wanted, erasures: Erasures, rest: Callable[[str, float], None]
    ) -> None:
        self._api, self._store, self._erasures, self._rest = api, store, erasures, rest
        self._purges = wanted is Wanted.AFTER_RETENTION

    def plan(self, record: ArchiveRecord) -> Purge | None:
        """When it may be purged by its retention and the holds that it lists; None where it was.

        Raises ArchiveError.
        """
        home = self._store.namespaces.get(record.namespace)
        policies = [each.compiled for each in self._store.policies.records.values()]
        holds = holding.read(record.status, record.name).holds
        labels, role = home.labels if home else None, self._role(record.spec["agent"]["role"])
        return purging.decide(record.spec, record.status, holds, policies, labels, role=role)

    def stuck(self, status: Mapping[str, Any]) -> Verdict | None:
        """What is said of one that was begun and stands still, since nothing is purged any more."""
        return purging.stuck(status) if not self._purges and "purge" in status else None

    def at(self, record: ArchiveRecord) -> datetime:
        """When it is to be purged; never without the setting, whatever its status says. Raises ArchiveError."""
        if not self._purges or record.abandoned:
            return NEVER
        plan = self._unheld(record)
        return plan.at if plan and plan.at else NEVER

    async def purge(self, record: ArchiveRecord, keeper: Keeper | Unread) -> None:
        """Begins to purge it, or goes on. The beginning is said first, so that whoever follows knows of it.

        Raises ApiError, ArchiveError.
        """
        if "purge" not in record.status and await self._is_early(record):
            return
        began = {"purge": {"startTime": report.now()}}
        over = {"purge", "holds"}
        await self._write(record, lambda status: {} if over & status.keys() else began)
        found = self._store.archives.own(record.name)
        if found is None or "purge" not in found.status:
            return
        plan = self._unheld(found)
        if plan is None or plan.at is None:
            return
        problem = keeper.text if isinstance(keeper, Unread) else await looking.purge(keeper, found, plan)
        problem = problem or await self._without_key(record.name)
        if problem:
            away = isinstance(keeper, Unread) or not keeper.usable
            self._rest(record.name, AWAY if away else HOUR)
            log.warning("AgentArchive %s: %s", record.name, problem)
            waits = Verdict(Type.RECONCILING, True, Reason.PURGING, f"It is being purged, and that waits: {problem}")
            await self._write(record, lambda status: archivestatus.said(status, (waits,)))
            return
        await self._ended(record, plan, plan.at)

    async def _ended(self, record: ArchiveRecord, plan: Purge, began: datetime) -> None:
        end = {"startTime": texts.moment(began), "completionTime": report.now()}
        said = purging.verdicts(plan.retention, began)
        fields = {"phase": ArchivePhase.PURGED.value, "purge": end}
        await self._write(record, lambda status: fields | archivestatus.said(status, said, gone=(Type.RECONCILING,)))
        await self._event(record, Reason.PURGED, said[0].message, warning=False)

    def _unheld(self, record: ArchiveRecord) -> Purge | None:
        """The plan, where it may be purged as far as is known here; ArchiveError where that cannot be read."""
        known = self._store
        if "purge" not in record.status and (
            known.orders.holds(record.namespace, record.agent, record.name)
            or known.agent_of(record.spec["agent"]["uid"]) is not None
        ):
            # Held and not listed yet; or the agent is there, and its journal goes on.
            return None
        return self.plan(record)

    def _role(self, name: str) -> tuple[Claim, ...] | None:
        """What the role asks for where it is still there; None where it cannot be read."""
        record = self._store.roles.get(name)
        if record is None:
            return ()
        return retention.role(name, record.compiled.role.spec) if record.compiled else None

    async def _is_early(self, record: ArchiveRecord) -> bool:
        """Whether its retention has not ended by the clock of the API server: nothing is destroyed because the
        operator's is wrong."""
        await self._api.find(paths.archive(record.name), accept=METADATA_ONLY)
        theirs = datetime.now(UTC) - (self._api.ahead or timedelta())
        left = (self.at(record) - theirs).total_seconds()
        if left <= 0:
            return False
        self._rest(record.name, min(left, HOUR))
        if left <= _NEARLY:
            return True
        text = (
            f"Not purged: its retention has ended by the operator's clock ({report.now()}), and not by that of the API "
            f"server ({texts.moment(theirs)}): set the one that is wrong. It is looked at again within the hour"
        )
        log.warning("AgentArchive %s: %s", record.name, text)
        await self._event(record, Reason.PURGING, text)
        return True

    async def _without_key(self, name: str) -> str:
        """Destroys the key of an archive that has nothing left; why not, where it stays."""
        try:
            await self._erasures.destroy_key(name)
        except ArchiveError as error:
            return str(error)
        return ""

    async def _event(self, record: ArchiveRecord, reason: Reason, text: str, *, warning: bool = True) -> None:
        regarding = {"name": record.name, "uid": record.uid}
        await report.event(
            self._api, regarding, kind="AgentArchive", reason=reason.value, message=text, warning=warning
        )

    async def _write(self, record: ArchiveRecord, fields: Callable[[Mapping[str, Any]], dict[str, Any]]) -> None:
        await archivestatus.write(self._api, self._store, record.name, record.uid, fields)
