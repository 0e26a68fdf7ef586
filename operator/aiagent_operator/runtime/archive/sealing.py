"""Puts what an agent leaves behind into an archive store, reads it back, and certifies it.

Nothing is overwritten, and whoever is cut off between any two requests is followed by one who finds what is there.
Before a manifest is written its digest is noted in the agent's status, so that a manifest of anybody else's is never
taken for the operator's own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from aiagent_operator.api.agentarchive import CertificateSummary
from aiagent_operator.api.archive import Manifest
from aiagent_operator.api.decommission import Removed
from aiagent_operator.core.archive import certificate, envelope, layout, manifest, wire
from aiagent_operator.core.archive.certificate import Ended
from aiagent_operator.core.archive.contents import Parcel
from aiagent_operator.core.archive.errors import ArchiveError
from aiagent_operator.core.archive.layout import Layout
from aiagent_operator.core.archive.manifest import Stored
from aiagent_operator.core.archive.retention import decide
from aiagent_operator.core.plan import Proof
from aiagent_operator.runtime.archive import reading
from aiagent_operator.runtime.archive.errors import DisputedError, Kind, StoreError
from aiagent_operator.runtime.archive.putting import own
from aiagent_operator.runtime.archive.store import Put, Store


@dataclass(frozen=True, slots=True)
class Sealed:
    """A manifest that is in the store, as its bytes and as what they say."""

    data: bytes
    manifest: Manifest

    @property
    def digest(self) -> str:
        """Digest of its bytes."""
        return wire.digest(self.data)


async def found(
    store: Store, where: Layout, noted: Collection[str], *, keys: Iterable[envelope.PublicKey] = ()
) -> Sealed | None:
    """The manifest that is in the store already; None where there is none.

    A status that came back with a backup of the cluster has noted nothing of it: then the certificate tells that it is
    the operator's own, where one of the `keys` has signed that. Raises DisputedError for any other one, and StoreError.
    """
    name = where.key(layout.MANIFEST)
    try:
        data = await store.read(name, manifest.LIMIT)
    except StoreError as error:
        if error.kind is Kind.MISSING:
            return None
        raise
    known = wire.digest(data) in noted
    try:
        sealed = Sealed(data, manifest.read(data, name))
    except ArchiveError as error:
        if known:
            raise DisputedError(f"archive store {store.name}: {error}") from error
    else:
        if known or await _certified_before(store, where, sealed, keys):
            return sealed
    raise DisputedError(
        f"archive store {store.name}: {name} is there, and its digest {wire.digest(data)} is none that "
        "status.archive.manifests knows, nor has a key of the operator signed a certificate of it: somebody else has "
        "written it, or a backup of the cluster was restored"
    )


async def _certified_before(store: Store, where: Layout, sealed: Sealed, keys: Iterable[envelope.PublicKey]) -> bool:
    """Whether a certificate that is there says that the manifest is of this very agent, and complete."""
    about = sealed.manifest
    if (about.agent.uid, about.archive) != (where.agent_uid, where.archive):
        return False
    try:
        await certified(store, where, sealed, keys)
    except DisputedError:
        return False
    except StoreError as error:
        if error.kind is not Kind.MISSING:
            raise
        return False
    return True


async def left(store: Store, where: Layout, files: Iterable[Stored]) -> tuple[str, ...]:
    """Paths of what attempts that were cut off have left, beside the files of this one. Raises StoreError.

    The manifest names them, so that nobody has to ask who put them there: what an attempt has written, the next may
    know nothing of, since its order, or its pod, has gone.
    """
    known, found = {each.path for each in files}, list[str]()
    async for page in store.pages(where.prefix):
        paths = (name.removeprefix(f"{where.prefix}/") for name in page)
        found += [path for path in paths if path not in known and layout.is_item(path)]
    return tuple(found)


def made(
    where: Layout, parcel: Parcel, files: Iterable[Stored], now: datetime, left_over: Iterable[str] = ()
) -> Sealed:
    """The manifest of what was put, which is not in the store yet. Raises ArchiveError for what none can hold."""
    data = manifest.seal(where.archive, parcel.leaving, files, parcel.gaps, decide(parcel.claims, now), left_over)
    return Sealed(data, manifest.read(data))


async def seal(store: Store, where: Layout, sealed: Sealed) -> None:
    """Puts the manifest, whose digest is noted by then. Raises StoreError, DisputedError where another one is there."""
    await own(store, where.key(layout.MANIFEST), sealed.data)


async def sums(store: Store, where: Layout, sealed: Sealed) -> None:
    """Puts `sha256sums`, which follow from the manifest. Raises StoreError, DisputedError."""
    await own(store, where.key(layout.SUMS), manifest.sums(sealed.manifest))


async def read_back(store: Store, where: Layout, sealed: Sealed) -> None:
    """Reads every file of the archive and compares it with the manifest. Raises DisputedError, StoreError."""
    if findings := reading.wrong(await reading.read(store, where, sealed.data)):
        raise DisputedError(f"archive store {store.name}: {where.prefix}: {reading.told(findings)}")


def ended(proof: Proof, removed: tuple[Removed, ...], location: str, verified_at: datetime) -> Ended:
    """What is certified beside what the manifest says."""
    return Ended(datetime.now(UTC), proof.answers, removed, (), location, verified_at)


async def certify(
    store: Store,
    where: Layout,
    sealed: Sealed,
    ended: Ended,
    key: envelope.PrivateKey,
    *,
    former: Iterable[envelope.PublicKey] = (),
) -> CertificateSummary:
    """The certificate in the store; it is made where there is none yet. `former`: keys of one that was made before.

    Raises DisputedError for one that none of the keys has signed or that is about something else, ArchiveError for what
    would not be true, and StoreError.
    """
    name = where.key(layout.CERTIFICATE)
    issued = certificate.issue(sealed.data, ended, key)
    if await store.create(name, issued) is Put.CREATED:
        return CertificateSummary(
            digest=wire.digest(issued), key_ids=(key.public.key_id,), completion_time=ended.completed_at
        )
    return await certified(store, where, sealed, (key.public, *former))


async def certified(
    store: Store, where: Layout, sealed: Sealed, keys: Iterable[envelope.PublicKey]
) -> CertificateSummary:
    """The certificate that is in the store, signed by one of the keys.

    Raises DisputedError for one that none of them has signed or that is about something else, and StoreError.
    """
    name = where.key(layout.CERTIFICATE)
    there = await store.read(name, envelope.LIMIT)
    try:
        opened = envelope.verified(there, keys, name)
        said = certificate.read(opened.payload, name)
    except ArchiveError as error:
        raise DisputedError(f"archive store {store.name}: {error}") from error
    if fault := next(certificate.faults(said, sealed.manifest, sealed.digest), ""):
        raise DisputedError(f"archive store {store.name}: {name}: {fault}")
    return CertificateSummary(
        digest=wire.digest(there), key_ids=opened.signed_by, completion_time=said.predicate.completed_at
    )
