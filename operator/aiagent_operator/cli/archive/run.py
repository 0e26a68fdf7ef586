"""What the commands do, once they are known to be well-formed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import typer

from aiagent_operator.cli import output
from aiagent_operator.cli.archive import content, find, verdict, writing
from aiagent_operator.cli.archive import item as items
from aiagent_operator.cli.archive.checking import Outcome, check
from aiagent_operator.cli.archive.find import NoArchive, Rest
from aiagent_operator.cli.archive.folder import Folder
from aiagent_operator.cli.archive.release import Release
from aiagent_operator.cli.archive.shown import Shown
from aiagent_operator.cli.errors import CliError, ExitCode
from aiagent_operator.cli.output import Format
from aiagent_operator.core import texts
from aiagent_operator.core.archive import envelope
from aiagent_operator.core.archive.errors import KeyFileError
from aiagent_operator.core.archive.findings import Fault

_LONGEST_KEY = 65_536


def verify(path: Path, key_files: Sequence[Path], form: Format, *, certified: bool) -> None:
    """`archive verify`. `certified`: an archive without a certificate is not whole."""
    _refuse_name(form, "verify")
    keys = {key.key_id: (str(file), key) for file in key_files for key in (_key(file),)}
    names = {key_id: name for key_id, (name, _) in keys.items()}
    outcomes: list[dict[str, Any]] = []
    released: list[dict[str, Any]] = []
    count = whole = 0
    for outcome in _outcomes(path, [key for _, key in keys.values()], certified=certified):
        if isinstance(outcome, Release):
            output.note(f"{outcome.place}: {outcome.told(keys)}")
            released.append(outcome.to_wire())
            continue
        count, whole = count + 1, whole + outcome.whole
        if form.structured:
            outcomes.append(verdict.to_wire(outcome))
        else:
            verdict.say(outcome, names, wide=form is Format.WIDE)
    if not count and not released:
        raise _none(path)
    if form.structured:
        more = {"released": released} if released else {}
        output.dump({"whole": whole == count, "archives": outcomes, **more}, form)
    elif count > 1:
        output.note(f"{whole} of {output.counted(count, 'archive')} are whole")
    if not keys:
        how = "give --key with its public key (openssl pkey -in KEY -pubout), from where it cannot have been exchanged"
        output.note(f"Who signed was not checked: {how}")
    if whole < count:
        raise typer.Exit(ExitCode.NEGATIVE)


def show(path: Path, item: str, form: Format) -> None:
    """`archive show`."""
    _refuse_name(form, "show")
    if item:
        _show_item(path, item)
        return
    first: Shown | None = None
    documents, rows, released, bad = [], [], 0, 0
    for found in find.archives(path):
        if isinstance(found, NoArchive | Rest):
            bad += _noted(found)
            continue
        if isinstance(found, Release):
            output.note(f"{found.place}: {found.told({})}")
            released += 1
            continue
        try:
            with found:
                shown = Shown.of(found)
        except CliError as error:
            # The others are shown all the same.
            output.note(f"error: {error}")
            bad += 1
            continue
        first = first or shown
        rows.append(content.row(shown))
        if form.structured:
            documents.append(content.to_wire(shown))
    if first is None and not bad and not released:
        raise _none(path)
    if form.structured:
        output.dump({"archives": documents}, form)
    elif len(rows) > 1:
        output.table(content.OVERVIEW, rows)
    elif first is not None:
        content.say(first)
        output.note(f"Nothing of this was verified: `kubectl aiagent archive verify {path}` does that")
    if bad:
        raise typer.Exit(ExitCode.NEGATIVE)


def export(path: Path, target: str, *, certified: bool) -> None:
    """`archive export`."""
    if not path.is_dir():
        raise CliError(f"PATH {path} is no folder: name the one with manifest.json", ExitCode.USAGE)
    if target == "-":
        writer = writing.to_stdout()
    else:
        _refuse_inside(path, Path(target))
        writer = writing.to_file(Path(target))
    with Folder.opened(path) as source, writer as tar:
        outcome = check(source, copy=tar, certified=certified)
        if not outcome.stands:
            raise CliError(_not_packed(outcome), ExitCode.NEGATIVE)
        tar.finish()
    left = sum(finding.fault is Fault.LEFT_OVER for finding in outcome.findings)
    if left:
        output.note(f"Not packed: {output.counted(left, 'file')} that attempts have left over, of no item")


def _show_item(path: Path, item: str) -> None:
    sources = find.archives(path)
    found = next(sources, None)
    if found is None or isinstance(found, Rest | Release):
        raise _none(path)
    if isinstance(found, NoArchive):
        raise CliError(f"{found.place}: {found.finding}", ExitCode.NEGATIVE)
    with found:
        if next(sources, None) is not None:
            raise CliError(f"PATH {path} has several archives, and --item is of one: name its folder", ExitCode.USAGE)
        items.say(found, Shown.of(found), item)


def _outcomes(path: Path, keys: Sequence[envelope.PublicKey], *, certified: bool) -> Iterator[Outcome | Release]:
    for found in find.archives(path):
        if isinstance(found, NoArchive):
            yield Outcome(found.place, (found.finding,))
        elif isinstance(found, Rest):
            _noted(found)
        elif isinstance(found, Release):
            wrong = found.finding(keys, certified=certified)
            yield Outcome(found.place, (wrong,)) if wrong else found
        else:
            with found:
                yield check(found, keys, certified=certified)


def _noted(found: NoArchive | Rest) -> bool:
    """Says it on standard error; whether it is something bad."""
    if isinstance(found, NoArchive):
        output.note(f"{found.place}: {found.finding}")
        return True
    output.note(f"{found.place}: passed over: an attempt to seal an archive has left it, there is no manifest")
    return False


def _key(file: Path) -> envelope.PublicKey:
    try:
        with file.open("rb") as opened:
            pem = opened.read(_LONGEST_KEY)
        return envelope.public_key(pem, f"--key {file}")
    except OSError as error:
        raise CliError(f"--key {file} cannot be read: {error.strerror}", ExitCode.USAGE) from error
    except KeyFileError as error:
        raise CliError(str(error), ExitCode.USAGE) from error


def _none(path: Path) -> CliError:
    says = "has no archive: name the folder with manifest.json, a folder above several, or a tar file"
    return CliError(f"PATH {path} {says}", ExitCode.USAGE)


def _not_packed(outcome: Outcome) -> str:
    wrong = [finding for finding in outcome.findings if finding.fault is not Fault.LEFT_OVER]
    return f"{outcome.place} is not packed, since it does not verify: {texts.some(wrong, separator='; ')}"


def _refuse_name(form: Format, command: str) -> None:
    if form is Format.NAME:
        says = f"-o name has no meaning for archive {command}: use table, wide, json or yaml"
        raise CliError(says, ExitCode.USAGE)


def _refuse_inside(path: Path, target: Path) -> None:
    if target.parent.resolve().is_relative_to(path.resolve()):
        says = "is inside the archive, which would not verify any more: give a name outside"
        raise CliError(f"FILE.tar {target} {says}", ExitCode.USAGE)
