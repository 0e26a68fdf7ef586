"""The library's stores as a configuration describes them, with nothing left to what the environment happens to say."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final

import obstore
from obstore.store import AzureStore, GCSStore, S3Store

from aiagent_operator import __version__
from aiagent_operator.runtime.archive.config import Scheme, StoreConfig
from aiagent_operator.runtime.archive.credentials import SERVICE_ACCOUNT, Credentials
from aiagent_operator.runtime.archive.errors import Kind, StoreError

if TYPE_CHECKING:  # The library has these for type checkers only.
    from obstore.store import ClientConfig, RetryConfig

_CONNECT: Final = timedelta(seconds=5)
_TRIES: Final = 4
_PAUSES: Final = 30.0

Buckets = S3Store | GCSStore | AzureStore


@dataclass(frozen=True, slots=True)
class Clients:
    """`single` asks once; `bulk` sends or reads a part again where that failed. Neither is shown: they hold secrets."""

    single: Buckets = field(repr=False)
    bulk: Buckets = field(repr=False)
    prefix: str
    credentials: Credentials | None


def bulk_seconds(config: StoreConfig) -> float:
    """Seconds for one part of a blob, with all its tries and the pauses between them."""
    return _TRIES * config.timeout + _PAUSES


def build(config: StoreConfig) -> Clients:
    """The stores of a bucket. Raises StoreError (Misconfigured) where credentials or certificates cannot be read."""
    credentials = _credentials(config)
    client = _client(config)
    bulk: RetryConfig = {"max_retries": _TRIES - 1, "retry_timeout": timedelta(seconds=bulk_seconds(config))}
    try:
        return Clients(
            _store(config, client, _once(config), credentials),
            _store(config, client, bulk, credentials),
            config.path,
            credentials,
        )
    except (obstore.exceptions.BaseError, OSError, ValueError):
        what = "the library does not take its configuration"
        remedy = (
            f"see whether endpoint, caFile and, for {Scheme.GCS.value}://, {SERVICE_ACCOUNT} are what they should be"
        )
        # Without its cause, which may quote the credentials that it could not read.
        raise StoreError(Kind.MISCONFIGURED, config.name, "", what, remedy) from None


def locking(config: StoreConfig, clients: Clients, day: date) -> Buckets:
    """For records of this day: like `single`, and locks what it puts, where the configuration says so.

    The header goes with every request of a client and is signed with it, which is all that the library offers: enough
    for a put, and not for blobs, since S3 knows no such header for the parts of an upload.
    """
    if config.lock is None:
        return clients.single
    until = datetime.combine(day + timedelta(days=1), time(), UTC) + config.lock.retention
    client = _client(config)
    client["default_headers"] = {
        "x-amz-object-lock-mode": config.lock.mode.value.upper(),
        "x-amz-object-lock-retain-until-date": f"{until:%Y-%m-%dT%H:%M:%SZ}",
    }
    return _store(config, client, _once(config), clients.credentials)


async def signed(clients: Clients, path: str, seconds: float) -> str:
    """A URL for asking about one object; without a request, where credentials are at hand."""
    return await obstore.sign_async(clients.single, "HEAD", path, timedelta(seconds=seconds))


def _once(config: StoreConfig) -> RetryConfig:
    return {"max_retries": 0, "retry_timeout": timedelta(seconds=config.timeout)}


def _credentials(config: StoreConfig) -> Credentials | None:
    if config.credentials_dir is None or config.scheme is Scheme.GCS:
        return None
    credentials = Credentials(config, config.credentials_dir)
    credentials()  # What is missing is said now, and not by the first journal record.
    return credentials


def _client(config: StoreConfig) -> ClientConfig:
    client: ClientConfig = {
        "allow_http": config.endpoint.startswith("http://"),
        "allow_invalid_certificates": False,
        "timeout": timedelta(seconds=config.timeout),
        "connect_timeout": min(_CONNECT, timedelta(seconds=config.timeout)),
        "user_agent": f"aiagent-operator/{__version__}",
    }
    if config.ca_file is not None:
        try:
            client["root_certificate"] = config.ca_file.read_bytes()
        except OSError as error:
            what = f"caFile {config.ca_file} cannot be read ({error.strerror})"
            raise StoreError(Kind.MISCONFIGURED, config.name, "", what, "mount it, or leave it out") from error
    return client


def _store(config: StoreConfig, client: ClientConfig, retry: RetryConfig, credentials: Credentials | None) -> Buckets:
    # What is said here outranks AWS_ENDPOINT_URL, AWS_SKIP_SIGNATURE and their like in the environment.
    common: dict[str, Any] = {"prefix": config.path or None, "client_options": client, "retry_config": retry}
    if credentials is not None:
        common["credential_provider"] = credentials
    match config.scheme:
        case Scheme.S3:
            return S3Store(
                config.container,
                region=config.region,
                endpoint=config.endpoint,
                aws_endpoint_url_s3=config.endpoint,
                virtual_hosted_style_request=False,
                skip_signature=False,
                conditional_put="etag",
                # Object lock takes no object without one (Amazon S3, "Object Lock considerations").
                checksum_algorithm="SHA256",
                disable_bulk_delete=True,
                **common,
            )
        case Scheme.GCS:
            if config.credentials_dir is not None:
                common["service_account"] = str(config.credentials_dir / SERVICE_ACCOUNT)
            return GCSStore(config.container, base_url=config.endpoint, skip_signature=False, **common)
        case Scheme.AZURE:
            return AzureStore(
                config.container,
                account_name=config.account,
                endpoint=config.endpoint,
                use_emulator=False,
                skip_signature=False,
                **common,
            )
        case _:
            raise ValueError(f"a {config.scheme.value} store has no bucket")
