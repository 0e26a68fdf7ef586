"""Personal payload: encrypted with a key of the archive's own, so that destroying the key erases what was written.

The format is age v1 (https://age-encryption.org/v1, C2SP), so `age` and `rage` read it. It encrypts in pieces of 64 KiB
with ChaCha20-Poly1305 (RFC 8439), each bound to its place and the last one marked: what is altered, left out, put
elsewhere or cut off is found. Memory does not grow with the size. That an archive's file is the one that was written is
what the manifest and its certificate say; anybody can encrypt to a public key.

A key is an X25519 identity (RFC 7748). Its public part is the key id in the manifest; the identity is kept outside the
store. Making keys and encrypting draw random numbers, so these two are no functions of their arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

import pyrage

from aiagent_operator.api.archive import Encryption
from aiagent_operator.core.archive.errors import PayloadError

ALGORITHM: Final = "age-encryption.org/v1"

LONGEST_HEADER: Final = 16 * 1024
"""Bytes in which the header of a payload ends: that of one recipient has some 200."""

_LONGEST_KEY: Final = 256
# C2SP, age: the header's last line, the nonce after it, and pieces, each with its tag.
_MAC, _NONCE, _PIECE, _TAG = b"\n--- ", 16, 64 * 1024, 16

Sink = Callable[[bytes], object]


def new_identity() -> str:
    """A new key: `AGE-SECRET-KEY-1...`, one line as `age -i` reads it."""
    return str(pyrage.x25519.Identity.generate())


def encryption(identity: str) -> Encryption:
    """What the manifest says of items that are encrypted with this key. Raises PayloadError."""
    return Encryption(algorithm=ALGORITHM, key_id=str(_identity(identity).to_public()))


def encrypt(plain: Iterable[bytes], sink: Sink, how: Encryption) -> None:
    """Encrypts the pieces, and gives the sink what comes of them, piece by piece.

    It works until all pieces are taken, so an event loop calls it in a thread of its own. What the pieces or the sink
    raise is raised as it is. Raises PayloadError for a key id that is none.
    """
    _check(how)
    try:
        recipient = pyrage.x25519.Recipient.from_str(how.key_id)
    except pyrage.RecipientError as error:
        raise PayloadError("keyId is no public key of age (age1...): take it from the archive's key") from error
    source, target = _Source(plain), _Target(sink)
    try:
        pyrage.encrypt_io(source, target, [recipient])
    except (OSError, pyrage.EncryptError) as error:
        _raise_first(source, target)
        raise PayloadError(f"the payload cannot be encrypted: {error}; try again") from error
    _raise_first(source, target)


def decrypt(encrypted: Iterable[bytes], sink: Sink, identity: str, how: Encryption) -> None:
    """Decrypts the pieces, and gives the sink what comes of them, piece by piece.

    Each piece that the sink gets is genuine, but only the return of this function says that none is missing after it:
    until then the sink has to keep what it got apart. What the pieces or the sink raise is raised as it is. Raises
    PayloadError where the key is another one, or the payload was altered, reordered or cut.
    """
    _check(how)
    key = _identity(identity)
    if str(key.to_public()) != how.key_id:
        raise PayloadError(f"the key is that of {key.to_public()}, and the payload is encrypted to {how.key_id}")
    source, target = _Source(encrypted), _Target(sink)
    try:
        pyrage.decrypt_io(source, target, [key])
    except (OSError, pyrage.DecryptError) as error:
        _raise_first(source, target)
        raise PayloadError(
            f"the payload cannot be decrypted ({error}): it was altered or cut, or is encrypted to another key; "
            "restore it from a copy whose digest agrees with the manifest"
        ) from error
    _raise_first(source, target)


def plain_size(begin: bytes, size: int) -> int:
    """How many bytes a payload of `size` bytes is in the clear, by its first bytes, LONGEST_HEADER or all of them.

    That is what it says of itself: only its decryption tells. Raises PayloadError where it cannot be any of age.
    """
    header = begin.find(b"\n", begin.find(_MAC) + len(_MAC)) + 1 if _MAC in begin else 0
    body = size - header - _NONCE
    if not header or body < _TAG:
        raise PayloadError(f"the payload is not encrypted by {ALGORITHM}: restore it from a copy")
    return body - _TAG * -(-body // (_PIECE + _TAG))


def _check(how: Encryption) -> None:
    if how.algorithm != ALGORITHM:
        raise PayloadError(
            f'the payload is encrypted by "{how.algorithm}", and this software reads "{ALGORITHM}": use newer software'
        )


def _identity(text: str) -> pyrage.x25519.Identity:
    """The key; errors never show it."""
    if len(text) > _LONGEST_KEY:
        raise PayloadError(f"the key has {len(text)} characters: give one line, AGE-SECRET-KEY-1...")
    try:
        return pyrage.x25519.Identity.from_str(text.strip())
    except pyrage.IdentityError:
        raise PayloadError("the key is no identity of age: give one line, AGE-SECRET-KEY-1...") from None


class _Source:
    """Pieces of any size as a file to read from. age wraps what goes wrong into its own errors, so it is kept here."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces: Iterator[bytes] = iter(pieces)
        self._rest = memoryview(b"")
        self.error: Exception | None = None

    def read(self, size: int) -> bytes:
        """At most so many bytes, and none at the end."""
        try:
            while not self._rest:
                self._rest = memoryview(next(self._pieces))
        except StopIteration:
            return b""
        except Exception as error:
            self.error = error
            raise
        piece, self._rest = self._rest[:size], self._rest[size:]
        return bytes(piece)


class _Target:
    """A sink as a file to write to."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self.error: Exception | None = None

    def write(self, piece: bytes) -> int:
        """Hands the bytes on."""
        try:
            self._sink(bytes(piece))
        except Exception as error:
            self.error = error
            raise
        return len(piece)

    def flush(self) -> None:
        """Nothing is held back."""


def _raise_first(source: _Source, target: _Target) -> None:
    """The error of whoever gives or takes the bytes, which age has swallowed or put into words."""
    error = source.error or target.error
    if error is not None:
        raise error
