"""Commands that put archives of former agents under legal hold, and release them, in one's own name."""

from __future__ import annotations

from typing import Annotated

import typer

from aiagent_operator.api.agentaction import Action
from aiagent_operator.api.holds import Ground
from aiagent_operator.cli import names as completion
from aiagent_operator.cli import options
from aiagent_operator.cli.errors import CliError, ExitCode
from aiagent_operator.cli.kube import Cluster, Object
from aiagent_operator.cli.order import Timeout, Wait, give

Name = Annotated[
    str | None,
    typer.Argument(
        help="Name of the agent: all archives of agents that had it in the namespace.",
        show_default=False,
        autocompletion=completion.agents,
    ),
]
ArchiveName = Annotated[
    str | None,
    typer.Option("--archive", help="Name of one AgentArchive, of any namespace.", metavar="NAME", show_default=False),
]
Why = Annotated[str, typer.Option("--reason", help="Why; shown with the order and the archive.")]


def hold(
    name: Name = None,
    *,
    archive: ArchiveName = None,
    ground: Annotated[
        Ground, typer.Option("--ground", help="Why, by the rule that it is evidence for (GDPR, Art. 17(3)).")
    ],
    reason: Why,
    wait: Wait = True,
    timeout: Timeout = 120.0,
    namespace: options.Namespace = None,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> None:
    """Keep archives of an agent from being destroyed, those to come too, until they are released."""
    about = _about(name, archive) | {"ground": ground.value}
    cluster = Cluster.connect(kubeconfig, context)
    give(cluster, Action.HOLD, about, reason, namespace, wait=wait, timeout=timeout)


def release(
    name: Name = None,
    *,
    archive: ArchiveName = None,
    reason: Why,
    wait: Wait = True,
    timeout: Timeout = 120.0,
    namespace: options.Namespace = None,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> None:
    """End the orders that hold archives. With --archive also those whose namespace has gone."""
    about = _about(name, archive)
    cluster = Cluster.connect(kubeconfig, context)
    give(cluster, Action.RELEASE, about, reason, namespace, wait=wait, timeout=timeout)


def erase(
    archive: Annotated[str, typer.Argument(help="Name of the AgentArchive.", metavar="ARCHIVE")],
    *,
    reason: Annotated[str, typer.Option("--reason", help="Why; it stands in the archive, so name no person in it.")],
    wait: Wait = True,
    timeout: Timeout = 120.0,
    namespace: options.Namespace = None,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> None:
    """Destroy the key of what is personal in an archive, for ever. The rest of it stays, and still verifies.

    Backups of the key, such as snapshots of etcd, are yours to destroy.
    """
    cluster = Cluster.connect(kubeconfig, context)
    about: Object = {"archiveRef": {"name": archive}}
    give(cluster, Action.ERASE, about, reason, namespace, wait=wait, timeout=timeout)


def _about(name: str | None, archive: str | None) -> Object:
    if bool(name) == bool(archive):
        raise CliError("give the NAME of an agent, or --archive with the name of an AgentArchive", ExitCode.USAGE)
    return {"agentRef": {"name": name}} if name else {"archiveRef": {"name": archive}}
