"""The file in which an administrator describes the archive stores."""

from pathlib import Path

import pytest

from aiagent_operator.runtime.archive.config import ConfigError
from aiagent_operator.runtime.archive.described import load

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


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "none.yaml")
