"""Evaluations that AgentPolicies require: what has none of that name does not serve, and what serves goes on."""

from __future__ import annotations

from typing import Any

import pytest

from aiagent_operator.core.children import evaluation
from aiagent_operator.core.objects import ChildKind
from aiagent_operator.core.plan import Observed
from aiagent_operator.core.versions import gating, revisions
from aiagent_operator.core.versions.revisions import RollbackOrder
from support.agents import permission
from support.decisions import IDENTITY, compiled, observed, said
from support.gates import Desk, template
from support.policies import merged, policy
from unit.test_gating import run
from unit.test_hiring import TARGET
from unit.test_hiring import run as hiring
from unit.test_revisions import read

HANDBOOK = {"instructions": {"inline": "Be brief."}}
SAFETY = merged(policy("corp", requiredEvaluations=[{"name": "safety"}]))


def desk(*own: str, **facts: Any) -> Desk:
    """An agent with evaluations of these names."""
    spec = {"retraining": {"evaluations": [template(name) for name in own]}} if own else {}
    found = Desk(permission("refund"), **spec)
    found.facts |= facts
    return found


def test_a_new_agent_without_it_gets_no_right_and_no_pod() -> None:
    found = desk("live", policies=SAFETY)
    plan = found.settle()
    assert found.states() == {"triage-1": "Candidate"}
    assert not {key.kind for key in found.bodies} & {ChildKind.ROLE_BINDING, ChildKind.DEPLOYMENT}
    status, reason, message = said(plan, "RevisionAccepted")
    assert (status, reason) == (False, "EvaluationRequired")
    for text in (
        'AgentPolicy "corp" requires evaluation "safety"',
        "none of that name is asked of revision 1",
        "no right is bound",
        "Add an evaluation of that name to spec.retraining.evaluations",
    ):
        assert text in message
    assert said(plan, "Ready")[:2] == (False, "EvaluationRequired")
    assert "Stalled" in {verdict.type.value for verdict in plan.verdicts}
    assert plan.status["permissions"][0]["reason"] == "EvaluationRequired"

    found.spec["retraining"] = {"evaluations": [template("live"), template("safety")]}
    assert said(found.settle(), "Ready")[0] is True
    assert found.phases() == {"triage-1-live": "Successful", "triage-1-safety": "Successful"}


@pytest.mark.parametrize("own", [(), ("live",)])
def test_what_serves_goes_on_and_what_is_new_waits(own: tuple[str, ...]) -> None:
    found = desk(*own)
    found.settle()
    found.facts["policies"] = SAFETY
    assert said(found.settle(), "Ready")[0] is True, "what has served is asked for nothing more"
    found.spec["handbook"] = HANDBOOK
    plan = found.settle()
    assert said(plan, "RevisionAccepted")[:2] == (False, "EvaluationRequired")
    assert "revision 1 serves" in said(plan, "RevisionAccepted")[2]
    assert found.states() == {"triage-1": "Stable", "triage-2": "Candidate"}
    assert set(found.of(ChildKind.DEPLOYMENT)) == {"triage-1"}
    assert found.of(ChildKind.ROLE_BINDING)

    found.facts.pop("policies")
    assert said(found.settle(), "Ready")[0] is True
    assert found.states()["triage-2"] == "Stable"


def test_of_several_policies_each_is_named_and_all_have_to_be_met() -> None:
    both = merged(policy("a", requiredEvaluations=[{"name": "safety"}, {"name": "tone"}]),
                  policy("b", requiredEvaluations=[{"name": "safety"}]))  # fmt: skip
    found = desk("live", policies=both)
    message = said(found.settle(), "RevisionAccepted")[2]
    assert 'AgentPolicy "a" and AgentPolicy "b" requires evaluation "safety"' in message
    assert 'AgentPolicy "a" requires evaluation "tone"' in message
    found.spec["retraining"] = {"evaluations": [template("safety")]}
    message = said(found.settle(), "RevisionAccepted")[2]
    assert "safety" not in message
    assert '"tone"' in message


def test_what_runs_in_a_rollout_alone_comes_too_late_to_count() -> None:
    found = desk("safety", policies=SAFETY)
    found.spec["retraining"]["rollout"] = {
        "strategy": "Canary", "steps": [{"weight": 50}, {"evaluation": {"name": "safety"}}]
    }  # fmt: skip
    plan = found.settle()
    assert said(plan, "RevisionAccepted")[:2] == (False, "EvaluationRequired")
    assert "leave it out of spec.retraining.rollout" in said(plan, "RevisionAccepted")[2]
    assert not found.of(ChildKind.ROLE_BINDING)


def test_what_is_required_has_to_pass_as_any_evaluation() -> None:
    found = desk("safety", policies=SAFETY)
    found.answer = lambda *_: "F"
    assert said(found.settle(), "RevisionAccepted")[:2] == (False, "EvaluationFailed")
    assert found.states() == {"triage-1": "Rejected"}


def test_what_has_failed_is_rejected_though_another_is_required() -> None:
    found = desk("live", policies=SAFETY)
    found.settle()
    o, known = observed(spec=found.spec, policies=SAFETY), read("1:A Candidate")
    failed = observed(children=[*known, run(1, "live", gating.Phase.FAILED)], spec=found.spec, policies=SAFETY)
    assert gating.look(o, revisions.choose(known, "A", 0), known).rejects == ""
    assert gating.look(failed, revisions.choose(known, "A", 0), known).rejects


def test_those_of_the_role_count_while_the_agent_is_hired_and_not_after() -> None:
    found = desk(policies=SAFETY, role=compiled(hiringEvaluations=[template("safety")]))
    assert said(found.settle(), "Ready")[0] is True
    found.spec["handbook"] = HANDBOOK
    assert said(found.settle(), "RevisionAccepted")[:2] == (False, "EvaluationRequired")
    assert found.states() == {"triage-1": "Stable", "triage-2": "Candidate"}


def test_a_person_lets_it_serve_by_an_order() -> None:
    found = desk("live")
    found.settle()
    found.facts["policies"] = SAFETY
    found.spec["handbook"] = HANDBOOK
    found.settle()
    found.facts["rollback"] = RollbackOrder("on", "u", "AgentAction on by jane", 2)
    found.settle()
    assert found.states()["triage-2"] == "Stable"


def adopted(cell: str, work: str, *runs: Any, **spec: Any) -> Observed:
    """An agent with a target that has these revisions."""
    role = compiled(hiringEvaluations=[template("safety")]) if runs else compiled()
    given = {"workload": TARGET, **spec}
    status = {"hiredAs": "support"}
    return observed(children=[*read(cell), *runs], spec=given, policies=SAFETY, role=role, status=status)


def test_a_target_runs_on_with_its_rights_and_is_reported() -> None:
    o = adopted("1:A Stable#1", "A")
    gate = gating.look(o, revisions.choose(read("1:A Stable#1"), "A", 0), read("1:A Stable#1"))
    assert (gate.shut, gate.hires, gate.withholds) == (False, True, False)
    assert gate.verdict is not None
    assert (gate.verdict.status, gate.verdict.reason.value) == (False, "EvaluationRequired")
    assert "runs by its owner's edit, and cannot be held back" in gate.verdict.message


def test_a_targets_revision_that_was_hired_by_it_is_not_reported() -> None:
    passed = hiring(1, "safety", gating.Phase.SUCCESSFUL, "support")
    known = read("1:A Stable#1")
    assert gating.look(adopted("1:A Stable#1", "A", passed), revisions.choose(known, "A", 0), known).verdict is None
    cell = "1:A Superseded#1, 2:B Stable#2"
    gate = gating.look(adopted(cell, "B", passed), revisions.choose(read(cell), "B", 0), read(cell))
    assert gate.verdict is not None
    assert "which revision 2 has not passed" in gate.verdict.message


def test_the_name_of_an_own_run_is_not_that_of_a_hiring() -> None:
    assert evaluation.name_of(IDENTITY, 1, "safety") != evaluation.name_of(
        IDENTITY, 1, "safety", evaluation.hiring("support")
    )
