"""What gives an agent something is noted in its status before it is done, and is not done while nothing can be noted.

So no right was ever in force that the journal does not tell of, whoever is killed between which two writes. What takes
something away waits for nothing: it is told when it is done.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from aiagent_operator.api.agentstatus import PermissionState, Phase
from aiagent_operator.api.conditions import Reason, Type, Verdict
from aiagent_operator.core.objects import ChildKind
from aiagent_operator.core.plan import Observed, Plan, Verb, Write

# Seconds after which what waits for room is looked at again, beside being looked at when the store is back.
_AGAIN = 60.0


def noted(o: Observed, plan: Plan) -> Plan:
    """The plan with what has to stand in the status before its writes; without those that would give something where
    that cannot be noted."""
    if o.journal is None or not plan.writes:
        return plan
    if not o.journal.free:
        return _held_up(o, plan)
    if plan.revokes or not any(write.grants for write in plan.writes):
        return plan
    return replace(plan, first={**plan.first, **_ahead(o.agent.status, plan.status)})


def _held_up(o: Observed, plan: Plan) -> Plan:
    kept = tuple(write for write in plan.writes if not write.grants and not _promotes(o, write))
    if len(kept) == len(plan.writes):
        return plan
    verdicts = plan.verdicts
    if any(write.grants for write in plan.writes):
        text = "Rights are granted once the archive store takes records again: see the condition JournalBehind"
        verdicts = tuple(
            Verdict(v.type, False, Reason.STORE_UNAVAILABLE, text)
            if v.type in (Type.READY, Type.PERMISSIONS_GRANTED)
            else v
            for v in verdicts
        )
    again = min(filter(None, (_AGAIN, plan.requeue_after)))
    return replace(plan, writes=kept, verdicts=verdicts, requeue_after=again)


def _promotes(o: Observed, write: Write) -> bool:
    """Whether a revision that did not serve before serves after this write."""
    if write.verb is not Verb.REPORT or write.key.kind is not ChildKind.AGENT_REVISION or write.body is None:
        return False
    child = o.children.get(write.key)
    before = child.revision.promotion if child and child.revision else 0
    return bool(write.body["status"].get("promotion", 0) > before)


def _ahead(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """What the status says from now on of what is about to be given."""
    known = {entry["name"]: entry for entry in before.get("permissions") or ()}
    said: dict[str, Any] = {
        "permissions": [_granting(known.get(entry["name"]), entry) for entry in after.get("permissions") or ()]
    }
    if after.get("hiredAs"):
        said["hiredAs"] = after["hiredAs"]
    if before.get("phase") == Phase.SUSPENDED:
        # From Suspended to Resumed none of its rights is bound.
        said["phase"] = Phase.ONBOARDING.value
    return said


def _granting(known: Mapping[str, Any] | None, entry: Mapping[str, Any]) -> Mapping[str, Any]:
    if not entry.get("rules") or entry.get("state") == PermissionState.REFUSED:
        return entry
    if known and all(_same(known.get(field), entry.get(field)) for field in ("rules", "namespaces")):
        return known
    message = "Being granted: waiting for its bindings"
    return {**entry, "state": PermissionState.PENDING.value, "reason": Reason.GRANTING.value, "message": message}


def _same(one: Iterable[Any] | None, other: Iterable[Any] | None) -> bool:
    return list(one or ()) == list(other or ())
