"""People and their words, as a journal may have them: digests that only the holder of a key can make.

A plain SHA-256 of a user name or of a short reason is no secret: who has a list of names, or guesses, finds it. With a
key that stands in no record, in no archive and in no status it is (HMAC, RFC 2104). The same name gives the same digest
under one key, so that an auditor who is given the key can tell who did what; destroying the key leaves the records
whole, and nobody in them (GDPR, Art. 4(5), pseudonymisation, and Art. 17).
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Final

LEAST_KEY: Final = 32
"""Bytes of a key: no fewer than the hash has (RFC 2104, section 3)."""

PREFIX: Final = "hmac-sha256:"


class ShortKeyError(ValueError):
    """A key that can be guessed; the message says what to give instead."""


@dataclass(frozen=True, slots=True)
class Keyed:
    """Digests under one key. Raises ShortKeyError where it has fewer than 32 bytes."""

    key: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.key) < LEAST_KEY:
            raise ShortKeyError(
                f"the journal's key has {len(self.key)} bytes: give one of at least {LEAST_KEY} random bytes"
            )

    def person(self, name: str) -> str:
        """Stands for a user, a group or an account: the name as the API server knows it, letter by letter."""
        return self._digest(b"person", name)

    def text(self, text: str) -> str:
        """Stands for what a person wrote: a reason, a message, a note."""
        return self._digest(b"text", text)

    def _digest(self, what: bytes, text: str) -> str:
        # What it is goes in too, so that a text that is a name does not give the name away.
        made = hmac.new(self.key, what + b"\0" + text.encode(errors="surrogatepass"), hashlib.sha256)
        return PREFIX + made.hexdigest()
