"""A folder as a tar, in pieces, in memory that does not grow with the files.

What the files are is another's choice, perhaps a hostile one's, so nothing is followed: every name is opened from the
folder above it, as what it was seen to be. Folders, files and links are packed, in the order of their names' bytes, and
the same files make the same tar. What is not packed stands in its last entry, which only who has the key can read.

Symbolic links are packed as links, where they lead nowhere but into the folder. A file that has several names is packed
once. Holes stay holes. Sockets, pipes and devices hold no memory, and are left out.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import tarfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from aiagent_operator.capture import entries
from aiagent_operator.core.archive.sending import Packed

ROOT: Final = "memory"
"""Folder in the tar that holds all that was in the volume, where no other one is asked for."""

SKIPPED: Final = "skipped.jsonl"
"""The tar's last entry: a line of JSON for each name that is not in it, or not as it was, up to `MOST_SAID`."""

MOST_SAID: Final = 10_000

PIECE: Final = 1024 * 1024
"""Bytes of a file in memory at a time."""

_DEEPEST: Final = 200
_MOST_SEGMENTS: Final = 65_536
_MOST_LINKED: Final = 65_536
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Not waiting: what was a file may be a pipe by now, which would have to be waited for.
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
# Made by mkfs, for its own repairs; nobody but root may read it.
_LOST_FOUND: Final = b"lost+found"


class Why(StrEnum):
    """Why something is not in the tar, or not as it was."""

    SPECIAL = "Special"
    """A socket, a pipe or a device."""
    LEADS_OUT = "LeadsOut"
    """A symbolic link that leads out of the volume, or may."""
    UNREADABLE = "Unreadable"
    """It could not be opened or read."""
    CHANGED = "Changed"
    """It changed while it was read, and is in the tar as far as it was read."""
    TOO_DEEP = "TooDeep"
    """Its folders are nested deeper than can be opened."""


_LOST: Final = (Why.UNREADABLE, Why.TOO_DEEP)


@dataclass(frozen=True, slots=True)
class _Segment:
    offset: int
    length: int


class NoFolderError(Exception):
    """The folder that is to be packed is not in the volume; the message says where that ends, in the author's words."""


class Tree:
    """One walk through a folder. `pieces` is to be used once, and the rest afterwards."""

    def __init__(self, path: str, folder: str = "", root: str = ROOT) -> None:
        """`path`: of the volume. `folder`: the one in it that is packed, where not all of it is; `root`: the folder of
        the tar into which that is put."""
        self._path, self._folders, self._root = path, folder.split("/") if folder else [], root.encode()
        self._files, self._bytes = 0, 0
        self.skipped: Counter[Why] = Counter()
        self._said: list[dict[str, str]] = []
        self._linked: dict[tuple[int, int], bytes] = {}

    @property
    def packed(self) -> Packed:
        """What is in the tar, by numbers."""
        lost = sum(self.skipped[why] for why in _LOST)
        return Packed(self._files, self._bytes, lost, self.skipped[Why.CHANGED])

    def look(self) -> None:
        """Raises NoFolderError where the folder is not there, and OSError where it cannot be opened."""
        os.close(self._top())

    def _top(self) -> int:
        """The folder that is packed: each is opened in the one above it, and no link is followed, so that nothing above
        the volume is ever opened."""
        fd = os.open(self._path, _FOLDER)
        for number, name in enumerate(self._folders):
            above = fd
            try:
                fd = self._opened(above, name, "/".join(self._folders[: number + 1]))
            finally:
                os.close(above)
        return fd

    @staticmethod
    def _opened(above: int, name: str, path: str) -> int:
        # Neither comes out of the schema; whoever comes past it gets nothing but what is below.
        if name in {"", ".", ".."}:
            raise NoFolderError(f"{path} leads out of the volume, or nowhere: name a folder from its top")
        try:
            return os.open(name, _FOLDER, dir_fd=above)
        except FileNotFoundError:
            raise NoFolderError(f"{path} is not there") from None
        except OSError as error:
            if error.errno not in {errno.ENOTDIR, errno.ELOOP}:
                raise
            raise NoFolderError(f"{path} is no folder, or a symbolic link, which is not followed") from None

    def pieces(self) -> Iterator[bytes]:
        """The tar. Raises as `look`."""
        top = self._top()
        try:
            yield from self._folder(top, self._root, 1)
        finally:
            os.close(top)
        if self._said:
            lines = "".join(json.dumps(each, sort_keys=True) + "\n" for each in self._said)
            yield entries.file(SKIPPED, lines.encode())
        yield entries.END

    def _folder(self, fd: int, path: bytes, depth: int) -> Iterator[bytes]:
        names = sorted(os.fsencode(name) for name in os.listdir(fd))
        yield entries.header(path + b"/", os.fstat(fd), tarfile.DIRTYPE)
        for name in names:
            if depth == 1 and name == _LOST_FOUND and _is_of_the_file_system(fd):
                continue
            yield from self._entry(fd, name, b"/".join((path, name)), depth)

    def _entry(self, fd: int, name: bytes, path: bytes, depth: int) -> Iterator[bytes]:
        try:
            found = os.stat(name, dir_fd=fd, follow_symlinks=False)
            kind = stat.S_IFMT(found.st_mode)
            if kind == stat.S_IFDIR:
                yield from self._below(fd, name, path, depth)
            elif kind == stat.S_IFREG:
                yield from self._regular(fd, name, path)
            elif kind == stat.S_IFLNK:
                yield from self._link(fd, name, path, found, depth)
            else:
                self._skip(path, Why.SPECIAL)
        except _UnreadableError as error:
            self._skip(path, Why.UNREADABLE, error.why)
        except OSError as error:
            self._skip(path, Why.UNREADABLE, error.strerror or "")

    def _below(self, fd: int, name: bytes, path: bytes, depth: int) -> Iterator[bytes]:
        if depth >= _DEEPEST:
            self._skip(path, Why.TOO_DEEP)
            return
        below = os.open(name, _FOLDER, dir_fd=fd)
        try:
            yield from self._folder(below, path, depth + 1)
        finally:
            os.close(below)

    def _link(self, fd: int, name: bytes, path: bytes, found: os.stat_result, depth: int) -> Iterator[bytes]:
        target = os.readlink(name, dir_fd=fd)
        if leads_out(target, depth):
            self._skip(path, Why.LEADS_OUT)
            return
        yield entries.header(path, found, tarfile.SYMTYPE, link=target)

    def _regular(self, fd: int, name: bytes, path: bytes) -> Iterator[bytes]:
        file = os.open(name, _FILE, dir_fd=fd)
        try:
            found = os.fstat(file)
            if not stat.S_ISREG(found.st_mode):
                self._skip(path, Why.SPECIAL)
                return
            here = (found.st_dev, found.st_ino)
            if found.st_nlink > 1 and here in self._linked:
                yield entries.header(path, found, tarfile.LNKTYPE, link=self._linked[here])
                return
            yield from self._content(file, path, found)
            if found.st_nlink > 1 and len(self._linked) < _MOST_LINKED:
                self._linked[here] = path
        finally:
            os.close(file)

    def _content(self, file: int, path: bytes, found: os.stat_result) -> Iterator[bytes]:
        segments = _segments(file, found)
        if segments is None:
            segments = [_Segment(0, found.st_size)]
            head = entries.header(path, found, tarfile.REGTYPE, size=found.st_size)
        else:
            head = entries.sparse(path, found, [(each.offset, each.length) for each in segments])
        # The first bytes are read before the header is out: what cannot be read is not in the tar at all.
        first = os.pread(file, min(PIECE, segments[0].length), segments[0].offset) if segments else b""
        yield head
        self._files += 1
        short = False
        for number, segment in enumerate(segments):
            read = 0
            while read < segment.length:
                piece = first if number == 0 and read == 0 else self._read(file, segment, read)
                if not piece:
                    # Its length is said already: what is missing reads as zeros, and is said to have changed.
                    short = True
                    yield from _zeros(segment.length - read)
                    break
                read += len(piece)
                self._bytes += len(piece)
                yield piece
        yield entries.rest(sum(segment.length for segment in segments))
        after = os.fstat(file)
        if short or (after.st_size, after.st_mtime_ns) != (found.st_size, found.st_mtime_ns):
            self._skip(path, Why.CHANGED)

    @staticmethod
    def _read(file: int, segment: _Segment, read: int) -> bytes:
        try:
            return os.pread(file, min(PIECE, segment.length - read), segment.offset + read)
        except OSError:
            # Half of it is in the tar already.
            return b""

    def _skip(self, path: bytes, why: Why, detail: str = "") -> None:
        self.skipped[why] += 1
        if len(self._said) < MOST_SAID:
            said = {"path": path.decode(errors="backslashreplace"), "reason": why.value}
            self._said.append(said | ({"message": detail} if detail else {}))


class _UnreadableError(Exception):
    """A file with more in it than can be said."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def _segments(file: int, found: os.stat_result) -> list[_Segment] | None:
    """Where a file with holes has content; None for one without. Raises _UnreadableError where it has too many."""
    if found.st_blocks * 512 >= found.st_size:
        return None
    segments: list[_Segment] = []
    at = 0
    while at < found.st_size:
        try:
            begin = os.lseek(file, at, os.SEEK_DATA)
            at = min(os.lseek(file, begin, os.SEEK_HOLE), found.st_size)
        except OSError as error:
            if error.errno == errno.ENXIO:
                break
            if error.errno == errno.EINVAL:
                return None
            raise
        if begin >= found.st_size or at <= begin:
            break
        if len(segments) == _MOST_SEGMENTS:
            raise _UnreadableError(f"it has more than {_MOST_SEGMENTS} holes")
        segments.append(_Segment(begin, at - begin))
    return segments


def _zeros(size: int) -> Iterator[bytes]:
    for at in range(0, size, PIECE):
        yield bytes(min(PIECE, size - at))


def leads_out(target: bytes, depth: int) -> bool:
    """Whether a link in a folder so deep may lead out of the volume.

    It leads up by as many folders as there are, at most, and then only down: what is up after a name may be anywhere,
    since the name may be another link.
    """
    parts = [part for part in target.split(b"/") if part not in {b"", b"."}]
    up = next((number for number, part in enumerate(parts) if part != b".."), len(parts))
    return target.startswith(b"/") or up >= depth or b".." in parts[up:]


def _is_of_the_file_system(fd: int) -> bool:
    found = os.stat(_LOST_FOUND, dir_fd=fd, follow_symlinks=False)
    return stat.S_ISDIR(found.st_mode) and found.st_uid == 0 and not found.st_mode & 0o077
