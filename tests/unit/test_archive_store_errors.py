"""Errors of archive stores: what an answer means, when to try again, and that nothing secret is in a message."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from obstore.exceptions import AlreadyExistsError, GenericError, PermissionDeniedError

from aiagent_operator.runtime.archive import answers
from aiagent_operator.runtime.archive.errors import Kind, StoreError, pause
from support.documents import ROOT

CANARY = "wJalrXUtnFEMIcanary"


def _said(status: int, code: str = "") -> str:
    """As the library writes it (object_store 0.14, client/retry.rs)."""
    body = f"<Error><Code>{code}</Code><StringToSign>{CANARY}</StringToSign></Error>" if code else CANARY
    return f"Generic S3 error: Error performing PUT in 1ms - Server returned non-2xx status code: {status} X: {body}"


ANSWERS = [
    (503, "SlowDown", Kind.THROTTLED),
    (503, "", Kind.THROTTLED),
    (500, "InternalError", Kind.UNREACHABLE),
    (429, "", Kind.THROTTLED),
    (403, "SignatureDoesNotMatch", Kind.DENIED),
    (403, "RequestTimeTooSkewed", Kind.CLOCK_SKEW),
    (401, "", Kind.DENIED),
    (404, "NoSuchKey", Kind.MISSING),
    (404, "NoSuchBucket", Kind.MISCONFIGURED),
    (301, "PermanentRedirect", Kind.MISCONFIGURED),
    (400, "AuthorizationHeaderMalformed", Kind.MISCONFIGURED),
    (409, "ConditionalRequestConflict", Kind.CONTENDED),
    (412, "PreconditionFailed", Kind.CHANGED),
    (403, "QuotaExceeded", Kind.FULL),
    (507, "", Kind.FULL),
    (501, "NotImplemented", Kind.UNSUPPORTED),
    (400, "FromTheFuture", Kind.FAILED),
    (418, "", Kind.FAILED),
]


@pytest.mark.parametrize(("status", "code", "kind"), ANSWERS)
def test_what_a_store_answers(status: int, code: str, kind: Kind) -> None:
    error = answers.of(GenericError(_said(status, code)), "eu", "journal/1")
    assert (error.kind, error.status, error.code) == (kind, status, code)
    assert str(error).startswith("archive store eu: journal/1: the store answers ")
    assert CANARY not in str(error)


STEPS = [
    ("inner: Http(HttpError { kind: Connect, source: ...", Kind.UNREACHABLE, "no connection"),
    ("inner: Http(HttpError { kind: Timeout, source: ...", Kind.TIMED_OUT, "no answer in time"),
    ("inner: Http(HttpError { kind: Decode, source: ...", Kind.UNREACHABLE, "the answer broke off"),
    ("kind: Connect ... dns error: failed to lookup", Kind.UNREACHABLE, "its name is not known"),
    ("kind: Connect ... invalid peer certificate: UnknownIssuer", Kind.MISCONFIGURED, "certificate is not trusted"),
    ("BareRedirect", Kind.MISCONFIGURED, "the store leads elsewhere"),
    (
        "Generic S3 error: Error performing PUT - HTTP error: error sending request",
        Kind.UNREACHABLE,
        "connection broke",
    ),
    ("Generic S3 error: HTTP error: operation timed out", Kind.TIMED_OUT, "no answer in time"),
    ("something new", Kind.FAILED, "GenericError"),
]


@pytest.mark.parametrize(("text", "kind", "what"), STEPS)
def test_what_failed_where_nothing_was_answered(text: str, kind: Kind, what: str) -> None:
    error = answers.of(GenericError(f"{text} {CANARY}"), "eu", "")
    assert error.kind is kind
    assert what in str(error)
    assert CANARY not in str(error)


@given(st.text(), st.sampled_from((GenericError, AlreadyExistsError, PermissionDeniedError, ValueError)))
def test_any_text_of_the_library_gives_an_error(text: str, kind: type[Exception]) -> None:
    error = answers.of(kind(text), "eu", "a")
    assert isinstance(error, StoreError)
    assert str(error).isprintable()


def test_pauses_grow_and_end_at_five_minutes() -> None:
    assert [pause(Kind.UNREACHABLE, failures) for failures in (1, 2, 3, 9, 10, 10**9)] == [1, 2, 4, 256, 300, 300]
    assert pause(Kind.CONTENDED, 1) == pytest.approx(0.1)


@pytest.mark.parametrize("kind", Kind)
def test_what_no_try_changes_is_not_tried_again(kind: Kind) -> None:
    final = {
        Kind.UNSUPPORTED,
        Kind.MISSING,
        Kind.TOO_LARGE,
        Kind.CHANGED,
        Kind.UNSAFE,
        Kind.INVALID_NAME,
        Kind.READ_ONLY,
        Kind.FAILED,
    }
    assert (pause(kind, 1) is None) == (kind in final)


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_is_in_the_page_with_its_pause(kind: Kind) -> None:
    page = (ROOT / "docs" / "archive-store.md").read_text().partition("## Errors")[2]
    (row,) = [line for line in page.splitlines() if line.startswith(f"| `{kind.value}` |")]
    first = pause(kind, 1)
    assert row.rstrip(" |").rsplit("| ", 1)[1] == ("no" if first is None else f"{first:g} s")
