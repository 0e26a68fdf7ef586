"""Kills a writer of the archive store's directory before each of its system calls, one after the other.

`python -m support.archivecrash <folder>` prints a line of JSON for each: before which call it was killed, and what was
found after that. Each writer is a fork of this process, which has no threads.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from aiagent_operator.runtime.archive import files, walk

NAME = "journal/8f/1.json"
DATA = b"x" * 10_000


class Deadly(ModuleType):
    """The module `os`, which kills the process before its n-th call and writes the call's name to a pipe."""

    def __init__(self, number: int, pipe: int) -> None:
        super().__init__("os")
        self._left, self._pipe = number, pipe

    def __getattr__(self, name: str) -> Any:
        found = getattr(os, name)
        if not callable(found):
            return found

        def called(*args: Any, **options: Any) -> Any:
            self._left -= 1
            if self._left == 0:
                os.write(self._pipe, name.encode())
                os.kill(os.getpid(), signal.SIGKILL)
            return found(*args, **options)

        return called


def _create(folder: Path) -> str:
    top = os.open(folder, files.FOLDER)
    with files.Writing(top, files.Flushed()) as writing:
        writing.write(DATA[:5000])
        writing.write(DATA[5000:])
        put = writing.publish(NAME)
    return put.value


def _write_and_die(folder: Path, number: int, pipe: int) -> NoReturn:
    try:
        vars(files)["os"] = Deadly(number, pipe)
        _create(folder)
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        os._exit(1)


def _killed(folder: Path, number: int) -> str | None:
    """Before which call the writer was killed; None where it had fewer, and came to its end."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _write_and_die(folder, number, writing)
    os.close(writing)
    _, status = os.waitpid(child, 0)
    name = os.read(reading, 100).decode()
    os.close(reading)
    if os.WIFSIGNALED(status):
        return name
    if os.waitstatus_to_exitcode(status) != 0:
        raise RuntimeError(f"the writer that should have been killed at step {number} failed with {status}")
    return None


def _found(folder: Path) -> dict[str, object]:
    """What a reader and the next writer see, before and after what was left behind is removed."""
    top = os.open(folder, files.FOLDER)
    try:
        listed = list(walk.ordered(top, "", ""))
        left = files.sweep(top, older=0)
    finally:
        os.close(top)
    content = (folder / NAME).read_bytes() if listed else b""
    again = _create(folder)
    partials = list((folder / files.PARTIAL).iterdir())
    return {
        "listed": listed,
        "whole": content == DATA,
        "left": left,
        "again": again,
        "after": (folder / NAME).read_bytes() == DATA and not partials,
    }


def main(root: Path) -> None:
    """Until a writer comes to its end."""
    for number in itertools.count(1):
        folder = root / str(number)
        folder.mkdir()
        name = _killed(folder, number)
        print(json.dumps({"call": name, **_found(folder)}), flush=True)
        if name is None:
            return


if __name__ == "__main__":
    main(Path(sys.argv[1]))
