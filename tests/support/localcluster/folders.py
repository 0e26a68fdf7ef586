"""The folder of one control plane, also after its process was killed."""

import contextlib
import fcntl
import shutil
import tempfile
from pathlib import Path
from typing import IO

PREFIX = "aiagent-localcluster-"


class Folder:
    """A folder that is locked while its process lives, so that later ones can tell what was left behind."""

    def __init__(self, wanted: Path | None = None) -> None:
        """A new temporary folder or, unlocked, the one that is wanted: a detached plane outlives its starter."""
        self._lock: IO[str] | None = None
        if wanted is not None:
            wanted.mkdir(parents=True, exist_ok=True)
            self.path = wanted
            return
        sweep()
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX))
        unlocked = self.path / "lock.new"
        self._lock = unlocked.open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        unlocked.rename(self.path / "lock")  # a sweeper sees it only once it is locked

    def remove(self) -> None:
        """Remove the folder with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def sweep() -> None:
    """Remove the data of control planes whose process was killed: their folders are no longer locked."""
    for lock in Path(tempfile.gettempdir()).glob(f"{PREFIX}*/lock"):
        with contextlib.suppress(OSError), lock.open() as file:  # held by a living one, or gone meanwhile
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(lock.parent, ignore_errors=True)
