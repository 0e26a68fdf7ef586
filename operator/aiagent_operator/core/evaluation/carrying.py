"""The next step of one run of an evaluation, whoever measures: first its record, then what is measured."""

from __future__ import annotations

from aiagent_operator.api.agentevaluation import Provider
from aiagent_operator.api.evaluation import EvaluationTemplate
from aiagent_operator.core.children import evaluation
from aiagent_operator.core.children.evaluation import GATE, Occasion
from aiagent_operator.core.evaluation import evaluating, evaluating_jobs
from aiagent_operator.core.evaluation.evaluating import Step
from aiagent_operator.core.evaluation.record import RecordError, recorded
from aiagent_operator.core.objects import Child
from aiagent_operator.core.plan import Observed, create
from aiagent_operator.core.versions.revisions import facts


def carry(
    o: Observed, template: EvaluationTemplate, target: Child, stable: Child | None, occasion: Occasion = GATE
) -> Step:
    """The next step of the run of the revision `target`, which `stable` is compared with where there is one."""
    number = facts(target).number
    child = o.children.get(evaluation.key_of(o.identity, number, template.name, occasion))
    if child is not None:
        its = evaluating.facts(child)
        if its.phase.completed or child.deleting:
            return Step()
        by_job = its.provider is Provider.JOB
        return evaluating_jobs.carry(o, child, target, stable) if by_job else evaluating.ask(o, child)
    try:
        record = recorded(template)
    except RecordError as error:
        return Step(trouble=str(error))
    compared = facts(stable).number if stable else None
    desired = evaluation.build(o.identity, number, record, stable=compared, occasion=occasion)
    failure = o.refusal(desired)
    return Step((create(desired),), trouble=failure.message if failure else "")
