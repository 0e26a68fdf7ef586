"""Writes the statuses of AgentArchives: only what follows from the status as it is, whoever else writes to it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from aiagent_operator.api.conditions import Type, Verdict
from aiagent_operator.core.archive import upkeep
from aiagent_operator.runtime import paths, report
from aiagent_operator.runtime.client import Api
from aiagent_operator.runtime.gather import NotYetSeenError
from aiagent_operator.runtime.store import Store

_TRIES: Final = 5


async def write(
    api: Api, store: Store, name: str, uid: str, fields: Callable[[Mapping[str, Any]], dict[str, Any]]
) -> None:
    """Has the fields written that follow from the status as it is. Raises ApiError, NotYetSeenError."""
    for _ in range(_TRIES):
        record = store.archives.records.get(name)
        if record is None or record.uid != uid:
            return
        patch = report.differences(record.status, fields(record.status))
        if not patch:
            return
        path = paths.archive(name)
        answer = await report.write(api, path, uid, patch, version=record.version)
        answer = answer or await api.find(path)
        if answer is None:
            store.archives.forget(name, uid)
            return
        store.archives.observe(answer, answer=True)
    raise NotYetSeenError(f"AgentArchive {name} changes faster than its status can be written")


def said(status: Mapping[str, Any], verdicts: Collection[Verdict], *, gone: Collection[Type] = ()) -> dict[str, Any]:
    """The conditions with these said of it."""
    return {"conditions": upkeep.conditions(status.get("conditions") or (), verdicts, report.now(), gone=gone)}
