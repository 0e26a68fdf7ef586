"""An archive that is a folder. Each part of a path is opened from the folder above it, and no link is followed."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Final, Self

from aiagent_operator.cli.archive.source import Content, Entry, UnsafeError
from aiagent_operator.cli.errors import CliError, ExitCode
from aiagent_operator.core.archive.findings import Fault
from aiagent_operator.core.archive.names import DEEPEST

FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
"""How a folder is opened: never through a link."""

# Not through a link that was put there a moment ago, and not waiting for a named pipe.
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_KINDS: Final[tuple[tuple[Callable[[int], bool], str], ...]] = (
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_REMEDY: Final = "and was not followed or read, since an archive has plain files alone: find out who put it there"


class Folder:
    """The folder behind a descriptor, which it closes; `place` is how people call it."""

    def __init__(self, fd: int, place: str) -> None:
        self.fd = fd
        self.place = place

    @classmethod
    def opened(cls, path: Path) -> Self:
        """The folder with this path, which may be a link to it. Raises CliError."""
        try:
            return cls(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), str(path))
        except OSError as error:
            raise CliError(f"PATH {path} cannot be read: {error.strerror}", ExitCode.USAGE) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)

    def find(self, paths: Collection[str]) -> Mapping[str, Entry]:
        """Those of these files that are there, at safe paths."""
        found = {}
        for path in paths:
            try:
                os.close(self._opened(path))
            except (FileNotFoundError, NotADirectoryError):
                continue
            except (OSError, UnsafeError):
                pass  # it is there, and whoever opens it hears why it cannot be read
            found[path] = Entry(path, partial(self._content, path))
        return found

    def entries(self, known: Callable[[str], bool]) -> Iterator[Entry]:
        """All files: first what is not known, as it comes, then the known ones by path, which are as many as may be."""
        found = []
        for entry in _below(self.fd, "", 1):
            if not entry.refused and known(entry.path):
                found.append(entry.path)
            else:
                yield entry
        for path in sorted(found):
            yield Entry(path, partial(self._content, path))

    def _content(self, path: str) -> Content:
        fd = self._opened(path)
        found = os.fstat(fd)
        return Content(io.FileIO(fd, "rb"), found.st_size, int(found.st_mtime))

    def _opened(self, path: str) -> int:
        *parts, leaf = path.split("/")
        above = os.dup(self.fd)
        try:
            for part in parts:
                below = os.open(part, FOLDER, dir_fd=above)
                os.close(above)
                above = below
            mode = os.stat(leaf, dir_fd=above, follow_symlinks=False).st_mode
            if not stat.S_ISREG(mode):
                raise UnsafeError(_odd(mode))
            return os.open(leaf, _FILE, dir_fd=above)
        finally:
            os.close(above)


def _below(fd: int, prefix: str, depth: int) -> Iterator[Entry]:
    """What is in a folder and below it, folders aside; names that are no text come with halves of surrogates."""
    with os.scandir(fd) as found:
        for entry in found:
            path = prefix + entry.name
            if not entry.is_dir(follow_symlinks=False):
                plain = entry.is_file(follow_symlinks=False)
                yield Entry(path, refused="" if plain else _odd(entry.stat(follow_symlinks=False).st_mode))
            elif depth >= DEEPEST:
                says = f"it is a folder below {DEEPEST - 1} others, and no path in an archive is so long: remove it"
                yield Entry(path, refused=says)
            else:
                yield from _inside(fd, entry.name, f"{path}/", depth)


def _inside(above: int, name: str, path: str, depth: int) -> Iterator[Entry]:
    try:
        fd = os.open(name, FOLDER, dir_fd=above)
    except OSError as error:
        says = f"the folder cannot be read: {error.strerror}: give yourself the right to, and verify again"
        yield Entry(path, refused=says, fault=Fault.INCOMPLETE)
        return
    try:
        yield from _below(fd, path, depth + 1)
    finally:
        os.close(fd)


def _odd(mode: int) -> str:
    what = next((what for fits, what in _KINDS if fits(mode)), "no plain file")
    return f"it is {what}, {_REMEDY}"
