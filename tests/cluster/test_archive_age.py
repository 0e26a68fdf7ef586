"""Payload of archives is read by `age` itself, which needs no cluster, and a minute to be built."""

import subprocess
from pathlib import Path

import pytest

from support import age, archivepage, archives
from support.documents import Block

BLOCKS = [block for block in archivepage.CONSOLE if "age" in archivepage.tools(block)]


@pytest.fixture(scope="module")
def programs() -> Path:
    return age.folder()


def test_what_is_encrypted_here_age_itself_reads(programs: Path, tmp_path: Path) -> None:
    plain = bytes(range(256)) * 1000
    _, data = archives.encrypted("memory.tar", plain)
    (tmp_path / "key").write_text(archives.IDENTITY)
    command = [str(programs / "age"), "--decrypt", "--identity", "key"]
    assert subprocess.run(command, cwd=tmp_path, input=data, capture_output=True, check=True).stdout == plain


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_commands_of_the_page_give_what_is_shown(block: Block, programs: Path, tmp_path: Path) -> None:
    archivepage.run(block, archivepage.unpacked(tmp_path), programs=str(programs))
