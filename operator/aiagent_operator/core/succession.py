"""Who takes over from an agent that leaves, and whether both agree: each names the other in its own spec.

So nobody claims a stranger's inheritance, and nobody is given one that he has not asked for. Table of states:
docs/succession.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from aiagent_operator.api.archive import Lineage, Relative
from aiagent_operator.api.conditions import Reason
from aiagent_operator.api.succession import Acceptance
from aiagent_operator.core import texts, written

if TYPE_CHECKING:
    from aiagent_operator.core.plan import Observed


@dataclass(frozen=True, slots=True)
class Kin:
    """Another agent of the namespace, as it was last seen.

    `successor` and `predecessor`: names in its spec. `archive`: its AgentArchive, once that is complete, with `digest`,
    that of its manifest. `leaves`: it has begun to leave. `hired`: it has rights, or may have them. `received`: what
    it has taken over, as its status says. `ready`: the reason of its condition Ready.
    """

    name: str
    uid: str
    successor: str = ""
    predecessor: str = ""
    archive: str = ""
    digest: str = ""
    leaves: bool = False
    hired: bool = False
    received: Mapping[str, Any] = field(default_factory=dict)
    ready: str = ""


@dataclass(frozen=True, slots=True)
class Bequest:
    """What is to be delivered, and where: the archive with this digest of its manifest, into this store."""

    store: str
    archive: str
    digest: str


@dataclass(frozen=True, slots=True)
class Became:
    """What became of it. `digest`: of its manifest in the store, where all is there; else `text` says what a person
    has to mend where it `failed`, or for what it waits."""

    of: Bequest
    digest: str = ""
    text: str = ""
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Family:
    """The agents that an agent names: whom it comes `after`, and who comes `next`. `circle`: names of agents that wait
    for each other, the agent's own first. `recorded`: nothing is to be put on record of how its own handover ended.
    `ended`: that is on record. `left`: its own archive, where there is one, has something to hand over. `former`: who
    had its name before, as an agent that is rehired has."""

    after: Kin | None = None
    next: Kin | None = None
    circle: tuple[str, ...] = ()
    recorded: bool = False
    ended: bool = False
    left: bool = True
    former: Relative | None = None


NOBODY: Final = Family()


def named(spec: Mapping[str, Any]) -> tuple[str, str]:
    """The names of predecessor and successor in a spec as it was written; empty where there are none."""
    before = written.text(spec, "succession", "predecessorRef", "name")
    return before, written.text(spec, "retirement", "successorRef", "name")


def predecessor(o: Observed) -> str:
    """The name of the agent after which it comes; empty where there is none."""
    asked = o.agent.spec.succession
    return asked.predecessor_ref.name if asked else ""


def successor(o: Observed) -> str:
    """The name of the agent that comes after it; empty where there is none."""
    retirement = o.agent.spec.retirement
    return retirement.successor_ref.name if retirement and retirement.successor_ref else ""


def received(o: Observed) -> bool:
    """Whether it has taken over from the one that its spec names, and into the volume or store that it names."""
    found = o.agent.status.get("succession") or {}
    asked = o.agent.spec.succession
    if asked is not None and asked.volume is not None and asked.volume.claim_name != found.get("claimName"):
        return False
    if asked is not None and asked.store is not None and asked.store != (found.get("delivery") or {}).get("store"):
        return False
    return (found.get("predecessor") or {}).get("name") == predecessor(o)


def to_be_accepted(o: Observed) -> bool:
    """Whether a person is to accept what it takes over before it is hired. Who is hired is accepted by that, and what
    says so is the operator's own word: a binding that somebody has labelled as the agent's is not."""
    asked = o.agent.spec.succession
    return asked is not None and asked.acceptance is Acceptance.REQUIRED and not o.hired_as


def handed(o: Observed) -> dict[str, Any] | None:
    """`status.offboarding.handover`: what its successor has taken over; None before that."""
    its = o.family.next
    if its is None or (its.received.get("predecessor") or {}).get("uid") != o.identity.uid:
        return None
    return {"successor": {"name": its.name, "uid": its.uid}, "digest": its.received["digest"]}


def waits(o: Observed) -> str:
    """For what the end of an agent waits that is archived; empty where nobody is to take over, or has, or where it is
    waited for no longer."""
    # What has ended stays so: a successor may leave, or come after somebody else, while the object is there.
    if o.family.ended or (o.agent.status.get("offboarding") or {}).get("completionTime"):
        return ""
    text = "" if released(o) else _waits(o)
    late = text and overdue(o)
    return f"{text}. It is late {late}" if late else text


def deadline(o: Observed) -> datetime | None:
    """Until when its successor should have taken over, by its policies; None where none says anything."""
    archived, most = (o.agent.status.get("archive") or {}).get("completed"), o.policies.handover
    return datetime.fromisoformat(archived) + most.value if archived and most else None


def overdue(o: Observed) -> str:
    """Since when it is late, and who says so; empty while it is not."""
    due = deadline(o)
    if due is None or o.moment < due or o.policies.handover is None:
        return ""
    return f"since {texts.moment(due)}, as {texts.some([str(source) for source in o.policies.handover.sources])} asks"


def released(o: Observed) -> bool:
    """Whether it ends though its successor is not hired. A policy that cannot be read may forbid that."""
    return bool(overdue(o)) and not o.policies.waits and o.policies.readable and bool(_waits(o))


def _waits(o: Observed) -> str:
    name, its = successor(o), o.family.next
    # What is in a namespace that is being deleted takes nothing over any more.
    if not name or o.terminating or not o.family.left:
        return ""
    out = "or take spec.retirement.successorRef out"
    if its is None:
        return f"AIAgent {name} is to take over, and does not exist: apply it, {out}"
    if its.predecessor != o.identity.name:
        return (
            f"AIAgent {name} is to take over, and does not ask for it: set its spec.succession.predecessorRef.name to "
            f"{o.identity.name}, {out}"
        )
    if its.leaves:
        return f"AIAgent {name} is to take over, and leaves itself: name another one, {out}"
    if handed(o) is None:
        return f"waiting for AIAgent {name} to take over ({its.ready})"
    if not its.hired and its.ready == Reason.WAITING_FOR_ACCEPTANCE:
        order = f"kubectl aiagent promote {name} -n {o.identity.namespace} --reason WHY"
        return f"AIAgent {name} has taken over, and waits for its owner to accept that: {order} (verb promote)"
    if not its.hired:
        return f"AIAgent {name} has taken over, and is not hired yet ({its.ready}): its own Ready says why"
    return ""


def outcome(o: Observed) -> str | None:
    """What is to be known of the step Handover of an agent that has left; None where nobody was to take over."""
    name = successor(o)
    if not name or o.journal is None:
        return None
    its = handed(o)
    if its is None:
        why = "the namespace was being deleted" if o.family.left else "there is no archive of it"
        why = f"it was late {overdue(o)}" if released(o) else why
        return f"AIAgent {name} has taken nothing over: {why}"
    text = f"AIAgent {name} has taken over, up to {its['digest']}"
    return f"{text}, and was not hired: it was late {overdue(o)}" if released(o) else text


def record(o: Observed) -> dict[str, Any] | None:
    """`status.handover` of its AgentArchive, where that is still to be written; None where nothing is."""
    text, its = outcome(o), handed(o)
    if text is None or o.family.recorded:
        return None
    said = {"time": o.time, "message": text} | ({"successor": its["successor"]} if its else {})
    received = o.family.next.received if its and o.family.next else {}
    return said | {field: received[field] for field in ("acceptance", "delivery") if received.get(field)}


def lineage(o: Observed) -> Lineage:
    """Whom it came after, and who comes after it, as its archive says it."""
    known, its = o.agent.status.get("succession") or {}, o.family.next
    home = o.identity.namespace
    before = known.get("predecessor")
    return Lineage(
        predecessor=Relative(namespace=home, archive=known["archive"], **before) if before else None,
        former=o.family.former,
        successor=(
            Relative(namespace=home, name=its.name, uid=its.uid)
            if its is not None and its.predecessor == o.identity.name
            else None
        ),
    )
