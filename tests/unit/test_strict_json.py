"""What is taken as JSON from a Job of some author, and what is refused with what was wrong."""

from __future__ import annotations

import json
import sys
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagent_operator.core import untrusted
from aiagent_operator.core.strict_json import (
    DEEPEST,
    LIMIT,
    LONGEST_NUMBER,
    StrictJsonError,
    quoted,
    read_object,
    unfit,
)

OVERRIDE = "\u202e"

REFUSED = {
    "empty": ("", "the result is empty: write one JSON object"),
    "blank": (" \n", "the result is empty: write one JSON object"),
    "not JSON": ("Traceback (most recent call last)", r"is not JSON \(Expecting value at line 1, column 1\)"),
    "a list": ("[]", "is a list: write one JSON object"),
    "a string": ('"x"', "is a string: write one JSON object"),
    "a number": ("1.5", "is a number: write one JSON object"),
    "null": ("null", "is null: write one JSON object"),
    "a truth": ("true", "is true or false: write one JSON object"),
    "two objects": ("{}{}", "Extra data"),
    "a name twice": ('{"a": 1, "a": 1}', 'has "a" twice in one object: write it once'),
    "a name twice, deep": ('{"x": [{"a": 1, "\\u0061": 2}]}', 'has "a" twice'),
    "NaN": ('{"a": NaN}', "has NaN, which is no number in JSON"),
    "Infinity": ('{"a": [Infinity]}', "has Infinity, which is no number"),
    "-Infinity": ('{"a": -Infinity}', "has -Infinity, which is no number"),
    "a byte order mark": ("\ufeff{}", "is not JSON"),
    "a line feed in a string": ('{"a": "x\ny"}', "is not JSON .Invalid control character"),
    "a null character": ('{"a": "x\\u0000"}', r"has the character U\+0000 in a: write it without"),
    "an escape character": ('{"a": {"b": ["x\\u001b[2J"]}}', r"has the character U\+001B in a.b\[0\]"),
    "a delete character": ('{"a": "\x7f"}', r"U\+007F"),
    "a C1 control": ('{"a": "\x9b2J"}', r"U\+009B"),
    "half a pair": ('{"a": "\\ud800"}', r"U\+D800"),
    "a reversal": (f'{{"a": "{OVERRIDE}"}}', r"U\+202E"),
    "a name with a line feed": ('{"a\\n": 1}', r'has the name "a\\n" with the character U\+000A'),
    "a name with an escape": ('{"x": {"\\u001b": 1}}', r'has the name "\\u001b" with the character U\+001B'),
    "too deep": ('{"a":' * (DEEPEST + 1) + "1" + "}" * (DEEPEST + 1), f"nested deeper than {DEEPEST} levels at a.a.a"),
    "a bottomless pit": ('{"a":' + "[" * 4000, f"nested deeper than {DEEPEST} levels"),
    "a long number": ('{"a": ' + "9" * (LONGEST_NUMBER + 1) + "}", f"write at most {LONGEST_NUMBER} characters"),
    "a long fraction": ('{"a": 0.' + "1" * LONGEST_NUMBER + "}", f"write at most {LONGEST_NUMBER} characters"),
    "a huge exponent": ('{"a": 1e999999999}', f"an exponent of at most {LONGEST_NUMBER}"),
    "a tiny exponent": ('{"a": 1e-33}', f"an exponent of at most {LONGEST_NUMBER}"),
    "too long": ('{"a": "' + "x" * LIMIT + '"}', f"has {LIMIT + 9} bytes: write at most {LIMIT}"),
    "too long in bytes": ('{"a": "' + "ä" * (LIMIT // 2) + '"}', f"has {LIMIT + 9} bytes"),
    "cut": (('{"a": "' + "x" * LIMIT)[:LIMIT], f"it has {LIMIT} bytes, and may have been cut there: write less"),
}


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED)
def test_refused(text: str, message: str) -> None:
    with pytest.raises(StrictJsonError, match=message) as caught:
        read_object(text)
    assert str(caught.value).startswith("the result ")
    assert unfit(str(caught.value)) is None
    assert len(str(caught.value)) < 600


def test_the_text_is_named_in_errors() -> None:
    with pytest.raises(StrictJsonError, match=r"^pod a-1 has \"a\" twice"):
        read_object('{"a": 1, "a": 2}', "pod a-1")


def test_numbers_are_exact() -> None:
    found = read_object('{"a": 0.1, "b": 10, "c": -1.5e2, "d": 1E32, "e": -0}')
    assert found == {"a": Decimal("0.1"), "b": 10, "c": Decimal(-150), "d": Decimal(10) ** 32, "e": 0}
    assert type(found["b"]) is int
    assert not [value for value in found.values() if isinstance(value, float)]


def test_notes_may_have_lines() -> None:
    assert read_object('{"notes": "first\\n\\tsecond"}') == {"notes": "first\n\tsecond"}


def test_the_deepest_that_is_taken() -> None:
    text = '{"a":' * (DEEPEST - 1) + "1" + "}" * (DEEPEST - 1)
    assert read_object(text) == json.loads(text)


def test_the_longest_that_is_taken() -> None:
    text = '{"a": "' + "x" * (LIMIT - 9) + '"}'
    assert len(text) == LIMIT
    assert read_object(text) == json.loads(text)


FIT = st.text(
    st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="\u061c\u200e\u200f"), max_size=20
).filter(lambda text: unfit(text) is None)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | FIT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIT, inner, max_size=3),
    max_leaves=6,
)


def test_whatever_is_hidden_is_found_among_plain_characters() -> None:
    hidden = [chr(code) for code in range(sys.maxunicode + 1) if untrusted.is_hidden(chr(code))]
    assert len(hidden) > 2000
    for character in hidden:
        assert unfit(f"a{character}b") == f"U+{ord(character):04X}"


def depth(value: Any) -> int:
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        return 1 + max(map(depth, inner), default=0)
    return 1


@given(st.dictionaries(FIT, VALUES, max_size=4), st.booleans())
def test_all_that_is_not_refused_comes_through_as_it_is(content: dict[str, Any], escaped: bool) -> None:
    text = json.dumps(content, ensure_ascii=escaped)
    if depth(content) <= DEEPEST and len(text.encode()) <= LIMIT:
        assert read_object(text) == content
    else:
        with pytest.raises(StrictJsonError):
            read_object(text)


@given(st.text())
def test_any_text_is_read_or_refused_with_a_message_that_can_be_shown(text: str) -> None:
    message = "fit"
    try:
        assert isinstance(read_object(text), dict)
    except StrictJsonError as error:
        message = str(error)
    assert unfit(message) is None
    assert unfit(quoted(text)) is None
