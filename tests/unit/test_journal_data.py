"""What may stand in a record: no sentence, no address, and of people only digests with a key."""

from __future__ import annotations

import hashlib
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagent_operator.core.journal import data
from aiagent_operator.core.journal.data import DataError
from aiagent_operator.core.journal.keyed import LEAST_KEY, Keyed, ShortKeyError

KEY = Keyed(b"k" * LEAST_KEY)
PERSON = KEY.person("ann@corp.example")
IMAGE = "registry.example:5000/support/triage@sha256:" + "0" * 64

FINE: list[dict[str, Any]] = [
    {},
    {"image": IMAGE, "revision": 7, "passed": True, "artifact": None},
    {"rules": [{"apiGroups": [""], "resources": ["tickets/status"], "verbs": ["get"]}]},
    {"by": PERSON, "message": KEY.text("she left")},
    {"until": "2026-07-06T02:00:00Z", "threshold": "-0.85", "model": "meta-llama/Llama-3.1-8B", "version": "1.0+k3s1"},
    {"n": data.MOST_NUMBER, "m": -data.MOST_NUMBER, "text": "x" * data.LONGEST},
]


@pytest.mark.parametrize("found", FINE)
def test_what_may_stand_in_a_record(found: dict[str, Any]) -> None:
    data.check(found)


BAD: list[tuple[Any, str]] = [
    ([], "^data is a list: write an object"),
    (None, "^data is null: write an object"),
    ({"why": "she left"}, r'^data\.why is "she left": write a name, a digest'),
    ({"who": "ann@corp.example"}, r"^data\.who is"),
    ({"a": [{"b": "x@sha256:abc"}]}, r"^data\.a\[0\]\.b is"),
    ({"url": "https://ann:secret@corp.example/"}, r"^data\.url is"),
    ({"url": "https://corp.example/?token=x"}, r"^data\.url is"),
    ({"a": "x\n"}, r"^data\.a is"),
    ({"a": "\u202e"}, r"^data\.a is"),
    ({"a": "\ud800"}, r"^data\.a is"),
    ({"a": "é"}, r"^data\.a is"),
    ({"a": "x" * (data.LONGEST + 1)}, r"^data\.a has 513 characters: write at most 512"),
    ({"a": 0.5}, r"^data\.a is a number with a fraction: write a decimal string"),
    ({"a": float("nan")}, r"^data\.a is a number with a fraction"),
    ({"a": 2**53}, r"^data\.a is beyond 9007199254740991: write it as a decimal string"),
    ({"a": b"x"}, r"^data\.a is nothing that JSON has"),
    ({"a": {1, 2}}, r"^data\.a is nothing that JSON has"),
    ({"a": [[[[]]]]}, r"^data\.a\[0\]\[0\]\[0\] is nested deeper than 4 levels"),
    ({1: "x"}, '^data has the name "1": write 1 to 63 letters and digits, a letter first'),
    ({"a": {"ann@corp.example": 1}}, r'^data\.a has the name "ann@corp.example"'),
    ({"": 1}, '^data has the name ""'),
    ({"x" * 64: 1}, "^data has the name"),
    ({"by": "ann"}, r"^data\.by is of a person, and is \"ann\": write its digest with the journal's key"),
    ({"by": hashlib.sha256(b"ann").hexdigest()}, r"^data\.by is of a person"),
    ({"orders": [{"approver": None}]}, r"^data\.orders\[0\]\.approver is of a person, and is null"),
    ({"message": "sha256:" + "0" * 64}, r"^data\.message is of a person"),
    ({"a": ["x" * 500] * 17}, "^data has 8558 bytes: write at most 8192, and of what is longer its digest"),
]


@pytest.mark.parametrize(("found", "message"), BAD)
def test_what_may_not(found: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        data.check(found)


def test_the_most_that_may_stand_in_a_record() -> None:
    found = {"a": ["x" * 500] * 16, "b": ""}
    found["b"] = "x" * (data.MOST_BYTES - len(orjson.dumps(found)))
    data.check(found)
    with pytest.raises(DataError, match="data has 8193 bytes"):
        data.check({**found, "b": f"{found['b']}x"})


def test_data_that_holds_itself_is_refused() -> None:
    found: dict[str, Any] = {}
    found["a"] = found
    with pytest.raises(DataError, match="nested deeper than 4 levels"):
        data.check(found)


def test_a_digest_of_a_person_needs_the_key() -> None:
    """As openssl makes it: `printf 'person\\0ann@corp.example' | openssl dgst -sha256 -mac HMAC -macopt key:kkk...`."""
    assert PERSON == "hmac-sha256:50644630dcd57e8f1d4329e5044c03676a78e36433cd76a9c45463d6e9d7bad7"
    assert Keyed(b"l" * LEAST_KEY).person("ann@corp.example") != PERSON


@given(st.text(), st.text())
def test_people_and_texts_keep_apart(one: str, other: str) -> None:
    assert KEY.person(one) == KEY.person(one)
    assert (KEY.person(one) == KEY.person(other)) == (one == other)
    assert KEY.person(one) != KEY.text(one)
    data.check({"by": KEY.person(one), "message": KEY.text(other)})


def test_a_key_that_can_be_guessed_is_refused() -> None:
    with pytest.raises(ShortKeyError, match="has 31 bytes: give one of at least 32 random bytes"):
        Keyed(b"k" * 31)


def test_a_key_is_not_shown() -> None:
    assert "kkk" not in repr(KEY)
