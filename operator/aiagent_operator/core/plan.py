"""What a decision reads and what it yields: facts in, writes and verdicts out."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from aiagent_operator.api.aiagent import AIAgent
from aiagent_operator.api.archive import Gap
from aiagent_operator.api.archivestatus import Capture
from aiagent_operator.api.conditions import Reason, Verdict
from aiagent_operator.core.children.memory import Intake
from aiagent_operator.core.children.network_policy import DnsPeers
from aiagent_operator.core.evaluation.asking import Asking, Measured
from aiagent_operator.core.objects import AgentIdentity, Child, ChildKind, Desired, Manifest, ObjectKey
from aiagent_operator.core.orders import Order
from aiagent_operator.core.policies.merged import NOTHING, Merged
from aiagent_operator.core.retraining.due import View, Wait
from aiagent_operator.core.rights import asked
from aiagent_operator.core.rights.exposure import Exposure
from aiagent_operator.core.rights.grants import CompiledRole, NamespaceFacts
from aiagent_operator.core.rights.rules import Ceiling, Rule
from aiagent_operator.core.rollout.facts import RolloutOrder
from aiagent_operator.core.runs.facts import PodFacts
from aiagent_operator.core.succession import NOBODY, Became, Bequest, Family
from aiagent_operator.core.supervision.drift import Seen
from aiagent_operator.core.versions.revisions import RetrainOrder, RollbackOrder

BEGINNING = datetime.min.replace(tzinfo=UTC)
# A rule in the namespace where it held.
Held = tuple[str, Rule]


class Verb(StrEnum):
    """How a write reaches the API server."""

    CREATE = "create"
    REPLACE = "replace"
    DELETE = "delete"
    APPLY = "apply"
    MERGE = "merge"
    REPORT = "report"


class Finalizer(StrEnum):
    """What is to be done about the agent's finalizer."""

    KEEP = "keep"
    ADD = "add"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class Write:
    """One write. `grants` says that somebody may do more after it, so that only a sure leader sends it."""

    verb: Verb
    key: ObjectKey
    body: Manifest | None = None
    uid: str = ""
    digest: str = ""
    grants: bool = False
    force: bool = False
    manager: str = ""


def create(desired: Desired, *, grants: bool = False) -> Write:
    """The write that makes a child."""
    return Write(Verb.CREATE, desired.key, desired.manifest, digest=desired.digest, grants=grants)


def replace(child: Child, desired: Desired, *, grants: bool = False) -> Write:
    """The write that puts a child right, on the very version that was observed."""
    metadata = desired.manifest["metadata"] | {"resourceVersion": child.resource_version, "uid": child.uid}
    body = desired.manifest | {"metadata": metadata}
    return Write(Verb.REPLACE, child.key, body, uid=child.uid, digest=desired.digest, grants=grants)


def onto(live: Mapping[str, Any], body: Mapping[str, Any]) -> Manifest:
    """The body of a replacement that leaves what others have put on the object: labels, annotations, finalizers.

    Of the fields beside metadata only those that the body names change: an account keeps its imagePullSecrets.
    """
    metadata = {k: v for k, v in live["metadata"].items() if k not in ("managedFields", "ownerReferences")}
    own = body["metadata"]
    together = {
        field: {**(metadata.get(field) or {}), **own[field]} for field in ("labels", "annotations") if field in own
    }
    return {**live, **body, "metadata": {**metadata, **own, **together}}


def report(child: Child, status: Manifest) -> Write:
    """The write of an object's status, on the very version that was observed."""
    metadata = {"resourceVersion": child.resource_version, "uid": child.uid}
    return Write(Verb.REPORT, child.key, {"metadata": metadata, "status": status}, uid=child.uid)


def delete(child: Child) -> Write:
    """The write that removes a child, and nothing else that may have come under its name."""
    return Write(Verb.DELETE, child.key, uid=child.uid)


# Kinds whose content cannot be changed in place: a wrong one is deleted and made anew.
_IMMUTABLE = (ChildKind.CONFIG_MAP,)


def settle(o: Observed, desired: Desired) -> Write | None:
    """The write that brings a child to what it should be; None where it is so, or on its way out."""
    child = o.children.get(desired.key)
    if child is None:
        return create(desired)
    if child.digest == desired.digest or child.deleting:
        return None
    return delete(child) if desired.key.kind in _IMMUTABLE else replace(child, desired)


@dataclass(frozen=True, slots=True)
class Failure:
    """A write that the API server refused and that is not worth repeating at once."""

    digest: str
    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Proof:
    """Outcome of asking the API server whether anything remains of the agent's rights.

    `remaining` names what is still in force through the agent's own bindings; `residual` what reaches its name through
    a group or a stranger's binding and is not the operator's to take. `answers`: what it said to each question, and
    `ended_at` when nothing of the agent's own was there any more.
    """

    remaining: tuple[str, ...] = ()
    residual: tuple[str, ...] = ()
    answers: tuple[asked.Asking, ...] = ()
    ended_at: datetime = BEGINNING


@dataclass(frozen=True, slots=True)
class Environment:
    """What is the same for all agents: the ceiling of what is grantable, and where pods may always connect to."""

    ceiling: Ceiling
    endpoints: tuple[tuple[str, int], ...]
    dns: DnsPeers


@dataclass(frozen=True, slots=True)
class Room:
    """Whether the journal of the agent takes another event. Without room nothing is given to the agent."""

    free: bool


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything that a decision about one agent rests on.

    `time` is RFC 3339 in UTC, to the second; `moment` is the same, exactly. `policies`: what those that select the
    agent demand together. `training`: what follows from these, and `drift`: what is known of that; `held`: what was
    found of the revision that serves and keeps others from taking over: the decision itself fills these in. `admitted`:
    others leave it room to be trained now. `slot`: else for which it waits, where that is known. `steering`: orders
    about its rollout. `pods` are those of Jobs that a plan needed, as read after the Job was observed as it is in
    `children`; `measured` what Prometheus has answered. `journal`: whether it takes another event; None where there is
    none. `offboards`: orders to offboard it, those too whose notice is not over. `abandon`: one that was accepted, to
    release it without an archive. `running`: names of its pods that have not ended; None where nobody has looked.
    `intake`: where its volumes are sent to, or what it inherits comes from, once a plan has needed it. `family`: whom
    it comes after, and who comes after it. `bequest`: what became of what a store was to be given for it. `ended`: UIDs
    of objects of which the API server has answered that they are gone, some of them.
    """

    agent: AIAgent
    raw_spec: Mapping[str, Any]
    identity: AgentIdentity
    environment: Environment
    role: CompiledRole | None
    namespaces: Mapping[str, NamespaceFacts]
    children: Mapping[ObjectKey, Child]
    failures: Mapping[ObjectKey, Failure] = field(default_factory=dict)
    live: Mapping[ObjectKey, Manifest | None] = field(default_factory=dict)
    generations: Mapping[str, int] = field(default_factory=dict)
    instructions: str | None = None
    instructions_missing: str = ""
    exposures: tuple[Exposure, ...] = ()
    pod_problems: tuple[str, ...] = ()
    proof: Proof | None = None
    orders: tuple[Order, ...] = ()
    rollback: RollbackOrder | None = None
    retrains: tuple[RetrainOrder, ...] = ()
    policies: Merged = NOTHING
    training: View | None = None
    slot: Wait | None = None
    admitted: bool = False
    steering: tuple[RolloutOrder, ...] = ()
    time: str = ""
    moment: datetime = BEGINNING
    definition_terminating: bool = False
    pods: Mapping[ObjectKey, tuple[PodFacts, ...]] = field(default_factory=dict)
    measured: Measured = field(default_factory=dict)
    drift: Seen | None = None
    held: str = ""
    journal: Room | None = None
    offboards: tuple[Order, ...] = ()
    abandon: Order | None = None
    running: tuple[str, ...] | None = None
    intake: Intake | None = None
    family: Family = NOBODY
    bequest: Became | None = None
    ended: Container[str] = ()

    @property
    def suspended(self) -> bool:
        """Whether the agent's own spec, an order, or the age of its training takes its rights away."""
        return self.agent.spec.suspended or bool(self.orders) or (self.training is not None and self.training.suspend)

    @property
    def hired_as(self) -> str:
        """Name of the role that the agent is hired as, empty before it is: the operator's own word, in the status."""
        found: str = self.agent.status.get("hiredAs") or ""
        return found

    def of(self, kind: ChildKind) -> tuple[Child, ...]:
        """The children of a kind, in the order of their keys."""
        return tuple(self.children[key] for key in sorted(key for key in self.children if key.kind is kind))

    def refusal(self, write: Write | Desired) -> Failure | None:
        """What the API server said to this very write, or to making this child, where it refused it a moment ago."""
        failure = self.failures.get(write.key)
        return failure if failure and failure.digest == write.digest else None

    @property
    def now(self) -> datetime:
        """The time, as decisions about times need it."""
        return datetime.fromisoformat(self.time)

    @property
    def terminating(self) -> bool:
        """Whether the agent's own namespace is going away: nothing can be created in it any more."""
        facts = self.namespaces.get(self.identity.namespace)
        return facts is not None and facts.terminating


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do now, and what is true.

    `writes` may all be sent at once; what must come after them is in the next plan, made from what was observed then.
    `revokes`: they take rights away, and what comes after them is less urgent than other agents' revocations.
    `needs` are objects to read whole before anything can be decided about them, `needs_pods` Jobs whose pods are to be
    read before, `needs_running` the agent's own pods. `measure` is asked while the pass goes on to its end; the answers
    are in `measured` of the next one.
    `status` holds the fields of the status other than conditions. `first` are those of them that must stand there
    before any write is sent: a crash in between leaves the same decision. `training`: what it rests on. `archive`: all
    that it held is proved gone, and what it leaves behind is to be archived. `capture`: what is to be read before that,
    while it is there, and while the pass goes on to its end. `outside`: it is not employed, and nothing of it is told
    in a journal. `needs_intake`: where its volumes are to be sent to; `needs_outlet`: where what it inherits is to be
    had. `bequest`: what a store is to be given for it, beside the passes. `missing`: the capture of a volume is over,
    and it is said to be missing unless it is noted to be there. `handover`: what its AgentArchive is to say of how it
    has handed over, before anything else.
    `requeue_after` is in seconds, and so is `patience`: what this very pass has begun mostly ends within it, so it is
    said only of what has not.
    """

    writes: tuple[Write, ...] = ()
    finalizer: Finalizer = Finalizer.KEEP
    needs: frozenset[ObjectKey] = frozenset()
    needs_pods: frozenset[ObjectKey] = frozenset()
    needs_proof: tuple[Held, ...] | None = None
    needs_running: bool = False
    measure: tuple[Asking, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    status: Mapping[str, Any] = field(default_factory=dict)
    first: Mapping[str, Any] = field(default_factory=dict)
    revokes: bool = False
    archive: bool = False
    capture: frozenset[Capture] = frozenset()
    outside: bool = False
    needs_intake: bool = False
    needs_outlet: bool = False
    bequest: Bequest | None = None
    missing: Gap | None = None
    handover: Mapping[str, Any] | None = None
    training: View | None = None
    requeue_after: float | None = None
    patience: float = 0.0

    @property
    def remembers(self) -> bool:
        """Whether it asks for a step in capturing a volume of the agent's, or in filling another one's."""
        return self.needs_intake or self.needs_outlet or self.missing is not None
