"""Records that are recognised by their form: none that the full check would refuse."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aiagent_operator.core.journal import data
from aiagent_operator.core.journal.chain import Fault, verify
from aiagent_operator.core.journal.event import Event, EventError, seal
from aiagent_operator.core.journal.head import Head, digest
from aiagent_operator.core.journal.kinds import Kind
from aiagent_operator.core.journal.record import RecordError, attributes
from aiagent_operator.core.journal.shapes import AFTER, MOST, Shapes
from support.journals import AGENT, BEGIN, KEY, OTHER, event, sealed

HEAD = Head(41, "sha256:" + "a" * 64)
EVENT = Event(
    Kind.GRANTED,
    "permission/read/7",
    BEGIN,
    {
        "by": KEY.person("ann"),
        "empty": [[], {}],
        "image": f"registry.example/clerk@sha256:{'0' * 64}",
        "mixed": [1, "a", None],
        "revision": 7,
        "rules": [{"verbs": ["get", "list"], "whole": True}],
    },
)
RAW, _ = seal(AGENT, HEAD, EVENT)
FIELDS: dict[str, Any] = json.loads(RAW)

TOKENS = [
    b"",
    b'"',
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"0",
    b"-",
    b".",
    b"1e5",
    b" ",
    b"\n",
    b"\xc3\xa4",
    b"a",
]
NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9]{0,4}", fullmatch=True) | st.sampled_from(sorted(data.KEYED))
TEXTS = st.from_regex(r"[A-Za-z0-9._:/+-]{0,9}(?:@sha256:[0-9a-f]{64})?", fullmatch=True) | st.builds(KEY.person, NAMES)
LEAVES = TEXTS | st.integers() | st.floats() | st.booleans() | st.none() | st.text(max_size=5)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=4,
)
MOMENTS = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001


def learnt(*records: bytes) -> Shapes:
    shapes = Shapes(AGENT.uid, after=0)
    for raw in records:
        shapes.learn(raw, attributes(raw, "x"))
    return shapes


def good(raw: bytes) -> bool:
    """What the full check says of a record that is to follow HEAD."""
    try:
        found = attributes(raw, "x")
    except RecordError:
        return False
    return (found["subject"], int(found["sequence"]), found["previous"]) == (AGENT.uid, 42, HEAD.digest)


def fits(raw: bytes, shapes: Shapes | None = None) -> bool:
    return (shapes or learnt(RAW)).fits(raw, 42, HEAD.digest)


def as_bytes(**changes: Any) -> bytes:
    text = json.dumps(FIELDS | changes, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode(errors="surrogatepass")


def test_a_record_of_a_form_that_is_known_is_recognised() -> None:
    other = replace(
        EVENT,
        cause="permission/write/8",
        time=BEGIN + timedelta(days=99, milliseconds=5),
        data=EVENT.data | {"by": KEY.person("bob"), "rules": [{"verbs": ["get"], "whole": False}] * 3, "revision": -12},
    )
    raw, _ = seal(AGENT, HEAD, other)
    assert fits(raw)
    assert good(raw)
    assert not Shapes(AGENT.uid).fits(raw, 42, HEAD.digest), "nothing is known before something was checked"


@pytest.mark.parametrize(
    "raw",
    [
        as_bytes(subject=OTHER.uid, id=f"{OTHER.uid}/000000000042"),
        as_bytes(sequence="000000000043", id=f"{AGENT.uid}/000000000043"),
        as_bytes(id=f"{AGENT.uid}/000000000043"),
        as_bytes(previous="sha256:" + "b" * 64),
        as_bytes(cause="two words"),
        as_bytes(cause="a" * 254),
        as_bytes(time="2026-02-30T02:00:00.123Z"),
        as_bytes(time="2025-02-29T02:00:00.123Z"),
        as_bytes(time="0000-07-06T02:00:00.123Z"),
        as_bytes(time="2026-07-06T24:00:00.123Z"),
        as_bytes(type="dev.workforce.agent.Hired2"),
        as_bytes(specversion="1.1"),
        as_bytes(datacontenttype="text/plain"),
        as_bytes(source="/apis/workforce.dev/v1alpha1/namespaces/crm/aiagents/other"),
        as_bytes(zone="a"),
        as_bytes(data={**FIELDS["data"], "by": "ann"}),
        as_bytes(data={**FIELDS["data"], "by": KEY.person("ann")[:-1]}),
        as_bytes(data={**FIELDS["data"], "image": "a b"}),
        as_bytes(data={**FIELDS["data"], "image": "a" * 513}),
        as_bytes(data={**FIELDS["data"], "revision": 1.5}),
        as_bytes(data={**FIELDS["data"], "revision": 2**53}),
        as_bytes(data={**FIELDS["data"], "more": 1}),
        as_bytes(data={**FIELDS["data"], "rules": [{"verbs": ["get"] * 2000, "whole": True}]}),
        RAW.replace(b'"revision":7', b'"revision":07'),
        RAW.replace(b'"revision":7', b'"revision":-0'),
        RAW.replace(b'"revision":7', b'"revision":7,"revision":7'),
        RAW.replace(b'"revision":7', b'"revision": 7'),
        RAW.replace(b'"image":"r', b'"image":"\\u0072'),
        RAW.replace(b'"cause"', b'"cause":"x","cause"'),
        RAW.replace(b'"mixed":[1,"a",null],"revision":7', b'"revision":7,"mixed":[1,"a",null]'),
        RAW + b"\n",
        b" " + RAW,
        RAW[1:],
        RAW[:-1],
        RAW[-200:],
        b"",
    ],
)
def test_what_is_another_record_or_none_is_not(raw: bytes) -> None:
    assert raw != RAW
    assert not fits(raw)


@given(st.integers(0, len(RAW)), st.integers(0, 20), st.sampled_from(TOKENS) | st.binary(max_size=3))
@example(0, 0, b"")
def test_whatever_is_put_in_place_of_a_part(at: int, length: int, token: bytes) -> None:
    raw = RAW[:at] + token + RAW[at + length :]
    assert good(raw) or not fits(raw)


@given(st.integers(0, len(RAW) * 8 - 1))
def test_a_flipped_bit(bit: int) -> None:
    flipped = bytearray(RAW)
    flipped[bit // 8] ^= 1 << bit % 8
    assert good(bytes(flipped)) or not fits(bytes(flipped))


@given(
    st.lists(st.dictionaries(NAMES, VALUES, max_size=2), min_size=1, max_size=4),
    st.dictionaries(NAMES, VALUES, max_size=3),
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:/+-]{0,9}", fullmatch=True),
    MOMENTS,
)
def test_any_record_after_any_others(
    known: list[dict[str, Any]], found: dict[str, Any], cause: str, when: datetime
) -> None:
    shapes, last = Shapes(AGENT.uid, after=0), RAW
    for each in known:
        try:
            last, _ = seal(AGENT, HEAD, replace(EVENT, data=each))
        except EventError:
            continue
        shapes.learn(last, attributes(last, "x"))
    assert fits(last, learnt(last)) == (abs(_greatest(json.loads(last)["data"])) < 10**15)
    for raw in (as_bytes(data=found), *(as_bytes(data=each | found, cause=cause) for each in known)):
        assert good(raw) or not fits(raw, shapes)
    raw, _ = seal(AGENT, HEAD, replace(EVENT, cause=cause, time=when, data=json.loads(last)["data"]))
    assert good(raw)


def _greatest(found: Any) -> int:
    """The number that is farthest from 0; 0 where there is none."""
    if isinstance(found, dict | list):
        return max(map(_greatest, found.values() if isinstance(found, dict) else found), key=abs, default=0)
    return found if isinstance(found, int) else 0


@given(MOMENTS)
@example(datetime(2024, 2, 29, tzinfo=UTC))
def test_every_moment_but_those_of_a_leap_day_is_recognised(when: datetime) -> None:
    raw, _ = seal(AGENT, HEAD, replace(EVENT, time=when))
    assert fits(raw) == ((when.month, when.day) != (2, 29))


@given(st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-2][0-9]:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z", fullmatch=True))
def test_what_looks_like_a_moment_is_recognised_only_where_it_is_one(text: str) -> None:
    raw = as_bytes(time=text)
    assert good(raw) or not fits(raw)


def test_an_agent_of_a_later_version_of_the_api_is_recognised_once_one_record_was_checked() -> None:
    moved = as_bytes(source="/apis/workforce.dev/v1/namespaces/crm/aiagents/triage")
    shapes = learnt(RAW)
    assert not fits(moved, shapes)
    shapes.learn(moved, attributes(moved, "x"))
    assert fits(moved, shapes)


def test_no_more_patterns_are_made_than_a_journal_has_forms() -> None:
    forms = [seal(AGENT, HEAD, replace(EVENT, data={f"a{number}": 1}))[0] for number in range(MOST + 2)]
    assert [fits(raw, learnt(*forms)) for raw in forms] == [True] * MOST + [False] * 2


def test_a_form_as_long_as_a_record_is_not_worth_a_pattern() -> None:
    raw, _ = seal(AGENT, HEAD, replace(EVENT, data={f"name{number}": [1, "a"] for number in range(99)}))
    assert not fits(raw, learnt(raw))


def chain(count: int) -> list[tuple[str, bytes]]:
    return sealed(replace(event(str(number)), time=BEGIN + timedelta(seconds=number)) for number in range(count))


@pytest.mark.parametrize("index", [AFTER - 1, AFTER + 1, AFTER + 2, AFTER + 40])
def test_a_long_chain_is_verified_like_a_short_one(index: int) -> None:
    whole = chain(AFTER + 50)
    told = Head(len(whole), digest(whole[-1][1]))
    assert verify(whole, AGENT.uid, told=told).head == told
    where, raw = whole[index]
    for bad, fault in (
        (raw.replace(f"evaluation/{index}".encode(), b"evaluation/x"), Fault.ALTERED),
        (raw.replace(f"evaluation/{index}".encode(), b"two words"), Fault.UNREADABLE),
        (whole[index - 1][1], Fault.DOUBLED),
        (whole[index + 1][1], Fault.GAP),
        (sealed([event("a")], OTHER, Head(index, digest(whole[index - 1][1])))[0][1], Fault.FOREIGN),
    ):
        found = verify([*whole[:index], (where, bad), *whole[index + 1 :]], AGENT.uid, told=told)
        assert found.flaw
        assert (found.flaw.fault, found.flaw.path, found.records) == (fault, where, index)
