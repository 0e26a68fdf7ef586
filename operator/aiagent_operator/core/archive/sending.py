"""How a volume is sent to the operator: one request whose body ends in what says that nothing of it is missing.

The body is the payload, in pieces of any size, and then a tail: the payload's length and SHA-256, and what was packed
into it. Who receives it keeps back the last bytes until the end, and takes what came before for whole only where the
tail says so.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from typing import Final

from aiagent_operator.core.archive.errors import PayloadError

AUDIENCE: Final = "workforce.dev/archive"
"""Audience of the token that a pod shows to the operator. The API server itself does not take it."""

PATH: Final = "/v1/memory"
"""Where volumes are sent to. Whose it is, the token says."""

INHERITANCE: Final = "/v1/inheritance"
"""Where inheritances are fetched from. Whose it is, the token says."""

HEADER: Final = b"age-encryption.org/v1\n"
"""How a payload begins (C2SP, age): nothing else is taken, so that nothing comes in in the clear."""

# A mark, the payload's length, the four counts of Packed, each in 8 bytes (big-endian), and the payload's SHA-256.
_TAIL: Final = struct.Struct(">8s5Q32s")
_MARK: Final = b"workfor\n"
_MOST: Final = 2**64 - 1


@dataclass(frozen=True, slots=True)
class Packed:
    """What a tar has: files with content and their bytes. Of those `unreadable` none is in it; those `changed` are in
    it as far as they were read."""

    files: int = 0
    size: int = 0
    unreadable: int = 0
    changed: int = 0


@dataclass(frozen=True, slots=True)
class Received:
    """A payload of which nothing is missing: bytes, SHA-256 in hex, and what its sender says is in it."""

    size: int
    sha256: str
    packed: Packed


def tail(size: int, digest: bytes, packed: Packed) -> bytes:
    """What ends the body after so many bytes with this SHA-256."""
    counts = (min(count, _MOST) for count in (packed.files, packed.size, packed.unreadable, packed.changed))
    return _TAIL.pack(_MARK, size, *counts, digest)


class Receiving:
    """Passes a payload on as it comes, and says at its end whether all of it came."""

    def __init__(self) -> None:
        self._digest, self._rest = hashlib.sha256(), b""
        self._begin = bytearray()
        self._size = 0

    def take(self, piece: bytes) -> bytes:
        """The bytes that are surely of the payload, perhaps none. Raises PayloadError where it is none of age."""
        data = self._rest + piece
        known, self._rest = data[: -_TAIL.size], data[-_TAIL.size :]
        if missing := len(HEADER) - len(self._begin):
            self._begin += known[:missing]
            if not HEADER.startswith(self._begin):
                raise PayloadError("what was sent is not encrypted with age: nothing else is taken")
        self._digest.update(known)
        self._size += len(known)
        return known

    def end(self) -> Received:
        """What was received. Raises PayloadError where anything is missing, or is not what was sent."""
        if len(self._rest) == _TAIL.size and len(self._begin) == len(HEADER):
            mark, size, files, plain, unreadable, changed, digest = _TAIL.unpack(self._rest)
            if (mark, size, digest) == (_MARK, self._size, self._digest.digest()):
                return Received(size, digest.hex(), Packed(files, plain, unreadable, changed))
        raise PayloadError(
            f"after {self._size} bytes what was sent does not end in their number and digest: it was cut off or "
            "altered on its way, and is sent again"
        )
