"""Reading the API server's audit log: who did what."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

MUTATING = frozenset({"create", "update", "patch", "delete", "deletecollection"})


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One request, as the API server recorded it when it was answered (audit.k8s.io/v1, level Metadata)."""

    user: str
    groups: tuple[str, ...]
    impersonated: str | None
    verb: str
    uri: str
    api_group: str
    resource: str
    subresource: str
    namespace: str
    name: str
    code: int
    stage: str
    user_agent: str
    received: str
    """RFC 3339 with microseconds, in UTC, so that comparing the texts compares the times."""
    answered: str
    annotations: dict[str, str]

    @property
    def mutating(self) -> bool:
        """Whether the request asks for a change of a stored object."""
        return self.verb in MUTATING

    @classmethod
    def parse(cls, line: bytes) -> "AuditEvent":
        """From one line of the log."""
        raw: dict[str, Any] = orjson.loads(line)
        user, ref = raw.get("user", {}), raw.get("objectRef", {})
        return cls(
            user=user.get("username", ""),
            groups=tuple(user.get("groups", ())),
            impersonated=raw.get("impersonatedUser", {}).get("username"),
            verb=raw["verb"],
            uri=raw["requestURI"],
            api_group=ref.get("apiGroup", ""),
            resource=ref.get("resource", ""),
            subresource=ref.get("subresource", ""),
            namespace=ref.get("namespace", ""),
            name=ref.get("name", ""),
            code=raw.get("responseStatus", {}).get("code", 0),
            stage=raw["stage"],
            user_agent=raw.get("userAgent", ""),
            received=raw["requestReceivedTimestamp"],
            answered=raw["stageTimestamp"],
            annotations=raw.get("annotations", {}),
        )


def read(
    log: Path, since: int, end: int, *, user: str | None = None, verbs: Collection[str] | None = None
) -> list[AuditEvent]:
    """The events between two byte offsets.

    Each request is once in it: a watch when it ended (ResponseComplete), never the line that it began with.
    """
    wanted = user.encode() if user else b""
    events: list[AuditEvent] = []
    position = since
    with log.open("rb") as file:
        file.seek(since)
        for line in file:
            position += len(line)
            if position > end:
                break
            if wanted not in line:  # cheap, before parsing: logs of large runs have millions of lines
                continue
            event = AuditEvent.parse(line)
            if event.stage == "ResponseStarted":
                continue
            if (user is None or event.user == user) and (verbs is None or event.verb in verbs):
                events.append(event)
    return events
