"""The operator's own command: what is wrong with a line is said before any cluster or store is asked."""

from pathlib import Path

import pytest
import yaml

from aiagent_operator.runtime import command
from support import archives


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Without a cluster; the folder with the keys and the description of the stores."""
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.setenv("AIAGENT_ARCHIVE_FILE", str(described(tmp_path)))
    return tmp_path


def described(folder: Path, **fields: str) -> Path:
    (folder / "store").mkdir(exist_ok=True)
    file = folder / "stores.yaml"
    file.write_text(yaml.safe_dump({"stores": [{"name": "local", "url": f"file://{folder / 'store'}"}], **fields}))
    return file


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = command.run(["archive", "import", *arguments])
    out, err = capsys.readouterr()
    assert out == ""
    return code, err


@pytest.mark.usefixtures("environment")
def test_without_a_key_nothing_could_be_believed(capsys: pytest.CaptureFixture[str]) -> None:
    text = "error: there is no key that could have signed: give --key with the public one, or --uncertified\n"
    assert said(capsys) == (2, text)


def test_what_is_given_is_named_where_it_cannot_be_used(environment: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "--store", "vault") == (2, "error: --store vault is none of local: name one of them\n")
    code, text = said(capsys, "--key", str(environment / "gone.pub"))
    assert (code, text) == (2, f"error: --key {environment / 'gone.pub'} cannot be read: No such file or directory\n")
    private = environment / "signing.key"
    private.write_bytes(archives.public_pem(archives.P256) + archives.pem(archives.ED25519))
    code, text = said(capsys, "--key", str(private))
    assert code == 2
    assert "is a private key: give the public one" in text


def test_an_operator_without_stores_has_nothing_to_import(
    environment: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("AIAGENT_ARCHIVE_FILE")
    assert said(capsys)[0] == 2
    monkeypatch.setenv("AIAGENT_ARCHIVE_FILE", str(described(environment, default="other")))
    code, text = said(capsys)
    assert code == 2
    assert "default is other, and the stores are local" in text


@pytest.mark.parametrize("arguments", [["frob"], ["archive"], ["archive", "import", "--frob"]])
def test_wrong_usage_is_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.run(arguments)
    assert ended.value.code == 2
    assert "usage: aiagent-operator" in capsys.readouterr().err
