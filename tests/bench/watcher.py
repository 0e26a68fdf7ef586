"""Agents as they come to be what they should be, seen on a watch: asking again and again would cost the server."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Self

from aiagent_operator.api import meta
from support.follower import Follower
from support.kube import Object
from support.operator import OperatorProcess

PATIENCE = 1800.0
# Name and namespace.
Agent = tuple[str, str]


def say(text: str) -> None:
    """Tells the person who waits what is going on."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def granted(agent: Object) -> bool:
    """Onboarded: the status says that all permissions are in force, which comes after all of an agent's children."""
    conditions = (agent.get("status") or {}).get("conditions") or ()
    return any(c["type"] == "PermissionsGranted" and c["status"] == "True" for c in conditions)


def ready(agent: Object) -> bool:
    """Onboarded, and its Deployment is complete."""
    conditions = (agent.get("status") or {}).get("conditions") or ()
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def trained(agent: Object) -> bool:
    """Trained once: its second revision serves."""
    revision = (agent.get("status") or {}).get("revision") or {}
    return bool(revision.get("stable") == 2)


class Watcher:
    """Which agents have come so far, and when: seen on a watch, since asking again and again would cost the server."""

    def __init__(self, kubeconfig: Path, until: Callable[[Object], bool]) -> None:
        self._until = until
        self.seen: dict[Agent, float] = {}
        self._changed = threading.Condition()
        self._follower = Follower(kubeconfig, f"/apis/{meta.API_VERSION}/aiagents", self._take)

    def wait(self, wanted: Iterable[Agent], *, what: str, operator: OperatorProcess) -> float:
        """Waits for all of these agents; the monotonic time at which the last one came."""
        missing = set(wanted)
        deadline, said = time.monotonic() + PATIENCE, time.monotonic()
        total = len(missing)
        with self._changed:
            while missing := {key for key in missing if key not in self.seen}:
                if not operator.running():
                    raise RuntimeError(f"the operator ended; its log ends with\n{operator.tail()}")
                self._follower.check()
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{len(missing)} of {total} agents are not {what}, {min(missing)} among them")
                if time.monotonic() - said > 10:
                    said = time.monotonic()
                    say(f"  {total - len(missing)} of {total} {what}")
                self._changed.wait(0.2)
            return max(self.seen[key] for key in wanted)

    def close(self) -> None:
        """Ends the watch."""
        self._follower.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _take(self, kind: str, obj: Object) -> None:
        now = time.monotonic()
        metadata = obj["metadata"]
        key = (metadata["name"], metadata["namespace"])
        if key not in self.seen and self._until(obj):
            with self._changed:
                self.seen[key] = now
                self._changed.notify_all()
