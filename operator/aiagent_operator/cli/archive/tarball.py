"""An archive that is a tar file: its members are read where they are, and nothing is unpacked."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from typing import Any, Final, Self

from aiagent_operator.cli.archive import tar
from aiagent_operator.cli.archive.source import BrokenError, Content, Entry
from aiagent_operator.cli.archive.tar import Kind, Member
from aiagent_operator.cli.errors import CliError, ExitCode
from aiagent_operator.core import texts
from aiagent_operator.core.archive import layout
from aiagent_operator.core.archive.errors import PathError
from aiagent_operator.core.archive.names import check_path

_PACKED: Final = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "zstd"}


class Tarball:
    """The tar file behind a descriptor, which it closes; `place` is how people call it.

    All members may be in one folder, or in several folders one below the other, as when a folder was packed.
    """

    def __init__(self, fd: int, place: str) -> None:
        """Raises CliError for what is compressed, and for several archives at once; BrokenError for what is no tar."""
        self._fd = fd
        self.place = place
        self._length = os.fstat(fd).st_size
        beginning = os.pread(fd, 8, 0)
        for magic, name in _PACKED.items():
            if beginning.startswith(magic):
                raise CliError(f"{place} is compressed: unpack it with {name} -d first", ExitCode.USAGE)
        self._lead = ""
        self._folder = self._the_folder()

    @classmethod
    def opened(cls, path: str) -> Self:
        """The tar file with this path. Raises what the constructor does, and CliError where it cannot be read."""
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise CliError(f"PATH {path} cannot be read: {error.strerror}", ExitCode.USAGE) from error
        try:
            return cls(fd, path)
        except BaseException:
            os.close(fd)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def find(self, paths: Collection[str]) -> Mapping[str, Entry]:
        """Those of these files that are there; of two with one name the first."""
        found: dict[str, Entry] = {}
        for entry in self.entries(lambda _: True):
            if entry.path in paths:
                found.setdefault(entry.path, entry)
                if len(found) == len(paths):
                    break
        return found

    def entries(self, known: Callable[[str], bool]) -> Iterator[Entry]:  # noqa: ARG002 (a tar file has its own order)
        """All members in their order, folders aside."""
        for member in tar.members(self._fd, self._length):
            path = self._inside(_plain(member.name))
            if member.kind is Kind.FILE:
                yield Entry(path, partial(self._content, member))
            elif member.kind is not Kind.FOLDER:
                says = "and was not followed, since an archive has plain files alone: find out who put it there"
                yield Entry(path, refused=f"it is {member.kind}, {says}")
            elif (problem := self._bad_folder(member.name)) is not None:
                yield Entry(path, refused=problem)

    def member(self, path: str) -> str:
        """The name in the tar file of a file of the archive."""
        return f"{self._lead}{self._folder}{'/' if self._folder else ''}{path}"

    def _content(self, member: Member) -> Content:
        return Content(_Part(self._fd, member.offset, member.size), member.size)

    def _the_folder(self) -> str:
        """The folder in which the manifest is; the highest one, since a folder of an archive may have that name."""
        found: set[str] = set()
        least = -1
        try:
            for member in tar.members(self._fd, self._length):
                name = _plain(member.name)
                above, _, leaf = name.rpartition("/")
                if leaf != layout.MANIFEST or {"", ".", ".."} & set(name.split("/")):
                    continue
                depth = name.count("/")
                if least < 0 or depth < least:
                    found, least = {above}, depth
                    self._lead = member.name.removesuffix(name)
                elif depth == least and len(found) < 5:
                    found.add(above)
        except BrokenError:
            if not found:
                raise
            # Verifying comes to the same place, and says so.
        if len(found) > 1:
            which = texts.some(texts.quoted([each]) for each in sorted(found))
            raise CliError(f"{self.place} holds several archives ({which}): give one at a time", ExitCode.USAGE)
        return next(iter(found), "")

    def _inside(self, name: str) -> str:
        """The path within the archive; what is beside it gets a path that leads out, which is refused."""
        if not self._folder:
            return name
        inside = name.removeprefix(f"{self._folder}/")
        return inside if inside != name else "../" * (self._folder.count("/") + 1) + name

    def _bad_folder(self, name: str) -> str | None:
        path = _plain(name).rstrip("/")
        if name in {"./", "."} or (self._folder and f"{self._folder}/".startswith(f"{path}/")):
            return None
        try:
            check_path(self._inside(path))
        except PathError as error:
            return str(error)
        return None


class _Part(io.RawIOBase):
    """The bytes of one member."""

    def __init__(self, fd: int, offset: int, size: int) -> None:
        super().__init__()
        self._fd, self._begin, self._at, self._end = fd, offset, offset, offset + size

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """To so many bytes from the beginning, from where it is, or from the end."""
        self._at = {os.SEEK_SET: self._begin, os.SEEK_CUR: self._at, os.SEEK_END: self._end}[whence] + offset
        return self._at - self._begin

    def readinto(self, buffer: Any, /) -> int:
        """The next bytes, as many as there are and fit."""
        into = memoryview(buffer)
        found = os.pread(self._fd, max(0, min(len(into), self._end - self._at)), self._at)
        into[: len(found)] = found
        self._at += len(found)
        return len(found)


def _plain(name: str) -> str:
    return name.removeprefix("./")
