"""Headers of a tar, made from what a file system says: pax (POSIX.1-2001), so that every name and size can be said."""

from __future__ import annotations

import os
import stat
import tarfile
from collections.abc import Mapping
from typing import Final

BLOCK: Final = tarfile.BLOCKSIZE
END: Final = bytes(2 * BLOCK)
"""What ends a tar."""

_ENCODING: Final = "utf-8"
_PLACEHOLDER: Final = b"GNUSparseFile.0/file"


def header(name: bytes, found: os.stat_result, kind: bytes, *, size: int = 0, link: bytes = b"") -> bytes:
    """The header of an entry, which `size` bytes follow. Names are bytes, as file systems have them."""
    return _written(_info(name, found, kind, size, link), {})


def sparse(name: bytes, found: os.stat_result, segments: list[tuple[int, int]]) -> bytes:
    """The header of a file with holes, and the map of its segments (offset, length), which their bytes follow.

    In the format of GNU tar, 1.0 ("Storing Sparse Files"), which Python and libarchive read too.
    """
    # The last one says where the file ends, as GNU tar has it.
    numbers = [len(segments) + 1, *(number for segment in segments for number in segment), found.st_size, 0]
    plan = padded("".join(f"{number}\n" for number in numbers).encode())
    # A name for readers that know no such files; one that is short, or pax would say it again, after the true one.
    info = _info(_PLACEHOLDER, found, tarfile.REGTYPE, len(plan) + sum(length for _, length in segments), b"")
    said = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": os.fsdecode(name),
        "GNU.sparse.realsize": str(found.st_size),
    }
    return _written(info, said) + plan


def file(name: str, data: bytes) -> bytes:
    """A file of the program's own, with its content."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), 0o444
    return _written(info, {}) + padded(data)


def padded(data: bytes) -> bytes:
    """The bytes, up to a whole number of blocks."""
    return data + rest(len(data))


def rest(size: int) -> bytes:
    """What fills the last block after so many bytes."""
    return bytes(-size % BLOCK)


def _info(name: bytes, found: os.stat_result, kind: bytes, size: int, link: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo(os.fsdecode(name))
    info.type, info.size, info.linkname = kind, size, os.fsdecode(link)
    # To the second: what comes below it is of no use to whoever reads an archive years later.
    info.mode, info.uid, info.gid, info.mtime = (
        stat.S_IMODE(found.st_mode),
        found.st_uid,
        found.st_gid,
        int(found.st_mtime),
    )
    return info


def _written(info: tarfile.TarInfo, said: Mapping[str, str]) -> bytes:
    info.pax_headers = dict(said)
    return info.tobuf(tarfile.PAX_FORMAT, _ENCODING, "surrogateescape")
