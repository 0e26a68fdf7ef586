"""The records of a journal as files hold them, and as a table shows them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from aiagent_operator.cli.errors import CliError, ExitCode
from aiagent_operator.core.journal import lines
from aiagent_operator.core.journal.chain import Entry
from aiagent_operator.core.journal.kinds import PREFIX, Kind
from aiagent_operator.core.journal.record import MOST_BYTES, Record, RecordError, read

HEADERS: Final = ("SEQUENCE", "TIME", "EVENT", "DATA")

WIDTHS: Final = (len(HEADERS[0]), len("2026-07-06T02:00:00.000Z"), max(map(len, Kind)), 0)
"""Of the columns of a table whose rows are not known yet."""


@contextmanager
def entries(source: Path) -> Iterator[Iterator[Entry]]:
    """The records of a folder or of a file of JSON Lines, one at a time; CliError where it cannot be read."""
    try:
        if source.is_dir():
            yield ((str(path), _read(path)) for path in sorted(source.glob("*.json")))
            return
        with source.open("rb") as file:
            yield lines.entries(str(source), file.readline)
    except OSError as error:
        raise CliError(f"{source} cannot be read: {error.strerror}", ExitCode.USAGE) from error


def parsed(entry: Entry) -> Record:
    """The record; CliError where it is none."""
    where, raw = entry
    try:
        return read(raw, where)
    except RecordError as error:
        raise CliError(str(error), ExitCode.NEGATIVE) from error


def row(record: Record) -> tuple[Any, ...]:
    """The cells of a record, in the order of HEADERS."""
    return record.sequence, record.time, record.type.removeprefix(PREFIX), _shown(record.data)


def _read(path: Path) -> bytes:
    """Enough of a file to tell whether it is a record."""
    with path.open("rb") as file:
        return file.read(MOST_BYTES + 1)


def _shown(data: Any) -> str:
    """The data on a line, without what is empty."""
    if not isinstance(data, dict):
        return str(data)
    return " ".join(f"{name}={_value(value)}" for name, value in data.items() if value not in (None, [], {}, ""))


def _value(value: Any) -> str:
    if isinstance(value, list):
        return f"[{len(value)}]" if any(isinstance(item, dict) for item in value) else ",".join(map(str, value))
    return "{…}" if isinstance(value, dict) else str(value)
