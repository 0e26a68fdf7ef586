"""A folder of a volume as a tar: that one and nothing beside it, whatever lies in its way."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from aiagent_operator.api import capture
from aiagent_operator.api.memory import LogVolume
from aiagent_operator.capture import job
from aiagent_operator.capture.tree import SKIPPED, NoFolderError, Tree, Why


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """A volume with a log in it, and with what is nobody's to read."""
    (tmp_path / "secret").write_text("not the log's")
    log = tmp_path / "volume" / "logs" / "decisions"
    (log / "2026").mkdir(parents=True)
    (log / "2026" / "22.jsonl").write_text("refunded 4711\n")
    (tmp_path / "volume" / "beside").write_text("not the log's")
    return tmp_path / "volume"


def test_the_folder_is_packed_and_nothing_beside_it(volume: Path) -> None:
    log = volume / "logs" / "decisions"
    (log / "up").symlink_to("../../beside")
    (log / "in").symlink_to("2026/22.jsonl")
    tree = Tree(str(volume), "logs/decisions", "decisions")
    with tarfile.open(fileobj=io.BytesIO(b"".join(tree.pieces()))) as tar:
        names = tar.getnames()
        file = tar.extractfile("decisions/2026/22.jsonl")
        assert file is not None
        assert file.read() == b"refunded 4711\n"
    assert names == ["decisions", "decisions/2026", "decisions/2026/22.jsonl", "decisions/in", SKIPPED]
    assert tree.skipped == {Why.LEADS_OUT: 1}


def descriptors() -> int:
    """How many files this process has open."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def _linked(volume: Path) -> None:
    (volume / "logs").rename(volume / "kept")
    (volume / "logs").symlink_to("kept")


def _linked_out(volume: Path) -> None:
    (volume / "logs" / "decisions").rename(volume.parent / "elsewhere")
    (volume / "logs" / "decisions").symlink_to(volume.parent / "elsewhere")


def _file(volume: Path) -> None:
    (volume / "logs" / "decisions").rename(volume / "kept")
    (volume / "logs" / "decisions").write_text("x")


CASES: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "it is not there": (lambda _: None, "logs/2027/01", "logs/2027 is not there"),
    "a link on the way": (_linked, "logs/decisions", "logs is no folder, or a symbolic link"),
    "a link that leads out": (_linked_out, "logs/decisions", "logs/decisions is no folder, or a symbolic link"),
    "a file": (_file, "logs/decisions", "logs/decisions is no folder"),
    "up": (lambda _: None, "../secret", ".. leads out of the volume"),
    "up and in again": (lambda _: None, "logs/../../volume", "logs/.. leads out of the volume"),
    "from the top of the file system": (lambda _: None, "/etc", " leads out of the volume, or nowhere"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_leads_to_no_folder_of_the_volume_is_not_packed(
    volume: Path, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    change, folder, says = CASES[case]
    change(volume)
    tree, opened = Tree(str(volume), folder, "decisions"), descriptors()
    for packing in (tree.look, lambda: list(tree.pieces())):
        with pytest.raises(NoFolderError, match=says.replace(".", r"\.")):
            packing()
    assert descriptors() == opened
    # The program says so before it asks for anything, and that another try is of no use.
    result = volume.parent / "result"
    told = {
        capture.ENV_KEY: "k", capture.ENV_URL: "https://127.0.0.1:1/", capture.ENV_CERTIFICATE: "c",
        capture.ENV_VOLUME: str(volume), capture.ENV_FOLDER: folder, capture.ENV_RESULT: str(result),
    }  # fmt: skip
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        job.main()
    assert ended.value.code == capture.NO_FOLDER
    assert says in result.read_text()


def test_a_folder_that_is_another_user_s_is_not_said_to_be_missing(
    volume: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def refused(path: object, *how: object, **more: object) -> int:
        if path == "decisions":
            raise PermissionError(13, "Permission denied", "decisions")
        return real(path, *how, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", refused)
    with pytest.raises(PermissionError):
        Tree(str(volume), "logs/decisions").look()


@pytest.mark.parametrize("path", ["logs", "logs/decisions", ".agent/log", "a.b/c..d", "2026", "_x-y"])
def test_a_path_is_one_from_the_top_of_the_volume(path: str) -> None:
    assert LogVolume(claim_name="facts", path=path).path == path


@pytest.mark.parametrize(
    "path",
    ["", "/logs", "logs/", "a//b", "..", "../x", "a/../b", "a/..", ".", "./a", "a/.", "..a", "$(WORKFORCE_ROOT)", "a b",
     "a\n", "a\0", "a\\b", "x" * 513],
)  # fmt: skip
def test_no_other_path_is_taken(path: str) -> None:
    with pytest.raises(ValidationError):
        LogVolume(claim_name="facts", path=path)
