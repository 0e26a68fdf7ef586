"""Decision about the memory of an agent that leaves: the volume that goes into its archive.

It is packed once nothing is left that writes to it, and before the agent's account goes. A Job does it, and it is
waited for until a deadline, from the moment that is noted in the status: what could not be had until then is said to
be missing. Where nothing can be created in its namespace any more, that is said at once.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from aiagent_operator.api import capture
from aiagent_operator.api.agentstatus import Phase
from aiagent_operator.api.archive import Gap, GapReason
from aiagent_operator.api.archivestatus import Capture
from aiagent_operator.api.conditions import Reason, Type, Verdict
from aiagent_operator.api.memory import Memory
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


def asked(o: Observed) -> Memory | None:
    """The volume that is still to be archived; None where there is none, or it is done, or nothing is archived."""
    retirement = o.agent.spec.retirement
    done = (o.agent.status.get("archive") or {}).get("captured") or ()
    if o.journal is None or retirement is None or Capture.MEMORY.value in done:
        return None
    return retirement.memory


def jobs(o: Observed) -> frozenset[ObjectKey]:
    """The Jobs that are at it, which stay until it is done."""
    return frozenset(child.key for child in _jobs(o)) if asked(o) is not None else frozenset()


def decide(o: Observed) -> Plan | None:
    """What is to be done about it once nothing writes to it any more; None where there is nothing."""
    wanted = asked(o)
    if wanted is None:
        return None
    if o.terminating:
        return _missing(
            GapReason.NAMESPACE_TERMINATING, "the namespace was being deleted, and no Job could be made in it"
        )
    if o.intake is None:
        return Plan(needs_intake=True)
    if o.intake.problem:
        return _missing(GapReason.UNREACHABLE, o.intake.problem)
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


def _under_way(o: Observed, wanted: Memory, intake: Intake) -> Plan:
    if intake.waits:
        return _waiting(f"its memory waits: {intake.waits}")
    agent = o.identity
    job = memory.job(agent, wanted, memory.owner(wanted, o.raw_spec), intake)
    if others := [child for child in _jobs(o) if child.key != job.key]:
        # Another leader's, or of another version: two at once would be one too many.
        writes = tuple(delete(child) for child in others if not child.deleting)
        return replace(_waiting("its memory: waiting for the Job of another operator to be gone"), writes=writes)
    child = o.children.get(job.key)
    if child is None:
        return _begin(o, job, intake)
    if child.deleting or child.job is None:
        return _waiting(f"its memory: waiting for {job.key} to be gone, and made anew")
    if job.key not in o.pods:
        return Plan(needs_pods=frozenset({job.key}))
    match runs.outcome(child.job, o.pods[job.key]):
        case Succeeded():
            # Where it is noted, it is there: then this is not said.
            return _missing(GapReason.UNREADABLE, f"{job.key} ended well, but the operator did not get all of it")
        case Failed(reason=reason, message=text, tail=tail):
            said = f"{text}: {tail}" if tail else text
            return _missing(_WHY.get(reason, GapReason.UNREADABLE), said)
        case Waiting(message=text):
            return _held(o, child, wanted, text)
        case Running(problem=problem):
            running = any(pod.running for pod in o.pods[job.key])
            return _waiting(problem or "packing its memory") if running else _held(o, child, wanted, problem)


def _begin(o: Observed, job: Desired, intake: Intake) -> Plan:
    """The account and the network are there before anything runs under them."""
    agent = o.identity
    before = tuple(
        write for each in (memory.account(agent), memory.network(agent, intake)) if (write := settle(o, each))
    )
    return replace(_waiting("packing its memory"), writes=before or (create(job),))


def _held(o: Observed, child: Child, wanted: Memory, text: str) -> Plan:
    """Nothing runs yet: it is waited for, but not as long as for one that does."""
    started = child.job.started if child.job else None
    if started is None or (o.now - started).total_seconds() < STARTS:
        return _waiting(f"its memory waits: {text or f'{child.key} has no pod that runs'}")
    return _late(wanted, f"no pod of {child.key} has started within {STARTS} s: {text}")


def _late(wanted: Memory, text: str) -> Plan:
    # In the scheduler's words, which are no part of any API: else it is a deadline like others.
    gone = f'persistentvolumeclaim "{wanted.claim_name}" not found' in text
    return _missing(GapReason.NOT_FOUND if gone else GapReason.DEADLINE_EXCEEDED, text)


def _begun(o: Observed) -> dict[str, Any]:
    """From when the deadline counts: it stands in the status before the Job is made, whoever leads then."""
    archive = {**(o.agent.status.get("archive") or {}), "name": index.name(o.identity), "capturing": o.time}
    return {"archive": archive}


def _jobs(o: Observed) -> list[Child]:
    return [child for child in o.of(ChildKind.JOB) if child.job is not None and child.job.run == capture.RUN]


def _missing(reason: GapReason, text: str) -> Plan:
    gap: Gap = manifest.gap(layout.MEMORY, reason, text)
    return replace(_waiting(f"its memory is not archived: {text}"), missing=gap)


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
