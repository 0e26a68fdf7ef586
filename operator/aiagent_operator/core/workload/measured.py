"""The decision about a rollout with what its evaluations say, and what is to be done about these."""

from __future__ import annotations

from dataclasses import replace

from aiagent_operator.core import texts
from aiagent_operator.core.evaluation import analysing
from aiagent_operator.core.evaluation.evaluating import Step
from aiagent_operator.core.objects import Child
from aiagent_operator.core.plan import Observed
from aiagent_operator.core.rollout import verdicts
from aiagent_operator.core.rollout.decide import decide
from aiagent_operator.core.rollout.decision import Decision
from aiagent_operator.core.rollout.facts import Facts


def decided(o: Observed, f: Facts, target: Child, stable: Child | None, since: str) -> tuple[Facts, Decision, Step]:
    """The decision, the facts that it rests on, and the next step of the evaluations; `since`: when the rollout began.

    Where one that is needed cannot run, or has no record yet, nothing moves: a candidate gets more only while it is
    watched.
    """
    number, known = f.candidate.revision, verdicts.known(f)
    seen = analysing.look(o, number, since, known)
    f = replace(f, verdicts=seen.verdicts, said=seen.said)
    decision = decide(f)
    step = analysing.carry(o, target, stable, since, decision.runs)
    records = {run: analysing.key_of(o, number, since, run) for run in {*known, *decision.runs}}
    missing = [run.name for run in decision.runs if records[run] not in o.children]
    about = f"evaluation {texts.quoted(missing)} is about to begin" if missing else ""
    if decision.runs and (why := step.trouble or about):
        f = replace(f, unmeasured=why)
        decision = decide(f)
    left = analysing.leave(o, _why(f, decision), {records[run] for run in decision.runs}, records.values())
    return f, decision, step + replace(left, trouble="")


def _why(f: Facts, decision: Decision) -> str:
    """Why evaluations that are not needed any more end."""
    if decision.status.aborted_at is not None:
        return f"revision {f.candidate.revision} is rolled back"
    return "the agent is suspended" if f.suspended else "the rollout goes on without it"
