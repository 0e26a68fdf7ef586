"""Decision about an agent that is employed: what to write now, and what is true of it.

Order of a change, each step only when the one before is observed: revoke and narrow; account, network policy, handbook
and Roles, and the record of new work; bindings and work. An agent half done therefore has fewer rights than it will
have, never more.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from aiagent_operator.api.conditions import Reason, Type, Verdict
from aiagent_operator.core import inheriting, status, workload
from aiagent_operator.core.children import handbook, network_policy, service_account
from aiagent_operator.core.journal import giving
from aiagent_operator.core.objects import ChildKind, Desired
from aiagent_operator.core.plan import Observed, Plan, Verb, Write, create, delete, settle
from aiagent_operator.core.retraining import facts, training
from aiagent_operator.core.reviews import reviewing
from aiagent_operator.core.rights import bindings
from aiagent_operator.core.rights import grants as granting
from aiagent_operator.core.rights.grants import Grants
from aiagent_operator.core.supervision import watching
from aiagent_operator.core.versions import (
    accepting,
    gating,
    governing,
    hiring,
    learning,
    revising,
    ungated,
    withholding,
)
from aiagent_operator.core.versions.revising import Asked, Versions
from aiagent_operator.core.workload import WorkloadPlan


def decide(o: Observed) -> Plan:
    """The plan for an agent without a deletion timestamp."""
    o = facts.look(watching.look(o))
    return giving.noted(o, watching.told(_decide(o), o))


def _decide(o: Observed) -> Plan:
    role_verdict = granting.role_verdict(o.agent.spec, o.role)
    accepted = role_verdict.status is True and o.role is not None
    grants = _grants(o)
    exposed = status.exposure_verdict(o.exposures)
    reviews = reviewing.look(o, accepted=accepted)
    o = accepting.told(reviews.told(o))
    if not accepted and not o.children:
        # Nothing exists and nothing may: an agent without a role gets no object at all.
        fields = revising.status(o, Versions())
        return status.compose(o, role_verdict, grants, _waiting_for_role(role_verdict), exposed, fields=fields)

    heir = inheriting.look(o)
    if accepted and inheriting.holds(o, heir):
        return inheriting.waiting(o, heir, role_verdict, grants, exposed)
    suspended = o.suspended
    base, asked = _base(o, accepted=accepted)
    book = asked.book if asked else None
    versions = revising.look(o, asked, grants.rules)
    gate = versions.gate
    given = withholding.given(o, grants, gate)
    bind = accepted and not suspended and not gate.withholds and (gate.hires or bool(o.hired_as))
    moves = bindings.plan(o.identity, given.rules, o.children, bind=bind)
    lesson = training.step(o, versions, grants.rules) if book else training.kept(o, versions)
    base_writes = [write for desired in base if (write := settle(o, desired))]
    bound = any(key.kind is ChildKind.ROLE_BINDING for key in o.children)
    down = suspended and not bound
    work = _work(o, base, book, base_writes, versions, down=down)
    if down and not work.writes and not work.needs and (stopped := workload.stop(o)):
        work = stopped
    revoke = _worthwhile(o, moves.revoke)
    if revoke:
        writes: Iterable[Write] = (*revoke, *base_writes)
    else:
        records = revising.writes(o, versions, work) if book else ()
        old = _old_handbooks(o, book, versions) if work.settled else ()
        evaluated = (*work.step.writes, *reviews.step.writes)
        writes = (*base_writes, *moves.grant, *records, *work.writes, *evaluated, *lesson.writes, *old)
    composed = status.compose(
        o,
        role_verdict,
        given,
        work,
        exposed,
        writes=_worthwhile(o, writes),
        fields=revising.status(o, versions),
        revision=gate.verdict,
        bindings_left=bound,
        revokes=bool(revoke),
    )
    if bind and gate.hires:
        composed = hiring.hired(o, composed)
    told = gating.joined(training.told(accepting.noted(composed, gate), versions, lesson), gate.step + work.step)
    return inheriting.beside(o, reviews.joined(told, o.now), heir)


def _grants(o: Observed) -> Grants:
    exposed = tuple(str(exposure) for exposure in o.exposures if exposure.way.takes_identity)
    return granting.decide(o.agent.spec, o.identity, o.role, o.environment.ceiling, o.namespaces, exposed)


def _waiting_for_role(verdict: Verdict) -> WorkloadPlan:
    return WorkloadPlan(
        verdict=Verdict(Type.WORKLOAD_READY, False, verdict.reason, "Not created before the role is accepted")
    )


def _base(o: Observed, *, accepted: bool) -> tuple[tuple[Desired, ...], Asked | None]:
    """Account, network policy and handbook, and what the spec asks for; None while the handbook's source is missing."""
    spec = o.agent.spec
    account = service_account.build(o.identity)
    policy = network_policy.build(o.identity, spec.connections, o.environment.endpoints, o.environment.dns)
    runs = gating.base(o, accepted=accepted)
    if not accepted or o.role is None or o.instructions_missing:
        return (account, policy, *runs), None
    learned = learning.in_force(revising.known(o))
    asked = revising.ask(o, handbook.resolve(spec, o.role.role.spec), learned)
    return (account, policy, asked.book, *runs), asked


def _work(
    o: Observed,
    base: tuple[Desired, ...],
    book: Desired | None,
    base_writes: list[Write],
    versions: Versions,
    *,
    down: bool,
) -> WorkloadPlan:
    """The work, once everything that limits it is in place."""
    if book is None and not o.instructions_missing and not workload.exists(o):
        return WorkloadPlan(
            verdict=Verdict(Type.WORKLOAD_READY, False, Reason.PENDING, "Not created before the role is accepted")
        )
    if o.instructions_missing:
        return WorkloadPlan(
            verdict=Verdict(Type.WORKLOAD_READY, False, Reason.HANDBOOK_NOT_FOUND, o.instructions_missing)
        )
    if book is None:
        return WorkloadPlan(
            verdict=Verdict(
                Type.WORKLOAD_READY, False, Reason.PENDING, "The work stays as it is until the role is accepted"
            )
        )
    for desired in base:
        if failure := o.refusal(desired):
            return WorkloadPlan(verdict=Verdict(Type.WORKLOAD_READY, False, failure.reason, failure.message))
    if base_writes:
        waiting = ", ".join(str(write.key) for write in base_writes)
        return WorkloadPlan(verdict=Verdict(Type.WORKLOAD_READY, False, Reason.PROGRESSING, f"Waiting for {waiting}"))
    choice, asked = versions.choice, versions.asked.work if versions.asked else None
    steered = gating.unsettled(o, versions.gate)
    what = workload.plan(steered, choice, asked, book.key.name, down=down)
    what = governing.held(o, choice, ungated.told(o, versions.known, choice, what))
    if versions.gate.withholds and versions.gate.verdict and not workload.exists(o):
        return replace(what, verdict=replace(versions.gate.verdict, type=Type.WORKLOAD_READY, status=False))
    attempts = (*what.writes, create(versions.make)) if versions.make else what.writes
    failed = next((f for write in attempts if (f := o.refusal(write))), None)
    if failed is None:
        return what
    return replace(what, verdict=Verdict(Type.WORKLOAD_READY, False, failed.reason, failed.message))


def _old_handbooks(o: Observed, book: Desired | None, versions: Versions) -> list[Write]:
    """Handbooks other than today's that no revision names, for when the work runs with today's."""
    return [
        delete(child)
        for key, child in o.children.items()
        if key.kind is ChildKind.CONFIG_MAP
        and book is not None
        and key != book.key
        and key.name not in versions.handbooks
        and not child.deleting
    ]


def _worthwhile(o: Observed, writes: Iterable[Write]) -> tuple[Write, ...]:
    """Leaves out what was refused and would be again, and what a terminating namespace would refuse."""
    kept = []
    for write in writes:
        home = o.namespaces.get(write.key.namespace)
        gone = home is None or home.terminating
        if o.refusal(write) or (gone and write.verb is Verb.CREATE):
            continue
        kept.append(write)
    return tuple(kept)
