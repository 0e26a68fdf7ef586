"""Options that several commands have, named as in kubectl."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aiagent_operator.cli import names
from aiagent_operator.cli.output import Format

Kubeconfig = Annotated[
    Path | None,
    typer.Option(
        "--kubeconfig", help="Kubeconfig to use; else that of KUBECONFIG, else ~/.kube/config.", metavar="FILE"
    ),
]
Context = Annotated[
    str | None, typer.Option("--context", help="Context of the kubeconfig; else its current one.", metavar="NAME")
]
Namespace = Annotated[
    str | None,
    typer.Option("--namespace", "-n", help="Namespace of the agent; else that of the context.", metavar="NAMESPACE"),
]
AllNamespaces = Annotated[bool, typer.Option("--all-namespaces", "-A", help="Agents of all namespaces.")]
Output = Annotated[Format, typer.Option("--output", "-o", help="What to print.")]
Selector = Annotated[
    str, typer.Option("--selector", "-l", help="Label selector.", metavar="SELECTOR", show_default=False)
]
AgentName = Annotated[str, typer.Argument(help="Name of the AIAgent.", show_default=False, autocompletion=names.agents)]
