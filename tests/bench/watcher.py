"""Agents as they come to be what they should be, seen on a watch: asking again and again would cost the server."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Self

import orjson
import urllib3

from aiagent_operator.api import meta
from support.kube import Object
from support.kubetransport import Access
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


class Watcher:
    """Which agents have come so far, and when: seen on a watch, since asking again and again would cost the server."""

    def __init__(self, kubeconfig: Path, until: Callable[[Object], bool]) -> None:
        self._access = Access.read(kubeconfig)
        self._until = until
        self._pool = urllib3.PoolManager(ssl_context=self._access.context, retries=False)
        self.seen: dict[Agent, float] = {}
        self._changed = threading.Condition()
        self._error: BaseException | None = None
        self._version = self._list()
        self._open = True
        self._thread = threading.Thread(target=self._follow, name="watcher", daemon=True)
        self._thread.start()

    def wait(self, wanted: Iterable[Agent], *, what: str, operator: OperatorProcess) -> float:
        """Waits for all of these agents; the monotonic time at which the last one came."""
        missing = set(wanted)
        deadline, said = time.monotonic() + PATIENCE, time.monotonic()
        total = len(missing)
        with self._changed:
            while missing := {key for key in missing if key not in self.seen}:
                if not operator.running():
                    raise RuntimeError(f"the operator ended; its log ends with\n{operator.tail()}")
                if self._error is not None:
                    raise self._error
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{len(missing)} of {total} agents are not {what}, {min(missing)} among them")
                if time.monotonic() - said > 10:
                    said = time.monotonic()
                    say(f"  {total - len(missing)} of {total} {what}")
                self._changed.wait(0.2)
            return max(self.seen[key] for key in wanted)

    def close(self) -> None:
        """Ends the watch."""
        self._open = False
        self._pool.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _list(self) -> str:
        answer = orjson.loads(self._get({"limit": "1"}).data)
        return str(answer["metadata"]["resourceVersion"])

    def _get(self, fields: dict[str, Any], **options: Any) -> Any:
        url = f"{self._access.server}/apis/{meta.API_VERSION}/aiagents"
        answer = self._pool.request("GET", url, fields=fields, **options)
        if answer.status != 200:
            raise RuntimeError(f"{url}: {answer.status} {answer.data[:300]!r}")
        return answer

    def _follow(self) -> None:
        try:
            while self._open:
                fields = {"watch": "true", "resourceVersion": self._version, "timeoutSeconds": "3000"}
                answer = self._get(fields, preload_content=False, timeout=urllib3.Timeout(read=None))
                pending = b""
                for chunk in answer.stream(65536):
                    *lines, pending = (pending + chunk).split(b"\n")
                    for line in lines:
                        self._take(line)
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits
            if self._open:
                self._error = error

    def _take(self, line: bytes) -> None:
        if not line:
            return
        now = time.monotonic()
        event = orjson.loads(line)
        obj = event["object"]
        if event["type"] == "ERROR":
            raise RuntimeError(f"the watch of agents ended: {obj.get('message')}")
        metadata = obj["metadata"]
        self._version = metadata["resourceVersion"]
        key = (metadata["name"], metadata["namespace"])
        if key not in self.seen and self._until(obj):
            with self._changed:
                self.seen[key] = now
                self._changed.notify_all()
