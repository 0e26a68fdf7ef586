"""Files below one directory that nobody can lead out of it, and that survive a power cut once they are there.

Every part of a path is opened from the folder above it, and no symbolic link is followed (openat(2), O_NOFOLLOW). A new
file is written under another name, flushed, and given its own name by link(2), which is atomic and refuses a name that
is taken; then the folder is flushed, without which the name may be gone after a power cut (fsync(2), "Notes"). The
local store of the library that serves the others flushes nothing and follows links (object_store 0.14,
`LocalFileSystem::with_fsync`, which its Python binding does not offer), so it is not used for this.

All of this blocks, and belongs into a thread.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import stat
import threading
import time
from collections.abc import Iterator
from typing import Final, Self

from aiagent_operator.runtime.archive.store import Put

PARTIAL: Final = ".partial"
"""Folder of files that are being written. No object's name begins with a dot."""

FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
"""How a folder is opened: never through a link."""

_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_WRITE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_MOST_KNOWN: Final = 65_536
# Writable by everyone, or set to run as somebody: nobody may have put such a file there. Not the group's, which a
# kubelet gives write access when it applies fsGroup.
_FORBIDDEN: Final = stat.S_IWOTH | stat.S_ISUID | stat.S_ISGID


class UnsafeFileError(OSError):
    """Something in the directory that is no plain file or folder of the store's own."""


class Flushed:
    """Folders that are known to be on the disk, by their inodes, so that each is flushed once by a process and not for
    every file. One flush takes some milliseconds.
    """

    def __init__(self) -> None:
        self._known: set[tuple[int, int]] = set()

    def __contains__(self, folder: int) -> bool:
        return self._key(folder) in self._known

    def add(self, folder: int) -> None:
        """Remembers an open folder whose name in the one above has been flushed."""
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()  # and learned again
        self._known.add(self._key(folder))

    @staticmethod
    def _key(folder: int) -> tuple[int, int]:
        found = os.fstat(folder)
        return found.st_dev, found.st_ino


@contextlib.contextmanager
def folder(top: int, parts: list[str], *, make: Flushed | None = None) -> Iterator[int]:
    """The folder with these parts below `top`, open; with `make`, made where it is missing, and on the disk.

    Without parts it is `top` itself. No call to the kernel that is not needed: after each, a thread waits for its turn
    while the event loop is busy.
    """
    fd = top
    try:
        for part in parts:
            below = os.open(part, FOLDER, dir_fd=fd) if make is None else _made(fd, part, make)
            if fd != top:
                os.close(fd)
            fd = below
        yield fd
    finally:
        if fd != top:
            os.close(fd)


def _made(above: int, part: str, flushed: Flushed) -> int:
    try:
        below = os.open(part, FOLDER, dir_fd=above)
    except FileNotFoundError:
        with contextlib.suppress(FileExistsError):  # made by another writer meanwhile
            os.mkdir(part, 0o770, dir_fd=above)
        below = os.open(part, FOLDER, dir_fd=above)
    try:
        if below not in flushed:
            # Also where it was there: its maker may not have come to this, and what is put below must not go with it.
            os.fsync(above)
            flushed.add(below)
    except BaseException:
        os.close(below)
        raise
    return below


def opened(top: int, name: str) -> int:
    """A descriptor of an object's file. FileNotFoundError where there is none, UnsafeFileError where it is no file."""
    *parts, leaf = name.split("/")
    with folder(top, parts) as inside:
        fd = os.open(leaf, _READ, dir_fd=inside)
    try:
        _refuse_odd(os.fstat(fd))
    except BaseException:
        os.close(fd)
        raise
    return fd


def _refuse_odd(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise UnsafeFileError(errno.EINVAL, "it is no plain file")
    if found.st_mode & _FORBIDDEN:
        raise UnsafeFileError(errno.EPERM, f"its mode is {stat.S_IMODE(found.st_mode):04o}")


class Writing:
    """One file on its way, as a context manager; a writer that is killed leaves it to `sweep`.

    May be used from several threads, one after the other: where one hangs in the kernel, the others wait, and none
    writes to a descriptor that has become another file's.
    """

    def __init__(self, top: int, flushed: Flushed) -> None:
        self._flushed = flushed
        self._lock = threading.Lock()
        self._token = secrets.token_hex(16)
        self._fd = self._partial = -1
        self._top = os.dup(top)
        try:
            self._partial = _made(top, PARTIAL, flushed)
            self._fd = os.open(self._token, _WRITE, 0o440, dir_fd=self._partial)
            # Held while the writer lives, which is how a sweeper tells.
            fcntl.flock(self._fd, fcntl.LOCK_EX)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, data: bytes) -> None:
        """Appends all of it."""
        rest = memoryview(data)
        with self._lock:
            while rest:
                rest = rest[os.write(self._open(), rest) :]

    def publish(self, name: str) -> Put:
        """Gives the file its name, unless that is taken. Whatever has the name is on the disk by then."""
        *parts, leaf = name.split("/")
        with self._lock:
            os.fsync(self._open())
            with folder(self._top, parts, make=self._flushed) as inside:
                try:
                    os.link(self._token, leaf, src_dir_fd=self._partial, dst_dir_fd=inside, follow_symlinks=False)
                    put = Put.CREATED
                except FileExistsError:
                    put = Put.TAKEN
                # Also where it is taken: its reader may rely on it, although its writer was cut off before this.
                os.fsync(inside)
            return put

    def close(self) -> None:
        """Removes the name that it was written under. May be called twice."""
        with self._lock:
            if self._top < 0:
                return
            try:
                if self._fd >= 0:
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(self._token, dir_fd=self._partial)
            finally:
                for fd in (self._fd, self._partial, self._top):
                    if fd >= 0:
                        os.close(fd)
                self._fd = self._partial = self._top = -1

    def _open(self) -> int:
        if self._fd < 0:
            raise OSError(errno.EBADF, "it was given up before this")
        return self._fd


def remove(top: int, name: str) -> None:
    """Removes an object's file durably; one that is not there is no error."""
    *parts, leaf = name.split("/")
    with contextlib.suppress(FileNotFoundError), folder(top, parts) as inside:
        os.unlink(leaf, dir_fd=inside)
        os.fsync(inside)


def sweep(top: int, *, older: float) -> int:
    """Removes files that writers left when they were killed, last written `older` seconds ago; returns how many.

    The age covers the moment between a file's creation and its lock, and file systems that keep no locks between nodes.
    """
    count = 0
    try:
        with folder(top, [PARTIAL]) as partial:
            for token in os.listdir(partial):  # noqa: PTH208 - a descriptor
                count += _swept(partial, token, older)
    except FileNotFoundError:
        return 0  # nothing was ever written here
    return count


def _swept(partial: int, token: str, older: float) -> bool:
    try:
        fd = os.open(token, _READ, dir_fd=partial)
    except FileNotFoundError:
        return False  # finished meanwhile
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if time.time() - os.fstat(fd).st_mtime < older:
            return False
        os.unlink(token, dir_fd=partial)
    except (BlockingIOError, FileNotFoundError):
        return False  # being written, or finished meanwhile
    finally:
        os.close(fd)
    return True
