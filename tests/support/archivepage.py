"""The commands of docs/archives.md, run over its example: standard tools are enough to read an archive."""

import os
import subprocess
import sys
from pathlib import Path

from aiagent_operator.core.archive import envelope, layout
from support import archivefiles, archives
from support.documents import ROOT, Block, blocks

PAGE = ROOT / "docs" / "archives.md"
_BLOCKS = blocks(PAGE, "console")
PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
"""With the command of this project, which is beside the Python that runs the tests."""


def unpacked(folder: Path) -> Path:
    """The example as files, with the keys that the commands of docs/archives.md name."""
    found = archives.example()
    archivefiles.put(folder)
    # And as a store has it, where nothing that commands make is beside it.
    archivefiles.put(folder / "store" / archivefiles.PLACE)
    (folder / "workforce.pub").write_bytes(archives.public_pem(archives.ED25519))
    (folder / "archive.key").write_text(archives.IDENTITY)
    # What other blocks make of the certificate, whatever the order of the tests.
    opened = envelope.verified(found.files[layout.CERTIFICATE], archives.KEYS, layout.CERTIFICATE)
    (folder / "statement.json").write_bytes(opened.payload)
    return folder


def tools(block: Block) -> set[str]:
    """The programs that the commands of a block begin with."""
    return {command.split()[0] for command in _commands(block)}


def run(block: Block, folder: Path, *, programs: str = "") -> None:
    """Runs the commands of a block, and checks what they print. `programs`: a folder with more of them."""
    shown = [line for line in block.text.splitlines() if not line.startswith("$ ")]
    script = "\n".join(("set -euo pipefail", *_commands(block)))
    path = os.pathsep.join(filter(None, (programs, PATH)))
    found = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "LC_ALL": "C", "PATH": path, "PYTHONPATH": str(ROOT / "operator")},
    )
    assert found.stdout.splitlines() == shown


def _commands(block: Block) -> list[str]:
    return [line.removeprefix("$ ") for line in block.text.splitlines() if line.startswith("$ ")]


CONSOLE = [block for block in _BLOCKS if "kubectl" not in tools(block)]
"""What needs the files of an archive alone."""

KUBECTL = [block for block in _BLOCKS if "kubectl" in tools(block)]
"""What needs a cluster."""
