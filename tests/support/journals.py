"""Journals for tests: chains written as letters, and a store that lives in a dictionary."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from aiagent_operator.core.journal import notes
from aiagent_operator.core.journal.asking import (
    Absent,
    Answer,
    Create,
    Created,
    Done,
    Found,
    ListAfter,
    Listed,
    Read,
    Request,
    Taken,
)
from aiagent_operator.core.journal.event import Event, moment, seal
from aiagent_operator.core.journal.head import START, Head, digest, path
from aiagent_operator.core.journal.keyed import Keyed
from aiagent_operator.core.journal.kinds import Kind
from aiagent_operator.core.journal.record import RecordError, read
from aiagent_operator.core.journal.settling import Ask, begin, step
from aiagent_operator.core.objects import AgentIdentity

AGENT = AgentIdentity("crm", "triage", "2f1c4b0e-7c1d-4b7a-9f63-0d1a2b3c4d5e")
OTHER = AgentIdentity("crm", "billing", "9d8e7f60-1a2b-4c3d-8e4f-5a6b7c8d9e0f")
BEGIN = datetime(2026, 7, 6, 2, tzinfo=UTC)
NOW = BEGIN + timedelta(days=1)


def event(letter: str) -> Event:
    """The event that a letter stands for."""
    return Event(Kind.EVALUATED, f"evaluation/{letter}", BEGIN, {"evaluation": letter})


def sealed(events: Iterable[Event], agent: AgentIdentity = AGENT, head: Head = START) -> list[tuple[str, bytes]]:
    """The records of the events, one after the other, with their paths."""
    found = []
    for each in events:
        raw, head = seal(agent, head, each)
        found.append((path(agent.uid, head.sequence), raw))
    return found


def written(text: str, told: Head = START) -> dict[int, bytes]:
    """Records by sequence, as the tables of docs/journal.md write them.

    A letter is an event. `b~` is another record in its place, sealed onto the same one, `(b)` is missing, `?` is no
    record, `@` is of another agent. `R1` and `F1` are Recovered and Forked for the head `told` with sequence 1.
    """
    found: dict[int, bytes] = {}
    head = START
    for sequence, word in enumerate(_words(text), 1):
        raw, after = _record(word, head, told)
        if word.endswith("~"):
            raw, _ = seal(AGENT, head, replace(event(word[0]), time=NOW))
        if not word.startswith("("):
            found[sequence] = raw
        head = after
    return found


def _record(word: str, head: Head, told: Head) -> tuple[bytes, Head]:
    if word == "?":
        return b"no record", Head(head.sequence + 1, digest(b"no record"))
    if word == "@":
        return seal(OTHER, head, event("b"))
    if word[0] in "RF":
        assert int(word[1:]) == told.sequence
        what = notes.recovered(told, head, NOW) if word[0] == "R" else notes.forked(told, START, head, NOW)
        return seal(AGENT, head, what)
    return seal(AGENT, head, event(word.strip("()~")))


def tail(text: str) -> Head:
    """The head of a chain of letters."""
    head = START
    for word in _words(text):
        _, head = _record(word, head, START)
    return head


def _words(text: str) -> list[str]:
    return [] if text == "-" else text.split()


def shown(records: dict[int, bytes]) -> str:
    """Records as letters again, with `(_)` for what is missing."""
    return " ".join(_letter(records.get(n), path(AGENT.uid, n)) for n in range(1, max(records, default=0) + 1)) or "-"


def _letter(raw: bytes | None, where: str) -> str:
    if raw is None:
        return "(_)"
    try:
        found = read(raw, where)
    except RecordError:
        return "?"
    if found.subject != AGENT.uid:
        return "@"
    if found.kind in notes.OWN:
        return f"{found.kind[0]}{found.cause.partition('/')[0]}"
    return found.cause[-1] + ("~" if found.time == moment(NOW) else "")


@dataclass
class Store:
    """A store that does what the journal asks of one; `unreadable` sequences are there and cannot be read."""

    records: dict[int, bytes] = field(default_factory=dict)
    unreadable: frozenset[int] = frozenset()

    def answer(self, request: Request) -> Answer:
        match request:
            case Create(where, raw):
                if self.sequence(where) in self.records:
                    return Taken()
                self.records[self.sequence(where)] = raw
                return Created()
            case Read(where):
                number = self.sequence(where)
                found = None if number in self.unreadable else self.records.get(number)
                return Absent() if found is None else Found(found)
            case ListAfter(folder, after):
                names = sorted(n for n in self.records if path(AGENT.uid, n) > after)
                assert after.startswith(folder)
                return Listed(names[0], names[-1]) if names else Listed(0, 0)

    @staticmethod
    def sequence(where: str) -> int:
        number = int(where[-len("000000000001.json") : -len(".json")])
        assert where == path(AGENT.uid, number), "nothing else of the store is touched"
        return number


def named(request: Request) -> str:
    """A request as the tables write it."""
    match request:
        case Create(where):
            return f"create {Store.sequence(where)}"
        case Read(where):
            return f"read {Store.sequence(where)}"
        case ListAfter(_, after):
            return f"list {Store.sequence(after) if after.endswith('.json') else 0}"


@dataclass(frozen=True)
class Settled:
    """What a writer did, request by request, and where it ended."""

    requests: tuple[Request, ...]
    done: Done


def settle(store: Store, told: Head, wanted: Iterable[Event], *, confirmed: bool = False) -> Settled:
    """One writer alone, from begin to end."""
    requests = []
    at = begin(AGENT, told, wanted, NOW, confirmed=confirmed)
    while isinstance(at, Ask):
        requests.append(at.request)
        assert len(requests) < 1000, "it ends"
        at = step(at.state, store.answer(at.request))
    return Settled(tuple(requests), at)


def entries(records: dict[int, bytes]) -> list[tuple[str, bytes]]:
    """The records with their paths, in the order of their names."""
    return [(path(AGENT.uid, number), records[number]) for number in sorted(records)]


KEY = Keyed(b"this key is that of docs/journal.md")
ORDER = "b7c6a5d4-3e2f-4a1b-9c8d-7e6f5a4b3c2d"
EXAMPLE = (
    Event(Kind.CREATED, "created", BEGIN, {"generation": 1, "role": "customer-support"}),
    Event(
        Kind.GRANTED,
        "permission/read-tickets/1",
        BEGIN + timedelta(seconds=4, milliseconds=217),
        {"permission": "read-tickets", "namespaces": ["crm"], "rules": [{"resources": ["tickets"], "verbs": ["get"]}]},
    ),
    Event(
        Kind.SUSPENDED,
        f"order/{ORDER}",
        BEGIN + timedelta(days=3, hours=7, milliseconds=5),
        {"order": ORDER, "by": KEY.person("ann@corp.example"), "message": KEY.text("answers in the wrong language")},
    ),
)
"""The events of the journal that docs/journal.md shows."""
