"""What is done next for an agent that leaves: a function of what is done already, whatever happened in between.

The steps of a course are done one after the other, each when the one before is seen to be done, with one exception:
rights end with the drain timeout, whatever else waits. So a store that is down holds up the archive and everything
after it, but keeps nobody's rights. A step that was done and is undone (a binding that came back) is done again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from aiagent_operator.core import texts


class Step(StrEnum):
    """One step.

    `Cordon`: no new work reaches the agent. `Drain`: what it has begun is finished. `Snapshot`: what could still change
    is held still. `Archive`: all of it is in the store. `Verify`: it was read back, and its digests agree. `Handover`:
    the successor has what it needs, or does not get it, as policy says. `Revoke`: every right is proved gone.
    `Terminate`: its work and its identity are gone. `Seal`: what the store has already is closed by a manifest.
    `Certify`: the certificate is in the store. `Release`: the object may go.
    """

    CORDON = "Cordon"
    DRAIN = "Drain"
    SNAPSHOT = "Snapshot"
    ARCHIVE = "Archive"
    VERIFY = "Verify"
    HANDOVER = "Handover"
    REVOKE = "Revoke"
    TERMINATE = "Terminate"
    SEAL = "Seal"
    CERTIFY = "Certify"
    RELEASE = "Release"


class Course(StrEnum):
    """Which way the agent leaves. In a terminating namespace nothing can be made, and the children go by themselves."""

    PLANNED = "Planned"
    EMERGENCY = "Emergency"
    NAMESPACE_TERMINATING = "NamespaceTerminating"


STEPS: Final[Mapping[Course, tuple[Step, ...]]] = {
    Course.PLANNED: (
        Step.CORDON,
        Step.DRAIN,
        Step.SNAPSHOT,
        Step.ARCHIVE,
        Step.VERIFY,
        Step.HANDOVER,
        Step.REVOKE,
        Step.TERMINATE,
        Step.CERTIFY,
        Step.RELEASE,
    ),
    # What has no rights cannot finish its work, so nothing waits for it.
    Course.EMERGENCY: (
        Step.REVOKE,
        Step.CORDON,
        Step.SNAPSHOT,
        Step.ARCHIVE,
        Step.VERIFY,
        Step.HANDOVER,
        Step.TERMINATE,
        Step.CERTIFY,
        Step.RELEASE,
    ),
    Course.NAMESPACE_TERMINATING: (Step.REVOKE, Step.SEAL, Step.CERTIFY, Step.RELEASE),
}
_ABANDONED: Final = (Step.REVOKE, Step.TERMINATE, Step.RELEASE)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is observed of an agent that leaves.

    `done`: steps whose result is seen. `failed`: of steps that were tried, what went wrong. `abandon`: name of the
    AgentAction that lets the agent go without an archive, which counts only once it has waited for `patience`.
    """

    course: Course
    began: datetime
    drain_timeout: timedelta
    patience: timedelta
    done: frozenset[Step] = frozenset()
    failed: Mapping[Step, str] = field(default_factory=dict)
    abandon: str = ""


@dataclass(frozen=True, slots=True)
class Next:
    """What is to be done now, in this order; nothing: the agent has left.

    `waiting` says for people what it waits for, `again` when to look again if nothing happens before, and `abandoned`
    that it leaves without an archive, which has to be recorded.
    """

    steps: tuple[Step, ...]
    waiting: str = ""
    again: datetime | None = None
    abandoned: bool = False


def decide(facts: Facts, now: datetime) -> Next:
    """The next steps at this moment."""
    abandoned = bool(facts.abandon) and now >= facts.began + facts.patience
    steps = _ABANDONED if abandoned else STEPS[facts.course]
    rights_end = facts.began + facts.drain_timeout
    # The time for draining is up with that of the rights: what has none left is not waited for.
    done = facts.done | {Step.DRAIN} if now >= rights_end else facts.done
    following = next((step for step in steps if step not in done), None)
    if following is None:
        return Next((), abandoned=abandoned)
    overdue = Step.REVOKE not in done and now >= rights_end
    due = (Step.REVOKE, following) if overdue and following is not Step.REVOKE else (following,)
    return Next(due, _waiting(facts, due, now), _again(facts, now), abandoned)


def _again(facts: Facts, now: datetime) -> datetime | None:
    """The next moment at which time alone changes what is to be done."""
    moments = []
    if not {Step.REVOKE, Step.DRAIN} <= facts.done:
        moments.append(facts.began + facts.drain_timeout)
    if facts.abandon:
        moments.append(facts.began + facts.patience)
    return min((moment for moment in moments if moment > now), default=None)


def _waiting(facts: Facts, due: tuple[Step, ...], now: datetime) -> str:
    said = [f"{step}: {facts.failed.get(step, 'under way')}" for step in due]
    may_leave = facts.began + facts.patience
    stuck = any(step in facts.failed for step in due)
    if facts.abandon and now < may_leave:
        said.append(f"AgentAction {facts.abandon} lets it go without an archive from {texts.moment(may_leave)} on")
    elif stuck and not facts.abandon and now >= may_leave:
        said.append("mend what is said here; where that is impossible, an order Abandon lets it go without an archive")
    return "; ".join(said)
