"""What is said of a gate and of a hiring: where a revision stands, what serves meanwhile, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence

from aiagent_operator.api.agentevaluation import Phase, Purpose
from aiagent_operator.api.conditions import Reason, Type, Verdict
from aiagent_operator.core import texts
from aiagent_operator.core.evaluation import evaluating
from aiagent_operator.core.objects import Child
from aiagent_operator.core.plan import Observed
from aiagent_operator.core.policies import required
from aiagent_operator.core.versions import hiring
from aiagent_operator.core.versions.revisions import Choice, facts

BAD = (Phase.FAILED, Phase.ERROR)


def waits(o: Observed, number: int, waiting: Sequence[Child], meanwhile: str, way_out: str) -> Verdict:
    """What is said while evaluations are under way, or a person is waited for. `meanwhile`: what holds until then."""
    said = list(evaluating.verdicts(waiting))
    unclear = [text for phase, text in said if phase is Phase.INCONCLUSIVE]
    if unclear and len(unclear) == len(said):
        text = f"Revision {number} waits for a person: {texts.some(unclear, 3, '; ')}; {meanwhile}. {way_out}"
        return says(Reason.EVALUATION_INCONCLUSIVE, text)
    under_way = texts.some([text for _, text in said], 3, "; ") or f"about to begin{by(o)}"
    rests = ". Nothing is measured while the agent is suspended" if o.suspended else ""
    return says(Reason.EVALUATING, f"Revision {number} is evaluated: {under_way}; {meanwhile}{rests}")


def rejected(o: Observed, choice: Choice, revision: Child) -> Verdict:
    """What is said of work that was rejected, from the records of it as far as they are there."""
    number = facts(revision).number
    runs = [c for c in evaluating.known(o) if _is_of(c, number)]
    bad = [text for phase, text in evaluating.verdicts(runs) if phase in BAD]
    if bad and not facts(revision).aborted_by:
        return refused(o, choice, number, texts.some(bad, 3, "; "))
    # Its rollout failed, or was aborted; or the records of its evaluations have gone.
    why = facts(revision).message or "its record does not say why"
    text = f"Revision {number} is rejected: {why} ({revision.key}); {serves(choice)}. {remedy(o, choice, number)}"
    return Verdict(Type.REVISION_ACCEPTED, False, Reason.REVISION_REJECTED, text)


def _is_of(child: Child, number: int) -> bool:
    """Whether it is a run at the gate of this revision; what is said of those of its rollout stands in its record."""
    its = evaluating.facts(child)
    return its.revision == number and its.purpose is not Purpose.ANALYSIS


def reported(o: Observed, target: Child) -> Verdict | None:
    """What is said of a target's revision without an evaluation that a policy requires: its owner's edit is live."""
    if o.agent.spec.workload.by_revision:
        return None
    number = facts(target).number
    runs = [evaluating.facts(c) for c in evaluating.known(o) if evaluating.facts(c).revision == number]
    unmet = required.missing(o.policies.evaluations, {its.name for its in runs if its.phase is Phase.SUCCESSFUL})
    if not unmet:
        return None
    text = (
        f"{required.said(unmet)}, which revision {number} has not passed: it runs by its owner's edit, and cannot be "
        "held back. Say in spec.workload.container which image is the agent's work, or run it by "
        f"spec.workload.template, and {required.remedy(unmet)}"
    )
    return Verdict(Type.REVISION_ACCEPTED, False, Reason.EVALUATION_REQUIRED, text)


def required_but_not_asked(choice: Choice, number: int, unmet: required.Required) -> Verdict:
    """What is said where a policy requires an evaluation, and neither the agent nor a role that hires it has it."""
    text = (
        f"{required.said(unmet)}, and none of that name is asked of revision {number}; {serves(choice)}. "
        f"{capital(required.remedy(unmet))}"
    )
    return Verdict(Type.REVISION_ACCEPTED, False, Reason.EVALUATION_REQUIRED, text)


def refused(o: Observed, choice: Choice, number: int, why: str) -> Verdict:
    """What is said of work that has failed an evaluation; `why` in words."""
    text = f"Revision {number} is rejected: {why[:1].lower()}{why[1:]}; {serves(choice)}. {remedy(o, choice, number)}"
    return Verdict(Type.REVISION_ACCEPTED, False, Reason.EVALUATION_FAILED, text)


def serves(choice: Choice) -> str:
    """What serves meanwhile."""
    return (
        f"revision {facts(choice.stable).number} serves" if choice.stable else "nothing serves, and no right is bound"
    )


def by(o: Observed) -> str:
    """By whom a revision is evaluated where its agent is yet to be hired."""
    return f", by the {by_role}" if (by_role := hiring.words(o)) else ""


def remedy(o: Observed, choice: Choice, number: int) -> str:
    """What to do about a revision that does not pass."""
    change = f"{other_work(o)}{other_role(o)}"
    if choice.stable is None:
        return change
    return f"{change}, or let it serve all the same by an AgentAction Rollback to revision {number} (verb rollback)"


def way_out(o: Observed, waiting: Sequence[Child]) -> str:
    """What ends the wait for a person. Whoever employs the agent passes over its own evaluations, not over a role's."""
    change = f"{other_work(o)}{other_role(o)}"
    if of_role(waiting):
        return change
    return f"{change}; or an AgentAction Promote lets it pass (verb promote), and Abort gives it up (verb abort)"


def of_role(runs: Sequence[Child]) -> bool:
    """Whether one of these runs is a role's."""
    return any(evaluating.facts(child).role for child in runs)


def other_work(o: Observed) -> str:
    """How to ask for another revision."""
    target, own = o.agent.spec.workload.target_ref, o.agent.spec.workload.container
    where = "the work in spec.workload.template"
    if target:
        where = "spec.workload.container.image" if own else f"an image of {target.kind} {target.name}"
    return f"Change {where} or spec.handbook, which makes another revision"


def other_role(o: Observed) -> str:
    """How to take a transfer back; empty where there is none under way."""
    back = o.hired_as if hiring.templates(o) else ""
    return f', or name AgentRole "{back}" again in spec.roleRef.name' if back else ""


def says(reason: Reason, text: str) -> Verdict:
    """The verdict while nothing is decided."""
    return Verdict(Type.REVISION_ACCEPTED, None, reason, text)


def capital(text: str) -> str:
    """The text as a sentence begins."""
    return f"{text[:1].upper()}{text[1:]}"
