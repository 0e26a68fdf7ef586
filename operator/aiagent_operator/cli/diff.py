"""`diff`: what differs between two revisions of an agent."""

from __future__ import annotations

from typing import Annotated, Final
from urllib.parse import quote

import typer

from aiagent_operator.cli import difference, options, output, revisions
from aiagent_operator.cli import names as completion
from aiagent_operator.cli.difference import Files, Side
from aiagent_operator.cli.errors import CliError, ExitCode, RefusedError
from aiagent_operator.cli.kube import Cluster, Object, read_agent
from aiagent_operator.cli.revisions import Standing

_STYLES: Final = {"": "bold", "+": "green", "-": "red", "@": "cyan"}


def diff(
    name: options.AgentName,
    revision: Annotated[
        int,
        typer.Argument(help="Number of a revision.", min=1, show_default=False, autocompletion=completion.revisions),
    ],
    other: Annotated[
        int | None,
        typer.Argument(
            help="Number of the revision to compare it with; without it, what would differ if REVISION took over from "
            "the one that serves.",
            min=1,
            show_default=False,
            autocompletion=completion.revisions,
        ),
    ] = None,
    *,
    namespace: options.Namespace = None,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> None:
    """Show what differs between two revisions: template, model, handbook. Exit code 0 for nothing, 1 for something."""
    cluster = Cluster.connect(kubeconfig, context)
    agent = read_agent(cluster, namespace or cluster.namespace, name)
    old, new = _two(agent, revision, other)
    records = revisions.of(cluster, agent)
    before, after = (revisions.pick(records, wanted, agent) for wanted in (old, new))
    output.note(f"from {_described(agent, before)} to {_described(agent, after)}")
    books = _handbooks(cluster, before, after)
    sides = [
        Side(record["metadata"]["name"], {difference.WORK: difference.work(record), **book})
        for record, book in zip((before, after), books, strict=True)
    ]
    if not _print(sides[0], sides[1]):
        output.note("nothing differs")
        return
    raise typer.Exit(ExitCode.NEGATIVE)


def _two(agent: Object, revision: int, other: int | None) -> tuple[int, int]:
    """Numbers of the former and of the latter."""
    if other is not None:
        return revision, other
    serving = Standing.of(agent).serves
    if serving is None:
        which = f"AIAgent {agent['metadata']['namespace']}/{agent['metadata']['name']}"
        raise CliError(f"no revision of {which} serves yet: name two to compare")
    return serving, revision


def _described(agent: Object, record: Object) -> str:
    number = revisions.number(record)
    said = ", ".join(filter(None, (revisions.state(record), Standing.of(agent).word(number))))
    return f"revision {number} ({said})" if said else f"revision {number}"


def _handbooks(cluster: Cluster, before: Object, after: Object) -> tuple[Files, Files]:
    """The files of both handbooks; their digests where one of them cannot be read; none where they are the same."""
    old, new = (revisions.worked(record)["handbook"] for record in (before, after))
    if old["digest"] == new["digest"]:
        return {}, {}
    namespace = before["metadata"]["namespace"]
    found = [_read(cluster, namespace, book["configMap"]) for book in (old, new)]
    if found[0] is None or found[1] is None:
        return {difference.DIGEST: old["digest"]}, {difference.DIGEST: new["digest"]}
    return found[0], found[1]


def _read(cluster: Cluster, namespace: str, name: str) -> Files | None:
    """The files of a handbook; None, and a remark that says why, where it cannot be read."""
    what = f"ConfigMap {namespace}/{name}"
    path = f"/api/v1/namespaces/{quote(namespace, safe='')}/configmaps/{quote(name, safe='')}"
    try:
        found = cluster.get(path, what=what)
    except RefusedError as error:
        if error.status == 403:
            why = f'you need the verb get on configmaps "{name}" in namespace {namespace}, which the built-in view has'
        elif error.status == 404:
            why = "it does not exist any more; the revision names it, but its content is lost"
        else:
            raise
        output.note(f"The handbooks are compared by their digests only: {what} cannot be read: {why}")
        return None
    return difference.handbook(found.get("data") or {})


def _print(old: Side, new: Side) -> bool:
    """Prints the diff; whether there is one."""
    differs = False
    for line in difference.unified(old, new):
        differs = True
        output.verbatim(line.text, _STYLES.get(line.mark, ""))
    return differs
