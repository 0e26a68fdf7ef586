"""One look at the files of an archive, or at the record that there is none, and their end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from aiagent_operator.api.agentarchive import CertificateSummary
from aiagent_operator.api.conditions import Reason
from aiagent_operator.core.archive import layout, purging
from aiagent_operator.core.archive.errors import ArchiveError
from aiagent_operator.core.archive.layout import Kept
from aiagent_operator.core.archive.purging import Purge
from aiagent_operator.core.archive.upkeep import Altered, Found, Unread, Whole
from aiagent_operator.core.journal import head
from aiagent_operator.runtime.archive.errors import DisputedError, Kind, StoreError
from aiagent_operator.runtime.archive.keeper import Keeper
from aiagent_operator.runtime.archives import ArchiveRecord

if TYPE_CHECKING:
    from aiagent_operator.core.archive.envelope import PrivateKey, PublicKey

# What a store says of a file that is not as it should be, and not of itself.
_OF_THE_FILE: Final = (Kind.MISSING, Kind.TOO_LARGE, Kind.UNSAFE, Kind.CHANGED, Kind.INVALID_NAME)
# What it says where it is away. One that locks its objects refuses to remove them, and is all right.
_AWAY: Final = (Kind.UNREACHABLE, Kind.TIMED_OUT)


def _away(store: str, what: str = "The archive") -> Unread:
    text = f"{what} could not be read: archive store {store} does not answer as it should (see the operator's log)"
    return Unread(Reason.STORE_UNAVAILABLE, f"{text}; it is tried again")


async def read(keeper: Keeper, record: ArchiveRecord) -> Found:
    """Reads all files, and compares them with the manifest, and that and the certificate with the AgentArchive."""
    # The libraries that check certificates take 10 MB, which an operator without archives does without.
    from aiagent_operator.core.archive import envelope, manifest, wire  # noqa: PLC0415
    from aiagent_operator.runtime.archive import reading  # noqa: PLC0415

    if not keeper.readable:
        return _away(keeper.name)
    spec, status, store = record.spec, record.status, keeper.store
    certificate = (status.get("certificate") or {}).get("digest")
    wanted = {layout.MANIFEST: (spec["manifest"]["digest"], manifest.LIMIT)}
    if certificate:
        wanted[layout.CERTIFICATE] = (certificate, envelope.LIMIT)
    files: dict[str, bytes] = {}
    try:
        where = layout.at(spec["path"])
        for path, (digest, limit) in wanted.items():
            files[path] = await store.read(where.key(path), limit)
            if (there := wire.digest(files[path])) != digest:
                return _altered(
                    record,
                    f"{path}: its digest is {there}, and was {digest} when it was sealed: restore it from a copy",
                )
        found = await reading.read(store, where, files[layout.MANIFEST], certified=bool(certificate))
    except StoreError as error:
        if error.kind in _OF_THE_FILE:
            return _altered(record, str(error))
        keeper.failed(error)
        return _away(keeper.name)
    except ArchiveError as error:
        return _altered(record, str(error))
    if found.purged is not None:
        return _altered(record, f"{layout.TOMBSTONE} says that it was purged, and nobody has: find out who wrote that")
    if (found.erased is not None) is not bool(status.get("erasure")) and not _is_erasing(status):
        told = "says that it was erased, and nobody has" if found.erased else "is not there, and it was erased"
        return _altered(record, f"{layout.ERASURE} {told}: find out who has changed that")
    if findings := reading.wrong(found):
        return _altered(record, reading.told(findings))
    return Whole(spec["manifest"]["items"], spec["manifest"]["size"])


async def recorded(
    keeper: Keeper, record: ArchiveRecord, key: PrivateKey | None, former: Iterable[PublicKey] = ()
) -> Found:
    """Reads the record that there is no archive, of an agent that was abandoned, and puts it where it is not there.

    `key` signs it; without one it is not signed. `former`: keys that have signed before.
    """
    from aiagent_operator.core.archive import abandoned  # noqa: PLC0415 - see read
    from aiagent_operator.runtime.archive import released  # noqa: PLC0415

    store, spec = keeper.store, record.spec
    if store.read_only:
        return Unread(
            Reason.STORE_UNAVAILABLE,
            f"archive store {keeper.name} is not written to: describe it without readOnly, and it is put there",
        )
    if not keeper.usable:
        return _away(keeper.name, "it")
    known = record.status.get("certificate")
    try:
        where = layout.at(spec["path"])
        return await released.put(
            store,
            where,
            abandoned.record(record.name, spec),
            key,
            known and CertificateSummary.model_validate(known),
            former=former,
        )
    except StoreError as error:
        if error.kind not in _OF_THE_FILE:
            keeper.failed(error)
            return _away(keeper.name, "it")
        why = str(error)
    except (DisputedError, ArchiveError) as error:
        why = str(error)
    return Altered(
        f"The record that there is no archive is not what it was: {why}. It is read again within the hour, and "
        "put again where nothing is in its place"
    )


def _is_erasing(status: Mapping[str, Any]) -> bool:
    """Whether that is under way: the file comes before the end is on record."""
    begun = status.get("erasure")
    return begun is not None and "completionTime" not in begun


def _altered(record: ArchiveRecord, what: str) -> Altered:
    where = f"{record.spec['path']} in archive store {record.spec['store']}"
    return Altered(f"{where} is not what was sealed: {what}. It is read again within the hour")


async def purge(keeper: Keeper, record: ArchiveRecord, plan: Purge) -> str:
    """Removes what is in the store of the archive and of its agent; why not, where that cannot be done now."""
    from aiagent_operator.core.archive.tombstone import Destruction  # noqa: PLC0415 - see read
    from aiagent_operator.runtime.archive import purging as removal  # noqa: PLC0415

    if not keeper.usable:
        return _away(keeper.name).text
    spec, uid = record.spec, record.spec["agent"]["uid"]
    why = Destruction(plan.at or plan.retention.until, purging.REASON, plan.retention)
    try:
        await removal.purge(keeper.store, layout.at(spec["path"]), spec["manifest"]["digest"], why)
        # The archive had all of both: else its content would outlive it beside it.
        await removal.clear(keeper.store, Kept(uid).prefix)
        await removal.clear(keeper.store, head.folder(uid).removesuffix("/"))
    except StoreError as error:
        if error.kind in _AWAY:
            keeper.failed(error)
        return str(error)
    except (DisputedError, ArchiveError) as error:
        return str(error)
    return ""
