"""The manifest of an archive: made from what was written, and read from bytes that anybody may have written."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from pydantic import ValidationError

from aiagent_operator.api.archive import (
    MOST_LEFT_OVER,
    VERSION,
    ArchivedAgent,
    Encryption,
    Gap,
    GapReason,
    Item,
    JournalHead,
    LeaveReason,
    Lineage,
    Manifest,
    Mode,
)
from aiagent_operator.core.archive import layout, wire
from aiagent_operator.core.archive.errors import ArchiveError, PathError
from aiagent_operator.core.archive.names import check_path
from aiagent_operator.core.archive.retention import Retention, recorded
from aiagent_operator.core.strict_json import quoted
from aiagent_operator.core.untrusted import line

LIMIT: Final = 32 * 1024**2
"""Bytes of a manifest that are read: as many as the most items with long paths have."""

LONGEST_MESSAGE: Final = 1024
"""Characters."""

_HEX: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Stored:
    """A file as it was put into the store. `digest` is 64 hex digits, `size` in bytes, both of what lies there.

    What `layout.is_payload` is personal also where `personal` is not set.
    """

    path: str
    digest: str
    size: int
    personal: bool = False
    encrypted: Encryption | None = None


@dataclass(frozen=True, slots=True)
class Leaving:
    """Who left, why and how, and what they leave behind as far as it is known when the archive is sealed."""

    agent: ArchivedAgent
    reason: LeaveReason
    mode: Mode
    lineage: Lineage = field(default_factory=Lineage)
    journal: JournalHead | None = None


def seal(  # noqa: PLR0917 - what a manifest says, each thing of its own type
    archive: str,
    leaving: Leaving,
    files: Iterable[Stored],
    gaps: Iterable[Gap],
    retention: Retention,
    left: Iterable[str] = (),
) -> bytes:
    """The bytes of `manifest.json`, the same for the same arguments in any order. Created is when the retention begins.

    `left`: paths of files that are there, and no items; of more than MOST_LEFT_OVER the first ones are named.

    Raises ArchiveError for what no reader of it would take, and where nothing is said of the journal.
    """
    try:
        made = Manifest(
            archive=archive,
            created=retention.since,
            agent=leaving.agent,
            lineage=leaving.lineage,
            reason=leaving.reason,
            mode=leaving.mode,
            journal=leaving.journal,
            retention=retention.record(),
            items=tuple(sorted(map(item, files), key=lambda each: each.path)),
            not_captured=tuple(sorted(gaps, key=lambda gap: gap.path)),
            left_over=tuple(sorted(left)[:MOST_LEFT_OVER]) or None,
        )
    except ValidationError as error:
        raise ArchiveError(f"the archive {archive} cannot be sealed: {wire.faults(error)}: correct it") from error
    if fault := next(itertools.chain(_faults(made), journal_faults(made)), ""):
        raise ArchiveError(f"the archive {archive} cannot be sealed: {fault}")
    data = wire.written(made)
    if len(data) > LIMIT:
        raise ArchiveError(
            f"the manifest of the archive {archive} would have {len(data)} bytes, and may have {LIMIT}: put small "
            "files together"
        )
    # What this very software would not read back must not become the only copy.
    read(data, f"the manifest of the archive {archive}")
    return data


def gap(path: str, reason: GapReason, message: str) -> Gap:
    """What could not be captured, with what the system said about it, which may be anything: it is put on one line."""
    return Gap(path=path, reason=reason, message=line(message, LONGEST_MESSAGE) or "no more is known")


def read(data: bytes, what: str = layout.MANIFEST) -> Manifest:
    """The manifest that the bytes are; `what` names them in errors. Raises ArchiveError."""
    found = wire.read(data, Manifest, what, limit=LIMIT, version=VERSION)
    fault = next(_faults(found), None)
    if fault is not None:
        raise ArchiveError(f"{what} is not taken: {fault}; get an undamaged copy")
    return found


def sums(manifest: Manifest) -> bytes:
    """The bytes of `sha256sums`, in the order of the manifest."""
    return lines((item.digest, item.path) for item in manifest.items)


def digest_of(files: Iterable[Stored]) -> str:
    """One digest of these files: that of the lines which `sha256sums` has of them, once they are in a manifest."""
    return wire.digest(lines((file.digest, file.path) for file in sorted(files, key=lambda each: each.path)))


def lines(files: Iterable[tuple[str, str]]) -> bytes:
    """What `sha256sum -c` takes of these digests and paths (GNU coreutils): two spaces, a line for each.

    No path needs GNU's escapes, since none has a backslash or a line feed.
    """
    return "".join(f"{digest.removeprefix(wire.PREFIX)}  {path}\n" for digest, path in files).encode()


def journal_faults(manifest: Manifest) -> Iterator[str]:
    """What is wrong with what the manifest says of the journal: it is there, or said to be missing, and why."""
    has = any(layout.item(item.path) == layout.JOURNAL for item in manifest.items)
    said = any(gap.path == layout.JOURNAL for gap in manifest.not_captured)
    if not has and not said:
        yield f"{layout.JOURNAL} is neither in items nor in notCaptured: put it in, or say why it is missing"
    if has and manifest.journal is None:
        yield f"journal is missing, the head of what is in {layout.JOURNAL}: write its sequence and digest"


def personal_keys(manifest: Manifest) -> tuple[str, ...]:
    """The keys whose destruction erases all personal payload of the archive."""
    return tuple(sorted({item.encrypted.key_id for item in manifest.items if item.personal and item.encrypted}))


def item(file: Stored) -> Item:
    """The file as a manifest lists it. Raises ArchiveError for a digest that is none."""
    if not _HEX.fullmatch(file.digest):
        raise ArchiveError(f"the digest of {quoted(file.path)} is {quoted(file.digest)}: write 64 hex digits")
    return Item(
        path=file.path,
        digest=wire.PREFIX + file.digest,
        size=file.size,
        media_type=layout.media_type(file.path),
        personal=file.personal or layout.is_payload(file.path),
        encrypted=file.encrypted,
    )


def _faults(manifest: Manifest) -> Iterator[str]:
    """What makes a manifest one that says two things, or leads out of its folder."""
    try:
        recorded(manifest.retention, manifest.created)
    except ArchiveError as error:
        yield str(error)
    items = [item.path for item in manifest.items]
    gaps = [gap.path for gap in manifest.not_captured]
    left = list(manifest.left_over or ())
    for where, paths in (("items", items), ("notCaptured", gaps), ("leftOver", left)):
        yield from _unfit(paths, where)
    known, held = set(items), {layout.item(path) for path in items}
    for path in gaps:
        if layout.item(path) in held:
            yield f"{quoted(path)} is in items and in notCaptured: it can be in one"
    for path in left:
        if path in known:
            yield f"{quoted(path)} is in items and in leftOver: it can be in one"
    places: dict[str, str] = {}
    for path in items:
        if (other := places.setdefault(layout.plain(path), path)) != path:
            yield f"{quoted(path)} and {quoted(other)} are two attempts at one item: name the one that was read back"
        if folder := next((above for above in _folders(path) if above in known), None):
            yield f"{quoted(folder)} is a file, and the folder of {quoted(path)}: no directory can hold both"
    for index, item in enumerate(manifest.items):
        if item.personal and item.encrypted is None:
            yield (
                f"items.{index} ({quoted(item.path)}) is personal and not encrypted: encrypt it with the archive's "
                "key, else it can never be erased"
            )


def _unfit(paths: list[str], field: str) -> Iterator[str]:
    before = ""
    for index, path in enumerate(paths):
        where = f"{field}.{index}.path"
        try:
            check_path(path, where)
        except PathError as error:
            yield str(error)
        if path in layout.RESERVED:
            yield f"{where} {quoted(path)} is about the archive, and nothing of it: leave it out"
        if path <= before:
            yield f"{where} {quoted(path)} comes after {quoted(before)}: write each once, in the order of their bytes"
        before = path


def _folders(path: str) -> Iterator[str]:
    end = path.find("/")
    while end >= 0:
        yield path[:end]
        end = path.find("/", end + 1)
