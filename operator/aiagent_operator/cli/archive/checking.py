"""One archive, held against its manifest: each file is read once, in pieces, and the journal followed on the way."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from aiagent_operator.api.archive import Manifest
from aiagent_operator.cli.archive.source import (
    CHUNK,
    BrokenError,
    Content,
    Entry,
    GrownError,
    Passing,
    Source,
    UnsafeError,
    read,
)
from aiagent_operator.core.archive import layout, manifest, told
from aiagent_operator.core.archive.envelope import PublicKey
from aiagent_operator.core.archive.errors import ArchiveError
from aiagent_operator.core.archive.findings import Fault, Finding, Report
from aiagent_operator.core.archive.told import Told
from aiagent_operator.core.archive.verify import Verifier
from aiagent_operator.core.journal import lines

UNREADABLE = "it cannot be read: {}: give yourself the right to, or get an undamaged copy, and verify again"


class Copy(Protocol):
    """Takes the files of an archive as they are read."""

    def begin(self, path: str, content: Content) -> None:
        """A file, of which all bytes come next."""

    def write(self, part: memoryview) -> None:
        """Its next bytes."""

    def end(self) -> None:
        """All of them have come."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one archive. Without a `report` nothing is known of its files: the manifest cannot be read.

    `journal` is None where there is no journal that could be followed.
    """

    place: str
    findings: tuple[Finding, ...]
    report: Report | None = None
    about: Manifest | None = None
    journal: Told | None = None

    @property
    def stands(self) -> bool:
        """Whether all that is there is what it was: a purged archive stands too, and is not whole."""
        return self.report is not None and all(each.fault is Fault.LEFT_OVER for each in self.findings)

    @property
    def whole(self) -> bool:
        """Whether all of it holds."""
        return self.stands and self.report is not None and self.report.purged is None


def check(
    source: Source, keys: Sequence[PublicKey] = (), copy: Copy | None = None, *, certified: bool = True
) -> Outcome:
    """The outcome for one archive. The files of it that are read are given to `copy` too, in the source's order.

    `certified`: one without a certificate is not whole.
    """
    try:
        found = source.find({layout.MANIFEST}).get(layout.MANIFEST)
        if found is None:
            says = "it is not there, so this is no archive, or the rest of one: restore it from a copy"
            return _unread(source, Fault.MISSING, says)
        verifier = Verifier(read(found, manifest.LIMIT), keys=keys, certified=certified)
    except UnsafeError as error:
        return _unread(source, Fault.UNSAFE, str(error))
    except BrokenError as error:
        return _unread(source, Fault.INCOMPLETE, str(error))
    except OSError as error:
        return _unread(source, Fault.INCOMPLETE, UNREADABLE.format(error.strerror))
    except ArchiveError as error:
        return _unread(source, Fault.NOT_TRUE, str(error))
    return _Pass(source, verifier, copy).outcome()


def _unread(source: Source, fault: Fault, message: str) -> Outcome:
    return Outcome(source.place, (Finding(layout.MANIFEST, fault, message),))


class _Pass:
    """One pass over the files of one archive."""

    def __init__(self, source: Source, verifier: Verifier, copy: Copy | None) -> None:
        self._source, self._verifier, self._copy = source, verifier, copy
        item = told.item(verifier.about)
        self._journal = item.path if item and item.encrypted is None else None
        self._told: Told | None = None

    def outcome(self) -> Outcome:
        """Reads everything."""
        broken = ""
        try:
            for entry in self._source.entries(lambda path: self._verifier.most(path) is not None):
                self._file(entry)
        except BrokenError as error:
            broken = str(error)
        except OSError as error:
            broken = f"it cannot be listed: {error.strerror}"
        report = self._verifier.report()
        findings = list(report.findings)
        if broken:
            # What was not come to may be there.
            findings = [each for each in findings if each.fault is not Fault.MISSING]
            findings.append(Finding(self._source.place, Fault.INCOMPLETE, f"{broken}; nothing after that was read"))
        if self._told and self._told.fault and self._journal:
            findings.append(Finding(self._journal, Fault.NOT_TRUE, self._told.fault))
        found = tuple(sorted(findings))
        return Outcome(self._source.place, found, report, self._verifier.about, self._told)

    def _file(self, entry: Entry) -> None:
        verifier, path = self._verifier, entry.path
        most = verifier.most(path)
        if entry.refused:
            verifier.refuse(path, entry.fault, entry.refused)
        elif most is None:
            verifier.begin(path)
        else:
            try:
                self._known(path, entry.content(), most)
            except UnsafeError as error:
                verifier.refuse(path, Fault.UNSAFE, str(error))
            except GrownError:
                verifier.refuse(path, Fault.INCOMPLETE, "it grew while it was read: find out who writes to it")
            except OSError as error:
                verifier.refuse(path, Fault.INCOMPLETE, UNREADABLE.format(error.strerror))

    def _known(self, path: str, content: Content, most: int) -> None:
        with content.raw:
            if content.size > most:
                # However long it is, there is nothing to be learned from its bytes.
                says = f"it has {content.size} bytes, and may have {most}: restore it from a copy whose digest agrees"
                self._verifier.refuse(path, Fault.OTHER_SIZE, says)
                return
            check = self._verifier.begin(path)
            if self._copy is None:
                self._read(path, io.BufferedReader(Passing(content, check.update), CHUNK))
            else:
                self._copy.begin(path, content)
                self._read(path, io.BufferedReader(Passing(content, check.update, self._copy.write), CHUNK))
                self._copy.end()
            check.close()

    def _read(self, path: str, file: io.BufferedReader) -> None:
        if path == self._journal:
            self._told = told.check(lines.entries(path, file.readline), self._verifier.about)
        while file.read(CHUNK):
            pass
