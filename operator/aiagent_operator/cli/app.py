"""The command and its subcommands. Exit codes are those of `errors.ExitCode`."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from aiagent_operator import __version__
from aiagent_operator.cli import journal, output, rollout
from aiagent_operator.cli.archive import command as archive
from aiagent_operator.cli.calendar import calendar
from aiagent_operator.cli.can_i import can_i
from aiagent_operator.cli.describe import describe
from aiagent_operator.cli.diff import diff
from aiagent_operator.cli.errors import CliError
from aiagent_operator.cli.get import get
from aiagent_operator.cli.history import history
from aiagent_operator.cli.hold import erase, hold, release
from aiagent_operator.cli.leave import abandon, offboard, rehire
from aiagent_operator.cli.lint.command import lint
from aiagent_operator.cli.order import abort, promote, resume, retrain, rollback, suspend

NAME: Final = "kubectl-aiagent"


class _Group(TyperGroup):
    """Says an error in one line and ends with its exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except CliError as error:
            output.note(f"error: {error}")
            raise typer.Exit(error.code) from error


# Help and usage errors as kubectl prints them, without frames: they are read in CI logs too.
app = typer.Typer(
    name=NAME,
    cls=_Group,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 ok; 1 the answer is no, or there are findings or differences; 2 wrong usage; 3 the cluster "
    "refused or cannot be reached.",
)


def _version(show: bool) -> None:
    if show:
        output.say(__version__)
        raise typer.Exit


@app.callback()
def root(
    _version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Ask about AI agents (workforce.dev) with your own rights: who answers for them, what they may do, what next."""


app.command()(get)
app.command()(describe)
app.command("can-i")(can_i)
app.command()(lint)
app.command()(suspend)
app.command()(resume)
app.command()(history)
app.command()(calendar)
app.command()(diff)
app.command()(rollback)
app.command()(retrain)
app.command()(promote)
app.command()(abort)
app.command()(offboard)
app.command()(rehire)
app.command()(abandon)
app.command()(hold)
app.command()(release)
app.command()(erase)
app.add_typer(rollout.app, name="rollout")
app.add_typer(journal.app, name="journal")
app.add_typer(archive.app, name="archive")


def main() -> None:
    """Entry point of the console script."""
    app(prog_name=NAME)
