"""Decision about an agent that takes over from another one: it is not hired before that one has handed over.

Who is hired already goes on with what it has, and takes over beside its work. What it has taken over stands in its
status before it gets the first right.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from aiagent_operator.api.agentstatus import PermissionState
from aiagent_operator.api.conditions import Reason, Type, Verdict
from aiagent_operator.core import bequests, delivering, status, succession
from aiagent_operator.core.delivering import Delivery
from aiagent_operator.core.objects import ChildKind
from aiagent_operator.core.plan import Observed, Plan, Write
from aiagent_operator.core.rights.grants import Grants, PermissionDecision
from aiagent_operator.core.succession import Kin
from aiagent_operator.core.workload import WorkloadPlan

# Seconds: the status says what was taken over, and what follows from that is the next pass's.
_AT_ONCE = 0.1


@dataclass(frozen=True, slots=True)
class Heir:
    """How far it is. `verdict`: why it has not taken over yet; None where it has, or takes over from nobody. `status`:
    what it takes over now. `delivery`: how far its volume is; `writes`: what is to be removed beside."""

    verdict: Verdict | None = None
    status: Mapping[str, Any] = field(default_factory=dict)
    delivery: Delivery | None = None
    writes: tuple[Write, ...] = ()


def look(o: Observed) -> Heir:
    """How far the agent is with what it takes over."""
    name = succession.predecessor(o)
    left = delivering.leftover(o)
    if not name or succession.received(o):
        return Heir(writes=left)
    if problem := _problem(o, name):
        return Heir(_says(Reason.SUCCESSION_INVALID, problem), writes=left)
    its = o.family.after
    if its is None or not its.archive:
        return Heir(_says(Reason.WAITING_FOR_HANDOVER, _until(o, name, its)), writes=left)
    text = f"Takes over from AIAgent {name}, which is archived as AgentArchive {its.archive}"
    delivery = _delivery(o, its)
    if delivery is None:
        return Heir(_says(Reason.WAITING_FOR_HANDOVER, text), {"succession": _taken(o, its)}, writes=left)
    if delivery.done:
        taken = {**_taken(o, its), **delivery.into}
        return Heir(_says(Reason.WAITING_FOR_HANDOVER, text), {"succession": taken}, writes=left)
    why = Reason.SUCCESSION_INVALID if delivery.failed else Reason.WAITING_FOR_HANDOVER
    return Heir(_says(why, f"{text}; {delivery.text}"), delivery=delivery, writes=delivery.writes)


def _delivery(o: Observed, its: Kin) -> Delivery | None:
    """How far it is into the volume or the store; None where it asks for neither. What a Job fills a volume with is of
    no use to one that asks for a store."""
    asked = o.agent.spec.succession
    if asked is not None and asked.volume is not None:
        return delivering.look(o, its, asked.volume)
    if asked is not None and asked.store is not None:
        return replace(bequests.look(o, its, asked.store), writes=delivering.leftover(o))
    return None


def holds(o: Observed, heir: Heir) -> bool:
    """Whether it is not hired for that."""
    bound = any(key.kind is ChildKind.ROLE_BINDING for key in o.children)
    return heir.verdict is not None and not o.hired_as and not bound


def waiting(o: Observed, heir: Heir, role: Verdict, grants: Grants, exposed: Verdict | None) -> Plan:
    """The plan for one that is not hired before it has taken over: nothing is made for it."""
    why = heir.verdict or _says(Reason.WAITING_FOR_HANDOVER, "")
    pending = Grants(tuple(_pending(decision, why) for decision in grants.decisions), {})
    work = WorkloadPlan(verdict=replace(why, type=Type.WORKLOAD_READY))
    return beside(o, status.compose(o, role, pending, work, exposed, revision=why), heir)


def beside(o: Observed, plan: Plan, heir: Heir) -> Plan:
    """The plan of an agent that goes on with its work, with what it takes over now."""
    if plan.revokes or plan.needs:
        return plan  # what takes rights away waits for nothing
    writes = tuple(write for write in heir.writes if not o.refusal(write))
    found, again = heir.delivery, [plan.requeue_after]
    again += [_AT_ONCE] if heir.status and not writes else []
    again += [found.requeue_after] if found else []
    return replace(
        plan,
        writes=(*plan.writes, *writes),
        verdicts=(*plan.verdicts, *_troubles(plan, heir)),
        # What was taken over is said before what has delivered it goes.
        first={**plan.first, **heir.status} if heir.status else plan.first,
        status={**plan.status, **heir.status},
        needs_outlet=found.needs_outlet if found else False,
        bequest=found.bequest if found else None,
        needs_pods=plan.needs_pods | (found.needs_pods if found else frozenset()),
        requeue_after=min(filter(None, again), default=None),
    )


def _troubles(plan: Plan, heir: Heir) -> tuple[Verdict, ...]:
    """HandoverFailed, where nothing else says what a person has to mend: who is hired is ready all the same."""
    its = heir.verdict
    if its is None or its.reason is not Reason.SUCCESSION_INVALID or its in plan.verdicts:
        return ()
    return (replace(its, type=Type.HANDOVER_FAILED, status=True),)


def _problem(o: Observed, name: str) -> str:
    """What keeps it from ever taking over, until a person does something about it."""
    its = o.family.after
    if o.journal is None:
        return (
            "No agent is archived here (value archive.enabled), so that nothing is handed over: take spec.succession "
            "out"
        )
    if o.family.circle:
        return f"{' comes after '.join((*o.family.circle, o.identity.name))}: take spec.succession out of one of them"
    if its is not None and its.successor != o.identity.name:
        return (
            f"AIAgent {name} does not name it: whoever may change that one sets its spec.retirement.successorRef.name "
            f"to {o.identity.name}; or take spec.succession out"
        )
    return ""


def _until(o: Observed, name: str, its: Kin | None) -> str:
    if its is None:
        return f"Waits for the handover of AIAgent {name}, which does not exist: apply it, or take spec.succession out"
    if not its.leaves:
        return (
            f"Waits for the handover of AIAgent {name}, which has not left: order Offboard "
            f"(kubectl aiagent offboard {name} -n {o.identity.namespace}), or delete it"
        )
    return f"Waits for the handover of AIAgent {name}, which is leaving ({its.ready})"


def _taken(o: Observed, its: Kin) -> dict[str, Any]:
    known = o.agent.status.get("succession") or {}
    same = (known.get("predecessor") or {}).get("uid") == its.uid
    # A claim that is named later makes no other handover of it.
    kept = {"acceptance": known["acceptance"]} if same and known.get("acceptance") else {}
    return kept | {
        "predecessor": {"name": its.name, "uid": its.uid},
        "archive": its.archive,
        "digest": its.digest,
        "time": o.time,
    }


def _says(reason: Reason, text: str) -> Verdict:
    return Verdict(Type.REVISION_ACCEPTED, False, reason, text)


def _pending(decision: PermissionDecision, why: Verdict) -> PermissionDecision:
    if decision.state is not PermissionState.GRANTED:
        return replace(decision, namespaces=(), rules=())
    return PermissionDecision(decision.name, PermissionState.PENDING, why.reason, why.message)
