"""A tar, unpacked into a folder, from whoever has packed it: nothing comes to lie outside the folder.

Every name is opened from the folder above it, and no link is followed, also none that the tar itself has brought. What
could not have been packed by this software (a device, a name with `..`, one that comes twice, a link that leads out) is
refused whole: then something else has written it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tarfile
from collections.abc import Iterator
from typing import IO, Final, cast

from aiagent_operator.capture.tree import leads_out

MOST: Final = 5_000_000
"""Entries of a tar."""

_PIECE: Final = 1024 * 1024
_DEEPEST: Final = 202
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_ODD: Final = ("", ".", "..")


class UnsafeError(Exception):
    """The tar is not what this software packs; the message says what it has, and names no file of the agent's."""


class Unpacking:
    """Unpacks into a folder, which is empty. `limit`: bytes of content that it takes at most; it may be set later.

    `digests`: SHA-256 in hex of each file below one of the `hashed` folders, by its path. `files`, `size`: how many
    there are, and their bytes.
    """

    def __init__(self, top: int, roots: tuple[str, ...], *, limit: int, hashed: str = "") -> None:
        self._top, self._roots, self.limit, self._hashed = top, roots, limit, hashed
        self.digests: dict[str, str] = {}
        self.files = self.size = self._entries = 0

    def members(self, tar: tarfile.TarFile) -> Iterator[str]:
        """Unpacks member by member, and yields the name of each. Raises UnsafeError, OSError, tarfile.TarError."""
        for member in tar:
            # A tar that is read as a stream remembers all of them otherwise.
            tar.members = []  # type: ignore[attr-defined]
            self._entries += 1
            if self._entries > MOST:
                raise UnsafeError(f"it has more than {MOST} entries")
            self._one(tar, member)
            yield member.name

    def _one(self, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        parts = self._parts(member.name.removesuffix("/") if member.isdir() else member.name)
        with self._parent(parts) as parent:
            leaf = os.fsencode(parts[-1])
            if member.isdir():
                os.mkdir(leaf, (member.mode & 0o777) | 0o700, dir_fd=parent)
            elif member.issym():
                self._symlink(member, leaf, parent, len(parts) - 1)
            elif member.islnk():
                self._link(member, leaf, parent)
            elif member.isreg() or member.sparse is not None:
                self._regular(tar, member, leaf, parent)
            else:
                raise UnsafeError("it has a device, a pipe or something unknown")

    def _parts(self, name: str) -> list[str]:
        parts = name.split("/")
        if len(parts) > _DEEPEST or any(part in _ODD or "\0" in part for part in parts):
            raise UnsafeError("it has a name that leads out of its folder, or that is no name")
        if parts[0] not in self._roots:
            raise UnsafeError("it has something beside what is expected in it")
        return parts

    @contextlib.contextmanager
    def _parent(self, parts: list[str]) -> Iterator[int]:
        """The folder above, opened step by step; whoever tries a link on the way fails."""
        at = os.dup(self._top)
        try:
            for part in parts[:-1]:
                below = os.open(os.fsencode(part), _FOLDER, dir_fd=at)
                os.close(at)
                at = below
            yield at
        finally:
            os.close(at)

    @staticmethod
    def _symlink(member: tarfile.TarInfo, leaf: bytes, parent: int, depth: int) -> None:
        target = os.fsencode(member.linkname)
        if leads_out(target, depth):
            raise UnsafeError("it has a symbolic link that leads out of its folder")
        os.symlink(target, leaf, dir_fd=parent)

    def _link(self, member: tarfile.TarInfo, leaf: bytes, parent: int) -> None:
        parts = self._parts(member.linkname)
        with self._parent(parts) as there:
            os.link(os.fsencode(parts[-1]), leaf, src_dir_fd=there, dst_dir_fd=parent, follow_symlinks=False)

    def _regular(self, tar: tarfile.TarFile, member: tarfile.TarInfo, leaf: bytes, parent: int) -> None:
        hashing = hashlib.sha256() if self._hashed and member.name.startswith(f"{self._hashed}/") else None
        file = os.open(leaf, _NEW, 0o600, dir_fd=parent)
        try:
            source = cast("IO[bytes]", tar.fileobj)
            source.seek(member.offset_data)
            for at, length in _segments(member):
                os.lseek(file, at, os.SEEK_SET)
                for piece in self._pieces(source, length):
                    if hashing:
                        hashing.update(piece)
                    _write(file, piece)
            if member.sparse is not None:
                os.ftruncate(file, member.size)
            os.fchmod(file, (member.mode & 0o777) | 0o600)
            os.utime(file, (member.mtime, member.mtime))
        finally:
            os.close(file)
        self.files += 1
        if hashing:
            self.digests[member.name] = hashing.hexdigest()

    def _pieces(self, source: IO[bytes], length: int) -> Iterator[bytes]:
        self.size += length
        if self.size > self.limit:
            raise UnsafeError(f"it has more than {self.limit} bytes")
        while length:
            piece = source.read(min(_PIECE, length))
            if not piece:
                raise UnsafeError("it ends in the middle of a file")
            length -= len(piece)
            yield piece


def _segments(member: tarfile.TarInfo) -> list[tuple[int, int]]:
    """Where a file has content: all of it, or between its holes."""
    found: list[tuple[int, int]] | None = member.sparse  # type: ignore[assignment]
    return [(0, member.size)] if found is None else found


def _write(file: int, piece: bytes) -> None:
    view = memoryview(piece)
    while view:
        view = view[os.write(file, view) :]
