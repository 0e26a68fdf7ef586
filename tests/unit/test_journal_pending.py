"""Events that wait while the store is down: nothing is lost, nothing grants unrecorded, and the status stays small."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagent_operator.core.journal import data, pending, stored
from aiagent_operator.core.journal.event import LONGEST_CAUSE, Event, EventError
from aiagent_operator.core.journal.head import START
from aiagent_operator.core.journal.kinds import RESERVED, Kind
from aiagent_operator.core.journal.pending import MOST, MOST_BYTES, RESERVE, RESERVE_BYTES, Note, Pending, note
from aiagent_operator.core.journal.stored import StoredError
from aiagent_operator.core.strict_json import unfit
from support.journals import BEGIN, event, tail


def numbered(kind: Kind, number: int, size: int = 0) -> Event:
    """An event with about so many bytes of data."""
    texts = ["x" * 500] * (size // 503)
    return Event(kind, f"permission/{number}", BEGIN, {"texts": texts} if texts else {})


def filled(kind: Kind = Kind.GRANTED, size: int = 0) -> Pending:
    """As many events as may be noted."""
    found = Pending()
    for number in range(MOST + 1):
        noted = note(found, numbered(kind, number, size))
        if noted.note is Note.FULL:
            assert noted.pending is found
            return found
        found = noted.pending
    raise AssertionError("it is never full")


def test_events_wait_in_the_order_in_which_they_were_noted() -> None:
    found = Pending()
    for letter in "bca":
        found = note(found, event(letter)).pending
    assert found == Pending(tuple(map(event, "bca")))
    assert found.room


def test_an_event_is_noted_once() -> None:
    found = Pending((event("a"), event("b")))
    assert note(found, replace(event("a"), time=datetime(2027, 1, 1, tzinfo=UTC))) == pending.Noted(found, Note.KNOWN)


def test_when_it_is_full_nothing_grants_and_the_reserve_still_takes_revocations() -> None:
    found = filled()
    assert len(found.events) == MOST - RESERVE
    assert not found.room
    for number in range(RESERVE):
        noted = note(found, numbered(Kind.REVOKED, number))
        assert noted.note is Note.NOTED
        found = noted.pending
        assert note(found, numbered(Kind.GRANTED, MOST)).note is Note.FULL
    assert note(found, numbered(Kind.REVOKED, RESERVE)).note is Note.FULL
    assert note(found, found.events[0]).note is Note.KNOWN


def test_revocations_alone_may_take_all_of_it() -> None:
    assert len(filled(Kind.REVOKED).events) == MOST


@pytest.mark.parametrize("size", [0, 1000, 4000, 8000])
def test_large_events_fill_it_by_their_bytes(size: int) -> None:
    found = filled(Kind.GRANTED, size)
    assert pending.size(found.events) <= MOST_BYTES - RESERVE_BYTES
    assert not found.room
    assert note(found, numbered(Kind.REVOKED, 0, 8000)).note is Note.NOTED


def test_where_there_is_room_the_largest_event_fits() -> None:
    quotes = {"a": [""] * 2728}
    largest = Event(max(Kind, key=len), "x" * LONGEST_CAUSE, BEGIN, quotes)
    data.check(quotes)
    assert len(orjson.dumps(quotes)) > data.MOST_BYTES - 3
    assert pending.size([largest]) <= pending.LARGEST
    found, count = Pending(), 0
    while found.room:
        noted = note(found, replace(largest, cause=f"{count}"))
        assert noted.note is Note.NOTED
        found, count = noted.pending, count + 1
    assert count == 33


def test_what_no_record_can_tell_does_not_wait_either() -> None:
    with pytest.raises(EventError, match=r"data\.why is"):
        note(Pending(), replace(event("a"), data={"why": "she left"}))


def test_what_takes_away_is_in_the_reserve_and_what_gives_is_not() -> None:
    assert {Kind.REVOKED, Kind.SUSPENDED, Kind.TERMINATED} <= RESERVED
    assert not RESERVED & {Kind.CREATED, Kind.HIRED, Kind.GRANTED, Kind.RESUMED, Kind.ROLLED_OUT, Kind.HANDED_OVER}


EVENTS = st.lists(
    st.builds(numbered, st.sampled_from(Kind), st.integers(0, 200), st.sampled_from((0, 0, 600, 2000, 8000))),
    max_size=90,
)


@given(EVENTS)
def test_it_never_outgrows_its_bounds_and_comes_back_from_the_status_as_it_was(events: list[Event]) -> None:
    found, kept = Pending(), []
    for each in events:
        could = found.room
        noted = note(found, each)
        assert noted.note is not Note.FULL or not could
        if noted.note is Note.NOTED:
            kept.append(each)
        found = noted.pending
    assert list(found.events) == kept, "nothing that was noted is lost"
    assert len(found.events) <= MOST
    assert pending.size(found.events) <= MOST_BYTES
    others = [each for each in found.events if each.kind not in RESERVED]
    assert len(others) <= MOST - RESERVE
    status = json.loads(json.dumps(stored.write(tail("a b"), found)))
    assert stored.read(status) == (tail("a b"), found)


def test_a_journal_that_has_not_begun_is_nothing_in_the_status() -> None:
    assert stored.write(START, Pending()) == {}
    assert stored.read(None) == stored.read({}) == (START, Pending())


STATUS: dict[str, Any] = stored.write(tail("a"), Pending((event("b"),)))
ENTRY: dict[str, Any] = STATUS["pending"][0]


def test_the_form_of_an_event_in_the_status() -> None:
    assert ENTRY == {
        "kind": "Evaluated",
        "cause": "evaluation/b",
        "time": "2026-07-06T02:00:00.000Z",
        "data": '{"evaluation":"b"}',
    }


def test_fields_of_a_newer_version_are_passed_over() -> None:
    newer = {"head": STATUS["head"] | {"signature": "x"}, "pending": [ENTRY | {"tries": 3}], "store": "s3"}
    assert stored.read(newer) == stored.read(STATUS)


BAD: list[tuple[Any, str]] = [
    ([], "^status.journal is a list, and should be an object: restore the status"),
    ({"head": []}, "^status.journal.head is a list"),
    ({"head": {}}, "^status.journal.head has no sequence and digest"),
    ({"head": {"sequence": "1", "digest": ""}}, "^status.journal.head has no sequence and digest"),
    ({"head": {"sequence": True, "digest": tail("a").digest}}, "^status.journal.head has no sequence"),
    ({"head": {"sequence": 1, "digest": "sha256:x"}}, "^status.journal.head: head.digest is not sha256"),
    ({"pending": {}}, "^status.journal.pending is an object, and should be a list"),
    ({"pending": [ENTRY] * (MOST + 1)}, "^status.journal.pending has 193 events, and at most 192 fit"),
    ({"pending": [ENTRY, ENTRY]}, "^status.journal.pending has one event twice"),
    ({"pending": [ENTRY, 1]}, r"^status.journal.pending\[1\] is a number"),
    ({"pending": [{}]}, r"^status.journal.pending\[0\].kind is null, and should be a string"),
    (
        {"pending": [ENTRY | {"kind": "Promoted"}]},
        r"\[0\].kind is \"Promoted\", which this version does not know: upgrade",
    ),
    ({"pending": [ENTRY | {"cause": "a b"}]}, r"\[0\]: Evaluated: cause is"),
    ({"pending": [ENTRY | {"time": "yesterday"}]}, r"\[0\].time is \"yesterday\""),
    ({"pending": [ENTRY | {"time": "2026-02-30T00:00:00.000Z"}]}, r"\[0\].time is"),
    ({"pending": [ENTRY | {"time": "2026-07-06"}]}, r"\[0\].time is"),
    ({"pending": [ENTRY | {"data": {}}]}, r"\[0\].data is an object, and should be a string"),
    ({"pending": [ENTRY | {"data": "{"}]}, r"\[0\].data is not JSON"),
    ({"pending": [ENTRY | {"data": "[" * 5000}]}, r"\[0\].data is not JSON"),
    ({"pending": [ENTRY | {"data": '{"a":' * 300 + "1" + "}" * 300}]}, r"\[0\].data is not JSON"),
    ({"pending": [ENTRY | {"data": "[]"}]}, r"\[0\].data is no object of at most 8192 bytes"),
    ({"pending": [ENTRY | {"data": '{"a": 1}'}]}, r"\[0\].data is no object .* no white space"),
    ({"pending": [ENTRY | {"data": '{"a":1,"a":1}'}]}, r"\[0\].data is no object"),
    ({"pending": [ENTRY | {"data": "x" * 8193}]}, r"\[0\].data is no object of at most 8192"),
    ({"pending": [ENTRY | {"data": '{"why":"she left"}'}]}, r"\[0\]: Evaluated evaluation/b: data\.why is"),
    (
        {
            "pending": [
                ENTRY | {"cause": f"{n}", "data": json.dumps({"a": ["x" * 500] * 16}, separators=(",", ":"))}
                for n in range(66)
            ]
        },
        r"^status.journal.pending has \d+ bytes, and at most 524288 fit",
    ),
]


@pytest.mark.parametrize(("found", "message"), BAD)
def test_a_status_that_nobody_has_written(found: Any, message: str) -> None:
    with pytest.raises(StoredError, match=message) as caught:
        stored.read(found)
    assert unfit(str(caught.value)) is None
    assert len(str(caught.value)) < 600


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(("head", "pending", "sequence", "digest", *ENTRY)), inner)
    ),
)


@given(JSON)
def test_any_status_is_read_or_refused(found: Any) -> None:
    try:
        head, waiting = stored.read(found)
    except StoredError:
        return
    assert stored.read(stored.write(head, waiting)) == (head, waiting)
