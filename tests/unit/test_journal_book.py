"""What a status says of a journal, and what the journal will be once that is recorded."""

from aiagent_operator.core.journal import book
from aiagent_operator.core.journal.book import Book
from aiagent_operator.core.journal.head import START
from aiagent_operator.core.journal.pending import Pending
from support.journals import AGENT, Store, event, settle, tail, written


def test_what_is_foretold_is_what_a_writer_makes_of_it() -> None:
    known = Book(tail("a b"), Pending((event("c"), event("d"))), "local", closed=True)
    # As whoever decides about it reads it from a status.
    records, head = book.read({"journal": known.fields()}).foretold(AGENT)
    store = Store(written("a b"))
    assert settle(store, known.head, known.waiting.events).done.head == head == tail("a b c d")
    assert [store.records[number] for number in (3, 4)] == list(records)


def test_of_a_journal_that_begins_all_is_foretold_and_of_one_without_events_nothing() -> None:
    assert Book(START, Pending((event("a"),))).foretold(AGENT) == ((written("a")[1],), tail("a"))
    assert Book(tail("a")).foretold(AGENT) == ((), tail("a"))
