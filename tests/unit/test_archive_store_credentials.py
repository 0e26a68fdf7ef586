"""Credentials of archive stores from mounted files, and that they are shown nowhere."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from aiagent_operator.runtime.archive import config
from aiagent_operator.runtime.archive.bucket import BucketStore
from aiagent_operator.runtime.archive.credentials import REFRESH, Credentials
from aiagent_operator.runtime.archive.errors import Kind, StoreError
from aiagent_operator.runtime.archive.opening import opened

CANARY = "wJalrXUtnFEMIcanary"
ENDPOINTS = {
    "s3": "https://s3.eu-central-1.amazonaws.com",
    "gs": "https://storage.googleapis.com",
    "az": "https://acme.blob.core.windows.net",
}
URLS = {"s3": "s3://acme-archive/agents", "gs": "gs://acme-archive", "az": "az://acme/archive"}


def described(scheme: str, folder: Path, **fields: Any) -> config.StoreConfig:
    data = {"name": "eu", "url": URLS[scheme], "credentialsDir": str(folder), **fields}
    return config.read(data | ({"region": "eu-central-1"} if scheme == "s3" else {}), ENDPOINTS.values())


def credentials(scheme: str, folder: Path) -> Credentials:
    return Credentials(described(scheme, folder), folder)


def written(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / name.replace("_", "-")).write_text(text)
    return folder


def test_what_the_files_hold(tmp_path: Path) -> None:
    found = credentials("s3", written(tmp_path, access_key_id="AK\n", secret_access_key=CANARY))
    first = found()
    assert timedelta() < first.pop("expires_at") - datetime.now(UTC) <= REFRESH
    assert first == {"access_key_id": "AK", "secret_access_key": CANARY}
    written(tmp_path, secret_access_key="rotated", session_token="t")
    assert {**found(), "expires_at": None} == {
        "access_key_id": "AK",
        "secret_access_key": "rotated",
        "token": "t",
        "expires_at": None,
    }


@pytest.mark.parametrize(("file", "field"), [("account-key", "access_key"), ("sas-token", "sas_token")])
def test_azure_has_one_of_two(tmp_path: Path, file: str, field: str) -> None:
    (tmp_path / file).write_text(CANARY)
    assert credentials("az", tmp_path)()[field] == CANARY


@pytest.mark.parametrize("content", [b"", b" ", b"two words", b"\xff\xfe", b"a\x00b", b"a\nb", b"x" * 20_000])
def test_a_file_that_holds_no_secret_is_said_by_its_name(tmp_path: Path, content: bytes) -> None:
    found = credentials("s3", written(tmp_path, access_key_id="AK"))
    (tmp_path / "secret-access-key").write_bytes(content + CANARY.encode() if b"x" in content else content)
    with pytest.raises(StoreError, match=f"credentialsDir {tmp_path} has a file secret-access-key that is") as caught:
        found()
    assert caught.value.kind is Kind.MISCONFIGURED
    assert found.problem is caught.value
    written(tmp_path, secret_access_key=CANARY)
    found()
    assert found.problem is None


@pytest.mark.parametrize(
    ("scheme", "message"),
    [
        ("s3", "has no access-key-id and secret-access-key: mount a Secret"),
        ("az", "has no account-key or sas-token: mount a Secret"),
        ("gs", "the library does not take its configuration: see whether endpoint, caFile and, for gs://, service-acc"),
    ],
)
def test_a_store_whose_secret_is_not_mounted_is_not_opened(tmp_path: Path, scheme: str, message: str) -> None:
    with pytest.raises(StoreError, match=message) as caught:
        opened(described(scheme, tmp_path / "none"))
    assert caught.value.kind is Kind.MISCONFIGURED


def test_a_key_of_google_that_cannot_be_read_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "service-account.json").write_text('{"private_key": "' + CANARY + '", "client_email": 7}')
    with pytest.raises(StoreError) as caught:
        opened(described("gs", tmp_path))
    assert CANARY not in repr(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("scheme", ["s3", "az"])
def test_no_secret_is_in_what_a_store_shows_of_itself(tmp_path: Path, scheme: str) -> None:
    files = {"access_key_id": "AK", "secret_access_key": CANARY, "account_key": "Y2FuYXJ5Y2FuYXJ5"}
    store = opened(described(scheme, written(tmp_path, **files)))
    assert isinstance(store, BucketStore)
    for text in (repr(store), repr(vars(store)), repr(store._clients), repr(store._clients.single)):
        assert CANARY not in text
        assert "Y2FuYXJ5Y2FuYXJ5" not in text
    assert "CANARY" not in str(store._clients.single.config)


def test_certificates_that_are_not_there_or_none_are_said(tmp_path: Path) -> None:
    written(tmp_path, access_key_id="AK", secret_access_key=CANARY)
    with pytest.raises(StoreError, match=f"caFile {tmp_path}/ca.crt cannot be read"):
        opened(described("s3", tmp_path, caFile=str(tmp_path / "ca.crt")))
    (tmp_path / "ca.crt").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    with pytest.raises(StoreError, match="see whether endpoint, caFile"):
        opened(described("s3", tmp_path, caFile=str(tmp_path / "ca.crt")))


def test_a_directory_does_without_the_library(tmp_path: Path) -> None:
    text = (
        "import sys\n"
        "from aiagent_operator.runtime.archive import config, opening, proof\n"
        f"opening.opened(config.read({{'name': 'l', 'url': 'file://{tmp_path}'}}, ['file://{tmp_path}']))\n"
        "assert 'obstore' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\nsys.path[:0] = {sys.path!r}\n{text}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
