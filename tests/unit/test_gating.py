"""The gate before a revision serves: each row of its table in docs/revisions.md, and what an agent goes through."""

import re
from dataclasses import replace
from typing import Any

import pytest

from aiagent_operator.api.agentevaluation import Phase, Provider, Purpose
from aiagent_operator.core.children import evaluation
from aiagent_operator.core.children.evaluation import GATE, Occasion
from aiagent_operator.core.objects import AgentIdentity, Child, ChildKind, EvaluationFacts
from aiagent_operator.core.plan import Observed, Verb
from aiagent_operator.core.rollout.facts import OrderKind, RolloutOrder
from aiagent_operator.core.versions import gating, revisions
from aiagent_operator.core.versions.gating import Gate
from aiagent_operator.core.versions.revisions import Choice, RollbackOrder, facts
from support.agents import permission
from support.decisions import IDENTITY, observed, reported, said
from support.documents import ROOT, table
from support.gates import Desk, template
from unit.test_revisions import followed, read, record

ROWS = table(ROOT / "docs" / "revisions.md", "revisions and evaluations")
_EVALUATION = re.compile(r"(\d+)([ab]) (\w+)")
BOTH = {"retraining": {"evaluations": [template("a"), template("b")]}}
HANDBOOK = {"instructions": {"inline": "Be brief."}}


def run(number: int, name: str, phase: Phase) -> Child:
    """An evaluation of a revision, as it was observed."""
    its = EvaluationFacts(number, name, Purpose.PROMOTION, Provider.PROMETHEUS, phase, f"{name} said so")
    key = evaluation.key_of(IDENTITY, number, name)
    return Child(key, f"uid-{key.name}", "1", IDENTITY.uid, "", evaluation=its)


def gate_of(cell: str, work: str, order: str, **facts_: Any) -> tuple[Gate, list[Child]]:
    """The gate of a row, and the revisions."""
    parts = cell.split(", ") if cell else []
    runs = [run(int(m[1]), m[2], Phase(m[3])) for part in parts if (m := _EVALUATION.fullmatch(part))]
    known = read(", ".join(part for part in parts if not _EVALUATION.fullmatch(part)))
    rollback = None
    if order.startswith("to "):
        rollback = RollbackOrder("back", "new", "AgentAction back by jane", int(order.removeprefix("to ")))
    kinds = {"promote": OrderKind.PROMOTE, "abort": OrderKind.ABORT}
    steering = (RolloutOrder("one", kinds[order], "AgentAction one by jane"),) if order in kinds else ()
    live: dict[Any, Any] = {child.key: {} for child in known}
    o = observed(children=[*known, *runs], spec=BOTH, steering=steering, live=live, **facts_)
    return gating.aborted(o, gating.look(o, revisions.choose(known, work, 0, rollback), known)), known


@pytest.mark.parametrize(("before", "work", "order", "gate", "reason", "then"), ROWS)
def test_row(before: str, work: str, order: str, gate: str, reason: str, then: str) -> None:
    found, known = gate_of(before, work, order)
    over = ", ".join(each["evaluation"] for each in found.overrules.get("overruled", ()))
    stands = "rejects" if found.rejects else "shut" if found.shut else "open"
    stands = f"passes over {over}" if over else stands
    assert (stands, found.verdict.reason.value if found.verdict else "") == (gate, reason)
    if found.rejects:
        assert found.choice.gated is not None
        status = revisions.rejection(found.rejects)
        others = followed([c for c in known if c is not found.choice.gated], found.choice, work)
        after = sorted([reported(found.choice.gated, status), *others], key=lambda child: facts(child).number)
    else:
        after = followed(known, found.choice, work)
    assert [record(each) for each in after] == [record(each) for each in read(then)]


def test_every_phase_and_every_outcome_has_a_row() -> None:
    assert {phase.value for phase in Phase} == {m[3] for row in ROWS for m in _EVALUATION.finditer(row[0])}
    assert {row[3] for row in ROWS} == {"open", "shut", "rejects", "passes over a"}


def test_a_person_may_pass_over_what_is_inconclusive_and_nothing_else() -> None:
    def opens(phase: Phase) -> bool:
        stable, candidate = read("1:A Stable#1, 2:B Candidate")
        known = [stable, replace(candidate, revision=replace(facts(candidate), overruled=(("a", "uid"),)))]
        runs = [run(2, "a", phase), run(2, "b", Phase.SUCCESSFUL)]
        o: Observed = observed(children=[*known, *runs], spec=BOTH)
        found = gating.look(o, revisions.choose(known, "B", 0), known)
        return not found.shut

    assert [phase for phase in Phase if opens(phase)] == [Phase.SUCCESSFUL, Phase.INCONCLUSIVE]


def test_an_adopted_workload_has_no_gate() -> None:
    known = read("1:A Stable#1, 2:B Candidate")
    workload = {"targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "triage"}}
    o = observed(children=known, spec={**BOTH, "workload": workload})
    assert gating.look(o, revisions.choose(known, "B", 0), known) == Gate(Choice(known[0], known[1]))


# What an agent goes through ------------------------------------------------------------------------------------------


def employed(**spec: Any) -> Desk:
    """An agent at work that has passed its evaluation `live`."""
    desk = Desk(permission("refund"), retraining={"evaluations": [template("live")]}, **spec)
    plan = desk.settle()
    assert said(plan, "Ready")[0] is True
    return desk


def test_the_first_revision_holds_no_right_and_runs_nothing_before_it_has_passed() -> None:
    desk = Desk(permission("refund"), retraining={"evaluations": [template("live")]})
    desk.answer = lambda *_: ""
    plan = desk.settle()
    assert desk.phases() == {"triage-1-live": "Pending"}
    assert not desk.of(ChildKind.ROLE_BINDING)
    assert not desk.of(ChildKind.DEPLOYMENT)
    assert [(p["state"], p["reason"]) for p in plan.status["permissions"]] == [("Pending", "Evaluating")]
    assert "no right is bound" in plan.status["permissions"][0]["message"]
    assert said(plan, "RevisionAccepted")[:2] == (None, "Evaluating")
    assert said(plan, "Ready")[:2] == said(plan, "WorkloadReady")[:2] == (False, "Evaluating")
    assert plan.status["revision"] == {"latest": 1, "candidate": 1}
    assert [metric.name for each in plan.measure for metric, _ in each.metrics] == ["m"]

    desk.answer = lambda *_: "S"
    plan = desk.settle()
    assert desk.phases() == {"triage-1-live": "Successful"}
    assert desk.of(ChildKind.ROLE_BINDING)
    assert said(plan, "Ready")[0] is True
    assert plan.status["revision"] == {"latest": 1, "stable": 1}
    assert not [v for v in plan.verdicts if v.type.value == "RevisionAccepted"]


def test_a_first_revision_that_fails_gets_nothing_and_other_work_heals_it() -> None:
    desk = Desk(permission("refund"), retraining={"evaluations": [template("live")]})
    desk.answer = lambda *_: "F"
    plan = desk.settle()
    assert desk.states() == {"triage-1": "Rejected"}
    assert not desk.of(ChildKind.ROLE_BINDING)
    assert not desk.of(ChildKind.DEPLOYMENT)
    assert said(plan, "Ready")[:2] == (False, "EvaluationFailed")
    assert "Stalled" in {v.type.value for v in plan.verdicts}
    assert plan.status["revision"] == {"latest": 1, "rejected": 1}

    desk.answer = lambda *_: "S"
    desk.spec["handbook"] = HANDBOOK
    plan = desk.settle()
    assert said(plan, "Ready")[0] is True
    assert desk.states() == {"triage-1": "Rejected", "triage-2": "Stable"}


def test_what_fails_is_rejected_with_the_reason_and_what_serves_goes_on() -> None:
    desk = employed()
    before = desk.of(ChildKind.DEPLOYMENT), desk.of(ChildKind.ROLE_BINDING)
    desk.answer = lambda *_: "F"
    desk.spec["handbook"] = HANDBOOK
    plan = desk.settle()
    assert desk.states() == {"triage-1": "Stable", "triage-2": "Rejected"}
    assert (desk.of(ChildKind.DEPLOYMENT), desk.of(ChildKind.ROLE_BINDING)) == before
    status, reason, message = said(plan, "RevisionAccepted")
    assert (status, reason) == (False, "EvaluationFailed")
    assert message.startswith('Revision 2 is rejected: evaluation "live" is Failed: m: ')
    for part in ("0.5 is below min 1", "revision 1 serves", "Change the work", "Rollback to revision 2"):
        assert part in message
    assert "0.5 is below min 1" in desk.of(ChildKind.AGENT_REVISION)["triage-2"]["status"]["message"]
    assert plan.status["revision"] == {"latest": 2, "stable": 1, "rejected": 2}
    assert plan.status["permissions"][0]["state"] == "Granted"
    assert said(plan, "WorkloadReady")[0] is True

    # Not tried again, whatever would be measured now.
    desk.answer = lambda *_: "S"
    desk.later(3600)
    plan = desk.settle(most=1)
    assert plan.measure == ()
    assert plan.requeue_after is None


def test_other_work_heals_and_the_rejected_stays_what_it_is() -> None:
    desk = employed()
    desk.answer = lambda *_: "F"
    desk.spec["handbook"] = HANDBOOK
    desk.settle()
    desk.answer = lambda *_: "S"
    desk.spec["handbook"] = {"instructions": {"inline": "Be honest."}}
    assert said(desk.settle(), "Ready")[0] is True
    assert desk.states() == {"triage-1": "Superseded", "triage-2": "Rejected", "triage-3": "Stable"}
    desk.spec["handbook"] = HANDBOOK
    assert said(desk.settle(), "Ready")[:2] == (False, "EvaluationFailed")


def test_nothing_of_a_revision_runs_before_it_has_passed_and_then_it_takes_over() -> None:
    desk = employed()
    desk.answer = lambda *_: ""
    desk.spec["handbook"] = HANDBOOK
    desk.settle()
    assert set(desk.of(ChildKind.DEPLOYMENT)) == {"triage-1"}
    desk.answer = lambda *_: "S"
    desk.settle()
    assert set(desk.of(ChildKind.DEPLOYMENT)) == {"triage-2"}
    assert desk.of(ChildKind.AGENT_EVALUATION)["triage-2-live"]["spec"]["stableRevision"] == 1


def test_a_run_is_measured_in_its_time_and_each_answer_counts_once() -> None:
    desk = employed()
    desk.spec["retraining"] = {"evaluations": [template("slow", interval="30s", count=3, initialDelay="1m")]}
    desk.spec["handbook"] = HANDBOOK
    plan = desk.settle()
    assert plan.requeue_after == 60
    for taken, wait in ((1, 60), (2, 30), (3, 30)):
        desk.later(wait)
        desk.settle()
        (result,) = desk.of(ChildKind.AGENT_EVALUATION)["triage-2-slow"]["status"]["metricResults"]
        assert result["count"] == taken
    assert desk.phases()["triage-2-slow"] == "Successful"
    assert desk.states()["triage-2"] == "Stable"


def test_an_answer_is_not_counted_for_a_measurement_it_was_not_asked_for() -> None:
    desk = employed()
    desk.spec["retraining"] = {"evaluations": [template("slow", interval="1s", count=3)]}
    desk.spec["handbook"] = HANDBOOK
    while not (plan := desk.decide()).measure:
        for write in plan.writes:
            desk.write(write)
    answers = desk.measured(plan)
    for _ in range(5):
        for write in desk.decide(answers).writes:
            desk.write(write)
        desk.later(1)
    (result,) = desk.of(ChildKind.AGENT_EVALUATION)["triage-2-slow"]["status"]["metricResults"]
    assert result["count"] == 1


def test_the_definition_of_a_run_stays_as_it_was_when_it_began() -> None:
    desk = employed()
    desk.answer = lambda *_: ""
    desk.spec["handbook"] = HANDBOOK
    desk.settle()
    desk.spec["retraining"] = {"evaluations": [template("live", min="7")]}
    plan = desk.settle()
    (asked,) = plan.measure
    assert [metric.min for metric, _ in asked.metrics] == ["1"]


def test_nothing_is_measured_while_the_agent_is_suspended() -> None:
    desk = employed()
    desk.answer = lambda *_: ""
    desk.spec["handbook"] = HANDBOOK
    desk.settle()
    desk.spec["suspended"] = True
    plan = desk.settle()
    assert plan.measure == ()
    assert said(plan, "Ready")[:2] == (False, "Suspended")
    assert "Nothing is measured while the agent is suspended" in said(plan, "RevisionAccepted")[2]
    desk.spec["suspended"] = False
    assert desk.settle().measure


def test_an_agent_suspended_before_it_has_passed_is_suspended() -> None:
    desk = Desk(permission("refund"), retraining={"evaluations": [template("live")]}, suspended=True)
    plan = desk.settle()
    assert said(plan, "Ready")[:2] == (False, "Suspended")
    assert desk.phases() == {}


def test_a_run_rests_while_its_revision_is_not_asked_for_and_goes_on_when_it_is() -> None:
    desk = employed()
    desk.answer = lambda *_: ""
    first = desk.spec.get("handbook", {"instructions": {"inline": "Be kind."}})
    desk.spec["handbook"] = HANDBOOK
    desk.settle()
    desk.spec["handbook"] = first
    assert desk.settle().measure == ()
    assert desk.phases()["triage-2-live"] == "Pending"
    desk.spec["handbook"] = HANDBOOK
    desk.answer = lambda *_: "S"
    assert said(desk.settle(), "Ready")[0] is True


def test_what_is_not_over_when_its_revision_is_rejected_is_ended() -> None:
    desk = employed()
    desk.spec["retraining"] = {"evaluations": [template("bad"), template("slow", interval="1h", count=2)]}
    desk.answer = lambda name, _: "F" if name == "bad" else ""
    desk.spec["handbook"] = HANDBOOK
    desk.settle()
    assert desk.phases() == {"triage-1-live": "Successful", "triage-2-bad": "Failed", "triage-2-slow": "Inconclusive"}
    text = desk.of(ChildKind.AGENT_EVALUATION)["triage-2-slow"]["status"]["message"]
    assert "revision 2 is Rejected" in text


def test_evaluations_go_with_their_revision() -> None:
    desk = employed(revisionHistoryLimit=0)
    for text in ("one", "two"):
        desk.spec["handbook"] = {"instructions": {"inline": text}}
        desk.settle()
    assert desk.phases() == {"triage-3-live": "Successful"}


def test_an_evaluation_that_comes_later_is_of_later_revisions() -> None:
    desk = employed()
    desk.answer = lambda name, _: "S" if name == "live" else ""
    desk.spec["retraining"] = {"evaluations": [template("live"), template("new")]}
    assert said(desk.settle(), "Ready")[0] is True
    desk.spec["handbook"] = HANDBOOK
    assert said(desk.settle(), "Ready")[:2] == (False, "Evaluating")
    assert desk.phases()["triage-2-new"] == "Pending"


def test_what_takes_rights_away_waits_for_no_evaluation() -> None:
    desk = employed()
    desk.answer = lambda *_: ""
    desk.spec["handbook"] = HANDBOOK
    desk.settle()
    desk.spec["suspended"] = True
    plan = desk.decide()
    assert [(w.verb, w.key.kind) for w in plan.writes if w.key.kind is ChildKind.ROLE_BINDING] == [
        (Verb.DELETE, ChildKind.ROLE_BINDING)
    ]
    assert plan.revokes
    assert not any(key.kind is ChildKind.AGENT_EVALUATION for key in plan.needs)


@pytest.mark.parametrize(
    ("agent_number_name", "ends"),
    [((1, "held-out"), "triage-1-held-out"), ((7, "x" * 40), "triage-7-" + "x" * 40)],
)
def test_names(agent_number_name: tuple[int, str], ends: str) -> None:
    assert evaluation.name_of(IDENTITY, *agent_number_name) == ends


def test_names_of_two_agents_never_meet() -> None:
    first, other = AgentIdentity("home", "a", "1"), AgentIdentity("home", "a-1", "2")
    assert evaluation.name_of(first, 1, "2-x") != evaluation.name_of(other, 2, "x")
    assert len(evaluation.name_of(AgentIdentity("home", "a" * 40, "1"), 2**31 - 1, "x" * 40)) == 63


def test_runs_of_one_evaluation_have_names_of_their_own() -> None:
    analysis = Occasion(Purpose.ANALYSIS, "a0")
    for name in ("held-out", "x" * 40, "2-x"):
        long = AgentIdentity("home", "a" * 40, "1")
        for agent in (IDENTITY, long):
            names = {evaluation.name_of(agent, 1, name, each) for each in (GATE, analysis, Occasion(suffix="a1"))}
            assert len(names) == 3
            assert all(len(each) <= 63 for each in names)
    # An evaluation has no dot in its name, so that none is called as a run of another one.
    assert evaluation.name_of(IDENTITY, 1, "held-out", analysis) == "triage-1-held-out.a0"
