"""Archives in a store from which the index is rebuilt: which are taken, and why others are not."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from aiagent_operator.api.archive import LeaveReason
from aiagent_operator.core.archive import certificate, envelope, index, layout, manifest, retention, tombstone
from aiagent_operator.core.archive.layout import Layout
from aiagent_operator.core.archive.tombstone import Destruction
from aiagent_operator.core.objects import AgentIdentity
from aiagent_operator.runtime.archive import found
from aiagent_operator.runtime.archive.directory import DirectoryStore
from aiagent_operator.runtime.archive.errors import Kind, StoreError
from aiagent_operator.runtime.archive.found import Folder, RefusedError
from support import archives
from support.archive import directory

WHERE = Layout(archives.UID, archives.ARCHIVE)
WHOLE = archives.archived().files
STRANGER = envelope.private_key(archives.pem(ed25519.Ed25519PrivateKey.generate()))


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return directory(tmp_path)


async def put(store: DirectoryStore, files: Mapping[str, bytes], prefix: str = WHERE.prefix) -> None:
    for path, data in files.items():
        await store.create(f"{prefix}/{path}", data)


async def all_folders(store: DirectoryStore) -> list[Folder]:
    return [folder async for folder in found.folders(store)]


async def taken(store: DirectoryStore, *, uncertified: bool = False) -> found.Candidate:
    """The one archive in the store."""
    (folder,) = await all_folders(store)
    assert not folder.is_rest
    return await found.candidate(store, folder, archives.KEYS, uncertified=uncertified)


def sealed(name: str = archives.ARCHIVE) -> dict[str, bytes]:
    """Files of an archive with another manifest, and no certificate."""
    files = {path: data for path, data in WHOLE.items() if path not in layout.RESERVED}
    items, claimed = archives.stored(files), retention.decide(archives.CLAIMS, archives.SEALED)
    data = manifest.seal(name, archives.leaving(reason=LeaveReason.BUSINESS), items, archives.GAPS, claimed)
    return files | {layout.MANIFEST: data, layout.SUMS: manifest.sums(manifest.read(data))}


def own_name() -> str:
    return index.name(AgentIdentity(archives.AGENT.namespace, archives.AGENT.name, archives.AGENT.uid))


async def test_what_was_sealed_and_certified_is_taken_with_the_record_that_it_had(store: DirectoryStore) -> None:
    await put(store, WHOLE)
    one = await taken(store)
    await found.read_back(store, one)
    about = manifest.read(WHOLE[layout.MANIFEST])
    assert one.record("local") == index.build(about, one.sealed.digest, store="local", path=WHERE.prefix)
    assert one.name == archives.ARCHIVE
    assert one.certificate is not None
    assert one.certificate.key_ids == (archives.SIGNER.public.key_id,)
    assert one.certificate.completion_time == archives.DONE
    assert one.purged is None


async def test_folders_come_one_by_one_whatever_else_is_in_the_store(store: DirectoryStore) -> None:
    """Names that differ by what sorts before a slash too."""
    names = [Layout("u", name) for name in ("a", "a-b", "a.b", "b")]
    for where in names:
        await put(store, WHOLE, where.prefix)
    await store.create("archives/note.json", b"{}")
    await store.create("archives/u/note.json", b"{}")
    await store.create("journal/u/000000000001.json", b"{}")
    await put(store, {layout.SPEC: b"{}"}, "archives/u/rest")
    await put(store, {"logs/manifest.json": b"{}", layout.CERTIFICATE: b"{}"}, "archives/v/lost")
    folders = await all_folders(store)
    whole = frozenset({layout.MANIFEST, layout.SUMS, layout.CERTIFICATE})
    assert {folder.prefix: folder.about for folder in folders} == {
        **{where.prefix: whole for where in names},
        "archives/u/rest": frozenset(),
        "archives/v/lost": frozenset({layout.CERTIFICATE}),
    }
    assert len(folders) == len(names) + 2
    assert [folder.prefix for folder in folders if folder.is_rest] == ["archives/u/rest"]


async def test_an_archive_whose_manifest_is_gone_is_named(store: DirectoryStore) -> None:
    await put(store, archives.archived().without(layout.MANIFEST).files)
    with pytest.raises(RefusedError, match=r"manifest\.json is not there, and certificate\.json is: restore it"):
        await taken(store)


@pytest.mark.parametrize("uncertified", [False, True])
async def test_what_another_key_has_signed_is_refused_also_where_certificates_are_not_asked_for(
    store: DirectoryStore, *, uncertified: bool
) -> None:
    forged = certificate.issue(WHOLE[layout.MANIFEST], archives.ended(), STRANGER)
    await put(store, WHOLE | {layout.CERTIFICATE: forged})
    with pytest.raises(RefusedError, match="signed by none of the 1 keys given"):
        await taken(store, uncertified=uncertified)


async def test_a_certificate_of_another_manifest_is_refused(store: DirectoryStore) -> None:
    await put(store, WHOLE | sealed())
    with pytest.raises(RefusedError, match="it is about a manifest with the digest"):
        await taken(store)


async def test_without_a_certificate_it_is_taken_only_where_somebody_answers_for_it(store: DirectoryStore) -> None:
    where = Layout(archives.UID, own_name())
    await put(store, sealed(own_name()), where.prefix)
    with pytest.raises(RefusedError, match=r"has no certificate\.json.*--uncertified"):
        await taken(store)
    one = await taken(store, uncertified=True)
    await found.read_back(store, one)
    assert one.certificate is None


async def test_what_nobody_signed_takes_no_other_name(store: DirectoryStore) -> None:
    await put(store, sealed())
    with pytest.raises(RefusedError, match=f"archive is not {own_name()}"):
        await taken(store, uncertified=True)


async def test_a_copy_in_another_place_is_refused(store: DirectoryStore) -> None:
    await put(store, WHOLE, f"archives/{archives.UID}/other")
    with pytest.raises(RefusedError, match=f"is that of {WHERE.prefix}: somebody has moved or copied it"):
        await taken(store)


async def test_a_name_that_no_object_can_have_is_refused(store: DirectoryStore) -> None:
    """Also since it becomes part of a URL."""
    name = "../../namespaces/crm"
    await put(store, sealed(name), Layout(archives.UID, name).prefix)
    with pytest.raises(RefusedError, match="no AgentArchive can have the name"):
        await taken(store, uncertified=True)


async def test_a_manifest_that_cannot_be_read_is_refused(store: DirectoryStore) -> None:
    await put(store, WHOLE | {layout.MANIFEST: b"{}\n"})
    with pytest.raises(RefusedError, match=r"manifest\.json has no version"):
        await taken(store)


@pytest.mark.parametrize("path", [layout.SPEC, layout.SUMS, layout.JOURNAL])
async def test_what_is_missing_or_altered_is_found_before_it_is_on_record(store: DirectoryStore, path: str) -> None:
    files = {each: data for each, data in WHOLE.items() if each != path}
    await put(store, files)
    one = await taken(store)
    with pytest.raises(RefusedError, match=f"{path}: Missing"):
        await found.read_back(store, one)
    await put(store, {path: WHOLE[path].swapcase()})
    with pytest.raises(RefusedError, match=f"{path}: Altered"):
        await found.read_back(store, one)


async def test_a_purged_archive_is_known_as_what_it_is(store: DirectoryStore) -> None:
    why = Destruction(archives.DONE, "Its retention has ended", retention.decide(archives.CLAIMS, archives.SEALED))
    stone = tombstone.purged(WHOLE[layout.MANIFEST], why)
    left = {path: data for path, data in WHOLE.items() if path in layout.RESERVED}
    await put(store, left | {layout.TOMBSTONE: stone})
    one = await taken(store)
    assert one.purged is not None
    assert one.purged.reason == why.reason


async def test_a_tombstone_of_another_archive_is_refused(store: DirectoryStore) -> None:
    why = Destruction(archives.DONE, "Its retention has ended", retention.decide(archives.CLAIMS, archives.SEALED))
    stone = json.loads(tombstone.purged(WHOLE[layout.MANIFEST], why))
    stone["manifest"] = f"sha256:{'0' * 64}"
    await put(store, WHOLE | {layout.TOMBSTONE: json.dumps(stone).encode()})
    with pytest.raises(RefusedError, match="it is of another archive"):
        await taken(store)


async def test_what_fails_of_the_store_itself_is_no_fault_of_an_archive(store: DirectoryStore) -> None:
    own = StoreError(Kind.MISSING, "local", WHERE.key(layout.SPEC), "there is none", "look at the name")
    assert isinstance(found.refused(own), RefusedError)
    away = StoreError(Kind.UNREACHABLE, "local", "", "no answer", "look at the store")
    assert found.refused(away) is away


async def test_a_link_to_a_manifest_is_none(store: DirectoryStore, tmp_path: Path) -> None:
    await put(store, {path: data for path, data in WHOLE.items() if path != layout.MANIFEST})
    (tmp_path / "elsewhere.json").write_bytes(WHOLE[layout.MANIFEST])
    (tmp_path / WHERE.key(layout.MANIFEST)).symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(RefusedError, match="is not there"):
        await taken(store)
