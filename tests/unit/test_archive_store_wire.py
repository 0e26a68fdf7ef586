"""What goes over the wire to Google Cloud Storage and Azure, of which there is no server to test with."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from aiagent_operator.runtime.archive import config
from aiagent_operator.runtime.archive.errors import Kind, StoreError
from aiagent_operator.runtime.archive.opening import opened
from aiagent_operator.runtime.archive.store import Put, Store
from support.archive import streamed, whole
from support.storeproxy import Answer, StoreProxy

# A key that the library takes, for a server that asks for none.
GOOGLE = {"private_key": "", "private_key_id": "", "client_email": "", "disable_oauth": True}
FILES = {
    "gs": {"service-account.json": json.dumps(GOOGLE | {"gcs_base_url": "http://127.0.0.1:9"})},
    "az": {"account-key": "Y2FuYXJ5Y2FuYXJ5"},
}
URLS = {"gs": "gs://acme-archive/agents", "az": "az://acme/archive/agents"}
CONDITION = {"gs": ("x-goog-if-generation-match", "0"), "az": ("If-None-Match", "*")}
ELSEWHERE = {
    "GOOGLE_BASE_URL": "http://127.0.0.1:9",
    "GOOGLE_SKIP_SIGNATURE": "true",
    "AZURE_STORAGE_ENDPOINT": "http://127.0.0.1:9",
    "AZURE_ENDPOINT": "http://127.0.0.1:9",
    "AZURE_STORAGE_USE_EMULATOR": "true",
    "AZURE_SKIP_SIGNATURE": "true",
    "AZURE_STORAGE_ACCOUNT_NAME": "other",
}


@pytest.fixture
async def proxy() -> AsyncIterator[StoreProxy]:
    """Answers by itself: nothing is behind it."""
    async with StoreProxy("http://127.0.0.1:9") as found:
        yield found


@pytest.fixture(params=["gs", "az"])
def scheme(request: pytest.FixtureRequest) -> str:
    """Google Cloud Storage, and Azure."""
    return str(request.param)


@pytest.fixture
def store(scheme: str, proxy: StoreProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store whose endpoint is the proxy, in an environment that would lead it elsewhere."""
    for variable, value in ELSEWHERE.items():
        monkeypatch.setenv(variable, value)
    for file, content in FILES[scheme].items():
        (tmp_path / file).write_text(content)
    data: dict[str, Any] = {
        "name": "eu",
        "url": URLS[scheme],
        "endpoint": proxy.url,
        "credentialsDir": str(tmp_path),
        "timeout": "5s",
    }
    return opened(config.read(data, [proxy.url]))


async def test_a_create_asks_for_a_name_that_is_free(store: Store, scheme: str, proxy: StoreProxy) -> None:
    proxy.inject(Answer(201), "PUT")
    assert await store.create("journal/8f/1.json", b"{}") is Put.CREATED
    ((method, path),) = proxy.requests
    name, value = CONDITION[scheme]
    assert (method, proxy.headers[0].get(name)) == ("PUT", value)
    assert unquote(path).startswith(f"/{'acme-archive' if scheme == 'gs' else 'archive'}/agents/journal")


@pytest.mark.parametrize("answer", [Answer(412, "ConditionNotMet"), Answer(409, "BlobAlreadyExists")])
async def test_a_name_that_is_taken(store: Store, proxy: StoreProxy, answer: Answer) -> None:
    proxy.inject(answer, "PUT")
    assert await store.create("a", b"x") is Put.TAKEN


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Answer(403, "AuthenticationFailed"), Kind.DENIED),
        (Answer(404, "ContainerNotFound"), Kind.MISCONFIGURED),
        (Answer(404, "NoSuchBucket"), Kind.MISCONFIGURED),
        (Answer(503, "ServerBusy"), Kind.THROTTLED),
        (Answer(500, "InternalError"), Kind.UNREACHABLE),
        (Answer(429), Kind.THROTTLED),
    ],
)
async def test_a_create_that_fails_says_why(store: Store, proxy: StoreProxy, answer: Answer, kind: Kind) -> None:
    proxy.inject(answer, "PUT")
    with pytest.raises(StoreError, match="archive store eu: a: the store answers") as caught:
        await store.create("a", b"x")
    assert caught.value.kind is kind
    assert len(proxy.requests) == 1


async def test_a_purge_of_what_is_not_there_is_no_error(store: Store, proxy: StoreProxy) -> None:
    proxy.inject(Answer(404, "NoSuchKey"))
    await store.delete("a")
    assert proxy.requests


async def test_a_blob_has_a_random_name(store: Store, proxy: StoreProxy) -> None:
    """What keeps it from overwriting anything, where its upload has no condition."""
    proxy.inject(Answer(201), "PUT")
    for _ in range(2):
        with pytest.raises(StoreError):
            await store.upload("archive", "blob", streamed(b"x"))
    names = {path for method, path in proxy.requests if method == "PUT"}
    assert len(names) == 2


async def test_what_is_missing_is_said(store: Store, proxy: StoreProxy) -> None:
    proxy.inject(Answer(404, "NoSuchKey"))
    assert await store.stat("a") is None
    with pytest.raises(StoreError) as caught:
        await whole(store, "a")
    assert caught.value.kind is Kind.MISSING
