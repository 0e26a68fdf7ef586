"""A writer of the journal, at each of its edges; its table is in docs/journal.md, its properties beside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from aiagent_operator.core.journal import notes
from aiagent_operator.core.journal.asking import MEANING, Absent, Answer, Create, Created, Found, Listed, Outcome, Taken
from aiagent_operator.core.journal.chain import verify
from aiagent_operator.core.journal.event import EventError
from aiagent_operator.core.journal.head import LAST, START, Head, HeadError, digest, path
from aiagent_operator.core.journal.kinds import Kind
from aiagent_operator.core.journal.record import Record, read
from aiagent_operator.core.journal.settling import Ask, ProtocolError, begin, step
from support.journals import AGENT, NOW, Settled, Store, entries, event, named, settle, shown, tail, written


def settling(told: str, store: str, wanted: str, **options: Any) -> tuple[Settled, Store]:
    """What a writer does of this status, with this store."""
    found = Store(written(store, tail(told)))
    return settle(found, tail(told), map(event, wanted.split()), **options), found


def last(store: Store, kind: Kind) -> Record:
    """The newest record of a kind."""
    records = [read(raw, where) for where, raw in entries(store.records)]
    return [each for each in records if each.kind is kind][-1]


def test_a_process_that_has_seen_the_head_asks_for_nothing_twice() -> None:
    found, _ = settling("a", "a", "b", confirmed=True)
    assert [*map(named, found.requests)] == ["create 2"]
    found, _ = settling("a", "a", "", confirmed=True)
    assert (found.requests, found.done.outcome, found.done.head) == ((), Outcome.UNCHANGED, tail("a"))


def test_what_is_wanted_twice_is_written_once() -> None:
    found, store = settling("-", "-", "a b a")
    assert (shown(store.records), found.done.written) == ("a b", 2)


def test_the_head_after_it_is_that_of_the_store() -> None:
    found, store = settling("a", "a b c", "d")
    assert found.done.head == Head(5, digest(store.records[5]))
    assert verify(entries(store.records), AGENT.uid, told=found.done.head).flaw is None


def test_recovered_has_both_heads() -> None:
    found, store = settling("a", "a b c", "d")
    heads = {"told": tail("a"), "found": tail("a b c")}
    assert last(store, Kind.RECOVERED).data == {
        name: {"sequence": head.sequence, "digest": head.digest} for name, head in heads.items()
    }
    assert found.done.message.startswith("AIAgent crm/triage: its status told of the journal up to record 1, and")
    assert "holds 2 records more, all unknown to this writer" in found.done.message


def test_forked_has_the_heads_of_both_branches() -> None:
    found, store = settling("a b", "a x y", "c")
    heads = {"told": tail("a b"), "stored": tail("a x"), "found": tail("a x y")}
    assert last(store, Kind.FORKED).data == {
        name: {"sequence": head.sequence, "digest": head.digest} for name, head in heads.items()
    }
    assert found.done.message.startswith("AIAgent crm/triage: the journal in the store is not the one that its status")
    assert tail("a b").digest in found.done.message
    assert tail("a x").digest in found.done.message


def test_what_was_said_of_one_branch_does_not_count_for_another() -> None:
    store = Store(written("a x F2", tail("a y")))
    found = settle(store, tail("a b"), [])
    assert (found.done.outcome, shown(store.records)) == (Outcome.FORKED, "a x F2 F2")
    assert last(store, Kind.FORKED).data["told"]["digest"] == tail("a b").digest


def test_a_head_that_the_store_does_not_have_is_told_as_forked() -> None:
    found, store = settling("a b", "-", "")
    assert last(store, Kind.FORKED).data["stored"] == {"sequence": 0, "digest": ""}
    assert "000000000002.json is not there" in found.done.message


REASONS: list[tuple[str, str, str]] = [
    ("a", "a ?", "000000000002.json: the record is not JSON"),
    ("a", "a @", "the record is of the agent 9d8e7f60-1a2b-4c3d-8e4f-5a6b7c8d9e0f"),
    ("a", "a b (c) d", "000000000003.json is missing, and there are later ones"),
    ("a", "a b~ c", f"the record follows {tail('a b').digest}, and not sha256:"),
]


@pytest.mark.parametrize(("told", "store", "message"), REASONS)
def test_why_it_is_a_fork_is_said(told: str, store: str, message: str) -> None:
    found, _ = settling(told, store, "e")
    assert found.done.outcome is Outcome.FORKED
    assert message in found.done.message


def test_a_copy_of_an_older_record_is_no_next_one() -> None:
    records = written("a")
    store = Store(records | {2: records[1]})
    found = settle(store, tail("a"), [event("b")])
    assert "000000000002.json: the record has the sequence 1" in found.done.message


def test_an_unknown_kind_of_a_newer_version_is_kept_as_any_other() -> None:
    chain = written("a b")
    chain[2] = chain[2].replace(b".Evaluated", b".Promoted")
    store = Store(chain)
    found = settle(store, tail("a"), [event("c")])
    assert (found.done.outcome, found.done.head.sequence) == (Outcome.RECOVERED, 4)
    assert verify(entries(store.records), AGENT.uid).flaw is None


def test_a_name_far_away_costs_no_request_for_each_one_before_it() -> None:
    store = Store(written("a b") | {10**9: b"junk"})
    found = settle(store, tail("a"), [event("c")])
    assert (found.done.outcome, found.done.head.sequence) == (Outcome.FORKED, 10**9 + 2)
    assert len(found.requests) < 16


def test_a_last_name_that_is_taken_leaves_all_as_it_was() -> None:
    store = Store(written("a b") | {LAST: b"junk"})
    found = settle(store, tail("a"), [event("c")])
    assert (found.done.outcome, found.done.head, found.done.left) == (Outcome.STUCK, tail("a"), (event("c"),))
    assert "999999999999.json is the last name that there is" in found.done.message


def test_a_store_that_contradicts_itself_leaves_all_as_it_was() -> None:
    store = Store(written("a b c d"), frozenset({4}))
    found = settle(store, tail("a"), map(event, "be"))
    assert (found.done.outcome, found.done.head, found.done.left) == (
        Outcome.STUCK,
        tail("a"),
        (event("b"), event("e")),
    )
    assert (found.done.written, found.done.adopted) == (0, 0)
    assert shown(store.records) == "a b c d"
    again = settle(Store(store.records), tail("a"), found.done.left)
    assert (again.done.outcome, shown(store.records)) == (Outcome.RECOVERED, "a b c d R1 e")


def test_a_list_that_lacks_what_was_written_meanwhile_is_no_gap() -> None:
    """Names that come while a directory is read may be shown or not (POSIX, readdir)."""

    class Late(Store):
        def answer(self, request: Any) -> Answer:
            found = super().answer(request)
            return replace(found, first=3) if isinstance(found, Listed) and found.first else found

    store = Late(written("a b c"))
    found = settle(store, tail("a"), [event("d")])
    assert (found.done.outcome, shown(store.records)) == (Outcome.RECOVERED, "a b c R1 d")
    forked = Late(written("a x c"))
    found = settle(forked, tail("a b"), [event("d")])
    assert found.done.outcome is Outcome.FORKED


def test_a_list_that_shows_nothing_yet_does_not_hide_what_is_taken() -> None:
    class Blind(Store):
        def answer(self, request: Any) -> Answer:
            found = super().answer(request)
            return Listed(0, 0) if isinstance(found, Listed) else found

    store = Blind(written("a b c"))
    found = settle(store, tail("a"), map(event, "bd"))
    assert [*map(named, found.requests)] == [
        "read 1",
        "create 2",
        "list 1",
        "read 2",
        "create 3",
        "list 2",
        "read 3",
        "create 4",
        "create 5",
    ]
    assert (found.done.outcome, shown(store.records)) == (Outcome.RECOVERED, "a b c R1 d")


def test_a_create_whose_answer_was_lost_is_asked_again_and_finds_its_own() -> None:
    store = Store(written("a"))
    at = begin(AGENT, tail("a"), [event("b")], NOW, confirmed=True)
    assert isinstance(at, Ask)
    assert store.answer(at.request) == Created()
    requests = []
    while isinstance(at, Ask):
        requests.append(named(at.request))
        at = step(at.state, store.answer(at.request))
    assert requests == ["create 2", "list 1", "read 2"]
    assert (at.outcome, at.head, shown(store.records)) == (Outcome.ADOPTED, tail("a b"), "a b")


def test_two_writers_with_the_same_events_write_them_once() -> None:
    store = Store(written("a"))
    one, other = (begin(AGENT, tail("a"), map(event, "bc"), NOW, confirmed=True) for _ in range(2))
    while isinstance(one, Ask) or isinstance(other, Ask):
        if isinstance(one, Ask):
            one = step(one.state, store.answer(one.request))
        if isinstance(other, Ask):
            other = step(other.state, store.answer(other.request))
    assert one.head == other.head == tail("a b c")
    assert shown(store.records) == "a b c"
    assert one.written + other.written == 2


def test_what_the_journal_says_of_itself_is_nobodys_wish() -> None:
    for own in (notes.recovered(START, tail("a"), NOW), notes.forked(START, START, tail("a"), NOW)):
        with pytest.raises(EventError, match="the journal says this of itself"):
            begin(AGENT, START, [own], NOW)


def test_nothing_is_begun_with_an_event_that_no_record_can_tell() -> None:
    with pytest.raises(EventError, match="cause is"):
        begin(AGENT, START, [event("a"), event("b c")], NOW)


def test_nothing_is_begun_for_what_has_no_uid_no_name_or_no_moment() -> None:
    with pytest.raises(HeadError, match=r"metadata\.uid"):
        begin(replace(AGENT, uid=""), START, [], NOW)
    with pytest.raises(EventError, match="is no namespace and name"):
        begin(replace(AGENT, name="Triage"), START, [], NOW)
    with pytest.raises(EventError, match="time has no zone"):
        begin(AGENT, START, [], NOW.replace(tzinfo=None))


WRONG: list[tuple[str, Callable[[], Answer]]] = [
    ("-", lambda: Listed(0, 0)),
    ("-", Absent),
    ("a", Created),
    ("a", Taken),
    ("a", lambda: Listed(0, 0)),
]


@pytest.mark.parametrize(("told", "answer"), WRONG)
def test_an_answer_to_another_request_is_a_mistake_of_the_shell(told: str, answer: Callable[[], Answer]) -> None:
    at = begin(AGENT, tail(told), [event("b")], NOW)
    assert isinstance(at, Ask)
    with pytest.raises(
        ProtocolError, match=r"the journal of AIAgent crm/triage is (Creating|Confirming): \w+ is no answer"
    ):
        step(at.state, answer())


def test_a_create_has_the_path_and_the_bytes_of_its_record() -> None:
    at = begin(AGENT, tail("a"), [event("b")], NOW, confirmed=True)
    assert isinstance(at, Ask)
    assert at.request == Create(path(AGENT.uid, 2), written("a b")[2])


def test_a_read_that_finds_the_head_goes_on() -> None:
    at = begin(AGENT, tail("a"), [event("b")], NOW)
    assert isinstance(at, Ask)
    following = step(at.state, Found(written("a")[1]))
    assert isinstance(following, Ask)
    assert named(following.request) == "create 2"


def test_every_outcome_has_a_meaning() -> None:
    assert set(MEANING) == set(Outcome)
