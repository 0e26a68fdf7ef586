"""The description of an archive store: what it may say, and that every mistake is said by store, field and remedy."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagent_operator.runtime.archive import config
from aiagent_operator.runtime.archive.config import ConfigError, Lock, LockMode, Scheme, StoreConfig, read

ALLOWED = (
    "file:///var/lib/aiagent",
    "https://s3.eu-central-1.amazonaws.com",
    "https://minio.storage:9000",
    "http://minio.storage:9001",
    "https://storage.googleapis.com",
    "https://acme.blob.core.windows.net",
)
S3 = {"name": "eu", "url": "s3://acme-archive/agents", "region": "eu-central-1"}


def test_a_directory() -> None:
    found = read({"name": "local", "url": "file:///var/lib/aiagent/archive"}, ALLOWED)
    assert found == StoreConfig("local", Scheme.FILE, "", "/var/lib/aiagent/archive")
    assert found.url == "file:///var/lib/aiagent/archive"


def test_a_bucket_of_amazon_has_its_endpoint_said() -> None:
    found = read(S3, ALLOWED)
    assert (found.scheme, found.container, found.path) == (Scheme.S3, "acme-archive", "agents")
    assert found.endpoint == "https://s3.eu-central-1.amazonaws.com:443"
    assert found.url == "s3://acme-archive/agents"


def test_an_s3_compatible_store_with_everything_said() -> None:
    found = read(
        S3
        | {
            "endpoint": "https://minio.storage:9000",
            "credentialsDir": "/etc/archive/eu",
            "caFile": "/etc/archive/ca/ca.crt",
            "timeout": "5s",
            "readOnly": True,
            "lockMode": "Compliance",
            "retention": "720h",
        },
        ALLOWED,
    )
    assert found == StoreConfig(
        "eu",
        Scheme.S3,
        "acme-archive",
        "agents",
        "eu-central-1",
        "https://minio.storage:9000",
        credentials_dir=Path("/etc/archive/eu"),
        ca_file=Path("/etc/archive/ca/ca.crt"),
        timeout=5.0,
        read_only=True,
        lock=Lock(LockMode.COMPLIANCE, timedelta(hours=720)),
    )


def test_google_and_azure() -> None:
    google = read({"name": "g", "url": "gs://acme-archive/a/b"}, ALLOWED)
    assert (google.container, google.path, google.endpoint) == (
        "acme-archive",
        "a/b",
        "https://storage.googleapis.com:443",
    )
    azure = read({"name": "a", "url": "az://acme/archive/agents"}, ALLOWED)
    assert (azure.account, azure.container, azure.path) == ("acme", "archive", "agents")
    assert azure.endpoint == "https://acme.blob.core.windows.net:443"
    assert azure.url == "az://acme/archive/agents"


WRONG: list[tuple[dict[str, Any], str]] = [
    ({}, "an archive store: name is"),
    ({"name": "Eu West"}, "an archive store: name is"),
    ({"name": ["x"], "url": "s3://b"}, "an archive store: name is"),
    ({"name": "eu"}, "archive store eu: url begins with none of file://, s3://, gs://, az://"),
    (S3 | {"url": "ftp://host/x"}, "url begins with none of"),
    (S3 | {"url": "s3:acme"}, "url begins with none of"),
    (S3 | {"url": "s3://"}, "url names no bucket"),
    (S3 | {"url": "s3://Acme"}, "url names no bucket"),
    (S3 | {"url": "s3://acme/../other"}, "url has a prefix that has the part"),
    (S3 | {"url": "s3://acme//x"}, "url has a prefix that has the part"),
    (S3 | {"url": 7}, "url is a int: write a text"),
    (S3 | {"url": "s3://key:secret@acme"}, "url has characters other than"),
    (S3 | {"url": "s3://acme?endpoint=x"}, "url has characters other than"),
    (S3 | {"url": "s3://" + "a" * 2000}, "more than 1024"),
    (S3 | {"region": ""}, "region is needed for s3://"),
    (S3 | {"region": "EU"}, "region is needed for s3://"),
    (S3 | {"region": "us-east-1"}, "let an administrator allow it"),
    (S3 | {"endpoint": "https://elsewhere.example"}, "endpoint is https://elsewhere.example:443, which no store may"),
    (S3 | {"endpoint": "minio:9000"}, "endpoint 'minio:9000' is not an address"),
    (S3 | {"endpoint": "http://169.254.169.254"}, "where an instance's own metadata are"),
    (S3 | {"endpoint": "http://minio.storage:9001", "caFile": "/ca.crt"}, "caFile means nothing without TLS"),
    (S3 | {"caFile": "ca.crt"}, "caFile is not absolute"),
    (S3 | {"credentialsDir": "/etc/../root"}, "credentialsDir is not absolute, or has"),
    (S3 | {"timeout": "5"}, "archive store eu: timeout"),
    (S3 | {"timeout": "1h"}, 'timeout "1h" is too long: write at most 10m'),
    (S3 | {"timeout": "1ms"}, 'timeout "1ms" is too short'),
    (S3 | {"readOnly": "yes"}, 'readOnly is "yes": write true or false'),
    (S3 | {"handovers": "yes"}, 'handovers is "yes": write true or false'),
    (S3 | {"handovers": True, "lockMode": "Compliance", "retention": "24h"}, "what is locked cannot be erased"),
    (S3 | {"lockMode": "Compliance"}, "archive store eu: retention"),
    (S3 | {"retention": "24h"}, "lockMode is neither Governance nor Compliance"),
    (S3 | {"lockMode": "compliance", "retention": "24h"}, "lockMode is neither Governance nor Compliance"),
    (S3 | {"lockMode": "Compliance", "retention": "1m"}, 'retention "1m" is too short: write at least 1h'),
    ({"name": "g", "url": "gs://acme-archive", "retention": "24h"}, "retention means nothing here"),
    ({"name": "l", "url": "file:///var/lib/aiagent/a", "lockMode": "Governance"}, "lockMode means nothing for a dir"),
    (S3 | {"secretKey": "hunter2"}, 'archive store eu: "secretKey" is no field of a store: use name, url'),
    ({"name": "l", "url": "file:///var/lib/aiagent-other"}, "let an administrator allow file:///var/lib/aiagent-other"),
    ({"name": "l", "url": "file:///var/lib/aiagent/../x"}, "url is no directory"),
    ({"name": "l", "url": "file://var/lib"}, "url is no directory"),
    ({"name": "l", "url": "file:///"}, "url is no directory"),
    ({"name": "l", "url": "file:///var/lib/aiagent/a", "region": "x"}, "region means nothing for a directory"),
    ({"name": "g", "url": "gs://acme-archive", "region": "eu"}, "region means nothing for gs://"),
    ({"name": "a", "url": "az://archive"}, "url names no bucket"),
    ({"name": "a", "url": "az://No/archive"}, "url names no storage account"),
]


@pytest.mark.parametrize(("data", "message"), WRONG)
def test_what_is_wrong_is_said(data: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(data, ALLOWED)
    assert message in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert "secret@" not in str(caught.value)


def test_nothing_is_allowed_where_nobody_has_allowed_anything() -> None:
    for data in (S3, {"name": "l", "url": "file:///var/lib/aiagent"}, {"name": "g", "url": "gs://acme-archive"}):
        with pytest.raises(ConfigError, match="let an administrator allow"):
            read(data, ())


def test_an_allowed_endpoint_that_is_none_is_said() -> None:
    with pytest.raises(ConfigError, match="the endpoints allowed for archive stores"):
        read(S3, ("minio",))


@given(
    st.dictionaries(
        st.sampled_from((*config.FIELDS, "futureField")),
        st.one_of(st.text(max_size=40), st.integers(), st.booleans(), st.none(), st.lists(st.text(max_size=3))),
    )
)
def test_any_data_give_a_store_or_say_what_is_wrong(data: dict[str, Any]) -> None:
    try:
        found = read(data, ALLOWED)
    except ConfigError as error:
        said = str(error)
    else:
        said = f": {found.name}"
        assert found.name == data["name"]
    assert ": " in said
    assert said.isprintable()


@given(st.text(alphabet="abc/.-_:@%?#\\\0 \n", max_size=60), st.sampled_from([scheme.value for scheme in Scheme]))
def test_no_url_leads_out_of_what_is_allowed(rest: str, scheme: str) -> None:
    data = {"name": "x", "url": f"{scheme}://{rest}"} | ({"region": "eu-central-1"} if scheme == "s3" else {})
    try:
        found = read(data, (*ALLOWED, "file:///abc"))
    except ConfigError:
        return
    assert ".." not in found.path.split("/")
    if found.scheme is Scheme.FILE:
        assert found.path == "/abc" or found.path.startswith("/abc/")
