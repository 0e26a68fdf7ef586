"""What is said of the work of an agent whose spec says how a revision takes over."""

from __future__ import annotations

from collections.abc import Iterable

from aiagent_operator.api.conditions import Reason, Verdict
from aiagent_operator.api.rolloutstatus import PausedFor
from aiagent_operator.core import succession
from aiagent_operator.core.plan import Observed
from aiagent_operator.core.rollout.decision import Decision, WaitsFor
from aiagent_operator.core.rollout.facts import Facts
from aiagent_operator.core.versions.revisions import Choice, facts
from aiagent_operator.core.workload import template
from aiagent_operator.core.workload.result import not_ready


def nothing(o: Observed, choice: Choice, text: str) -> str:
    """Why an order about a rollout fails where there is none; `text` is what is said where nothing is evaluated."""
    if succession.to_be_accepted(o):
        return _before_acceptance(o)
    if choice.gated is None:
        return text
    number = facts(choice.gated).number
    if o.suspended:
        return f"the agent is suspended, and revision {number} waits: resume it, then order Promote again"
    return (
        f"revision {number} has evaluations to pass before it takes over, and none that waits for a person now: "
        "RevisionAccepted says how they stand; order Promote again when all that are left are Inconclusive"
        + ("" if choice.stable else "; there is no other revision to go back to: Suspend stops the agent")
    )


def _before_acceptance(o: Observed) -> str:
    """Why an order fails that was given before there was something to accept, or that does not accept it."""
    if o.suspended:
        return "the agent is suspended, and is not hired before it is resumed: resume it, then order Promote again"
    return (
        "the agent is not hired yet: RevisionAccepted says for what it waits. A Promote accepts the handover once its "
        "evaluations are passed, and before that only lets pass what is Inconclusive: order it again then; there is no "
        "other revision to go back to: Suspend stops the agent"
    )


def rolling(o: Observed, f: Facts, decision: Decision, unfit: Verdict | None, *, invalid: bool) -> Verdict:
    """What is said of the work while one revision takes over. `unfit` is what is wrong with Services; `invalid`: an
    evaluation cannot be carried out."""
    wait, status = decision.wait, decision.status
    text = wait.text or f"Revision {f.candidate.revision} is about to end its rollout"
    if status.aborted_at is None:
        if status.paused_for in (PausedFor.FAILED, PausedFor.INCONCLUSIVE):
            return not_ready(Reason.ROLLOUT_STOPPED, text)
        if wait.what in (WaitsFor.TIME, WaitsFor.PERSON):
            return not_ready(Reason.ROLLOUT_PAUSED, text)
        if wait.what is WaitsFor.EVALUATION and invalid:
            return not_ready(Reason.EVALUATION_INVALID, text)
    if wait.what is WaitsFor.TRAFFIC and unfit:
        return unfit
    problems = (*filter(None, (f.candidate.failure,)), *o.pod_problems)
    if wait.what is WaitsFor.PODS and problems:
        return not_ready(Reason.PODS_FAILING, f"{text}: {'; '.join(problems)}")
    return not_ready(Reason.PROGRESSING, text)


def stopped(o: Observed, runs: Iterable[template.Run]) -> Verdict | None:
    """What is said of the work of a suspended agent."""
    each = [template.said_of(o, run) for run in runs]
    return next((plan.verdict for plan in each if not plan.complete), each[-1].verdict)
