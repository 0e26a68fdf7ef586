"""A bucket as archive store: S3-compatible, Google Cloud Storage or Azure, through `obstore`.

What the library tries again by itself is switched off for small objects, so that one place decides about it (see
`errors.pause`). Blobs are another matter: a part that failed among thousands is sent or read again by the library.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterable, AsyncIterator, Awaitable
from datetime import UTC, date, datetime
from typing import Final, TypeVar

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError

from aiagent_operator.runtime.archive import answers, clients, names
from aiagent_operator.runtime.archive.config import StoreConfig
from aiagent_operator.runtime.archive.errors import Kind, StoreError
from aiagent_operator.runtime.archive.guard import blob_name, must_write, pieces, too_large
from aiagent_operator.runtime.archive.store import CHUNK, PAGE, PROOF, Put, Stat, Uploaded

PART: Final = 2 * CHUNK
"""Bytes of one part of an upload."""

MOST_PARTS: Final = 10_000
"""Amazon S3, "Multipart upload limits"; Google Cloud Storage has the same."""

_AT_ONCE: Final = 2
_RAISES: Final = (BaseError, OSError, ValueError, NotImplementedError)

T = TypeVar("T")


class BucketStore:
    """Objects in a bucket; see `Store`."""

    def __init__(self, config: StoreConfig) -> None:
        """Asks nothing of it yet. Raises StoreError (Misconfigured) where credentials or certificates are not there."""
        self._config = config
        self._clients = clients.build(config)
        self._locking: tuple[date | None, clients.Buckets] = (None, self._clients.single)

    @property
    def name(self) -> str:
        return self._config.name

    @property
    def read_only(self) -> bool:
        return self._config.read_only

    async def create(self, name: str, data: bytes) -> Put:
        must_write(self, name)
        path = names.checked(self.name, name)
        try:
            await self._bounded(
                path,
                obstore.put_async(self._writer(path), path, data, mode="create", use_multipart=False),
                passing=(AlreadyExistsError,),
            )
        except AlreadyExistsError as error:
            found = answers.of(error, self.name, path)
            # The library calls every 409 so. This one says that two writers met, and not that either has written.
            if found.code in answers.CONTENDED:
                raise found from None
            return Put.TAKEN
        except StoreError as error:
            if error.kind is Kind.MISSING:
                what, remedy = "the bucket is not there", "create it, or mend url"
                raise StoreError(Kind.MISCONFIGURED, self.name, path, what, remedy, status=error.status) from None
            if error.code in answers.NO_LOCK and self._config.lock is not None:
                what, remedy = "the bucket takes no locked objects", "create it with object lock, or leave lockMode out"
                raise StoreError(
                    Kind.MISCONFIGURED, self.name, path, what, remedy, status=error.status, code=error.code
                ) from None
            raise
        return Put.CREATED

    def _writer(self, path: str) -> clients.Buckets:
        """What puts a record: locked, apart from the proof's, which shows what the bucket does by itself."""
        if self._config.lock is None or names.within(path, PROOF):
            return self._clients.single
        today = datetime.now(UTC).date()
        if self._locking[0] != today:
            self._locking = (today, clients.locking(self._config, self._clients, today))
        return self._locking[1]

    async def read(self, name: str, most: int) -> bytes:
        path = names.checked(self.name, name)

        async def work() -> bytes:
            found = await obstore.get_async(self._clients.single, path)
            if found.meta["size"] > most:
                raise too_large(self.name, path, found.meta["size"], most)
            return bytes(await found.bytes_async())

        return await self._bounded(path, work())

    async def stat(self, name: str) -> Stat | None:
        path = names.checked(self.name, name)
        try:
            found = await self._bounded(path, obstore.head_async(self._clients.single, path))
        except StoreError as error:
            if error.kind is Kind.MISSING:
                return None
            raise
        return Stat(name, found["size"], found["last_modified"], found["e_tag"], found["version"])

    async def pages(self, prefix: str = "", after: str = "") -> AsyncIterator[list[str]]:
        below = names.folder(self.name, prefix)
        stream = obstore.list(self._clients.single, below or None, offset=after or None, chunk_size=PAGE)
        last = after
        while True:
            try:
                page = await self._bounded(below, anext(stream), passing=(StopAsyncIteration,))
            except StopAsyncIteration:
                return
            found = [entry["path"] for entry in page]
            if sorted({last, *found}) != [last, *found]:
                what = "it lists names out of order, or twice"
                raise StoreError(Kind.UNSUPPORTED, self.name, below, what, "use a bucket that lists in order of names")
            last = found[-1] if found else last
            if own := [each for each in found if not names.fault(each) and names.within(each, below)]:
                yield own

    async def chunks(self, name: str) -> AsyncIterator[bytes]:
        path = names.checked(self.name, name)
        found = await self.stat(path)
        if found is None:
            raise StoreError(Kind.MISSING, self.name, path, "there is none", "see whether the name is right")
        for start in range(0, found.size, CHUNK):
            end = min(start + CHUNK, found.size)
            # The same version all the way: an answer for another one is refused (RFC 9110, 13.1.1).
            options: obstore.GetOptions = {"range": (start, end), "if_match": found.etag}
            chunk = await self._bounded(path, self._chunk(path, options), seconds=clients.bulk_seconds(self._config))
            if len(chunk) != end - start:
                what = f"{len(chunk)} bytes came for the {end - start} from {start} on"
                raise StoreError(Kind.CHANGED, self.name, path, what, "verify what is stored there")
            yield chunk

    async def _chunk(self, path: str, options: obstore.GetOptions) -> bytes:
        try:
            found = await obstore.get_async(self._clients.bulk, path, options=options)
            return bytes(await found.bytes_async())
        except PreconditionError:
            what, remedy = "it was overwritten while it was read", "find out who writes to the store"
            raise StoreError(Kind.CHANGED, self.name, path, what, remedy, status=412) from None

    async def upload(self, folder: str, leaf: str, data: AsyncIterable[bytes]) -> Uploaded:
        must_write(self, folder)
        return await self._sent(blob_name(self.name, folder, leaf), data)

    async def fill(self, name: str, data: AsyncIterable[bytes]) -> Put:
        must_write(self, name)
        path = names.checked(self.name, name)
        if await self.stat(path) is not None:
            return Put.TAKEN
        await self._sent(path, data)
        return Put.CREATED

    async def _sent(self, path: str, data: AsyncIterable[bytes]) -> Uploaded:
        digest, size, parts = hashlib.sha256(), 0, 0
        seconds = clients.bulk_seconds(self._config)
        # Never as a context manager: leaving that completes what was sent so far, also after an error.
        writer = obstore.open_writer_async(self._clients.bulk, path, buffer_size=PART, max_concurrency=_AT_ONCE)
        async for piece in pieces(data, PART):
            parts += 1
            if parts > MOST_PARTS:
                what, remedy = f"a blob has at most {MOST_PARTS * PART} bytes", "store it as several"
                raise StoreError(Kind.TOO_LARGE, self.name, path, what, remedy)
            await asyncio.to_thread(digest.update, piece)
            size += len(piece)
            await self._bounded(path, writer.write(piece), seconds=seconds)
        await self._bounded(path, writer.close(), seconds=seconds)
        stored = await self.stat(path)
        if stored is None or stored.size != size:
            what = f"{stored.size if stored else 'no'} bytes are stored of the {size} that were sent"
            raise StoreError(Kind.CHANGED, self.name, path, what, "try again")
        return Uploaded(path, size, digest.hexdigest())

    async def delete(self, name: str) -> None:
        must_write(self, name)
        path = names.checked(self.name, name)
        try:
            await self._bounded(path, obstore.delete_async(self._clients.single, path))
        except StoreError as error:
            if error.kind is not Kind.MISSING:
                raise

    async def signed(self, name: str, seconds: float) -> str:
        """A URL that lets whoever has it ask about this object (HEAD) for so long, without credentials: a secret."""
        path = names.checked(self.name, name)
        return await self._bounded(path, clients.signed(self._clients, path, seconds))

    async def tidy(self) -> int:
        """Nothing: parts of uploads that nobody completes are ended by a lifecycle rule of the bucket."""
        must_write(self, "")
        return 0

    async def close(self) -> None:
        """Connections end with the last reference to the library's stores."""

    async def _bounded(
        self,
        path: str,
        work: Awaitable[T],
        *,
        seconds: float | None = None,
        passing: tuple[type[BaseException], ...] = (),
    ) -> T:
        limit = self._config.timeout if seconds is None else seconds
        try:
            async with asyncio.timeout(limit):
                return await work
        except passing:
            raise
        except TimeoutError:
            raise answers.timed_out(self.name, path, limit) from None
        except _RAISES as error:
            credentials = self._clients.credentials
            if credentials is not None and credentials.problem is not None:
                raise credentials.problem from None
            # Without its cause, whose text quotes request and answer.
            raise answers.of(error, self.name, path) from None
