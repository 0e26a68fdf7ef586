"""Objects of one run, compared with those of another: without what differs although nothing is different."""

import copy
import re
from typing import Any

from aiagent_operator.core.objects import digest
from support import agents
from support.kube import Object

# Kinds whose status the operator writes, and what differs between two runs although nothing is different.
STATED = ("AIAgent", "AgentRevision", "AgentEvaluation")
TIMES = ("startedAt", "finishedAt", "completedAt")
PASSING = ("creationTimestamp", "generation", "managedFields", "resourceVersion", "uid", "annotations")


def lasting(obj: Object, name: str, uid: str) -> Object:
    """An object of the agent with this name and UID, as that of any other agent would be."""
    kept = copy.deepcopy({k: v for k, v in obj.items() if k != "status" or obj["kind"] in STATED})
    for field in PASSING:
        kept["metadata"].pop(field, None)
    for condition in kept.get("status", {}).get("conditions", []):
        condition.pop("lastTransitionTime")
        condition.pop("observedGeneration", None)
    for entry in kept.get("status", {}).get("inventory", []):
        entry.pop("uid")
        entry.pop("generation", None)
    results = kept.get("status", {}).get("metricResults", [])
    for timed in (kept.get("status", {}), *(m for result in results for m in result["measurements"])):
        for field in TIMES:
            timed.pop(field, None)
    kept.get("status", {}).pop("observedGeneration", None)
    # Which events there were on the way, and so how many, is the journal's own affair; see `crash`.
    for field in ("head", "evaluated"):
        (kept.get("status", {}).get("journal") or {}).pop(field, None)
    kept.get("status", {}).pop("promotionTime", None)
    kept.get("status", {}).pop("completionTime", None)
    (kept.get("status", {}).get("training") or {}).get("last", {}).pop("completionTime", None)
    (kept.get("spec", {}).get("order") or {}).pop("uid", None)
    (kept.get("status", {}).get("order") or {}).pop("uid", None)
    (kept.get("status", {}).get("offboarding") or {}).get("order", {}).pop("uid", None)
    # What was taken over is another agent's, and its archive's.
    taken = kept.get("status", {}).get("succession") or {}
    for field in ("archive", "digest"):
        taken.pop(field, None)
    for field in ("predecessor", "acceptance"):
        taken.get(field, {}).pop("uid", None)
    # Who was cut off before the manifest was written has noted one more.
    (kept.get("status", {}).get("archive") or {}).pop("manifests", None)
    revision = kept.get("status", {}).get("revision") or {}
    if "target" in revision:
        # The UID of the target, and a digest of what its owner says, in which its name stands.
        revision["target"] = revision["target"].partition("/")[2].partition(":")[0]
    return renamed(kept, name, uid)  # type: ignore[no-any-return]


def renamed(value: Any, name: str, uid: str) -> Any:
    """Text anywhere in the value, without name, UID and times."""
    if isinstance(value, dict):
        return {key: renamed(entry, name, uid) for key, entry in value.items()}
    if isinstance(value, list):
        return [renamed(entry, name, uid) for entry in value]
    if not isinstance(value, str):
        return value
    value = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME", value)
    value = re.sub(r"\.(analysis|step-\d+)-[0-9a-f]{8}", r".\1-TIME", value)
    # The archive of an agent ends in a part of its UID's digest.
    value = value.replace(digest(uid)[:8], "DIGEST")
    return value.replace(agents.foreign_name(name, uid), "ABROAD").replace(uid, "UID").replace(name, "NAME")
