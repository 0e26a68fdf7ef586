"""A terminal with kubectl and this repository's plugin, as somebody with a kubeconfig has it."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from support.cluster import Cluster
from support.documents import ROOT, blocks

PLUGINS = {
    "kubectl-aiagent": "aiagent_operator.cli",
    "kubectl_complete-aiagent": "aiagent_operator.cli.kubectl_complete",
}


@dataclass(frozen=True)
class Answer:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def screen(self) -> str:
        """Both, as they stand on a terminal."""
        return self.out + self.err


class Terminal:
    """Runs commands; `folder` takes the plugin and whatever the commands write."""

    def __init__(self, folder: Path, kubectl: str) -> None:
        self.folder = folder
        self._programs = folder / "bin"
        self._programs.mkdir()
        (self._programs / "kubectl").symlink_to(kubectl)
        for name, module in PLUGINS.items():
            program = self._programs / name
            program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m {module} "$@"\n')
            program.chmod(0o755)

    @classmethod
    def beside(cls, cluster: Cluster, folder: Path) -> Self:
        """With the kubectl that is installed, else the one of the local control plane."""
        kubectl = shutil.which("kubectl") or str(getattr(cluster, "kubectl"))  # noqa: B009 (the local one's alone)
        return cls(folder, kubectl)

    def run(self, command: str, kubeconfig: Path | None = None, *, text: str = "") -> Answer:
        """Run a line of bash."""
        env = {key: value for key, value in os.environ.items() if key not in {"FORCE_COLOR", "KUBECONFIG"}}
        env |= {"PATH": f"{self._programs}{os.pathsep}{env['PATH']}", "PYTHONPATH": str(ROOT / "operator")}
        env |= {"KUBECONFIG": str(kubeconfig or "/nonexistent"), "PYTHONUNBUFFERED": "1"}
        bash = shutil.which("bash") or "bash"
        done = subprocess.run(
            [bash, "-c", command],
            cwd=self.folder,
            env=env,
            input=text,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return Answer(done.returncode, done.stdout, done.stderr)


def sessions(path: Path) -> Iterator[tuple[int, str, str]]:
    """(line, command, what it printed) of the document's console blocks."""
    for block in blocks(path, "console"):
        command, line = "", block.line
        printed: list[str] = []
        for number, text in enumerate(block.text.splitlines(), block.line + 1):
            if text.startswith("$ "):
                if command:
                    yield line, command, "\n".join(printed)
                command, printed, line = text[2:], [], number
            else:
                printed.append(text)
        if command:
            yield line, command, "\n".join(printed)


def timeless(text: str) -> list[str]:
    """The lines without what differs from run to run: ages, UIDs, hashes, and the spaces that follow from them."""
    text = re.sub(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "UID", text)
    text = re.sub(r"\b[0-9a-f]{10,64}\b", "HASH", text)
    text = re.sub(r"(?<=\s)(\d+[smhd]){1,2}(?=\s|$)", "AGE", text)
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]
