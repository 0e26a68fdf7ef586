"""Decision about what an agent inherits with a volume: a Job fetches the predecessor's archive into it.

The Job goes once the status says that all is there; what it leaves behind otherwise goes too, whatever became of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from aiagent_operator.api import handover
from aiagent_operator.api.succession import Volume
from aiagent_operator.core import untrusted
from aiagent_operator.core.children import inheritance, memory
from aiagent_operator.core.children.memory import Intake
from aiagent_operator.core.objects import Child, ChildKind, Desired, ObjectKey
from aiagent_operator.core.plan import Observed, Write, create, delete, settle
from aiagent_operator.core.runs import outcome as runs
from aiagent_operator.core.runs.outcome import Failed, Running, Succeeded, Waiting
from aiagent_operator.core.succession import Bequest, Kin

_AGAIN = 10.0
# Seconds after which a delivery that failed is tried anew: by then somebody may have made room.
_PAUSE = 300.0


@dataclass(frozen=True, slots=True)
class Delivery:
    """How far it is: `text` says it. `done`: all is there, and `into` is what the status says of where. `failed`: a
    person is needed. `bequest`: what is to be delivered into a store."""

    text: str = ""
    done: bool = False
    failed: bool = False
    writes: tuple[Write, ...] = ()
    needs_outlet: bool = False
    needs_pods: frozenset[ObjectKey] = frozenset()
    requeue_after: float | None = field(default=_AGAIN)
    into: Mapping[str, Any] = field(default_factory=dict)
    bequest: Bequest | None = None


def look(o: Observed, its: Kin, volume: Volume) -> Delivery:
    """How far the delivery from this predecessor is, whose archive is on record."""
    if o.terminating:
        return Delivery("nothing is delivered in a namespace that is being deleted")
    if o.intake is None:
        return Delivery(needs_outlet=True)
    if o.intake.problem or o.intake.waits:
        return Delivery(o.intake.problem or o.intake.waits, failed=bool(o.intake.problem))
    owner = memory.owner(volume, o.raw_spec)
    job = inheritance.job(o.identity, volume, owner, o.intake, its.digest)
    if others := [child for child in jobs(o) if child.key != job.key]:
        # Another leader's, or for another volume: two at once would be one too many.
        text = "waiting for the Job of another operator to be gone"
        return Delivery(text, writes=tuple(delete(child) for child in others if not child.deleting))
    child = o.children.get(job.key)
    if child is None:
        return _begin(o, job, o.intake)
    if child.deleting or child.job is None:
        return Delivery(f"waiting for {job.key} to be gone, and made anew")
    if job.key not in o.pods:
        return Delivery(needs_pods=frozenset({job.key}))
    return _course(o, child, its, volume)


def leftover(o: Observed) -> tuple[Write, ...]:
    """What is to be removed where nothing is delivered, or all is: the Job first, with its pods."""
    if found := jobs(o):
        return tuple(delete(child) for child in found if not child.deleting)
    name = handover.account_name(o.identity.name)
    keys = (
        ObjectKey(kind, o.identity.namespace, name) for kind in (ChildKind.SERVICE_ACCOUNT, ChildKind.NETWORK_POLICY)
    )
    return tuple(delete(child) for key in keys if (child := o.children.get(key)) and not child.deleting)


def jobs(o: Observed) -> list[Child]:
    """The Jobs that deliver."""
    return [child for child in o.of(ChildKind.JOB) if child.job is not None and child.job.run == handover.RUN]


def _begin(o: Observed, job: Desired, outlet: Intake) -> Delivery:
    """The account and the network are there before anything runs under them."""
    agent = o.identity
    wanted = (inheritance.account(agent), inheritance.network(agent, outlet))
    for each in (*wanted, job):
        if failure := o.refusal(each):
            return Delivery(f"{each.key} cannot be made: {failure.message}", failed=True, requeue_after=30.0)
    before = tuple(write for each in wanted if (write := settle(o, each)))
    return Delivery("its volume is being filled", writes=before or (create(job),))


def _course(o: Observed, child: Child, its: Kin, volume: Volume) -> Delivery:
    match runs.outcome(child.job, o.pods[child.key]):
        case Succeeded(result=result):
            if _said(result) == its.digest:
                return Delivery(done=True, into={"claimName": volume.claim_name})
            return _failed(o, child, f"{child.key} ended well, and does not say that it has {its.digest}")
        case Failed(message=text, tail=tail):
            return _failed(o, child, f"{text}: {tail}" if tail else text)
        case Waiting(message=text):
            return Delivery(text)
        case Running(problem=problem):
            return Delivery(problem or "its volume is being filled")


def _failed(o: Observed, child: Child, text: str) -> Delivery:
    ended = child.job.finished if child.job else None
    left = _PAUSE - (o.now - ended).total_seconds() if ended else 0.0
    again = f"mend that; it is tried anew {_PAUSE:.0f} s after it failed, or once that Job is deleted"
    if left > 0:
        return Delivery(f"{text}; {again}", failed=True, requeue_after=left)
    return Delivery(f"{text}; {again}", failed=True, writes=(delete(child),))


def _said(result: str) -> str:
    """The digest that the program has left; it is a stranger's word until it is compared."""
    try:
        found = orjson.loads(untrusted.line(result, 2000))
    except orjson.JSONDecodeError:
        return ""
    return str(found.get("digest", "")) if isinstance(found, dict) else ""
