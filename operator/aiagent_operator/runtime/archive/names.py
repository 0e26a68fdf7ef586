"""Names of objects: what every kind of store can hold, lists in the same order, and can be a path of files.

Letters, digits, `.`, `_`, `=` and `-` in parts separated by `/`: nothing that a store escapes, that means something to
a file system, or that reads otherwise in a message. No part begins with a dot, so none is `..`, and none is one of the
directory's own (`.partial`).
"""

from __future__ import annotations

import re
from typing import Final

from aiagent_operator.core.untrusted import shown
from aiagent_operator.runtime.archive.errors import Kind, StoreError

LONGEST: Final = 800
"""Characters of a name. S3 and Google Cloud Storage take 1,024 bytes, with the prefix in the store's URL."""

LONGEST_PART: Final = 200
"""Characters between two slashes. File systems take 255 bytes."""

PART: Final = re.compile(r"[A-Za-z0-9_=-][A-Za-z0-9._=-]*")


def fault(name: str) -> str:
    """What is wrong with a name; empty where nothing is."""
    if not name:
        return "is empty"
    if len(name) > LONGEST:
        return f"has {len(name)} characters, of at most {LONGEST}"
    for part in name.split("/"):
        if not PART.fullmatch(part):
            return f"has the part {shown(part)}; a part has letters, digits, ._=- and does not begin with a dot"
        if len(part) > LONGEST_PART:
            return f"has a part of {len(part)} characters, of at most {LONGEST_PART}"
    return ""


def checked(store: str, name: str) -> str:
    """The name of an object. Raises StoreError (InvalidName)."""
    if wrong := fault(name):
        raise StoreError(
            Kind.INVALID_NAME, store, shown(name, 80), f"the name {wrong}", "use parts like journal/<uid>/<sequence>"
        )
    return name


def folder(store: str, prefix: str) -> str:
    """A prefix to list under, as whole parts and without a slash at its end; empty means everything."""
    bare = prefix.removesuffix("/")
    return checked(store, bare) if bare else ""


def within(name: str, prefix: str) -> bool:
    """Whether an object is below a prefix of whole parts."""
    return not prefix or name.startswith(f"{prefix}/")
