"""One record: the bytes that tell an event, and what is refused when bytes are read."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagent_operator.core.journal import data
from aiagent_operator.core.journal.event import LONGEST_CAUSE, Event, EventError, seal
from aiagent_operator.core.journal.head import LAST, START, Head, HeadError, digest, numbered, path
from aiagent_operator.core.journal.kinds import MEANING, RESERVED, Kind, of_type
from aiagent_operator.core.journal.record import MOST_BYTES, RecordError, read
from aiagent_operator.core.objects import AgentIdentity
from aiagent_operator.core.strict_json import unfit
from support.journals import AGENT, BEGIN, event, sealed

HEAD = Head(41, "sha256:" + "a" * 64)
EVENT = Event(Kind.ROLLED_OUT, "revision/7", BEGIN + timedelta(microseconds=123456), {"revision": 7, "from": 6})
RAW, NEXT = seal(AGENT, HEAD, EVENT)
FIELDS: dict[str, Any] = json.loads(RAW)


def as_bytes(**changes: Any) -> bytes:
    """The record with other attributes, in the form of a record; None leaves one out."""
    changed = {name: value for name, value in (FIELDS | changes).items() if value is not None}
    return orjson.dumps(changed, option=orjson.OPT_SORT_KEYS)


def test_a_record_is_a_cloud_event_of_one_line() -> None:
    assert RAW.decode() == (
        '{"cause":"revision/7","data":{"from":6,"revision":7},"datacontenttype":"application/json",'
        '"id":"2f1c4b0e-7c1d-4b7a-9f63-0d1a2b3c4d5e/000000000042","previous":"sha256:' + "a" * 64 + '",'
        '"sequence":"000000000042","source":"/apis/workforce.dev/v1alpha1/namespaces/crm/aiagents/triage",'
        '"specversion":"1.0","subject":"2f1c4b0e-7c1d-4b7a-9f63-0d1a2b3c4d5e","time":"2026-07-06T02:00:00.123Z",'
        '"type":"dev.workforce.agent.RolledOut"}'
    )
    assert Head(42, digest(RAW)) == NEXT


def test_the_first_record_has_no_predecessor() -> None:
    raw, head = seal(AGENT, START, EVENT)
    assert "previous" not in json.loads(raw)
    assert (head.sequence, read(raw, "x").previous) == (1, "")


def test_names_sort_as_sequences_do() -> None:
    sequences = [1, 2, 9, 10, 11, 99, 100, 10**6, LAST]
    names = [path(AGENT.uid, number) for number in sequences]
    assert names == sorted(names)
    assert names[0] == f"journal/{AGENT.uid}/000000000001.json"


@pytest.mark.parametrize("uid", ["", "..", "../x", "a/b", "a b", "-a", "a\n", "a" * 64, "ä"])
def test_what_is_no_uid_never_becomes_a_path(uid: str) -> None:
    with pytest.raises(HeadError, match=r"take metadata\.uid of the AIAgent"):
        path(uid, 1)
    with pytest.raises(HeadError):
        seal(replace(AGENT, uid=uid), START, EVENT)


@pytest.mark.parametrize("number", [0, -1, LAST + 1])
def test_a_sequence_that_no_name_has(number: int) -> None:
    with pytest.raises(HeadError, match="is not between 1 and"):
        numbered(number)


def test_nothing_follows_the_last_sequence() -> None:
    with pytest.raises(HeadError, match=f"sequence {LAST + 1}"):
        seal(AGENT, Head(LAST, HEAD.digest), EVENT)


HEADS: list[tuple[Any, Any, str]] = [
    (-1, "", "head.sequence is -1"),
    (True, HEAD.digest, "head.sequence is True"),
    (LAST + 1, HEAD.digest, "head.sequence is"),
    (0, HEAD.digest, "a chain without records has no digest"),
    (1, "", "head.digest is not sha256"),
    (1, HEAD.digest.upper(), "head.digest is not sha256"),
    (1, HEAD.digest + "\n", "head.digest is not sha256"),
    (1, None, "head.digest is not sha256"),
]


@pytest.mark.parametrize(("sequence", "told", "message"), HEADS)
def test_what_is_no_head(sequence: Any, told: Any, message: str) -> None:
    with pytest.raises(HeadError, match=message):
        Head(sequence, told)


EVENTS: list[tuple[dict[str, Any], str]] = [
    ({"cause": ""}, "cause is"),
    ({"cause": "a b"}, "cause is"),
    ({"cause": "ann@corp.example"}, "cause is"),
    ({"cause": "a" * (LONGEST_CAUSE + 1)}, "cause is"),
    ({"cause": "a\n"}, "cause is"),
    ({"cause": "/a"}, "a letter or digit first"),
    ({"time": datetime(2026, 7, 6)}, "Evaluated evaluation/a: time has no zone: give it one"),  # noqa: DTZ001
    ({"time": datetime.max.replace(tzinfo=timezone(-timedelta(hours=1)))}, "which is no moment in UTC"),
    ({"data": {"reason": "because I say so"}}, r"Evaluated evaluation/a: data\.reason is"),
    ({"data": ["a"]}, "data is a list: write an object"),
]


@pytest.mark.parametrize(("changes", "message"), EVENTS)
def test_events_that_no_record_can_tell(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(EventError, match=message):
        seal(AGENT, START, replace(event("a"), **changes))


@pytest.mark.parametrize(("namespace", "name"), [("", "a"), ("a", ""), ("a/b", "c"), ("a", "B"), ("a" * 64, "b")])
def test_what_no_object_is_named_is_no_source(namespace: str, name: str) -> None:
    with pytest.raises(EventError, match="is no namespace and name of an AIAgent"):
        seal(AgentIdentity(namespace, name, AGENT.uid), START, EVENT)


def test_moments_are_in_utc_to_the_millisecond() -> None:
    later = replace(EVENT, time=datetime(2026, 7, 6, 4, 0, 0, 999999, timezone(timedelta(hours=2))))
    raw, _ = seal(AGENT, START, later)
    assert read(raw, "x").time == "2026-07-06T02:00:00.999Z"


BAD: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "the record is empty"),
    "not JSON": (b"Traceback", "the record is not JSON"),
    "not UTF-8": (RAW.replace(b"revision/7", b"revision/\xff"), "the record is not UTF-8 at byte 19: it was altered"),
    "a list": (b"[]", "the record is a list"),
    "a string": (b'"a"', "the record is a string"),
    "null": (b"null", "the record is null"),
    "two records": (RAW + b"\n" + RAW, "the record is not JSON"),
    "a line end": (RAW + b"\n", "in another form than a record has"),
    "white space": (RAW.replace(b":", b": ", 1), "in another form than a record has"),
    "unsorted": (b'{"time":"x","cause":"y"}', "in another form than a record has"),
    "an escape": (RAW.replace(b"revision/7", b"revision\\/7"), "in another form than a record has"),
    "a byte order mark": (b"\xef\xbb\xbf" + RAW, "the record is not JSON"),
    "a name twice": (RAW.replace(b'{"cause"', b'{"cause":"x","cause"'), 'the record has "cause" twice in one object'),
    "a name twice, deep": (RAW.replace(b'"from":6', b'"from":6,"from":6'), 'the record has "from" twice'),
    "NaN": (RAW.replace(b":6", b":NaN"), "the record has NaN, which is no number in JSON"),
    "half a pair": (RAW.replace(b"revision/7", b"\\ud800"), r"the record has the character U\+D800"),
    "too long": (RAW + b" " * MOST_BYTES, f"a record has at most {MOST_BYTES}"),
    "deep": (as_bytes(data={"a": [[[[1]]]]}), r"data\.a\[0\]\[0\]\[0\] is nested deeper than 4 levels"),
    "deeper": (b'{"a":' + b"[" * 300 + b"]" * 300 + b"}", "nested deeper than 8 levels"),
    "bottomless": (b'{"a":' + b"[" * 4000, "nested deeper than 8 levels"),
    "a huge number": (RAW.replace(b":6", b":" + b"9" * 30), "in another form than a record has"),
    "a longer number": (RAW.replace(b":6", b":" + b"9" * 99), "the record has the number"),
    "a large number": (as_bytes(data={"a": 2**53}), r"data\.a is beyond 9007199254740991"),
    "a fraction": (as_bytes(data={"a": 0.5}), r"data\.a is a number with a fraction: write a decimal string"),
    "no data": (as_bytes(data=None), "data is null: write an object"),
    "data of another type": (as_bytes(data="a"), "data is a string: write an object"),
    "much data": (as_bytes(data={"a": ["b" * 500] * 17}), r"data has 8558 bytes: write at most 8192"),
    "a sentence": (as_bytes(data={"why": "I say so"}), r"data\.why is \"I say so\""),
    "another version": (as_bytes(specversion="2.0"), 'specversion is "2.0": a record has "1.0" there'),
    "another content": (as_bytes(datacontenttype="text/plain"), "datacontenttype is"),
    "no subject": (as_bytes(subject=None), "has no subject: a record has the UID of the agent there"),
    "a path as subject": (as_bytes(subject="../x"), 'subject is "../x"'),
    "a number as sequence": (as_bytes(sequence=42), "sequence is a number: a record has its sequence in 12 digits"),
    "a short sequence": (as_bytes(sequence="42"), 'sequence is "42"'),
    "sequence 0": (as_bytes(sequence="0" * 12), 'sequence is "000000000000"'),
    "digits of another script": (as_bytes(sequence="00000000004२"), "sequence is"),
    "another id": (as_bytes(id="x/000000000042"), 'id is "x/000000000042"'),
    "no id": (as_bytes(id=None), "has no id"),
    "a list as id": (as_bytes(id=["x"]), "id is a list"),
    "another source": (as_bytes(source="/apis/apps/v1/namespaces/crm/aiagents/triage"), "source is"),
    "another type": (as_bytes(type="com.example.Created"), "type is"),
    "no cause": (as_bytes(cause=None), "has no cause"),
    "a cause with a space": (as_bytes(cause="a b"), 'cause is "a b"'),
    "no predecessor": (as_bytes(previous=None), "has no previous: a chain has the digest of the record before there"),
    "a short predecessor": (as_bytes(previous="sha256:aa"), 'previous is "sha256:aa"'),
    "a first one with predecessor": (
        as_bytes(sequence="000000000001", id=f"{AGENT.uid}/000000000001"),
        "a chain has none in the first record there",
    ),
    "no moment": (as_bytes(time="2026-02-30T00:00:00.000Z"), "a record has a moment in UTC to the millisecond there"),
    "a moment elsewhere": (as_bytes(time="2026-02-03T00:00:00.00+01"), "time is"),
    "an odd attribute": (as_bytes(Odd="x"), 'has the attribute "Odd"'),
    "a long attribute": (as_bytes(**{"a" * 21: "x"}), "names of attributes are 1 to 20"),
    "an attribute with a sentence": (as_bytes(note="Ann says no"), "note is"),
}


@pytest.mark.parametrize(("raw", "message"), BAD.values(), ids=BAD)
def test_bytes_that_are_no_record(raw: bytes, message: str) -> None:
    with pytest.raises(RecordError, match=message) as caught:
        read(raw, "journal/x/42.json")
    assert str(caught.value).startswith("journal/x/42.json: ")
    assert unfit(str(caught.value)) is None
    assert len(str(caught.value)) < 600


def test_a_path_that_steers_a_terminal_is_shown_escaped() -> None:
    with pytest.raises(RecordError) as caught:
        read(b"", "x\x1b[2J\u202e" + "y" * 1000)
    assert str(caught.value).startswith(r"x\u001b[2J\u202eyyy")
    assert len(str(caught.value)) < 300


def test_what_a_newer_version_adds_is_read() -> None:
    found = read(as_bytes(type="dev.workforce.agent.Promoted", traceparent="00-ab-cd-01", data={"new": None}), "x")
    assert (found.kind, found.type) == (None, "dev.workforce.agent.Promoted")
    assert found.data == {"new": None}


def test_a_source_of_a_later_version_of_the_api_is_read() -> None:
    source = "/apis/workforce.dev/v1/namespaces/crm/aiagents/triage"
    assert read(as_bytes(source=source), "x").source == source


NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9]{0,8}", fullmatch=True).filter(lambda name: name not in data.KEYED)
TEXTS = st.from_regex(r"[A-Za-z0-9._:/+-]{0,20}(?:@sha256:[0-9a-f]{64})?", fullmatch=True)
LEAVES = TEXTS | st.integers(-data.MOST_NUMBER, data.MOST_NUMBER) | st.booleans() | st.none()
NESTED = st.lists(LEAVES, max_size=3) | st.dictionaries(NAMES, LEAVES, max_size=3)
EVENTS_OF_ALL_KINDS = st.builds(
    Event,
    st.sampled_from(Kind),
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:/+-]{0,30}", fullmatch=True),
    st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC)),  # noqa: DTZ001
    st.dictionaries(NAMES, LEAVES | NESTED, max_size=4),
)


@given(EVENTS_OF_ALL_KINDS, st.integers(0, LAST - 1))
def test_what_is_sealed_is_read_back(what: Event, sequence: int) -> None:
    raw, head = seal(AGENT, Head(sequence, HEAD.digest) if sequence else START, what)
    found = read(raw, "x")
    assert (found.sequence, found.digest) == (head.sequence, head.digest) == (sequence + 1, digest(raw))
    assert found.previous == (HEAD.digest if sequence else "")
    assert (found.kind, found.key, found.data) == (what.kind, what.key, what.data)
    assert (found.subject, found.type) == (AGENT.uid, what.kind.type)
    assert datetime.fromisoformat(found.time) == what.time.replace(microsecond=what.time.microsecond // 1000 * 1000)
    assert len(raw) <= MOST_BYTES
    assert raw.isascii()
    assert b"\\" not in raw


@given(st.integers(0, len(RAW) * 8 - 1))
def test_no_flipped_bit_leaves_the_same_record(bit: int) -> None:
    flipped = bytearray(RAW)
    flipped[bit // 8] ^= 1 << bit % 8
    try:
        found = read(bytes(flipped), "x")
    except RecordError:
        return
    assert found.digest != NEXT.digest
    assert found != read(RAW, "x")


@given(st.binary(max_size=200) | st.integers(0, len(RAW)).map(lambda end: RAW[:end]))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    message = "fit"
    try:
        assert read(raw, "x").digest == digest(raw)
    except RecordError as error:
        message = str(error)
    assert unfit(message) is None


@given(
    st.recursive(
        LEAVES | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner),
        max_leaves=8,
    )
)
def test_any_data_is_sealed_and_read_or_refused_by_both(found: Any) -> None:
    try:
        raw, _ = seal(AGENT, HEAD, replace(EVENT, data=found))
    except EventError:
        with pytest.raises(RecordError):
            read(as_bytes(data=found), "x")
    else:
        assert read(raw, "x").data == found


def test_every_kind_has_a_meaning_and_a_type_of_its_own() -> None:
    assert set(MEANING) == set(Kind)
    assert [of_type(kind.type) for kind in Kind] == list(Kind)
    assert of_type("dev.workforce.agent.Promoted") is None
    assert set(Kind) > RESERVED


def test_records_of_one_chain_name_each_other() -> None:
    chain = [read(raw, where) for where, raw in sealed(map(event, "abc"))]
    assert [each.previous for each in chain] == ["", chain[0].digest, chain[1].digest]
