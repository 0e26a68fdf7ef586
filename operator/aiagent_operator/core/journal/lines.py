"""A journal as one file of JSON Lines (https://jsonlines.org/), as an archive has it: its records, line by line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from aiagent_operator.core.journal.chain import Entry
from aiagent_operator.core.journal.record import MOST_BYTES

# A record that may be, its line end, and a byte by which one that is too long is seen.
_MOST_LINE: Final = MOST_BYTES + 2


def entries(name: str, readline: Callable[[int], bytes]) -> Iterator[Entry]:
    """The lines of a file, for `chain.verify`: each with `name`, a colon and its number, counted from 1.

    `readline` is that of a file that is open for bytes. Never more than one record is in memory: what is longer than
    any record comes in pieces, of which the first is refused as unreadable.
    """
    number = 0
    while line := readline(_MOST_LINE):
        number += 1
        yield f"{name}:{number}", line[:-1] if line.endswith(b"\n") else line
