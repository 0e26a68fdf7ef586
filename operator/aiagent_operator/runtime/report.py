"""Writes status: once per pass, only what changed, and an Event where a person should look."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Mapping
from typing import Any

from aiagent_operator.api import meta
from aiagent_operator.api.conditions import Reason, Type, Verdict, merge
from aiagent_operator.core import texts
from aiagent_operator.core.journal.happened import TOLD_FROM
from aiagent_operator.runtime.client import MERGE_PATCH, Api, ApiError

log = logging.getLogger(__name__)

# Conditions of which a person hears, and the status that is news.
_NEWS = {
    Type.STALLED: True,
    Type.IDENTITY_EXPOSED: True,
    Type.TRAINING_CURRENT: False,
    Type.REVIEWS_PASSED: False,
    Type.DRIFT_DETECTED: True,
    Type.JOURNAL_BEHIND: True,
}


def now() -> str:
    """The time in UTC as Kubernetes writes it, to the second."""
    return texts.moment(dt.datetime.now(dt.UTC))


def changes(
    old: Mapping[str, Any], fields: Mapping[str, Any], verdicts: tuple[Verdict, ...], generation: int
) -> dict[str, Any]:
    """The merge patch from the old status to the new one; empty where nothing changed. A field that is None goes."""
    return differences(old, wanted(old, fields, verdicts, generation))


def wanted(
    old: Mapping[str, Any], fields: Mapping[str, Any], verdicts: tuple[Verdict, ...], generation: int
) -> dict[str, Any]:
    """The fields as they are to be, with the conditions among them. One that is None goes."""
    conditions = merge(old.get("conditions") or (), verdicts, generation, now())
    return {**fields, "observedGeneration": generation, "conditions": conditions}


def become(old: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """The status once the fields are as wanted."""
    return {key: value for key, value in {**old, **fields}.items() if value is not None}


def withheld(old: Mapping[str, Any], verdicts: tuple[Verdict, ...], generation: int) -> dict[str, Any]:
    """The merge patch that says how the agent is, and leaves all that its journal is told from as it was."""
    before = old.get("conditions") or ()
    said = [c for c in merge(before, verdicts, generation, now()) if c["type"] not in TOLD_FROM]
    conditions = [*said, *(c for c in before if c["type"] in TOLD_FROM)]
    return differences(old, {"observedGeneration": generation, "conditions": conditions})


def beside(old: Mapping[str, Any], verdict: Verdict, generation: int) -> dict[str, Any]:
    """The merge patch that says one thing more, and leaves all else as it was."""
    before = old.get("conditions") or ()
    others = [c for c in before if c["type"] != verdict.type.value]
    return differences(old, {"conditions": [*others, *merge(before, (verdict,), generation, now())]})


def differences(old: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """The merge patch by which the fields named become what they are to be; empty where they are so."""
    return {key: _patch(old.get(key), value) for key, value in fields.items() if old.get(key) != value}


def _patch(old: Any, new: Any) -> Any:
    """A merge patch (RFC 7396) by which `old` becomes `new`: it names what an object no longer has."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    gone = {key: None for key in old if key not in new}
    return gone | {key: _patch(old.get(key), value) for key, value in new.items() if old.get(key) != value}


async def write(
    api: Api, path: str, uid: str, patch: Mapping[str, Any], *, version: int | None = None
) -> dict[str, Any] | None:
    """Sends the patch; None where the object has gone meanwhile, or come back as another.

    With a resource version, also where it is another one than that.
    """
    metadata = {"uid": uid} if version is None else {"uid": uid, "resourceVersion": str(version)}
    body = {"metadata": metadata, "status": patch}
    try:
        return await api.request(
            "PATCH", f"{path}/status", body=body, params={"fieldManager": meta.MANAGER}, content_type=MERGE_PATCH
        )
    except ApiError as error:
        if error.status in (404, 409):
            return None
        raise


def worth_an_event(old: Mapping[str, Any], verdicts: tuple[Verdict, ...]) -> list[Verdict]:
    """Verdicts that are news to a person: the agent is stuck, its identity exposed, its training too old, something
    found by a review, it drifts, or an edit serves that nothing could hold up."""
    before = {c["type"]: c for c in old.get("conditions") or ()}
    return [v for v in verdicts if _is_news(v, before.get(v.type.value) or {})]


def _is_news(verdict: Verdict, before: Mapping[str, Any]) -> bool:
    if verdict.reason is Reason.UNGATED_CHANGE and verdict.type is Type.WORKLOAD_READY:
        # Each edit is another one; which it is stands in the message.
        return bool(before.get("message") != verdict.message)
    news = verdict.type in _NEWS and verdict.status is _NEWS[verdict.type]
    return news and before.get("reason") != verdict.reason.value


async def event(
    api: Api, regarding: Mapping[str, str], *, kind: str, reason: str, message: str, warning: bool = True
) -> None:
    """A core/v1 Event about the object. A namespace that takes none (it is going away) is no reason to fail."""
    namespace = regarding.get("namespace") or "default"
    body = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": f"{regarding['name']}.", "namespace": namespace},
        "involvedObject": {"apiVersion": meta.API_VERSION, "kind": kind, **regarding},
        "reason": reason,
        "message": message[:1024],
        "type": "Warning" if warning else "Normal",
        "source": {"component": meta.MANAGER},
        "reportingComponent": meta.MANAGER,
        "firstTimestamp": now(),
        "lastTimestamp": now(),
        "count": 1,
    }
    try:
        await api.request("POST", f"/api/v1/namespaces/{namespace}/events", body=body)
    except ApiError as error:
        log.info("event %s about %s/%s not recorded: %s", reason, namespace, regarding["name"], error)
