"""The command and its subcommands. Exit codes are those of `errors.ExitCode`."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup
from typer.main import get_group

from aiagent_operator import __version__
from aiagent_operator.cli import output
from aiagent_operator.cli.errors import CliError

NAME: Final = "kubectl-aiagent"
# Where each is, below this package. Only what is asked for is imported: most need a part of what all of them do, and
# whoever presses Tab waits for it.
COMMANDS: Final[Mapping[str, str]] = {
    "get": "get:get",
    "describe": "describe:describe",
    "can-i": "can_i:can_i",
    "lint": "lint.command:lint",
    "suspend": "order:suspend",
    "resume": "order:resume",
    "history": "history:history",
    "calendar": "calendar:calendar",
    "diff": "diff:diff",
    "rollback": "order:rollback",
    "retrain": "order:retrain",
    "promote": "order:promote",
    "abort": "order:abort",
    "offboard": "leave:offboard",
    "rehire": "leave:rehire",
    "abandon": "leave:abandon",
    "hold": "hold:hold",
    "release": "hold:release",
    "erase": "hold:erase",
    "rollout": "rollout:app",
    "journal": "journal:app",
    "archive": "archive.command:app",
}


class _Commands(Mapping[str, Any]):
    """The commands by their names, each imported when it is looked at."""

    def __getitem__(self, name: str) -> Any:
        return _imported(name)

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


@functools.cache
def _imported(name: str) -> Any:
    """A command, or a group of them. Raises KeyError where there is none of this name."""
    module, _, attribute = COMMANDS[name].partition(":")
    found = getattr(importlib.import_module(f"{__package__}.{module}"), attribute)
    around = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
    if isinstance(found, typer.Typer):
        around.add_typer(found, name=name)
    else:
        around.command(name)(found)
    return get_group(around).commands[name]


class _Group(TyperGroup):
    """Says an error in one line and ends with its exit code."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = _Commands()  # type: ignore[assignment]  # nobody adds one

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        return list(self.commands)

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


def main() -> None:
    """Entry point of the console script."""
    app(prog_name=NAME)
