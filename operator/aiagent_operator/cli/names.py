"""Names that the shell completes, asked of the cluster."""

from __future__ import annotations

import typer

from aiagent_operator.cli.errors import CliError
from aiagent_operator.cli.kube import Cluster, agents_path


def agents(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of agents in the namespace that the line names so far; none where the cluster does not say."""
    try:
        cluster = Cluster.connect(ctx.params.get("kubeconfig"), ctx.params.get("context"))
        place = ctx.params.get("namespace") or cluster.namespace
        found = [agent["metadata"]["name"] for agent in cluster.list(agents_path(place), what="AIAgents")]
    except CliError:
        return []
    return sorted(name for name in found if name.startswith(incomplete))
