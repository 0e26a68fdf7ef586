"""Every change of a collection as the API server tells of it, in its order: for what must never be true in between."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson
import urllib3

from support.kube import Object
from support.kubetransport import Access

# Type of the event (ADDED, MODIFIED, DELETED) and the object as it was then.
Take = Callable[[str, Object], None]


class Follower:
    """One watch, from the moment at which it is made on, in a thread of its own that calls `take` with each event."""

    def __init__(self, kubeconfig: Path, path: str, take: Take) -> None:
        """`path` is that of a collection: /apis/batch/v1/jobs. What `take` raises is raised again by `check`."""
        access = Access.read(kubeconfig)
        self._url, self._take = access.server + path, take
        self._pool = urllib3.PoolManager(ssl_context=access.context, retries=False)
        if access.token:
            self._pool.headers = urllib3.HTTPHeaderDict({"Authorization": f"Bearer {access.token}"})
        self._error: BaseException | None = None
        self._version = str(orjson.loads(self._get({"limit": "1"}).data)["metadata"]["resourceVersion"])
        self._open = True
        self._thread = threading.Thread(target=self._follow, name=f"follower of {path}", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raises what the watch has ended with: nothing that was not seen can be concluded from."""
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Ends the watch."""
        self._open = False
        self._pool.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _get(self, fields: dict[str, str], **options: Any) -> Any:
        answer = self._pool.request("GET", self._url, fields=fields, **options)
        if answer.status != 200:
            raise RuntimeError(f"{self._url}: {answer.status} {answer.data[:300]!r}")
        return answer

    def _follow(self) -> None:
        try:
            while self._open:
                fields = {"watch": "true", "resourceVersion": self._version, "allowWatchBookmarks": "true"}
                answer = self._get(fields, preload_content=False, timeout=urllib3.Timeout(read=None))
                pending = b""
                for chunk in answer.stream(65536):
                    *lines, pending = (pending + chunk).split(b"\n")
                    for line in filter(None, lines):
                        self._took(orjson.loads(line))
        except BaseException as error:  # noqa: BLE001 - handed to the thread that checks
            if self._open:
                self._error = error

    def _took(self, event: Object) -> None:
        obj = event["object"]
        if event["type"] == "ERROR":
            raise RuntimeError(f"the watch of {self._url} ended: {obj.get('message')}")
        self._version = obj["metadata"]["resourceVersion"]
        if event["type"] != "BOOKMARK":
            self._take(event["type"], obj)
