"""What every kind of archive store can do."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, Protocol

PAGE: Final = 1000
"""Names in one page of a list, at most; what S3, and Google Cloud Storage by default, answer at once."""

CHUNK: Final = 8 * 1024 * 1024
"""Bytes of a blob in memory at a time, for each part under way. S3 takes 10,000 parts, so blobs of up to 78 GiB."""


PROOF: Final = "proof"
"""Folder of what the proof of a store leaves there."""


class Put(StrEnum):
    """What became of a create."""

    CREATED = "Created"
    TAKEN = "Taken"
    """Something has the name, perhaps an earlier try whose answer was lost: read it. It was not changed."""


@dataclass(frozen=True, slots=True)
class Stat:
    """An object as its store describes it. `size` in bytes; `modified` by the store's clock."""

    name: str
    size: int
    modified: datetime
    etag: str | None = None
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Uploaded:
    """A blob that is complete and can be read: its full name, bytes, and SHA-256 in hex of what was sent."""

    name: str
    size: int
    sha256: str


class Store(Protocol):
    """A store, to be used in the event loop that opened it.

    Every method is bounded in time and raises StoreError. A create that timed out, or whose connection broke, may have
    happened: call it again, and read what has the name where that says Taken.
    """

    @property
    def name(self) -> str:
        """As in the configuration."""

    @property
    def read_only(self) -> bool:
        """Whether the configuration forbids writing."""

    async def create(self, name: str, data: bytes) -> Put:
        """Stores the bytes durably under a name that nothing has; never overwrites."""

    async def read(self, name: str, most: int) -> bytes:
        """All bytes of an object that has at most so many; Missing and TooLarge where it is not there, or larger."""

    async def stat(self, name: str) -> Stat | None:
        """What the store says of an object; None where there is none."""

    def pages(self, prefix: str = "", after: str = "") -> AsyncIterator[list[str]]:
        """Names below a prefix of whole parts and after a name, ascending by their bytes, in pages of at most PAGE."""

    def chunks(self, name: str) -> AsyncIterator[bytes]:
        """All bytes of one and the same version of an object, at most CHUNK at a time."""

    async def upload(self, folder: str, leaf: str, data: AsyncIterable[bytes]) -> Uploaded:
        """Stores a blob of any size under `<folder>/<random>/<leaf>`; it can be seen once it is complete.

        The random part, of 128 bits, is what keeps it from overwriting anything: no store but a directory has a
        conditional multipart upload that the library can ask for. Where it fails, what it has sent is given up.
        """

    async def fill(self, name: str, data: AsyncIterable[bytes]) -> Put:
        """Stores a blob of any size under this very name, unless something has it; seen once it is complete.

        A bucket can only look before it begins: two who do so at once must bring the same bytes, and whoever has to
        know what is there reads it back.
        """

    async def delete(self, name: str) -> None:
        """Removes an object, for a purge; one that is not there is no error."""

    async def tidy(self) -> int:
        """Removes what killed writers left, where no rule of the store's own does; returns how many."""

    async def close(self) -> None:
        """Frees what it holds."""
