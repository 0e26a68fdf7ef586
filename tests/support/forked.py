"""Operators that are forked from a process which has imported the program, instead of each importing it anew.

An import takes two seconds of a core, and tests that kill the operator at every write start it hundreds of times. From
`main` on it is the same process as any other: with an environment, a log, signals and an end of its own.
"""

import ctypes
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from support.localcluster.process import PR_SET_PDEATHSIG

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["aiagent_operator.runtime.app"])
# What multiprocessing keeps about its server is not for several threads at once.
_STARTER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="forked-starter")


def _main(environment: Mapping[str, str], log: Path) -> None:
    os.setsid()
    if sys.platform == "linux":
        # The server ends with the process that started it, and takes what it forked with it.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    with log.open("ab") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    os.environ.clear()
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.default_int_handler)

    from aiagent_operator.runtime.app import main  # noqa: PLC0415 - the process that asks for it needs none of this

    main()


class Forked:
    """One such process, with the part of `subprocess.Popen` that is asked of a component."""

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        self._process: ForkServerProcess = _CONTEXT.Process(target=_main, args=(dict(environment), log))
        _STARTER.submit(self._process.start).result()

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process.pid is not None, "it is started as soon as it is made"
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """How it ended; None while it runs, and below zero where a signal ended it."""
        return self.poll()

    def poll(self) -> int | None:
        """The same."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended, so many seconds at most; raises subprocess.TimeoutExpired."""
        self._process.join(timeout)
        if (code := self.poll()) is None:
            raise subprocess.TimeoutExpired("the operator", timeout or 0)
        return code

    def terminate(self) -> None:
        """Send it SIGTERM."""
        self._process.terminate()

    def kill(self) -> None:
        """Send it SIGKILL."""
        self._process.kill()
