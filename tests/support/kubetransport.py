"""From a kubeconfig to HTTP requests that answer with JSON or raise what the API server said."""

import base64
import contextlib
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import orjson
import urllib3
import yaml


class ApiError(Exception):
    """The API server refused a request; `status` is the HTTP code, `reason` and `message` are the server's own.

    `body` is the whole answer, a Status object where the API server gave one.
    """

    def __init__(
        self, method: str, url: str, status: int, reason: str, message: str, headers: Mapping[str, str], body: Any
    ) -> None:
        self.method, self.url, self.status, self.reason, self.message = method, url, status, reason, message
        self.headers, self.body = dict(headers), body
        super().__init__(f"{method} {url}: {status} {reason}: {message}")


@dataclass(frozen=True)
class Access:
    """A server, and who one is to it."""

    server: str
    context: ssl.SSLContext | None
    token: str | None
    anonymous: ssl.SSLContext | None = None
    """The same server without a client certificate, for tokens: a certificate would come first."""

    def with_token(self, token: str) -> "Access":
        """The same server, as whom the token says."""
        return Access(self.server, self.anonymous, token, self.anonymous)

    @classmethod
    def read(cls, path: Path) -> "Access":
        """The current context of a kubeconfig; raises ValueError for credentials that need a program to obtain."""
        config = yaml.safe_load(path.read_text())
        contexts = {item["name"]: item["context"] for item in config["contexts"]}
        current = contexts[config["current-context"]]
        cluster = next(item["cluster"] for item in config["clusters"] if item["name"] == current["cluster"])
        user = next(item["user"] for item in config["users"] if item["name"] == current["user"])
        if "exec" in user or "auth-provider" in user:
            raise ValueError(
                f"{path}: user {current['user']!r} obtains its credentials by a program; name a kubeconfig with "
                f"a client certificate or a token instead"
            )
        token = user.get("token")
        if token is None and "tokenFile" in user:
            token = Path(user["tokenFile"]).read_text().strip()
        context = _context(path.parent, cluster, user)
        return cls(cluster["server"].rstrip("/"), context, token, _context(path.parent, cluster, {}))


def _context(base: Path, cluster: dict[str, Any], user: dict[str, Any]) -> ssl.SSLContext | None:
    if cluster["server"].startswith("http://"):
        return None
    authority = _bytes(base, cluster, "certificate-authority")
    context = ssl.create_default_context(cadata=authority.decode() if authority else None)
    if cluster.get("insecure-skip-tls-verify"):
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    certificate, key = _bytes(base, user, "client-certificate"), _bytes(base, user, "client-key")
    if certificate and key:
        with tempfile.NamedTemporaryFile() as file:  # the ssl module reads certificates only from files
            file.write(certificate + b"\n" + key)
            file.flush()
            context.load_cert_chain(file.name)
    return context


def _bytes(base: Path, entry: dict[str, Any], name: str) -> bytes | None:
    if f"{name}-data" in entry:
        return base64.b64decode(entry[f"{name}-data"])
    return (base / entry[name]).read_bytes() if name in entry else None


class Transport:
    """Sends one request at a time per thread through a shared pool of connections."""

    def __init__(self, access: Access, *, headers: Mapping[str, str] | None = None, timeout: float = 30.0) -> None:
        self.access, self._timeout = access, timeout
        self._headers = urllib3.HTTPHeaderDict({"User-Agent": "aiagent-tests"})
        if access.token:
            self._headers["Authorization"] = f"Bearer {access.token}"
        self._headers.extend(headers or {})
        self._pool = urllib3.PoolManager(maxsize=32, ssl_context=access.context, retries=False)

    def impersonating(self, user: str, groups: tuple[str, ...], uid: str | None) -> "Transport":
        """The same credentials, acting as somebody else (they need the right to impersonate)."""
        headers = urllib3.HTTPHeaderDict({"Impersonate-User": user})
        for group in groups:
            headers.add("Impersonate-Group", group)
        if uid is not None:
            headers["Impersonate-Uid"] = uid
        return Transport(self.access, headers=headers, timeout=self._timeout)

    def request(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        params: Mapping[str, str] | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> Any:
        """The decoded answer: JSON where the server says so, else the text. Raises ApiError from 400 on.

        Bytes are sent as they are, anything else as JSON.
        """
        url = self.access.server + path + (f"?{urlencode(params)}" if params else "")
        headers = self._headers.copy()
        headers["Accept"] = accept
        if body is not None:
            headers["Content-Type"] = content_type
        data = body if body is None or isinstance(body, bytes) else orjson.dumps(body)
        answer = self._pool.request(method, url, body=data, headers=headers, timeout=self._timeout)
        content: Any = answer.data.decode(errors="replace")
        if "json" in answer.headers.get("Content-Type", ""):
            content = orjson.loads(answer.data)
        if answer.status >= 400:
            status = content if isinstance(content, dict) else {}
            message = status.get("message") or str(content)
            raise ApiError(method, path, answer.status, status.get("reason", ""), message, answer.headers, content)
        return content

    def close(self) -> None:
        """Close the connections."""
        with contextlib.suppress(OSError):  # a connection whose server was killed may fail to close
            self._pool.clear()
