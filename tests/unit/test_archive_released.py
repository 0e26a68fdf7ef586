"""The record of an agent that was released without an archive: made, signed, put into its store, taken from there."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aiagent_operator.api.agentarchive import AgentArchiveSpec, CertificateSummary
from aiagent_operator.api.conditions import Reason
from aiagent_operator.core.archive import abandoned, certificate, envelope, layout, unarchived, upkeep, wire
from aiagent_operator.core.archive.errors import ArchiveError
from aiagent_operator.core.archive.upkeep import Altered, Unread, Whole
from aiagent_operator.runtime import gauges, looking, metrics
from aiagent_operator.runtime.archive import found
from aiagent_operator.runtime.archive import released as stored
from aiagent_operator.runtime.archive.directory import DirectoryStore
from aiagent_operator.runtime.archive.errors import DisputedError, Kind, StoreError
from aiagent_operator.runtime.archive.found import RefusedError
from aiagent_operator.runtime.archive.keeper import Keeper
from aiagent_operator.runtime.archive.store import Put
from aiagent_operator.runtime.archives import ArchiveRecord
from aiagent_operator.runtime.store import Store as Cluster
from support import archives, released
from support.archive import directory, directory_config

DATA = released.data()
SIGNATURE = abandoned.issue(DATA, archives.SIGNER)
P256 = envelope.private_key(archives.pem(archives.P256))
STRANGER = envelope.private_key(archives.pem(ed25519.Ed25519PrivateKey.generate()))
SUMMARY = CertificateSummary(
    digest=wire.digest(SIGNATURE), key_ids=(archives.SIGNER.public.key_id,), completion_time=archives.SEALED
)
RECORD, SIGNED = released.WHERE.key(layout.ABANDONED), released.WHERE.key(layout.ABANDONED_CERTIFICATE)
CUTS = st.lists(st.tuples(st.integers(1, 5), st.booleans()), max_size=3)
BOTH = Whole(2, len(DATA) + len(SIGNATURE), SUMMARY)


# What it says --------------------------------------------------------------------------------------------------------


def test_the_agent_archive_follows_from_it_and_it_from_the_agent_archive() -> None:
    assert abandoned.body(abandoned.read(DATA), "local") == released.record()
    assert abandoned.record(released.NAME, released.record()["spec"]) == DATA


def test_it_has_all_that_the_agent_archive_says_and_no_more() -> None:
    """A field that comes to the AgentArchive has to come to its record too."""
    said = set(AgentArchiveSpec.model_fields) - {"store", "path", "manifest", "lineage"}
    assert set(type(abandoned.read(DATA)).model_fields) == said | {"version", "archive"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda spec: spec.pop("abandoned"), "it has a manifest, so its agent was not abandoned"),
        (lambda spec: spec.update(path="archives/u/other"), "its spec.path is archives/u/other"),
        (lambda spec: spec.update(mode="Fast"), "mode: .*let an operator of the version that wrote it run"),
    ],
)
def test_of_what_is_no_such_agent_archive_there_is_no_record(change: Callable[[Any], object], words: str) -> None:
    spec = released.record()["spec"]
    change(spec)
    with pytest.raises(ArchiveError, match=words):
        abandoned.record(released.NAME, spec)


@pytest.mark.parametrize(
    "data",
    [DATA + b"\n", DATA.replace(b'"crm"', b'"crn"', 1).replace(b"\n", b"\r\n"), b"{}\n", b"[]", b"\xff", DATA[:-20]],
    ids=["a line more", "other line ends", "no version", "no object", "no text", "cut off"],
)
def test_what_is_not_written_as_it_always_is_is_refused(data: bytes) -> None:
    with pytest.raises(ArchiveError, match=r"abandoned\.json"):
        abandoned.read(data)


def test_one_of_a_newer_version_or_with_more_in_it_needs_newer_software() -> None:
    more = orjson.loads(DATA) | {"more": 1}
    pretty = orjson.dumps(more, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    with pytest.raises(ArchiveError, match="newer software where it is newer"):
        abandoned.read(pretty)
    with pytest.raises(ArchiveError, match="use newer software"):
        abandoned.read(DATA.replace(b"abandonment.workforce.dev/v1", b"abandonment.workforce.dev/v2"))


# Who has signed it ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [archives.SIGNER, P256], ids=["Ed25519", "P-256"])
def test_its_signature_is_of_it_alone(key: envelope.PrivateKey) -> None:
    signature = abandoned.issue(DATA, key)
    said = abandoned.signed(signature, DATA, (key.public,))
    assert (said.digest, said.key_ids) == (wire.digest(signature), (key.public.key_id,))
    assert said.completion_time == archives.SEALED
    for other in (released.data(by="eve@corp.example"), released.data(reason="No reason")):
        with pytest.raises(ArchiveError, match="is about another record"):
            abandoned.signed(signature, other, (key.public,))
    with pytest.raises(ArchiveError, match="signed by none of the 1 keys"):
        abandoned.signed(signature, DATA, (STRANGER.public,))


def test_no_certificate_of_an_archive_is_its_signature_and_the_other_way_round() -> None:
    of_archive = archives.archived().files[layout.CERTIFICATE]
    with pytest.raises(ArchiveError, match="predicate"):
        abandoned.signed(of_archive, DATA, archives.KEYS)
    with pytest.raises(ArchiveError, match="predicate"):
        certificate.read(envelope.verified(SIGNATURE, archives.KEYS, "x").payload)


# Into the store ------------------------------------------------------------------------------------------------------


class Cut:
    """A store whose user is cut off before or after one of its operations; it counts them."""

    def __init__(self, store: DirectoryStore, at: int, *, after: bool = False) -> None:
        self._store, self._left, self._after = store, at, after
        self.name, self.read_only, self.asked = store.name, False, 0

    async def create(self, name: str, data: bytes) -> Put:
        self._cut(name, now=not self._after)
        put = await self._store.create(name, data)
        self._cut(name, now=self._after)
        return put

    async def read(self, name: str, most: int) -> bytes:
        self._cut(name, now=not self._after)
        data = await self._store.read(name, most)
        self._cut(name, now=self._after)
        return data

    def _cut(self, name: str, *, now: bool) -> None:
        if now:
            self.asked += 1
            self._left -= 1
            if self._left == 0:
                raise StoreError(Kind.UNREACHABLE, self.name, name, "no answer", "try again")


async def put(
    store: Any, key: envelope.PrivateKey | None = archives.SIGNER, *known: CertificateSummary, **keys: Any
) -> Whole:
    return await stored.put(store, released.WHERE, DATA, key, *known, **keys)


def files(top: Path) -> dict[str, bytes]:
    return {str(path.relative_to(top)): path.read_bytes() for path in top.rglob("*.json")}


async def test_it_is_put_with_its_signature_and_again_that_changes_nothing(tmp_path: Path) -> None:
    store = directory(tmp_path)
    assert await put(store) == BOTH
    assert files(tmp_path) == {RECORD: DATA, SIGNED: SIGNATURE}
    assert await put(store) == await put(store, archives.SIGNER, SUMMARY) == BOTH
    assert files(tmp_path) == {RECORD: DATA, SIGNED: SIGNATURE}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 5), st.booleans()), max_size=3), st.sampled_from([archives.SIGNER, P256, None])
)
async def test_cut_off_anywhere_the_next_one_ends_it(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[tuple[int, bool]], key: envelope.PrivateKey | None
) -> None:
    top = tmp_path_factory.mktemp("store")
    store = directory(top)
    for at, after in cuts:
        with contextlib.suppress(StoreError):
            await put(Cut(store, at, after=after), key)
    said = await put(store, key)
    assert files(top).keys() == ({RECORD, SIGNED} if key else {RECORD})
    assert files(top)[RECORD] == DATA
    assert said.size == sum(map(len, files(top).values()))
    if key:
        assert said.certificate == abandoned.signed(files(top)[SIGNED], DATA, (key.public,))
    else:
        assert said.certificate is None


async def test_what_could_not_be_signed_is_signed_once_there_is_a_key(tmp_path: Path) -> None:
    store = directory(tmp_path)
    assert await put(store, None) == Whole(1, len(DATA))
    assert await put(store) == BOTH


async def test_what_a_former_key_has_signed_stays_believed_where_that_is_on_record(tmp_path: Path) -> None:
    store = directory(tmp_path)
    await put(store)
    for key in (P256, None):
        assert await put(store, key, SUMMARY) == BOTH
    with pytest.raises(DisputedError, match="signed by none of the 1 keys"):
        await put(store, P256)
    assert await put(store, P256, former=[archives.SIGNER.public]) == BOTH, "one was cut off before it had told"
    with pytest.raises(DisputedError, match="there is no key to see who has signed it"):
        await put(store, None)


async def test_what_somebody_has_removed_is_put_again_and_without_a_key_it_is_named(tmp_path: Path) -> None:
    store = directory(tmp_path)
    await put(store)
    for name in (RECORD, SIGNED):
        (tmp_path / name).unlink()
    assert await put(store, archives.SIGNER, SUMMARY) == BOTH
    (tmp_path / SIGNED).unlink()
    with pytest.raises(DisputedError, match=r"abandoned\.certificate\.json is not there: restore it"):
        await put(store, None, SUMMARY)


@pytest.mark.parametrize("data", [released.data(by="eve@corp.example"), b"{}", DATA + b" " * 2**20])
async def test_what_somebody_else_has_put_there_stays_and_is_named(tmp_path: Path, data: bytes) -> None:
    store = directory(tmp_path)
    await store.create(RECORD, data)
    with pytest.raises(DisputedError, match=f"{RECORD} holds something else"):
        await put(store)
    assert files(tmp_path) == {RECORD: data}, "nothing is signed that the operator has not said"


# From the store ------------------------------------------------------------------------------------------------------


async def taken(store: DirectoryStore, *, uncertified: bool = False) -> stored.Candidate:
    (folder,) = [folder async for folder in found.folders(store)]
    assert folder.is_release
    assert not folder.is_rest
    return await stored.candidate(store, folder, archives.KEYS, uncertified=uncertified)


async def fill(store: DirectoryStore, content: dict[str, bytes]) -> None:
    for name, data in content.items():
        await store.create(name, data)


async def test_what_a_known_key_has_signed_is_taken_whatever_else_is_in_its_folder(tmp_path: Path) -> None:
    """What was sealed before, say, and never came on record."""
    store = directory(tmp_path)
    rest = {released.WHERE.key(path): data for path, data in archives.archived().files.items()}
    await fill(store, {**rest, RECORD: DATA, SIGNED: SIGNATURE})
    one = await taken(store)
    assert (one.name, one.body("local"), one.read) == (released.NAME, released.record(), BOTH)


async def test_what_nobody_has_signed_is_taken_only_where_somebody_answers_for_it(tmp_path: Path) -> None:
    store = directory(tmp_path)
    await fill(store, {RECORD: DATA})
    with pytest.raises(RefusedError, match=r"has no abandoned\.certificate\.json beside it.*--uncertified"):
        await taken(store)
    assert (await taken(store, uncertified=True)).read == Whole(1, len(DATA))
    await fill(store, {released.WHERE.key(layout.CERTIFICATE): b"{}"})
    with pytest.raises(RefusedError, match=r"nobody has signed that; certificate\.json beside it"):
        await taken(store, uncertified=True)


MISPLACED = Path(RECORD).parent.with_name("elsewhere")
FORGED: dict[str, tuple[dict[str, bytes], str]] = {
    "of a stranger": ({RECORD: DATA, SIGNED: abandoned.issue(DATA, STRANGER)}, "signed by none of the 1 keys"),
    "altered": ({RECORD: released.data(by="eve@corp.example"), SIGNED: SIGNATURE}, "is about another record"),
    "another's signature": (
        {RECORD: DATA, SIGNED: archives.archived().files[layout.CERTIFICATE]}, "cannot be read: predicate"),
    "a signature alone": ({SIGNED: SIGNATURE}, "abandoned.json is not there, and its signature is"),
    "moved": (
        {f"{MISPLACED}/{layout.ABANDONED}": DATA, f"{MISPLACED}/{layout.ABANDONED_CERTIFICATE}": SIGNATURE},
        "somebody has moved or copied it"),
    "no record": ({RECORD: b"{}", SIGNED: SIGNATURE}, "has no version"),
}  # fmt: skip


@pytest.mark.parametrize("uncertified", [False, True])
@pytest.mark.parametrize(("content", "words"), FORGED.values(), ids=FORGED.keys())
async def test_what_is_forged_is_refused_and_named(
    tmp_path: Path, content: dict[str, bytes], words: str, *, uncertified: bool
) -> None:
    store = directory(tmp_path)
    await fill(store, content)
    with pytest.raises(RefusedError, match=words):
        await taken(store, uncertified=uncertified)


async def test_what_nobody_has_signed_takes_no_other_agents_name(tmp_path: Path) -> None:
    store = directory(tmp_path)
    for name, words in (("crm.router.0a1b2c3d", f"archive is not {released.NAME}"), ("../x", "no AgentArchive can")):
        where = layout.Layout(archives.UID, name)
        forged = DATA.replace(released.NAME.encode(), name.encode())
        await store.create(where.key(layout.ABANDONED), forged)
        with pytest.raises(RefusedError, match=words):
            await taken(store, uncertified=True)
        (tmp_path / where.key(layout.ABANDONED)).unlink()


async def test_an_agent_archive_that_says_otherwise_is_disputed(tmp_path: Path) -> None:
    store = directory(tmp_path)
    await fill(store, {RECORD: DATA})
    one = await taken(store, uncertified=True)
    stored.check_same(one, released.record())
    with pytest.raises(DisputedError, match="says something else than"):
        stored.check_same(one, released.record(reason="Another"))


# The periodic look ---------------------------------------------------------------------------------------------------


def record(**status: Any) -> ArchiveRecord:
    body = released.record()
    meta = {"name": released.NAME, "uid": "u", "resourceVersion": "1", "creationTimestamp": "2026-11-22T10:00:00Z"}
    cluster = Cluster(lambda _: None)
    cluster.archives.observe({**body, "metadata": meta, "status": status})
    return cluster.archives.records[released.NAME]


@contextlib.asynccontextmanager
async def keeper(top: Path, **fields: Any) -> AsyncIterator[Keeper]:
    made = Keeper(directory_config(top, **fields), interval=1, restored=lambda _: None)
    made.usable = True
    try:
        yield made
    finally:
        await made.store.close()


def looked(top: Path, one: ArchiveRecord, **fields: Any) -> upkeep.Found:
    async def look() -> upkeep.Found:
        async with keeper(top, **fields) as store:
            seen = await looking.recorded(store, one, archives.SIGNER)
            assert store.usable or isinstance(seen, Unread)
            return seen

    return asyncio.run(look())


def test_a_look_puts_it_and_the_next_one_reads_it(tmp_path: Path) -> None:
    assert looked(tmp_path, record()) == BOTH
    known = SUMMARY.model_dump(mode="json", by_alias=True)
    assert looked(tmp_path, record(certificate=known)) == BOTH


@pytest.mark.parametrize("name", [RECORD, SIGNED])
def test_what_was_altered_is_named(tmp_path: Path, name: str) -> None:
    looked(tmp_path, record())
    file = tmp_path / name
    file.chmod(0o600)
    file.write_bytes(file.read_bytes()[:-3] + b"!}\n")
    seen = looked(tmp_path, record())
    assert isinstance(seen, Altered)
    assert name in seen.text
    file.unlink()
    file.symlink_to("/etc/hostname")
    assert isinstance(looked(tmp_path, record()), Altered)


def test_a_store_that_is_away_or_not_written_to_is_said_and_nothing_is_written(tmp_path: Path) -> None:
    seen = looked(tmp_path, record(), readOnly=True)
    assert isinstance(seen, Unread)
    assert "archive store local is not written to: describe it without readOnly" in seen.text
    assert files(tmp_path) == {}
    tmp_path.rename(tmp_path.with_name("aside"))
    seen = looked(tmp_path, record())
    assert isinstance(seen, Unread)
    assert "archive store local does not answer" in seen.text


# What its AgentArchive says ------------------------------------------------------------------------------------------


def conditions(status: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {c["type"]: (c["status"], c["reason"]) for c in status["conditions"]}


def after(status: dict[str, Any], seen: upkeep.Found) -> dict[str, Any]:
    verdicts = unarchived.verdicts(seen, released.ORDER, status)
    return {**status, "conditions": upkeep.conditions(status.get("conditions") or (), verdicts, "now")}


NONE = ("False", "Abandoned")


def test_its_condition_verified_says_whether_it_is_in_the_store() -> None:
    first = unarchived.status(released.ORDER, archives.SEALED)
    assert conditions(first) == {"Ready": NONE, "Verified": ("Unknown", "Abandoned"), "Certified": NONE}
    away = after(first, Unread(Reason.STORE_UNAVAILABLE, "it is away"))
    assert conditions(away) == {"Ready": NONE, "Verified": ("Unknown", "ArchiveStoreUnavailable"), "Certified": NONE}
    there = after(away, BOTH)
    assert conditions(there) == {"Ready": NONE, "Verified": ("True", "ReadBack"), "Certified": NONE}
    damaged = after(there, Altered("altered"))
    assert conditions(damaged)["Ready"] == conditions(damaged)["Verified"] == ("False", "Altered")
    assert after(damaged, Unread(Reason.STORE_UNAVAILABLE, "it is away")) == damaged, "damage stays seen"
    assert conditions(after(damaged, BOTH)) == conditions(there)
    assert after(there, BOTH) == there, "the same again is no news"
    said = {c["type"]: c["message"] for c in after(first, Whole(1, 2))["conditions"]}
    assert "is not signed" in said["Verified"]


def test_whoever_was_cut_off_before_saying_anything_is_made_good() -> None:
    assert conditions(after({}, BOTH)) == conditions(unarchived.status(released.ORDER, archives.SEALED, BOTH))


def test_it_is_put_at_once_and_read_again_within_the_interval() -> None:
    created, week = archives.SEALED, timedelta(hours=168)
    assert upkeep.due("u", created, unarchived.status(released.ORDER, created), week) == created
    last = created + timedelta(hours=1)
    due = upkeep.due("u", created, unarchived.status(released.ORDER, last, BOTH), week)
    assert last + week * 3 / 4 - timedelta(seconds=1) < due <= last + week


@pytest.mark.parametrize(
    ("verified", "counted"), [("Unknown", "Abandoned"), ("True", "Abandoned"), ("False", "Altered")]
)
def test_it_is_counted_and_damage_to_it_as_that_of_any(verified: str, counted: str) -> None:
    one = record(conditions=[{"type": "Verified", "status": verified}])
    assert one.abandoned
    cluster = Cluster(lambda _: None)
    cluster.archives.records[one.name] = one
    gauges.update(cluster)
    found = {sample.labels["found"]: sample.value for family in metrics.ARCHIVES.collect() for sample in family.samples}
    assert {name for name, value in found.items() if value} == {counted}
