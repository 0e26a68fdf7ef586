"""A volume goes from a Job through the endpoint into the store: whole or not at all, and from nobody else."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import socket
import ssl
import tarfile
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from aiagent_operator.capture.job import Task, run
from aiagent_operator.capture.send import SendError, Sending
from aiagent_operator.capture.tree import ROOT
from aiagent_operator.core.archive import payload, sending
from aiagent_operator.core.archive.sending import HEADER, Packed, Received
from aiagent_operator.runtime.archive.directory import DirectoryStore
from aiagent_operator.runtime.archive.errors import Kind, StoreError
from aiagent_operator.runtime.archive.store import Store, Uploaded
from aiagent_operator.runtime.client import ApiError
from aiagent_operator.runtime.intake.callers import Account, Caller
from aiagent_operator.runtime.intake.endpoint import Endpoint, Place, RefusedError
from support.archive import directory, directory_config
from support.archives import IDENTITY
from support.kube import wait_for

MIB = 1024 * 1024
HOW = payload.encryption(IDENTITY)
ACCOUNT = Account("crm", "aiagent.triage.memory")
CALLER = Caller(ACCOUNT, "triage-memory-x", "p1")


def token(account: Account = ACCOUNT, audience: object = (sending.AUDIENCE,), **more: object) -> str:
    claims = {"aud": audience, "sub": f"system:serviceaccount:{account.namespace}:{account.name}", **more}
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{body}.c2ln"


@dataclass
class Desk:
    store: Store
    waited: bool = True
    late: bool = False
    placed: int = 0
    had: list[tuple[Uploaded, Received]] = field(default_factory=list)
    failures: list[StoreError] = field(default_factory=list)
    before: Callable[[], None] = lambda: None

    def waits(self, account: Account) -> bool:
        return self.waited and account == ACCOUNT

    async def place(self, caller: Caller) -> Place:
        assert caller == CALLER
        self.placed += 1
        if self.had:
            raise RefusedError(409, "it is archived already")
        return Place("AIAgent crm/triage", self.store, "archives/a/b", "memory.tar.age")

    async def took(self, caller: Caller, place: Place, uploaded: Uploaded, received: Received) -> None:
        if self.late:
            raise RefusedError(409, "its archive is made without it")
        self.had.append((uploaded, received))

    def failed(self, place: Place, error: StoreError) -> None:
        self.failures.append(error)


@dataclass
class Site:
    endpoint: Endpoint
    desk: Desk
    folder: Path
    reviewed: list[str]

    def blobs(self) -> list[Path]:
        return [path for path in self.folder.rglob("*.age") if ".partial" not in path.parts]

    def sending(self, shown: str = "") -> Sending:
        return Sending(self.endpoint.url, self.endpoint.certificate, shown or token())

    def talk(self, data: bytes) -> bytes:
        """How the answer to these bytes begins."""
        context = ssl.create_default_context(cadata=self.endpoint.certificate)
        with (
            socket.create_connection(("127.0.0.1", self.endpoint.port), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as secure,
        ):
            secure.sendall(data)
            return secure.recv(4096)


@asynccontextmanager
async def site(
    folder: Path, *, silence: float = 30.0, caller: Caller | None = CALLER, store: Store | None = None
) -> AsyncIterator[Site]:
    folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - nothing else runs yet
    own = store or directory(folder)
    desk, reviewed = Desk(own), []

    async def review(shown: str) -> Caller | None:
        reviewed.append(shown)
        return caller

    endpoint = Endpoint(desk, review, address="127.0.0.1", port=0, silence=silence)
    await endpoint.start()
    try:
        yield Site(endpoint, desk, folder, reviewed)
    finally:
        await endpoint.stop()
        await own.close()


def request(*headers: str, shown: str = "") -> bytes:
    lines = (f"PUT {sending.PATH} HTTP/1.1", "Host: x", f"Authorization: Bearer {shown or token()}", *headers)
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


CHUNKED = "Transfer-Encoding: chunked"


async def test_a_volume_is_archived_so_that_only_the_key_reads_it(tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    (volume / "facts").mkdir(parents=True)
    (volume / "facts" / "one").write_bytes(b"what people said" * 100_000)
    (tmp_path / "token").write_text(token() + "\n")
    async with site(tmp_path / "store") as s:
        task = Task(str(volume), HOW.key_id, s.endpoint.url, s.endpoint.certificate, tmp_path / "token")
        result = await asyncio.to_thread(run, task)
        ((uploaded, received),) = s.desk.had
        data = (s.folder / uploaded.name).read_bytes()
    assert result == {"bytes": 1_600_000, "files": 1, "skipped": {}}
    assert received.packed == Packed(files=1, size=1_600_000)
    assert len(data) == uploaded.size
    assert b"what people said" not in data
    plain = bytearray()
    payload.decrypt([data], plain.extend, IDENTITY, HOW)
    with tarfile.open(fileobj=io.BytesIO(plain)) as tar:
        file = tar.extractfile(f"{ROOT}/facts/one")
        assert file is not None
        assert file.read() == b"what people said" * 100_000


@pytest.mark.parametrize(
    ("shown", "status"),
    [
        ("x", 401),
        ("a.b.c", 401),
        ("a." + "A" * 5000 + ".c", 401),
        (token(audience=["https://kubernetes.default.svc"]), 401),
        (token(audience=[sending.AUDIENCE, "https://kubernetes.default.svc"]), 401),
        (token(audience=sending.AUDIENCE), 401),
        (token(sub="ann@corp.example"), 401),
        (token(sub=7), 401),
        (token(Account("crm", "aiagent.triage")), 403),
        (token(Account("other", ACCOUNT.name)), 403),
    ],
)
async def test_a_token_that_cannot_be_meant_is_refused_without_a_question(
    tmp_path: Path, shown: str, status: int
) -> None:
    async with site(tmp_path / "store") as s:
        answer = await asyncio.to_thread(s.talk, request(CHUNKED, shown=shown))
        assert answer.startswith(f"HTTP/1.1 {status} ".encode())
        assert not s.reviewed
        assert s.desk.placed == 0


@pytest.mark.parametrize("caller", [None, replace(CALLER, account=Account("crm", "aiagent.other.memory"))])
async def test_what_the_api_server_says_of_a_token_counts(tmp_path: Path, caller: Caller | None) -> None:
    async with site(tmp_path / "store", caller=caller) as s:
        answer = await asyncio.to_thread(s.talk, request(CHUNKED))
        assert answer.startswith(b"HTTP/1.1 401 ")
        assert s.reviewed == [token()]
        assert s.desk.placed == 0


async def test_other_paths_and_methods_are_not_served(tmp_path: Path) -> None:
    async with site(tmp_path / "store") as s:
        for line in (b"GET /v1/memory", b"PUT /", b"PUT /v1/memory/../../x", b"DELETE /v1/memory"):
            answer = await asyncio.to_thread(s.talk, line + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert answer.startswith((b"HTTP/1.1 404", b"HTTP/1.1 405"))


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


CUT = chunk(HEADER + b"x" * 300_000)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(CUT + chunk(b""), id="without a tail"),
        pytest.param(CUT + b"10\r\nabc", id="in a chunk"),
        pytest.param(CUT + b"FFFFFFFFFFFFFFFFFFFFFFFF\r\nabc", id="a chunk beyond all numbers"),
        pytest.param(CUT + b"7FFFFFFFFFFFFFFF\r\nabc", id="a chunk larger than any disk"),
        pytest.param(CUT + b"-5\r\nabc", id="a chunk of less than nothing"),
        pytest.param(CUT + b"5;" + b"x" * 100_000, id="a chunk's extension without end"),
        pytest.param(CUT + b"zz\r\n", id="garbage for a chunk"),
        pytest.param(chunk(b"memory/secret.txt") + chunk(b"\0" * 600) + chunk(b""), id="in the clear"),
        pytest.param(chunk(b""), id="nothing"),
        pytest.param(chunk(sending.tail(0, bytes(32), Packed())) + chunk(b""), id="nothing but a tail"),
    ],
)
async def test_what_is_not_whole_never_counts(tmp_path: Path, body: bytes) -> None:
    async with site(tmp_path / "store", silence=0.5) as s:
        answer = await asyncio.to_thread(s.talk, request(CHUNKED) + body)
        assert not answer.startswith(b"HTTP/1.1 200")
        assert not s.desk.had
        assert not s.desk.failures
        assert not s.blobs()


async def broken_off(s: Site) -> None:
    """Until the endpoint has seen that nobody sends any more."""
    async with asyncio.timeout(10):
        while s.endpoint._sending:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)


async def test_a_connection_that_breaks_leaves_nothing_and_the_next_one_may_send(tmp_path: Path) -> None:
    def breaks(s: Site) -> None:
        with s.sending() as half:
            half.write(HEADER + b"x" * MIB)
            wait_for(lambda: s.endpoint._sending, what="the endpoint to have begun")

    async with site(tmp_path / "store") as s:
        await asyncio.to_thread(breaks, s)
        await broken_off(s)
        assert not s.blobs()
        await asyncio.to_thread(sends, s)
        assert len(s.desk.had) == 1


def sends(s: Site, size: int = 100) -> None:
    with s.sending() as one:
        one.write(HEADER)
        for at in range(0, size, MIB):
            one.write(b"x" * min(MIB, size - at))
        one.finish(Packed())


async def test_two_pods_at_once_are_one_too_many(tmp_path: Path) -> None:
    def both(s: Site) -> None:
        with s.sending() as first:
            first.write(HEADER + b"x" * MIB)
            wait_for(lambda: s.endpoint._sending, what="the endpoint to have begun")
            with pytest.raises(SendError, match=r"409.*another pod sends it already"):
                sends(s)
            first.finish(Packed())

    async with site(tmp_path / "store") as s:
        await asyncio.to_thread(both, s)
        assert len(s.desk.had) == len(s.blobs()) == 1
        with pytest.raises(SendError, match=r"409.*archived already"):
            await asyncio.to_thread(sends, s)
        assert len(s.blobs()) == 1


async def test_what_comes_after_the_end_does_not_count(tmp_path: Path) -> None:
    async with site(tmp_path / "store") as s:
        s.desk.late = True
        with pytest.raises(SendError, match="made without it"):
            await asyncio.to_thread(sends, s)
        s.desk.waited = False
        with pytest.raises(SendError, match="403"):
            await asyncio.to_thread(sends, s)
        assert not s.desk.had


async def test_silence_is_given_up(tmp_path: Path) -> None:
    async with site(tmp_path / "store", silence=0.2) as s:
        answer = await asyncio.to_thread(s.talk, request(CHUNKED) + CUT)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert not s.blobs()


class Failing(DirectoryStore):
    async def upload(self, folder: str, leaf: str, data: AsyncIterator[bytes]) -> Uploaded:  # type: ignore[override]
        async for _ in data:
            raise StoreError(Kind.FULL, self.name, "s3://bucket/secret-prefix", "no space is left", "enlarge it")
        raise AssertionError


async def test_a_store_that_fails_is_said_without_saying_where_it_is(tmp_path: Path) -> None:
    async with site(tmp_path / "store", store=Failing(directory_config(tmp_path / "store"))) as s:
        with pytest.raises(SendError, match="503") as caught:
            await asyncio.to_thread(sends, s, 20 * MIB)
        assert "bucket" not in str(caught.value)
        assert [error.kind for error in s.desk.failures] == [Kind.FULL]
        assert not s.endpoint._sending


async def test_an_api_server_that_does_not_answer_is_no_yes(tmp_path: Path) -> None:
    async with site(tmp_path / "store") as s:

        async def fails(_: str) -> Caller | None:
            raise ApiError(500, "Internal", "no")

        s.endpoint._review = fails
        with pytest.raises(SendError, match="503"):
            await asyncio.to_thread(sends, s)
        assert not s.blobs()


async def test_what_strangers_send_is_in_no_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with site(tmp_path / "store") as s:
        for shown in ("secret" * 2000, "secret" * 100, "secret.secret.secret"):
            await asyncio.to_thread(s.talk, request(CHUNKED, shown=shown))
        await asyncio.to_thread(s.talk, request(CHUNKED) + chunk(b"secret" * 1000))
        await asyncio.to_thread(s.talk, b"secret\r\n\r\n")
    assert "secret" not in caplog.text


async def test_nothing_is_sent_to_another_than_the_one_that_was_told(tmp_path: Path) -> None:
    async with site(tmp_path / "one") as one, site(tmp_path / "two") as two:

        def misled() -> None:
            with Sending(one.endpoint.url, two.endpoint.certificate, token()):
                raise AssertionError

        with pytest.raises(SendError, match="certificate"):
            await asyncio.to_thread(misled)
        assert not one.reviewed


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "https://127.0.0.1/", "file:///etc/passwd"])
def test_nothing_is_sent_in_the_clear(url: str) -> None:
    with pytest.raises(SendError, match="not the address"):
        Sending(url, "", token())


async def test_memory_does_not_grow_with_the_volume_nor_with_a_slow_store(tmp_path: Path) -> None:
    class Slow(DirectoryStore):
        async def upload(self, folder: str, leaf: str, data: AsyncIterator[bytes]) -> Uploaded:  # type: ignore[override]
            async def slowly() -> AsyncIterator[bytes]:
                async for piece in data:
                    if len(piece) > 100_000:
                        await asyncio.sleep(0.001)
                    yield piece

            return await super().upload(folder, leaf, slowly())

    async def peak(size: int) -> int:
        where = tmp_path / str(size)
        async with site(where, store=Slow(directory_config(where))) as s:
            tracemalloc.start()
            try:
                await asyncio.to_thread(sends, s, size)
                assert s.desk.had[0][0].size == size + len(HEADER)
                return tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()

    small, large = await peak(32 * MIB), await peak(320 * MIB)
    assert large < 1.5 * small
