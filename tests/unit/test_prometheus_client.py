"""The client of Prometheus, before servers that hang, lie, redirect or answer without end."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from aiagent_operator.core.evaluation.answer import number
from aiagent_operator.runtime.prometheus import MOST_BYTES, Prometheus, PrometheusError
from support.localcluster.certs import Authority


async def value(client: Prometheus, query: str = "up") -> str:
    """The number that a query gives."""
    return str(number(await client.query(query, namespace="crm")).value)


class Odd:
    """A server of the test's own: answers as it is told, and remembers what it was asked."""

    def __init__(self) -> None:
        self.requests: list[web.Request] = []
        self.handler: Any = None
        self.url = ""
        self.ends = asyncio.Event()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        response: web.StreamResponse = await self.handler(request)
        return response

    def says(self, text: str, status: int = 200, kind: str = "application/json", **headers: str) -> None:
        async def handler(request: web.Request) -> web.Response:
            return web.Response(text=text, status=status, content_type=kind, headers=headers)

        self.handler = handler


async def serving(odd: Odd, context: ssl.SSLContext | None = None) -> AsyncIterator[Odd]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", odd.answer)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    port = runner.addresses[0][1]
    odd.url = f"https://localhost:{port}" if context else f"http://127.0.0.1:{port}"
    yield odd
    odd.ends.set()
    await runner.cleanup()


@pytest.fixture
async def odd() -> AsyncIterator[Odd]:
    async for server in serving(Odd()):
        yield server


OK = '{"status":"success","data":{"resultType":"scalar","result":[1.5,"2"]}}'


async def ask(odd: Odd, **options: Any) -> str:
    async with Prometheus([odd.url], timeout=1, **options) as client:
        return await value(client, "up")


async def test_the_request(odd: Odd) -> None:
    odd.says(OK)
    async with Prometheus([f"{odd.url}/tenant/"]) as client:
        assert await value(client, 'up{a="triage"}') == "2"
    (request,) = odd.requests
    assert (request.method, request.path) == ("GET", "/tenant/api/v1/query")
    assert dict(request.query) == {"query": 'up{a="triage"}', "namespace": "crm", "timeout": "30s"}
    assert not {"Authorization", "Cookie"} & set(request.headers)
    assert request.headers["User-Agent"].startswith("aiagent-operator/")


ODD: list[tuple[str, int, str, dict[str, str], str]] = [
    ("<html>", 503, "text/html", {}, "answers 503 with text/html, not with JSON"),
    ("<html>", 200, "text/html", {}, "answers 200 with text/html, not with JSON: is it the address of a Prometheus"),
    ("no healthy upstream", 503, "text/plain", {}, "answers 503 with text/plain"),
    (
        '{"status":"error","errorType":"unavailable","error":"starting"}',
        503,
        "application/json",
        {},
        r"Prometheus answers unavailable: starting \(HTTP 503\)",
    ),
    (OK, 503, "application/json", {}, "answers 503 and success at once"),
    (OK, 302, "application/json", {"Location": "/elsewhere"}, "answers 302, a redirect, which is not followed"),
    (OK, 307, "text/html", {"Location": "http://169.254.169.254/"}, "answers 307, a redirect, which is not followed"),
    ("{", 200, "application/json", {}, "answers 200 with what is not JSON"),
    ("[" * 5000, 200, "application/json", {}, "answers 200 with what is not JSON"),
    ("", 200, "application/json", {}, "answers 200 with what is not JSON"),
    ("{}", 200, "application/json", {}, "has no status success with data"),
    ("x", 200, "application/json", {"Content-Encoding": "br"}, "application/json compressed, not with JSON"),
]


@pytest.mark.parametrize(("text", "status", "kind", "headers", "message"), ODD)
async def test_odd_answers(odd: Odd, text: str, status: int, kind: str, headers: dict[str, str], message: str) -> None:
    odd.says(text, status, kind, **headers)
    with pytest.raises(PrometheusError, match=message):
        await ask(odd)
    assert len(odd.requests) == 1, "nothing is followed and nothing tried again"


async def test_a_server_that_hangs(odd: Odd) -> None:
    async def hang(request: web.Request) -> web.Response:
        await odd.ends.wait()
        return web.Response()

    odd.handler = hang
    with pytest.raises(PrometheusError, match="did not answer within 1 s"):
        await ask(odd)


async def test_a_server_that_hangs_in_the_middle(odd: Odd) -> None:
    async def hang(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        for letter in OK:
            await response.write(letter.encode())
            await asyncio.sleep(0.4)
        return response

    odd.handler = hang
    with pytest.raises(PrometheusError, match="did not answer within 1 s"):
        await ask(odd)


async def test_nobody_listens() -> None:
    async with Prometheus(["http://127.0.0.1:9"], timeout=1) as client:
        with pytest.raises(PrometheusError, match=r"http://127\.0\.0\.1:9 cannot be asked: ClientConnector"):
            await value(client, "up")


async def test_an_answer_that_says_it_is_too_large(odd: Odd) -> None:
    odd.says(OK + " " * MOST_BYTES)
    with pytest.raises(PrometheusError, match=f"answers with more than {MOST_BYTES} bytes: aggregate in the query"):
        await ask(odd)


async def test_the_largest_answer(odd: Odd) -> None:
    odd.says(OK + " " * (MOST_BYTES - len(OK)))
    assert await ask(odd) == "2"


async def test_an_answer_without_end_is_not_read_to_its_end(odd: Odd) -> None:
    sent, gone = 0, asyncio.Event()

    async def flood(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        try:
            while True:
                await response.write(b" " * 65_536)
                sent += 65_536
        finally:
            gone.set()

    odd.handler = flood
    with pytest.raises(PrometheusError, match="answers with more than"):
        await ask(odd)
    await asyncio.wait_for(gone.wait(), 10)
    assert sent < 16 * MOST_BYTES, "the connection was closed, beyond what buffers of the kernel hold"


async def test_an_author_reaches_nobody_else(odd: Odd) -> None:
    odd.says(OK)
    for allowed in ([], ["http://prometheus.monitoring:9090"]):
        async with Prometheus(allowed) as client:
            with pytest.raises(PrometheusError, match="AIAGENT_PROMETHEUS_ADDRESSES"):
                await client.query("up", namespace="crm", address=odd.url)
    assert not odd.requests


async def test_the_environment_names_no_proxy(odd: Odd, monkeypatch: pytest.MonkeyPatch) -> None:
    odd.says(OK)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert await ask(odd) == "2"


# TLS ------------------------------------------------------------------------------------------------------------------


@pytest.fixture
async def secure(tmp_path: Path) -> AsyncIterator[tuple[Odd, Path]]:
    authority = Authority(tmp_path / "pki")
    pair = authority.server("prometheus", ["localhost"])
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*pair)
    async for server in serving(Odd(), context):
        server.says(OK)
        yield server, authority.cert_file


async def test_tls_with_a_token(secure: tuple[Odd, Path], tmp_path: Path) -> None:
    odd, ca_file = secure
    token = tmp_path / "token"
    token.write_text("one\n")
    async with Prometheus([odd.url], ca_file=ca_file, token_file=token) as client:
        await value(client, "up")
        token.write_text("two\n")
        await value(client, "up")
    assert [request.headers["Authorization"] for request in odd.requests] == ["Bearer one", "Bearer two"]


async def test_a_certificate_of_nobody_is_refused(secure: tuple[Odd, Path]) -> None:
    odd, _ = secure
    with pytest.raises(PrometheusError, match="cannot be asked: ClientConnectorCertificateError"):
        await ask(odd)
    assert not odd.requests


async def test_a_certificate_of_another_name_is_refused(secure: tuple[Odd, Path]) -> None:
    odd, ca_file = secure
    odd.url = odd.url.replace("localhost", "127.0.0.2")
    with pytest.raises(PrometheusError, match="cannot be asked"):
        await ask(odd, ca_file=ca_file)
    assert not odd.requests


async def test_a_token_is_not_sent_in_the_clear(odd: Odd, tmp_path: Path) -> None:
    odd.says(OK)
    (tmp_path / "token").write_text("secret")
    await ask(odd, token_file=tmp_path / "token")
    assert "Authorization" not in odd.requests[0].headers


async def test_a_token_that_is_missing_is_said(secure: tuple[Odd, Path], tmp_path: Path) -> None:
    odd, ca_file = secure
    with pytest.raises(PrometheusError, match="cannot be asked: FileNotFoundError"):
        await ask(odd, ca_file=ca_file, token_file=tmp_path / "none")
