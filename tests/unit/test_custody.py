"""What is told of an archive while more than one thing happens to it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from aiagent_operator.core.archive.upkeep import Altered, Found
from aiagent_operator.runtime import custody
from aiagent_operator.runtime.archive.keeper import Keeper
from aiagent_operator.runtime.archives import ArchiveRecord, CareKey
from aiagent_operator.runtime.custody import Custodian
from aiagent_operator.runtime.queue import WorkQueue
from aiagent_operator.runtime.settings import Settings
from aiagent_operator.runtime.store import Key, Store
from support import archiverecords
from support.archive import directory_config

MADE = "2026-11-22T10:01:00Z"


def body(version: int, **status: Any) -> dict[str, Any]:
    found: dict[str, Any] = archiverecords.record("triage")
    found["metadata"] |= {"uid": "u", "resourceVersion": str(version), "creationTimestamp": MADE}
    verified = {"type": "Verified", "status": "Unknown", "reason": "NotYetReadBack", "message": "-"}
    return {**found, "status": {"conditions": [verified], **status}}


@pytest.mark.parametrize("meanwhile", ["erasure", "purge"])
def test_what_was_destroyed_while_it_was_read_is_no_damage(
    meanwhile: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    store, told = Store(lambda _: None), []
    store.archives.observe(body(1))

    async def read(_: Keeper, record: ArchiveRecord) -> Found:
        assert meanwhile not in record.status
        store.archives.observe(body(2, **{meanwhile: {"startTime": MADE, "completionTime": MADE}}))
        return Altered("it is not what it was")

    async def look() -> WorkQueue[Key]:
        queue: WorkQueue[Key] = WorkQueue(backoff_initial=1, backoff_max=1)
        name = store.archives.records["triage"].spec["store"]
        keeper = Keeper(directory_config(tmp_path), interval=1, restored=lambda _: None)
        nobody: Any = None
        archive: Any = SimpleNamespace(keepers={name: keeper})
        custodian = Custodian(nobody, store, queue, Settings(), lambda: archive)
        monkeypatch.setattr(custody.looking, "read", read)

        async def tell(_: Custodian, record: ArchiveRecord, found: Found) -> None:
            told.append((record.name, found))

        monkeypatch.setattr(Custodian, "_tell", tell)
        await custodian.care(CareKey("triage"))
        await keeper.store.close()
        return queue

    queue = asyncio.run(look())
    assert told == []
    assert len(queue) == 1, "it is looked at anew"
