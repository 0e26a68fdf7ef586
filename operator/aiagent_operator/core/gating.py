"""The gate before a revision serves: the evaluations that it has to pass, how far they are, and what follows.

What is asked for waits as a Candidate, and what serves goes on serving, until every evaluation of the spec is
Successful. One that is Failed or in Error rejects the work for good; one that is Inconclusive waits for a person. Only
work that never served is evaluated: an order is a person's word, and what served before has passed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from aiagent_operator.api.agentevaluation import Phase, Provider
from aiagent_operator.api.aiagent import PermissionState
from aiagent_operator.api.conditions import Reason, Type, Verdict
from aiagent_operator.api.evaluation import EvaluationTemplate
from aiagent_operator.core import evaluating, evaluating_jobs, texts
from aiagent_operator.core.children import evaluation
from aiagent_operator.core.evaluating import Step
from aiagent_operator.core.evaluation.record import RecordError, recorded
from aiagent_operator.core.grants import Grants, PermissionDecision
from aiagent_operator.core.objects import Child, Desired, ObjectKey
from aiagent_operator.core.plan import Observed, Plan, create
from aiagent_operator.core.revisions import Choice, facts

_BAD = (Phase.FAILED, Phase.ERROR)


@dataclass(frozen=True, slots=True)
class Gate:
    """The gate as it stands. `choice` is what is to serve meanwhile.

    `shut`: what the spec asks for may not serve now; `verdict` says why. `rejects`: why it never shall, to be written.
    """

    choice: Choice
    step: Step = field(default_factory=Step)
    shut: bool = False
    verdict: Verdict | None = None
    rejects: str = ""

    @property
    def withholds(self) -> bool:
        """Whether nothing has passed yet, so that no right is bound: an agent is evaluated before it is employed."""
        return self.shut and self.choice.stable is None


def templates(o: Observed) -> tuple[EvaluationTemplate, ...]:
    """The evaluations that gate revisions; none of an adopted workload, whose owner's edits are live at once."""
    spec = o.agent.spec
    if spec.workload.target_ref is not None or spec.retraining is None:
        return ()
    return spec.retraining.evaluations


def base(o: Observed, *, accepted: bool = True) -> tuple[Desired, ...]:
    """What the Jobs of evaluations need, before one of them is made; without an accepted role, what those that are
    there need."""
    return evaluating_jobs.base(o, wanted=accepted and _by_job(o))


def look(o: Observed, choice: Choice, known: Sequence[Child], overruled: frozenset[str] = frozenset()) -> Gate:
    """The gate before what the choice is about. `known` are the agent's revisions.

    `overruled` are names of evaluations whose verdict Inconclusive a person has decided to pass over.
    """
    asked, target = templates(o), choice.target
    never_served = target is not None and choice.rolling and not choice.order and not facts(target).promotion
    if asked and target is not None and never_served:
        return _before(o, replace(choice, target=choice.stable, gated=target), target, known, overruled)
    left = _left(o, known)
    if choice.rejected is not None:
        return Gate(choice, left, shut=True, verdict=_rejected(o, choice, choice.rejected))
    if asked and choice.stable is None and target is None:
        number = f"Revision {choice.make}" if choice.make else "The first revision"
        return Gate(choice, left, shut=True, verdict=_says(Reason.EVALUATING, f"{number} is to be evaluated first"))
    return Gate(choice, left)


def _before(o: Observed, shut: Choice, target: Child, known: Sequence[Child], overruled: frozenset[str]) -> Gate:
    """The gate before one revision that never served."""
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
    steps = [] if o.suspended else [_next(o, shut, target, t, o.children.get(keys[t.name])) for t in asked]
    step = sum(steps, left)
    if step.trouble:
        text = f"Revision {number} cannot be evaluated: {step.trouble}; {_serves(shut)}"
        return Gate(shut, step, shut=True, verdict=_says(Reason.EVALUATION_INVALID, text))
    waiting = [child for child in runs if child.key not in passed]
    return Gate(shut, step, shut=True, verdict=_under_way(o, shut, number, waiting))


def _left(o: Observed, known: Sequence[Child], carried: frozenset[ObjectKey] = frozenset()) -> Step:
    """What is to be done about runs other than those that are carried on."""
    step, still = evaluating.sort_out(o, known)
    for child in still:
        if child.key not in carried and evaluating.facts(child).provider is Provider.JOB:
            step += evaluating_jobs.rests(o, child)
    return step + Step(tuple(evaluating_jobs.leave(o, wanted=_by_job(o))))


def _by_job(o: Observed) -> bool:
    return any(template.job is not None for template in templates(o))


def _passed(child: Child, overruled: frozenset[str]) -> bool:
    its = evaluating.facts(child)
    return its.phase is Phase.SUCCESSFUL or (its.phase is Phase.INCONCLUSIVE and its.name in overruled)


def _next(o: Observed, choice: Choice, target: Child, template: EvaluationTemplate, child: Child | None) -> Step:
    """The next step of one evaluation: its record, then its run."""
    if child is not None:
        its = evaluating.facts(child)
        if its.phase.completed or child.deleting:
            return Step()
        by_job = its.provider is Provider.JOB
        return evaluating_jobs.carry(o, child, target, choice.stable) if by_job else evaluating.ask(o, child)
    try:
        record = recorded(template)
    except RecordError as error:
        return Step(trouble=str(error))
    stable = facts(choice.stable).number if choice.stable else None
    desired = evaluation.build(o.identity, facts(target).number, record, stable=stable)
    failure = o.refusal(desired)
    return Step((create(desired),), trouble=failure.message if failure else "")


def _under_way(o: Observed, choice: Choice, number: int, waiting: list[Child]) -> Verdict:
    said = list(evaluating.verdicts(waiting))
    unclear = [text for phase, text in said if phase is Phase.INCONCLUSIVE]
    if unclear and len(unclear) == len(said):
        text = f"Revision {number} waits for a person: {texts.some(unclear, 3, '; ')}; {_serves(choice)}"
        return _says(Reason.EVALUATION_INCONCLUSIVE, f"{text}. {_remedy(choice, number)}")
    under_way = texts.some([text for _, text in said], 3, "; ") or "about to begin"
    rests = ". Nothing is measured while the agent is suspended" if o.suspended else ""
    return _says(Reason.EVALUATING, f"Revision {number} is evaluated: {under_way}; {_serves(choice)}{rests}")


def _rejected(o: Observed, choice: Choice, revision: Child) -> Verdict:
    """What is said of work that was rejected, from the records of it as far as they are there."""
    number = facts(revision).number
    runs = [c for c in evaluating.known(o) if evaluating.facts(c).revision == number]
    bad = [text for phase, text in evaluating.verdicts(runs) if phase in _BAD]
    if bad:
        return _refused(choice, number, texts.some(bad, 3, "; "))
    # Its rollout failed, or was aborted; or the records of its evaluations have gone.
    return replace(
        _refused(choice, number, f"status.message of {revision.key} says why"), reason=Reason.REVISION_REJECTED
    )


def _refused(choice: Choice, number: int, why: str) -> Verdict:
    text = f"Revision {number} is rejected: {why[:1].lower()}{why[1:]}; {_serves(choice)}. {_remedy(choice, number)}"
    return Verdict(Type.REVISION_ACCEPTED, False, Reason.EVALUATION_FAILED, text)


def _serves(choice: Choice) -> str:
    return (
        f"revision {facts(choice.stable).number} serves" if choice.stable else "nothing serves, and no right is bound"
    )


def _remedy(choice: Choice, number: int) -> str:
    change = "Change the work in spec.workload.template or spec.handbook, which makes another revision"
    if choice.stable is None:
        return change
    return f"{change}, or let it serve all the same by an AgentAction Rollback to revision {number} (verb rollback)"


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


def joined(plan: Plan, gate: Gate) -> Plan:
    """The plan with what the gate has to read, to ask and to wait for."""
    if plan.revokes:
        return plan  # what takes rights away waits for no evaluation
    step = gate.step
    times = [due for due in (plan.requeue_after, step.due) if due is not None]
    return replace(
        plan,
        needs=plan.needs | step.needs,
        needs_pods=plan.needs_pods | step.needs_pods,
        measure=step.measure,
        requeue_after=min(times, default=None),
    )
