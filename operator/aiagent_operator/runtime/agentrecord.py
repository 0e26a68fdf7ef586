"""An agent as it was last seen: the few fields that others go by, and the whole of it as compressed JSON.

Ten thousand agents are 30 MB of JSON and 9 MB compressed; at the fastest level that takes 50 us of CPU for each version
of an agent, and 10 us for each look at it, beside some milliseconds for a decision.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from sys import intern
from typing import Any

import orjson

from aiagent_operator.api.agentstatus import Phase
from aiagent_operator.api.conditions import Reason
from aiagent_operator.core import succession, written
from aiagent_operator.core.objects import Manifest

_ALONE: dict[tuple[object, ...], tuple[object, ...]] = {}


@dataclass(frozen=True, slots=True)
class AgentRecord:
    """An agent as it was last seen. `leaves_by`: UID of the order to offboard it that has begun. `archived`: UID of the
    order that has abandoned it, and whether it may go."""

    uid: str
    resource_version: int
    packed: bytes
    ready: bool
    phase: str
    permissions: tuple[str, ...] = ()
    exposed: bool = False
    labels: tuple[tuple[str, str], ...] = ()
    suspended: bool = False
    suspended_by_spec: bool = False
    role: str = ""
    suspended_by_policy: bool = False
    carried: tuple[str, ...] = ()
    leaving: bool = False
    out: bool = False
    archived: tuple[str, bool] = ("", False)
    reason: str = ""
    leaves_by: str = ""
    kin: tuple[object, ...] = ()

    @property
    def standing(self) -> tuple[object, ...]:
        """What orders about the agent go by."""
        by = (self.suspended, self.suspended_by_spec, self.suspended_by_policy)
        return self.uid, self.labels, *by, self.carried, self.out, self.retired, self.archived

    @property
    def to_kin(self) -> tuple[object, ...]:
        """What agents go by that come before or after it."""
        return self.uid, self.leaving, self.reason, self.kin

    @property
    def retired(self) -> bool:
        """Whether its identity has ended, and its object says so."""
        return self.phase == Phase.RETIRED

    def edited_since(self, known: AgentRecord) -> bool:
        """Whether its spec or its labels are others than those of the same agent were, or it is being deleted by now,
        which all but labels count in its generation."""
        generation, before = (each.load()["metadata"].get("generation") for each in (self, known))
        return generation != before or self.labels != known.labels

    def load(self) -> Manifest:
        """The object itself, without `managedFields`."""
        return unpacked(self.packed)


def unpacked(packed: bytes) -> Manifest:
    """The object of a record."""
    value: Manifest = orjson.loads(zlib.decompress(packed))
    return value


def read(body: Mapping[str, Any]) -> AgentRecord:
    """The record of an agent as the API server gives it."""
    metadata = body["metadata"]
    status = body.get("status") or {}
    true = {c["type"] for c in status.get("conditions", ()) if c["status"] == "True"}
    permissions = tuple(intern(p.get("state", "")) for p in status.get("permissions", ()))
    ready: Mapping[str, Any] = next((c for c in status.get("conditions", ()) if c["type"] == "Ready"), {})
    spec, archive = body.get("spec") or {}, status.get("archive") or {}
    slim = {k: v for k, v in metadata.items() if k != "managedFields"}
    packed = zlib.compress(orjson.dumps({"metadata": slim, "spec": spec, "status": status}), zlib.Z_BEST_SPEED)
    return AgentRecord(
        metadata["uid"],
        int(metadata["resourceVersion"]),
        packed,
        ready="Ready" in true,
        phase=intern(status.get("phase") or ""),
        permissions=permissions,
        exposed="IdentityExposed" in true,
        labels=tuple((intern(k), intern(v)) for k, v in (metadata.get("labels") or {}).items()),
        suspended=ready.get("reason") == "Suspended",
        suspended_by_spec=written.at(spec, "suspended") is True,
        suspended_by_policy=bool((status.get("training") or {}).get("suspendedBy")),
        role=intern(written.text(spec, "roleRef", "name")),
        carried=tuple(order.get("uid", "") for order in (status.get("rollout") or {}).get("orders") or ()),
        leaving="deletionTimestamp" in metadata,
        out=ready.get("reason") == Reason.RETIRED,
        archived=((archive.get("abandoned") or {}).get("uid", ""), "completed" in archive),
        reason=intern(ready.get("reason") or ""),
        leaves_by=((status.get("offboarding") or {}).get("order") or {}).get("uid", ""),
        kin=_kin(spec, status),
    )


def _kin(spec: Mapping[str, Any], status: Mapping[str, Any]) -> tuple[object, ...]:
    """Of an agent that names another, or perhaps is named by one: whom it names, and how far it is."""
    archived = bool((status.get("archive") or {}).get("completed"))
    taken = ((status.get("succession") or {}).get("predecessor") or {}).get("uid")
    found = succession.named(spec), "offboarding" in status, archived, bool(status.get("hiredAs")), taken
    # Nearly all agents have one of these few.
    return found if any(found[0]) or taken else _ALONE.setdefault(found, found)
