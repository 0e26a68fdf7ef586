"""Files of an archive that somebody may have tampered with: what is given to whoever reads them."""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, Self

from aiagent_operator.core.archive.findings import Fault

CHUNK: Final = 1024**2
"""Bytes that are read at once."""


class UnsafeError(Exception):
    """Something that is no plain file; the message says what it is and what to do."""


class BrokenError(Exception):
    """What comes next cannot be read, so nothing is known of the rest; the message says where and why."""


class GrownError(Exception):
    """A file has more bytes than it had when it was opened."""


@dataclass(frozen=True, slots=True)
class Content:
    """An open file: its bytes, how many there are, and when they were last written, in seconds since 1970."""

    raw: io.RawIOBase
    size: int
    modified: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """One file, by its path within the archive, which may be any text.

    `open` raises OSError and UnsafeError, and is not there where `refused` says why nothing is read of the file.
    """

    path: str
    open: Callable[[], Content] | None = None
    refused: str = ""
    fault: Fault = Fault.UNSAFE

    def content(self) -> Content:
        """The file, open. Raises OSError, and UnsafeError also where it is refused."""
        if self.open is None:
            raise UnsafeError(self.refused)
        return self.open()


class Source(Protocol):
    """Where one archive is, as a context manager that closes it."""

    @property
    def place(self) -> str:
        """How people call it."""

    def find(self, paths: Collection[str]) -> Mapping[str, Entry]:
        """Those of these files that are there. Raises BrokenError."""

    def entries(self, known: Callable[[str], bool]) -> Iterator[Entry]:
        """All files. A source that has no order of its own gives those that are known in the order of their paths.

        Raises BrokenError where it cannot go on.
        """

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


class Passing(io.RawIOBase):
    """A file as it is read, every part of which goes to the sinks too. Raises GrownError where it goes on for ever."""

    def __init__(self, content: Content, *sinks: Callable[[memoryview], object]) -> None:
        super().__init__()
        self._raw, self._rest, self._sinks = content.raw, content.size, sinks

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """The next bytes, as many as there are and fit."""
        count = self._raw.readinto(buffer) or 0
        self._rest -= count
        if self._rest < 0:
            raise GrownError
        part = memoryview(buffer)[:count]
        for sink in self._sinks:
            sink(part)
        return count


def read(entry: Entry, limit: int) -> bytes:
    """The bytes of a small file, and some more than the limit where it has more. Raises OSError and UnsafeError."""
    data = bytearray()
    with io.BufferedReader(entry.content().raw, CHUNK) as file:
        while len(data) <= limit and (chunk := file.read(CHUNK)):
            data += chunk
    return bytes(data)
