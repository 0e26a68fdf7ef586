"""Which archives are at a path: the one in a folder or a tar file, or all below a folder, such as that of a store."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiagent_operator.cli.archive.folder import FOLDER, Folder
from aiagent_operator.cli.archive.release import Release
from aiagent_operator.cli.archive.source import BrokenError, Source
from aiagent_operator.cli.archive.tarball import Tarball
from aiagent_operator.cli.errors import CliError, ExitCode
from aiagent_operator.core.archive import layout
from aiagent_operator.core.archive.findings import Fault, Finding

_DEEPEST: Final = 32
_AFTER_SEALING: Final = frozenset({layout.CERTIFICATE, layout.ERASURE, layout.TOMBSTONE})


@dataclass(frozen=True, slots=True)
class NoArchive:
    """A place where an archive may be, or was, and cannot be read."""

    place: str
    finding: Finding


@dataclass(frozen=True, slots=True)
class Rest:
    """A folder with what an attempt to seal an archive has left: files and their sums, and no manifest."""

    place: str


Found = Source | NoArchive | Rest | Release


def archives(path: Path) -> Iterator[Found]:
    """What is at the path, in the order of the folders' names; sources are the caller's to close.

    Raises CliError for a path that is neither a folder nor a file, or cannot be read.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise CliError(f"PATH {path} cannot be read: {error.strerror}", ExitCode.USAGE) from error
    if stat.S_ISDIR(mode):
        with Folder.opened(path) as top:
            yield from _below(top.fd, str(path), 0)
    elif stat.S_ISREG(mode):
        try:
            source = Tarball.opened(str(path))
        except BrokenError as error:
            yield NoArchive(str(path), Finding(path.name, Fault.INCOMPLETE, str(error)))
        else:
            yield source
    else:
        raise CliError(f"{path} is neither a folder nor a tar file: name the folder with manifest.json", ExitCode.USAGE)


def _below(fd: int, place: str, depth: int) -> Iterator[Found]:
    folders, links, about = [], [], set()
    with os.scandir(fd) as found:
        for entry in found:
            if entry.name in layout.RESERVED:
                about.add(entry.name)
            elif entry.is_dir(follow_symlinks=False):
                folders.append(entry.name)
            elif entry.is_symlink() and entry.is_dir():
                links.append(entry.name)
    if about & layout.RELEASE:
        # What else is in it was never on record, and is no archive then.
        with Folder(os.dup(fd), place) as folder:
            release = Release.of(folder)
        yield NoArchive(place, release) if isinstance(release, Finding) else release
        return
    if layout.MANIFEST in about:
        yield Folder(os.dup(fd), place)
        return
    if gone := about & _AFTER_SEALING:
        says = f"it is not there, and {min(gone)} is: restore it from a copy, or find out who removed it"
        yield NoArchive(place, Finding(layout.MANIFEST, Fault.MISSING, says))
        return
    if about:
        yield Rest(place)
        return
    for name in sorted((*folders, *links)):
        where = os.path.join(place, name)  # noqa: PTH118 (a name may be no text)
        if name in links:
            says = "it is a symbolic link to a folder, and was not followed: name that folder, or remove the link"
            yield NoArchive(where, Finding(name, Fault.UNSAFE, says))
        elif depth == _DEEPEST:
            says = f"it is below {_DEEPEST} other folders: name one that is nearer to the archives"
            yield NoArchive(where, Finding(name, Fault.UNSAFE, says))
        else:
            yield from _inside(fd, name, where, depth)


def _inside(above: int, name: str, where: str, depth: int) -> Iterator[Found]:
    try:
        fd = os.open(name, FOLDER, dir_fd=above)
    except OSError as error:
        says = f"the folder cannot be read: {error.strerror}: give yourself the right to, and verify again"
        yield NoArchive(where, Finding(name, Fault.INCOMPLETE, says))
        return
    try:
        yield from _below(fd, where, depth + 1)
    finally:
        os.close(fd)
