"""`journal show --follow`: the journal of an agent as it grows, from the agent's status alone.

Nobody needs the store for that: each event stands in the status before it is recorded, and the head that comes after it
proves that what was shown is what was recorded.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from aiagent_operator.api.agentstatus import Phase
from aiagent_operator.cli import output, records
from aiagent_operator.cli.errors import CliError, ExitCode, RefusedError
from aiagent_operator.cli.kube import Cluster, Object, agents_path, read_agent
from aiagent_operator.cli.output import Format
from aiagent_operator.core.journal import book
from aiagent_operator.core.journal.book import Book
from aiagent_operator.core.journal.chain import Entry, verify
from aiagent_operator.core.journal.following import recorded
from aiagent_operator.core.journal.head import START, Head, digest, numbered
from aiagent_operator.core.journal.stored import StoredError
from aiagent_operator.core.objects import AgentIdentity


@dataclass(frozen=True, slots=True)
class Missed:
    """Records that are in the store, and nowhere in what was seen."""

    first: int
    last: int


def follow(cluster: Cluster, namespace: str, name: str, source: Path | None, form: Format) -> None:
    """Print the records of the source, if there is one, and each that comes after it, until the agent is gone or has
    left."""
    printer = _Printer(form)
    versions = statuses(cluster, namespace, name)
    agent = next(versions)
    uid = agent["metadata"]["uid"]
    at = _beginning(source, uid, printer) if source else _book(agent).head
    if source is None and at.sequence:
        output.note(f"{output.counted(at.sequence, 'record')} before are in {_store(agent)}")
    known, last = Book(), agent
    for last in chain((agent,), versions):
        now = _book(last)
        identity = AgentIdentity(namespace, name, uid)
        for found in after(identity, at, known, now.head, source):
            if isinstance(found, Missed):
                output.note(f"Records {found.first} to {found.last} are not shown: they are in {_store(last)}")
            else:
                printer.show(found)
        at, known = now.head if now.head.sequence > at.sequence else at, now
    output.note(_farewell(last, at))


def after(agent: AgentIdentity, at: Head, before: Book, head: Head, source: Path | None) -> tuple[Entry | Missed, ...]:
    """What the journal has from one head to another, by what waited before, else by the files of the source."""
    if head.sequence <= at.sequence:
        return ()
    if before.head == at and (told := recorded(agent, before, head)) is not None:
        return told
    names = [f"{numbered(sequence)}.json" for sequence in range(at.sequence + 1, head.sequence + 1)]
    if source is not None and all((source / name).is_file() for name in names):
        with records.entries(source) as found:
            fresh = [entry for entry in found if Path(entry[0]).name in names]
        if verify(fresh, agent.uid, start=at, told=head).flaw is None:
            return tuple(fresh)
    return (Missed(at.sequence + 1, head.sequence),)


def statuses(cluster: Cluster, namespace: str, name: str) -> Iterator[Object]:
    """The agent as it is, then each version of it, until it is gone or has left."""
    what = f"AIAgent {namespace}/{name}"
    agent = read_agent(cluster, namespace, name)
    uid = agent["metadata"]["uid"]
    yield agent
    while not _left(agent):
        for event in cluster.watch(agents_path(namespace), name, agent["metadata"]["resourceVersion"], what=what):
            if event["type"] == "ERROR":
                break
            agent = event["object"]
            yield agent
            if event["type"] == "DELETED" or _left(agent):
                return
        else:
            continue
        # What is asked for is too old: what came meanwhile is missed, as its head will tell.
        try:
            agent = read_agent(cluster, namespace, name)
        except RefusedError as error:
            if error.status == 404:
                return
            raise
        if agent["metadata"]["uid"] != uid:
            return
        yield agent


class _Printer:
    """A row for each record as it comes, or for programs its bytes, a line each."""

    def __init__(self, form: Format) -> None:
        self._plain = form is Format.JSON
        if not self._plain:
            output.columns(records.HEADERS, records.WIDTHS, bold=True)
            sys.stdout.flush()

    def show(self, entry: Entry) -> None:
        if self._plain:
            sys.stdout.write(entry[1].decode() + "\n")
        else:
            output.columns(records.row(records.parsed(entry)), records.WIDTHS)
        sys.stdout.flush()


def _beginning(source: Path, uid: str, printer: _Printer) -> Head:
    at = START
    with records.entries(source) as found:
        for entry in found:
            record = records.parsed(entry)
            if record.subject != uid:
                raise CliError(
                    f"{entry[0]} is of agent {record.subject}, and the one that is followed is {uid}: name the folder "
                    f"journal/{uid} of its store",
                    ExitCode.NEGATIVE,
                )
            printer.show(entry)
            at = Head(record.sequence, digest(entry[1]))
    return at


def _book(agent: Object) -> Book:
    try:
        return book.read(agent.get("status") or {})
    except StoredError as error:
        raise CliError(f"AIAgent {agent['metadata']['name']}: {error}", ExitCode.NEGATIVE) from error


def _left(agent: Object) -> bool:
    """Whether nothing comes any more, though the object stays."""
    return bool((agent.get("status") or {}).get("phase") == Phase.RETIRED.value)


def _store(agent: Object) -> str:
    journal = (agent.get("status") or {}).get("journal") or {}
    return f"archive store {journal.get('store', '')}, journal/{agent['metadata']['uid']}/"


def _farewell(agent: Object, at: Head) -> str:
    status = agent.get("status") or {}
    name = agent["metadata"]["name"]
    if not (status.get("journal") or {}).get("closed"):
        return f"AIAgent {name} is gone, and its journal was not closed: it was let go by hand, or keeps no journal"
    archive = (status.get("archive") or {}).get("name")
    there = f": AgentArchive {archive}" if archive else ""
    return f"AIAgent {name} has left; its journal ends with record {at.sequence}, {at.digest}{there}"
