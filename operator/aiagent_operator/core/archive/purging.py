"""When an archive is purged at the end of its retention, and what then stands against it.

Rules that have changed since it was sealed may keep it longer, never shorter. An agent that has left has no labels any
more that a policy could be asked about: one that may have selected it counts, and one that cannot be read keeps it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pydantic import ValidationError

from aiagent_operator.api.agentarchive import AgentArchiveSpec
from aiagent_operator.api.conditions import Reason, Type, Verdict
from aiagent_operator.api.holds import HoldEntry
from aiagent_operator.api.tombstone import Destroyed
from aiagent_operator.core import texts
from aiagent_operator.core.archive import disposal, holding, retention
from aiagent_operator.core.archive.disposal import Standing
from aiagent_operator.core.archive.errors import ArchiveError
from aiagent_operator.core.archive.retention import Claim, Retention
from aiagent_operator.core.policies.compiled import CompiledPolicy

REASON: Final = "its retention has ended"


@dataclass(frozen=True, slots=True)
class Purge:
    """Whether and when to purge: `at` is None where time alone does not allow it. `retention` is the one that holds."""

    at: datetime | None
    retention: Retention


def decide(
    raw: Mapping[str, Any],
    status: Mapping[str, Any],
    holds: Collection[HoldEntry],
    policies: Iterable[CompiledPolicy],
    labels: Mapping[str, str] | None,
    *,
    role: Iterable[Claim] | None = (),
) -> Purge | None:
    """When the archive may be purged; None where it was, completely. `raw` is the spec of its AgentArchive, `labels`
    are those of the agent's namespace, None where that is gone. `role`: what its AgentRole asks for now, None where
    that cannot be read.

    What was begun is brought to its end: after the tombstone, a hold comes too late. Raises ArchiveError.
    """
    try:
        spec = AgentArchiveSpec.model_validate(raw)
    except ValidationError as error:
        raise ArchiveError(
            f"the AgentArchive of {raw.get('path')} cannot be read: let an operator of the version that wrote it run"
        ) from error
    about = [each for each in policies if each.scope.might(spec.agent.role, labels)]
    claims = [Claim(f'AgentPolicy "{each.name}"', each.retention) for each in about if each.retention is not None]
    sealed = retention.recorded(spec.retention, spec.created)
    kept = retention.now_asked(sealed, [*claims, *(role or ())])
    begun = status.get("purge") or {}
    if begun.get("completionTime"):
        return None
    if begun.get("startTime"):
        # The spec never changes, and a status may have been forged: nothing that was sealed for longer is purged by it.
        start = datetime.fromisoformat(begun["startTime"])
        return Purge(start if start >= sealed.until else None, kept)
    if role is None or any(each.problem for each in about):
        return Purge(None, kept)
    standing = Standing(spec.path, kept, holding.in_force(holds))
    refused = disposal.permitted(standing, kept.since).refusal(Destroyed.PURGED)
    return Purge(kept.until if refused is None else refused.until, kept)


def stuck(status: Mapping[str, Any]) -> Verdict | None:
    """What is true of an archive whose end was begun, while nothing may be purged; None where it has ended."""
    begun = status["purge"]
    if begun.get("completionTime"):
        return None
    text = (
        f"Its purge began at {begun.get('startTime')} and stands still, since value archive.purge is Never: a part of "
        "it may be gone, and it is read no more. Set AfterRetention to have it ended"
    )
    return Verdict(Type.RECONCILING, True, Reason.PURGING, text)


def unfinished(when: datetime) -> tuple[Verdict, ...]:
    """What is true of an archive of which a tombstone tells, and files are left."""
    text = f"Its purge began at {texts.moment(when)}, and a part of it may be gone"
    return Verdict(Type.READY, None, Reason.PURGING, text), Verdict(Type.VERIFIED, None, Reason.PURGING, text)


def verdicts(kept: Retention, when: datetime) -> tuple[Verdict, ...]:
    """What is true of an archive that was purged."""
    text = (
        f"Purged at {texts.moment(when)}, since it was kept until {texts.moment(kept.until)}: only the manifest, the "
        "certificate and the tombstone are left of it"
    )
    return Verdict(Type.READY, True, Reason.PURGED, text), Verdict(Type.VERIFIED, None, Reason.PURGED, text)
