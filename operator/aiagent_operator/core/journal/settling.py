"""How a writer puts events into the journal: which request to the store comes next, after each answer.

`begin` gives the first request, `step` the next one for each answer, until it is Done. Nothing is remembered but the
head in the agent's status, so a writer may end between any two requests, and another one may write at the same time:
what is in the store already is read and kept. All that a writer does not know, it says in the journal itself.

The store has to write a record only if there is none of its name, and to show at once what was written (S3, GCS, Azure
and a directory do).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

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
    Outcome,
    Read,
    Request,
    Taken,
)
from aiagent_operator.core.journal.event import Event, EventError, check, seal, source
from aiagent_operator.core.journal.head import LAST, START, Head, digest, folder, path
from aiagent_operator.core.journal.record import Record, RecordError, read
from aiagent_operator.core.objects import AgentIdentity


class Phase(StrEnum):
    """What was asked last."""

    CONFIRMING = "Confirming"
    CREATING = "Creating"
    LISTING = "Listing"
    FOLLOWING = "Following"


@dataclass(frozen=True, slots=True)
class State:
    """How far a writer is. To be given back to `step`, and kept nowhere.

    `asked` is all that was wanted, `wanted` what is not recorded yet. `told` is the head in the status, `at` the last
    record known to be in the store, `reading` and `last` the sequence that is read and the last one to be read, `made`
    the head after what is being created. `unknown` counts records after `told` that nobody wanted, and `unsaid` is
    whether one of them has no Recovered after it. `fork` says why the status is no part of the store's chain, `stored`
    is what the store has instead of `told`.
    """

    agent: AgentIdentity
    told: Head
    asked: tuple[Event, ...]
    wanted: tuple[Event, ...]
    now: datetime
    phase: Phase
    at: Head
    reading: int = 0
    last: int = 0
    made: Head = START
    written: int = 0
    adopted: int = 0
    unknown: int = 0
    unsaid: bool = False
    fork: str = ""
    fork_recorded: bool = False
    stored: Head = START


@dataclass(frozen=True, slots=True)
class Ask:
    """The next request to the store, and the state that its answer is given to."""

    request: Request
    state: State


class ProtocolError(TypeError):
    """An answer that is none to the request: a mistake in the shell."""


def begin(
    agent: AgentIdentity, told: Head, wanted: Iterable[Event], now: datetime, *, confirmed: bool = False
) -> Ask | Done:
    """The first request for having the events recorded after the head that the status tells.

    `now` is the time of what the journal says of itself. `confirmed`: this process has seen the record of the head in
    the store. Without it that record is read first, since a store that was restored has another one, or none. Events
    that are wanted twice are written once. Raises EventError for an event, a name or a moment that no record can tell,
    and HeadError for an agent without a UID: now, and not when half of it is written.
    """
    folder(agent.uid)
    source(agent)
    check(notes.recovered(told, told, now))
    once = {event.key: event for event in wanted}
    for event in once.values():
        check(event)
        if event.kind in notes.OWN:
            raise EventError(f"{event}: the journal says this of itself: want something else")
    asked = tuple(once.values())
    state = State(agent, told, asked, asked, now, Phase.CREATING, told)
    if confirmed:
        return _write(state)
    if told.sequence:
        return _read(replace(state, phase=Phase.CONFIRMING, reading=told.sequence))
    return _write(state) if state.wanted else _list(state)


def step(state: State, answer: Answer) -> Ask | Done:
    """What comes after an answer. Raises ProtocolError where it is none to what was asked."""
    match state.phase, answer:
        case Phase.CONFIRMING, Found(raw):
            return _confirmed(state, raw)
        case Phase.CONFIRMING, Absent():
            return _fork(state, f"{_path(state, state.reading)} is not there")
        case Phase.CREATING, Created():
            return _write(_created(state))
        case Phase.CREATING, Taken():
            # Whatever the list shows, there is at least this one.
            return _list(replace(state, last=state.at.sequence + 1))
        case Phase.LISTING, Listed(first, last):
            return _listed(state, first, last)
        case Phase.FOLLOWING, Found(raw):
            return _found(state, raw)
        case Phase.FOLLOWING, Absent():
            return _missing(state)
    raise ProtocolError(f"the journal of {_name(state)} is {state.phase}: {type(answer).__name__} is no answer to that")


def _confirmed(state: State, raw: bytes) -> Ask | Done:
    found = digest(raw)
    if found != state.told.digest:
        return _fork(state, f"{_path(state, state.reading)} has {found}, and the status {state.told.digest}")
    return _write(state) if state.wanted else _list(state)


def _write(state: State) -> Ask | Done:
    """The next record to be created: first what the journal has to say of itself, then what is wanted."""
    event = _next(state)
    if event is None:
        return _done(state)
    if state.at.sequence == LAST:
        return _stuck(state, f"{_path(state, LAST)} is the last name that there is")
    raw, made = seal(state.agent, state.at, event)
    create = Create(_path(state, made.sequence), raw)
    return Ask(create, replace(state, phase=Phase.CREATING, made=made))


def _next(state: State) -> Event | None:
    if state.fork and not state.fork_recorded:
        return notes.forked(state.told, state.stored, state.at, state.now)
    if state.unsaid:
        return notes.recovered(state.told, state.at, state.now)
    return state.wanted[0] if state.wanted else None


def _created(state: State) -> State:
    at = replace(state, at=state.made)
    if state.fork and not state.fork_recorded:
        return replace(at, fork_recorded=True)
    if state.unsaid:
        return replace(at, unsaid=False)
    return replace(at, wanted=state.wanted[1:], written=state.written + 1)


def _list(state: State, after: int | None = None) -> Ask:
    sequence = state.at.sequence if after is None else after
    where = folder(state.agent.uid)
    request = ListAfter(where, _path(state, sequence) if sequence else where)
    return Ask(request, replace(state, phase=Phase.LISTING))


def _listed(state: State, first: int, last: int) -> Ask | Done:
    """A list of a directory may lack what came in meanwhile, so the next record is read also where it shows later ones.

    Over a hole in a chain that is known to be broken it helps, since names can be anything.
    """
    taken = state.last > state.at.sequence
    reading = first - 1 if state.fork and first and not taken else state.at.sequence
    return _onward(replace(state, reading=reading, last=max(last, state.last)))


def _read(state: State) -> Ask:
    return Ask(Read(_path(state, state.reading)), state)


def _onward(state: State) -> Ask | Done:
    """The next record that is known to be there; after the last one, on with writing."""
    if state.reading < state.last:
        return _read(replace(state, phase=Phase.FOLLOWING, reading=state.reading + 1))
    return _write(state)


def _found(state: State, raw: bytes) -> Ask | Done:
    where = _path(state, state.reading)
    found: Record | None = None
    try:
        found = read(raw, where)
        problem = _problem(state, found)
    except RecordError as error:
        problem = error.problem
    if problem and not state.fork:
        return _fork(state, f"{where}: {problem}")
    at = Head(state.reading, digest(raw))
    state = replace(state, at=at, stored=at if at.sequence == state.told.sequence else state.stored)
    own = found is not None and found.subject == state.agent.uid and found.sequence == state.reading
    return _onward(_known(state, found) if found and own else state)


def _problem(state: State, found: Record) -> str:
    """Why a record is not the one after the last; empty where it is."""
    if found.subject != state.agent.uid:
        return f"the record is of the agent {found.subject}"
    if found.sequence != state.reading:
        return f"the record has the sequence {found.sequence}"
    if found.previous != state.at.digest:
        return f"the record follows {found.previous or 'nothing'}, and not {state.at.digest or 'nothing'}"
    return ""


def _known(state: State, found: Record) -> State:
    """The state after a record of the agent: it is wanted, or the journal's own word of this, or unknown."""
    left = tuple(event for event in state.wanted if event.key != found.key)
    if len(left) < len(state.wanted):
        return replace(state, wanted=left, adopted=state.adopted + 1)
    before = found.sequence - 1
    if state.fork:
        said = found.key == notes.fork_key(state.told, before)
        return replace(state, fork_recorded=state.fork_recorded or said)
    if found.key == notes.recovery_key(state.told, before):
        return replace(state, unsaid=False)
    return replace(state, unknown=state.unknown + 1, unsaid=True)


def _missing(state: State) -> Ask | Done:
    where = _path(state, state.reading)
    if state.reading == state.last:
        return _stuck(state, f"{where} is there when it is listed or written, and not when it is read")
    if state.fork:
        return _list(replace(state, last=0), state.reading)
    return _fork(state, f"{where} is missing, and there are later ones")


def _fork(state: State, why: str) -> Ask:
    """From the beginning: what of the wanted events is in the store's chain can be anywhere in it."""
    return _list(replace(state, fork=why, at=START, reading=0, last=0, unknown=0, unsaid=False, stored=START))


def _done(state: State) -> Done:
    if state.fork:
        outcome, message = Outcome.FORKED, notes.say_forked(_name(state), state.fork, state.at)
    elif state.unknown:
        outcome = Outcome.RECOVERED
        message = notes.say_recovered(_name(state), state.told, state.unknown, state.at)
    elif state.adopted:
        outcome, message = Outcome.ADOPTED, ""
    else:
        outcome, message = Outcome.APPENDED if state.written else Outcome.UNCHANGED, ""
    return Done(state.at, outcome, message, state.written, state.adopted, ())


def _stuck(state: State, why: str) -> Done:
    """Head and events stay as they were: what has been written already is found there the next time."""
    return Done(state.told, Outcome.STUCK, notes.say_stuck(_name(state), why), 0, 0, state.asked)


def _path(state: State, sequence: int) -> str:
    return path(state.agent.uid, sequence)


def _name(state: State) -> str:
    return f"AIAgent {state.agent.namespace}/{state.agent.name}"
