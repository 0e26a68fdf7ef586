"""Text that somebody else wrote, a container say: it ends up in status, on terminals and in web pages, and may harm."""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Final

_TAG: Final = re.compile(r"<[A-Za-z/!?]")
# Directions that make text read otherwise than it is (CVE-2021-42574), a mark that nobody sees, and what a decoder puts
# where bytes were no UTF-8.
_DIRECTIONS: Final = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})
_MARKS: Final = frozenset("\u061c\u200e\u200f\ufeff")
_UNSEEN: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
_REPLACED: Final = "\ufffd"
_TAGS: Final = range(0xE0000, 0xE0080)


def fault(text: str, *, lines: bool = False) -> str:
    """What is wrong with a text that people will read; empty where nothing is. `lines` allows line ends and tabs."""
    for position, letter in enumerate(text):
        if letter == _REPLACED:
            return f"has U+FFFD at position {position}, which stands for bytes that are no UTF-8: write UTF-8"
        if is_hidden(letter) and not (lines and letter in "\n\t"):
            return f"has the control character U+{ord(letter):04X} at position {position}: write plain text"
    if found := _TAG.search(text):
        return f"has HTML at position {found.start()}: write plain text, and a space after <"
    return ""


def shown(text: str, most: int = 40) -> str:
    """The text for a message: in quotes, in ASCII with escapes, and cut to `most` characters."""
    return json.dumps(text[:most]) + (f" and {len(text) - most} characters more" if len(text) > most else "")


def line(text: str, most: int) -> str:
    """The beginning of a text on one line, with everything that is not plain written as an escape."""
    escaped = _escaped(" ".join(text.split()), "")
    return escaped if len(escaped) <= most else f"{escaped[: most - 3]}..."


def tail(text: str, most: int) -> str:
    """The end of a log, in at most `most` characters; of a line that was written over, what stood there last."""
    last = [part.rstrip("\r").rsplit("\r", 1)[-1] for part in text.strip().split("\n")]
    escaped = _escaped("\n".join(last), "\n\t")
    return escaped if len(escaped) <= most else f"...{escaped[3 - most :]}"


def _escaped(text: str, kept: str) -> str:
    return "".join(
        letter if letter in kept or not is_hidden(letter) else json.dumps(letter).strip('"') for letter in text
    )


def is_hidden(letter: str) -> bool:
    """Whether a character steers a terminal, turns the direction of text, or is there without being seen."""
    return (
        unicodedata.category(letter) in _UNSEEN
        or unicodedata.bidirectional(letter) in _DIRECTIONS
        or letter in _MARKS
        or ord(letter) in _TAGS
    )
