"""Names of files in the order in which object stores list them, a million of them in bounded memory.

That order is of whole names by their bytes: `a-b` before `a/b`, since `-` is less than `/`. A folder is read from its
beginning for each window of names, because a file system lists in no order and keeps no place.
"""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterator
from typing import Final

from aiagent_operator.runtime.archive import files, names

WINDOW: Final = 65_536
"""Names of one folder in memory at a time, about 18 MB."""


def ordered(top: int, prefix: str, after: str, window: int = WINDOW) -> Iterator[str]:
    """Names of objects below a prefix of whole parts and after a name, ascending by their bytes; `top` stays open.

    What is no plain file or has no object's name, such as lost+found or a symbolic link, is no object. A prefix that is
    not there has none.
    """
    return _below(top, prefix, after, window)


def _below(top: int, path: str, after: str, window: int) -> Iterator[str]:
    start = f"{path}/" if path else ""
    if after > start and not after.startswith(start):
        return
    last = after[len(start) :] if after.startswith(start) else ""
    seen = ""
    while True:
        page = heapq.nsmallest(window, _entries(top, path, last, seen))
        for entry in page:
            if entry.endswith("/"):
                yield from _below(top, start + entry[:-1], after, window)
            else:
                yield start + entry
        if len(page) < window:
            return
        seen = page[-1]


def _entries(top: int, path: str, last: str, seen: str) -> Iterator[str]:
    """What one folder holds, folders with a slash at the end, which is what gives them their place in the order."""
    newest = max(last, seen)
    try:
        with files.folder(top, path.split("/") if path else []) as fd, os.scandir(fd) as found:
            for entry in found:
                if not names.PART.fullmatch(entry.name) or len(path) + len(entry.name) >= names.LONGEST:
                    continue
                if entry.is_file(follow_symlinks=False):
                    if entry.name > newest:
                        yield entry.name
                elif entry.is_dir(follow_symlinks=False):
                    below = f"{entry.name}/"
                    if below > seen and (below > last or last.startswith(below)):
                        yield below
    except (FileNotFoundError, NotADirectoryError):
        return  # no such prefix, or one that leads through a file or a link; or somebody tidies while this reads
