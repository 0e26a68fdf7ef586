"""Decision about the volumes of an agent that leaves, which go into its archive: its decision log, and its memory.

Each is packed once nothing is left that writes to it, and before the agent's account goes. A Job does it, and it is
waited for until a deadline, from the moment that is noted in the status: what could not be had until then is said to
be missing. Where nothing can be created in its namespace any more, that is said at once.

They come one after the other, so that both may be on one volume, also one that a single pod may mount; the decision log
first, which is what an auditor asks for. Each has the whole of the deadline.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from aiagent_operator.api import capture
from aiagent_operator.api.agentstatus import Phase
from aiagent_operator.api.archive import Gap, GapReason
from aiagent_operator.api.archivestatus import Capture
from aiagent_operator.api.conditions import Reason, Type, Verdict
from aiagent_operator.api.memory import Memory
from aiagent_operator.core import capturing
from aiagent_operator.core.archive import index, layout, manifest
from aiagent_operator.core.children import memory
from aiagent_operator.core.children.memory import Intake
from aiagent_operator.core.objects import Child, ChildKind, Desired, ObjectKey
from aiagent_operator.core.plan import Observed, Plan, create, delete, settle
from aiagent_operator.core.runs import outcome as runs
from aiagent_operator.core.runs.outcome import Failed, Running, Succeeded, Waiting

STARTS: Final = 600
"""Seconds in which a pod of the Job has to start: longer, no claim is waited for that is missing or bound elsewhere."""

_AGAIN: Final = 10.0
_WHY: Final = {"DeadlineExceeded": GapReason.DEADLINE_EXCEEDED}
# The reason of a Job whose program says that no other try finds the folder (capture.NO_FOLDER).
_NO_FOLDER: Final = "PodFailurePolicy"


@dataclass(frozen=True, slots=True)
class What:
    """What a volume holds: the item that is made of it, and `rest`, by which is named what that has not. `said`: for
    people. `field`: of the spec."""

    capture: Capture
    item: str
    rest: str
    said: str
    field: str


BY_RUN: Final[Mapping[str, What]] = {
    capture.DECISIONS: What(
        Capture.DECISIONS, layout.DECISION_LOG, layout.DECISIONS, "decision log", "spec.retirement.decisionLog.volume"
    ),
    capture.RUN: What(Capture.MEMORY, layout.MEMORY, "memory", "memory", "spec.retirement.memory"),
}
"""By the label `workforce.dev/run` of its Job."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A volume that is still to be archived."""

    what: What
    volume: Memory


def asked(o: Observed) -> Wanted | None:
    """The volume that is next; None where there is none, or all are done, or nothing is archived."""
    return next(iter(_asked(o, (o.agent.status.get("archive") or {}).get("captured") or ())), None)


def _asked(o: Observed, done: Collection[str]) -> list[Wanted]:
    retirement = o.agent.spec.retirement
    if o.journal is None or retirement is None:
        return []
    every = (Wanted(BY_RUN[memory.run_of(volume)], volume) for volume in retirement.volumes)
    return [wanted for wanted in every if wanted.what.capture.value not in done]


def jobs(o: Observed) -> frozenset[ObjectKey]:
    """The Jobs that are at it, which stay until it is done."""
    wanted = asked(o)
    return frozenset(child.key for child in _jobs(o, wanted)) if wanted is not None else frozenset()


def every(o: Observed) -> frozenset[ObjectKey]:
    """All Jobs that pack a volume of the agent's, also where that is done: their pods are none of its own."""
    return frozenset(child.key for child in o.of(ChildKind.JOB) if child.job is not None and child.job.run in BY_RUN)


def given_up(o: Observed) -> tuple[Gap, ...]:
    """What an order Abandon has kept from being archived, where there is an archive in the end all the same."""
    done = (o.agent.status.get("archive") or {}).get("captured") or ()
    return tuple(manifest.gap(wanted.what.item, GapReason.ABANDONED, capturing.GIVEN_UP) for wanted in _asked(o, done))


def captured(o: Observed, what: What, archive: Mapping[str, Any]) -> dict[str, Any]:
    """`status.archive`, which is now `archive`, once this is done; the deadline for the next one counts from here."""
    done = list(dict.fromkeys((*(archive.get("captured") or ()), what.capture.value)))
    begins = {"capturing": o.time} if archive.get("capturing") and _asked(o, done) else {}
    return {**archive, "name": index.name(o.identity), "captured": done, **begins}


def decide(o: Observed) -> Plan | None:
    """What is to be done about it once nothing writes to it any more; None where there is nothing."""
    wanted = asked(o)
    if wanted is None:
        return None
    if o.terminating:
        text = "the namespace was being deleted, and no Job could be made in it"
        return _missing(wanted, GapReason.NAMESPACE_TERMINATING, text)
    if o.intake is None:
        return Plan(needs_intake=True)
    if o.intake.problem:
        return _missing(wanted, GapReason.UNREACHABLE, o.intake.problem)
    since = (o.agent.status.get("archive") or {}).get("capturing")
    plan = _under_way(o, wanted, o.intake)
    if plan.missing is not None:
        return plan
    if since is None:
        return replace(plan, first=_begun(o)) if plan.writes else plan
    left = datetime.fromisoformat(since) + timedelta(seconds=o.intake.deadline) - o.now
    if left <= timedelta(0) and not plan.needs_pods:
        waits = next((v.message for v in plan.verdicts), "")
        return _late(wanted, f"not done within {o.intake.deadline} s: {waits}")
    return replace(plan, requeue_after=min(plan.requeue_after or _AGAIN, max(1.0, left.total_seconds())))


def _under_way(o: Observed, wanted: Wanted, intake: Intake) -> Plan:
    said = wanted.what.said
    if intake.waits:
        return _waiting(f"its {said} waits: {intake.waits}")
    job = memory.job(o.identity, wanted.volume, memory.owner(wanted.volume, o.raw_spec), intake)
    if others := [child for child in _jobs(o, wanted) if child.key != job.key]:
        # Another leader's, or of another version: two at once would be one too many.
        writes = tuple(delete(child) for child in others if not child.deleting)
        return replace(_waiting(f"its {said}: waiting for the Job of another operator to be gone"), writes=writes)
    child = o.children.get(job.key)
    if child is None:
        return _begin(o, job, intake, said)
    if child.deleting or child.job is None:
        return _waiting(f"its {said}: waiting for {job.key} to be gone, and made anew")
    if job.key not in o.pods:
        return Plan(needs_pods=frozenset({job.key}))
    match runs.outcome(child.job, o.pods[job.key]):
        case Succeeded():
            # Where it is noted, it is there: then this is not said.
            text = f"{job.key} ended well, but the operator did not get all of it"
            return _missing(wanted, GapReason.UNREADABLE, text)
        case Failed(reason=reason, message=text, tail=tail):
            return _failed(wanted, reason, text, tail)
        case Waiting(message=text):
            return _held(o, child, wanted, text)
        case Running(problem=problem):
            running = any(pod.running for pod in o.pods[job.key])
            return _waiting(problem or f"packing its {said}") if running else _held(o, child, wanted, problem)


def _begin(o: Observed, job: Desired, intake: Intake, said: str) -> Plan:
    """The account and the network are there before anything runs under them."""
    agent = o.identity
    before = tuple(
        write for each in (memory.account(agent), memory.network(agent, intake)) if (write := settle(o, each))
    )
    return replace(_waiting(f"packing its {said}"), writes=before or (create(job),))


def _failed(wanted: Wanted, reason: str, text: str, tail: str) -> Plan:
    if reason == _NO_FOLDER and tail:
        return _missing(wanted, GapReason.NOT_FOUND, f'in the volume of claim "{wanted.volume.claim_name}" {tail}')
    return _missing(wanted, _WHY.get(reason, GapReason.UNREADABLE), f"{text}: {tail}" if tail else text)


def _held(o: Observed, child: Child, wanted: Wanted, text: str) -> Plan:
    """Nothing runs yet: it is waited for, but not as long as for one that does."""
    started = child.job.started if child.job else None
    if started is None or (o.now - started).total_seconds() < STARTS:
        return _waiting(f"its {wanted.what.said} waits: {text or f'{child.key} has no pod that runs'}")
    return _late(wanted, f"no pod of {child.key} has started within {STARTS} s: {text}")


def _late(wanted: Wanted, text: str) -> Plan:
    # In the scheduler's words, which are no part of any API: else it is a deadline like others.
    gone = f'persistentvolumeclaim "{wanted.volume.claim_name}" not found' in text
    return _missing(wanted, GapReason.NOT_FOUND if gone else GapReason.DEADLINE_EXCEEDED, text)


def _begun(o: Observed) -> dict[str, Any]:
    """From when the deadline counts: it stands in the status before the Job is made, whoever leads then."""
    archive = {**(o.agent.status.get("archive") or {}), "name": index.name(o.identity), "capturing": o.time}
    return {"archive": archive}


def _jobs(o: Observed, wanted: Wanted) -> list[Child]:
    run = memory.run_of(wanted.volume)
    return [child for child in o.of(ChildKind.JOB) if child.job is not None and child.job.run == run]


def _missing(wanted: Wanted, reason: GapReason, text: str) -> Plan:
    what = wanted.what
    gap: Gap = manifest.gap(what.item, reason, f"{what.field}: {text}")
    return replace(_waiting(f"its {what.said} is not archived: {text}"), missing=gap)


def _waiting(text: str) -> Plan:
    message = f"Its rights have ended; {text}"
    return Plan(
        verdicts=(
            Verdict(Type.READY, False, Reason.OFFBOARDING, message),
            Verdict(Type.RECONCILING, True, Reason.OFFBOARDING, message),
        ),
        status={"phase": Phase.OFFBOARDING.value},
        requeue_after=_AGAIN,
    )
