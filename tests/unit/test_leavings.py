"""What is read of a journal for the archive of its agent."""

from pathlib import Path

import pytest

from aiagent_operator.api.archive import GapReason
from aiagent_operator.core.archive import layout
from aiagent_operator.core.journal.head import Head, digest
from aiagent_operator.runtime.leavings import told
from support.archive import directory
from support.journals import AGENT, event, sealed

RECORDS = sealed(map(event, "abcdefghijklmnopqrstuvwxyz"))
HEAD = Head(len(RECORDS), digest(RECORDS[-1][1]))
SIZE = sum(len(raw) for _, raw in RECORDS)


@pytest.mark.parametrize("most", [SIZE, SIZE - 1])
async def test_a_journal_that_is_larger_than_memory_allows_is_named_and_not_read(tmp_path: Path, most: int) -> None:
    store = directory(tmp_path)
    for path, raw in RECORDS:
        await store.create(path, raw)
    found = await told(store, AGENT.uid, HEAD, most=most)
    if most == SIZE:
        assert (found.raw, found.gaps) == (tuple(raw for _, raw in RECORDS), ())
        return
    assert found.raw == ()
    assert found.head == HEAD
    assert [(gap.path, gap.reason) for gap in found.gaps] == [
        (layout.JOURNAL, GapReason.TOO_LARGE),
        (layout.RIGHTS, GapReason.TOO_LARGE),
    ]
    assert f"the journal has 26 records, and its first 26 more than {most} bytes" in found.gaps[0].message


async def test_a_record_that_is_not_there_is_another_thing(tmp_path: Path) -> None:
    store = directory(tmp_path)
    for path, raw in RECORDS[1:]:
        await store.create(path, raw)
    found = await told(store, AGENT.uid, HEAD)
    assert {gap.reason for gap in found.gaps} == {GapReason.UNREADABLE}
