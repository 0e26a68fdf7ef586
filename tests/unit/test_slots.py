"""Slots: no more writes at a time than there are, revocations first, and none is lost when a waiter gives up."""

from __future__ import annotations

import asyncio

import pytest

from aiagent_operator.runtime.slots import Slots


async def test_never_more_at_a_time_than_there_are() -> None:
    slots, inside, most = Slots(3), 0, 0

    async def work() -> None:
        nonlocal inside, most
        async with slots.take():
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(work() for _ in range(20)))
    assert (inside, most) == (0, 3)


async def test_what_is_urgent_goes_first_and_each_line_in_order() -> None:
    slots = Slots(1)
    order: list[str] = []
    go = asyncio.Event()

    async def work(name: str, *, urgent: bool = False) -> None:
        async with slots.take(urgent=urgent):
            order.append(name)
            await go.wait()

    async with asyncio.TaskGroup() as group:
        for name, urgent in (("first", False), ("a", False), ("b", False), ("x", True), ("y", True)):
            group.create_task(work(name, urgent=urgent))
            await asyncio.sleep(0)
        go.set()
    assert order == ["first", "x", "y", "a", "b"]


async def test_a_slot_is_not_lost_when_who_waits_for_it_is_cancelled() -> None:
    slots = Slots(1)
    for give_at_the_same_moment in (False, True):
        async with slots.take():
            waiter = asyncio.create_task(_hold(slots))
            await asyncio.sleep(0)
            if not give_at_the_same_moment:
                waiter.cancel()
                await asyncio.gather(waiter, return_exceptions=True)
        if give_at_the_same_moment:
            waiter.cancel()
            await asyncio.gather(waiter, return_exceptions=True)
        async with asyncio.timeout(5), slots.take():
            pass


async def test_a_slot_is_given_back_when_the_work_fails() -> None:
    slots = Slots(1)
    for _ in range(2):
        with pytest.raises(TimeoutError):
            async with slots.take(), asyncio.timeout(0):
                await asyncio.Event().wait()


async def _hold(slots: Slots) -> None:
    async with slots.take():
        await asyncio.Event().wait()
