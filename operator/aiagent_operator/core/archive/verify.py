"""Whether an archive is whole: every file held against the manifest, as its bytes come in, and the certificate.

Files may come in any order and in pieces of any size; of each no more is kept than its digest so far. So the memory
needed is that of the manifest, whatever the archive's size. Nothing is read here: the caller hands over the bytes,
from a store or from a folder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from aiagent_operator.api.archive import Manifest
from aiagent_operator.api.tombstone import Destroyed, Tombstone
from aiagent_operator.core.archive import certificate, envelope, layout, manifest, tombstone, wire
from aiagent_operator.core.archive.errors import ArchiveError, PathError
from aiagent_operator.core.archive.findings import MOST_UNLISTED, Fault, Finding, Report
from aiagent_operator.core.archive.names import check_path

_KEPT: Final = {
    layout.CERTIFICATE: envelope.LIMIT,
    layout.TOMBSTONE: tombstone.LIMIT,
    layout.ERASURE: tombstone.LIMIT,
}


@dataclass(frozen=True, slots=True)
class _Expected:
    digest: str
    size: int


class FileCheck:
    """The check of one file: `update` with its bytes, in order; then `close`. What is not closed is incomplete."""

    __slots__ = ("_hash", "_keep", "_kept", "_size", "_verifier", "path")

    def __init__(self, path: str, verifier: Verifier, keep: int) -> None:
        self.path = path
        self._verifier = verifier
        self._keep = keep
        self._hash = hashlib.sha256()
        self._size = 0
        self._kept = bytearray()

    def update(self, chunk: bytes | memoryview) -> None:
        """The next bytes of the file."""
        self._hash.update(chunk)
        self._size += len(chunk)
        if len(self._kept) <= self._keep:
            self._kept += chunk

    def close(self) -> None:
        """All bytes have been given."""
        self._verifier._closed(self, self._hash.hexdigest(), self._size, bytes(self._kept))


class Verifier:
    """Verification of one archive. `certified` asks for a certificate that one of the keys has signed."""

    def __init__(
        self, manifest_data: bytes, *, keys: Sequence[envelope.PublicKey] = (), certified: bool = True
    ) -> None:
        """Raises ArchiveError for a manifest that cannot be read: then nothing can be said of any file."""
        self._manifest: Manifest = manifest.read(manifest_data)
        self._digest = wire.digest(manifest_data)
        self._keys = tuple(keys)
        self._certified = certified
        sums = manifest.sums(self._manifest)
        self._expected = {
            item.path: _Expected(item.digest.removeprefix(wire.PREFIX), item.size) for item in self._manifest.items
        }
        self._expected[layout.SUMS] = _Expected(hashlib.sha256(sums).hexdigest(), len(sums))
        self._expected[layout.MANIFEST] = _Expected(self._digest.removeprefix(wire.PREFIX), len(manifest_data))
        self._items = {layout.item(path) for path in self._expected}
        self._left = frozenset(self._manifest.left_over or ())
        self._missed = {layout.item(gap.path) for gap in self._manifest.not_captured}
        self._open: dict[str, FileCheck] = {}
        self._seen: set[str] = set()
        self._whole: set[str] = set()
        self._kept: dict[str, bytes] = {}
        # A set, since one file may come a million times.
        self._findings: set[Finding] = set()
        self._unlisted = 0

    @property
    def about(self) -> Manifest:
        """The manifest that the files are held against."""
        return self._manifest

    def most(self, path: str) -> int | None:
        """Bytes that the file may have; None where nobody expects it, so that there is nothing to be read of it."""
        if path in self._expected:
            return self._expected[path].size
        return _KEPT.get(path)

    def begin(self, path: str) -> FileCheck:
        """The check of a file that is there, by its path within the archive: any text."""
        check = FileCheck(path, self, _KEPT.get(path, -1))
        if path in self._seen or path in self._open:
            self._found(path, Fault.GIVEN_TWICE, "it comes twice: remove one of the two")
        elif path in self._expected or path in _KEPT:
            self._open[path] = check
        else:
            self._unknown(path)
        return check

    def refuse(self, path: str, fault: Fault, message: str) -> None:
        """A file that is there, by any text, and of which the caller reads nothing, or no more: why, and what to do."""
        self._open.pop(path, None)
        if path in self._expected or path in _KEPT:
            self._seen.add(path)
        elif not self._counted():
            return
        self._found(path, fault, message)

    def report(self) -> Report:
        """What there is to say, once all files that are there have been given."""
        findings = list(self._findings)
        unfinished = "reading it has ended before its end: verify again"
        findings += [Finding(path, Fault.INCOMPLETE, unfinished) for path in self._open]
        purged = self._tombstone(layout.TOMBSTONE, Destroyed.PURGED, findings)
        erased = self._tombstone(layout.ERASURE, Destroyed.ERASED, findings)
        findings += [Finding(layout.MANIFEST, Fault.NOT_TRUE, text) for text in manifest.journal_faults(self._manifest)]
        signed_by = self._certificate(findings)
        if purged is None:
            # The manifest itself has been read already, so whoever gives it need not give it twice.
            missing = self._expected.keys() - self._seen - self._open.keys() - {layout.MANIFEST}
            text = "it is not there: restore it from a copy whose digest agrees"
            findings += [Finding(path, Fault.MISSING, text) for path in missing]
        whole = tuple(item.path for item in self._manifest.items if item.path in self._whole)
        return Report(
            archive=self._manifest.archive,
            manifest=self._digest,
            whole=whole,
            findings=tuple(sorted(findings)),
            unlisted=self._unlisted,
            signed_by=signed_by,
            purged=purged,
            erased=erased,
        )

    def _closed(self, check: FileCheck, digest: str, size: int, kept: bytes) -> None:
        path = check.path
        if self._open.get(path) is not check:
            # Of a file that nobody expects, or that comes twice, it is said already.
            return
        del self._open[path]
        self._seen.add(path)
        if path in _KEPT:
            self._kept[path] = kept
            return
        expected = self._expected[path]
        if size != expected.size:
            text = f"it has {size} bytes and the digest {digest}, and should have {expected.size} and {expected.digest}"
            self._found(path, Fault.OTHER_SIZE, f"{text}: restore it from a copy whose digest agrees")
        elif digest != expected.digest:
            text = f"its digest is {digest}, and should be {expected.digest}"
            self._found(path, Fault.ALTERED, f"{text}: restore it from a copy whose digest agrees")
        else:
            self._whole.add(path)

    def _unknown(self, path: str) -> None:
        """A file that nothing is said of; it is named, but neither opened nor kept."""
        if not self._counted():
            return
        try:
            check_path(path)
        except PathError as error:
            self._found(path, Fault.UNSAFE, str(error))
            return
        item = layout.item(path)
        if path in self._left or item in self._items or (item in self._missed and layout.is_attempt(path)):
            self._found(path, Fault.LEFT_OVER, "an attempt to archive it has left it: remove it, or leave it")
        else:
            self._found(path, Fault.UNLISTED, "the manifest does not know it: it was put there later, so remove it")

    def _counted(self) -> bool:
        """Counts a file that no manifest knows; whether it is among those that are named."""
        self._unlisted += 1
        return self._unlisted <= MOST_UNLISTED

    def _found(self, path: str, fault: Fault, message: str) -> None:
        self._findings.add(Finding(path, fault, message))

    def _tombstone(self, path: str, act: Destroyed, findings: list[Finding]) -> Tombstone | None:
        data = self._kept.get(path)
        if data is None:
            return None
        try:
            return tombstone.read(data, act, self._manifest, self._digest, path)
        except ArchiveError as error:
            findings.append(Finding(path, Fault.NOT_TRUE, str(error)))
            return None

    def _certificate(self, findings: list[Finding]) -> tuple[str, ...]:
        """Judges the certificate, and says who has signed it. Without a key its content is judged all the same."""
        path = layout.CERTIFICATE
        data = self._kept.get(path)
        if data is None:
            if self._certified and path not in self._open:
                findings.append(
                    Finding(
                        path,
                        Fault.MISSING,
                        "it is not there: restore it from a copy. None was made where the operator had no key",
                    )
                )
            return ()
        try:
            opened = envelope.opened(data, self._keys, path)
            found = certificate.read(opened.payload)
        except ArchiveError as error:
            findings.append(Finding(path, Fault.NOT_TRUE, str(error)))
            return ()
        findings += [
            Finding(path, Fault.NOT_TRUE, text) for text in certificate.faults(found, self._manifest, self._digest)
        ]
        other = certificate.named(found)
        if other != self._digest and (opened.signed_by or not self._keys):
            text = f"its digest is {self._digest}, and {path} is about {other}: restore whichever was altered"
            findings.append(Finding(layout.MANIFEST, Fault.ALTERED, text))
        if self._keys and not opened.signed_by:
            text = (
                f"none of the {len(self._keys)} keys given has signed it: it is forged, altered, or signed with "
                "another key; give the public key that belongs to it"
            )
            findings.append(Finding(path, Fault.NOT_SIGNED, text))
        return opened.signed_by


def verify(
    manifest_data: bytes,
    files: Iterable[tuple[str, Iterable[bytes]]],
    *,
    keys: Sequence[envelope.PublicKey] = (),
    certified: bool = True,
) -> Report:
    """The verification of files whose bytes are at hand, each with its path. Raises ArchiveError as `Verifier` does."""
    verifier = Verifier(manifest_data, keys=keys, certified=certified)
    for path, chunks in files:
        check = verifier.begin(path)
        for chunk in chunks:
            check.update(chunk)
        check.close()
    return verifier.report()
