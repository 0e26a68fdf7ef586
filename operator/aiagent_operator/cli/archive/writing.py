"""Tar files that are the same for the same archive: members in the order of their paths, owned by nobody in
particular, with the modification times of the files and mode 0440. Members are written as they are read.
"""

from __future__ import annotations

import os
import secrets
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from aiagent_operator.cli.archive.source import Content
from aiagent_operator.cli.archive.tar import BLOCK
from aiagent_operator.cli.errors import CliError, ExitCode

_MODE = 0o440


class TarWriter:
    """Writes members to a file as `checking.Copy`; `finish` writes the end. Raises CliError where that does not go."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file, self._name = file, name
        self._path = ""
        self._size = self._rest = self._written = 0

    def begin(self, path: str, content: Content) -> None:
        """A member, of which all bytes come next."""
        info = tarfile.TarInfo(path)
        info.size, info.mtime, info.mode = content.size, content.modified, _MODE
        self._path, self._size, self._rest = path, content.size, content.size
        self._put(info.tobuf(tarfile.PAX_FORMAT))

    def write(self, part: bytes | memoryview) -> None:
        """Its next bytes."""
        self._rest -= len(part)
        self._put(part)

    def end(self) -> None:
        """All of them have come."""
        if self._rest:
            says = f"{self._path} got shorter while it was read: find out who writes to it, and export again"
            raise CliError(says, ExitCode.NEGATIVE)
        self._put(bytes(-self._size % BLOCK))

    def finish(self) -> None:
        """The end of the tar file, without which it counts as cut off."""
        self._put(bytes(2 * BLOCK + -(self._written + 2 * BLOCK) % tarfile.RECORDSIZE))

    def _put(self, part: bytes | memoryview) -> None:
        rest = memoryview(part)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            raise CliError(f"{self._name} cannot be written: {error.strerror}", ExitCode.NEGATIVE) from error
        self._written += len(part)


@contextmanager
def to_stdout() -> Iterator[TarWriter]:
    """A writer to standard output. Raises CliError where that is a terminal."""
    if sys.stdout.isatty():
        raise CliError("FILE.tar is -, and standard output is a terminal: send it to a file or a pipe", ExitCode.USAGE)
    # Without a buffer, which would be written again at the end of the program where that has failed here.
    sys.stdout.flush()
    yield TarWriter(getattr(sys.stdout.buffer, "raw", sys.stdout.buffer), "standard output")


@contextmanager
def to_file(path: Path) -> Iterator[TarWriter]:
    """A writer to a new file, which has its name once all is written and flushed, and never if something is raised.

    Raises CliError where there is something of that name, or it cannot be written.
    """
    _refuse_taken(path)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}.partial")
    try:
        with partial.open("xb") as file:
            yield TarWriter(file, str(path))
            file.flush()
            os.fsync(file.fileno())
        _named(partial, path)
    except OSError as error:
        raise CliError(f"{path} cannot be written: {error.strerror}", ExitCode.NEGATIVE) from error
    finally:
        partial.unlink(missing_ok=True)


def _named(partial: Path, path: Path) -> None:
    try:
        os.link(partial, path)
    except FileExistsError:
        _refuse_taken(path)
        raise
    except OSError:
        # A file system without hard links, as sticks have: there somebody could take the name in between.
        _refuse_taken(path)
        partial.rename(path)


def _refuse_taken(path: Path) -> None:
    if os.path.lexists(path):
        raise CliError(f"{path} is there already, and is not overwritten: give another name", ExitCode.USAGE)
