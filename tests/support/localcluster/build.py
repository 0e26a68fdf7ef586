"""Building the programs of the control plane from the pinned wrapper modules, once per user."""

import os
import platform
import re
import shutil
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from support.localcluster.cache import cache_dir, digest, exclusive
from support.localcluster.errors import BuildError
from support.localcluster.toolchain import INSTEAD, find_go

MODULES = Path(__file__).parent / "modules"
PROGRESS_SECONDS = 5.0


def say(text: str) -> None:
    """Print one line of progress; on stderr, since stdout belongs to the commands' answers."""
    print(f"localcluster: {text}", file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Module:
    """One wrapper module: its folder under modules/, and the program that each package makes.

    They are for this machine, unless `system` names another system, for what runs in a cluster's pods.
    """

    name: str
    requires: str
    programs: dict[str, str]
    system: str = ""

    @property
    def folder(self) -> Path:
        """Where its go.mod and go.sum are."""
        return MODULES / self.name

    @property
    def version(self) -> str:
        """The version that go.mod pins, such as v1.36.3."""
        found = re.search(rf"{re.escape(self.requires)} (v\S+)", (self.folder / "go.mod").read_text())
        if not found:
            raise BuildError(f"{self.folder / 'go.mod'} does not require {self.requires}")
        return found[1]

    def ldflags(self) -> str:
        """Strip symbols, and give Kubernetes the version that it reports (its own build scripts set it so)."""
        if self.name != "kubernetes":
            return "-s -w"
        major, minor = self.version.removeprefix("v").split(".")[:2]
        values = {"gitVersion": self.version, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
        return " ".join(["-s -w", *(f"-X k8s.io/component-base/version.{k}={v}" for k, v in values.items())])

    def output(self) -> Path:
        """The folder in the cache for exactly this content of the module files."""
        files = [(self.folder / file).read_bytes() for file in ("go.mod", "go.sum")]
        name = f"{self.name}-{self.version}-{digest(*files, self.ldflags().encode())}"
        foreign = self.system and self.system != platform.system().lower()
        return cache_dir() / "bin" / (f"{name}-{self.system}" if foreign else name)


KUBERNETES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
ALL = (
    Module("etcd", "go.etcd.io/etcd/server/v3", {"etcd": "go.etcd.io/etcd/server/v3"}),
    Module("kubernetes", "k8s.io/kubernetes", {name: f"k8s.io/kubernetes/cmd/{name}" for name in KUBERNETES}),
    Module("kwok", "sigs.k8s.io/kwok", {"kwok": "sigs.k8s.io/kwok/cmd/kwok"}),
)


def binaries(report: Callable[[str], None] = say) -> dict[str, Path]:
    """The path of each program, built where the cache has none; those in KUBEBUILDER_ASSETS come first.

    Raises BuildError where a program is missing and cannot be built.
    """
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    found: dict[str, Path] = {}
    for module in ALL:
        named = {name: Path(assets) / name for name in module.programs} if assets else {}
        own = {name: path for name, path in named.items() if os.access(path, os.X_OK)}
        found |= own
        missing = module.programs.keys() - own.keys()
        if missing:
            folder = built(module, report)
            found |= {name: folder / name for name in missing}
    return found


def built(module: Module, report: Callable[[str], None]) -> Path:
    """The folder with the module's programs, built where the cache has none. Raises BuildError where it cannot be."""
    output = module.output()
    if output.is_dir():
        return output
    with exclusive(f"build-{module.name}", report):
        if output.is_dir():
            return output
        go = find_go(report)
        report(f"building {', '.join(module.programs)} {module.version} with {go} (minutes at first, then never again)")
        partial = output.with_name(f"{output.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        started = time.monotonic()
        for name, package in module.programs.items():
            _go_build(module, go, package, partial / name, report)
        partial.rename(output)
        report(f"built {module.name} in {time.monotonic() - started:.0f} s")
    return output


def _go_build(module: Module, go: Path, package: str, target: Path, report: Callable[[str], None]) -> None:
    command = [str(go), "build", "-v", "-mod=readonly", "-buildvcs=false", "-ldflags", module.ldflags()]
    # Settings of the user's shell must not change what is built; proxies and checksum database stay the user's.
    env = {
        **os.environ,
        "CGO_ENABLED": "0",
        "GOFLAGS": "",
        "GOWORK": "off",
        "GOTOOLCHAIN": "local",
        "GO111MODULE": "on",
        **({"GOOS": module.system} if module.system else {}),
    }
    process = subprocess.Popen(
        [*command, "-o", str(target), package],
        cwd=module.folder,
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    tail: deque[str] = deque(maxlen=15)
    progress = _Progress(target.name, report)
    ended = threading.Event()
    ticker = threading.Thread(target=progress.tick, args=(ended,), daemon=True)
    ticker.start()
    try:
        if process.stderr is None:
            raise BuildError("the build's output is not readable")
        for line in process.stderr:
            tail.append(line.rstrip())
            progress.line(line.strip())
        code = process.wait()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        ended.set()
        ticker.join()
    if code != 0:
        text = "\n".join(f"  | {line}" for line in tail)
        raise BuildError(
            f"{target.name} cannot be built: `go build {package}` ({module.requires} {module.version}) said\n"
            f"{text}\nWhere modules could not be downloaded, make a Go module proxy reachable (see `go env GOPROXY`)."
            f"\n{INSTEAD}"
        )


class _Progress:
    """Says every few seconds how far a build is, also while Go itself is silent."""

    def __init__(self, name: str, report: Callable[[str], None]) -> None:
        self._name, self._report = name, report
        self._started = time.monotonic()
        self._downloads = self._packages = 0
        self._last = "reading the module graph"

    def line(self, text: str) -> None:
        if text.startswith("go: downloading "):
            self._downloads += 1
            self._last = text.removeprefix("go: ")
        elif text:
            self._packages += 1
            self._last = f"compiling {text}"

    def tick(self, ended: threading.Event) -> None:
        while not ended.wait(PROGRESS_SECONDS):
            elapsed = time.monotonic() - self._started
            counts = f"{self._downloads} modules fetched, {self._packages} packages compiled"
            self._report(f"  {self._name}: {elapsed:.0f} s, {counts}, now {self._last}")
