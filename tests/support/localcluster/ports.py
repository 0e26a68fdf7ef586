"""Ports that stay ours between choosing and listening, also when several planes start at once."""

import fcntl
import random
import socket
from types import TracebackType
from typing import IO, Self

from support.localcluster.cache import cache_dir
from support.localcluster.errors import LocalClusterError

# Below the range from which Linux takes the ports of outgoing connections, which would otherwise steal them.
RANGE = range(20000, 31000)
ATTEMPTS = 200


class Ports:
    """Reserves free ports by locks on files, freed with close() or with the end of the process."""

    def __init__(self) -> None:
        self._held: list[IO[str]] = []

    def take(self) -> int:
        """A port on which nothing listens and which no other process has reserved."""
        folder = cache_dir() / "ports"
        folder.mkdir(exist_ok=True)
        for port in random.sample(RANGE, ATTEMPTS):
            file = (folder / str(port)).open("w")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
            except OSError:
                file.close()
                continue
            self._held.append(file)
            return port
        raise LocalClusterError(
            f"No free port on 127.0.0.1 between {RANGE.start} and {RANGE.stop} in {ATTEMPTS} attempts; "
            "end what listens there"
        )

    def close(self) -> None:
        """Give the reservations back."""
        for file in self._held:
            file.close()
        self._held.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
