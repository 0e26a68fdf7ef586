"""Whether stores know more of agents than their statuses do: found without an event, and never where it is not so."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from aiagent_operator.core.journal import book, chain
from aiagent_operator.runtime.archive.described import Described
from aiagent_operator.runtime.archive.errors import Kind, StoreError
from aiagent_operator.runtime.archive.keeper import Archive
from aiagent_operator.runtime.archive.store import Put, Stat
from aiagent_operator.runtime.journal import Journal
from aiagent_operator.runtime.lookback import LookBack
from aiagent_operator.runtime.queue import WorkQueue
from aiagent_operator.runtime.store import AgentKey, JournalKey, Key, Store
from support.archive import directory_config, listed

NAMES = ("one", "two", "three")
RULE = {"apiGroups": ["crm.example"], "resources": ["tickets"], "verbs": ["get"]}
Status = dict[str, Any]


class Asked:
    """A store that counts what is asked of it, may be slow to write, and may be away."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.stats: list[str] = []
        self.creates: list[str] = []
        self.away = False
        self.held = asyncio.Event()
        self.held.set()

    async def stat(self, name: str) -> Stat | None:
        self.stats.append(name)
        if self.away:
            raise StoreError(Kind.UNREACHABLE, "local", name, "no answer", "wait")
        found: Stat | None = await self._inner.stat(name)
        return found

    async def create(self, name: str, data: bytes) -> Put:
        self.creates.append(name)
        put: Put = await self._inner.create(name, data)
        await self.held.wait()
        return put

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class Desk:
    """Some agents whose journals are told into a directory, and an operator that looks back."""

    def __init__(self, folder: Path) -> None:
        self.cluster = Store(lambda _: None)
        self._version = 0
        for name in NAMES:
            self.put(name, {})
        self.archive: Archive
        self.asked: Asked
        self.restart(folder)

    def restart(self, folder: Path) -> None:
        """A new operator, which remembers nothing."""
        self.queue: WorkQueue[Key] = WorkQueue(backoff_initial=1, backoff_max=1)
        self.journal = Journal(self.cluster, self.queue)
        described = Described("local", {"local": directory_config(folder)})
        self.archive = Archive(described, interval=300, restored=self.journal.restored)
        self.journal.archive = self.archive
        self.keeper = self.archive.keepers["local"]
        self.keeper.usable = True
        self.asked = Asked(self.keeper.store)
        self.keeper.store = self.asked  # type: ignore[assignment]

    def put(self, name: str, status: Status) -> None:
        """The agent with this status, as the operator knows it."""
        self._version += 1
        metadata = {"namespace": "crm", "name": name, "uid": f"uid-{name}", "resourceVersion": str(self._version)}
        self.cluster.observe_agent({"metadata": metadata, "spec": {}, "status": status})

    def status(self, name: str) -> Status:
        found: Status = self.cluster.agents[AgentKey("crm", name)].load().get("status") or {}
        return found

    async def tell(self, name: str, **changes: Any) -> tuple[str, str] | None:
        """A pass over an agent whose status becomes another one; what was found by it."""
        key, old = AgentKey("crm", name), self.status(name)
        told = await self.journal.tell(key, self.cluster.agents[key], old, {**old, **changes})
        journal = {"journal": dict(told.journal)} if told.journal is not None else {}
        self.put(name, {**old, **changes, **journal})
        return told.finding

    async def employ(self, name: str) -> Status:
        """An agent with a journal, all of it recorded; its status."""
        await self.tell(name, permissions=[{"name": "read", "state": "Granted", "rules": [RULE]}])
        await self.tell(name)
        assert book.read(self.status(name)).head.sequence == 2
        return self.status(name)

    async def look(self) -> list[Key]:
        """One look at all agents: which are to be settled."""
        looking = LookBack(self.cluster, self.journal, interval=0.01)
        self.missed = await looking._all()
        found = []
        while len(self.queue):
            found.append(await self.queue.get())
            self.queue.done(found[-1])
        return found

    async def kinds(self, name: str) -> list[str]:
        names = await listed(self.keeper.store, f"journal/uid-{name}")
        records = [(each, await self.keeper.store.read(each, 20_000)) for each in names]
        assert chain.verify(iter(records), f"uid-{name}").flaw is None
        return [raw.decode().partition("dev.workforce.agent.")[2].partition('"')[0] for _, raw in records]


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    found = Desk(tmp_path)
    yield found
    await found.keeper.store.close()


async def test_what_agrees_costs_one_question_and_no_more(desk: Desk) -> None:
    """Of agents whose journal has not begun, none."""
    for name in NAMES[:2]:
        await desk.employ(name)
    desk.asked.creates.clear()
    assert await desk.look() == []
    assert desk.asked.stats == [f"journal/uid-{name}/000000000003.json" for name in NAMES[:2]]
    assert (desk.asked.creates, desk.missed) == ([], 0)


async def test_a_restored_status_is_found_settled_and_said_once(desk: Desk, tmp_path: Path) -> None:
    for name in NAMES:
        await desk.employ(name)
    before = desk.status("two")
    await desk.tell("two", permissions=[])
    await desk.tell("two")
    desk.restart(tmp_path)
    desk.put("two", before)

    assert await desk.look() == [JournalKey("crm", "two")]
    finding = await desk.tell("two")
    assert finding is not None
    assert finding[0] == "JournalRecovered"
    assert await desk.kinds("two") == ["Created", "Granted", "Revoked", "Recovered"]
    assert book.read(desk.status("two")).head.sequence == 4
    assert await desk.look() == []
    assert await desk.tell("two") is None
    assert len(await desk.kinds("two")) == 4


async def test_a_process_that_has_written_the_records_itself_finds_it_too(desk: Desk) -> None:
    """As where etcd is restored under a running operator."""
    before = await desk.employ("one")
    await desk.tell("one", permissions=[])
    await desk.tell("one")
    desk.put("one", before)
    assert await desk.look() == [JournalKey("crm", "one")]
    finding = await desk.tell("one")
    assert finding is not None
    assert finding[0] == "JournalRecovered"


async def test_a_record_that_is_just_being_made_is_nothing_to_be_found(desk: Desk) -> None:
    """Between the record and the status that tells of it."""
    await desk.employ("one")
    await desk.tell("one", permissions=[])
    noted = desk.status("one")
    desk.asked.held.clear()
    telling = asyncio.create_task(desk.tell("one"))
    await asyncio.sleep(0.05)
    assert desk.asked.creates[2:] == ["journal/uid-one/000000000003.json"]
    assert await desk.look() == []
    # Even where a look had found something: whoever is at it says what comes of it.
    journal = {name: value for name, value in noted["journal"].items() if name != "pending"}
    desk.put("one", {**noted, "journal": journal})
    assert await desk.look() == [JournalKey("crm", "one")]
    looking = asyncio.create_task(desk.tell("one"))
    await asyncio.sleep(0.05)
    assert not looking.done()
    desk.asked.held.set()
    assert (await telling, await looking) == (None, None)
    assert await desk.kinds("one") == ["Created", "Granted", "Revoked"]


async def test_two_that_tell_one_journal_take_turns(desk: Desk) -> None:
    """Else the one that knows of fewer events would take the others for a stranger's."""
    await desk.employ("one")
    key = AgentKey("crm", "one")
    await desk.tell("one", permissions=[])
    less = desk.status("one")
    noted = desk.journal.noted(key, desk.cluster.agents[key], less, {**less, "phase": "Suspended"})
    assert noted is not None
    more = {**less, "phase": "Suspended", "journal": dict(noted)}
    assert [len(book.read(status).waiting.events) for status in (less, more)] == [1, 2]
    desk.asked.held.clear()
    telling = [
        asyncio.create_task(desk.journal.tell(key, desk.cluster.agents[key], status, status)) for status in (more, less)
    ]
    await asyncio.sleep(0.05)
    desk.asked.held.set()
    first, second = await asyncio.gather(*telling)
    assert (first.finding, second.finding) == (None, None)
    assert (first.waits, second.waits, second.journal) == (False, True, None)
    assert await desk.kinds("one") == ["Created", "Granted", "Revoked", "Suspended"]


async def test_what_cannot_be_asked_is_asked_again(desk: Desk) -> None:
    for name in NAMES:
        await desk.employ(name)
    desk.asked.away = True
    assert await desk.look() == []
    # The first one finds that it is away; the others do not ask.
    assert (desk.missed, len(desk.asked.stats), desk.keeper.usable) == (3, 1, False)


async def test_while_the_store_is_away_a_look_makes_no_journal_late(desk: Desk, tmp_path: Path) -> None:
    before = await desk.employ("one")
    await desk.tell("one", permissions=[])
    await desk.tell("one")
    desk.restart(tmp_path)
    desk.put("one", before)
    assert await desk.look() == [JournalKey("crm", "one")]
    key = AgentKey("crm", "one")
    desk.keeper.usable = False
    told = await desk.journal.tell(key, desk.cluster.agents[key], before, before)
    assert (told.journal, told.verdict, told.held) == (None, None, False)
    desk.keeper.usable = True
    desk.journal.restored("local")
    assert await desk.queue.get() == JournalKey("crm", "one")
    assert (await desk.tell("one") or ("",))[0] == "JournalRecovered"


async def test_what_nobody_can_read_is_left_to_its_pass(desk: Desk) -> None:
    await desk.employ("one")
    desk.put("one", {"journal": {"head": {"sequence": "2"}, "store": "local"}})
    elsewhere = await desk.employ("two")
    desk.put("two", {**elsewhere, "journal": {**elsewhere["journal"], "store": "gone"}})
    desk.asked.stats.clear()
    assert await desk.look() == []
    assert desk.asked.stats == []
