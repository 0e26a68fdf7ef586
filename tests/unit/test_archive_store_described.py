"""The file in which an administrator describes the archive stores."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from aiagent_operator.core.archive.envelope import public_key
from aiagent_operator.runtime.archive.config import ConfigError
from aiagent_operator.runtime.archive.described import load
from support import archives

LOCAL = "{name: local, url: file:///var/lib/aiagent/archive}"
EU = "{name: eu, url: s3://archives-eu/workforce, region: eu-central-1, endpoint: https://minio.storage:9000}"


def file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "stores.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_first_is_the_default_unless_one_is_named(tmp_path: Path) -> None:
    found = load(file(tmp_path, f"stores: [{LOCAL}, {EU}]"))
    assert (found.default, list(found.stores)) == ("local", ["local", "eu"])
    assert found.stores["eu"].endpoint == "https://minio.storage:9000"
    assert load(file(tmp_path, f"default: eu\nstores: [{LOCAL}, {EU}]")).default == "eu"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "lists no archive stores"),
        ("stores: []", "lists no archive stores"),
        ("stores: [local]", "stores has a string in it"),
        (f"stores: [{LOCAL}, {LOCAL}]", "two archive stores are called local"),
        (f"default: us\nstores: [{LOCAL}]", "default is us, and the stores are local"),
        (f"standard: local\nstores: [{LOCAL}]", "standard is no field of it"),
        ("stores: [{name: local, url: 'ftp://x'}]", "archive store local: url begins with none of"),
        ("stores: [{name: eu, url: 's3://archives-eu'}]", "region is needed"),
        ("stores: [", "cannot be read as YAML"),
    ],
)
def test_what_is_wrong_is_said_with_the_file(tmp_path: Path, text: str, said: str) -> None:
    path = file(tmp_path, text)
    with pytest.raises(ConfigError, match=said) as caught:
        load(path)
    assert str(path) in str(caught.value)


def test_keys_that_have_signed_before_lie_beside_the_one_that_signs(tmp_path: Path) -> None:
    new, old = (ed25519.Ed25519PrivateKey.generate() for _ in range(2))
    (tmp_path / "signing.key").write_bytes(archives.pem(new))
    told = file(tmp_path, f"stores: [{LOCAL}]\nsigningKeyFile: {tmp_path}/signing.key")
    assert load(told).former_keys == ()
    public = old.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "2025.pub").write_bytes(public)
    (key,) = load(told).former_keys
    assert key.key_id == public_key(public).key_id
    (tmp_path / "2024.pub").write_bytes(archives.pem(old))
    with pytest.raises(ConfigError, match=r"2024\.pub is a private key"):
        load(told)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "none.yaml")
