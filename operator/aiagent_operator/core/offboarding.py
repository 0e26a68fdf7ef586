"""Decision about an agent that leaves: it is deleted, or an order offboards it.

Order, each step only when the one before is observed: bindings; what its pods have logged; Roles, work and runs; its
volumes are captured; accounts, handbook and, once no pod is left that they limit, the network policies; proof; archive;
the records that are in it; finalizer. Of one that leaves by plan logs, work and runs come first, until its pods have
ended or its time is up. Nothing but what captures volumes is created in its namespace, and not even that in one that
is terminating, so that it ends. Who is offboarded by order stays as an object that says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from aiagent_operator.api import meta
from aiagent_operator.api.agentstatus import Phase
from aiagent_operator.api.archive import Gap, Mode
from aiagent_operator.api.archivestatus import Capture
from aiagent_operator.api.conditions import Reason, Type, Verdict
from aiagent_operator.core import (
    abandoning,
    capturing,
    escalations,
    kpis,
    leaving,
    memories,
    retired,
    strays,
    succession,
    texts,
    workload,
)
from aiagent_operator.core.archive import index
from aiagent_operator.core.archive.steps import Step
from aiagent_operator.core.leaving import Leave
from aiagent_operator.core.objects import AgentIdentity, Child, ChildKind, Manifest, ObjectKey
from aiagent_operator.core.plan import Finalizer, Observed, Plan, delete
from aiagent_operator.core.rights import holdings
from aiagent_operator.core.workload import traffic

_WORK = (ChildKind.DEPLOYMENT, ChildKind.STATEFUL_SET)
# Whatever has pods: it is there until they are gone.
_PODS = (*_WORK, ChildKind.JOB)
# Seconds between two looks at the pods of an agent that ends its work.
_POLL: Final = 3.0
# Seconds until the next pass, where one has said what it is about to do.
_SOON: Final = 0.01
# Seconds in which what is told to go mostly goes, its pods aside: nobody has to read of that.
_PATIENCE: Final = 5.0
_READING: Final = "reading what its pods have logged before they go"
_ARCHIVING: Final = "putting its handbook and what else is known of it into the archive"


def decide(o: Observed) -> Plan:
    """The plan for an agent that leaves."""
    leave = leaving.look(o)
    return _without_refused(o, _Departure(o, leave).plan()) if leave else Plan()


@dataclass(frozen=True, slots=True)
class _Departure:
    """One look at an agent that leaves."""

    o: Observed
    leave: Leave

    def plan(self) -> Plan:
        o = self.o
        if not self.leave.deleted and not o.children and not leaving.employed(o.agent.status):
            return retired.not_hired(self.leave)
        if meta.FINALIZER not in o.agent.metadata.finalizers:
            # Whoever took it off from one that is not deleted has left what the agent has.
            return Plan() if self.leave.deleted else Plan(finalizer=Finalizer.ADD)
        if o.definition_terminating:
            text = (
                "The definition of AIAgent is being deleted, and nobody meant to offboard every agent by that: paused, "
                "all rights in force. A definition that is being deleted cannot be kept: save this object, remove its "
                "finalizer with the verb abandon, and apply definition and object again"
            )
            return self._waiting(text, reason=Reason.DEFINITION_TERMINATING, requeue=30.0)
        if leaving.completed(o.agent.status) and not o.children and not self.leave.deleted:
            return self._ended()
        bindings = _of(o, ChildKind.ROLE_BINDING)
        if bindings:
            return self._drain() or self._step(bindings, "revoking: waiting for the bindings to be gone")
        return self._terminate()

    def _drain(self) -> Plan | None:
        """What ends its pods while it keeps its rights; None once they have ended, or the time is up."""
        o = self.o
        if self.leave.mode is Mode.EMERGENCY or o.moment >= self.leave.rights_end:
            return None
        if capture := self._capture():
            text = f"draining until {texts.moment(self.leave.rights_end)}, with its rights: {_READING}"
            again = (self.leave.rights_end - o.moment).total_seconds()
            return self._waiting(text, plan=capture, requeue=again)
        ending = self._end_work(())
        left = _of(o, *_PODS)
        if not ending.writes and not ending.needs:
            if o.running is None:
                return Plan(needs_running=True)
            if not left and not o.running:
                return None
        what = ", ".join(f"pod {name}" for name in o.running or ()) or ", ".join(map(str, sorted(left)[:16]))
        text = f"draining until {texts.moment(self.leave.rights_end)}, with its rights: waiting for {what} to end"
        again = min(_POLL, max(0.0, (self.leave.rights_end - o.moment).total_seconds()))
        return self._waiting(text, plan=ending, requeue=again)

    def _capture(self) -> Plan | None:
        """What is to be read of its pods before they are told to end; None where that is done, or there are none."""
        due = capturing.due(self.o, _more(self.o)) if set(_of(self.o, *_PODS)) - memories.every(self.o) else None
        return Plan(capture=due) if due else None

    def _terminate(self) -> Plan:
        """What is removed once no right is bound."""
        o = self.o
        given_up = abandoning.granted(o)
        if not given_up and (capture := self._capture()):
            return self._waiting(f"Its rights have ended; {_READING}", plan=capture)
        remembering = self._remembering()
        roles = [key for key in _of(o, ChildKind.ROLE, ChildKind.JOB) if key not in remembering]
        if roles or set(_of(o, *_PODS)) - remembering:
            return self._step(roles, "removing: waiting for Roles, work and runs to be gone", self._end_work(roles))
        if not given_up and (volume := memories.decide(o)) is not None:
            return replace(volume, status=self._status())
        due = frozenset[Capture]() if given_up else capturing.rest(o, _more(o))
        # Whatever its store does, nobody acts as it: only what is still to be captured stays.
        kept = _records(o)
        staying = kept | set(_of(o, ChildKind.CONFIG_MAP)) if due else kept
        if rest := [key for key in o.children if key not in staying]:
            what = "account, handbook and network policy" if kept or o.journal is None else "what is archived"
            return self._step(rest, f"removing: waiting for {what} to be gone")
        if due:
            return self._rest(due)
        lost = {key: uid for key, uid in strays.find(o).items() if key not in kept}
        if unread := frozenset(lost) - o.live.keys():
            return Plan(needs=unread)
        found = [write for key, uid in lost.items() if (write := strays.removal(o, key, uid))]
        if found:
            return self._waiting("removing what lost its labels", plan=Plan(writes=tuple(found)), requeue=1.0)
        return self._handed_over() if _archived(o) else self._proved()

    def _rest(self, due: frozenset[Capture]) -> Plan:
        """What is captured of it when its work has ended. From then on nobody calls it back: the first that is noted
        holds, and would not be about what it did later."""
        said, hint = self.o.agent.status.get("archive") or {}, abandoning.hint(self.o)
        text = f"Its rights have ended; {_ARCHIVING}{f'. {hint}' if hint else ''}"
        if "capturing" in said:
            return self._waiting(text, plan=Plan(capture=due))
        # A journal that is full, or that nobody can read, keeps this from being said.
        free = self.o.journal is None or self.o.journal.free
        first = self._waiting(text, requeue=_SOON if free else _POLL)
        begun = {**said, "name": index.name(self.o.identity), "capturing": self.o.time}
        return replace(first, status={**first.status, "archive": begun})

    def _proved(self) -> Plan:
        """What comes once nothing of the agent's is left but its records."""
        o = self.o
        if o.proof is None:
            return replace(self._waiting("Proving that no right remains"), needs_proof=holdings.rights_held(o))
        if o.proof.remaining:
            return self._waiting(f"Still in force, asking again: {'; '.join(o.proof.remaining)}", requeue=1.0)
        if o.journal is None:
            return self._ended()
        if abandoning.granted(o):
            # A journal that is full would keep even this from being said.
            return Plan(archive=True)
        # Its journal ends with its archive, and has to tell of these steps.
        return Plan(archive=True, first={"offboarding": leaving.fields(o, self.leave, self._steps())})

    def _handed_over(self) -> Plan:
        """What comes once it is archived: the object stays until its successor has taken over."""
        if waits := succession.waits(self.o):
            text = f"Its rights have ended, and it is archived; {waits}"
            due = succession.deadline(self.o)
            left = (due - self.o.moment).total_seconds() if due else 0.0
            return self._waiting(text, reason=Reason.WAITING_FOR_SUCCESSOR, requeue=left if left > 0 else None)
        if (record := succession.record(self.o)) is not None:
            return Plan(handover=record)
        return self._ended()

    def _ended(self) -> Plan:
        """What comes once it has left."""
        if self.leave.deleted:
            return Plan(finalizer=Finalizer.REMOVE)
        return retired.plan(self.o, self.leave, self._steps(ended=True))

    def _end_work(self, beside: Iterable[ObjectKey]) -> Plan:
        """The writes that end its work and its runs, and give back what was adopted."""
        o = self.o
        work = workload.leave(o, ())
        released = traffic.release(o)
        services = [write for write in released.writes if write.key not in o.failures]
        own = {*beside, *_of(o, ChildKind.JOB)} - self._remembering()
        runs = (delete(o.children[key]) for key in sorted(own) if not o.children[key].deleting)
        return Plan(writes=(*runs, *work.writes, *services), needs=work.needs | released.needs)

    def _remembering(self) -> frozenset[ObjectKey]:
        """The Jobs that capture a volume, which stay until they are done; none where nothing is archived any more."""
        return frozenset() if abandoning.granted(self.o) else memories.jobs(self.o)

    def _step(self, keys: Iterable[ObjectKey], waiting: str, plan: Plan | None = None) -> Plan:
        waited = sorted(keys)
        if plan is None:
            own = self.o.children
            plan = Plan(writes=tuple(delete(own[key]) for key in waited if not own[key].deleting))
        said = self._waiting(f"{waiting}: {', '.join(map(str, waited[:16]))}", plan=plan, requeue=30.0)
        return replace(said, patience=_PATIENCE)

    def _waiting(
        self, text: str, *, reason: Reason = Reason.OFFBOARDING, plan: Plan | None = None, requeue: float | None = None
    ) -> Plan:
        return replace(plan or Plan(), verdicts=_verdicts(reason, text), status=self._status(), requeue_after=requeue)

    def _status(self) -> dict[str, Any]:
        # The inventory stays as it was: it is how a child without its labels is still found.
        return {"phase": Phase.OFFBOARDING.value, "offboarding": leaving.fields(self.o, self.leave, self._steps())}

    def _steps(self, *, ended: bool = False) -> dict[Step, str]:
        """The steps that are done, each with what is to be known of it."""
        o, planned = self.o, self.leave.mode is Mode.PLANNED
        revoked = not _of(o, ChildKind.ROLE_BINDING)
        steps = {Step.CORDON: ""} if planned else {}
        if planned and (revoked or o.moment >= self.leave.rights_end):
            left = o.running or sorted(map(str, _of(o, *_PODS)))
            steps[Step.DRAIN] = f"its time was up, and it had not ended: {texts.some(left)}" if left else ""
        if revoked:
            steps[Step.REVOKE] = ""
        if revoked and not o.children.keys() - _records(o):
            steps[Step.TERMINATE] = ""
        if _archived(o) or (ended and o.journal is not None):
            steps[Step.ARCHIVE] = ""
        if ended and (handed := succession.outcome(o)) is not None:
            steps[Step.HANDOVER] = handed
        return steps


def given_up(o: Observed) -> tuple[Gap, ...]:
    """What is not in its archive since an order Abandon lets it go: nothing where there is none."""
    return (*capturing.given_up(o, _more(o)), *memories.given_up(o)) if abandoning.granted(o) else ()


def _more(o: Observed) -> frozenset[Capture]:
    """What there is of it to be captured, beside its logs and its handbook."""
    retirement = o.agent.spec.retirement
    found = {
        Capture.KPIS: kpis.series(o),
        Capture.ESCALATIONS: escalations.waiting(o),
        # On a volume it comes with the others (`memories`).
        Capture.DECISIONS: retirement and retirement.decision_log and retirement.decision_log.store,
    }
    return frozenset(capture for capture, what in found.items() if what)


def _archived(o: Observed) -> bool:
    """Whether its archive is complete: then it is also proved that it has no right left."""
    return o.journal is not None and bool((o.agent.status.get("archive") or {}).get("completed"))


def _records(o: Observed) -> frozenset[ObjectKey]:
    """What stays until it is archived: the records of what the agent was and how it was judged."""
    if o.journal is None or _archived(o):
        return frozenset()
    return frozenset(_of(o, ChildKind.AGENT_REVISION, ChildKind.AGENT_EVALUATION))


def sweep(agent: AgentIdentity, children: Mapping[ObjectKey, Child], live: Mapping[ObjectKey, Manifest | None]) -> Plan:
    """The plan for children whose agent is gone: bindings, then Roles, work and runs, then the rest."""
    bindings = [child for key, child in children.items() if key.kind is ChildKind.ROLE_BINDING]
    rest = [child for key, child in children.items() if key.kind in (ChildKind.ROLE, *_PODS)] if not bindings else []
    due = bindings or rest or list(children.values())
    released = workload.release(agent, [c for c in due if c.claimed_by], live)
    deleted = tuple(delete(child) for child in due if not child.claimed_by and not child.deleting)
    return Plan(writes=(*deleted, *released.writes), needs=released.needs)


def _of(o: Observed, *kinds: ChildKind) -> list[ObjectKey]:
    return [key for key in o.children if key.kind in kinds]


def _without_refused(o: Observed, plan: Plan) -> Plan:
    """Leaves out what the API server has refused a moment ago, and says so; it is tried again later."""
    refused = [failure for write in plan.writes if (failure := o.refusal(write))]
    if not refused:
        return plan
    text = f"Refused, and tried again: {'; '.join(failure.message for failure in refused[:4])}"
    writes = tuple(write for write in plan.writes if o.failures.get(write.key) not in refused)
    return replace(plan, writes=writes, verdicts=_verdicts(refused[0].reason, text), requeue_after=30.0, patience=0.0)


def _verdicts(reason: Reason, text: str) -> tuple[Verdict, ...]:
    return Verdict(Type.READY, False, reason, text), Verdict(Type.RECONCILING, True, reason, text)
