"""An agent that was released without an archive: its AgentArchive, and its record as docs/archives.md shows it."""

from __future__ import annotations

from typing import Any

from aiagent_operator.api.abandonment import RecordedAbandonment
from aiagent_operator.api.archive import Gap, GapReason, LeaveReason, Mode
from aiagent_operator.core.archive import abandoned, index, layout, retention, unarchived
from aiagent_operator.core.archive.layout import Layout
from aiagent_operator.core.archive.unarchived import Abandoned
from aiagent_operator.core.objects import AgentIdentity
from support import archives
from support.kube import Object

NAME = index.name(AgentIdentity(archives.AGENT.namespace, archives.AGENT.name, archives.UID))
WHERE = Layout(archives.UID, NAME)
WHY = "archive store local does not take records (Unreachable)"
ORDER = RecordedAbandonment(
    uid="9d0c6c1e-93a1-4f0e-8d0e-3d3b6a0f7a44",
    namespace="crm",
    order="give-up-triage",
    by="ciso@corp.example",
    reason="The archive store burnt down, and there is no copy",
    time=archives.SEALED,
    message=WHY,
    unrecorded=2,
)


def record(**changes: Any) -> Object:
    """Its AgentArchive, where the order says something else perhaps."""
    gaps = tuple(
        Gap(path=path, reason=GapReason.ABANDONED, message=WHY) for path in (layout.JOURNAL, layout.LOGS, layout.SPEC)
    )
    claimed = retention.decide(archives.CLAIMS[:1], archives.SEALED)
    leaving = archives.leaving(reason=LeaveReason.BUSINESS, mode=Mode.EMERGENCY)
    what = Abandoned(ORDER.model_copy(update=changes), leaving, claimed, gaps)
    return unarchived.build(NAME, what, store="local", path=WHERE.prefix)


def data(**changes: Any) -> bytes:
    """The bytes of its record."""
    return abandoned.record(NAME, record(**changes)["spec"])
