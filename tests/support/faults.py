"""What can be done to one request on its way to the API server, and which requests count as writes."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import orjson
from aiohttp import web

MUTATING = frozenset({"POST", "PUT", "PATCH", "DELETE"})
# Groups whose POSTs store nothing, or nothing that a test of convergence counts.
UNCOUNTED_GROUPS = frozenset({"authorization.k8s.io", "authentication.k8s.io", "coordination.k8s.io", "events.k8s.io"})


class When(StrEnum):
    """On which side of the API server."""

    BEFORE = "Before"
    AFTER = "After"


@dataclass(frozen=True)
class Call:
    """One request."""

    method: str
    path: str
    query: dict[str, str]
    body: bytes = field(repr=False)
    number: int | None = None
    """Its place among the mutating requests, from 1; None for one that does not count."""
    status: int | None = None
    """How it was answered; None while it is under way, or where its connection was dropped."""

    @property
    def parts(self) -> list[str]:
        """The path from the resource on: resource, name, subresource, as far as they are given."""
        parts = self.path.strip("/").split("/")
        parts = parts[2:] if parts[0] == "api" else parts[3:]
        if parts[:1] == ["namespaces"] and len(parts) > 2 and parts[2] not in ("status", "finalize"):
            parts = parts[2:]
        return parts

    @property
    def group(self) -> str:
        """The API group, empty for the core."""
        parts = self.path.strip("/").split("/")
        return parts[1] if parts[0] == "apis" and len(parts) > 1 else ""

    @property
    def resource(self) -> str:
        """The plural, such as `rolebindings`; empty for what is no resource."""
        return (self.parts or [""])[0]

    @property
    def name(self) -> str:
        """The object's name; for a POST the one in its body."""
        if len(self.parts) > 1:
            return self.parts[1]
        return str(self.json.get("metadata", {}).get("name", "")) if self.method == "POST" else ""

    @property
    def subresource(self) -> str:
        """Such as `status`; empty for the object itself."""
        return self.parts[2] if len(self.parts) > 2 else ""

    @property
    def is_watch(self) -> bool:
        """Whether the answer is a stream."""
        return self.method == "GET" and self.query.get("watch", "").lower() in ("true", "1")

    @property
    def json(self) -> dict[str, Any]:
        """The body; empty where there is none."""
        content: dict[str, Any] = orjson.loads(self.body) if self.body else {}
        return content


def is_mutation(call: Call) -> bool:
    """Whether a request counts: it changes a stored object, other than leases and events, and is no dry run."""
    if call.method not in MUTATING or "dryRun" in call.query or call.group in UNCOUNTED_GROUPS:
        return False
    return call.resource != "events" and (call.resource, call.subresource) != ("serviceaccounts", "token")


@dataclass(frozen=True)
class Status:
    """Answered by the proxy as the API server would, without asking it."""

    code: int
    reason: str = ""
    message: str = "injected by a test"
    retry_after: int | None = None
    """Seconds in the Retry-After header, as the API server sends it with 429."""

    def response(self) -> web.Response:
        """A metav1.Status."""
        body = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "code": self.code,
            "reason": self.reason,
            "message": self.message,
        }
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        return web.Response(status=self.code, headers=headers, body=orjson.dumps(body), content_type="application/json")


@dataclass(frozen=True)
class Drop:
    """The connection breaks: BEFORE the request is passed on, or AFTER the API server has carried it out."""

    when: When = When.BEFORE


@dataclass(frozen=True)
class Delay:
    """Passed on later, by so many seconds."""

    seconds: float


@dataclass(frozen=True)
class Hold:
    """Passed on when the test says so."""

    released: threading.Event


Fault = Status | Drop | Delay | Hold


@dataclass(eq=False)
class Rule:
    """A fault for the requests that match."""

    match: Callable[[Call], bool]
    fault: Fault
    left: int | None
    hits: int = 0

    def takes(self, call: Call) -> bool:
        """Whether this request gets the fault; counts it where it does."""
        if self.left == 0 or not self.match(call):
            return False
        self.hits += 1
        if self.left is not None:
            self.left -= 1
        return True


def expired_event() -> bytes:
    """The event with which the API server ends a watch whose version it no longer has."""
    status = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "too old resource version: injected by a test",
        "reason": "Expired",
        "code": 410,
    }
    return orjson.dumps({"type": "ERROR", "object": status}) + b"\n"
