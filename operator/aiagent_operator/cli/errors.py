"""Exit codes, and the error that ends a command with one of them."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of every command. Scripts rely on them, so changing one is a change of the interface."""

    OK = 0
    NEGATIVE = 1
    """The question was answered, and the answer is no: the agent may not, or there are findings."""
    USAGE = 2
    """The command line is wrong."""
    CLUSTER = 3
    """The cluster refused, has no such object, or cannot be reached."""


class CliError(Exception):
    """Ends the command. The message names the object, the field where there is one, and the remedy."""

    def __init__(self, message: str, code: ExitCode = ExitCode.CLUSTER) -> None:
        super().__init__(message)
        self.code = code


class RefusedError(CliError):
    """The API server's refusal; `status` is the HTTP code."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status
