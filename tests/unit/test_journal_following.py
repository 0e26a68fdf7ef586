"""Following a journal by what the agent's status tells: nothing is shown that was not recorded."""

from pathlib import Path

import pytest

from aiagent_operator.cli.following import Missed, after
from aiagent_operator.core.journal.book import Book
from aiagent_operator.core.journal.following import recorded
from aiagent_operator.core.journal.head import START
from aiagent_operator.core.journal.pending import Pending
from support.journals import AGENT, OTHER, event, sealed, tail


def book(told: str, waiting: str) -> Book:
    return Book(tail(told), Pending(tuple(map(event, waiting))))


def test_what_waited_is_the_record_byte_for_byte() -> None:
    records = sealed(map(event, "abc"))
    assert recorded(AGENT, book("-", "abc"), tail("a b c")) == tuple(records)
    assert recorded(AGENT, book("a", "bc"), tail("a b c")) == tuple(records[1:])
    assert recorded(AGENT, book("a", "bc"), tail("a b")) == tuple(records[1:2])
    assert recorded(AGENT, book("a", ""), tail("a")) == ()


@pytest.mark.parametrize(
    ("told", "waiting", "head"),
    [("a", "b", "a b c"), ("a", "bc", "a c b"), ("a", "", "a b"), ("-", "b", "a b")],
)
def test_what_does_not_lead_to_the_head_is_not_shown(told: str, waiting: str, head: str) -> None:
    assert recorded(AGENT, book(told, waiting), tail(head)) is None
    assert recorded(OTHER, book("a", "b"), tail("a b")) is None


def test_what_was_missed_comes_from_the_files_where_these_prove_it(tmp_path: Path) -> None:
    records = sealed(map(event, "abcd"))
    head, none = tail("a b c d"), book("-", "")
    assert after(AGENT, tail("a b c"), book("a b c", "d"), head, None) == tuple(records[3:])
    assert after(AGENT, head, none, head, None) == ()
    assert after(AGENT, head, none, tail("a b"), None) == ()
    assert after(AGENT, tail("a"), none, head, None) == (Missed(2, 4),)
    assert after(AGENT, tail("a"), none, head, tmp_path) == (Missed(2, 4),)

    paths = [tmp_path / Path(where).name for where, _ in records]
    for path, (_, raw) in zip(paths, records, strict=True):
        path.write_bytes(raw)
    found = after(AGENT, tail("a"), none, head, tmp_path)
    assert [raw for _, raw in found] == [raw for _, raw in records[1:]]  # type: ignore[misc]
    assert len(after(AGENT, START, none, head, tmp_path)) == 4
    paths[2].write_bytes(records[2][1].replace(b'"evaluation":"c"', b'"evaluation":"x"'))
    assert after(AGENT, tail("a"), none, head, tmp_path) == (Missed(2, 4),)
