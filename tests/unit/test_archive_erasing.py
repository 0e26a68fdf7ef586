"""Orders to erase: when they are refused, what is on record first, and what is left in the store after each crash."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from aiagent_operator.api.agentaction import ActionPhase, AgentActionSpec
from aiagent_operator.api.agentarchive import ErasureStatus
from aiagent_operator.api.conditions import Reason, Type
from aiagent_operator.api.holds import Ground, HoldEntry
from aiagent_operator.api.tombstone import Destroyed
from aiagent_operator.core.archive import erasing, index, layout, manifest, recovered, tombstone, wire
from aiagent_operator.core.archive.erasing import Erasable
from aiagent_operator.core.archive.layout import Layout
from aiagent_operator.core.archive.verify import verify
from aiagent_operator.core.orders import Order, OrderPlan, decide
from aiagent_operator.runtime.archive import erasing as stored
from aiagent_operator.runtime.archive.directory import DirectoryStore
from aiagent_operator.runtime.archive.errors import DisputedError
from support import archiverecords, archives
from support.archive import directory

BEGAN = dt.datetime(2027, 1, 1, tzinfo=dt.UTC)
NOW = "2027-01-01T00:00:00Z"
SPEC: dict[str, Any] = archiverecords.record("a")["spec"]
KEYS = ("age1",)
HELD = HoldEntry(
    uid="h", namespace="legal", order="case", by="ann", since=BEGAN, ground=Ground.LEGAL_CLAIMS, reason="A case"
)


def order(action: str = "Erase", name: str = "forget", **spec: Any) -> Order:
    said = {
        "action": action, "archiveRef": {"name": "a"}, "requestedBy": "dpo@corp.example", "reason": "A request", **spec
    }  # fmt: skip
    return Order("privacy", name, f"uid-{name}", 1, BEGAN, AgentActionSpec.model_validate(said))


def archive(*holds: HoldEntry, **status: Any) -> Erasable:
    return Erasable("a", SPEC, status, holds)


def became(plan: OrderPlan | None) -> tuple[ActionPhase, Reason, str]:
    assert plan is not None
    return plan.phase, plan.verdicts[0].reason, plan.verdicts[0].message


# When ----------------------------------------------------------------------------------------------------------------


def test_the_retention_does_not_keep_it() -> None:
    assert SPEC["retention"]["until"] > NOW
    assert erasing.decide(order(), archive()) is None
    assert erasing.refused(archive(), KEYS) is None


@pytest.mark.parametrize(
    ("found", "keys", "reason", "text"),
    [
        (archive(HELD), KEYS, Reason.STILL_HELD, "legal/case"),
        (archive(), (), Reason.NOTHING_TO_ERASE, "no encrypted personal payload"),
        (archive(purge={"startTime": NOW}), KEYS, Reason.NOTHING_TO_ERASE, "was purged"),
        (archive(erasure={"uid": "other", "startTime": NOW}), KEYS, Reason.NOTHING_TO_ERASE, "was erased"),
        (archive(HELD, purge={"startTime": NOW}), (), Reason.NOTHING_TO_ERASE, "was purged"),
    ],
)
def test_what_stands_against_it(found: Erasable, keys: tuple[str, ...], reason: Reason, text: str) -> None:
    assert erasing.decide(order(), found) is None
    phase, why, message = became(erasing.refused(found, keys))
    assert (phase, why) == (ActionPhase.FAILED, reason)
    assert text in message


def test_an_order_says_what_is_on_record_of_it() -> None:
    assert became(erasing.decide(order(), None))[:2] == (ActionPhase.FAILED, Reason.NO_ARCHIVE)
    said = erasing.begun(order(), NOW)
    begun = erasing.decide(order(), archive(erasure=said))
    assert begun is not None
    assert (begun.phase, begun.begun) == (ActionPhase.PENDING, True)
    # It is brought to its end, however long that takes.
    assert decide(order(), (), (), BEGAN + dt.timedelta(days=30), held=begun) == begun
    waits = erasing.waits("the store is away")
    told = {"type": waits.type.value, "reason": waits.reason.value, "message": waits.message}
    assert "the store is away" in became(erasing.decide(order(), archive(erasure=said, conditions=[told])))[2]
    ended = {**said, "completionTime": NOW}
    assert became(erasing.decide(order(), archive(erasure=ended)))[:2] == (ActionPhase.COMPLETE, Reason.CARRIED_OUT)
    verdict = erasing.done(ended)
    assert (verdict.type, verdict.status, verdict.reason) == (Type.ERASED, True, Reason.ERASED)
    assert "privacy/forget" in verdict.message
    assert "dpo@corp.example" not in verdict.message


def test_while_the_store_is_away_it_is_looked_at_again_before_it_expires() -> None:
    waits = OrderPlan(ActionPhase.PENDING, requeue_after=30.0)
    assert decide(order(), (), (), BEGAN, held=waits).requeue_after == 30.0
    assert decide(order(activeDeadlineSeconds=10), (), (), BEGAN, held=waits).requeue_after == 10.0


# What is in the store ------------------------------------------------------------------------------------------------

EXAMPLE = archives.example()
WHERE = Layout(archives.UID, archives.ARCHIVE)
DIGEST, ABOUT = wire.digest(EXAMPLE.manifest), manifest.read(EXAMPLE.manifest)
SAID = ErasureStatus.model_validate(erasing.begun(order(), NOW))
WHY = erasing.destruction(SPEC, SAID)


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    for path, data in EXAMPLE.files.items():
        file = tmp_path / WHERE.prefix / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    return directory(tmp_path)


async def test_it_is_on_record_there_the_same_whoever_writes_it(store: DirectoryStore) -> None:
    assert await stored.keys(store, WHERE, DIGEST)
    for _ in range(2):
        await stored.record(store, WHERE, DIGEST, WHY)
    data = await store.read(WHERE.key(layout.ERASURE), tombstone.LIMIT)
    given = [(path, [content]) for path, content in {**EXAMPLE.files, layout.ERASURE: data}.items()]
    report = verify(EXAMPLE.manifest, given, keys=archives.KEYS)
    assert report.is_whole
    assert report.erased is not None
    assert report.erased.order is not None
    assert (report.erased.order.name, report.erased.order.by) == ("privacy/forget", "dpo@corp.example")
    assert all(item.path.endswith(".age") for item in report.erased.items)


async def test_what_somebody_else_has_written_is_disputed(store: DirectoryStore) -> None:
    await stored.record(store, WHERE, DIGEST, WHY)
    other = erasing.destruction(SPEC, SAID.model_copy(update={"uid": "another"}))
    with pytest.raises(DisputedError, match="another order"):
        await stored.record(store, WHERE, DIGEST, other)
    with pytest.raises(DisputedError, match="when it was sealed"):
        await stored.keys(store, WHERE, wire.digest(b"another"))


async def test_a_file_that_is_none_is_disputed(store: DirectoryStore) -> None:
    await store.create(WHERE.key(layout.ERASURE), b"{}\n")
    with pytest.raises(DisputedError):
        await stored.record(store, WHERE, DIGEST, WHY)


# Made anew -----------------------------------------------------------------------------------------------------------


def test_made_anew_it_says_by_whose_order_it_was_erased() -> None:
    stone = tombstone.read(tombstone.erased(EXAMPLE.manifest, WHY), Destroyed.ERASED, ABOUT, DIGEST, layout.ERASURE)
    said = recovered.erased(stone, BEGAN)["erasure"]
    assert said == {**erasing.begun(order(), NOW), "completionTime": NOW}
    assert erasing.destruction(SPEC, ErasureStatus.model_validate(said)) == WHY


@pytest.mark.parametrize("ended", [True, False])
def test_made_anew_a_purged_one_says_whether_anything_is_left(ended: bool) -> None:
    why = tombstone.Destruction(BEGAN, "its retention has ended", WHY.retention)
    about = ABOUT
    stone = tombstone.read(tombstone.purged(EXAMPLE.manifest, why), Destroyed.PURGED, about, DIGEST, layout.TOMBSTONE)
    status = recovered.purged(stone, None, BEGAN, ended=ended)
    assert ("completionTime" in status["purge"]) is ended
    assert status["phase"] == ("Purged" if ended else "Sealed")
    told = {c["type"]: c["reason"] for c in status["conditions"]}
    assert told["Verified"] == ("Purged" if ended else "Purging")
    assert index.standing(certified=False)[2].reason.value == told["Certified"]
