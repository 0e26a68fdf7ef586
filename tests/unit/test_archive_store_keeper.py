"""An archive store is asked only while it keeps its promises, and those who wait for it hear when it does again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from aiagent_operator.runtime import metrics
from aiagent_operator.runtime.archive import keeper as module
from aiagent_operator.runtime.archive.errors import Kind, StoreError
from aiagent_operator.runtime.archive.keeper import Keeper
from support.archive import directory_config

GONE = StoreError(Kind.UNREACHABLE, "local", "journal/1", "it is gone", "wait")


@pytest.fixture
async def restored() -> asyncio.Queue[str]:
    return asyncio.Queue()


@pytest.fixture
async def keeper(tmp_path: Path, restored: asyncio.Queue[str]) -> AsyncIterator[Keeper]:
    (tmp_path / "archive").mkdir()
    found = Keeper(directory_config(tmp_path / "archive"), interval=0.2, restored=restored.put_nowait)
    running = asyncio.create_task(found.run())
    yield found
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    await found.store.close()


async def until_unusable(keeper: Keeper) -> None:
    """No one is told of that: whoever asks finds out."""
    for _ in range(500):
        if not keeper.usable:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it is still said to be usable")


async def test_it_is_usable_once_it_is_proved(keeper: Keeper, restored: asyncio.Queue[str]) -> None:
    assert (keeper.usable, keeper.proved) == (False, False)
    assert "has not been looked at yet" in keeper.problem
    assert await restored.get() == "local"
    assert (keeper.usable, keeper.proved) == (True, True)


async def test_a_failure_has_it_proved_at_once(keeper: Keeper, restored: asyncio.Queue[str]) -> None:
    await restored.get()
    keeper.failed(GONE)
    assert not keeper.usable
    assert keeper.problem == "archive store local does not take records (Unreachable)"
    async with asyncio.timeout(5):
        await restored.get()
    assert keeper.usable


async def test_while_it_is_away_it_says_why_and_is_found_again(
    keeper: Keeper, restored: asyncio.Queue[str], tmp_path: Path
) -> None:
    await restored.get()
    (tmp_path / "archive").rename(tmp_path / "aside")
    await until_unusable(keeper)
    assert "mount a volume there" in keeper.problem
    (tmp_path / "aside").rename(tmp_path / "archive")
    async with asyncio.timeout(10):
        assert await restored.get() == "local"


async def test_one_that_takes_nothing_is_read_all_the_same(tmp_path: Path, restored: asyncio.Queue[str]) -> None:
    found = Keeper(directory_config(tmp_path, readOnly=True), interval=0.2, restored=restored.put_nowait)
    assert not found.readable
    running = asyncio.create_task(found.run())
    async with asyncio.timeout(5):
        while not found.readable:  # noqa: ASYNC110 - nobody is told of it
            await asyncio.sleep(0.02)
    assert (found.usable, found.proved) == (False, True)
    assert "What is stored can be read" in found.problem
    found.failed(GONE)
    assert not found.readable
    assert found.problem == "archive store local does not take records (Unreachable)"
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    await found.store.close()


async def test_a_bug_in_the_proof_ends_nothing(
    keeper: Keeper, restored: asyncio.Queue[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    await restored.get()

    async def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patched:
        patched.setattr(module, "prove", broken)
        await until_unusable(keeper)
        assert "see the operator's log" in keeper.problem
    async with asyncio.timeout(10):
        await restored.get()


async def test_nobody_is_told_that_a_store_takes_no_records_which_is_never_to_take_any(tmp_path: Path) -> None:
    (tmp_path / "archive").mkdir()
    keepers = [
        Keeper(directory_config(tmp_path / "archive", name=name, **more), interval=60, restored=lambda _: None)
        for name, more in (("taking", {}), ("copy", {"readOnly": True}))
    ]
    running = [asyncio.create_task(each.run()) for each in keepers]
    for _ in range(500):
        if all(each.proved for each in keepers):
            break
        await asyncio.sleep(0.02)
    assert all(each.proved for each in keepers)
    told = {sample.labels["store"]: sample.value for sample in metrics.ARCHIVE_STORE_READY.collect()[0].samples}
    assert told["taking"] == 1
    assert "copy" not in told
    for task, each in zip(running, keepers, strict=True):
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await each.store.close()
