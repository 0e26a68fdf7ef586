"""Sends a payload to the operator while it is being made, and hears whether all of it has come."""

from __future__ import annotations

import hashlib
import http.client
import ssl
from http import HTTPStatus
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

from aiagent_operator.core.archive import sending
from aiagent_operator.core.archive.sending import Packed

PATIENCE: Final = 900.0
"""Seconds that the operator may take to accept more, or to answer: others may be before this one."""

_LONGEST: Final = 1000


class SendError(Exception):
    """The payload is not with the operator; the message says why."""


def connection(url: str, certificate: str, patience: float) -> tuple[http.client.HTTPSConnection, str]:
    """A connection to the operator, not opened yet, and the path. `patience`: seconds that it may take to say more.

    Raises SendError for another address than https://<host>:<port>/."""
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or not parts.port:
        raise SendError(f"{url} is not the address of the operator: https://<host>:<port>/...")
    # None of the system's authorities, whatever they have signed.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(cadata=certificate)
    return http.client.HTTPSConnection(parts.hostname, parts.port, timeout=patience, context=context), parts.path


class Sending:
    """One request. `write` gives it bytes of the payload, `finish` ends it."""

    def __init__(self, url: str, certificate: str, token: str) -> None:
        """`certificate`: the only one, as PEM, that whoever answers may show. Raises SendError for another address than
        https://<host>:<port>/."""
        self._connection, self._path = connection(url, certificate, PATIENCE)
        self._token = token
        self._digest, self._size = hashlib.sha256(), 0

    def __enter__(self) -> Self:
        try:
            self._connection.putrequest("PUT", self._path, skip_accept_encoding=True)
            self._connection.putheader("Authorization", f"Bearer {self._token}")
            self._connection.putheader("Content-Type", "application/age")
            self._connection.putheader("Transfer-Encoding", "chunked")
            self._connection.endheaders()
        except OSError as error:
            raise SendError(f"the operator is not to be reached: {error}") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._connection.close()

    def write(self, piece: bytes) -> None:
        """Sends so many bytes more. Raises SendError."""
        self._digest.update(piece)
        self._size += len(piece)
        self._chunk(piece)

    def finish(self, packed: Packed) -> None:
        """Says that this was all, and waits until the operator says that it has it. Raises SendError."""
        self._chunk(sending.tail(self._size, self._digest.digest(), packed))
        self._chunk(b"")
        try:
            answer = self._answer()
        except (OSError, http.client.HTTPException) as error:
            raise SendError(f"the operator did not say that it has all of it: {error}") from error
        if answer:
            raise SendError(answer)

    def _chunk(self, piece: bytes) -> None:
        try:
            self._connection.send(b"%x\r\n%b\r\n" % (len(piece), piece))
        except OSError as error:
            raise SendError(self._why(error)) from error

    def _why(self, error: OSError) -> str:
        """Whoever refuses a request says so, and takes no more of it: then that is why the connection broke."""
        try:
            return self._answer() or f"the operator took no more: {error}"
        except (OSError, http.client.HTTPException):
            return f"the connection to the operator broke: {error}"

    def _answer(self) -> str:
        """Why the operator has refused; empty where it has taken all."""
        response = self._connection.getresponse()
        text = response.read(_LONGEST).decode(errors="replace").strip()
        return "" if response.status == HTTPStatus.OK else f"the operator refused ({response.status}): {text}"
