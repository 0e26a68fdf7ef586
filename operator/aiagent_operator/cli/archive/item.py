"""One item of an archive on standard output, once it is known that it is what was archived."""

from __future__ import annotations

import hashlib
import io
import shlex
import sys
from typing import BinaryIO

from aiagent_operator.api.archive import Item
from aiagent_operator.cli import output
from aiagent_operator.cli.archive.checking import UNREADABLE
from aiagent_operator.cli.archive.shown import Shown
from aiagent_operator.cli.archive.source import CHUNK, BrokenError, Entry, Source, UnsafeError
from aiagent_operator.cli.archive.tarball import Tarball
from aiagent_operator.cli.errors import CliError, ExitCode
from aiagent_operator.core.archive import layout, wire


def say(source: Source, shown: Shown, path: str) -> None:
    """Prints the item. Raises CliError for one that is not there, is encrypted, or is not what was archived."""
    item = _named(shown, path)
    where = f"{source.place}: {item.path}"
    if shown.purged:
        raise CliError(f"{where} is not there any more: the archive was purged, see `archive show`", ExitCode.NEGATIVE)
    if item.encrypted:
        raise CliError(f"{where} {_encrypted(source, shown, item)}", ExitCode.NEGATIVE)
    try:
        entry = source.find({item.path}).get(item.path)
        if entry is None:
            raise CliError(f"{where} is not there: restore it from a copy whose digest agrees", ExitCode.NEGATIVE)
        _print(entry, item, where)
    except (BrokenError, UnsafeError) as error:
        raise CliError(f"{where}: {error}", ExitCode.NEGATIVE) from error
    except BrokenPipeError:
        raise  # whoever reads standard output has had enough, which is no fault of the archive's
    except OSError as error:
        raise CliError(f"{where}: {UNREADABLE.format(error.strerror)}", ExitCode.NEGATIVE) from error


def _named(shown: Shown, path: str) -> Item:
    items = shown.about.items
    found = next((item for item in items if path in {item.path, layout.item(item.path)}), None)
    if found is not None:
        return found
    gap = next((gap for gap in shown.about.not_captured if gap.path == path), None)
    why = f"it was not captured: {gap.reason}: {gap.message}" if gap else "see `archive show` for those that it has"
    raise CliError(f"--item {path} is no item of {shown.about.archive}: {why}", ExitCode.USAGE)


def _encrypted(source: Source, shown: Shown, item: Item) -> str:
    if shown.erased:
        return "is encrypted, and its key was destroyed: nobody can read it any more, see `archive show`"
    decrypt = "age --decrypt --identity archive.key"
    if isinstance(source, Tarball):
        member = shlex.quote(source.member(item.path))
        how = f"tar --extract --to-stdout --file {shlex.quote(source.place)} {member} | {decrypt}"
    else:
        how = f"{decrypt} {shlex.quote(f'{source.place}/{item.path}')}"
    key = item.encrypted.key_id if item.encrypted else ""
    return f"is encrypted for {key}. With that key in archive.key: {how}"


def _print(entry: Entry, item: Item, where: str) -> None:
    content = entry.content()
    with io.BufferedReader(content.raw, CHUNK) as file:
        if content.size != item.size:
            says = f"has {content.size} bytes, and should have {item.size}: restore it from a copy whose digest agrees"
            raise CliError(f"{where} {says}", ExitCode.NEGATIVE)
        digest = hashlib.sha256()
        while chunk := file.read(CHUNK):
            digest.update(chunk)
        if wire.PREFIX + digest.hexdigest() != item.digest:
            says = f"has the digest sha256:{digest.hexdigest()}, and should have {item.digest}: restore it from a copy"
            raise CliError(f"{where} {says}", ExitCode.NEGATIVE)
        file.seek(0)
        _to_stdout(file)


def _to_stdout(file: BinaryIO) -> None:
    """As it is where a program reads on; on a terminal without what would steer that."""
    if sys.stdout.isatty():
        for line in file:
            output.verbatim(line.decode(errors="replace").rstrip("\n"))
        return
    sys.stdout.flush()
    while chunk := file.read(CHUNK):
        sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()
