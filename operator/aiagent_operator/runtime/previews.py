"""Looks at what an order to offboard would do to an agent, and changes nothing."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from aiagent_operator.api.offboarding import Dependent, OffboardingPreview
from aiagent_operator.core import texts
from aiagent_operator.core.archive import retention
from aiagent_operator.core.archive.contents import Parcel
from aiagent_operator.core.journal import book
from aiagent_operator.core.plan import Observed
from aiagent_operator.core.rights import holdings
from aiagent_operator.runtime import kinship
from aiagent_operator.runtime.agentrecord import AgentRecord
from aiagent_operator.runtime.client import Api
from aiagent_operator.runtime.departure import WaitsError
from aiagent_operator.runtime.gather import Gatherer, InvalidSpecError, NotYetSeenError
from aiagent_operator.runtime.journal import Journal
from aiagent_operator.runtime.leavings import Leavings, Told
from aiagent_operator.runtime.leavings import told as told_in
from aiagent_operator.runtime.store import AgentKey, Store


class Previews:
    """Says what would be, as it is now."""

    def __init__(self, api: Api, store: Store, gatherer: Gatherer, journal: Journal) -> None:
        self._store, self._gather, self._journal = store, gatherer, journal
        self._leavings = Leavings(api, store)

    async def of(self, key: AgentKey) -> dict[str, Any]:
        """The preview of the agent. Raises ApiError, NotYetSeenError, and where its archive cannot be looked at
        StoreError, DisputedError, ArchiveError, and WaitsError with the reason."""
        record = self._store.agents.get(key)
        if record is None:
            raise NotYetSeenError(f"AIAgent {key.namespace}/{key.name} has gone")
        o = await self._observed(key, record)
        held = dict.fromkeys(holdings.rights_held(o))
        files, size, kept = 0, 0, None
        if self._journal.archive is not None:
            told, parcel = await self._parcel(record, o)
            held |= dict.fromkeys(told.rights())
            files, size = len(parcel.files), sum(len(file.data) for file in parcel.files)
            kept = retention.decide(parcel.claims, datetime.now(UTC))
        rights = {(namespace, right) for namespace, rule in held for right in rule.rights()}
        pods = sum(child.rollout.replicas for child in o.children.values() if child.rollout)
        found = OffboardingPreview(
            rights=len(rights),
            namespaces=len({namespace for namespace, _ in rights}),
            pods=pods,
            files=files,
            size=size,
            retained_until=texts.moment(kept.until) if kept else None,
            retained_for=kept.sources if kept else (),
            dependents=tuple(Dependent.model_validate(each) for each in kinship.dependents(self._store, key)),
        )
        return found.model_dump(mode="json", by_alias=True, exclude_none=True)

    async def _observed(self, key: AgentKey, record: AgentRecord) -> Observed:
        try:
            return await self._gather.observe(
                key,
                record,
                failures={},
                live={},
                proof=None,
                pods=lambda _: {},
                measured={},
                pod_problems=(),
                running=None,
                since=time.monotonic(),
            )
        except InvalidSpecError as error:
            raise WaitsError(str(error)) from error

    async def _parcel(self, record: AgentRecord, o: Observed) -> tuple[Told, Parcel]:
        raw = record.load()
        known = book.read(raw.get("status") or {})
        keeper = self._journal.keeper(AgentKey(o.identity.namespace, o.identity.name), record)
        if isinstance(keeper, str) or not keeper.readable:
            raise WaitsError(keeper if isinstance(keeper, str) else keeper.problem)
        told = await told_in(keeper.store, o.identity.uid, known.head)
        return told, await self._leavings.parcel(keeper.store, raw, o, told)
