"""Journals as they are told by passes over agents: whatever fails and whoever is cut off, each event once, in order."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiagent_operator.core.journal import book, chain
from aiagent_operator.core.journal.pending import MOST
from aiagent_operator.core.journal.record import read
from aiagent_operator.runtime import metrics
from aiagent_operator.runtime.agentrecord import AgentRecord
from aiagent_operator.runtime.archive.described import Described
from aiagent_operator.runtime.archive.errors import Kind, StoreError
from aiagent_operator.runtime.archive.keeper import Archive
from aiagent_operator.runtime.archive.store import Put
from aiagent_operator.runtime.journal import Journal, NoRoomError
from aiagent_operator.runtime.queue import WorkQueue
from aiagent_operator.runtime.store import AgentKey, Key, Store
from support.archive import directory_config, listed

KEY, UID = AgentKey("crm", "triage"), "2f1c4b0e-7c1d-4b7a-9f63-0d1a2b3c4d5e"
RULE = {"apiGroups": ["crm.example"], "resources": ["tickets"], "verbs": ["get"]}
Status = dict[str, Any]


class Desk:
    """One agent, its status, and operators one after the other that tell its journal into a directory."""

    def __init__(self, folder: Path) -> None:
        self.config = directory_config(folder)
        self.cluster = Store(lambda _: None)
        metadata = {"namespace": KEY.namespace, "name": KEY.name, "uid": UID, "resourceVersion": "1"}
        self.cluster.observe_agent({"metadata": metadata, "spec": {}})
        self.status: Status = {}
        self.restart()

    def restart(self) -> None:
        """A new operator, which remembers nothing."""
        self.queue: WorkQueue[Key] = WorkQueue(backoff_initial=1, backoff_max=1)
        self.journal = Journal(self.cluster, self.queue)
        described = Described("local", {"local": self.config})
        self.archive = Archive(described, interval=300, restored=self.journal.restored)
        self.journal.archive = self.archive
        self.usable(True)

    def usable(self, value: bool) -> None:
        self.archive.keepers["local"].usable = value

    @property
    def record(self) -> AgentRecord:
        return self.cluster.agents[KEY]

    async def turn(self, new: Status, *, written: bool = True) -> bool:
        """A pass that ends with this status, and whether it came into the object."""
        told = await self.journal.tell(KEY, self.record, self.status, {**new, **self._journal()})
        if told.held or not written:
            return False
        journal = {"journal": dict(told.journal)} if told.journal is not None else self._journal()
        self.status = {**new, **journal}
        return True

    async def settle(self) -> None:
        """Passes over an agent of which nothing changes, until nothing waits."""
        for _ in range(4):
            self.usable(True)
            await self.turn({k: v for k, v in self.status.items() if k != "journal"})
        assert book.read(self.status).waiting.events == ()

    async def records(self) -> list[tuple[str, bytes]]:
        store = self.archive.keepers["local"].store
        return [(name, await store.read(name, 20_000)) for name in await listed(store, "journal")]

    def _journal(self) -> Status:
        return {"journal": self.status["journal"]} if "journal" in self.status else {}


class Flaky:
    """Fails at each create that it is told to, before or after it has taken effect."""

    def __init__(self, inner: Any, faults: list[str]) -> None:
        self._inner, self._faults = inner, faults

    async def create(self, name: str, data: bytes) -> Put:
        fault = self._faults.pop(0) if self._faults else ""
        if fault == "before":
            raise StoreError(Kind.UNREACHABLE, "local", name, "it is away", "wait")
        put: Put = await self._inner.create(name, data)
        if fault == "after":
            raise StoreError(Kind.TIMED_OUT, "local", name, "no answer", "wait")
        return put

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    found = Desk(tmp_path)
    yield found
    await found.archive.keepers["local"].store.close()


def granted(*names: str) -> Status:
    return {"permissions": [{"name": name, "state": "Granted", "rules": [RULE]} for name in names]}


def told(records: list[tuple[str, bytes]]) -> list[str]:
    found = chain.verify(iter(records), UID)
    assert found.flaw is None
    return [raw.decode().partition("dev.workforce.agent.")[2].partition('"')[0] for _, raw in records]


async def test_what_is_noted_is_recorded_by_the_next_pass(desk: Desk) -> None:
    assert await desk.turn(granted("read"))
    assert await desk.records() == []
    assert [event.kind.value for event in book.read(desk.status).waiting.events] == ["Created", "Granted"]
    await desk.settle()
    assert told(await desk.records()) == ["Created", "Granted"]
    before = desk.status
    await desk.settle()
    assert desk.status == before


async def test_a_note_that_comes_first_asks_no_store(desk: Desk) -> None:
    desk.usable(False)
    noted = desk.journal.noted(KEY, desk.record, {}, granted("read"))
    assert noted is not None
    assert [event["kind"] for event in noted["pending"]] == ["Created", "Granted"]


async def test_what_was_captured_is_noted_with_the_status_that_says_so(desk: Desk) -> None:
    snapshot = {"items": 1, "bytes": 7, "digest": f"sha256:{'a' * 64}", "missing": 0}
    noted = desk.journal.noted(KEY, desk.record, {}, {"archive": {"captured": ["Handbook"]}}, snapshot=snapshot)
    assert noted is not None
    assert [event["kind"] for event in noted["pending"]] == ["Created", "Snapshotted"]
    assert orjson.loads(noted["pending"][-1]["data"]) == snapshot


async def test_the_end_is_noted_and_closed_before_it_is_recorded(desk: Desk) -> None:
    await desk.turn(granted("read"))
    await desk.settle()
    last = {"permissions": [], "phase": "Offboarding"}
    first = await desk.journal.tell(KEY, desk.record, desk.status, last, end=True)
    assert (first.waits, first.verdict) == (True, None)
    assert first.journal is not None
    assert first.journal["closed"] is True
    desk.status = {**last, "journal": dict(first.journal)}
    second = await desk.journal.tell(KEY, desk.record, desk.status, desk.status, end=True)
    assert not second.waits
    assert told(await desk.records())[-3:] == ["OffboardingStarted", "Revoked", "Terminated"]
    assert second.journal is not None
    desk.status["journal"] = dict(second.journal)
    assert not (await desk.journal.tell(KEY, desk.record, desk.status, {**desk.status, "phase": "x"}, end=True)).waits
    assert len(await desk.records()) == 5


async def test_without_room_nothing_is_said_and_what_waits_makes_room(desk: Desk) -> None:
    desk.usable(False)
    for number in range(MOST):
        if not await desk.turn(granted(*(f"p-{n}" for n in range(number + 1)))):
            break
    said = desk.status
    held = await desk.journal.tell(KEY, desk.record, said, granted("p-other"))
    assert held.held
    assert held.verdict is not None
    assert "there is no room" in held.verdict.message
    with pytest.raises(NoRoomError, match="no room for more"):
        desk.journal.noted(KEY, desk.record, said, granted(*(f"q-{n}" for n in range(60))))
    desk.usable(True)
    await desk.settle()
    assert await desk.turn(granted("p-other"))
    await desk.settle()
    assert told(await desk.records())[-1] == "Granted"


async def test_a_store_that_contradicts_itself_is_said(desk: Desk) -> None:
    keeper = desk.archive.keepers["local"]

    class Contrary(Flaky):
        async def create(self, name: str, data: bytes) -> Put:
            return Put.TAKEN

    await desk.turn(granted("read"))
    keeper.store = Contrary(keeper.store, [])
    found = await desk.journal.tell(KEY, desk.record, desk.status, desk.status)
    assert found.verdict is not None
    assert found.verdict.reason.value == "JournalStuck"
    assert desk.queue.scheduled == 1, "it is tried again"


async def test_a_store_that_hangs_holds_up_nobody(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiagent_operator.runtime.recording._PATIENCE", 0.05)
    keeper = desk.archive.keepers["local"]

    class Hanging(Flaky):
        async def create(self, name: str, data: bytes) -> Put:
            await asyncio.sleep(60)
            raise AssertionError("nobody waits that long")

    await desk.turn(granted("read"))
    keeper.store = Hanging(keeper.store, [])
    found = await desk.journal.tell(KEY, desk.record, desk.status, desk.status)
    assert found.verdict is not None
    assert "(TimedOut)" in found.verdict.message
    assert not keeper.usable, "the next one is not tried before a proof"


_NAMES = st.lists(st.sampled_from(["read", "write", "refund"]), unique=True, max_size=3)
_TURNS = st.lists(
    st.tuples(
        _NAMES,
        st.sampled_from(["Active", "Suspended", "Degraded"]),
        st.sampled_from(["written", "conflict", "killed"]),
        st.lists(st.sampled_from(["", "before", "after"]), max_size=3),
        st.booleans(),
    ),
    max_size=10,
)


@settings(deadline=None, max_examples=60)
@given(_TURNS)
def test_whatever_fails_each_event_is_told_once(turns: list[tuple[list[str], str, str, list[str], bool]]) -> None:
    async def run(folder: Path) -> tuple[list[tuple[str, bytes]], Mapping[str, Any], list[tuple[str, str]]]:
        desk = Desk(folder)
        said: list[tuple[str, str]] = []
        for names, phase, fate, faults, away in [*turns, ([], "Active", "written", [], False)]:
            keeper = desk.archive.keepers["local"]
            store = keeper.store
            keeper.store = Flaky(store, list(faults))
            desk.usable(not away)
            if await desk.turn({**granted(*names), "phase": phase}, written=fate == "written"):
                known = book.read(desk.status).waiting.events
                said += [event.key for event in known if event.key not in said]
            keeper.store = store
            if fate == "killed":
                await store.close()
                desk.restart()
        await desk.settle()
        return await desk.records(), desk.status, said

    with tempfile.TemporaryDirectory() as folder:
        records, status, said = asyncio.run(run(Path(folder)))
    kinds = told(records)
    assert not {"Recovered", "Forked"} & set(kinds)
    keys = [chain_key(raw) for _, raw in records]
    assert keys == said, "what the status has said, in that order, and nothing else"
    assert len(status.get("journal", {}).get("pending", ())) == 0


def chain_key(raw: bytes) -> tuple[str, str]:
    """Type and cause of a record."""
    found = read(raw, "a record")
    return found.type, found.cause


async def test_what_a_lost_write_was_to_note_waits_for_nothing_once_it_is_undone(desk: Desk) -> None:
    """Else the agent would be counted among those whose events wait, for ever."""
    await desk.turn(granted("read"))
    await desk.settle()
    await desk.turn(granted("read", "refund"), written=False)
    assert waiting() == 1
    await desk.turn(granted("read"))
    assert waiting() == 0


def waiting() -> float:
    """What the metric says of how many agents have events that wait."""
    return next(sample.value for metric in metrics.JOURNAL_WAITING.collect() for sample in metric.samples)
