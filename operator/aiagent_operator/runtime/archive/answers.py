"""What an object store's answer means: from an exception of the library to ours.

The library's text quotes the request and the answer, and with some stores what was signed, so none of it gets into a
message: only the HTTP status, the error code in the body, and which step of a connection failed.
"""

from __future__ import annotations

import re
from typing import Final

from aiagent_operator.runtime.archive.errors import Kind, StoreError

_STATUS: Final = re.compile(r"Server returned non-2xx status code: (\d{3})")
_CODE: Final = re.compile(r"<Code>([A-Za-z0-9._-]{1,64})</Code>")
_STEP: Final = re.compile(r"kind: (Connect|Timeout|Request|Interrupted|Decode)\b")
_MOST: Final = 65_536

# Amazon S3 API Reference, "Error responses"; Azure Blob Storage REST API, "Error codes"; those of MinIO and Ceph.
_CODES: Final[dict[str, Kind]] = {
    "NoSuchBucket": Kind.MISCONFIGURED,
    "ContainerNotFound": Kind.MISCONFIGURED,
    "InvalidBucketName": Kind.MISCONFIGURED,
    "PermanentRedirect": Kind.MISCONFIGURED,
    "AuthorizationHeaderMalformed": Kind.MISCONFIGURED,
    "RequestTimeTooSkewed": Kind.CLOCK_SKEW,
    "SlowDown": Kind.THROTTLED,
    "ServerBusy": Kind.THROTTLED,
    "TooManyRequests": Kind.THROTTLED,
    "RequestLimitExceeded": Kind.THROTTLED,
    "QuotaExceeded": Kind.FULL,
    "InsufficientStorage": Kind.FULL,
    "XMinioStorageFull": Kind.FULL,
    "ConditionalRequestConflict": Kind.CONTENDED,
    "OperationAborted": Kind.CONTENDED,
    "NotImplemented": Kind.UNSUPPORTED,
    "MethodNotAllowed": Kind.UNSUPPORTED,
}
CONTENDED: Final = frozenset(code for code, kind in _CODES.items() if kind is Kind.CONTENDED)
"""Codes of a 409 that says try again; those of other 409s say that the name is taken."""

NO_LOCK: Final = frozenset({"InvalidRequest", "InvalidBucketObjectLockConfiguration"})
"""Codes that a put with a lock gets, where its bucket was made without object lock."""

_STATUSES: Final[dict[int, Kind]] = {
    301: Kind.MISCONFIGURED,
    307: Kind.MISCONFIGURED,
    401: Kind.DENIED,
    403: Kind.DENIED,
    404: Kind.MISSING,
    408: Kind.TIMED_OUT,
    409: Kind.CONTENDED,
    412: Kind.CHANGED,
    413: Kind.TOO_LARGE,
    429: Kind.THROTTLED,
    500: Kind.UNREACHABLE,
    501: Kind.UNSUPPORTED,
    502: Kind.UNREACHABLE,
    503: Kind.THROTTLED,
    504: Kind.UNREACHABLE,
    507: Kind.FULL,
}
_REMEDIES: Final[dict[Kind, str]] = {
    Kind.UNREACHABLE: "see whether the store runs and whether the NetworkPolicy lets the operator reach it",
    Kind.TIMED_OUT: "see whether the store is busy, or raise timeout",
    Kind.THROTTLED: "wait, or raise the store's limits",
    Kind.CONTENDED: "try again",
    Kind.DENIED: "see whether the credentials are right and allow it on this prefix",
    Kind.CLOCK_SKEW: "set the clock of the operator's node, or of the store",
    Kind.FULL: "raise the quota, or enlarge the store",
    Kind.MISCONFIGURED: "see whether bucket, region and endpoint in the configuration are right",
    Kind.UNSUPPORTED: "use a store that has conditional puts (docs/archive-store.md)",
    Kind.MISSING: "see whether the name is right",
    Kind.TOO_LARGE: "store less at once",
    Kind.CHANGED: "find out who writes to the store beside the operator",
    Kind.FAILED: "look at the store's own log",
}


def of(error: Exception, store: str, path: str) -> StoreError:
    """The error of ours for one that the library raised."""
    text = str(error)[:_MOST]
    status = int(found[1]) if (found := _STATUS.search(text)) else None
    code = found[1] if (found := _CODE.search(text)) else ""
    if status is None and not code:
        return _unanswered(error, text, store, path)
    kind = _CODES.get(code) or _STATUSES.get(status or 0, Kind.FAILED)
    what = f"the store answers {' '.join(filter(None, (str(status or ''), code)))}"
    return StoreError(kind, store, path, what, _REMEDIES[kind], status=status, code=code)


def answered(store: str, path: str, status: int) -> StoreError:
    """The error for an answer without a body."""
    kind = _STATUSES.get(status, Kind.FAILED)
    return StoreError(kind, store, path, f"the store answers {status}", _REMEDIES[kind], status=status)


def timed_out(store: str, path: str, seconds: float) -> StoreError:
    """For a store that did not answer in time."""
    return StoreError(Kind.TIMED_OUT, store, path, f"no answer within {seconds:g} s", _REMEDIES[Kind.TIMED_OUT])


def _spoken(text: str) -> str:
    """The step, where the library says only a sentence, as it does of the parts of an upload."""
    if "HTTP error:" not in text:
        return ""
    return "Timeout" if "timed out" in text else "Request"


def _unanswered(error: Exception, text: str, store: str, path: str) -> StoreError:
    """Nothing came back: which step of the connection failed, as far as the library says so."""
    if isinstance(error, FileNotFoundError):
        return StoreError(Kind.MISSING, store, path, "there is none", _REMEDIES[Kind.MISSING])
    if "certificate" in text.lower():
        remedy = "name the certificates to trust in caFile, or renew the store's"
        return StoreError(Kind.MISCONFIGURED, store, path, "its certificate is not trusted", remedy)
    if "BareRedirect" in text:
        return StoreError(Kind.MISCONFIGURED, store, path, "the store leads elsewhere", _REMEDIES[Kind.MISCONFIGURED])
    step = found[1] if (found := _STEP.search(text)) else _spoken(text)
    kind = Kind.TIMED_OUT if step == "Timeout" else Kind.UNREACHABLE if step else Kind.FAILED
    what = {
        "Timeout": "no answer in time",
        "Connect": "no connection: its name is not known" if "dns error" in text else "no connection",
        "Request": "the connection broke",
        "Interrupted": "the connection broke",
        "Decode": "the answer broke off, or cannot be read",
    }.get(step, f"{type(error).__name__}")
    return StoreError(kind, store, path, what, _REMEDIES[kind])
