"""`journal show` and `journal verify`: the journal of an agent as files, or as it grows in a cluster."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Annotated

import orjson
import typer

from aiagent_operator.cli import following, names, options, output, records
from aiagent_operator.cli.errors import CliError, ExitCode
from aiagent_operator.cli.kube import Cluster, read_agent
from aiagent_operator.cli.output import Format
from aiagent_operator.core.journal.chain import verify
from aiagent_operator.core.journal.head import Head, HeadError

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

Followed = Annotated[
    str,
    typer.Option("--agent", help="With -f: the AIAgent to follow.", metavar="NAME", autocompletion=names.agents),
]
Follow = Annotated[
    bool, typer.Option("--follow", "-f", help="Go on as the journal of --agent grows, until the agent has left.")
]
Files = Annotated[
    Path | None,
    typer.Argument(
        help="Folder with the records of one agent, or a file of JSON Lines. With -f it may be left out.",
        show_default=False,
    ),
]

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Read, follow and verify the journal of an agent.")


@app.command()
def show(
    source: Files = None,
    *,
    follow: Follow = False,
    agent: Followed = "",
    namespace: options.Namespace = None,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
    form: options.Output = Format.TABLE,
) -> None:
    """List what happened, in the order in which it was recorded. Nothing is verified: `journal verify` does that.

    With --follow and --agent it goes on as records are made, each as the agent's head proves it to be. That takes no
    store, and the right to get and watch the agent; -o json prints the records as they are, a line each.
    """
    if follow != bool(agent):
        raise CliError("--follow goes with --agent NAME, which tells what comes", ExitCode.USAGE)
    if follow:
        if form not in (Format.TABLE, Format.JSON):
            raise CliError(f"-o {form} does not go with --follow: take table or json", ExitCode.USAGE)
        cluster = Cluster.connect(kubeconfig, context)
        following.follow(cluster, namespace or cluster.namespace, agent, source, form)
        return
    if source is None:
        raise CliError(
            "name the folder of a journal, or a file of JSON Lines; or --follow --agent NAME", ExitCode.USAGE
        )
    with records.entries(source) as found:
        entries = list(found)
    told = [records.parsed(entry) for entry in entries]
    if form.structured:
        output.dump([orjson.loads(raw) for _, raw in entries], form)
        return
    output.table(records.HEADERS, map(records.row, told))


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
    with records.entries(source) as found:
        first = next(found, None)
        if first is None:
            what = "has no records: name the folder <store>/journal/<UID of the agent>, or a file of JSON Lines"
            raise CliError(f"{source} {what}", ExitCode.USAGE)
        try:
            uid = records.parsed(first).subject
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
