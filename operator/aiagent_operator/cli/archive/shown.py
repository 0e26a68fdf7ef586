"""What an archive says of itself: its manifest, its certificate, and what was destroyed. Nothing of it is verified."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from aiagent_operator.api.archive import Manifest
from aiagent_operator.api.decommission import Statement
from aiagent_operator.api.tombstone import Destroyed, Tombstone
from aiagent_operator.cli.archive.checking import UNREADABLE
from aiagent_operator.cli.archive.source import BrokenError, Source, UnsafeError, read
from aiagent_operator.cli.errors import CliError, ExitCode
from aiagent_operator.core.archive import certificate, envelope, layout, manifest, tombstone, wire
from aiagent_operator.core.archive.errors import ArchiveError

_ABOUT: Final = (layout.MANIFEST, layout.CERTIFICATE, layout.ERASURE, layout.TOMBSTONE)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Shown:
    """What is read of an archive to show it; `problems` say what of it is there and cannot be read, or is not true."""

    place: str
    about: Manifest
    digest: str
    certified: Statement | None
    erased: Tombstone | None
    purged: Tombstone | None
    problems: tuple[str, ...]

    @classmethod
    def of(cls, source: Source) -> Shown:
        """Reads it. Raises CliError where there is no manifest, or one that cannot be read."""
        raw = _small(source)
        if layout.MANIFEST not in raw:
            says = f"{source.place} has no {layout.MANIFEST}: name the folder, or a tar file, that has it"
            raise CliError(says, ExitCode.NEGATIVE)
        data, problems = raw[layout.MANIFEST], list[str]()
        try:
            about = manifest.read(data)
        except ArchiveError as error:
            raise CliError(f"{source.place}: {error}", ExitCode.NEGATIVE) from error
        digest = wire.digest(data)

        def tried(path: str, reading: Callable[[bytes], T]) -> T | None:
            try:
                return reading(raw[path]) if path in raw else None
            except ArchiveError as error:
                problems.append(f"{path}: {error}")
                return None

        certified = tried(layout.CERTIFICATE, _statement)
        erased = tried(layout.ERASURE, lambda found: _stone(found, Destroyed.ERASED, about, digest))
        purged = tried(layout.TOMBSTONE, lambda found: _stone(found, Destroyed.PURGED, about, digest))
        if certified:
            problems += [f"{layout.CERTIFICATE}: {text}" for text in certificate.faults(certified, about, digest)]
        return cls(source.place, about, digest, certified, erased, purged, tuple(problems))


def _small(source: Source) -> dict[str, bytes]:
    try:
        return {path: read(entry, envelope.LIMIT) for path, entry in source.find(_ABOUT).items()}
    except (BrokenError, UnsafeError) as error:
        raise CliError(f"{source.place}: {error}", ExitCode.NEGATIVE) from error
    except OSError as error:
        raise CliError(f"{source.place}: {UNREADABLE.format(error.strerror)}", ExitCode.NEGATIVE) from error


def _statement(data: bytes) -> Statement:
    return certificate.read(envelope.opened(data, (), layout.CERTIFICATE).payload)


def _stone(data: bytes, act: Destroyed, about: Manifest, digest: str) -> Tombstone:
    return tombstone.read(data, act, about, digest, layout.ERASURE if act is Destroyed.ERASED else layout.TOMBSTONE)
