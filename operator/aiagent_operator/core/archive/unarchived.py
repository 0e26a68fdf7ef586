"""The AgentArchive of an agent that was released without an archive, and what it says of the record of that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from aiagent_operator.api.abandonment import RecordedAbandonment
from aiagent_operator.api.agentarchive import (
    SHOWN_GAPS,
    AgentArchiveSpec,
    AgentArchiveStatus,
    ArchivePhase,
    Verification,
)
from aiagent_operator.api.archive import FormerAgent, Gap
from aiagent_operator.api.conditions import Reason, Type, Verdict, merge
from aiagent_operator.core import texts
from aiagent_operator.core.archive import index, layout, upkeep
from aiagent_operator.core.archive.manifest import Leaving
from aiagent_operator.core.archive.retention import Retention
from aiagent_operator.core.archive.upkeep import Altered, Found, Unread, Whole

_ABSENT: Final = f"There is no archive, and the record of that ({layout.ABANDONED}) is not in the store yet"
_NONE: Final = Verdict(Type.CERTIFIED, False, Reason.ABANDONED, "There is no archive that could be certified")


@dataclass(frozen=True, slots=True)
class Abandoned:
    """What is on record of an agent that was released without an archive."""

    order: RecordedAbandonment
    leaving: Leaving
    retention: Retention
    gaps: tuple[Gap, ...]


def build(name: str, what: Abandoned, *, store: str, path: str) -> dict[str, Any]:
    """Its AgentArchive, which has no manifest. `path`: the folder in the store where an attempt may have left files."""
    gaps, agent = what.gaps, what.leaving.agent
    spec = AgentArchiveSpec(
        agent=FormerAgent(namespace=agent.namespace, name=agent.name, uid=agent.uid, role=agent.role),
        store=store,
        path=path,
        abandoned=what.order,
        created=what.order.time,
        reason=what.leaving.reason,
        mode=what.leaving.mode,
        journal=what.leaving.journal,
        retention=what.retention.record(),
        not_captured=gaps[:SHOWN_GAPS],
        not_captured_more=max(0, len(gaps) - SHOWN_GAPS) or None,
    )
    return index.body(name, spec)


def status(order: RecordedAbandonment, now: datetime, found: Whole | None = None) -> dict[str, Any]:
    """What is true of it. `found`: its record, where that was read in the store."""
    last = Verification(last_time=now, files=found.files, size=found.size) if found else None
    said = AgentArchiveStatus(
        observed_generation=1,
        phase=ArchivePhase.ABANDONED,
        verification=last,
        certificate=found.certificate if found else None,
    ).model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"holds", "purge", "erasure"})
    known = verdicts(found, order, {}) if found else (_ready(order), _unread(Reason.ABANDONED, _ABSENT), _NONE)
    return {**said, "conditions": merge((), known, 1, texts.moment(now))}


def verdicts(found: Found, order: RecordedAbandonment, status: Mapping[str, Any]) -> tuple[Verdict, ...]:
    """What follows from a look at its record, also where nobody has said anything yet.

    Damage that was seen stays seen until the record was read whole.
    """
    match found:
        case Whole():
            read = Verdict(Type.VERIFIED, True, Reason.READ_BACK, _read_back(signed=found.certificate is not None))
            return _ready(order), read, _NONE
        case Altered(text):
            return (*(Verdict(each, False, Reason.ALTERED, text) for each in (Type.READY, Type.VERIFIED)), _NONE)
        case Unread(reason, text):
            if (upkeep.condition(status, Type.VERIFIED) or {}).get("status") == "False":
                return ()
            last = (status.get("verification") or {}).get("lastTime")
            known = (
                f"There is no archive. The record of that ({layout.ABANDONED}) was last read at {last}"
                if last
                else _ABSENT
            )
            return _ready(order), _unread(reason, f"{known}: {text}"), _NONE


def _read_back(*, signed: bool) -> str:
    text = f"There is no archive. The record of that ({layout.ABANDONED}) was read back"
    if signed:
        return f"{text}, and is signed"
    return (
        f"{text}, and is not signed, since the operator has no key: give it one (values archive.signingSecret), and it "
        "is signed when it is read again"
    )


def _ready(order: RecordedAbandonment) -> Verdict:
    text = (
        f"Released without an archive at {texts.moment(order.time)}, by AgentAction {order.namespace}/{order.order}: "
        f"{order.message}"
    )
    return Verdict(Type.READY, False, Reason.ABANDONED, text)


def _unread(reason: Reason, text: str) -> Verdict:
    return Verdict(Type.VERIFIED, None, reason, text)
