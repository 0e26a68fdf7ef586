"""The work queue: nothing is worked on twice at once, nothing is lost, and failures back off."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagent_operator.runtime.queue import WorkQueue


def queue() -> WorkQueue[str]:
    return WorkQueue(backoff_initial=0.01, backoff_max=0.08)


async def test_a_key_waits_once() -> None:
    work = queue()
    work.add("a")
    work.add("a")
    work.add("b")
    assert len(work) == 2
    assert [await work.get(), await work.get()] == ["a", "b"]


async def test_a_key_added_while_at_work_is_done_again_afterwards_and_not_before() -> None:
    work = queue()
    work.add("a")
    key = await work.get()
    work.add("a")
    work.add("a")
    assert len(work) == 0
    work.done(key)
    assert len(work) == 1
    assert await work.get() == "a"
    work.done("a")


async def test_what_is_urgent_goes_first_wherever_it_waited() -> None:
    work = queue()
    for key in "abc":
        work.add(key)
    work.add("c", urgent=True)
    work.add("d", urgent=True)
    work.add("d")
    assert len(work) == 4
    taken = [await work.get() for _ in range(4)]
    assert taken == ["c", "d", "a", "b"]
    work.add("e")
    work.add("a", urgent=True)
    for key in taken:
        work.done(key)
    assert [await work.get(), await work.get()] == ["a", "e"], "urgent also where it was at work when it became so"
    assert len(work) == 0


async def test_the_earlier_of_two_times_holds() -> None:
    work = queue()
    work.add_after("a", 60)
    work.add_after("a", 0.01)
    work.add_after("a", 60)
    assert work.scheduled == 1
    async with asyncio.timeout(5):
        assert await work.get() == "a"
    assert work.scheduled == 0


async def test_due_keys_come_in_the_order_of_their_times() -> None:
    work = queue()
    for key, seconds in (("late", 0.05), ("early", 0.01), ("middle", 0.03)):
        work.add_after(key, seconds)
    async with asyncio.timeout(5):
        assert [await work.get() for _ in range(3)] == ["early", "middle", "late"]


async def test_failures_back_off_up_to_the_most_and_success_starts_anew() -> None:
    work = queue()
    delays = [work.retry("a") for _ in range(6)]
    assert delays[0] == pytest.approx(0.01, rel=0.3)
    assert delays[1] == pytest.approx(0.02, rel=0.3)
    assert all(delay <= 0.08 * 1.25 for delay in delays)
    assert delays[5] == pytest.approx(0.08, rel=0.3)
    work.forget("a")
    assert work.retry("a") == pytest.approx(0.01, rel=0.3)


async def test_a_wish_of_the_server_is_the_least_delay() -> None:
    assert queue().retry("a", at_least=7.0) == 7.0


async def test_many_workers_each_get_a_key_of_their_own() -> None:
    work = queue()
    getters = [asyncio.create_task(work.get()) for _ in range(5)]
    await asyncio.sleep(0)
    for key in "abcde":
        work.add(key)
    async with asyncio.timeout(5):
        assert sorted(await asyncio.gather(*getters)) == list("abcde")


@given(st.lists(st.tuples(st.sampled_from(["add", "hurry", "get", "done"]), st.sampled_from("abc")), max_size=60))
def test_every_addition_is_followed_by_work(steps: list[tuple[str, str]]) -> None:
    """Whatever the order: no key is at work twice, and none that was added after its work began is forgotten."""

    async def play() -> None:
        work = queue()
        at_work: set[str] = set()
        owed: set[str] = set()
        hurried: set[str] = set()
        later: set[str] = set()  # hurried while at work, so urgent from its end on
        for step, key in steps:
            if step in ("add", "hurry"):
                work.add(key, urgent=step == "hurry")
                owed.add(key)
                if step == "hurry":
                    (later if key in at_work else hurried).add(key)
            elif step == "get" and len(work):
                got = await work.get()
                assert got not in at_work
                assert got in hurried or not hurried
                hurried.discard(got)
                at_work.add(got)
                owed.discard(got)
            elif step == "done" and key in at_work:
                at_work.discard(key)
                hurried |= later & {key}
                later.discard(key)
                work.done(key)
        for key in sorted(at_work):
            work.done(key)
        while len(work):
            owed.discard(await work.get())
        assert not owed

    asyncio.run(play())
