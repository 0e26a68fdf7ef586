"""Archives are put, read back and certified whatever the store does, and whoever is cut off between two requests."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aiagent_operator.core.archive import envelope, layout, manifest
from aiagent_operator.core.archive.certificate import Ended
from aiagent_operator.core.archive.contents import File, Parcel
from aiagent_operator.core.archive.findings import Fault
from aiagent_operator.core.archive.layout import Layout
from aiagent_operator.core.archive.verify import verify
from aiagent_operator.runtime.archive import sealing
from aiagent_operator.runtime.archive.directory import DirectoryStore
from aiagent_operator.runtime.archive.errors import DisputedError, Kind, StoreError
from aiagent_operator.runtime.archive.putting import put
from aiagent_operator.runtime.archive.store import Put
from support import archives
from support.archive import directory

WHERE = Layout(archives.UID, archives.ARCHIVE)
NOW = archives.SEALED


class Faulty:
    """A store of which one operation fails, before or after it has happened."""

    def __init__(self, store: DirectoryStore, at: int, *, after: bool) -> None:
        self._store, self._left, self._after = store, at, after
        self.name, self.read_only = store.name, False

    async def create(self, name: str, data: bytes) -> Put:
        self._fail(name, now=not self._after)
        put = await self._store.create(name, data)
        self._fail(name, now=self._after)
        return put

    async def read(self, name: str, most: int) -> bytes:
        self._fail(name, now=not self._after)
        data = await self._store.read(name, most)
        self._fail(name, now=self._after)
        return data

    async def pages(self, prefix: str = "", after: str = "") -> AsyncIterator[list[str]]:
        self._fail(prefix, now=True)
        async for page in self._store.pages(prefix, after):
            yield page

    async def chunks(self, name: str) -> AsyncIterator[bytes]:
        self._fail(name, now=True)
        async for chunk in self._store.chunks(name):
            yield chunk

    def _fail(self, name: str, *, now: bool) -> None:
        if not now:
            return
        self._left -= 1
        if self._left == 0:
            raise StoreError(Kind.UNREACHABLE, self.name, name, "no answer", "try again")


class Slow(Faulty):
    """A store that takes a while for each file, but for the last of those that are put together: it fails at once."""

    def __init__(self, store: DirectoryStore, at: int) -> None:
        super().__init__(store, at, after=False)
        self.begun = self.under_way = 0

    async def create(self, name: str, data: bytes) -> Put:
        self.begun += 1
        self._fail(name, now=True)
        self.under_way += 1
        await asyncio.sleep(0.01)
        put = await self._store.create(name, data)
        self.under_way -= 1
        return put


async def test_where_a_file_cannot_be_put_the_others_have_ended_before_that_is_said(tmp_path: Path) -> None:
    files = [File(f"{layout.ACTIONS}/u/{number}.json", b"{}") for number in range(40)]
    store = Slow(directory(tmp_path), 3)
    with pytest.raises(StoreError):
        await put(store, WHERE, files)  # type: ignore[arg-type]
    assert store.under_way == 0
    assert store.begun < len(files), "what was not begun by then is left"


def parcel(**files: bytes) -> Parcel:
    """What is archived: the files of the example, some of them otherwise."""
    content = {**archives.FILES, **{f"{name}.json": data for name, data in files.items()}}
    made = tuple(File(path, data) for path, data in content.items())
    return Parcel(archives.leaving(), made, archives.GAPS, archives.CLAIMS)


class Writer:
    """What the operator remembers: the digests of manifests, noted before each is written."""

    def __init__(self) -> None:
        self.noted: list[str] = []

    async def complete(self, store: Any, what: Parcel) -> None:
        """One attempt, as the operator makes it."""
        sealed = await sealing.found(store, WHERE, self.noted)
        if sealed is None:
            files = await put(store, WHERE, what.files)
            left = await sealing.left(store, WHERE, files)
            sealed = sealing.made(WHERE, what, files, NOW + timedelta(seconds=len(self.noted)), left)
            self.noted.append(sealed.digest)
            await sealing.seal(store, WHERE, sealed)
        await sealing.sums(store, WHERE, sealed)
        await sealing.read_back(store, WHERE, sealed)
        await sealing.certify(store, WHERE, sealed, ended(), archives.SIGNER)


def ended() -> Ended:
    later = NOW + timedelta(hours=1)
    return replace(archives.ended(), completed_at=later, verified_at=later - timedelta(minutes=1))


def found(folder: Path) -> dict[str, bytes]:
    top = folder / WHERE.prefix
    return {str(path.relative_to(top)): path.read_bytes() for path in top.rglob("*") if path.is_file()}


def assert_whole(folder: Path) -> None:
    files = found(folder)
    report = verify(files[layout.MANIFEST], [(path, [data]) for path, data in files.items()], keys=archives.KEYS)
    assert report.is_whole, report.findings
    assert report.signed_by


async def test_an_archive_that_nothing_disturbs_is_whole(tmp_path: Path) -> None:
    await Writer().complete(directory(tmp_path), parcel())
    assert_whole(tmp_path)
    assert found(tmp_path).keys() == {*archives.FILES, layout.SUMS, layout.MANIFEST, layout.CERTIFICATE}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(
    faults=st.lists(st.tuples(st.integers(1, 45), st.booleans()), max_size=4),
    changes=st.lists(st.sampled_from([b"{}\n", b'{"other":1}\n']), min_size=5, max_size=5),
)
async def test_cut_off_anywhere_the_next_attempt_ends_it(
    tmp_path_factory: pytest.TempPathFactory, faults: list[tuple[int, bool]], changes: list[bytes]
) -> None:
    """Also where what is captured is another thing each time."""
    folder = tmp_path_factory.mktemp("archive")
    store, writer = directory(folder), Writer()
    for (at, after), spec in zip(faults, changes, strict=False):
        with contextlib.suppress(StoreError):
            await writer.complete(Faulty(store, at, after=after), parcel(spec=spec))
    await writer.complete(store, parcel(spec=changes[-1]))
    assert_whole(folder)
    before = found(folder)
    await writer.complete(store, parcel(spec=b"{}\n"))
    assert found(folder) == before
    await store.close()


async def test_what_an_attempt_has_left_and_the_next_knows_nothing_of_is_named_in_the_manifest(tmp_path: Path) -> None:
    """Its order was removed, or its pod, before the next operator looked: nobody has put it there later."""
    store, first = directory(tmp_path), parcel()
    gone = (layout.action("b7c6", "bye"), f"logs/triage-1-x/{'0' * 32}/app.log.age")
    await put(store, WHERE, (*first.files, *(File(path, b"{}\n") for path in gone)))
    # A stranger's file is no leftover, whenever it came.
    strange = (f"{'0' * 32}/note.txt", "logs.txt", "spec.json.old")
    await put(store, WHERE, (File(path, b"x") for path in strange))
    await Writer().complete(store, parcel(spec=b'{"other":1}\n'))
    files = found(tmp_path)
    report = verify(files[layout.MANIFEST], [(path, [data]) for path, data in files.items()], keys=archives.KEYS)
    named = {(finding.path, finding.fault) for finding in report.findings}
    assert named == {
        *((path, Fault.LEFT_OVER) for path in (*gone, layout.SPEC)),
        *((path, Fault.UNLISTED) for path in strange),
    }
    assert manifest.read(files[layout.MANIFEST]).left_over == tuple(sorted((*gone, layout.SPEC)))


@pytest.mark.parametrize("path", ["logs", "logs/../spec.json", "logs/a b.log", "Spec.json", "other/a", layout.SUMS])
def test_no_item_has_such_a_path(path: str) -> None:
    assert not layout.is_item(path)


async def test_a_manifest_that_nobody_noted_is_somebody_elses(tmp_path: Path) -> None:
    store = directory(tmp_path)
    await Writer().complete(store, parcel())
    with pytest.raises(DisputedError, match="is none that"):
        await Writer().complete(store, parcel())


async def test_a_manifest_that_comes_in_between_is_not_taken(tmp_path: Path) -> None:
    store = directory(tmp_path)
    files = await put(store, WHERE, parcel().files)
    sealed = sealing.made(WHERE, parcel(), files, NOW)
    await store.create(WHERE.key(layout.MANIFEST), b"{}\n")
    with pytest.raises(DisputedError, match="holds something else"):
        await sealing.seal(store, WHERE, sealed)


@pytest.mark.parametrize("path", [*archives.FILES, layout.SUMS])
async def test_a_flipped_bit_is_found_before_anything_is_certified(tmp_path: Path, path: str) -> None:
    store, writer = directory(tmp_path), Writer()
    await writer.complete(store, parcel())
    (tmp_path / WHERE.key(layout.CERTIFICATE)).unlink()
    file = tmp_path / WHERE.key(path)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.chmod(0o600)
    file.write_bytes(data)
    file.chmod(0o440)
    with pytest.raises(DisputedError, match=r"holds something else|Altered"):
        await writer.complete(store, parcel())
    assert not (tmp_path / WHERE.key(layout.CERTIFICATE)).exists()


async def test_a_file_that_is_gone_is_found(tmp_path: Path) -> None:
    store, writer = directory(tmp_path), Writer()
    await writer.complete(store, parcel())
    (tmp_path / WHERE.key(layout.RIGHTS)).unlink()
    with pytest.raises(DisputedError, match=r"rights\.jsonl: Missing"):
        await writer.complete(store, parcel())


async def test_what_others_put_beside_it_keeps_nobody(tmp_path: Path) -> None:
    store, writer = directory(tmp_path), Writer()
    await store.create(WHERE.key("notes.json"), b"{}\n")
    await writer.complete(store, parcel())


async def test_a_certificate_of_another_key_is_refused(tmp_path: Path) -> None:
    store, writer = directory(tmp_path), Writer()
    await writer.complete(store, parcel())
    other = envelope.private_key(archives.pem(ed25519.Ed25519PrivateKey.generate()))
    sealed = await sealing.found(store, WHERE, writer.noted)
    assert sealed is not None
    with pytest.raises(DisputedError, match="signed by none"):
        await sealing.certify(store, WHERE, sealed, ended(), other)
    # The key was rotated between the certificate and its record.
    summary = await sealing.certify(store, WHERE, sealed, ended(), other, former=[archives.SIGNER.public])
    assert summary.key_ids == (archives.SIGNER.public.key_id,)


async def test_the_certificate_that_is_there_stays(tmp_path: Path) -> None:
    store, writer = directory(tmp_path), Writer()
    await writer.complete(store, parcel())
    sealed = await sealing.found(store, WHERE, writer.noted)
    assert sealed is not None
    later = replace(ended(), completed_at=datetime(2027, 1, 1, tzinfo=UTC))
    summary = await sealing.certify(store, WHERE, sealed, later, archives.SIGNER)
    assert summary.completion_time == ended().completed_at


async def test_a_manifest_of_which_a_restored_status_knows_nothing_is_known_by_its_certificate(tmp_path: Path) -> None:
    store, writer = directory(tmp_path), Writer()
    await writer.complete(store, parcel())
    keys = [archives.SIGNER.public]
    again = await sealing.found(store, WHERE, (), keys=keys)
    assert again is not None
    assert again.digest in writer.noted
    other = envelope.private_key(archives.pem(ed25519.Ed25519PrivateKey.generate())).public
    for strangers in ([], [other]):
        with pytest.raises(DisputedError, match="nor has a key of the operator signed"):
            await sealing.found(store, WHERE, (), keys=strangers)
    # The archive of another agent, moved to this one's place with its certificate.
    elsewhere = Layout("0" * 8 + WHERE.agent_uid[8:], WHERE.archive)
    for path, data in found(tmp_path).items():
        await store.create(elsewhere.key(path), data)
    with pytest.raises(DisputedError, match="nor has a key of the operator signed"):
        await sealing.found(store, elsewhere, (), keys=keys)
    # Sealed, and not certified.
    (tmp_path / WHERE.key("certificate.json")).unlink()
    with pytest.raises(DisputedError, match="nor has a key of the operator signed"):
        await sealing.found(store, WHERE, (), keys=keys)
