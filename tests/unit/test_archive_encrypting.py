"""Streams are encrypted on their way: all of them, in bounded memory, and whoever stops half way leaves nothing."""

import asyncio
import threading
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiagent_operator.api.archive import Encryption
from aiagent_operator.core.archive import payload
from aiagent_operator.core.archive.errors import PayloadError
from aiagent_operator.runtime.archive.encrypting import encrypted
from aiagent_operator.runtime.podlogs import Bounded

IDENTITY = payload.new_identity()
HOW = payload.encryption(IDENTITY)


async def stream(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        await asyncio.sleep(0)
        yield piece


async def collected(plain: AsyncIterator[bytes], how: Encryption = HOW) -> bytes:
    async with asyncio.timeout(20):
        return b"".join([piece async for piece in encrypted(plain, how)])


def opened(data: bytes) -> bytes:
    found = bytearray()
    payload.decrypt([data], found.extend, IDENTITY, HOW)
    return bytes(found)


def encrypting() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("encrypting")]


async def until_ended() -> None:
    """Until no thread of this is left."""
    for thread in encrypting():
        await asyncio.to_thread(thread.join, 10)
    assert not encrypting()


async def into(found: bytearray, plain: AsyncIterator[bytes]) -> None:
    """Takes what comes until it is stopped."""
    async with aclosing(encrypted(plain, HOW)) as pieces:
        async for piece in pieces:
            found += piece


@settings(max_examples=30, deadline=None)
@given(st.lists(st.binary(max_size=300_000), max_size=8))
def test_what_was_encrypted_is_what_was_given(pieces: list[bytes]) -> None:
    assert opened(asyncio.run(collected(stream(*pieces)))) == b"".join(pieces)


@given(st.lists(st.binary(max_size=9), max_size=9), st.integers(0, 50))
def test_of_what_is_too_long_the_beginning_is_kept_and_it_is_known(pieces: list[bytes], limit: int) -> None:
    async def kept() -> tuple[bytes, bool]:
        bounded = Bounded(stream(*pieces), limit)
        return b"".join([piece async for piece in bounded.pieces()]), bounded.cut

    whole = b"".join(pieces)
    assert asyncio.run(kept()) == (whole[:limit], len(whole) > limit)


async def test_what_the_source_raises_is_raised_and_nothing_looks_complete() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * 1_000_000
        raise ConnectionError("gone")

    found = bytearray()
    with pytest.raises(ConnectionError, match="gone"):
        await into(found, broken())
    with pytest.raises(PayloadError):
        opened(bytes(found))
    await until_ended()


async def test_a_wrong_key_is_said() -> None:
    with pytest.raises(PayloadError, match="keyId"):
        await collected(stream(b"x"), Encryption(algorithm=payload.ALGORITHM, key_id="age1nonsense"))
    await until_ended()


async def test_whoever_stops_leaves_no_thread_behind() -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(0)
            yield b"x" * 65_536

    async with aclosing(encrypted(endless(), HOW)) as pieces:
        assert await anext(pieces)
    await until_ended()


async def test_whoever_is_cancelled_while_it_waits_for_the_source_leaves_no_thread_behind() -> None:
    async def silent() -> AsyncIterator[bytes]:
        yield b"x"
        await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(into(bytearray(), silent()), 0.2)
    await until_ended()


async def test_memory_does_not_grow_with_the_size() -> None:
    async def measured(count: int) -> int:
        async def long() -> AsyncIterator[bytes]:
            for _ in range(count):
                yield b"x" * 65_536

        tracemalloc.start()
        try:
            async for _ in encrypted(long(), HOW):
                await asyncio.sleep(0)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    await measured(16)
    short, long = await measured(32), await measured(640)
    assert long < 2 * short
