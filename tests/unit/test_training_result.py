"""What a training left: read as it is meant, and refused with the field and the remedy where it is not."""

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aiagent_operator.api.aiagent import ModelRef
from aiagent_operator.api.runs import UpdateKind
from aiagent_operator.core import untrusted
from aiagent_operator.core.runs import result as training_result
from aiagent_operator.core.runs.result import LIMIT, ResultError, TrainingResult, of_wire, read

Json = dict[str, Any]
FULL: Json = {
    "artifact": "file:///store/sha256-" + "0a" * 32 + ".json",
    "image": "registry.example/triage@sha256:" + "0a" * 32,
    "model": {"provider": "in-house", "name": "ticket-triage", "version": "0a0a0a0a0a0a"},
    "metrics": {"validation-accuracy": "0.9153", "tickets": "1200", "loss/mean": "-0.5"},
    "kind": "Accuracy",
    "notes": "Learned from 960 tickets.\nÄpfel, 漢字, مرحبا 😀; accuracy < 0.95 & > 0.9",
}


def message(**changes: Any) -> str:
    """A result with these fields changed, and without those that are None."""
    content = {name: value for name, value in {**FULL, **changes}.items() if value is not None}
    return json.dumps(content, ensure_ascii=False)


def refused(text: str) -> str:
    with pytest.raises(ResultError) as caught:
        read(text)
    return str(caught.value)


def test_a_full_result_is_read() -> None:
    result = read(message())
    assert result == TrainingResult(
        artifact=FULL["artifact"],
        image=FULL["image"],
        model=ModelRef(provider="in-house", name="ticket-triage", version="0a0a0a0a0a0a"),
        metrics=FULL["metrics"],
        kind=UpdateKind.ACCURACY,
        notes=FULL["notes"],
    )
    assert result.to_wire() == FULL


def test_one_change_of_the_work_is_enough() -> None:
    assert read('{"artifact": "s3://models/7"}').to_wire() == {"artifact": "s3://models/7"}
    assert read(' {"image": "a:1", "metrics": {}, "notes": ""}\n').to_wire() == {"image": "a:1"}
    assert read('{"model": {"provider": "a", "name": "b"}}').to_wire() == {"model": {"provider": "a", "name": "b"}}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the result is empty: write one JSON object"),
        (" \n", "the result is empty"),
        (
            "Epoch 1/10",
            "the result is not JSON (Expecting value at line 1, column 1): write one JSON object, and no log",
        ),
        ("{} {}", "the result is not JSON (Extra data at line 1, column 4)"),
        ("{'artifact': 1}", "the result is not JSON"),
        ("\ufeff{}", "the result is not JSON"),
        ('{"notes": "a\tb"}', "the result is not JSON (Invalid control character"),
        ("[]", "the result is a list: write one JSON object"),
        ("null", "the result is null"),
        ("7", "the result is a number"),
        ("{}", "names neither artifact, image nor model"),
        ('{"notes": "nothing new"}', "names neither artifact, image nor model"),
        ('{"artifact": "s3://a/b", "metrics": {"x": NaN}}', "the result has NaN, which is no number in JSON"),
        ('{"artifact": "s3://a/b", "metrics": {"x": -Infinity}}', "the result has -Infinity"),
        ('{"artifact": "s3://a/b", "artifact": "s3://a/c"}', 'has "artifact" twice'),
        ('{"model": {"provider": "a", "name": "b", "name": "c"}}', 'has "name" twice'),
        ("[" * 4096, "the result is nested deeper than"),
        ('{"artifact": ' + '{"a":' * 800, "the result is n"),
        ('{"error": "no such folder"}', 'unknown field "error": it may have artifact'),
        ("x" * 4097, "the result has 4097 bytes: write at most 4096"),
        ("漢" * 1366, "the result has 4098 bytes"),
    ],
)
def test_what_is_no_result(text: str, words: str) -> None:
    assert words in refused(text)


def test_a_message_that_the_kubelet_cut_is_recognised() -> None:
    long = message(notes="x" * 5000)
    for cut in (long[:LIMIT], long[-LIMIT:]):
        assert "has 4096 bytes, and may have been cut there: write less" in refused(cut)
    assert "cut" not in refused("{")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"artifact": 7}, "artifact is a number: write a text"),
        ({"artifact": [FULL["artifact"]]}, "artifact is a list"),
        ({"artifact": True}, "artifact is true or false"),
        ({"artifact": ""}, "artifact is empty"),
        ({"artifact": "/store/model"}, 'artifact "/store/model" is no URI: write one such as s3://'),
        ({"artifact": "s3://models/a b"}, "is no URI"),
        ({"artifact": "s3://models/%zz"}, "is no URI"),
        ({"artifact": "s3:"}, "is no URI"),
        ({"artifact": "javascript:alert(1)"}, "is no URI"),
        ({"artifact": "data:text/html,x"}, "is no URI"),
        ({"artifact": "s3://models/ä"}, r'artifact "s3://models/\u00e4" is no URI'),
        ({"artifact": "https://key:secret@store.example/m"}, "artifact holds a user name or password"),
        ({"artifact": "s3://" + "a" * 1020}, "artifact has 1025 characters: write at most 1024"),
        ({"artifact": "s3://a/\x1b[2J"}, "the character U+001B in artifact"),
        ({"image": "team/App:1"}, 'image has the name "team/App"'),
        ({"image": "-x.example/app:1"}, 'image has the registry "-x.example"'),
        ({"image": "registry.example/app"}, "image has neither tag nor digest"),
        ({"image": {"name": "a"}}, "image is an object"),
        ({"model": "gpt"}, "model is a string: write an object with provider, name and version"),
        ({"model": {"name": "x"}}, "model.provider is missing"),
        ({"model": {"provider": "x", "name": 1}}, "model.name is a number"),
        ({"model": {"provider": "x", "name": "y", "version": ""}}, "model.version is empty"),
        ({"model": {"provider": "x", "name": "y" * 129}}, "model.name has 129 characters"),
        ({"model": {"provider": "x\ny", "name": "y"}}, "model.provider has the control character U+000A"),
        ({"model": {"provider": "x", "name": "y", "token": "z"}}, 'model has the unknown field "token"'),
        ({"metrics": ["0.9"]}, "metrics is a list"),
        ({"metrics": {"accuracy": 0.9}}, "metrics.accuracy is a number: write a decimal as text, such as"),
        ({"metrics": {"accuracy": 10**300}}, "write at most 32 characters"),
        ({"metrics": {"accuracy": {"a": {}}}}, "metrics.accuracy is an object"),
        ({"metrics": {"accuracy": "1e9"}}, 'metrics.accuracy is "1e9": write a decimal'),
        ({"metrics": {"accuracy": "NaN"}}, 'metrics.accuracy is "NaN"'),
        ({"metrics": {"accuracy": "0.9\n"}}, r'metrics.accuracy is "0.9\n"'),
        ({"metrics": {"accuracy": "\u0661"}}, r'metrics.accuracy is "\u0661"'),
        ({"metrics": {"accuracy": "1" * 33}}, "metrics.accuracy is"),
        ({"metrics": {"<b>": "1"}}, 'metrics has the name "<b>"'),
        ({"metrics": {"a\n": "1"}}, r'has the name "a\n"'),
        ({"metrics": {"a" * 64: "1"}}, "metrics has the name"),
        ({"metrics": {"": "1"}}, 'metrics has the name ""'),
        ({"metrics": {str(n): "1" for n in range(33)}}, "metrics has 33 entries: write at most 32"),
        ({"kind": "accuracy"}, 'kind is "accuracy": write one of Accuracy, Capability, Security, Behaviour'),
        ({"kind": 1}, "kind is a number"),
        ({"notes": 1}, "notes is a number"),
        ({"notes": "a\x1b[31mred"}, "the character U+001B in notes"),
        ({"notes": "a\x9b31m"}, "the character U+009B in notes"),
        ({"notes": "done\rfailed"}, "the character U+000D in notes"),
        ({"notes": "a\x00"}, "the character U+0000 in notes"),
        ({"notes": "abc\u202edef"}, "the character U+202E in notes"),
        ({"notes": "a\u2028b"}, "the character U+2028 in notes"),
        ({"notes": "a\ufeffb"}, "the character U+FEFF in notes"),
        ({"notes": "a\U000e0041"}, "the character U+E0041 in notes"),
        ({"notes": "a\ufffdb"}, "notes has U+FFFD at position 1, which stands for bytes that are no UTF-8"),
        ({"notes": "<script>alert(1)</script>"}, "notes has HTML at position 0"),
        ({"notes": "see <!-- -->"}, "notes has HTML at position 4"),
        ({"notes": "x</td>"}, "notes has HTML at position 1"),
    ],
)
def test_a_wrong_field_is_named_with_the_remedy(changes: Json, words: str) -> None:
    assert words in refused(message(**changes))


def test_null_is_refused_by_its_field() -> None:
    assert refused('{"artifact": "s3://a/b", "image": null}') == "image is null: write a text, or leave it out"


def test_half_a_surrogate_pair_is_refused() -> None:
    assert "the character U+D800 in notes" in refused(r'{"artifact": "s3://a/b", "notes": "\ud800"}')
    assert "U+DC80" in refused('{"artifact": "s3://a/b", "notes": "\udc80"}')


@pytest.fixture
def strict_python() -> Iterator[None]:
    """A Python that is told to read no integers of more than 640 digits, the least that it allows."""
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(640)
    yield
    sys.set_int_max_str_digits(before)


@pytest.mark.usefixtures("strict_python")
@pytest.mark.parametrize("number", ["9" * 4000, "1e" + "9" * 3900, "0." + "1" * 3900])
def test_numbers_of_any_length_cost_nothing(number: str) -> None:
    assert "write at most 32 characters" in refused(f'{{"artifact": "s3://a/b", "metrics": {{"x": {number}}}}}')


_TEXTS = st.text(
    st.sampled_from("aZ09 .-_/:<>&\"'\\\n\t\r\x1b\x7f\x9bä漢😀\u202e\u2028\ud800\ufffd\ufeff"), max_size=30
)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _TEXTS | st.sampled_from(list(UpdateKind)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS | st.sampled_from(["name"]), inner, max_size=3),
    max_leaves=8,
)
_NEARLY = st.fixed_dictionaries(
    {}, optional={name: st.just(value) | _VALUES for name, value in {**FULL, "other": 1}.items()}
).map(json.dumps)


@st.composite
def _spoilt(draw: st.DrawFn) -> str:
    """A full result with some of its characters replaced."""
    text = list(message())
    for _ in range(draw(st.integers(1, 4))):
        text[draw(st.integers(0, len(text) - 1))] = draw(_TEXTS)
    return "".join(text)


@given(
    st.one_of(_NEARLY, _spoilt(), st.text(max_size=200), st.text('{}[]",:0eNaN', max_size=80), _VALUES.map(json.dumps))
)
@example("[" * 2000 + "]" * 2000)
@example('{"a":' * 600 + "1" + "}" * 600)
def test_the_reader_raises_nothing_but_its_own_error_and_quotes_nothing_raw(text: str) -> None:
    try:
        result = read(text)
    except ResultError as error:
        words = str(error)
    else:
        words = ""
        assert read(orjson.dumps(result.to_wire()).decode()) == result
        assert of_wire(result.to_wire()) == result
    assert words.isascii()
    assert words.isprintable()
    assert len(words) < 400


_PLAIN = st.text(
    st.characters(codec="utf-8").filter(lambda letter: not untrusted.fault(letter)), min_size=1, max_size=40
).filter(lambda text: not untrusted.fault(text))
_DECIMALS = st.from_regex(r"-?[0-9]{1,15}(\.[0-9]{1,15})?", fullmatch=True)
_RESULTS = st.builds(
    TrainingResult,
    artifact=st.from_regex(r"(s3|oci|models):/[A-Za-z0-9._~:/?#\[\]!$&'()*+,;=-]{1,100}", fullmatch=True),
    image=st.none() | st.sampled_from(["a:1", "registry.example:5000/a/b@sha256:" + "0a" * 32]),
    model=st.none() | st.builds(ModelRef, provider=_PLAIN, name=_PLAIN, version=st.none() | _PLAIN),
    metrics=st.dictionaries(st.from_regex(r"[A-Za-z0-9]{1,20}", fullmatch=True), _DECIMALS, max_size=8),
    kind=st.none() | st.sampled_from(UpdateKind),
    notes=st.just("") | st.lists(_PLAIN, max_size=4).map("\n".join),
)


@given(_RESULTS, st.booleans())
def test_every_good_result_is_read_as_it_was_written(result: TrainingResult, ascii_only: bool) -> None:
    assert read(json.dumps(result.to_wire(), ensure_ascii=ascii_only)) == result


@given(_RESULTS)
def test_a_result_that_was_kept_is_never_longer_than_it_came(result: TrainingResult) -> None:
    came = json.dumps(result.to_wire(), ensure_ascii=False).encode()
    assert len(orjson.dumps(result.to_wire())) <= len(came)


def test_the_fields_are_those_of_the_result() -> None:
    assert [field.name for field in fields(TrainingResult)] == list(training_result.FIELDS)


class TestUntrusted:
    @pytest.mark.parametrize(
        ("log", "kept"),
        [
            ("", ""),
            ("  one\ntwo  \n\n", "one\ntwo"),
            ("one\r\ntwo\r\n", "one\ntwo"),
            ("10%\r50%\r100%\ndone", "100%\ndone"),
            ("\x1b[31mred\x1b[0m", r"\u001b[31mred\u001b[0m"),
            ("a\u202eb\x00", r"a\u202eb\u0000"),
            ("half \ud800", r"half \ud800"),
            ("Ärger mit 漢字\tund <module>", "Ärger mit 漢字\tund <module>"),
        ],
    )
    def test_the_tail_of_a_log_is_made_harmless(self, log: str, kept: str) -> None:
        assert untrusted.tail(log, 100) == kept

    def test_the_end_of_a_log_is_what_matters(self) -> None:
        assert untrusted.tail("a" * 50 + "the end", 10) == "...the end"
        assert untrusted.tail("the end...", 10) == "the end..."

    @given(_TEXTS, st.integers(10, 40))
    def test_texts_in_messages_are_bounded_and_plain(self, text: str, most: int) -> None:
        for made in (untrusted.tail(text * 3, most), untrusted.line(text * 3, most)):
            assert len(made) <= most
            made.encode()
            assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e\u2028\ufeff]", made)
        assert "\n" not in untrusted.line(text * 3, most)
        shown = untrusted.shown(text, most)
        assert shown.isascii()
        assert shown.isprintable()

    def test_what_is_cut_is_counted(self) -> None:
        assert untrusted.shown("abcdef", 4) == '"abcd" and 2 characters more'
        assert untrusted.line("one\n two  three", 10) == "one two..."
