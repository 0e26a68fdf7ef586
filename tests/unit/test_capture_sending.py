"""What is received is whole, or nothing: cut off, altered, or sent in any pieces."""

from __future__ import annotations

import hashlib
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagent_operator.core.archive.errors import PayloadError
from aiagent_operator.core.archive.sending import HEADER, Packed, Received, Receiving, tail

PACKED = Packed(files=3, size=1000, unreadable=2, changed=1)
CONTENT = st.binary(max_size=300).map(HEADER.__add__)


def sent(data: bytes, packed: Packed = PACKED) -> bytes:
    return data + tail(len(data), hashlib.sha256(data).digest(), packed)


def received(body: bytes, size: int) -> Received:
    """The body taken in pieces of so many bytes."""
    receiving = Receiving()
    for at in range(0, len(body), size):
        receiving.take(body[at : at + size])
    return receiving.end()


@given(CONTENT, st.lists(st.integers(0, 400)))
def test_it_is_passed_on_whole_however_it_is_cut_into_pieces(data: bytes, cuts: list[int]) -> None:
    body = sent(data)
    edges = [0, *sorted(cuts), len(body)]
    receiving = Receiving()
    found = b"".join(receiving.take(body[begin:end]) for begin, end in itertools.pairwise(edges))
    received = receiving.end()
    assert found == data
    assert (received.size, received.sha256, received.packed) == (len(data), hashlib.sha256(data).hexdigest(), PACKED)


@given(CONTENT, st.data())
def test_what_is_cut_off_anywhere_is_not_whole(data: bytes, drawn: st.DataObject) -> None:
    body = sent(data)
    receiving = Receiving()
    receiving.take(body[: drawn.draw(st.integers(0, len(body) - 1))])
    with pytest.raises(PayloadError):
        receiving.end()


@given(CONTENT, st.data())
def test_an_altered_bit_of_payload_length_or_digest_is_found(data: bytes, drawn: st.DataObject) -> None:
    body = bytearray(sent(data))
    at = drawn.draw(st.integers(0, len(body) - 1).filter(lambda at: not 16 <= at - len(data) < 48))
    body[at] ^= 1 << drawn.draw(st.integers(0, 7))
    with pytest.raises(PayloadError):
        received(bytes(body), len(body))


@given(CONTENT, st.binary(min_size=1, max_size=20))
def test_nothing_may_come_after_the_end(data: bytes, more: bytes) -> None:
    receiving = Receiving()
    receiving.take(sent(data) + more)
    with pytest.raises(PayloadError):
        receiving.end()


@given(st.binary(max_size=300).filter(lambda data: not data.startswith(HEADER)))
def test_what_is_in_the_clear_is_not_taken(data: bytes) -> None:
    with pytest.raises(PayloadError):
        received(sent(data), 1)


def test_numbers_beyond_what_can_be_said_are_the_largest() -> None:
    receiving = Receiving()
    receiving.take(sent(HEADER, Packed(files=2**70)))
    assert receiving.end().packed.files == 2**64 - 1
