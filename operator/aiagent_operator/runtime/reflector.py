"""Lists and watches of what is not the operator's own kind: one small state machine for all of them.

list (in pages) -> watch from there -> watch again where it ended -> list anew when the version is too old (410).
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping
from typing import Any

from aiagent_operator.runtime import metrics
from aiagent_operator.runtime.client import JSON, Api, ApiError, pages

log = logging.getLogger(__name__)

METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

_FIRST_DELAY, _LONGEST_DELAY, _SHORT = 0.5, 30.0, 5.0


class Reflector:
    """Keeps `observe` and `forget` told about the objects under one path.

    `relisted` is called after each list with the (namespace, name) of every object in it, so that what vanished unseen
    can be forgotten. With `listing=False` nothing is listed: only what changes from now on is told, and
    `relisted(None)` says that changes may have been missed.
    """

    def __init__(
        self,
        api: Api,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        observe: Callable[[dict[str, Any]], None],
        forget: Callable[[dict[str, Any]], None],
        relisted: Callable[[set[tuple[str, str]] | None], None] = lambda _: None,
        page_size: int = 500,
        listing: bool = True,
        metadata_only: bool = False,
    ) -> None:
        self._api, self._path, self._params = api, path, dict(params or {})
        self._observe, self._forget, self._relisted = observe, forget, relisted
        self._page_size, self._listing = page_size, listing
        self._accept_list = METADATA_LIST if metadata_only else JSON
        self._accept_watch = METADATA_ONLY if metadata_only else JSON
        self._resource = metrics.resource_of(path)
        self._version = ""
        self.synced = asyncio.Event()

    @property
    def resource(self) -> str:
        """What is watched, for messages."""
        return self._resource

    async def run(self) -> None:
        """Runs until cancelled. Errors are logged and waited out; they never end it."""
        delay = _FIRST_DELAY
        while True:
            try:
                if not self._version:
                    self._version = await self._list()
                    self.synced.set()
                began = time.monotonic()
                await self._watch()
                if time.monotonic() - began > _SHORT:
                    delay = _FIRST_DELAY
                    continue
                # A server that ends each watch at once (it is stopping, say) must not be asked in a busy loop.
            except ApiError as error:
                if error.status == 410:
                    self._version = ""
                level = logging.INFO if error.status in (0, 410, 429, 503) else logging.WARNING
                log.log(level, "watch of %s ended: %s; again in %.1f s", self._path, error, delay)
            metrics.WATCH_RESTARTS_TOTAL.labels(self._resource).inc()
            await asyncio.sleep(delay * random.uniform(0.75, 1.25))  # noqa: S311 - jitter, not a secret
            delay = min(delay * 2, _LONGEST_DELAY)

    async def _list(self) -> str:
        if not self._listing:
            page = await self._api.request(
                "GET", self._path, params={**self._params, "limit": "1"}, accept=self._accept_list
            )
            self._relisted(None)
            return str(page["metadata"]["resourceVersion"])
        seen: set[tuple[str, str]] = set()
        version = ""
        async for page in pages(self._api, self._path, self._params, size=self._page_size, accept=self._accept_list):
            version = page["metadata"]["resourceVersion"]
            for item in page.get("items") or ():
                metadata = item["metadata"]
                seen.add((metadata.get("namespace", ""), metadata["name"]))
                self._observe(item)
        self._relisted(seen)
        return version

    async def _watch(self) -> None:
        """Follows one watch to its end. What was seen stays seen: the next one goes on from there."""
        params = {**self._params, "resourceVersion": self._version}
        async for event in self._api.watch(self._path, params, accept=self._accept_watch):
            item = event["object"]
            if event["type"] == "DELETED":
                self._forget(item)
            elif event["type"] != "BOOKMARK":
                self._observe(item)
            self._version = item["metadata"]["resourceVersion"]
