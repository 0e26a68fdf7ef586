"""The user's cache folder, and locks between processes that share it."""

import contextlib
import fcntl
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path


def cache_dir() -> Path:
    """The folder for what is built once: $XDG_CACHE_HOME/aiagent-operator, made where it is missing."""
    base = os.environ.get("XDG_CACHE_HOME")
    folder = (Path(base) if base else Path.home() / ".cache") / "aiagent-operator"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def digest(*parts: bytes) -> str:
    """The first 12 hex digits of the SHA-256 over the parts, each with its length, so that no two lists collide."""
    sha = hashlib.sha256()
    for part in parts:
        sha.update(len(part).to_bytes(8, "big"))
        sha.update(part)
    return sha.hexdigest()[:12]


@contextlib.contextmanager
def exclusive(name: str, say: Callable[[str], None], *, repeat_seconds: float = 10.0) -> Iterator[None]:
    """Hold the lock `name` between processes; while another holds it, say so every `repeat_seconds`.

    The kernel frees the lock when its holder ends in any way, so a killed build never blocks the next one.
    """
    path = cache_dir() / f"{name}.lock"
    with path.open("a+") as file:
        started, said = time.monotonic(), 0.0
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                waited = time.monotonic() - started
                if said == 0.0 or waited - said >= repeat_seconds:
                    file.seek(0)
                    say(f"waiting for process {file.read().strip() or '?'}, which holds {name} ({waited:.0f} s)")
                    said = waited or 0.001
                time.sleep(0.2)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
