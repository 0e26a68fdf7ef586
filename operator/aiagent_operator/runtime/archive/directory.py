"""A directory as archive store: the embedded default, on a volume of the operator's own."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import io
import itertools
import os
from collections.abc import AsyncIterable, AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import partial
from typing import Final, TypeVar

from aiagent_operator.runtime.archive import files, names, walk
from aiagent_operator.runtime.archive.config import StoreConfig
from aiagent_operator.runtime.archive.errors import Kind, StoreError
from aiagent_operator.runtime.archive.guard import blob_name, must_write, pieces, too_large
from aiagent_operator.runtime.archive.store import CHUNK, PAGE, Put, Stat, Uploaded

LEFT_BEHIND: Final = 3600.0
"""Seconds after which a file that a killed writer left is removed."""

_THREADS: Final = 8
_MOUNT: Final = "see whether the volume is mounted there, and the node's own log"
_WHY: Final[dict[int, tuple[Kind, str, str]]] = {
    errno.ENOSPC: (Kind.FULL, "no space is left", "enlarge the volume, or archive elsewhere"),
    errno.EDQUOT: (Kind.FULL, "the quota is used up", "raise it, or archive elsewhere"),
    errno.EFBIG: (Kind.FULL, "a file may not be so large", "raise the limit of the process or file system"),
    errno.EACCES: (Kind.DENIED, "access is denied", "let the operator's user write there (fsGroup of the pod)"),
    errno.EPERM: (Kind.DENIED, "it is not permitted", "let the operator write, on a file system with hard links"),
    errno.EROFS: (Kind.DENIED, "the file system is read-only", "mount it writable, or set readOnly: true"),
    errno.ELOOP: (Kind.UNSAFE, "a symbolic link is in the way", "remove it: the store follows none"),
    errno.ENOTDIR: (Kind.UNSAFE, "a link or file stands where a folder should be", "remove it: the store follows none"),
    errno.EOPNOTSUPP: (Kind.UNSUPPORTED, "the file system lacks what is needed", "use one with hard links and locks"),
    errno.EMLINK: (Kind.UNSUPPORTED, "the file system lacks what is needed", "use one with hard links"),
    errno.EMFILE: (Kind.THROTTLED, "the process has too many files open", "raise its limit, or wait"),
    errno.ENFILE: (Kind.THROTTLED, "the node has too many files open", "wait, or look at the node"),
    errno.ENAMETOOLONG: (Kind.INVALID_NAME, "the path is too long", "use a shorter directory"),
}  # fmt: skip

T = TypeVar("T")


class _NoRootError(Exception):
    """The directory itself cannot be opened."""


class DirectoryStore:
    """Objects as files; see `Store`. How they survive what: the module `files`."""

    def __init__(self, config: StoreConfig) -> None:
        self._config = config
        self._flushed = files.Flushed()
        # Of its own, so that a disk that hangs holds up this store's threads and nobody else's.
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix=f"archive-{config.name}")

    @property
    def name(self) -> str:
        return self._config.name

    @property
    def read_only(self) -> bool:
        return self._config.read_only

    async def create(self, name: str, data: bytes) -> Put:
        must_write(self, name)

        def work(top: int) -> Put:
            with files.Writing(top, self._flushed) as writing:
                writing.write(data)
                return writing.publish(name)

        return await self._inside(names.checked(self.name, name), work)

    async def read(self, name: str, most: int) -> bytes:
        def work(top: int) -> tuple[int, bytes]:
            with _file(top, name) as file:
                size = os.fstat(file.fileno()).st_size
                return size, _filled(file, most + 1) if size <= most else b""

        size, data = await self._inside(names.checked(self.name, name), work)
        if max(size, len(data)) > most:
            raise too_large(self.name, name, max(size, len(data)), most)
        return data

    async def stat(self, name: str) -> Stat | None:
        def work(top: int) -> os.stat_result:
            with _file(top, name) as file:
                return os.fstat(file.fileno())

        try:
            found = await self._inside(names.checked(self.name, name), work)
        except StoreError as error:
            if error.kind is Kind.MISSING:
                return None
            raise
        return Stat(name, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))

    async def pages(self, prefix: str = "", after: str = "") -> AsyncIterator[list[str]]:
        below = names.folder(self.name, prefix)
        top = await self._inside(below, os.dup)
        try:
            found = walk.ordered(top, below, after)
            page = [""] * PAGE
            # Whatever is shorter was the last one: each look at the disk is a turn of a thread.
            while len(page) == PAGE and (page := await self._run(below, lambda: list(itertools.islice(found, PAGE)))):
                yield page
        finally:
            os.close(top)

    async def chunks(self, name: str) -> AsyncIterator[bytes]:
        file = await self._inside(names.checked(self.name, name), lambda top: _file(top, name))
        try:
            chunk = await self._run(name, lambda: _filled(file, CHUNK))
            while chunk:
                yield chunk
                # Fewer bytes come only at the end.
                chunk = await self._run(name, lambda: _filled(file, CHUNK)) if len(chunk) == CHUNK else b""
        finally:
            file.close()

    async def upload(self, folder: str, leaf: str, data: AsyncIterable[bytes]) -> Uploaded:
        must_write(self, folder)
        name = blob_name(self.name, folder, leaf)
        put, uploaded = await self._sent(name, data)
        if put is Put.TAKEN:
            raise StoreError(Kind.CONTENDED, self.name, name, "a random name is taken", "try again")
        return uploaded

    async def fill(self, name: str, data: AsyncIterable[bytes]) -> Put:
        must_write(self, name)
        # Before it is written: it is linked only where nothing has the name in any case.
        if await self.stat(name) is not None:
            return Put.TAKEN
        return (await self._sent(name, data))[0]

    async def _sent(self, name: str, data: AsyncIterable[bytes]) -> tuple[Put, Uploaded]:
        digest, size = hashlib.sha256(), 0
        async with AsyncExitStack() as stack:
            writing = await self._inside(name, lambda top: files.Writing(top, self._flushed))
            stack.push_async_callback(self._run, name, writing.close)

            def work(piece: bytes) -> None:
                digest.update(piece)
                writing.write(piece)

            async for piece in pieces(data, CHUNK):
                await self._run(name, partial(work, piece))
                size += len(piece)
            put = await self._run(name, lambda: writing.publish(name))
        return put, Uploaded(name, size, digest.hexdigest())

    async def delete(self, name: str) -> None:
        must_write(self, name)
        await self._inside(names.checked(self.name, name), lambda top: files.remove(top, name))

    async def tidy(self, *, older: float = LEFT_BEHIND) -> int:
        """Removes files that killed writers left, last written so many seconds ago; returns how many."""
        must_write(self, files.PARTIAL)
        return await self._inside(files.PARTIAL, lambda top: files.sweep(top, older=older))

    async def close(self) -> None:
        # Without waiting: a thread may hang in the kernel.
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _inside(self, path: str, work: Callable[[int], T]) -> T:
        def opened() -> T:
            try:
                top = os.open(self._config.path, files.FOLDER)
            except OSError as error:
                raise _NoRootError(error.strerror) from error
            try:
                return work(top)
            finally:
                os.close(top)

        return await self._run(path, opened)

    async def _run(self, path: str, work: Callable[[], T]) -> T:
        try:
            async with asyncio.timeout(self._config.timeout):
                return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except TimeoutError as error:
            what = f"the file system did not answer within {self._config.timeout:g} s"
            raise StoreError(Kind.TIMED_OUT, self.name, path, what, _MOUNT) from error
        except _NoRootError as error:
            what = f"{self._config.path} cannot be opened: {error}"
            raise StoreError(Kind.MISCONFIGURED, self.name, path, what, "mount a volume there, no link") from error
        except OSError as error:
            raise self._error(path, error) from error

    def _error(self, path: str, error: OSError) -> StoreError:
        if isinstance(error, files.UnsafeFileError):
            what, remedy = error.strerror or "it is unsafe", "find out who put it there, and remove it"
            return StoreError(Kind.UNSAFE, self.name, path, what, remedy)
        if isinstance(error, FileNotFoundError):
            return StoreError(Kind.MISSING, self.name, path, "there is none", "see whether the name is right")
        known = _WHY.get(error.errno or 0)
        kind, what, remedy = known or (Kind.UNREACHABLE, error.strerror or type(error).__name__, _MOUNT)
        return StoreError(kind, self.name, path, what, remedy, code=errno.errorcode.get(error.errno or 0, ""))


def _file(top: int, name: str) -> io.FileIO:
    return io.FileIO(files.opened(top, name), "rb")


def _filled(file: io.FileIO, most: int) -> bytes:
    """So many bytes, fewer only at the end: one read(2) may give fewer anywhere."""
    found = bytearray()
    while len(found) < most and (part := file.read(most - len(found))):
        found += part
    return bytes(found)
