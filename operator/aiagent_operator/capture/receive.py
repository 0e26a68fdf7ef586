"""Fetches a stream from the operator, and says whether all of it has come."""

from __future__ import annotations

import http.client
from http import HTTPStatus
from types import TracebackType
from typing import Final, Self

from aiagent_operator.capture.send import PATIENCE, SendError, connection

_LONGEST: Final = 1000
_PIECE: Final = 256 * 1024


class Receiving:
    """One request; `read` gives what comes. Whatever fails is a SendError, in words for who reads the Job."""

    def __init__(self, url: str, certificate: str, token: str) -> None:
        """`certificate`: the only one, as PEM, that whoever answers may show."""
        self._connection, self._path = connection(url, certificate, PATIENCE)
        self._token = token
        self._response: http.client.HTTPResponse | None = None

    def __enter__(self) -> Self:
        try:
            self._connection.request("GET", self._path, headers={"Authorization": f"Bearer {self._token}"})
            self._response = self._connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise SendError(f"the operator is not to be reached: {error}") from error
        if self._response.status != HTTPStatus.OK:
            text = self._response.read(_LONGEST).decode(errors="replace").strip()
            raise SendError(f"the operator refused ({self._response.status}): {text}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._connection.close()

    def read(self, size: int) -> bytes:
        """At most so many bytes, none at the end. Raises SendError where it broke off."""
        if self._response is None:
            return b""
        try:
            return self._response.read(size)
        except (OSError, http.client.HTTPException) as error:
            raise SendError(f"the stream from the operator broke off: {type(error).__name__}") from error

    def rest(self) -> None:
        """Takes what is left, up to the end: only that says that nothing is missing. Raises SendError."""
        while self.read(_PIECE):
            pass
