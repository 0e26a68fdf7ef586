"""The members of a tar file that anybody may have made, one header at a time, and nothing that two readers could read
as two things.

Formats: ustar and pax (POSIX.1-2017, pax, "EXTENDED DESCRIPTION"), and the long names and large numbers of GNU tar. The
standard library's reader takes a damaged header for the end, keeps all members in memory, and reads headers of any size
(CVE-2025-8194 is about their numbers), so it is not used for what somebody else wrote.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from aiagent_operator.cli.archive.source import BrokenError
from aiagent_operator.core.untrusted import shown

BLOCK: Final = 512

_ZEROS: Final = bytes(BLOCK)
_MAGIC: Final = (b"ustar\x0000", b"ustar  \x00")
_LONGEST_HEADER: Final = 65_536
_LONGEST_TAIL: Final = 1024**2
"""Bytes after the end: tar fills its last record, which has 10 KiB unless somebody asks for more."""

_OCTAL: Final = frozenset(b"01234567")
_SPARSE: Final = b"GNU.sparse."
_OF_ONE: Final = frozenset({b"path", b"size", b"linkpath"})


class Kind(StrEnum):
    """What a member is, as a sentence goes on after "it is"."""

    FILE = "a file"
    FOLDER = "a folder"
    HARD_LINK = "a hard link"
    LINK = "a symbolic link"
    DEVICE = "a device"
    PIPE = "a named pipe"


_KINDS: Final = {
    b"0": Kind.FILE, b"\x00": Kind.FILE, b"1": Kind.HARD_LINK, b"2": Kind.LINK, b"3": Kind.DEVICE, b"4": Kind.DEVICE,
    b"5": Kind.FOLDER, b"6": Kind.PIPE,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Member:
    """One member: its name as it stands there, and where in the tar file its bytes are, and how many."""

    name: str
    kind: Kind
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class _Said:
    """What headers before a member's own say of it; -1 and nothing where they say nothing."""

    name: bytes = b""
    size: int = -1
    by: frozenset[bytes] = frozenset()


@dataclass(frozen=True, slots=True)
class _Header:
    at: int
    name: bytes
    kind: bytes
    size: int


def members(fd: int, length: int) -> Iterator[Member]:
    """The members of the tar file with this descriptor and so many bytes.

    Raises BrokenError for what is damaged, cut off, or no tar file: nothing after it can be told from garbage.
    """
    at, said = 0, _Said()
    while (block := os.pread(fd, BLOCK, at)) != _ZEROS:
        header = _header(block, at)
        data = at + BLOCK
        if header.kind in b"xgLK":
            content = _small(fd, header, length)
            said = _with(said, header, content)
            at = _after(data, header.size)
            continue
        size = header.size if said.size < 0 else said.size
        found = Member(_text(said.name or header.name), _kind(header, size), data, size)
        if size > length - data:
            has = f"{shown(found.name, 200)} should have {size} bytes, and {max(length - data, 0)} are left"
            raise BrokenError(f"at byte {at}: {has}: it was cut off, or the number is forged; get an undamaged copy")
        yield found
        at, said = _after(data, size), _Said()
    if said != _Said():
        raise BrokenError(f"at byte {at}: it ends where a member should be: get an undamaged copy")
    _check_tail(fd, at, length)


def _after(data: int, size: int) -> int:
    return data + -(-size // BLOCK) * BLOCK


def _header(block: bytes, at: int) -> _Header:
    if len(block) < BLOCK:
        raise BrokenError(f"at byte {at}: it ends without the two empty blocks of an end: it was cut off")
    told = _number(block[148:156], at, "checksum")
    if sum(block) - sum(block[148:156]) + 8 * ord(" ") != told:
        raise BrokenError(f"at byte {at}: the header does not have its checksum: it is damaged, or this is no tar file")
    if block[257:265] not in _MAGIC:
        raise BrokenError(f"at byte {at}: the header is neither of ustar nor of GNU tar: make it with one of them")
    name, prefix = _until_null(block[:100]), _until_null(block[345:500]) if block[257:265] == _MAGIC[0] else b""
    whole = prefix + b"/" + name if prefix else name
    return _Header(at, whole, block[156:157], _number(block[124:136], at, "size"))


def _kind(header: _Header, size: int) -> Kind:
    kind = _KINDS.get(header.kind)
    where = f"at byte {header.at}: {shown(_text(header.name), 200)}"
    if kind is None:
        raise BrokenError(f"{where} is of the type {header.kind!r}, which no archive has: make it without sparse files")
    if kind is not Kind.FILE and size:
        raise BrokenError(f"{where} is {kind} with {size} bytes, which some readers skip and some do not: leave it out")
    return kind


def _small(fd: int, header: _Header, length: int) -> bytes:
    if header.size > min(_LONGEST_HEADER, length - header.at - BLOCK):
        says = f"the header has {header.size} bytes, and at most {_LONGEST_HEADER} are read, or it was cut off"
        raise BrokenError(f"at byte {header.at}: {says}")
    return os.pread(fd, header.size, header.at + BLOCK)


def _with(said: _Said, header: _Header, content: bytes) -> _Said:
    """What is said of the next member, with one more header of these kinds: pax, pax for all, long name, long link."""
    if header.kind in said.by:
        raise BrokenError(f"at byte {header.at}: a second header of the kind {header.kind!r} for one member")
    said = replace(said, by=said.by | {header.kind})
    if header.kind == b"L":
        return replace(said, name=_until_null(content))
    if header.kind == b"K":
        return said
    found = _records(content, header.at)
    if header.kind == b"g":
        if _OF_ONE & found.keys() or any(key.startswith(_SPARSE) for key in found):
            raise BrokenError(f"at byte {header.at}: a header for all members gives them one path or size")
        return said
    if any(key.startswith(_SPARSE) for key in found):
        raise BrokenError(f"at byte {header.at}: a sparse file, which readers read in different ways: make it without")
    return replace(
        said,
        name=found.get(b"path", said.name),
        size=_decimal(found[b"size"], header.at) if b"size" in found else said.size,
    )


def _records(content: bytes, at: int) -> dict[bytes, bytes]:
    """The records of a pax header: their length in decimal, a space, a name, an equals sign, a value, a line feed."""
    found: dict[bytes, bytes] = {}
    begin = 0
    while begin < len(content):
        length, _, _ = content[begin : begin + 7].partition(b" ")
        end = begin + int(length) if length.isdigit() else begin
        record = content[begin + len(length) + 1 : end]
        key, equals, value = record[:-1].partition(b"=")
        if end > len(content) or record[-1:] != b"\n" or not equals or not value or b"\0" in value or key in found:
            raise BrokenError(f"at byte {at}: the pax header cannot be read: get an undamaged copy")
        found[key] = value
        begin = end
    return found


def _number(field: bytes, at: int, what: str) -> int:
    """A number in octal or, where its first bit is set, in base 256 (GNU tar)."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b" \0")
    if not _OCTAL.issuperset(digits):
        raise BrokenError(f"at byte {at}: the {what} is no number: it is damaged, or this is no tar file")
    return int(digits or b"0", 8)


def _decimal(value: bytes, at: int) -> int:
    if not value.isdigit() or len(value) > 19:
        raise BrokenError(f"at byte {at}: the size in the pax header is no number: get an undamaged copy")
    return int(value)


def _until_null(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _text(name: bytes) -> str:
    return name.decode(errors="surrogateescape")


def _check_tail(fd: int, at: int, length: int) -> None:
    """Refuses what some readers would find after the end, as `tar --ignore-zeros` does."""
    if length - at < 2 * BLOCK:
        raise BrokenError(f"at byte {at}: it ends with one empty block of two: it was cut off")
    rest = os.pread(fd, _LONGEST_TAIL + 1, at)
    if len(rest) > _LONGEST_TAIL or rest.strip(b"\0"):
        raise BrokenError(f"at byte {at}: something follows the end of it: get an undamaged copy")
