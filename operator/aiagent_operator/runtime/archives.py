"""The AgentArchives that exist: fed by kopf's watch and by the answers to the operator's own writes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import orjson


class ArchiveKey(NamedTuple):
    """An AgentArchive in the queue. `kind` keeps it apart from a role of the same name."""

    name: str
    kind: str = "AgentArchive"


class CareKey(NamedTuple):
    """An archive in the queue whose files are to be looked at, which may take hours: apart from its AgentArchive."""

    name: str
    kind: str = "Archive"


@dataclass(frozen=True, slots=True)
class ArchiveRecord:
    """An AgentArchive as it was last seen. `namespace` and `agent` are those of the agent that has left.

    `verified`: status of that condition, or that it was purged, or abandoned and nothing is wrong with the record of
    that. `abandoned`: it says that there is no archive.
    """

    name: str
    uid: str
    version: int
    created: datetime
    namespace: str
    agent: str
    raw: bytes
    verified: str
    abandoned: bool

    @property
    def spec(self) -> Mapping[str, Any]:
        """Its spec."""
        return self._load()["spec"]  # type: ignore[no-any-return]

    @property
    def status(self) -> Mapping[str, Any]:
        """Its status."""
        return self._load()["status"]  # type: ignore[no-any-return]

    def _load(self) -> dict[str, Any]:
        value: dict[str, Any] = orjson.loads(self.raw)
        return value


class ArchiveBook:
    """All AgentArchives, by name. `changed` is called with each that has.

    `namespaces` are those that this operator watches, all where it is empty: another one looks after the others.
    """

    def __init__(self, changed: Callable[[ArchiveRecord], None]) -> None:
        self._changed = changed
        self.namespaces: frozenset[str] = frozenset()
        self.records: dict[str, ArchiveRecord] = {}
        # An agent's name may have been that of several, one after the other.
        self._of: dict[tuple[str, str], set[str]] = defaultdict(set)

    def observe(self, body: Mapping[str, Any], *, answer: bool = False) -> None:
        """Takes in an AgentArchive, unless it is older than what is known. One that is known no longer has gone since
        the write whose `answer` this is; the answer to its creation is none of these."""
        new = _record(body)
        known = self.records.get(new.name)
        same = known is not None and known.uid == new.uid
        if (known and same and known.version >= new.version) or (answer and not same):
            return
        if known:
            self._drop(known)
        self.records[new.name] = new
        self._of[new.namespace, new.agent].add(new.name)
        self._changed(new)

    def forget(self, name: str, uid: str) -> None:
        """The AgentArchive is gone."""
        known = self.records.get(name)
        if known is not None and known.uid == uid:
            self._drop(known)
            self._changed(known)

    def own(self, name: str) -> ArchiveRecord | None:
        """The AgentArchive, where there is one that is this operator's affair."""
        record = self.records.get(name)
        return record if record and (not self.namespaces or record.namespace in self.namespaces) else None

    def of(self, namespace: str, agent: str) -> list[str]:
        """Names of the archives of the agents that had this name, sorted."""
        return sorted(self._of.get((namespace, agent), ()))

    def _drop(self, record: ArchiveRecord) -> None:
        del self.records[record.name]
        names = self._of[record.namespace, record.agent]
        names.discard(record.name)
        if not names:
            del self._of[record.namespace, record.agent]


def _record(body: Mapping[str, Any]) -> ArchiveRecord:
    metadata, spec, status = body["metadata"], body["spec"], body.get("status") or {}
    abandoned = "abandoned" in spec
    verified = next((c["status"] for c in status.get("conditions") or () if c["type"] == "Verified"), "Unknown")
    if abandoned and verified != "False":
        verified = "Abandoned"
    elif "purge" in status:
        verified = "Purged"
    return ArchiveRecord(
        metadata["name"],
        metadata["uid"],
        int(metadata["resourceVersion"]),
        datetime.fromisoformat(metadata["creationTimestamp"]),
        spec["agent"]["namespace"],
        spec["agent"]["name"],
        orjson.dumps({"spec": spec, "status": status}),
        verified,
        abandoned,
    )
