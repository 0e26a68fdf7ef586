"""Credentials from the files of a mounted Secret, read anew every few minutes, since they are rotated.

They are never kept in a configuration, a repr or a message: those name files only.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from aiagent_operator.runtime.archive.config import Scheme, StoreConfig
from aiagent_operator.runtime.archive.errors import Kind, StoreError

SERVICE_ACCOUNT: Final = "service-account.json"
"""The file for Google Cloud Storage, a service account key as the provider writes it."""

REFRESH: Final = timedelta(minutes=10)
"""After so long they are read again. A rotated Secret reaches the pod within about a minute (kubelet's sync period)."""

_MOST: Final = 16_384
# For each kind, the sets of files that will do: the name of the file, and what the library calls what is in it.
_SETS: Final[Mapping[Scheme, tuple[Mapping[str, str], ...]]] = {
    Scheme.S3: ({"access-key-id": "access_key_id", "secret-access-key": "secret_access_key"},),
    Scheme.AZURE: ({"account-key": "access_key"}, {"sas-token": "sas_token"}),
}
_OPTIONAL: Final[Mapping[Scheme, Mapping[str, str]]] = {Scheme.S3: {"session-token": "token"}}


class Credentials:
    """Called by the library whenever it needs credentials. Raises StoreError, which `problem` keeps until it is mended.

    The library turns what is raised here into an error of its own, in which the cause cannot be told any more.
    """

    def __init__(self, config: StoreConfig, folder: Path) -> None:
        self._config = config
        self._folder = folder
        self.problem: StoreError | None = None

    def __repr__(self) -> str:
        return f"Credentials({str(self._folder)!r})"

    def __call__(self) -> dict[str, Any]:
        try:
            found = self._read()
        except StoreError as error:
            self.problem = error
            raise
        self.problem = None
        return {**found, "expires_at": datetime.now(UTC) + REFRESH}

    def _read(self) -> dict[str, str]:
        sets = _SETS[self._config.scheme]
        chosen = next((each for each in sets if all((self._folder / file).exists() for file in each)), None)
        if chosen is None:
            wanted = " or ".join(" and ".join(each) for each in sets)
            raise self._error(f"has no {wanted}")
        optional = _OPTIONAL.get(self._config.scheme, {})
        return {field: self._text(file) for file, field in chosen.items()} | {
            field: self._text(file) for file, field in optional.items() if (self._folder / file).exists()
        }

    def _text(self, file: str) -> str:
        try:
            with (self._folder / file).open("rb") as found:
                text = found.read(_MOST + 1).decode("ascii").strip()
        except UnicodeDecodeError:
            # Without its cause, which would quote the secret.
            raise self._error(f"has a file {file} that is no plain text") from None
        except OSError as error:
            raise self._error(f"has a file {file} that cannot be read ({error.strerror})") from error
        if not text or len(text) > _MOST or not text.isprintable() or " " in text:
            raise self._error(f"has a file {file} that is empty, too long, or more than one word")
        return text

    def _error(self, what: str) -> StoreError:
        return StoreError(
            Kind.MISCONFIGURED,
            self._config.name,
            "",
            f"credentialsDir {self._folder} {what}",
            "mount a Secret with the files that docs/archive-store.md names",
        )
