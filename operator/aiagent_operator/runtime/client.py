"""The one way to the API server: plain JSON requests over one connection pool.

Credentials come from the official client's loaders (kubeconfig with its plugins, or the pod's own account with token
rotation). Its generated classes are passed over on purpose: a plain request costs a third of their CPU time.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Self

import aiohttp
import orjson
from kubernetes.aio import config
from kubernetes.aio.client.configuration import Configuration

from aiagent_operator import __version__
from aiagent_operator.runtime import metrics

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"


class ApiError(Exception):
    """The API server's refusal. `status` is the HTTP code, `reason` and `message` are those of its Status object."""

    def __init__(
        self, status: int, reason: str, message: str, body: Mapping[str, Any] | None = None, wait: str = ""
    ) -> None:
        """`wait` is the Retry-After header; the API server's flow control sends nothing else with its 429."""
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message
        self.body = body or {}
        self._wait = float(wait) if wait.isdigit() else None

    @property
    def retry_after(self) -> float | None:
        """Seconds that the API server asked to wait, where it did."""
        seconds = (self.body.get("details") or {}).get("retryAfterSeconds")
        return float(seconds) if seconds else self._wait


class UnreachableError(ApiError):
    """No answer: the connection failed or timed out. Whether a write took effect is unknown; the next pass looks."""

    def __init__(self, message: str) -> None:
        super().__init__(0, "Unreachable", message)


class NoClusterError(RuntimeError):
    """Nothing says where the API server is."""


async def load_configuration() -> Configuration:
    """Credentials in the usual order: KUBECONFIG, the pod's account, ~/.kube/config."""
    configuration = Configuration()
    named = os.environ.get("KUBECONFIG")
    if named:
        await config.load_kube_config(config_file=named, client_configuration=configuration)  # type: ignore[no-untyped-call]
    elif os.environ.get("KUBERNETES_SERVICE_HOST"):
        config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    elif (Path.home() / ".kube" / "config").exists():
        await config.load_kube_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    else:
        raise NoClusterError("no cluster: set KUBECONFIG, or run in a pod with a ServiceAccount token")
    return configuration


class Api:
    """Requests to one API server. To be used in the event loop that made it."""

    def __init__(self, configuration: Configuration, *, connections: int = 100, timeout: float = 30.0) -> None:
        self.configuration = configuration
        self._base = configuration.host.rstrip("/")
        self._timeout = timeout
        self.last_answer = 0.0
        self._told = (datetime.now(UTC), "")
        connector = aiohttp.TCPConnector(limit=connections, ssl=_ssl(configuration), keepalive_timeout=60)
        self._session = aiohttp.ClientSession(
            connector=connector,
            headers={"User-Agent": f"aiagent-operator/{__version__}", "Accept": JSON},
            auto_decompress=True,
            skip_auto_headers=("Accept-Encoding",),
        )

    @classmethod
    async def connect(cls, *, connections: int = 100, timeout: float = 30.0) -> Self:  # noqa: ASYNC109 - of later requests
        """Loads credentials and opens a pool; no request is made yet."""
        return cls(await load_configuration(), connections=connections, timeout=timeout)

    async def close(self) -> None:
        """Closes the pool."""
        await self._session.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        params: Mapping[str, str] | None = None,
        content_type: str = JSON,
        accept: str = JSON,
        timeout: float | None = None,  # noqa: ASYNC109 - passed on to the pool, which knows what is being waited for
    ) -> dict[str, Any]:
        """One request, one decoded answer.

        Raises ApiError where the API server refuses, UnreachableError where no answer comes within `timeout` seconds.
        """
        headers = await self._headers(accept)
        data = None
        if body is not None:
            data = orjson.dumps(body)
            headers["Content-Type"] = content_type
        began, code = time.monotonic(), 0
        try:
            async with self._session.request(
                method,
                self._base + path,
                data=data,
                params=params,
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=timeout or self._timeout),
            ) as response:
                raw = await response.read()
                code = response.status
                wait = response.headers.get("Retry-After", "")
                self._told = (datetime.now(UTC), response.headers.get("Date", ""))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise UnreachableError(f"{method} {path}: {type(error).__name__}: {error}") from error
        finally:
            metrics.observe_request(method, path, code, time.monotonic() - began)
        self.last_answer = time.monotonic()
        return _decoded(method, path, code, raw, wait)

    @property
    def ahead(self) -> timedelta | None:
        """How far this clock was ahead of the API server's at its last answer, to the second; None where it has not
        said what time it is (RFC 9110, Date)."""
        ours, theirs = self._told
        try:
            found = parsedate_to_datetime(theirs)
        except ValueError:
            return None
        return ours - found if found.tzinfo else None

    async def find(self, path: str, *, accept: str = JSON) -> dict[str, Any] | None:
        """The object at the path, or None where there is none. Raises as `request` does otherwise."""
        try:
            return await self.request("GET", path, accept=accept)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    async def watch(self, path: str, params: Mapping[str, str], *, accept: str = JSON) -> AsyncIterator[dict[str, Any]]:
        """Events of one watch until the API server ends it. Raises ApiError (410: start anew) and UnreachableError."""
        headers = await self._headers(accept)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=self._timeout, sock_read=330)
        query = {"watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": "300", **params}
        try:
            async with self._session.get(self._base + path, params=query, headers=headers, timeout=timeout) as response:
                if response.status != 200:
                    _decoded("WATCH", path, response.status, await response.read())
                async for line in _lines(response.content):
                    event = orjson.loads(line)
                    if event["type"] == "ERROR":
                        status = event["object"]
                        raise ApiError(
                            status.get("code", 500), status.get("reason", ""), status.get("message", ""), status
                        )
                    self.last_answer = time.monotonic()
                    yield event
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise UnreachableError(f"WATCH {path}: {type(error).__name__}: {error}") from error

    @contextlib.asynccontextmanager
    async def opened(self, path: str, params: Mapping[str, str]) -> AsyncIterator[AsyncIterator[bytes]]:
        """The body of an answer as it comes, of any size; what the caller leaves of it is not read.

        Raises as `request` does, also while it is read: UnreachableError where nothing comes for too long.
        """
        headers = await self._headers("*/*")
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=self._timeout, sock_read=self._timeout)
        began, code = time.monotonic(), 0
        try:
            response = await self._session.get(self._base + path, params=params, headers=headers, timeout=timeout)
            code = response.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise UnreachableError(f"GET {path}: {type(error).__name__}: {error}") from error
        finally:
            metrics.observe_request("GET", path, code, time.monotonic() - began)
        async with response:
            if code != 200:
                _decoded("GET", path, code, await response.read())
            yield _body(response, path)

    async def _headers(self, accept: str) -> dict[str, str]:
        headers = {"Accept": accept}
        token = await self.configuration.get_api_key_with_prefix("BearerToken", alias="authorization")
        if token:
            headers["Authorization"] = token if " " in token else f"Bearer {token}"
        elif self.configuration.username:
            headers["Authorization"] = str(self.configuration.get_basic_auth_token())
        return headers


async def _body(response: aiohttp.ClientResponse, path: str) -> AsyncIterator[bytes]:
    try:
        async for chunk in response.content.iter_any():
            yield chunk
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise UnreachableError(f"GET {path}: {type(error).__name__}: {error}") from error


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Lines of any length; the stream reader's own iteration stops at its buffer's size."""
    pending = b""
    async for chunk in content.iter_any():
        *whole, pending = (pending + chunk).split(b"\n") if pending else chunk.split(b"\n")
        for line in whole:
            if line:
                yield line


def _decoded(method: str, path: str, code: int, raw: bytes, wait: str = "") -> dict[str, Any]:
    try:
        answer: dict[str, Any] = orjson.loads(raw) if raw else {}
    except orjson.JSONDecodeError:
        answer = {"message": raw[:500].decode(errors="replace")}
    if code >= 400:
        message = answer.get("message") or f"{method} {path}"
        raise ApiError(code, answer.get("reason") or str(code), message, answer, wait)
    return answer


def _ssl(configuration: Configuration) -> ssl.SSLContext | bool:
    if not configuration.host.startswith("https"):
        return True
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert, cadata=configuration.ca_cert_data)
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, keyfile=configuration.key_file)
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if configuration.disable_strict_ssl_verification:
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


async def pages(
    api: Api, path: str, params: Mapping[str, str], *, size: int, accept: str = JSON
) -> AsyncIterator[dict[str, Any]]:
    """A LIST in pages. A continue token that expired on the way (410) raises ApiError: the caller lists anew."""
    query = {**params, "limit": str(size)}
    while True:
        page = await api.request("GET", path, params=query, accept=accept)
        yield page
        token = page.get("metadata", {}).get("continue")
        if not token:
            return
        query["continue"] = token
        await asyncio.sleep(0)
