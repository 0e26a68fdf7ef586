"""Which store, and how it is reached: read from data, strictly, so that a wrong field is said at once and by its name.

The operator sends from inside the cluster, with its network rights, so where it may send is the administrator's to say
(server-side request forgery, CWE-918): a store's directory or endpoint is used only where it is among those allowed.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import urlsplit

from aiagent_operator.api.durations import LONGEST, DurationError
from aiagent_operator.api.durations import parse as duration
from aiagent_operator.api.fields import DNS_LABEL
from aiagent_operator.core import texts
from aiagent_operator.core.evaluation.address import AddressError, normal
from aiagent_operator.core.untrusted import shown
from aiagent_operator.runtime.archive import names

TIMEOUT: Final = timedelta(seconds=30)
_FLAGS: Final = ("readOnly", "handovers")
FIELDS: Final = (
    "name", "url", "region", "endpoint", "credentialsDir", "caFile", "timeout", *_FLAGS, "lockMode", "retention",
)  # fmt: skip

_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
_ACCOUNT: Final = re.compile(r"[a-z0-9]{3,24}")
_REGION: Final = re.compile(r"[a-z0-9-]{1,40}")
_CHARACTERS: Final = re.compile(r"[A-Za-z0-9._=/:-]*")


class ConfigError(ValueError):
    """A description that cannot be used; the message names the store, the field and what to write instead."""


class Scheme(StrEnum):
    """Kinds of store, as their URLs begin."""

    FILE = "file"
    S3 = "s3"
    GCS = "gs"
    AZURE = "az"


class LockMode(StrEnum):
    """Who may shorten an object's lock: with Governance, whoever has the right to; with Compliance, nobody."""

    GOVERNANCE = "Governance"
    COMPLIANCE = "Compliance"


@dataclass(frozen=True, slots=True)
class Lock:
    """What each record is locked with (S3 Object Lock), and for how long from the end of its day (UTC)."""

    mode: LockMode
    retention: timedelta


@dataclass(frozen=True, slots=True)
class StoreConfig:
    """One store. It holds no secret: credentials are read from `credentials_dir` when they are needed.

    `container`: bucket, or Azure container; empty for a directory. `path`: the directory, absolute; else the prefix
    below which everything is, maybe empty. `endpoint`: in the normal form of `address.normal`; empty for a directory.
    `account`: of Azure. `credentials_dir`: None means those of the process's environment: workload identity, or the
    instance's. `timeout` is in seconds and for one request, or one operation on files. `handovers`: successors may have
    what they inherit delivered there, in the clear.
    """

    name: str
    scheme: Scheme
    container: str
    path: str
    region: str = ""
    endpoint: str = ""
    account: str = ""
    credentials_dir: Path | None = None
    ca_file: Path | None = None
    timeout: float = TIMEOUT.total_seconds()
    read_only: bool = False
    lock: Lock | None = None
    handovers: bool = False

    @property
    def url(self) -> str:
        """Where it is, as in the description."""
        if self.scheme is Scheme.FILE:
            return f"file://{self.path}"
        return "/".join(filter(None, (f"{self.scheme.value}:/", self.account, self.container, self.path)))


def read(data: Mapping[str, object], allowed: Iterable[str] | None) -> StoreConfig:
    """The store that the data describe, with the fields in FIELDS. Raises ConfigError.

    `allowed`: directories as `file:///…`, below which stores may be, and endpoints as `https://host`; None where the
    data are the administrator's own, and every place is. Files are not looked at here: a Secret may be mounted later.
    """
    name = _name(data)
    unknown = sorted(str(field) for field in data if field not in FIELDS)
    if unknown:
        raise _error(name, shown(unknown[0]), f"is no field of a store: use {texts.some(FIELDS, most=len(FIELDS))}")
    text = {field: _text(name, data, field) for field in FIELDS if field not in ("name", *_FLAGS)}
    permitted = None if allowed is None else tuple(allowed)
    source = _Source(name, text, permitted, _timeout(name, text["timeout"]), _flag(name, data, "readOnly"))
    scheme, rest = _scheme(name, text["url"])
    found = _directory(source, rest) if scheme is Scheme.FILE else _bucket(source, scheme, rest)
    if (handovers := _flag(name, data, "handovers")) and found.lock is not None:
        raise _error(name, "handovers", "is true, and what is locked cannot be erased: leave lockMode out, or it")
    return replace(found, handovers=handovers)


@dataclass(frozen=True, slots=True)
class _Source:
    """What both kinds are made from: the fields as texts, empty where they are left out."""

    name: str
    text: Mapping[str, str]
    allowed: tuple[str, ...] | None
    timeout: float
    read_only: bool


def _directory(source: _Source, rest: str) -> StoreConfig:
    for field in ("region", "endpoint", "credentialsDir", "caFile", "lockMode", "retention"):
        if source.text[field]:
            raise _error(source.name, field, "means nothing for a directory: leave it out")
    path = PurePosixPath(rest)
    if not rest.startswith("/") or ".." in path.parts or "//" in rest or path == PurePosixPath("/"):
        what = "is no directory: write file:///var/lib/aiagent/archive, absolute and without .."
        raise _error(source.name, "url", what)
    listed = ("file:///",) if source.allowed is None else source.allowed
    permitted = [PurePosixPath(each.removeprefix("file://")) for each in listed if each.startswith("file:///")]
    if not any(path.is_relative_to(each) for each in permitted):
        what = f"leads to {path}, where no store may be: let an administrator allow file://{path}"
        raise _error(source.name, "url", what)
    return StoreConfig(source.name, Scheme.FILE, "", str(path), timeout=source.timeout, read_only=source.read_only)


def _bucket(source: _Source, scheme: Scheme, rest: str) -> StoreConfig:
    name, text = source.name, source.text
    parts = rest.rstrip("/").split("/")
    account = parts.pop(0) if scheme is Scheme.AZURE else ""
    if scheme is Scheme.AZURE and not _ACCOUNT.fullmatch(account):
        raise _error(name, "url", f"names no storage account ({shown(account)}): write az://account/container/prefix")
    container, prefix = (parts or [""])[0], "/".join(parts[1:])
    if not _BUCKET.fullmatch(container):
        raise _error(name, "url", f"names no bucket ({shown(container)}): write its name of small letters after the //")
    if prefix and (wrong := names.fault(prefix)):
        raise _error(name, "url", f"has a prefix that {wrong}: write another one, or none")
    endpoint = _endpoint(
        name, text["endpoint"] or _default_endpoint(scheme, _region(source, scheme), account), source.allowed
    )
    ca_file = _file(name, "caFile", text)
    if ca_file is not None and endpoint.startswith("http://"):
        raise _error(name, "caFile", "means nothing without TLS: leave it out, or write an endpoint with https://")
    return StoreConfig(
        name,
        scheme,
        container,
        prefix,
        _region(source, scheme),
        endpoint,
        account,
        _file(name, "credentialsDir", text),
        ca_file,
        source.timeout,
        source.read_only,
        _lock(source, scheme),
    )


def _lock(source: _Source, scheme: Scheme) -> Lock | None:
    mode, retention = source.text["lockMode"], source.text["retention"]
    if not mode and not retention:
        return None
    if scheme is not Scheme.S3:
        what = "means nothing here: set retention on the bucket or container itself, and leave it out"
        raise _error(source.name, "lockMode" if mode else "retention", what)
    if mode not in set(LockMode):
        raise _error(source.name, "lockMode", "is neither Governance nor Compliance: write one of them with retention")
    return Lock(LockMode(mode), _duration(source.name, "retention", retention, timedelta(hours=1), LONGEST))


def _region(source: _Source, scheme: Scheme) -> str:
    region = source.text["region"]
    if scheme is not Scheme.S3 and region:
        raise _error(source.name, "region", f"means nothing for {scheme.value}://: leave it out")
    if scheme is Scheme.S3 and not _REGION.fullmatch(region):
        raise _error(source.name, "region", "is needed for s3://: write the bucket's, such as eu-central-1")
    return region


def _default_endpoint(scheme: Scheme, region: str, account: str) -> str:
    """The provider's own, said explicitly, so that no variable of the environment can name another."""
    match scheme:
        case Scheme.GCS:
            return "https://storage.googleapis.com"
        case Scheme.AZURE:
            return f"https://{account}.blob.core.windows.net"
        case _:
            return f"https://s3.{region}.amazonaws.com" + (".cn" if region.startswith("cn-") else "")


def _endpoint(name: str, text: str, allowed: Iterable[str] | None) -> str:
    try:
        endpoint = normal(text)
    except AddressError as error:
        raise _error(name, "endpoint", str(error)) from error
    host = urlsplit(endpoint).hostname or ""
    if _link_local(host):
        raise _error(name, "endpoint", f"is {endpoint}, where an instance's own metadata are: name a store")
    if allowed is None:
        return endpoint
    permitted = set()
    for entry in allowed:
        if entry.startswith("file://"):
            continue
        try:
            permitted.add(normal(entry))
        except AddressError as error:
            raise ConfigError(f"the endpoints allowed for archive stores: {error}") from error
    if endpoint not in permitted:
        raise _error(name, "endpoint", f"is {endpoint}, which no store may use: let an administrator allow it")
    return endpoint


def _link_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_link_local
    except ValueError:
        return False


def _name(data: Mapping[str, object]) -> str:
    name = data.get("name")
    if not isinstance(name, str) or len(name) > 63 or not re.fullmatch(DNS_LABEL, name):
        raise ConfigError(
            f"an archive store: name is {shown(str(name), 63)}: write lower-case letters, digits and -, at most 63"
        )
    return name


def _text(name: str, data: Mapping[str, object], field: str) -> str:
    value = data.get(field, "")
    if not isinstance(value, str):
        raise _error(name, field, f"is a {type(value).__name__}: write a text")
    if len(value) > 1024 or not _CHARACTERS.fullmatch(value):
        # Not shown: a user and a password in a URL would be.
        raise _error(name, field, "has characters other than A-Za-z0-9._=/:- or more than 1024: leave them out")
    return value


def _scheme(name: str, url: str) -> tuple[Scheme, str]:
    scheme, found, rest = url.partition("://")
    if not found or scheme not in set(Scheme):
        kinds = texts.some((f"{kind.value}://" for kind in Scheme), most=len(Scheme))
        raise _error(name, "url", f"begins with none of {kinds}: write for example s3://bucket/prefix")
    return Scheme(scheme), rest


def _file(name: str, field: str, text: Mapping[str, str]) -> Path | None:
    if not text[field]:
        return None
    path = PurePosixPath(text[field])
    if not path.is_absolute() or ".." in path.parts:
        raise _error(name, field, "is not absolute, or has ..: write the full path of what is mounted")
    return Path(path)


def _flag(name: str, data: Mapping[str, object], field: str) -> bool:
    found = data.get(field, False)
    if not isinstance(found, bool):
        raise _error(name, field, f"is {shown(str(found))}: write true or false")
    return found


def _timeout(name: str, text: str) -> float:
    if not text:
        return TIMEOUT.total_seconds()
    return _duration(name, "timeout", text, timedelta(seconds=1), timedelta(minutes=10)).total_seconds()


def _duration(name: str, field: str, text: str, least: timedelta, most: timedelta) -> timedelta:
    try:
        return duration(text, field, least=least, most=most)
    except DurationError as error:
        raise ConfigError(f"archive store {name}: {error}") from error


def _error(name: str, field: str, text: str) -> ConfigError:
    return ConfigError(f"archive store {name}: {field} {text}")
