"""What holds whatever writers do: two at once, ended between any two requests, after backups of cluster or store."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from aiagent_operator.core.journal.asking import Done, Outcome
from aiagent_operator.core.journal.chain import verify
from aiagent_operator.core.journal.head import START, Head, digest
from aiagent_operator.core.journal.kinds import Kind
from aiagent_operator.core.journal.pending import Pending, note
from aiagent_operator.core.journal.record import Record, read
from aiagent_operator.core.journal.settling import Ask, begin, step
from support.journals import AGENT, NOW, Store, entries, event, settle

WRITERS = st.sampled_from((0, 1))
NOTHING = Pending()


@dataclass(frozen=True)
class Status:
    """What the agent's status tells."""

    head: Head = START
    pending: Pending = NOTHING


@dataclass
class Writer:
    """A writer under way, with the status that it began from."""

    began: Status
    at: Ask


class Journals(RuleBasedStateMachine):
    """One agent, its status, a store, and two operators that both believe that they lead."""

    def __init__(self) -> None:
        super().__init__()
        self.store = Store()
        self.status = Status()
        self.backups = [Status()]
        self.writers: dict[int, Writer] = {}
        self.happened = 0

    @initialize(events=st.integers(0, 3))
    def begins(self, events: int) -> None:
        for _ in range(events):
            self.happens()

    @rule()
    def happens(self) -> None:
        self.happened += 1
        self.told(Status(self.status.head, note(self.status.pending, event(str(self.happened))).pending))

    @precondition(lambda self: self.happened)
    @rule(number=st.integers(1, 20))
    def is_seen_again(self, number: int) -> None:
        """Events come from what is stored: one of which the status does not tell is noted, whether it is recorded."""
        seen = event(str(min(number, self.happened)))
        if seen.key not in {each.key for each in self.records()[: self.status.head.sequence]}:
            self.told(Status(self.status.head, note(self.status.pending, seen).pending))

    @precondition(lambda self: len(self.writers) < 2)
    @rule(writer=WRITERS, seen=st.booleans())
    def starts(self, writer: int, seen: bool) -> None:
        if writer not in self.writers:
            self.goes_on(writer, self.status, self.first(seen))

    def first(self, seen: bool) -> Ask | Done:
        return begin(AGENT, self.status.head, self.status.pending.events, NOW, confirmed=seen)

    @precondition(lambda self: self.writers)
    @rule(writer=WRITERS, requests=st.integers(1, 4))
    def works(self, writer: int, requests: int) -> None:
        for _ in range(requests):
            if found := self.writers.get(writer):
                self.goes_on(writer, found.began, step(found.at.state, self.store.answer(found.at.request)))

    @precondition(lambda self: self.writers)
    @rule(writer=WRITERS)
    def crashes(self, writer: int) -> None:
        self.writers.pop(writer, None)

    @rule(backup=st.integers(0, 30))
    def cluster_is_restored(self, backup: int) -> None:
        self.status = self.backups[backup % len(self.backups)]

    def goes_on(self, writer: int, began: Status, at: Ask | Done) -> None:
        if isinstance(at, Ask):
            self.writers[writer] = Writer(began, at)
            return
        self.writers.pop(writer, None)
        self.ends(began, at)

    def ends(self, began: Status, done: Done) -> None:
        self.said(began, done)
        if self.status == began:
            self.told(Status(done.head, Pending(done.left)))

    def said(self, began: Status, done: Done) -> None:
        """Whatever the status did not tell is said in the journal, and to the caller."""
        known = {each.key for each in began.pending.events}
        after = self.records()[began.head.sequence : done.head.sequence]
        foreign = [each for each in after if each.key not in known and not self.says(each, Kind.RECOVERED, began.head)]
        assert (done.outcome is Outcome.RECOVERED) == bool(foreign) == bool(done.message)
        assert done.outcome is not Outcome.STUCK
        assert done.left == ()
        if foreign:
            last = foreign[-1].sequence
            assert any(self.says(each, Kind.RECOVERED, began.head) and each.sequence > last for each in after)

    @staticmethod
    def says(found: Record, kind: Kind, told: Head) -> bool:
        return found.kind is kind and found.data["told"] == {"sequence": told.sequence, "digest": told.digest}

    def told(self, status: Status) -> None:
        self.status = status
        self.backups.append(status)

    def records(self) -> list[Record]:
        return [read(raw, where) for where, raw in entries(self.store.records)]

    @invariant()
    def the_store_holds_one_chain(self) -> None:
        found = verify(entries(self.store.records), AGENT.uid)
        assert found.flaw is None
        assert found.records == len(self.store.records)

    @invariant()
    def nothing_is_recorded_twice(self) -> None:
        keys = [each.key for each in self.records()]
        assert len(keys) == len(set(keys))

    @invariant()
    def every_head_that_was_told_is_in_the_chain(self) -> None:
        told = self.status.head
        assert told.sequence == 0 or digest(self.store.records[told.sequence]) == told.digest

    @invariant()
    def nothing_forks(self) -> None:
        assert not [each for each in self.records() if each.kind is Kind.FORKED]

    def teardown(self) -> None:
        """Whatever has happened, the next writer that is left alone brings it to its end."""
        began = self.status
        done = settle(self.store, began.head, began.pending.events).done
        self.ends(began, done)
        recorded = {each.key for each in self.records()}
        assert {each.key for each in began.pending.events} <= recorded
        assert self.status == Status(done.head)
        assert done.head.sequence == len(self.store.records)
        self.the_store_holds_one_chain()
        self.nothing_is_recorded_twice()


class RestoredStores(Journals):
    """The same, where the store too may be restored to what it was: then a head may be told that it does not have."""

    def first(self, seen: bool) -> Ask | Done:
        # Nobody has seen a head in a store that may be another one by now.
        return super().first(seen=False)

    @rule(records=st.integers(0, 20))
    def store_is_restored(self, records: int) -> None:
        """With operators stopped, as a restore of a store is done."""
        self.writers.clear()
        for number in sorted(self.store.records)[records:]:
            del self.store.records[number]

    def said(self, began: Status, done: Done) -> None:
        told = began.head
        there = told.sequence == 0 or digest(self.store.records.get(told.sequence, b"")) == told.digest
        assert (done.outcome is Outcome.FORKED) == (not there)
        if there:
            super().said(began, done)
        else:
            assert any(self.says(each, Kind.FORKED, told) for each in self.records())
            assert done.message

    @invariant()
    def every_head_that_was_told_is_in_the_chain(self) -> None:
        """It need not be: that is what is said."""

    @invariant()
    def nothing_forks(self) -> None:
        """It may: that is what is recorded."""


class TestJournals(Journals.TestCase):
    settings = settings(stateful_step_count=40)


class TestRestoredStores(RestoredStores.TestCase):
    settings = settings(stateful_step_count=40)
