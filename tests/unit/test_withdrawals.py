"""Withdrawals: no rest of a pass begins while another agent's rights are still there, and none is forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from aiagent_operator.core.objects import AgentIdentity, Child, ChildKind, ObjectKey
from aiagent_operator.core.plan import Write
from aiagent_operator.runtime.agentrecord import AgentRecord
from aiagent_operator.runtime.memory import Memory
from aiagent_operator.runtime.queue import WorkQueue
from aiagent_operator.runtime.store import AgentKey, Key, Store
from aiagent_operator.runtime.withdrawals import Withdrawals

NAMES = ("a", "b", "c")


class Sender:
    """Sends nothing until it is told to, and notes whose rights were to go."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.asked: list[str] = []
        self.answers = {name: asyncio.get_running_loop().create_future() for name in NAMES}

    async def __call__(
        self, agent: AgentIdentity, record: AgentRecord, writes: Sequence[Write], memory: Memory
    ) -> None:
        assert record.uid == agent.uid
        self.asked.append(agent.name)
        await self.answers[agent.name]
        for write in writes:
            self.store.forget_child(write.key, notify=False)


def stopped(store: Store, name: str, **spec: Any) -> AgentKey:
    """An agent with a binding, suspended by its spec unless that says otherwise."""
    metadata = {"name": name, "namespace": "crm", "uid": f"u-{name}", "resourceVersion": "1", "labels": {}}
    store.observe_agent({"metadata": metadata, "spec": {"suspended": True, **spec}})
    key = ObjectKey(ChildKind.ROLE_BINDING, "crm", f"aiagent.{name}")
    store.observe_child(Child(key, uid=f"c-{name}", resource_version="1", digest="d", agent_uid=f"u-{name}"))
    return AgentKey("crm", name)


async def waiting(queue: WorkQueue[Key]) -> list[Key]:
    """What is in the queue now, taken out."""
    return [await queue.get() for _ in range(len(queue))]


async def test_what_is_left_to_do_begins_once_all_rights_are_gone() -> None:
    store, queue = Store(lambda _: None), WorkQueue[Key](backoff_initial=1, backoff_max=1)
    sender = Sender(store)
    withdrawals = Withdrawals(store, queue, sender)
    keys = [stopped(store, name) for name in NAMES]
    passes = [asyncio.create_task(withdrawals.first(key, Memory())) for key in keys]
    await asyncio.sleep(0)
    assert sorted(sender.asked) == list(NAMES)
    for name in ("c", "a"):
        sender.answers[name].set_result(None)
        await asyncio.sleep(0.01)
        assert len(queue) == 0
    # Nor where something tells of one whose rights are gone.
    assert await withdrawals.first(keys[0], Memory())
    assert len(queue) == 0
    sender.answers["b"].set_result(None)
    # The last one need not wait for anybody.
    assert await asyncio.gather(*passes) == [True, False, True]
    assert sorted(map(str, await waiting(queue))) == sorted(map(str, (keys[0], keys[2])))
    # Whose rights are gone goes on with its pass.
    assert [await withdrawals.first(key, Memory()) for key in keys] == [False] * 3


async def test_who_waits_in_the_queue_goes_before_what_is_left_to_do() -> None:
    store, queue = Store(lambda _: None), WorkQueue[Key](backoff_initial=1, backoff_max=1)
    sender = Sender(store)
    first, second = (stopped(store, name) for name in ("a", "b"))
    queue.add(second, urgent=True)
    sender.answers["a"].set_result(None)
    assert await Withdrawals(store, queue, sender).first(first, Memory())
    assert await waiting(queue) == [second, first]


async def test_one_whose_rights_do_not_go_is_not_forgotten_and_holds_up_nobody() -> None:
    store, queue = Store(lambda _: None), WorkQueue[Key](backoff_initial=1, backoff_max=1)
    sender = Sender(store)
    withdrawals = Withdrawals(store, queue, sender)
    fails, waits = (asyncio.create_task(withdrawals.first(stopped(store, n), Memory())) for n in ("a", "b"))
    await asyncio.sleep(0)
    sender.answers["b"].set_result(None)
    assert await waits
    sender.answers["a"].set_exception(ConnectionError("gone"))
    # Its own next try is backed off by who called, not made at once.
    with pytest.raises(ConnectionError):
        await fails
    assert await waiting(queue) == [AgentKey("crm", "b")]


async def test_nothing_is_taken_from_who_works_or_leaves() -> None:
    store, queue = Store(lambda _: None), WorkQueue[Key](backoff_initial=1, backoff_max=1)
    sender = Sender(store)
    withdrawals = Withdrawals(store, queue, sender)
    assert not await withdrawals.first(stopped(store, "a", suspended=False), Memory())
    leaving = stopped(store, "b")
    body = store.agents[leaving].load()
    body["metadata"] |= {"resourceVersion": "2", "deletionTimestamp": "2026-01-01T00:00:00Z"}
    store.observe_agent(body)
    assert not await withdrawals.first(leaving, Memory())
    assert not await withdrawals.first(AgentKey("crm", "nobody"), Memory())
    assert sender.asked == []
