"""What an S3-compatible store says of an object that its library does not pass on: locks, versions, and the time.

Blobs are locked by the default retention of their bucket alone (see `clients.locking`), and this looks whether it does.
Amazon S3 says so of an object to whoever has `s3:GetObjectRetention` (API Reference, "HeadObject").
"""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

import aiohttp
from multidict import CIMultiDictProxy
from yarl import URL

from aiagent_operator.core.untrusted import line
from aiagent_operator.runtime.archive import answers
from aiagent_operator.runtime.archive.bucket import BucketStore
from aiagent_operator.runtime.archive.config import Scheme, StoreConfig
from aiagent_operator.runtime.archive.errors import Kind, StoreError
from aiagent_operator.runtime.archive.proof import Look, Seen
from aiagent_operator.runtime.archive.verdict import Lock

_SECONDS: Final = 60.0
_MODE: Final = "x-amz-object-lock-mode"
_UNTIL: Final = "x-amz-object-lock-retain-until-date"
_VERSION: Final = "x-amz-version-id"


def looking(config: StoreConfig, store: BucketStore) -> Look | None:
    """How to ask this store about an object; None where only its own console tells (Google Cloud Storage, Azure)."""
    if config.scheme is not Scheme.S3:
        return None

    async def look(name: str) -> Seen:
        url = await store.signed(name, _SECONDS)
        context = ssl.create_default_context(cafile=config.ca_file)
        try:
            async with (
                aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context), trust_env=True) as session,
                session.head(
                    URL(url, encoded=True), allow_redirects=False, timeout=aiohttp.ClientTimeout(config.timeout)
                ) as answer,
            ):
                if answer.status != 200:
                    raise answers.answered(config.name, name, answer.status)
                return read(answer.headers)
        except TimeoutError:
            raise answers.timed_out(config.name, name, config.timeout) from None
        except (aiohttp.ClientError, OSError) as error:
            # Without its cause: the URL in it is a secret for as long as it is valid.
            what = f"it cannot be asked about an object ({type(error).__name__})"
            remedy = "see whether the store runs and can be reached"
            raise StoreError(Kind.UNREACHABLE, config.name, name, what, remedy) from None

    return look


def read(headers: CIMultiDictProxy[str]) -> Seen:
    """What the headers of an answer say; None for what they do not, or not readably."""
    mode, until = headers.get(_MODE), _moment(headers.get(_UNTIL, ""))
    lock = Lock(line(mode, 40), until) if mode and until is not None else None
    version = headers.get(_VERSION)
    return Seen(_date(headers.get("Date", "")), None if version is None else version != "null", lock)


def _moment(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def _date(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
