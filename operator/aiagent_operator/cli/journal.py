"""`journal show` and `journal verify`: the journal of an agent as files, without a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from aiagent_operator.cli import options, output
from aiagent_operator.cli.errors import CliError, ExitCode
from aiagent_operator.cli.kube import Cluster, read_agent
from aiagent_operator.cli.output import Format
from aiagent_operator.core.journal import lines
from aiagent_operator.core.journal.chain import Entry, verify
from aiagent_operator.core.journal.head import Head, HeadError
from aiagent_operator.core.journal.kinds import PREFIX
from aiagent_operator.core.journal.record import MOST_BYTES, Record, RecordError, read

Source = Annotated[
    Path, typer.Argument(help="Folder with the records of one agent, or a file of JSON Lines.", show_default=False)
]
Told = Annotated[
    str,
    typer.Option(
        "--head", help="Head that it has to come to: sequence, @, and digest.", metavar="N@sha256:…", show_default=False
    ),
]
Agent = Annotated[
    str,
    typer.Option("--agent", help="AIAgent whose status tells the head.", metavar="NAME", show_default=False),
]

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Read and verify the journal of an agent, as files."
)


@app.command()
def show(source: Source, *, form: options.Output = Format.TABLE) -> None:
    """List what happened, in the order in which it was recorded. Nothing is verified: `journal verify` does that."""
    with _entries(source) as found:
        entries = list(found)
    records = [_record(entry) for entry in entries]
    if form.structured:
        output.dump([orjson.loads(raw) for _, raw in entries], form)
        return
    rows = [(r.sequence, r.time, r.type.removeprefix(PREFIX), _shown(r.data)) for r in records]
    output.table(("SEQUENCE", "TIME", "EVENT", "DATA"), rows)


@app.command("verify")
def check(
    source: Source,
    *,
    head: Told = "",
    agent: Agent = "",
    namespace: options.Namespace = None,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> None:
    """Check that nothing was changed, removed or put in between: each record has the digest of the one before.

    The last one is vouched for by a head alone: that of the agent's status (--agent), or of its certificate (--head).
    """
    if head and agent:
        raise CliError("--head and --agent both tell a head: give one of them", ExitCode.USAGE)
    told = _head(head) if head else _told_by(agent, namespace, kubeconfig, context) if agent else None
    with _entries(source) as found:
        first = next(found, None)
        if first is None:
            what = "has no records: name the folder <store>/journal/<UID of the agent>, or a file of JSON Lines"
            raise CliError(f"{source} {what}", ExitCode.USAGE)
        try:
            uid = _record(first).subject
        except CliError as error:
            raise CliError(str(error), ExitCode.NEGATIVE) from error
        result = verify(chain((first,), found), uid, told=told)
    flaw = result.flaw
    output.say(judged(result.records, uid, result.head, f"{flaw.fault}: {flaw.message}" if flaw else ""))
    if flaw:
        raise typer.Exit(ExitCode.NEGATIVE)
    if told is None:
        output.note("Whether records were cut off at its end, a head alone can say: give --agent or --head")


def judged(records: int, uid: str, head: Head, fault: str) -> str:
    """What verifying a journal came to, in a line; `fault` is empty where it holds."""
    if fault:
        return f"not whole: {fault}"
    return f"whole: {output.counted(records, 'record')} of agent {uid}, up to {head.digest}"


@contextmanager
def _entries(source: Path) -> Iterator[Iterator[Entry]]:
    """The records, one at a time."""
    try:
        if source.is_dir():
            yield ((str(path), _read(path)) for path in sorted(source.glob("*.json")))
            return
        with source.open("rb") as file:
            yield lines.entries(str(source), file.readline)
    except OSError as error:
        raise CliError(f"{source} cannot be read: {error.strerror}", ExitCode.USAGE) from error


def _read(path: Path) -> bytes:
    """Enough of a file to tell whether it is a record."""
    with path.open("rb") as file:
        return file.read(MOST_BYTES + 1)


def _record(entry: Entry) -> Record:
    where, raw = entry
    try:
        return read(raw, where)
    except RecordError as error:
        raise CliError(str(error), ExitCode.NEGATIVE) from error


def _head(text: str) -> Head:
    sequence, _, digest = text.partition("@")
    try:
        return Head(int(sequence), digest)
    except (ValueError, HeadError) as error:
        how = f"write sequence, @ and digest, such as 3@sha256:4450… ({error})"
        raise CliError(f"--head {text}: {how}", ExitCode.USAGE) from error


def _told_by(agent: str, namespace: str | None, kubeconfig: Path | None, context: str | None) -> Head:
    cluster = Cluster.connect(kubeconfig, context)
    found = read_agent(cluster, namespace or cluster.namespace, agent)
    head = ((found.get("status") or {}).get("journal") or {}).get("head")
    if not head:
        raise CliError(f"AIAgent {agent}: status.journal tells no head: nothing of it is recorded yet")
    return Head(head["sequence"], head["digest"])


def _shown(data: Any) -> str:
    """The data on a line, without what is empty."""
    if not isinstance(data, dict):
        return str(data)
    return " ".join(f"{name}={_value(value)}" for name, value in data.items() if value not in (None, [], {}, ""))


def _value(value: Any) -> str:
    if isinstance(value, list):
        return f"[{len(value)}]" if any(isinstance(item, dict) for item in value) else ",".join(map(str, value))
    return "{…}" if isinstance(value, dict) else str(value)
