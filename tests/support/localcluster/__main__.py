"""A control plane that stays up: python -m support.localcluster up|down|status|build."""

import argparse
import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

from support.localcluster.build import binaries, say
from support.localcluster.cache import cache_dir, exclusive
from support.localcluster.errors import LocalClusterError
from support.localcluster.plane import ControlPlane
from support.localcluster.process import start_time


def main() -> int:
    """Run one command; 0 where it did what it says."""
    parser = argparse.ArgumentParser(prog="python -m support.localcluster", description=__doc__)
    parser.add_argument("command", choices=["up", "down", "status", "build"])
    parser.add_argument("--name", default="default", help="one of several control planes (default: %(default)s)")
    parser.add_argument("--nodes", type=int, default=3, help="fake nodes (default: %(default)s)")
    arguments = parser.parse_args()
    state = State(arguments.name)
    try:
        with exclusive(f"cluster-{arguments.name}", say):
            if arguments.command == "build":
                binaries()
                return 0
            if arguments.command == "up":
                return up(state, arguments.nodes)
            return down(state) if arguments.command == "down" else status(state)
    except LocalClusterError as error:
        print(error, file=sys.stderr)
        return 1


class State:
    """What runs under a name: a file with the pid and the start time of each process."""

    def __init__(self, name: str) -> None:
        self.folder = cache_dir() / "clusters" / name
        self.file = self.folder / "state.json"

    def read(self) -> dict[str, Any] | None:
        """What `up` has written, None where nothing was started."""
        if not self.file.exists():
            return None
        content: dict[str, Any] = json.loads(self.file.read_text())
        return content

    def write(self, plane: ControlPlane) -> None:
        """Note the processes of a plane that runs."""
        processes = {name: {"pid": pid, "started": start_time(pid)} for name, pid in plane.pids.items()}
        content = {"kubeconfig": str(plane.kubeconfig), "server": plane.server, "processes": processes}
        self.file.write_text(json.dumps(content, indent=2))

    def alive(self) -> dict[str, int]:
        """The pids of its processes that still run; a pid that the kernel gave to another process is not among them."""
        processes = (self.read() or {}).get("processes", {})
        return {name: item["pid"] for name, item in processes.items() if start_time(item["pid"]) == item["started"]}


def up(state: State, nodes: int) -> int:
    """Start it, or say that it runs already."""
    content = state.read()
    if content is not None:
        if len(state.alive()) == len(content["processes"]):
            say("runs already")
            return status(state)
        say("parts of it have ended; starting anew")
        down(state)
    say("starting etcd, API server, controllers, scheduler and fake nodes")
    plane = ControlPlane(folder=state.folder, detached=True, nodes=nodes).start()
    state.write(plane)
    return status(state)


def down(state: State) -> int:
    """End its processes, by the pids that were noted, and remove its data."""
    alive = state.alive()
    for pid in alive.values():
        os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while state.alive():
        if time.monotonic() > deadline:
            raise LocalClusterError(f"Still running after SIGKILL: {state.alive()}; look at these pids with ps")
        time.sleep(0.05)
    shutil.rmtree(state.folder, ignore_errors=True)
    say("stopped and removed" if alive else "nothing was running")
    return 0


def status(state: State) -> int:
    """Say whether it runs; 3 where it does not, as init scripts do."""
    content, alive = state.read(), state.alive()
    if content is None or not alive:
        say("not running; start it with `make cluster-up`")
        return 3
    ended = sorted(content["processes"].keys() - alive.keys())
    if ended:
        say(f"ended: {', '.join(ended)}; logs are in {Path(content['kubeconfig']).parent}")
        return 1
    say(f"running at {content['server']}; stop it with `make cluster-down`")
    print(f"export KUBECONFIG={content['kubeconfig']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
