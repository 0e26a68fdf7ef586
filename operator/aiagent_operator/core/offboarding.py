"""Decision about an agent that is being deleted.

Order, each step only when the one before is observed: bindings; what its pods have logged; Roles, work and runs;
accounts, handbook and, once no pod is left that they limit, the network policies; proof; archive; the records that are
in it; finalizer. Nothing is created in its namespace, so that one that is terminating ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from aiagent_operator.api import meta
from aiagent_operator.api.agentstatus import Phase
from aiagent_operator.api.conditions import Reason, Type, Verdict
from aiagent_operator.core import capturing, workload
from aiagent_operator.core.children import role
from aiagent_operator.core.objects import AgentIdentity, Child, ChildKind, Manifest, ObjectKey
from aiagent_operator.core.plan import Finalizer, Held, Observed, Plan, Verb, Write, delete
from aiagent_operator.core.rights.ledger import MOST_RIGHTS, Ledger
from aiagent_operator.core.rights.rules import Rule, count
from aiagent_operator.core.workload import traffic

_WORK = (ChildKind.DEPLOYMENT, ChildKind.STATEFUL_SET)
# Whatever has pods: it is there until they are gone.
_PODS = (*_WORK, ChildKind.JOB)


def decide(o: Observed) -> Plan:
    """The plan for an agent with a deletion timestamp."""
    return _without_refused(o, _decide(o))


def _decide(o: Observed) -> Plan:
    if meta.FINALIZER not in o.agent.metadata.finalizers:
        return Plan()
    if o.definition_terminating:
        text = (
            "The definition of AIAgent is being deleted, and nobody meant to offboard every agent by that: paused, all "
            "rights in force. A definition that is being deleted cannot be kept: save this object, remove its "
            "finalizer with the verb abandon, and apply definition and object again"
        )
        return _waiting(Reason.DEFINITION_TERMINATING, text, requeue=30.0)

    bindings = _of(o, ChildKind.ROLE_BINDING)
    if bindings:
        return _step(o, bindings, "revoking: waiting for the bindings to be gone")
    work = workload.leave(o, ())
    roles = _of(o, ChildKind.ROLE, ChildKind.JOB)
    left = _of(o, *_PODS)
    if left and (due := capturing.due(o)):
        waits = _waiting(Reason.OFFBOARDING, "Its rights have ended; reading what its pods have logged before they go")
        return replace(waits, capture=due)
    if roles or left:
        plan = _step(o, roles, "removing: waiting for Roles, work and runs to be gone")
        released = traffic.release(o)
        services = [write for write in released.writes if write.key not in o.failures]
        return Plan(
            writes=(*plan.writes, *work.writes, *services),
            needs=work.needs | released.needs,
            verdicts=plan.verdicts,
            status=plan.status,
            requeue_after=30.0,
        )
    kept = _records(o)
    if rest := [key for key in o.children if key not in kept]:
        what = "account, handbook and network policy" if kept or o.journal is None else "what is archived"
        return _step(o, rest, f"removing: waiting for {what} to be gone")
    lost = {key: uid for key, uid in _lost(o).items() if key not in kept}
    if unread := frozenset(lost) - o.live.keys():
        return Plan(needs=unread)
    found = [write for key, uid in lost.items() if (write := _found(o, key, uid))]
    if found:
        plan = _waiting(Reason.OFFBOARDING, "removing what lost its labels", requeue=1.0)
        return Plan(writes=tuple(found), verdicts=plan.verdicts, status=plan.status)
    return Plan(finalizer=Finalizer.REMOVE) if _archived(o) else _proved(o)


def _proved(o: Observed) -> Plan:
    """What comes once nothing of the agent's is left but its records."""
    if o.proof is None:
        plan = _waiting(Reason.OFFBOARDING, "Proving that no right remains")
        return Plan(needs_proof=rights_held(o), verdicts=plan.verdicts, status=plan.status)
    if o.proof.remaining:
        text = f"Still in force, asking again: {'; '.join(o.proof.remaining)}"
        return _waiting(Reason.OFFBOARDING, text, requeue=1.0)
    return Plan(finalizer=Finalizer.REMOVE) if o.journal is None else Plan(archive=True)


def _archived(o: Observed) -> bool:
    """Whether its archive is complete: then it is also proved that it has no right left."""
    return o.journal is not None and bool((o.agent.status.get("archive") or {}).get("completed"))


def _records(o: Observed) -> frozenset[ObjectKey]:
    """What stays until it is archived: the records of what the agent was and how it was judged."""
    if o.journal is None or _archived(o):
        return frozenset()
    return frozenset(_of(o, ChildKind.AGENT_REVISION, ChildKind.AGENT_EVALUATION))


def rights_held(o: Observed) -> tuple[Held, ...]:
    """Every (namespace, rule) the agent was granted or can have been: a superset of what it has held.

    The status names what was granted. Where a crash came before the status, the spec names what can have been.
    """
    held: dict[Held, None] = {}
    for entry in o.agent.status.get("permissions") or ():
        for namespace in entry.get("namespaces") or (o.identity.namespace,):
            held.update(((namespace, Rule.from_wire(rule)), None) for rule in entry.get("rules") or ())
    for namespaces, rules in _asked(o):
        held.update(((namespace, rule), None) for namespace in namespaces or (o.identity.namespace,) for rule in rules)
    return tuple(held)


def _asked(o: Observed) -> Iterator[tuple[tuple[str, ...], tuple[Rule, ...]]]:
    """What the spec asks for and may have been granted. What is beyond the bound on rights never was, and to ask about
    tens of thousands of rights would hold up the agent's end."""
    if o.role is not None:
        ledger = Ledger(o.role)
        for ask in o.role.asks(o.agent.spec.permissions):
            if ask.bundle and not ledger.enter(ask, ask.bundle, len(ask.namespaces) or 1):
                yield ask.namespaces, ask.bundle.rules
        return
    size = 0
    for permission in o.agent.spec.permissions:
        rules = tuple(map(Rule.of, permission.rules))
        size += count(rules) * (len(permission.namespaces) or 1)
        if size <= MOST_RIGHTS:
            yield permission.namespaces, rules


def namespaces_held(o: Observed) -> frozenset[str]:
    """Namespaces in which the agent can have had bindings."""
    named = {o.identity.namespace, *(namespace for namespace, _ in rights_held(o))}
    named.update(entry["namespace"] for entry in o.agent.status.get("inventory") or ())
    return frozenset(named)


def sweep(agent: AgentIdentity, children: Mapping[ObjectKey, Child], live: Mapping[ObjectKey, Manifest | None]) -> Plan:
    """The plan for children whose agent is gone: bindings, then Roles, work and runs, then the rest."""
    bindings = [child for key, child in children.items() if key.kind is ChildKind.ROLE_BINDING]
    rest = [child for key, child in children.items() if key.kind in (ChildKind.ROLE, *_PODS)] if not bindings else []
    due = bindings or rest or list(children.values())
    released = workload.release(agent, [c for c in due if c.claimed_by], live)
    deleted = tuple(delete(child) for child in due if not child.claimed_by and not child.deleting)
    return Plan(writes=(*deleted, *released.writes), needs=released.needs)


def _lost(o: Observed) -> dict[ObjectKey, str]:
    """Where objects of the agent may be that no label tells of any more, with the UIDs that the inventory knows.

    Bindings are looked for by name as well: their names follow from the agent's, and rights are what must not remain.
    """
    lost = {
        ObjectKey(ChildKind.ROLE_BINDING, namespace, role.name_in(o.identity, namespace)): ""
        for namespace in namespaces_held(o)
    }
    known = {kind.value for kind in ChildKind}
    for entry in o.agent.status.get("inventory") or ():
        adopted = entry["kind"] in _WORK and "generation" not in entry
        if entry["kind"] in known and not adopted:
            lost[ObjectKey(ChildKind(entry["kind"]), entry["namespace"], entry["name"])] = entry["uid"]
    return lost


def _found(o: Observed, key: ObjectKey, uid: str) -> Write | None:
    """The write that removes a lost object; None where it is gone, or something else bears its name."""
    live = o.live.get(key)
    if live is None:
        return None
    own = live["metadata"]["uid"] == uid
    subject = {"kind": "ServiceAccount", "name": meta.account_name(o.identity.name), "namespace": o.identity.namespace}
    bound = key.kind is ChildKind.ROLE_BINDING and live.get("subjects") == [subject]
    return Write(Verb.DELETE, key, uid=live["metadata"]["uid"]) if own or bound else None


def _of(o: Observed, *kinds: ChildKind) -> list[ObjectKey]:
    return [key for key in o.children if key.kind in kinds]


def _step(o: Observed, keys: Iterable[ObjectKey], waiting: str) -> Plan:
    waited = sorted(keys)
    writes: tuple[Write, ...] = tuple(delete(o.children[key]) for key in waited if not o.children[key].deleting)
    plan = _waiting(Reason.OFFBOARDING, f"{waiting}: {', '.join(map(str, waited[:16]))}", requeue=30.0)
    return Plan(writes=writes, verdicts=plan.verdicts, status=plan.status, requeue_after=plan.requeue_after)


def _without_refused(o: Observed, plan: Plan) -> Plan:
    """Leaves out what the API server has refused a moment ago, and says so; it is tried again later."""
    refused = [failure for write in plan.writes if (failure := o.refusal(write))]
    if not refused:
        return plan
    text = f"Refused, and tried again: {'; '.join(failure.message for failure in refused[:4])}"
    told = _waiting(refused[0].reason, text, requeue=30.0)
    writes = tuple(write for write in plan.writes if o.failures.get(write.key) not in refused)
    return replace(plan, writes=writes, verdicts=told.verdicts, status=told.status, requeue_after=told.requeue_after)


def _waiting(reason: Reason, text: str, requeue: float | None = None) -> Plan:
    verdicts = (
        Verdict(Type.READY, False, reason, text),
        Verdict(Type.RECONCILING, True, reason, text),
    )
    return Plan(
        verdicts=verdicts,
        # The inventory stays as it was: it is how a child without its labels is still found.
        status={"phase": Phase.OFFBOARDING.value},
        requeue_after=requeue,
    )
