"""Child processes that never outlive the process that started them."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from support.localcluster.errors import ComponentDied

PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
# The kernel sends the parent-death signal when the *thread* that forked ends. This thread lives as long as the process,
# so that a component may be started from any thread, also from one that is soon gone.
_SPAWNER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="localcluster-spawner")


def _die_with(parent: int) -> Callable[[], None]:
    def preexec() -> None:
        if _LIBC is not None:
            _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:  # it died between fork and prctl
                os._exit(1)

    return preexec


def spawn(
    command: list[str], log: Path, *, detached: bool = False, env: dict[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own (Ctrl-C reaches only us) whose output goes to `log`.

    It is killed together with this process, also when this one is killed with SIGKILL, unless `detached`.
    """
    preexec = None if detached else _die_with(os.getpid())

    def start() -> subprocess.Popen[bytes]:
        with log.open("ab") as output:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=preexec,  # noqa: PLW1509 - only prctl and getppid, nothing that takes a lock
                env=env,
            )

    return _SPAWNER.submit(start).result()


class Process(Protocol):
    """The part of `subprocess.Popen` that a component needs."""

    @property
    def pid(self) -> int: ...
    @property
    def returncode(self) -> int | None: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def terminate(self) -> None: ...
    def kill(self) -> None: ...


@dataclass
class Component:
    """One program of the control plane, or beside it. `launch` starts it where a command does not."""

    name: str
    command: list[str]
    log: Path
    detached: bool = False
    env: dict[str, str] | None = None
    launch: Callable[[Mapping[str, str], Path], Process] | None = None
    process: Process | None = field(default=None, init=False)

    @property
    def pid(self) -> int:
        """Its process id; raises ComponentDied where it is not started."""
        if self.process is None:
            raise ComponentDied(f"{self.name} is not started")
        return self.process.pid

    def start(self) -> None:
        """Start it; the log of an earlier run is kept and appended to."""
        if self.launch is not None:
            self.process = self.launch(self.env or {}, self.log)
        else:
            self.process = spawn(self.command, self.log, detached=self.detached, env=self.env)

    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self.process is not None and self.process.poll() is None

    def check(self) -> None:
        """Raise ComponentDied, with the end of its log, where it ended by itself."""
        if self.process is not None and self.process.poll() is not None:
            raise ComponentDied(
                f"{self.name} ended with code {self.process.returncode}; the end of {self.log}:\n{self.tail()}"
            )

    def tail(self, lines: int = 20) -> str:
        """The last lines of its log."""
        if not self.log.exists():
            return "  | (no log)"
        text = self.log.read_bytes()[-64_000:].decode(errors="replace")
        return "\n".join(f"  | {line}" for line in text.splitlines()[-lines:])

    def stop(self, *, grace_seconds: float = 0.0) -> None:
        """End it: SIGTERM and, after the grace, SIGKILL; without grace SIGKILL at once. Returns when it is gone."""
        process = self.process
        if process is None:
            return
        if process.poll() is None and grace_seconds > 0:
            process.terminate()
            try:
                process.wait(grace_seconds)
            except subprocess.TimeoutExpired:
                process.kill()
        elif process.poll() is None:
            process.kill()
        process.wait()
        self.process = None


def start_time(pid: int) -> int | None:
    """When the process started, in clock ticks since boot (proc(5), field 22); None where there is none.

    Together with the pid it names one process for ever, however often the kernel reuses the number.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat[stat.rindex(")") + 2 :].split()
    if fields[0] == "Z":
        return None
    return int(fields[19])
