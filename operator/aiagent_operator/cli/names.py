"""Names and numbers that the shell completes, asked of the cluster."""

from __future__ import annotations

import typer

from aiagent_operator.cli import revisions as records
from aiagent_operator.cli.errors import CliError
from aiagent_operator.cli.kube import Cluster, agents_path, read_agent


def agents(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of agents in the namespace that the line names so far; none where the cluster does not say."""
    try:
        cluster = Cluster.connect(ctx.params.get("kubeconfig"), ctx.params.get("context"))
        place = ctx.params.get("namespace") or cluster.namespace
        found = [agent["metadata"]["name"] for agent in cluster.list(agents_path(place), what="AIAgents")]
    except CliError:
        return []
    return sorted(name for name in found if name.startswith(incomplete))


def revisions(ctx: typer.Context, incomplete: str) -> list[str]:
    """Numbers of the revisions of the agent that the line names, newest first; none where the cluster does not say."""
    # Before the value of an option, the arguments of the line are not assigned to their names yet.
    name = ctx.params.get("name") or next(iter(ctx.args), "")
    if not name:
        return []
    try:
        cluster = Cluster.connect(ctx.params.get("kubeconfig"), ctx.params.get("context"))
        agent = read_agent(cluster, ctx.params.get("namespace") or cluster.namespace, name)
        found = [str(records.number(record)) for record in records.of(cluster, agent)]
    except CliError:
        return []
    return [number for number in found if number.startswith(incomplete)]
