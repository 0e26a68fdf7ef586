"""Names that every kind of store can hold, and blobs cut into parts."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagent_operator.runtime.archive.guard import blob_name, pieces
from aiagent_operator.runtime.archive.names import fault, within
from support.archive import streamed

NAMES = ["journal/8f/1.json", "a", "a/b=c/d_e-f.tar", "9/" * 300 + "x"]
NO_NAMES = [
    "",
    "/a",
    "a/",
    "a//b",
    "..",
    "a/../b",
    ".partial/x",
    "a/.b",
    "a b",
    "a\n",
    "ä",
    "a#1",
    "a%2f",
    "a\\b",
    "a\0",
]


@pytest.mark.parametrize("name", NAMES)
def test_names_that_every_store_can_hold(name: str) -> None:
    assert not fault(name)


@pytest.mark.parametrize("name", [*NO_NAMES, "x" * 201, "x/" * 400 + "x"])
def test_names_that_are_refused(name: str) -> None:
    assert fault(name)


@given(st.text(max_size=30))
def test_a_name_is_a_path_below_its_store_and_nothing_else(name: str) -> None:
    if fault(name):
        return
    assert name.isascii()
    assert not name.startswith("/")
    assert all(part and not part.startswith(".") for part in name.split("/"))


def test_a_prefix_is_of_whole_parts() -> None:
    assert within("journal/8f/1", "journal/8f")
    assert within("journal/8f/1", "")
    assert not within("journal/8f0/1", "journal/8f")
    assert not within("journal/8f", "journal/8f")


def test_no_two_blobs_have_one_name() -> None:
    assert len({blob_name("eu", "archive", "logs") for _ in range(1000)}) == 1000


@given(st.lists(st.binary(max_size=20), max_size=10), st.integers(1, 12))
def test_pieces_are_the_same_bytes_in_parts_of_one_size(chunks: list[bytes], size: int) -> None:
    async def cut() -> list[bytes]:
        return [piece async for piece in pieces(streamed(*chunks), size)]

    found = asyncio.run(cut())
    assert b"".join(found) == b"".join(chunks)
    assert all(len(piece) == size for piece in found[:-1])
    assert all(0 < len(piece) <= size for piece in found[-1:])
