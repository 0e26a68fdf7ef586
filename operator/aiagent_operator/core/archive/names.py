"""Names as parts of paths: safe on every object store and file system, and never two names in one place.

A part has only `a-z`, `0-9`, `-`, `.` and `_`. Every other byte of the name in UTF-8 is written `_` and two hex digits,
`_` itself too, and capitals as well, since some file systems take `A` for `a`. So the way back is unique. Written like
that are also what means something at its place: `.` and `-` at the beginning, `.` at the end, and the first letter of
the names of devices (Microsoft: "Naming Files, Paths, and Namespaces"). What gets too long is cut, and ends in `__` and
the SHA-256 of the whole name, which no shorter name's part can have.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

from aiagent_operator.api.archive import LONGEST_PATH
from aiagent_operator.core.archive.errors import PathError
from aiagent_operator.core.strict_json import quoted

LONGEST_PART: Final = 128
"""Characters of a part; most file systems take 255 bytes, and suffixes such as `.json.age` come on top."""

DEEPEST: Final = 8

_PLAIN: Final = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-.")
_DEVICE: Final = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)")
_SAFE: Final = re.compile(r"[a-z0-9_](?:[a-z0-9._-]{0,253}[a-z0-9_-])?")
_EMPTY: Final = "__"
_CUT: Final = re.compile(r"__[0-9a-f]{64}$")
_ESCAPE: Final = re.compile(rb"_([0-9a-f]{2})")


def part(name: str) -> str:
    """The part of a path that stands for the name, which may be any text, also an empty one or halves of surrogates."""
    data = name.encode(errors="surrogatepass")
    if not data:
        return _EMPTY
    pieces = [chr(byte) if byte in _PLAIN else _escaped(byte) for byte in data]
    if data[0] in b".-" or _DEVICE.match(name):
        pieces[0] = _escaped(data[0])
    if data[-1] in b".":
        pieces[-1] = _escaped(data[-1])
    whole = "".join(pieces)
    if len(whole) <= LONGEST_PART:
        return whole
    kept = ""
    for piece in pieces:
        if len(kept) + len(piece) > LONGEST_PART - 66:
            break
        kept += piece
    return f"{kept}__{hashlib.sha256(data).hexdigest()}"


def name_of(text: str) -> str | None:
    """The name that a part stands for; None where it was cut, and only its digest is there.

    Raises PathError for what is no part of any name.
    """
    if text == _EMPTY:
        return ""
    if _CUT.search(text):
        return None
    try:
        data = _ESCAPE.sub(lambda escape: bytes.fromhex(escape[1].decode()), text.encode("ascii"))
        found = data.decode(errors="surrogatepass")
    except UnicodeError as error:
        raise PathError(
            f"{quoted(text)} stands for no name, its bytes are no UTF-8: names are written with a-z, 0-9, -, . and _hh"
        ) from error
    if part(found) != text:
        raise PathError(f"{quoted(text)} stands for no name: names are written with a-z, 0-9, -, . and _hh")
    return found


def check_path(path: str, what: str = "the path") -> None:
    """Refuses every path that could leave the folder it is put into, or be two things on two systems.

    `what` names the path in errors. Raises PathError.
    """
    if not 1 <= len(path) <= LONGEST_PATH:
        raise PathError(f"{what} has {len(path)} characters: a path in an archive has 1 to {LONGEST_PATH}")
    parts = path.split("/")
    if len(parts) > DEEPEST:
        raise PathError(f"{what} {quoted(path)} has {len(parts)} parts: a path in an archive has at most {DEEPEST}")
    for each in parts:
        if not _SAFE.fullmatch(each) or _DEVICE.match(each):
            raise PathError(
                f"{what} {quoted(path)} is unsafe at {quoted(each)}: parts of a path have only a-z, 0-9, -, . and _, "
                "begin with a letter, a digit or _, do not end with a dot, and name no device; leave the file out"
            )


def _escaped(byte: int) -> str:
    return f"_{byte:02x}"
