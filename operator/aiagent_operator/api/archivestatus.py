"""How far the archive of an agent that leaves is, as its status says it."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

from aiagent_operator.api.fields import ATOMIC, Digest, Model, described

MOST_MANIFESTS = 8


class ArchiveStatus(Model):
    """How far the archive of an agent that leaves is."""

    name: Annotated[str, StringConstraints(max_length=253), described("Name of the AgentArchive.")]
    manifests: Annotated[
        tuple[Digest, ...],
        described(
            "Digests of the manifests that the operator may have written, each noted before it is written. One in the "
            "store with another digest is not the operator's.",
            max_length=MOST_MANIFESTS,
            json_schema_extra=ATOMIC,
        ),
    ] = ()
    completed: Annotated[str, StringConstraints(max_length=64)] | None = described(
        "When the archive was read back, certified where there is a key, and on record as an AgentArchive: the agent "
        "may go.",
        default=None,
    )
