"""What an agent leaves behind, read from the API server and from its journal, for its archive."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import count

from aiagent_operator.api import meta
from aiagent_operator.api.archive import Gap, GapReason, JournalHead, LeaveReason, Mode
from aiagent_operator.api.decommission import MOST_RIGHTS
from aiagent_operator.api.durations import DurationError, parse
from aiagent_operator.core import agent_reading, capturing, offboarding, succession, written
from aiagent_operator.core.archive import contents, held, index, layout, manifest, retention
from aiagent_operator.core.archive.contents import Parcel
from aiagent_operator.core.archive.errors import ArchiveError
from aiagent_operator.core.archive.layout import Kept, Layout
from aiagent_operator.core.archive.manifest import Leaving
from aiagent_operator.core.archive.retention import Claim
from aiagent_operator.core.journal.chain import verify
from aiagent_operator.core.journal.head import Head, folder, path
from aiagent_operator.core.journal.record import Record, RecordError, read
from aiagent_operator.core.journal.recorded import JUDGED
from aiagent_operator.core.journal.recorded import orders as orders_in
from aiagent_operator.core.leaving import look
from aiagent_operator.core.objects import AgentIdentity, ChildKind, Manifest, ObjectKey
from aiagent_operator.core.plan import Held, Observed
from aiagent_operator.runtime import paths
from aiagent_operator.runtime.archive import captured, ordered, records
from aiagent_operator.runtime.archive.errors import Kind, StoreError
from aiagent_operator.runtime.archive.putting import put
from aiagent_operator.runtime.archive.store import Store as ArchiveStore
from aiagent_operator.runtime.client import Api, pages
from aiagent_operator.runtime.store import Store

_PAGE = 500
# Bytes of a record: more than an object of etcd's usual limit (1.5 MiB) has, written with indents.
_LARGEST = 8 * 1024**2


@dataclass(frozen=True, slots=True)
class Told:
    """A journal as it is in the store: its head, its records, what was held when, AgentEvaluations whose verdicts it
    tells, UIDs of AgentActions that it names, and what is missing of it."""

    head: Head
    raw: tuple[bytes, ...]
    intervals: tuple[held.Interval, ...]
    evaluated: tuple[str, ...] = ()
    ordered: tuple[str, ...] = ()
    gaps: tuple[Gap, ...] = ()

    def rights(self) -> tuple[Held, ...]:
        """Each (namespace, rule) that was ever in force, the last ones first."""
        return held.rules(reversed(self.intervals))


async def told(store: ArchiveStore, uid: str, head: Head, *, most: int = records.MOST_TOGETHER) -> Told:
    """The journal up to its head. Raises StoreError; what is missing of it, altered, or no record, is said and not
    raised: what the agent held is known from it, so who reads the certificate has to know. So it is where it has more
    than `most` bytes."""
    try:
        raw = await records.read_all(store, uid, head, most=most)
    except StoreError as error:
        if error.kind not in (Kind.MISSING, Kind.TOO_LARGE):
            raise
        why = GapReason.TOO_LARGE if error.path == folder(uid) else GapReason.UNREADABLE
        lost = (manifest.gap(name, why, str(error)) for name in (layout.JOURNAL, layout.RIGHTS))
        return Told(head, (), (), gaps=tuple(lost))
    found: list[Record] = []
    for number, data in enumerate(raw, 1):
        try:
            found.append(read(data, f"record {number}"))
        except RecordError:
            # It is archived as it is: whoever verifies the journal is told which record is none.
            continue
    judged = dict.fromkeys(str(each.data.get("evaluation", "")) for each in found if each.kind in JUDGED)
    named = orders_in(each.data for each in found)
    gaps: tuple[Gap, ...] = ()
    if raw and (flaw := verify(zip(map(partial(path, uid), count(1)), raw, strict=False), uid, told=head).flaw):
        gaps = (manifest.gap("journal", GapReason.UNREADABLE, f"{flaw.fault}: {flaw.message}"),)
    return Told(head, raw, held.over_time(found), tuple(filter(None, judged)), named, gaps)


class Leavings:
    """Reads what agents leave behind."""

    def __init__(self, api: Api, store: Store) -> None:
        self._api, self._store = api, store

    async def keep(
        self, store: ArchiveStore, agent: AgentIdentity, records: Iterable[ObjectKey], orders: Iterable[str]
    ) -> None:
        """Keeps AgentRevisions, AgentEvaluations, and AgentActions by their UIDs, in the store while they are there: no
        namespace that is torn down takes them along, no short history, and no Resume.

        Raises StoreError, DisputedError, and ApiError where one cannot be read.
        """
        keys = sorted(records)
        found = await asyncio.gather(*(self._api.find(paths.item(key)) for key in keys))
        own = [
            contents.record(raw, ChildKind(key.kind))
            for key, raw in zip(keys, found, strict=True)
            if raw and raw["metadata"].get("labels", {}).get(meta.LABEL_AGENT_UID) == agent.uid
        ]
        await put(store, Kept(agent.uid), own)
        for order, status in self._store.orders.of(agent.namespace, frozenset(orders)):
            await ordered.keep(store, agent.uid, order, status)

    async def parcel(self, store: ArchiveStore, raw: Manifest, o: Observed, journal: Told) -> Parcel:
        """All that is archived of the agent. `raw`: the agent as it is now; `store`: where its archive will be."""
        agent = o.identity
        status = raw.get("status") or {}
        latest = (status.get("revision") or {}).get("latest", 0)
        revisions, evaluations, kept, standing, (stored, missed) = await asyncio.gather(
            self._children(o, ChildKind.AGENT_REVISION),
            self._children(o, ChildKind.AGENT_EVALUATION),
            _kept(store, Kept(agent.uid)),
            self._actions(raw, o, frozenset(journal.ordered)),
            captured.sealable(store, Layout(agent.uid, index.name(agent))),
        )
        files, gaps = contents.revisions(revisions, kept, latest, terminating=o.terminating)
        judged, unknown = contents.evaluations(evaluations, kept, journal.evaluated, terminating=o.terminating)
        given, forgotten = contents.actions(standing, kept, journal.ordered, terminating=o.terminating)
        files += [contents.spec(raw), *judged, *given]
        gaps += [*unknown, *forgotten, *journal.gaps]
        if journal.raw:
            files += [contents.journal(journal.raw), contents.rights(journal.intervals)]
        if (number := sum(len(tuple(rule.rights())) for _, rule in journal.rights())) > MOST_RIGHTS:
            text = (
                f"{number} rights were held over time: of {MOST_RIGHTS} of them, the last ones, the answer is certified"
            )
            gaps.append(manifest.gap("rights", GapReason.TOO_LARGE, text))
        known = (*offboarding.given_up(o), *capturing.known(status, terminating=o.terminating), *missed)
        gaps += contents.missing((*agent_reading.unread(o), *known), stored)
        head = JournalHead(sequence=journal.head.sequence, digest=journal.head.digest) if journal.raw else None
        how = look(o)
        reason, mode = (how.reason, how.mode) if how else (LeaveReason.BUSINESS, Mode.EMERGENCY)
        leaving = Leaving(contents.agent(raw, agent), reason, mode, succession.lineage(o), head)
        return Parcel(leaving, tuple(files), tuple(gaps), claims(raw, o), stored)

    async def _children(self, o: Observed, kind: ChildKind) -> list[Manifest]:
        selector = f"{meta.LABEL_AGENT_UID}={o.identity.uid}"
        return await self._listed(paths.collection(kind, o.identity.namespace), {"labelSelector": selector})

    async def _actions(self, raw: Manifest, o: Observed, told: frozenset[str]) -> list[Manifest]:
        """The orders that were given about it since it is there, and those before that its journal names."""
        agent, since = o.identity, raw["metadata"]["creationTimestamp"]
        wanted = {
            record.uid
            for key, record in self._store.orders.records.items()
            if key.namespace == agent.namespace
            and record.order is not None
            and record.order.covers(agent.name, o.agent.metadata.labels)
        }
        if not wanted:
            return []
        found = await self._listed(f"/apis/{meta.API_VERSION}/namespaces/{agent.namespace}/agentactions", {})
        return [
            order
            for order in found
            if order["metadata"]["uid"] in told
            or (order["metadata"]["uid"] in wanted and order["metadata"]["creationTimestamp"] >= since)
        ]

    async def _listed(self, path: str, params: Mapping[str, str]) -> list[Manifest]:
        found = pages(self._api, path, params, size=_PAGE)
        return [item async for page in found for item in page.get("items") or ()]


async def _kept(store: ArchiveStore, where: Kept) -> dict[str, bytes]:
    """Records that are kept, by their paths."""
    found: dict[str, str] = {}
    for part in layout.RECORDS:
        async for page in store.pages(where.key(part)):
            for name in page:
                path = where.path(name)
                # Of several of one record the one under its own name was the first.
                if not layout.is_attempt(path) or layout.plain(path) not in found:
                    found[layout.plain(path)] = name
    return {path: await store.read(name, _LARGEST) for path, name in found.items()}


def claims(raw: Manifest, o: Observed) -> tuple[Claim, ...]:
    """Who asks that the archive be kept for how long."""
    asked_for = []
    own = written.at(raw, "spec", "retirement", "retention")
    if own:
        source = f"AIAgent {o.identity.namespace}/{o.identity.name} spec.retirement.retention"
        try:
            asked_for.append(Claim(source, parse(str(own), source)))
        except DurationError as error:
            raise ArchiveError(str(error)) from error
    if o.role is not None:
        asked_for += retention.role(o.role.name, o.role.role.spec)
    if (asked := o.policies.retention) is not None:
        asked_for += [Claim(str(source), asked.value) for source in asked.sources]
    return tuple(asked_for)
