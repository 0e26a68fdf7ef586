"""A bucket as archive store, on a real S3-compatible server: what it keeps, and what it says while things break.

It needs no cluster; it is here, and not among the unit tests, since the server is built from source at first.
"""

import asyncio
import base64
import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import obstore
import pytest
import uvloop

from aiagent_operator.api.archive import Encryption
from aiagent_operator.core.archive import layout, payload
from aiagent_operator.core.objects import AgentIdentity
from aiagent_operator.runtime import archivekeys
from aiagent_operator.runtime.archive import bucket as module
from aiagent_operator.runtime.archive import captured, clients, config, proof, retention
from aiagent_operator.runtime.archive.bucket import BucketStore
from aiagent_operator.runtime.archive.errors import Kind, StoreError
from aiagent_operator.runtime.archive.opening import opened
from aiagent_operator.runtime.archive.store import Put
from aiagent_operator.runtime.archive.verdict import Lock, Mode
from aiagent_operator.runtime.decisions import Decisions
from support.archive import WRITER, directory, listed, streamed, whole
from support.localcluster.certs import Authority
from support.s3server import REGION, S3Server
from support.storeproxy import Answer, Corrupt, Half, Hang, Headers, Redirect, Reset, StoreProxy, Truncate


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    """A server for the tests of this module."""
    with S3Server() as found:
        yield found


@pytest.fixture
def data(server: S3Server, tmp_path: Path) -> dict[str, Any]:
    """The description of a store in a bucket of the test's own."""
    return {
        "name": "eu",
        "url": f"s3://{server.bucket()}/agents",
        "region": REGION,
        "endpoint": server.endpoint,
        "credentialsDir": str(server.secret(tmp_path / "secret")),
        "timeout": "10s",
    }


def bucket_store(data: dict[str, Any], **changes: Any) -> BucketStore:
    described = data | changes
    found = opened(config.read(described, [described["endpoint"]]))
    assert isinstance(found, BucketStore)
    return found


@pytest.fixture
def store(data: dict[str, Any]) -> BucketStore:
    """The store itself."""
    return bucket_store(data)


@pytest.fixture
async def proxy(server: S3Server) -> AsyncIterator[StoreProxy]:
    """A proxy before the server."""
    async with StoreProxy(server.endpoint) as found:
        yield found


@pytest.fixture
def broken(data: dict[str, Any], proxy: StoreProxy) -> BucketStore:
    """The store behind the proxy, in a hurry."""
    return bucket_store(data, endpoint=proxy.url, timeout="2s")


# What is kept ---------------------------------------------------------------------------------------------------------


async def test_what_is_created_is_kept_and_never_overwritten(
    store: BucketStore, server: S3Server, data: dict[str, Any]
) -> None:
    assert await store.create("journal/8f/1.json", b"first") is Put.CREATED
    assert await store.create("journal/8f/1.json", b"second") is Put.TAKEN
    assert await store.read("journal/8f/1.json", 100) == b"first"
    assert await whole(store, "journal/8f/1.json") == b"first"
    found = await store.stat("journal/8f/1.json")
    assert found is not None
    assert (found.name, found.size) == ("journal/8f/1.json", 5)
    assert abs(found.modified - datetime.now(UTC)) < timedelta(minutes=1)
    name = data["url"].split("/")[2]
    others = server.ask("GET", f"{name}/agents/journal/8f/1.json")
    assert others.content == b"first", "another client sees the same, under the prefix"


async def test_of_many_creates_at_once_one_wins_and_its_content_is_there(store: BucketStore) -> None:
    puts = await asyncio.gather(*(store.create("a/b", str(number).encode()) for number in range(30)))
    assert sorted(puts) == [Put.CREATED] + [Put.TAKEN] * 29
    assert await store.read("a/b", 10) == str(puts.index(Put.CREATED)).encode()


async def test_an_object_of_no_bytes_and_every_letter_that_a_name_may_have(store: BucketStore) -> None:
    name = "azAZ09/._=-".replace("/.", "/x.") + "/a=b-c_d.e"
    assert await store.create(name, b"") is Put.CREATED
    assert await store.read(name, 0) == b""
    assert await whole(store, name) == b""
    assert await listed(store) == [name]


async def test_what_is_larger_than_expected_or_missing(store: BucketStore) -> None:
    await store.create("a", b"12345")
    with pytest.raises(StoreError, match="at most 4 are read") as caught:
        await store.read("a", 4)
    assert caught.value.kind is Kind.TOO_LARGE
    assert await store.stat("b") is None
    for work in (store.read("b", 4), whole(store, "b")):
        with pytest.raises(StoreError, match="archive store eu: b: ") as caught:
            await work
        assert caught.value.kind is Kind.MISSING


async def test_a_purge_removes_and_may_be_repeated(store: BucketStore) -> None:
    await store.create("a/b", b"x")
    await store.delete("a/b")
    await store.delete("a/b")
    assert await listed(store) == []


async def test_lists_are_of_whole_parts_in_order_after_a_name(
    store: BucketStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE", 4)
    names = sorted(["a-b", "a.b", "a/b", "a/c/d", "a0", "ab", *(f"journal/8f/{number:03}" for number in range(11))])
    await asyncio.gather(*(store.create(name, b"") for name in reversed(names)))
    assert await listed(store) == names
    assert max([len(page) async for page in store.pages()]) == 4
    assert await listed(store, "a") == ["a/b", "a/c/d"]
    assert await listed(store, "journal/8f", "journal/8f/007") == [f"journal/8f/{number:03}" for number in (8, 9, 10)]
    assert await listed(store, "journal/8") == []
    assert await listed(store, "", "a/c/d") == names[names.index("a/c/d") + 1 :]


async def test_a_list_that_the_server_itself_gives_in_pages(store: BucketStore) -> None:
    names = [f"journal/8f/{number:05}" for number in range(1_200)]
    for start in range(0, len(names), 100):
        await asyncio.gather(*(store.create(name, b"") for name in names[start : start + 100]))
    assert [len(page) async for page in store.pages("journal/8f")] == [1000, 200]
    assert await listed(store, "journal", names[50]) == names[51:]


async def test_a_store_that_is_read_only_sends_no_write(data: dict[str, Any], proxy: StoreProxy) -> None:
    await bucket_store(data).create("a", b"x")
    store = bucket_store(data, endpoint=proxy.url, readOnly=True)
    for work in (store.create("b", b""), store.delete("a"), store.upload("c", "d", streamed(b"x"))):
        with pytest.raises(StoreError) as caught:
            await work
        assert caught.value.kind is Kind.READ_ONLY
    assert await store.read("a", 1) == b"x"
    assert {method for method, _ in proxy.requests} == {"GET"}


def test_it_works_in_the_event_loop_of_the_operator(data: dict[str, Any], server: S3Server) -> None:
    async def work() -> None:
        store = bucket_store(data)
        assert await store.create("a/b", b"first") is Put.CREATED
        assert await store.create("a/b", b"second") is Put.TAKEN
        assert await store.read("a/b", 10) == b"first"
        assert await listed(store) == ["a/b"]
        found = await store.upload("archive", "blob", streamed(*(b"x" * module.PART for _ in range(2))))
        assert hashlib.sha256(await whole(store, found.name)).hexdigest() == found.sha256
        assert (await proof.prove(store, look=retention.looking(store._config, store))).mode is Mode.READY

    uvloop.run(work())


# Blobs ----------------------------------------------------------------------------------------------------------------


async def test_a_blob_in_many_parts(store: BucketStore) -> None:
    chunks = [os.urandom(7_000_001) for _ in range(7)]
    found = await store.upload("archive/8f", "memory.tar", streamed(*chunks))
    data = b"".join(chunks)
    assert (found.size, found.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert found.name.startswith("archive/8f/")
    assert found.name.endswith("/memory.tar")
    digest, sizes = hashlib.sha256(), []
    async for chunk in store.chunks(found.name):
        digest.update(chunk)
        sizes.append(len(chunk))
    assert digest.hexdigest() == found.sha256
    assert set(sizes[:-1]) == {module.CHUNK}


async def test_blobs_of_no_bytes_and_of_few(store: BucketStore) -> None:
    for data in (b"", b"x"):
        found = await store.upload("archive", "small", streamed(data))
        assert await whole(store, found.name) == data
    assert len(await listed(store, "archive")) == 2


async def test_a_blob_is_not_seen_before_it_is_complete_nor_where_its_source_fails(store: BucketStore) -> None:
    seen: list[list[str]] = []

    async def source() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"x" * module.PART
        seen.append(await listed(store))
        raise ConnectionError("the pod is gone")

    with pytest.raises(ConnectionError, match="the pod is gone"):
        await store.upload("archive", "logs", source())
    await asyncio.sleep(1)
    assert [*seen, await listed(store)] == [[], []]


async def test_an_upload_that_is_cancelled_is_never_seen(store: BucketStore) -> None:
    under_way = asyncio.Event()

    async def source() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"x" * module.PART
        under_way.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(store.upload("archive", "logs", source()))
    await under_way.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(1)
    assert await listed(store) == []


async def test_memory_stays_flat_however_large_a_blob_is(store: BucketStore) -> None:
    """What the process holds at most beyond where it began: some parts, and not the blob."""

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    piece, peaks = os.urandom(4 * 1024**2), []

    async def source(count: int) -> AsyncIterator[bytes]:
        for number in range(count):
            yield piece
            if number % 8 == 0:
                peaks.append(resident())

    await store.upload("archive", "warm", source(24))
    before = resident()
    peaks.clear()
    found = await store.upload("archive", "large", source(100))
    peaks += [resident() async for _ in store.chunks(found.name)]
    assert found.size == 400 * 1024**2
    assert max(peaks) - before < 150 * 1024**2


# Faults ---------------------------------------------------------------------------------------------------------------


ANSWERS = [
    (Answer(503, "SlowDown"), Kind.THROTTLED),
    (Answer(500, "InternalError"), Kind.UNREACHABLE),
    (Answer(403, "RequestTimeTooSkewed"), Kind.CLOCK_SKEW),
    (Answer(403, "QuotaExceeded"), Kind.FULL),
    (Answer(507, "InsufficientStorage"), Kind.FULL),
    (Answer(501, "NotImplemented"), Kind.UNSUPPORTED),
    (Answer(409, "ConditionalRequestConflict"), Kind.CONTENDED),
    (Answer(301, "PermanentRedirect"), Kind.MISCONFIGURED),
    (Reset(), Kind.UNREACHABLE),
    (Hang(), Kind.TIMED_OUT),
]


@pytest.mark.parametrize(("fault", "kind"), ANSWERS)
async def test_a_create_that_fails_says_why_and_is_not_repeated_behind_our_back(
    broken: BucketStore, proxy: StoreProxy, fault: Any, kind: Kind
) -> None:
    proxy.inject(fault, "PUT")
    with pytest.raises(StoreError, match="archive store eu: a: ") as caught:
        await broken.create("a", b"x")
    assert caught.value.kind is kind
    assert len(proxy.requests) == 1
    proxy.heal()
    assert await broken.create("a", b"x") is Put.CREATED


@pytest.mark.parametrize("fault", [Reset(after=True), Answer(500, "InternalError", after=True)])
async def test_a_create_whose_answer_is_lost_is_found_by_the_next_try(
    broken: BucketStore, proxy: StoreProxy, fault: Any
) -> None:
    proxy.inject(fault, "PUT", times=1)
    with pytest.raises(StoreError) as caught:
        await broken.create("a", b"mine")
    assert caught.value.kind is Kind.UNREACHABLE
    assert await broken.create("a", b"mine") is Put.TAKEN
    assert await broken.read("a", 10) == b"mine"


async def test_half_a_put_is_nothing(broken: BucketStore, proxy: StoreProxy, store: BucketStore) -> None:
    proxy.inject(Half(), "PUT", times=1)
    with pytest.raises(StoreError) as caught:
        await broken.create("a", b"x" * 100_000)
    assert caught.value.kind is Kind.UNREACHABLE
    assert await store.stat("a") is None
    assert await listed(store) == []
    assert await store.create("a", b"x") is Put.CREATED


@pytest.mark.parametrize("fault", [Reset(), Hang(), Answer(503, "SlowDown"), Truncate(2)])
async def test_a_read_that_fails_says_why(broken: BucketStore, proxy: StoreProxy, fault: Any) -> None:
    await broken.create("a", b"12345")
    proxy.inject(fault, "GET")
    with pytest.raises(StoreError, match="archive store eu: a: ") as caught:
        await broken.read("a", 10)
    assert caught.value.kind in (Kind.UNREACHABLE, Kind.TIMED_OUT, Kind.THROTTLED)


async def test_a_part_of_a_blob_is_sent_and_read_again(
    broken: BucketStore, proxy: StoreProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy.inject(Answer(503, "SlowDown"), "PUT", "partNumber=2", times=1)
    data = os.urandom(module.PART + module.CHUNK)
    found = await broken.upload("archive", "blob", streamed(data, data))
    proxy.inject(Answer(503, "SlowDown"), "GET", times=1)
    proxy.inject(Reset(), "GET", times=1)
    assert await whole(broken, found.name) == data * 2


async def test_a_blob_whose_parts_do_not_get_through_is_never_seen(
    broken: BucketStore, proxy: StoreProxy, store: BucketStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "_TRIES", 1)
    proxy.inject(Answer(500, "InternalError"), "PUT", "partNumber=2")
    failing = BucketStore(broken._config)
    with pytest.raises(StoreError, match="archive store eu: archive/") as caught:
        await failing.upload("archive", "blob", streamed(*(b"x" * module.PART for _ in range(4))))
    assert caught.value.kind is Kind.UNREACHABLE
    assert await listed(store) == []


async def test_what_is_changed_on_its_way_to_the_store_is_refused(broken: BucketStore, proxy: StoreProxy) -> None:
    proxy.inject(Corrupt(sent=True), "PUT")
    with pytest.raises(StoreError) as caught:
        await broken.create("a", b"x")
    assert caught.value.status == 400
    proxy.heal()
    assert await broken.stat("a") is None


async def test_what_is_changed_on_its_way_back_is_seen_by_the_digest(broken: BucketStore, proxy: StoreProxy) -> None:
    found = await broken.upload("archive", "blob", streamed(b"12345"))
    proxy.inject(Corrupt(), "GET")
    assert hashlib.sha256(await whole(broken, found.name)).hexdigest() != found.sha256


async def test_an_object_that_is_overwritten_while_it_is_read_is_said(
    store: BucketStore, server: S3Server, data: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK", 4)
    await store.create("a", b"12345678")
    chunks = store.chunks("a")
    assert await anext(chunks) == b"1234"
    bucket = data["url"].split("/")[2]
    server.ask("PUT", f"{bucket}/agents/a", b"abcdefgh").raise_for_status()
    with pytest.raises(StoreError, match="it was overwritten while it was read") as caught:
        await anext(chunks)
    assert caught.value.kind is Kind.CHANGED


async def test_a_certificate_of_nobody_is_refused_and_one_of_the_authority_taken(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "pki")
    with S3Server(authority) as secure:
        described = {
            "name": "eu",
            "url": f"s3://{secure.bucket()}",
            "region": REGION,
            "endpoint": secure.endpoint,
            "credentialsDir": str(secure.secret(tmp_path / "secret")),
        }
        store = bucket_store(described)
        with pytest.raises(
            StoreError, match="its certificate is not trusted: name the certificates to trust"
        ) as caught:
            await store.create("a", b"x")
        assert caught.value.kind is Kind.MISCONFIGURED
        trusting = bucket_store(described, caFile=str(authority.cert_file))
        assert await trusting.create("a", b"x") is Put.CREATED
        found = await proof.prove(trusting, look=retention.looking(trusting._config, trusting))
        assert found.mode is Mode.READY


async def test_a_server_that_comes_back_has_what_it_had(store: BucketStore, server: S3Server) -> None:
    assert await store.create("a", b"x") is Put.CREATED
    await asyncio.to_thread(server.stop)
    try:
        with pytest.raises(StoreError, match=r"no connection|the connection broke") as caught:
            await store.create("b", b"x")
        assert caught.value.kind is Kind.UNREACHABLE
        assert (await proof.prove(store)).reason == "Unreachable"
    finally:
        await asyncio.to_thread(server.start)
    assert await store.create("a", b"y") is Put.TAKEN
    assert await store.create("b", b"y") is Put.CREATED


KILLED = (
    WRITER
    + """
import os, signal
from aiagent_operator.runtime.archive import config
from aiagent_operator.runtime.archive.bucket import PART
from aiagent_operator.runtime.archive.opening import opened

async def source():
    for _ in range(4):
        yield b"x" * PART
    os.kill(os.getpid(), signal.SIGKILL)

data = json.loads(sys.argv[1])
asyncio.run(opened(config.read(data, [data["endpoint"]])).upload("archive", "blob", source()))
"""
)


async def test_a_writer_that_is_killed_leaves_nothing_to_be_seen(store: BucketStore, data: dict[str, Any]) -> None:
    command = [sys.executable, "-c", f"import json\n{KILLED}", json.dumps(data)]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert await listed(store) == []


async def test_wrong_credentials_are_said_and_mended_without_a_restart(
    data: dict[str, Any], server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aiagent_operator.runtime.archive.credentials.REFRESH", timedelta(seconds=1))
    folder = Path(data["credentialsDir"])
    (folder / "secret-access-key").write_text("wrong-canary")
    store = bucket_store(data)
    for work in (store.create("a", b"x"), store.read("a", 1), listed(store)):
        with pytest.raises(StoreError, match="see whether the credentials are right") as caught:
            await work
        assert (caught.value.kind, caught.value.status) == (Kind.DENIED, 403)
        assert "canary" not in str(caught.value)
    (folder / "secret-access-key").write_text(server.secret_key)
    await asyncio.sleep(1.5)
    assert await store.create("a", b"x") is Put.CREATED
    (folder / "secret-access-key").unlink()
    await asyncio.sleep(1.5)
    with pytest.raises(StoreError, match="has no access-key-id and secret-access-key: mount a Secret") as caught:
        await store.read("a", 1)
    assert caught.value.kind is Kind.MISCONFIGURED


async def test_a_bucket_that_is_not_there_and_a_store_that_is_down(data: dict[str, Any], server: S3Server) -> None:
    store = bucket_store(data, url="s3://nowhere-at-all")
    for work in (store.create("a", b""), store.read("a", 1), listed(store)):
        with pytest.raises(StoreError, match=r"see whether bucket, region|create it, or mend url") as caught:
            await work
        assert caught.value.kind is Kind.MISCONFIGURED
    down = bucket_store(data, endpoint="http://127.0.0.1:9")
    for work in (down.create("a", b""), down.read("a", 1), down.stat("a"), listed(down)):
        with pytest.raises(StoreError, match="no connection") as caught:
            await work
        assert caught.value.kind is Kind.UNREACHABLE


async def test_what_the_environment_says_leads_nowhere_else(
    data: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("AWS_ENDPOINT", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    for variable, value in (
        ("AWS_ACCESS_KEY_ID", "other"),
        ("AWS_SECRET_ACCESS_KEY", "other"),
        ("AWS_SESSION_TOKEN", "other"),
        ("AWS_SKIP_SIGNATURE", "true"),
        ("AWS_CONDITIONAL_PUT", "disabled"),
        ("AWS_REGION", "us-west-2"),
        ("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "true"),
    ):
        monkeypatch.setenv(variable, value)
    store = bucket_store(data)
    assert await store.create("a", b"x") is Put.CREATED
    assert await store.create("a", b"y") is Put.TAKEN


async def test_no_secret_is_in_a_repr_or_an_error(
    data: dict[str, Any], proxy: StoreProxy, server: S3Server, capfd: pytest.CaptureFixture[str]
) -> None:
    """In every error that a fault brings about, with all its causes, and in everything that is printed."""
    store = bucket_store(data, endpoint=proxy.url, timeout="1s")
    texts = [repr(store), repr(vars(store)), repr(store._clients), str(store._config)]
    faults = [Answer(403, "SignatureDoesNotMatch"), Answer(500), Reset(), Hang(), Answer(400, "x"), Truncate(1)]
    look = retention.looking(store._config, store)
    assert look is not None
    for fault in faults:
        proxy.heal()
        proxy.inject(fault)
        for work in (store.create("a", b"x"), store.read("a", 1), store.stat("a"), listed(store), look("a")):
            try:
                await work
            except StoreError as error:
                cause: BaseException | None = error
                while cause is not None:
                    texts += [str(cause), repr(cause)]
                    cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    assert len(texts) > 2 * len(faults) * 3
    texts += capfd.readouterr()
    for text in texts:
        assert server.secret_key not in text
        assert "X-Amz-Signature" not in text


# Proof ----------------------------------------------------------------------------------------------------------------


async def test_the_server_is_proved_and_keeps_one_object_a_day(store: BucketStore) -> None:
    look = retention.looking(store._config, store)
    for _ in range(2):
        found = await proof.prove(store, look=look)
        assert (found.mode, found.warnings, found.versioned, found.lock) == (Mode.READY, (), None, None)
        assert found.skew is not None
        assert abs(found.skew) < timedelta(seconds=30)
    assert await listed(store) == [f"proof/{found.at:%Y-%m-%d}.json"]


async def test_a_server_that_ignores_the_condition_is_found_out(
    broken: BucketStore, proxy: StoreProxy, data: dict[str, Any]
) -> None:
    """As older S3-compatible stores do: the proxy answers for it."""
    proxy.inject(Answer(200), "PUT")
    found = await proof.prove(broken)
    assert (found.mode, found.reason) == (Mode.UNUSABLE, "NotConditional")


async def test_a_clock_that_is_off_is_noticed(broken: BucketStore, proxy: StoreProxy) -> None:
    proxy.inject(Headers({"Date": "Sun, 22 Nov 2020 09:00:00 GMT"}), "HEAD")
    found = await proof.prove(broken, look=retention.looking(broken._config, broken))
    assert found.mode is Mode.READY
    assert "behind the operator's" in found.warnings[0]


async def test_where_writes_are_denied_it_can_still_be_read(broken: BucketStore, proxy: StoreProxy) -> None:
    proxy.inject(Answer(403, "AccessDenied"), "PUT")
    found = await proof.prove(broken)
    assert found.mode is Mode.READ_ONLY
    assert "the store answers 403 AccessDenied" in found.message


async def test_what_the_default_retention_of_a_bucket_locks_cannot_be_deleted(
    server: S3Server, data: dict[str, Any]
) -> None:
    """Also by the root account, since neither record nor blob was sent with a lock of its own."""
    name = server.bucket(locked_days=2)
    store = bucket_store(data, url=f"s3://{name}/agents")
    await store.create("record", b"x")
    blob = await store.upload("archive", "blob", streamed(*(b"x" * module.PART for _ in range(2))))
    for each in ("record", blob.name):
        version = server.ask("HEAD", f"{name}/agents/{each}").headers["x-amz-version-id"]
        refused = server.ask("DELETE", f"{name}/agents/{each}?versionId={version}")
        assert (refused.status_code, "AccessDenied" in refused.text) == (403, True)
        assert await store.stat(each) is not None


async def test_a_lock_that_the_store_shows_is_in_the_verdict(server: S3Server, data: dict[str, Any]) -> None:
    """This server shows a lock that an object was sent with, and not its bucket's; Amazon S3 shows both."""
    name = server.bucket(locked_days=1)
    store = bucket_store(data, url=f"s3://{name}/agents")
    now = datetime.now(UTC).replace(microsecond=0)
    lock = {
        "x-amz-object-lock-mode": "COMPLIANCE",
        "x-amz-object-lock-retain-until-date": f"{now + timedelta(days=9):%Y-%m-%dT%H:%M:%SZ}",
        "Content-MD5": base64.b64encode(hashlib.md5(b"{}", usedforsecurity=False).digest()).decode(),
    }
    server.ask("PUT", f"{name}/agents/proof/{now:%Y-%m-%d}.json", b"{}", **lock).raise_for_status()
    found = await proof.prove(store, look=retention.looking(store._config, store), now=lambda: now)
    assert (found.mode, found.versioned) == (Mode.READY, True)
    assert found.lock == Lock("COMPLIANCE", now + timedelta(days=9))
    assert "new objects are locked (COMPLIANCE) until" in found.message


async def test_a_record_is_locked_where_the_configuration_says_so(server: S3Server, data: dict[str, Any]) -> None:
    name = server.bucket(locked_days=1)
    store = bucket_store(data, url=f"s3://{name}/agents", lockMode="Compliance", retention="720h")
    assert await store.create("record", b"x") is Put.CREATED
    assert await store.create("record", b"y") is Put.TAKEN
    assert await store.read("record", 1) == b"x"
    found = server.ask("HEAD", f"{name}/agents/record").headers
    assert found["x-amz-object-lock-mode"] == "COMPLIANCE"
    until = datetime.fromisoformat(found["x-amz-object-lock-retain-until-date"])
    assert timedelta(days=30) <= until - datetime.now(UTC) <= timedelta(days=31)
    refused = server.ask("DELETE", f"{name}/agents/record?versionId={found['x-amz-version-id']}")
    assert (refused.status_code, "AccessDenied" in refused.text) == (403, True)
    assert (await proof.prove(store, look=retention.looking(store._config, store))).mode is Mode.READY
    left = server.ask("HEAD", f"{name}/agents/proof/{datetime.now(UTC):%Y-%m-%d}.json").headers
    assert "x-amz-object-lock-mode" not in left, "what the proof leaves shows what the bucket does"
    blob = await store.upload("archive", "blob", streamed(*(b"x" * module.PART for _ in range(2))))
    assert await store.stat(blob.name) is not None


async def test_a_bucket_without_object_lock_takes_no_locked_record(data: dict[str, Any]) -> None:
    store = bucket_store(data, lockMode="Governance", retention="24h")
    with pytest.raises(StoreError, match="create it with object lock, or leave lockMode out") as caught:
        await store.create("record", b"x")
    assert caught.value.kind is Kind.MISCONFIGURED


async def test_the_headers_of_a_lock_are_signed(data: dict[str, Any], proxy: StoreProxy) -> None:
    """Amazon S3 refuses x-amz-* headers that are not, and this server does not."""
    store = bucket_store(data, endpoint=proxy.url, lockMode="Governance", retention="24h")
    proxy.inject(Answer(200), "PUT")
    await store.create("record", b"x")
    (sent,) = proxy.headers
    signed = sent["Authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
    assert {"x-amz-object-lock-mode", "x-amz-object-lock-retain-until-date", "if-none-match"} <= set(signed)


async def test_a_write_is_not_led_elsewhere(broken: BucketStore, proxy: StoreProxy) -> None:
    proxy.inject(Redirect("http://127.0.0.1:9/latest/meta-data"))
    with pytest.raises(StoreError, match="the store answers 307") as caught:
        await broken.create("a", b"x")
    assert caught.value.kind is Kind.MISCONFIGURED


async def test_a_decision_log_with_hostile_names_gives_its_own_files_and_no_others(
    data: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    key = payload.encryption(payload.new_identity())

    async def given(*_: Any) -> Encryption:
        return key

    monkeypatch.setattr(archivekeys, "encryption", given)
    source, agent = bucket_store(data), AgentIdentity("crm", "triage", "uid")
    own = ("22.jsonl", "2026/11/22.jsonl", "a b", "ü", ".hidden", "$(id)", "x" * 210)
    others = ("crm/triage-2/22.jsonl", "crm/triage.d/22.jsonl", "crm/22.jsonl", "hr/triage/22.jsonl")
    for name in (*(f"crm/triage/{each}" for each in own), *others):
        await obstore.put_async(source._clients.single, f"decisions/{name}", name.encode())
    store = directory(tmp_path)
    # Nothing but the key is asked of the API server, and that is given.
    missed = await Decisions(None, "system", store, agent).take(source, 30)  # type: ignore[arg-type]
    assert missed == ()
    stored, gaps = await captured.noted(store, agent.uid)
    assert gaps == ()
    assert {layout.item(each.path) for each in stored} == {"decisions/22.jsonl", "decisions/2026_2f11_2f22.jsonl"}
