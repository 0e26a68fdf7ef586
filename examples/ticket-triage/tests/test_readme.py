"""What the README tells to type works, and prints what it says, but for digests and a hair's breadth of numbers."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from running import ROOT, environment

from triage.settings import DEFAULTS

README = (ROOT / "README.md").read_text()
_ELSEWHERE = ("make ", "export PATH", "kubectl ")


def _steps() -> list[tuple[str, str]]:
    """Commands and what they print, in order."""
    steps: list[tuple[str, str]] = []
    for block in re.findall(r"^```console\n(.*?)^```", README, re.DOTALL | re.MULTILINE):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            if not command.startswith(_ELSEWHERE):
                steps.append((command, output))
    return steps


_VARIES = {"artifact", "version", "model", "notes", "reason"}
_CODE = re.compile(r"exit code (\d+)")


def _facts(value: Any, near: bool) -> Any:
    """A result without what differs from run to run; its numbers near enough, if wanted, to be compared with others."""
    if isinstance(value, dict):
        return {key: _facts(entry, near) for key, entry in value.items() if key not in _VARIES}
    if isinstance(value, list):
        return [_facts(entry, near) for entry in value if "latency-p95-ms" not in str(entry)]
    if isinstance(value, float) or (isinstance(value, str) and re.fullmatch(r"-?\d+(\.\d+)?", value)):
        return pytest.approx(float(value), abs=0.02) if near else float(value)
    return value


def _read(output: str, near: bool) -> tuple[list[str], Any]:
    """The exit codes that are printed, and the facts of the JSON."""
    body = _CODE.sub("", output).strip()
    return _CODE.findall(output), _facts(json.loads(body), near) if body else None


def test_its_commands_print_what_it_says(tmp_path: Path) -> None:
    for name in ("triage", "corpus"):
        shutil.copytree(ROOT / name, tmp_path / name)
    subprocess.run([sys.executable, "corpus/make.py", "--out", "data"], cwd=tmp_path, check=True)
    steps = _steps()
    assert len(steps) > 10
    script = "\n".join(f"{command}\necho '=== {number}'" for number, (command, _) in enumerate(steps))
    path = f"{Path(sys.executable).parent}:{environment()['PATH']}"
    settings = environment() | {"PYTHONPATH": str(tmp_path), "PATH": path}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        env=settings,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    rest = done.stdout
    for number, (command, expected) in enumerate(steps):
        printed, _, rest = rest.partition(f"=== {number}\n")
        assert _read(printed, near=False) == _read(expected, near=True), command


def test_its_table_has_every_setting_with_its_default() -> None:
    table = README[README.index("## Settings") : README.index("## In a cluster")]
    assert set(re.findall(r"`(TRIAGE_\w+)`", table)) == set(DEFAULTS)
    for name, default in DEFAULTS.items():
        row = next(line for line in table.splitlines() if f"`{name}`" in line)
        assert not default or f"`{default}`" in row, name


def test_it_names_all_metrics() -> None:
    source = (ROOT / "triage" / "metrics.py").read_text()
    for name in re.findall(r'"(triage_\w+)"', source):
        assert f"`{name}`" in README or f"`{name}_total`" in README, name
