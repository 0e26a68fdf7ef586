"""`lint`: manifests, checked without a cluster as the cluster would check them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aiagent_operator.cli import options, output
from aiagent_operator.cli.errors import CliError, ExitCode
from aiagent_operator.cli.output import Format


def lint(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH...", help="Files, folders, or - for standard input.", show_default=False),
    ],
    namespace: Annotated[
        str,
        typer.Option(
            "--namespace", "-n", metavar="NAMESPACE", help="Namespace of agents that name none.", show_default=False
        ),
    ] = "",
    strict: Annotated[bool, typer.Option("--strict", help="Let warnings fail too.")] = False,
    form: options.Output = Format.TABLE,
) -> None:
    """Check manifests offline: schema, rules, what roles allow, and whether policies can be read. For CI in Git."""
    from aiagent_operator.cli.lint import findings, run  # noqa: PLC0415 (CEL takes a third of a second to load)

    if form is Format.NAME:
        raise CliError("-o name has no meaning for lint: use table, wide, json or yaml", ExitCode.USAGE)
    for path in paths:
        if path != "-" and not Path(path).exists():
            raise CliError(f"PATH {path} does not exist: name files or folders with manifests, or -", ExitCode.USAGE)
    result = run.lint(tuple(paths), namespace)
    if form.structured:
        output.dump(result.to_wire(), form)
    else:
        for finding in result.findings:
            output.say(output.plain(finding) + (f" [{finding.rule}]" if form is Format.WIDE else ""))
        for line in result.summary():
            output.note(line)
    if any(strict or finding.severity is findings.Severity.ERROR for finding in result.findings):
        raise typer.Exit(ExitCode.NEGATIVE)
