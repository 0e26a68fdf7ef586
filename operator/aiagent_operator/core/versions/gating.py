"""The gate before a revision serves: the evaluations that it has to pass, how far they are, and what follows.

What is asked for waits as a Candidate, and what serves goes on serving, until every evaluation of the spec is
Successful, and every one of the role that hires the agent. One that is Failed or in Error rejects the work for good;
one that is Inconclusive waits for a person. Only work that never served is held up: an order is a person's word, what
served before has passed, and a target is changed by its owner. But rights wait for the role's evaluations whatever
serves (`Gate.hires`, core/hiring.py).
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, field, replace

from aiagent_operator.api.agentevaluation import Phase, Purpose
from aiagent_operator.api.agentrevision import RevisionState
from aiagent_operator.api.conditions import Reason, Type, Verdict
from aiagent_operator.api.evaluation import EvaluationTemplate
from aiagent_operator.core import texts
from aiagent_operator.core.children import evaluation
from aiagent_operator.core.children.evaluation import GATE, Occasion
from aiagent_operator.core.evaluation import analysing, carrying, evaluating, evaluating_jobs
from aiagent_operator.core.evaluation.evaluating import Step
from aiagent_operator.core.objects import Child, ChildKind, Desired, Manifest, ObjectKey
from aiagent_operator.core.plan import Observed, Plan
from aiagent_operator.core.policies import required
from aiagent_operator.core.reviews import entries
from aiagent_operator.core.rollout import standing
from aiagent_operator.core.rollout.facts import OrderKind, RolloutOrder
from aiagent_operator.core.runs import foreign
from aiagent_operator.core.versions import gate_words as words
from aiagent_operator.core.versions import hiring
from aiagent_operator.core.versions.revisions import Choice, facts

_OVER = (RevisionState.REJECTED, RevisionState.ROLLED_BACK)
_LONGEST = 1024


@dataclass(frozen=True, slots=True)
class Gate:
    """The gate as it stands. `choice` is what is to serve meanwhile.

    `shut`: what the spec asks for may not serve now; `verdict` says why. `rejects`: why it never shall, to be written;
    `aborted_by`: UID of the order that says so.
    `hires`: the agent has passed what its role asks of who is hired, or is hired already. `overrules`: what is to be
    written because a person passes over verdicts; `takes`: the orders to do so, by UID. `accepts`: what the agent's
    status is to say of its succession because a person accepts that (core/versions/accepting.py).
    """

    choice: Choice
    step: Step = field(default_factory=Step)
    shut: bool = False
    verdict: Verdict | None = None
    rejects: str = ""
    aborted_by: str = ""
    hires: bool = True
    overrules: Manifest = field(default_factory=dict)
    takes: frozenset[str] = frozenset()
    accepts: Manifest = field(default_factory=dict)

    @property
    def withholds(self) -> bool:
        """Whether nothing has passed yet, so that no right is bound: an agent is evaluated before it is employed."""
        return self.shut and self.choice.stable is None


@dataclass(frozen=True, slots=True)
class Asked:
    """An evaluation that a revision has to pass, and on which occasion it runs."""

    template: EvaluationTemplate
    occasion: Occasion = GATE


@dataclass(frozen=True, slots=True)
class Course:
    """How far the evaluations of one revision are. `bad`: what it has failed; `waiting`: runs that are not passed."""

    passed: bool
    bad: str
    waiting: tuple[Child, ...]
    step: Step


def templates(o: Observed) -> tuple[EvaluationTemplate, ...]:
    """The evaluations that gate revisions: all but those of a rollout, and none of a workload whose owner's edits are
    live at once."""
    spec = o.agent.spec
    if spec.retraining is None or not spec.workload.by_revision:
        return ()
    in_rollout = analysing.templates(o)
    return tuple(template for template in spec.retraining.evaluations if template.name not in in_rollout)


def asked_by_role(o: Observed) -> tuple[Asked, ...]:
    """The evaluations by which the agent is yet to be hired."""
    return tuple(Asked(template, evaluation.hiring(o.agent.spec.role_ref.name)) for template in hiring.templates(o))


def by_job(o: Observed) -> bool:
    """Whether an evaluation that is asked for is a Job."""
    asked = (*templates(o), *analysing.templates(o).values(), *hiring.templates(o))
    return any(template.job is not None for template in asked) or entries.by_job(o.agent.spec)


def base(o: Observed, *, accepted: bool = True) -> tuple[Desired, ...]:
    """What the Jobs of evaluations need, before one of them is made; without an accepted role, what those that are
    there need."""
    return evaluating_jobs.base(o, wanted=accepted and by_job(o))


def look(o: Observed, choice: Choice, known: Sequence[Child]) -> Gate:
    """The gate before what the choice is about. `known` are the agent's revisions."""
    target, by_role, adopted = choice.target, asked_by_role(o), not o.agent.spec.workload.by_revision
    asked = (*map(Asked, templates(o)), *by_role)
    unmet = () if adopted else _unmet(o, target, asked)
    never_served = target is not None and choice.rolling and not choice.order and not facts(target).promotion
    if target is not None and never_served and not adopted and (asked or unmet):
        gate = _before(o, replace(choice, target=choice.stable, gated=target), target, known, asked, unmet)
        return replace(gate, hires=not by_role or not gate.shut)
    if target is not None and by_role and choice.rejected is None:
        return _interviewed(o, choice, target, known, by_role)
    left = _left(o, known)
    if choice.rejected is not None:
        return Gate(choice, left, shut=True, verdict=words.rejected(o, choice, choice.rejected), hires=not by_role)
    if target is None and (by_role or ((asked or unmet) and choice.stable is None)):
        number = f"Revision {choice.make}" if choice.make else "What is to serve"
        first = f"{number} is to be evaluated first{words.by(o)}"
        shut = choice.stable is None and not adopted
        return Gate(choice, left, shut=shut, verdict=words.says(Reason.EVALUATING, first), hires=not by_role)
    return Gate(choice, left, verdict=words.reported(o, target) if adopted and target else None)


def _unmet(o: Observed, target: Child | None, asked: Sequence[Asked]) -> required.Required:
    """Evaluations that policies require, and that the revision neither is to pass nor has passed to be hired."""
    if not o.policies.evaluations:
        return ()
    runs = [evaluating.facts(child) for child in evaluating.known(o)]
    hired = {
        its.name
        for its in runs
        if target and its.revision == facts(target).number and its.phase is Phase.SUCCESSFUL and its.role == o.hired_as
    }
    return required.missing(
        o.policies.evaluations, {each.template.name for each in asked} | (hired if o.hired_as else set())
    )


def _before(  # noqa: PLR0917 - the facts of one gate, each of its own type
    o: Observed,
    shut: Choice,
    target: Child,
    known: Sequence[Child],
    asked: Sequence[Asked],
    unmet: required.Required,
) -> Gate:
    """The gate before one revision that never served."""
    number = facts(target).number
    found = _course(o, shut, target, known, asked)
    if found.bad:
        why = words.capital(found.bad)
        return Gate(shut, found.step, shut=True, verdict=words.refused(o, shut, number, why), rejects=why)
    if unmet:
        verdict = words.required_but_not_asked(shut, number, unmet)
        return Gate(shut, _left(o, known), shut=True, verdict=verdict)
    if found.passed:
        return Gate(replace(shut, target=target, gated=None), found.step)
    if found.step.trouble:
        text = f"Revision {number} cannot be evaluated: {found.step.trouble}; {words.serves(shut)}"
        return Gate(shut, found.step, shut=True, verdict=words.says(Reason.EVALUATION_INVALID, text))
    waits = words.waits(o, number, found.waiting, words.serves(shut), words.way_out(o, found.waiting))
    return _promoted(o, Gate(shut, found.step, shut=True, verdict=waits), target, found.waiting)


def _promoted(o: Observed, gate: Gate, target: Child, waiting: Sequence[Child]) -> Gate:
    """The gate with the order of a person who passes over verdicts. Only where each that is left is Inconclusive, since
    one that is still measured may yet say that the work is bad; and none of a role, whose author has not agreed."""
    orders = promotes(o, target)
    unclear = gate.verdict is not None and gate.verdict.reason is Reason.EVALUATION_INCONCLUSIVE
    if not orders or not unclear or o.suspended or words.of_role(waiting):
        return gate
    order = orders[0]
    gate = replace(gate, takes=frozenset({order.uid}))
    if target.key not in o.live:
        return replace(gate, step=gate.step + Step(needs=frozenset({target.key})))
    names = [evaluating.facts(child).name for child in waiting]
    before = ((o.live[target.key] or {}).get("status") or {}).get("overruled") or ()
    new = [{"evaluation": name, "order": order.uid, "message": order.text[:_LONGEST]} for name in names]
    kept = [each for each in before if each["evaluation"] not in names]
    return replace(gate, overrules={"overruled": [*kept, *new]})


def promotes(o: Observed, target: Child) -> list[RolloutOrder]:
    """Orders to promote that nothing was done about yet."""
    return _new(o, (OrderKind.PROMOTE, OrderKind.PROMOTE_FULL), {order for _, order in facts(target).overruled})


def _new(o: Observed, kinds: Sequence[OrderKind], done: Set[str]) -> list[RolloutOrder]:
    """Orders of these kinds about which nothing is on record, `done` beside what the agent's status says."""
    known = standing.acted(o.agent.status) | done
    return [order for order in o.steering if order.kind in kinds and order.uid not in known]


def aborted(o: Observed, gate: Gate) -> Gate:
    """The gate with the order of a person who gives up what waits before it, whatever is found yet: what serves goes on
    serving. Where nothing serves there is nothing to go on with; what takes over already is its rollout's to take back.
    """
    if gate.choice.gated is None or gate.choice.stable is None or gate.rejects:
        return gate
    orders = _new(o, (OrderKind.ABORT,), {facts(child).aborted_by for child in o.of(ChildKind.AGENT_REVISION)})
    if not orders:
        return gate
    order = min(orders, key=lambda each: each.uid)
    return replace(gate, rejects=order.text, aborted_by=order.uid, takes=gate.takes | {order.uid})


def unsettled(o: Observed, gate: Gate) -> Observed:
    """What is known, without the orders that the gate deals with: they are not about a rollout."""
    if not gate.takes:
        return o
    return replace(o, steering=tuple(order for order in o.steering if order.uid not in gate.takes))


def _interviewed(o: Observed, choice: Choice, target: Child, known: Sequence[Child], asked: Sequence[Asked]) -> Gate:
    """Whether the agent is hired with a revision that serves already, or that is not the operator's to hold up."""
    number = facts(target).number
    found = _course(o, choice, target, known, asked)
    if found.passed:
        return Gate(choice, found.step, verdict=words.reported(o, target))
    holds, remedy = hiring.meanwhile(o), f"{words.other_work(o)}{words.other_role(o)}"
    if found.bad:
        text = f"Revision {number} has not passed: {found.bad}; {holds}. {remedy}"
        verdict = Verdict(Type.REVISION_ACCEPTED, False, Reason.EVALUATION_FAILED, text)
    elif found.step.trouble:
        text = f"Revision {number} cannot be evaluated: {found.step.trouble}; {holds}"
        verdict = words.says(Reason.EVALUATION_INVALID, text)
    else:
        verdict = words.waits(o, number, found.waiting, holds, remedy)
    return Gate(choice, found.step, verdict=verdict, hires=False)


def _course(o: Observed, choice: Choice, target: Child, known: Sequence[Child], asked: Sequence[Asked]) -> Course:
    """How far the evaluations of a revision are, and their next steps."""
    its = facts(target)
    overruled = frozenset(name for name, _ in its.overruled)
    keys = [evaluation.key_of(o.identity, its.number, each.template.name, each.occasion) for each in asked]
    runs = [child for key in keys if (child := o.children.get(key))]
    rests = o.suspended or its.state in _OVER
    left = _left(o, known, frozenset() if rests else frozenset(keys))
    bad = [said for phase, said in evaluating.verdicts(runs) if phase in words.BAD]
    waiting = tuple(child for child in runs if not _passed(child, overruled))
    passed = len(runs) == len(asked) and not waiting
    if bad or passed or rests:
        return Course(passed, texts.some(bad, 3, "; "), waiting, left)
    steps = [_next(o, choice, target, each, made=key in o.children) for each, key in zip(asked, keys, strict=True)]
    return Course(passed, "", waiting, sum(steps, left))


def _left(o: Observed, known: Sequence[Child], carried: frozenset[ObjectKey] = frozenset()) -> Step:
    """What is to be done about runs other than those that are carried on."""
    step, still = evaluating.sort_out(o, known)
    for child in still:
        if child.key not in carried and evaluating_jobs.is_by_job(child):
            step += evaluating_jobs.rests(o, child)
    return step + Step(tuple(evaluating_jobs.leave(o, wanted=by_job(o))))


def _passed(child: Child, overruled: frozenset[str]) -> bool:
    its = evaluating.facts(child)
    person = its.purpose is Purpose.PROMOTION and its.name in overruled
    return its.phase is Phase.SUCCESSFUL or (its.phase is Phase.INCONCLUSIVE and person)


def _next(o: Observed, choice: Choice, target: Child, asked: Asked, *, made: bool) -> Step:
    """The next step of one evaluation. `made`: its record is there."""
    if asked.occasion.role and not made and (problem := foreign.of(asked.template)):
        # A record keeps its template: one that can never run is not made, so that the role's author can correct it.
        return Step(trouble=f'evaluation "{asked.template.name}" of AgentRole "{asked.occasion.role}": {problem}')
    stable = choice.stable if choice.stable is not target else None
    return carrying.carry(o, asked.template, target, stable, asked.occasion)


def joined(plan: Plan, step: Step) -> Plan:
    """The plan with what evaluations have to read, to ask and to wait for."""
    if plan.revokes:
        return plan  # what takes rights away waits for no evaluation
    times = [due for due in (plan.requeue_after, step.due) if due is not None]
    return replace(
        plan,
        needs=plan.needs | step.needs,
        needs_pods=plan.needs_pods | step.needs_pods,
        measure=step.measure,
        requeue_after=min(times, default=None),
    )
