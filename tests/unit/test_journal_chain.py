"""Verifying a chain: whatever was done to it, the first record that is not as it was is named."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from aiagent_operator.core.journal import chain
from aiagent_operator.core.journal.chain import MEANING, Fault, verify
from aiagent_operator.core.journal.event import seal
from aiagent_operator.core.journal.head import START, Head, HeadError, digest, path
from support.journals import AGENT, BEGIN, OTHER, entries, event, sealed, tail, written

LENGTH = 6
CHAIN = sealed(map(event, "abcdef"))
HEADS = [START, *(Head(number, digest(raw)) for number, (_, raw) in enumerate(CHAIN, 1))]


def test_a_chain_that_is_as_it_was() -> None:
    found = verify(CHAIN, AGENT.uid, told=HEADS[-1])
    assert (found.records, found.head, found.flaw) == (LENGTH, HEADS[-1], None)


def test_a_chain_without_records() -> None:
    assert verify([], AGENT.uid) == chain.Verification(0, START)
    found = verify([], AGENT.uid, told=HEADS[2])
    assert found.flaw
    assert (found.flaw.fault, found.flaw.path) == (Fault.TRUNCATED, CHAIN[0][0])


@given(st.integers(0, LENGTH), st.integers(0, LENGTH))
def test_a_part_is_verified_from_a_known_head(first: int, last: int) -> None:
    assume(first <= last)
    found = verify(CHAIN[first:last], AGENT.uid, start=HEADS[first], told=HEADS[last])
    assert (found.records, found.head, found.flaw) == (last - first, HEADS[last], None)


def test_a_chain_may_go_on_after_the_head_that_is_told() -> None:
    assert verify(CHAIN, AGENT.uid, told=HEADS[3]).head == HEADS[-1]


@pytest.mark.parametrize("told", [HEADS[2], START, replace(HEADS[3], digest=HEADS[2].digest)])
def test_a_head_from_before_the_part_cannot_be_compared(told: Head) -> None:
    with pytest.raises(HeadError, match="start at an earlier head"):
        verify(CHAIN[3:], AGENT.uid, start=HEADS[3], told=told)


def test_a_part_that_does_not_follow_from_the_head_that_is_given() -> None:
    found = verify(CHAIN[3:], AGENT.uid, start=replace(HEADS[3], digest=HEADS[2].digest))
    assert found.flaw
    assert (found.records, found.flaw.fault, found.flaw.path) == (0, Fault.UNLINKED, CHAIN[3][0])
    assert "it is of another chain, or the record was altered" in found.flaw.message


def test_a_gap_after_the_head_that_is_given() -> None:
    found = verify(CHAIN[4:], AGENT.uid, start=HEADS[3])
    assert found.flaw
    assert (found.records, found.head, found.flaw.fault) == (0, HEADS[3], Fault.GAP)
    assert (
        found.flaw.message
        == f"{CHAIN[4][0]}: the record 5 comes after the head that was given 3: restore what was between"
    )


@given(st.integers(0, LENGTH - 1), st.data())
def test_a_flipped_bit_in_any_record_is_found_and_its_file_named(index: int, data: st.DataObject) -> None:
    where, raw = CHAIN[index]
    flipped = bytearray(raw)
    bit = data.draw(st.integers(0, len(raw) * 8 - 1))
    flipped[bit // 8] ^= 1 << bit % 8
    found = verify([*CHAIN[:index], (where, bytes(flipped)), *CHAIN[index + 1 :]], AGENT.uid, told=HEADS[-1])
    assert found.flaw
    assert (found.flaw.path, found.records, found.head) == (where, index, HEADS[index])
    assert found.flaw.message.startswith(f"{where}: ")


@given(st.lists(st.integers(0, LENGTH - 1), max_size=LENGTH + 2))
def test_records_in_any_other_order_are_not_a_chain(order: list[int]) -> None:
    found = verify([CHAIN[index] for index in order], AGENT.uid)
    good = next((at for at, index in enumerate(order) if at != index), len(order))
    assert (found.records, found.head) == (good, HEADS[good])
    assert (found.flaw is None) == (good == len(order))
    if found.flaw:
        wanted = Fault.DOUBLED if order[good] < good else Fault.GAP if good else Fault.WRONG_FIRST
        assert (found.flaw.fault, found.flaw.path) == (wanted, CHAIN[order[good]][0])


@given(st.integers(0, LENGTH - 1))
def test_a_chain_sealed_anew_from_some_record_on_is_told_by_its_head_alone(index: int) -> None:
    """Who can write all of the store can write another chain."""
    letters = list("abcdef")
    letters[index] = "x"
    forged = sealed(map(event, letters))
    assert verify(forged, AGENT.uid).flaw is None
    found = verify(forged, AGENT.uid, told=HEADS[-1])
    assert found.flaw
    assert (found.flaw.fault, found.flaw.path) == (Fault.ALTERED, CHAIN[-1][0])
    assert f"the head that is told has {HEADS[-1].digest}" in found.flaw.message


def test_the_journal_of_another_agent_is_foreign() -> None:
    found = verify(sealed(map(event, "ab"), OTHER), AGENT.uid)
    assert found.flaw
    assert (found.records, found.flaw.fault) == (0, Fault.FOREIGN)
    assert OTHER.uid in found.flaw.message


def test_which_of_two_records_was_altered_is_said_where_anything_says_it() -> None:
    records = entries(written("a b~ c d"))
    for given_, told, fault, number in (
        (records, None, Fault.ALTERED, 2),
        (records[:3], None, Fault.UNLINKED, 3),
        (records[:3], tail("a b c"), Fault.ALTERED, 2),
        ([*records[:3], (path(AGENT.uid, 4), b"?")], None, Fault.UNLINKED, 3),
        ([*records[:3], sealed(map(event, "abcd"), OTHER)[3]], None, Fault.UNLINKED, 3),
    ):
        found = verify(given_, AGENT.uid, told=told)
        assert found.flaw
        assert (found.flaw.fault, found.flaw.path) == (fault, path(AGENT.uid, number)), (told, found.flaw.message)


def test_a_record_after_the_head_that_is_told_is_the_one_that_was_altered() -> None:
    records = written("a b c")
    raw, _ = seal(AGENT, tail("a x"), event("c"))
    found = verify(entries(records | {3: raw}), AGENT.uid, told=tail("a b"))
    assert found.flaw
    assert (found.flaw.fault, found.flaw.path, found.records) == (Fault.ALTERED, path(AGENT.uid, 3), 2)


def test_a_path_that_steers_a_terminal_is_shown_escaped() -> None:
    (_, first), *_ = CHAIN
    found = verify([("\x1b[2J", first), ("\x1b[2J", first)], AGENT.uid)
    assert found.flaw
    assert found.flaw.message.startswith(r"\u001b[2J: the record 1 was there already")


def test_every_fault_has_a_meaning() -> None:
    assert set(MEANING) == set(Fault)


def _long(records: int) -> Iterator[tuple[str, bytes]]:
    head = START
    for number in range(records):
        raw, head = seal(
            AGENT, head, replace(event("a"), cause=f"evaluation/{number}", time=BEGIN + timedelta(seconds=number))
        )
        yield path(AGENT.uid, head.sequence), raw


def _peak(records: int) -> int:
    tracemalloc.start()
    try:
        assert verify(_long(records), AGENT.uid).records == records
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_chain() -> None:
    _peak(100)
    assert _peak(4000) < _peak(400) + 20_000, "bytes; one record has 500"
