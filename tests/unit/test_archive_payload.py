"""Personal payload: what is encrypted is read back whole, by nobody else, and never in part."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagent_operator.api.archive import Encryption
from aiagent_operator.core.archive import payload
from aiagent_operator.core.archive.errors import PayloadError
from support.archives import IDENTITY

HOW = payload.encryption(IDENTITY)
PIECE = 64 * 1024
SIZES = (0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE)


def encrypted(plain: bytes, how: Encryption = HOW) -> bytes:
    found = bytearray()
    payload.encrypt([plain], found.extend, how)
    return bytes(found)


def decrypted(data: bytes, identity: str = IDENTITY, how: Encryption = HOW) -> bytes:
    found = bytearray()
    payload.decrypt([data], found.extend, identity, how)
    return bytes(found)


def header(data: bytes) -> int:
    """Bytes before the payload's pieces: the header, whose last line begins with ---, and a nonce of 16 bytes."""
    return data.index(b"\n", data.index(b"\n---") + 1) + 1 + 16


@pytest.mark.parametrize("size", SIZES)
def test_what_was_encrypted_is_read_back(size: int) -> None:
    plain = bytes(number % 251 for number in range(size))
    data = encrypted(plain)
    assert decrypted(data) == plain
    assert data.startswith(b"age-encryption.org/v1\n")
    assert size < 16 or plain[:16] not in data


@given(st.lists(st.binary(max_size=50)), st.integers(1, 30))
def test_the_pieces_in_which_it_comes_do_not_matter(pieces: list[bytes], size: int) -> None:
    data = bytearray()
    payload.encrypt(iter(pieces), data.extend, HOW)
    found = bytearray()
    parts = (bytes(data[at : at + size]) for at in range(0, len(data), size))
    payload.decrypt(parts, found.extend, IDENTITY, HOW)
    assert bytes(found) == b"".join(pieces)


ORIGINAL = encrypted(b"what people said")


@given(st.data())
def test_no_bit_can_be_altered(data: st.DataObject) -> None:
    begin = header(ORIGINAL) - 16
    content = bytearray(ORIGINAL)
    bit = data.draw(st.integers(begin * 8, len(content) * 8 - 1))
    content[bit // 8] ^= 1 << bit % 8
    with pytest.raises(PayloadError):
        decrypted(bytes(content))


@pytest.mark.parametrize("size", [1, PIECE, 3 * PIECE])
def test_what_is_cut_off_anywhere_is_found(size: int) -> None:
    data = encrypted(b"x" * size)
    begin, piece = header(data), PIECE + 16
    for end in {0, 1, begin - 1, begin, begin + 1, begin + piece, begin + 2 * piece, len(data) - 1} - {len(data)}:
        if end < len(data):
            with pytest.raises(PayloadError):
                decrypted(data[:end])


def test_pieces_that_change_places_are_found() -> None:
    data = encrypted(bytes(3 * PIECE))
    begin, piece = header(data), PIECE + 16
    first, second = data[begin : begin + piece], data[begin + piece : begin + 2 * piece]
    swapped = data[:begin] + second + first + data[begin + 2 * piece :]
    assert len(swapped) == len(data)
    with pytest.raises(PayloadError):
        decrypted(swapped)
    with pytest.raises(PayloadError):
        decrypted(data[:begin] + second + data[begin + 2 * piece :])
    with pytest.raises(PayloadError):
        decrypted(data + second)


def test_another_key_reads_nothing() -> None:
    data, other = encrypted(b"x"), payload.new_identity()
    with pytest.raises(PayloadError, match="the key is that of age1"):
        decrypted(data, other)
    with pytest.raises(PayloadError, match="encrypted to another key"):
        decrypted(data, other, payload.encryption(other))


def test_every_archive_has_a_key_of_its_own() -> None:
    one, other = payload.new_identity(), payload.new_identity()
    assert one != other
    assert payload.encryption(one) != payload.encryption(other)
    assert payload.encryption(f"{one}\n") == payload.encryption(one)


@pytest.mark.parametrize("key", ["", "AGE-SECRET-KEY-1XXXX", "age1x", "x" * 1000, IDENTITY[:-1]])
def test_what_is_no_key_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(PayloadError, match="AGE-SECRET-KEY-1") as caught:
        payload.encryption(key)
    assert not key or key not in str(caught.value)


def test_a_key_id_that_is_none_and_an_unknown_algorithm_are_refused() -> None:
    with pytest.raises(PayloadError, match="keyId is no public key"):
        encrypted(b"", Encryption(algorithm=payload.ALGORITHM, key_id="age1x"))
    newer = Encryption(algorithm="age-encryption.org/v2", key_id=HOW.key_id)
    for attempt in (encrypted, lambda data, how: decrypted(data, IDENTITY, how)):
        with pytest.raises(PayloadError, match="use newer software"):
            attempt(b"", newer)


@given(st.binary(max_size=200))
def test_no_bytes_make_decrypting_fail_otherwise(data: bytes) -> None:
    with pytest.raises(PayloadError):
        decrypted(data)


class StoreDownError(Exception):
    """What the shell may raise in the middle."""


def test_what_goes_wrong_at_either_end_comes_out_as_it_was() -> None:
    def broken(data: bytes) -> Iterator[bytes]:
        yield data
        raise StoreDownError

    def full(_: bytes) -> None:
        raise StoreDownError

    data = encrypted(bytes(5 * PIECE))
    with pytest.raises(StoreDownError):
        payload.encrypt(broken(bytes(PIECE)), bytearray().extend, HOW)
    with pytest.raises(StoreDownError):
        payload.encrypt([bytes(5 * PIECE)], full, HOW)
    with pytest.raises(StoreDownError):
        payload.decrypt(broken(data[:PIECE]), bytearray().extend, IDENTITY, HOW)
    with pytest.raises(StoreDownError):
        payload.decrypt([data], full, IDENTITY, HOW)


def test_nothing_is_held_back_however_much_comes() -> None:
    taken, given, count = 0, 0, 64

    def took(data: bytes) -> None:
        nonlocal taken
        taken += len(data)

    def pieces() -> Iterator[bytes]:
        nonlocal given
        for _ in range(count):
            assert taken >= given - 3 * PIECE
            given += len(piece)
            yield piece

    piece = bytes(1024**2)
    tracemalloc.start()
    try:
        payload.encrypt(pieces(), took, HOW)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert given == count * len(piece)
    assert taken > given
    assert peak < 4 * 1024**2


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 131_072, 1_000_001])
def test_how_long_it_is_in_the_clear_is_known_by_its_beginning(size: int) -> None:
    made = bytearray()
    key = payload.new_identity()
    payload.encrypt([bytes(size)], made.extend, payload.encryption(key))
    assert payload.plain_size(bytes(made[: payload.LONGEST_HEADER]), len(made)) == size
    for begin, length in ((b"", 0), (b"memory/secret.txt" * 1000, 17_000), (bytes(made), 100)):
        with pytest.raises(PayloadError, match="not encrypted by age"):
            payload.plain_size(begin, length)
