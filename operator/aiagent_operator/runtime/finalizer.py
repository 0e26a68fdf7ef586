"""Puts the operator's finalizer on an agent, or takes it off, and leaves everybody else's where they are."""

from __future__ import annotations

from typing import Any

from aiagent_operator.api import meta
from aiagent_operator.api.objectmeta import ObjectMeta
from aiagent_operator.core.plan import Finalizer
from aiagent_operator.runtime import paths
from aiagent_operator.runtime.client import MERGE_PATCH, Api, ApiError
from aiagent_operator.runtime.store import AgentKey


async def write(api: Api, key: AgentKey, uid: str, known: ObjectMeta, change: Finalizer) -> dict[str, Any] | None:
    """The agent afterwards; None where it is gone, or its finalizer was taken off. Raises ApiError: look again."""
    names = [name for name in known.finalizers if name != meta.FINALIZER]
    if change is Finalizer.ADD:
        names.append(meta.FINALIZER)
    body = {"metadata": {"finalizers": names, "uid": uid, "resourceVersion": known.resource_version}}
    try:
        answer = await api.request(
            "PATCH",
            paths.agent(*key),
            body=body,
            params={"fieldManager": meta.MANAGER},
            content_type=MERGE_PATCH,
        )
    except ApiError as error:
        if error.status == 404:
            return None
        raise
    return answer if change is Finalizer.ADD else None
