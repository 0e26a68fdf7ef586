"""How far the archive of an agent that leaves is, as its status says it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import StringConstraints

from aiagent_operator.api.abandonment import Abandonment
from aiagent_operator.api.archive import Gap
from aiagent_operator.api.fields import AS_SET, ATOMIC, Digest, Model, described, map_by

MOST_MANIFESTS = 8
MOST_GAPS = 16


class Capture(StrEnum):
    """What is captured of an agent that leaves before it goes."""

    LOGS = "Logs"
    MEMORY = "Memory"
    HANDBOOK = "Handbook"
    KPIS = "KPIs"
    ESCALATIONS = "Escalations"
    DECISIONS = "Decisions"


class ArchiveStatus(Model):
    """How far the archive of an agent that leaves is."""

    name: Annotated[str, StringConstraints(max_length=253), described("Name of the AgentArchive.")]
    manifests: Annotated[
        tuple[Digest, ...],
        described(
            "Digests of manifests that the operator may have written, each noted before. One with another digest is "
            "not the operator's.",
            max_length=MOST_MANIFESTS,
            json_schema_extra=ATOMIC,
        ),
    ] = ()
    captured: Annotated[
        tuple[Capture, ...],
        described(
            "What was captured, as far as it could be: Logs of its containers, before its pods went; then "
            "volumes (Decisions, Memory), Handbook, KPIs, open Escalations, and Decisions of a store.",
            max_length=8,
            json_schema_extra=AS_SET,
        ),
    ] = ()
    not_captured: Annotated[
        tuple[Gap, ...],
        described("What of that is missing, and why.", max_length=MOST_GAPS, json_schema_extra=map_by("path")),
    ] = ()
    capturing: Annotated[str, StringConstraints(max_length=64)] | None = described(
        "Since when what it leaves is captured, once its work has ended, or the second of two volumes: a volume's "
        "deadline counts from then.",
        default=None,
    )
    abandoned: Abandonment | None = described(
        "The order by which it is released without an archive; `completed` says then that this is on record.",
        default=None,
    )
    completed: Annotated[str, StringConstraints(max_length=64)] | None = described(
        "When the archive was read back, certified where there is a key, and on record as an AgentArchive: the agent "
        "may go.",
        default=None,
    )
