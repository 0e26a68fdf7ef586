"""The gate before a revision serves: the evaluations that it has to pass, how far they are, and what follows.

What is asked for waits as a Candidate, and what serves goes on serving, until every evaluation of the spec is
Successful. One that is Failed or in Error rejects the work for good; one that is Inconclusive waits for a person. Only
work that never served is evaluated: an order is a person's word, and what served before has passed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from aiagent_operator.api.agentevaluation import Phase, Provider, Purpose
from aiagent_operator.api.aiagent import PermissionState
from aiagent_operator.api.conditions import Reason, Type, Verdict
from aiagent_operator.api.evaluation import EvaluationTemplate
from aiagent_operator.core import analysing, carrying, evaluating, evaluating_jobs, texts
from aiagent_operator.core.children import evaluation
from aiagent_operator.core.evaluating import Step
from aiagent_operator.core.grants import Grants, PermissionDecision
from aiagent_operator.core.objects import Child, Desired, Manifest, ObjectKey
from aiagent_operator.core.plan import Observed, Plan
from aiagent_operator.core.revisions import Choice, facts
from aiagent_operator.core.rollout.facts import OrderKind, RolloutOrder

_BAD = (Phase.FAILED, Phase.ERROR)
_CHANGE = "Change the work in spec.workload.template or spec.handbook, which makes another revision"
_PROMOTE = "an AgentAction Promote (verb promote)"
_LONGEST = 1024


@dataclass(frozen=True, slots=True)
class Gate:
    """The gate as it stands. `choice` is what is to serve meanwhile.

    `shut`: what the spec asks for may not serve now; `verdict` says why. `rejects`: why it never shall, to be written.
    `overrules`: what is to be written because a person passes over verdicts; `takes`: the orders to do so, by UID.
    """

    choice: Choice
    step: Step = field(default_factory=Step)
    shut: bool = False
    verdict: Verdict | None = None
    rejects: str = ""
    overrules: Manifest = field(default_factory=dict)
    takes: frozenset[str] = frozenset()

    @property
    def withholds(self) -> bool:
        """Whether nothing has passed yet, so that no right is bound: an agent is evaluated before it is employed."""
        return self.shut and self.choice.stable is None


def templates(o: Observed) -> tuple[EvaluationTemplate, ...]:
    """The evaluations that gate revisions: all but those of a rollout, and none of an adopted workload, whose owner's
    edits are live at once."""
    spec = o.agent.spec
    if spec.workload.target_ref is not None or spec.retraining is None:
        return ()
    in_rollout = analysing.templates(o)
    return tuple(template for template in spec.retraining.evaluations if template.name not in in_rollout)


def base(o: Observed, *, accepted: bool = True) -> tuple[Desired, ...]:
    """What the Jobs of evaluations need, before one of them is made; without an accepted role, what those that are
    there need."""
    return evaluating_jobs.base(o, wanted=accepted and _by_job(o))


def look(o: Observed, choice: Choice, known: Sequence[Child]) -> Gate:
    """The gate before what the choice is about. `known` are the agent's revisions."""
    asked, target = templates(o), choice.target
    never_served = target is not None and choice.rolling and not choice.order and not facts(target).promotion
    if asked and target is not None and never_served:
        return _before(o, replace(choice, target=choice.stable, gated=target), target, known)
    left = _left(o, known)
    if choice.rejected is not None:
        return Gate(choice, left, shut=True, verdict=_rejected(o, choice, choice.rejected))
    if asked and choice.stable is None and target is None:
        number = f"Revision {choice.make}" if choice.make else "The first revision"
        return Gate(choice, left, shut=True, verdict=_says(Reason.EVALUATING, f"{number} is to be evaluated first"))
    return Gate(choice, left)


def _before(o: Observed, shut: Choice, target: Child, known: Sequence[Child]) -> Gate:
    """The gate before one revision that never served."""
    overruled = frozenset(name for name, _ in facts(target).overruled)
    asked, number = templates(o), facts(target).number
    keys = {template.name: evaluation.key_of(o.identity, number, template.name) for template in asked}
    runs = [child for key in keys.values() if (child := o.children.get(key))]
    left = _left(o, known, frozenset() if o.suspended else frozenset(keys.values()))
    bad = [said for phase, said in evaluating.verdicts(runs) if phase in _BAD]
    if bad:
        why = _capital(texts.some(bad, 3, "; "))
        return Gate(shut, left, shut=True, verdict=_refused(shut, number, why), rejects=why)
    passed = {child.key for child in runs if _passed(child, overruled)}
    if len(passed) == len(asked):
        return Gate(replace(shut, target=target, gated=None), left)
    steps = [] if o.suspended else [carrying.carry(o, template, target, shut.stable) for template in asked]
    step = sum(steps, left)
    if step.trouble:
        text = f"Revision {number} cannot be evaluated: {step.trouble}; {_serves(shut)}"
        return Gate(shut, step, shut=True, verdict=_says(Reason.EVALUATION_INVALID, text))
    waiting = [child for child in runs if child.key not in passed]
    gate = Gate(shut, step, shut=True, verdict=_under_way(o, shut, number, waiting))
    return _promoted(o, gate, target, waiting)


def _promoted(o: Observed, gate: Gate, target: Child, waiting: list[Child]) -> Gate:
    """The gate with the order of a person who passes over verdicts. Only where each that is left is Inconclusive: one
    that is still measured may yet say that the work is bad."""
    orders = _promotes(o, target)
    unclear = gate.verdict is not None and gate.verdict.reason is Reason.EVALUATION_INCONCLUSIVE
    if not orders or not unclear or o.suspended:
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


def _promotes(o: Observed, target: Child) -> list[RolloutOrder]:
    """Orders to promote that nothing was done about yet."""
    done = {order for _, order in facts(target).overruled}
    done |= {entry.get("uid") for entry in (o.agent.status.get("rollout") or {}).get("orders") or ()}
    return [order for order in o.steering if order.kind is not OrderKind.ABORT and order.uid not in done]


def unsettled(o: Observed, gate: Gate) -> Observed:
    """What is known, without the orders that the gate deals with: they are not about a rollout."""
    return replace(o, steering=tuple(order for order in o.steering if order.uid not in gate.takes))


def _left(o: Observed, known: Sequence[Child], carried: frozenset[ObjectKey] = frozenset()) -> Step:
    """What is to be done about runs other than those that are carried on."""
    step, still = evaluating.sort_out(o, known)
    for child in still:
        if child.key not in carried and evaluating.facts(child).provider is Provider.JOB:
            step += evaluating_jobs.rests(o, child)
    return step + Step(tuple(evaluating_jobs.leave(o, wanted=_by_job(o))))


def _by_job(o: Observed) -> bool:
    return any(template.job is not None for template in (*templates(o), *analysing.templates(o).values()))


def _passed(child: Child, overruled: frozenset[str]) -> bool:
    its = evaluating.facts(child)
    return its.phase is Phase.SUCCESSFUL or (its.phase is Phase.INCONCLUSIVE and its.name in overruled)


def _under_way(o: Observed, choice: Choice, number: int, waiting: list[Child]) -> Verdict:
    said = list(evaluating.verdicts(waiting))
    unclear = [text for phase, text in said if phase is Phase.INCONCLUSIVE]
    if unclear and len(unclear) == len(said):
        text = f"Revision {number} waits for a person: {texts.some(unclear, 3, '; ')}; {_serves(choice)}"
        return _says(Reason.EVALUATION_INCONCLUSIVE, f"{text}. {_CHANGE}, or let it pass by {_PROMOTE}")
    under_way = texts.some([text for _, text in said], 3, "; ") or "about to begin"
    rests = ". Nothing is measured while the agent is suspended" if o.suspended else ""
    return _says(Reason.EVALUATING, f"Revision {number} is evaluated: {under_way}; {_serves(choice)}{rests}")


def _rejected(o: Observed, choice: Choice, revision: Child) -> Verdict:
    """What is said of work that was rejected, from the records of it as far as they are there."""
    number = facts(revision).number
    runs = [c for c in evaluating.known(o) if _is_of(c, number)]
    bad = [text for phase, text in evaluating.verdicts(runs) if phase in _BAD]
    if bad:
        return _refused(choice, number, texts.some(bad, 3, "; "))
    # Its rollout failed, or was aborted; or the records of its evaluations have gone.
    why = facts(revision).message or "its record does not say why"
    text = f"Revision {number} is rejected: {why} ({revision.key}); {_serves(choice)}. {_remedy(choice, number)}"
    return Verdict(Type.REVISION_ACCEPTED, False, Reason.REVISION_REJECTED, text)


def _is_of(child: Child, number: int) -> bool:
    """Whether it is a run at the gate of this revision; what is said of those of its rollout stands in its record."""
    its = evaluating.facts(child)
    return its.revision == number and its.purpose is not Purpose.ANALYSIS


def _refused(choice: Choice, number: int, why: str) -> Verdict:
    text = f"Revision {number} is rejected: {why[:1].lower()}{why[1:]}; {_serves(choice)}. {_remedy(choice, number)}"
    return Verdict(Type.REVISION_ACCEPTED, False, Reason.EVALUATION_FAILED, text)


def _serves(choice: Choice) -> str:
    return (
        f"revision {facts(choice.stable).number} serves" if choice.stable else "nothing serves, and no right is bound"
    )


def _remedy(choice: Choice, number: int) -> str:
    if choice.stable is None:
        return _CHANGE
    return f"{_CHANGE}, or let it serve all the same by an AgentAction Rollback to revision {number} (verb rollback)"


def _says(reason: Reason, text: str) -> Verdict:
    return Verdict(Type.REVISION_ACCEPTED, None, reason, text)


def _capital(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"


def withheld(grants: Grants, gate: Gate) -> Grants:
    """The grants while nothing has passed the gate: what would be granted waits, with the reason."""
    if not gate.withholds or gate.verdict is None:
        return grants
    return Grants(tuple(_waiting(decision, gate.verdict) for decision in grants.decisions), grants.rules)


def _waiting(decision: PermissionDecision, verdict: Verdict) -> PermissionDecision:
    if decision.state is not PermissionState.GRANTED:
        return replace(decision, namespaces=(), rules=()) if decision.namespaces else decision
    text = f"waits until a revision has passed its evaluations: {verdict.message}"
    return PermissionDecision(decision.name, PermissionState.PENDING, verdict.reason, text)


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
