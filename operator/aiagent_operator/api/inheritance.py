"""What lies in an archive store for a successor: its own manifest, written last, which says that all of it is there.

It is no kind: it lies in the folder as `manifest.json`. It says nothing that another try would say otherwise, so that
whoever delivers once more writes the same bytes.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from aiagent_operator.api.archive import MOST_ITEMS, Short, Size, Uid
from aiagent_operator.api.fields import Digest, Model

VERSION: Final = "inheritance.workforce.dev/v1"


class Delivered(Model):
    """One file, as it lies there: in the clear."""

    path: Annotated[str, StringConstraints(min_length=1, max_length=800)]
    digest: Digest
    size: Size


class Heir(Model):
    """Who inherits: a name, which may be that of several agents, one after the other."""

    namespace: Short
    name: Short


class Predecessor(Heir):
    """Who has left it."""

    uid: Uid


class Inheritance(Model):
    """All that was delivered. `archive`: the AgentArchive, and `digest` that of its manifest, which is in the folder
    `bundle`. `files` are in the order of their paths."""

    version: Literal["inheritance.workforce.dev/v1"] = VERSION
    archive: Short
    digest: Digest
    predecessor: Predecessor
    successor: Heir
    files: Annotated[tuple[Delivered, ...], Field(max_length=MOST_ITEMS + 3)]
