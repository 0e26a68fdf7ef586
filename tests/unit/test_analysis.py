"""Evaluations in steps and analysis of a rollout: what an agent goes through, with records, answers and Jobs."""

from __future__ import annotations

from typing import Any

from aiagent_operator.api.agentevaluation import Phase
from aiagent_operator.api.conditions import Reason
from aiagent_operator.core.evaluation import analysing
from aiagent_operator.core.evaluation.evaluating import facts
from aiagent_operator.core.objects import Child, ChildKind, Manifest, ObjectKey
from aiagent_operator.core.plan import Failure, Plan
from aiagent_operator.core.rollout.facts import OrderKind, RolloutOrder
from aiagent_operator.core.versions.revisions import RollbackOrder
from support import agents
from support.agents import permission
from support.decisions import HOME, said
from support.gates import Desk, by_job, template

WATCH = template("errors", interval="10s")
ANALYSED: Manifest = {"strategy": "Canary", "steps": [{"weight": 25}, {"pause": {}}], "analysis": [{"name": "errors"}]}
MEASURED: Manifest = {"strategy": "Canary", "steps": [{"weight": 25}, {"evaluation": {"name": "held-out"}}]}
GOOD = '{"measurements": [{"name": "m", "value": "1.5"}]}'
ONE, TWO, THREE = ({"instructions": {"inline": text}} for text in ("Be one.", "Be two.", "Be three."))


def employed(rollout: Manifest, *evaluations: Manifest, **spec: Any) -> Desk:
    """An agent at work, with four pods of revision 1."""
    how = {"rollout": rollout, "evaluations": list(evaluations)}
    desk = Desk(permission("refund"), retraining=how, workload=agents.template(replicas=4), handbook=ONE, **spec)
    assert said(desk.settle(), "Ready")[0] is True
    return desk


def edited(desk: Desk, book: Manifest = TWO) -> Plan:
    desk.spec["handbook"] = book
    return desk.settle()


def pods(desk: Desk) -> dict[str, int]:
    return {name: body["spec"]["replicas"] for name, body in desk.of(ChildKind.DEPLOYMENT).items()}


def runs(desk: Desk, evaluation: str) -> list[Child]:
    """The runs of an evaluation in rollouts, oldest first."""
    found = [child for child in desk.children().values() if child.evaluation and facts(child).name == evaluation]
    return sorted(found, key=lambda child: int(child.resource_version))


def phases(desk: Desk, evaluation: str) -> list[Phase]:
    return [facts(child).phase for child in runs(desk, evaluation)]


def order(desk: Desk, kind: OrderKind, uid: str = "one") -> Plan:
    """A person orders something about the rollout, and it is done."""
    desk.facts["steering"] = (RolloutOrder(uid, kind, f"AgentAction {uid} by ann (why not)"),)
    return desk.settle()


def outcome(desk: Desk, uid: str = "one") -> tuple[bool, str]:
    return next((o.get("done", False), o["message"]) for o in desk.status["rollout"]["orders"] if o["uid"] == uid)


# Analysis ------------------------------------------------------------------------------------------------------------


def test_it_is_no_gate_and_the_first_revision_has_none() -> None:
    desk = employed(ANALYSED, WATCH)
    assert desk.phases() == {}
    assert desk.states() == {"triage-1": "Stable"}


def test_it_begins_with_the_first_weight_and_goes_on_while_a_person_is_waited_for() -> None:
    desk = employed(ANALYSED, WATCH)
    plan = edited(desk)
    (record,) = desk.of(ChildKind.AGENT_EVALUATION).values()
    assert (record["spec"]["purpose"], record["spec"]["revision"], record["spec"]["stableRevision"]) == (
        "Analysis",
        2,
        1,
    )
    assert desk.status["rollout"]["waitsFor"] == "Person"
    assert plan.requeue_after == 10
    for taken in (2, 3, 4):
        desk.later(10)
        desk.settle()
        (result,) = desk.of(ChildKind.AGENT_EVALUATION)[record["metadata"]["name"]]["status"]["metricResults"]
        assert (result["count"], result["phase"]) == (taken, "Running")
    assert pods(desk) == {"triage-1": 3, "triage-2": 1}


def test_the_candidate_gets_nothing_more_before_the_record_is_there() -> None:
    desk = employed({**ANALYSED, "steps": [{"weight": 25}, {"weight": 75}]}, WATCH)
    desk.spec["handbook"] = TWO
    before: dict[str, int] = {}
    while not desk.of(ChildKind.AGENT_EVALUATION):
        before = pods(desk)
        plan = desk.decide()
        for write in plan.writes:
            desk.write(write)
        desk.status |= plan.status
    assert before == pods(desk) == {"triage-1": 3, "triage-2": 1}
    desk.settle()
    assert desk.states() == {"triage-1": "Superseded", "triage-2": "Stable"}


def test_one_that_fails_brings_everything_back_without_a_pause() -> None:
    desk = employed(
        {**ANALYSED, "analysis": [{"name": "errors"}, {"name": "slow"}]}, WATCH, template("slow", interval="1h")
    )
    edited(desk)
    desk.later(10)
    desk.answer = lambda name, _: "F" if name == "errors" else "S"
    plan = desk.settle()
    assert desk.states() == {"triage-1": "Stable", "triage-2": "Rejected"}
    assert pods(desk) == {"triage-1": 4}
    assert phases(desk, "errors") == [Phase.FAILED]
    assert phases(desk, "slow") == [Phase.SUCCESSFUL], "what was measured of it is its verdict"
    (ended,) = [r for r in desk.of(ChildKind.AGENT_EVALUATION).values() if r["spec"]["template"]["name"] == "slow"]
    assert "revision 2 is rolled back, measured 1 times" in ended["status"]["metricResults"][0]["message"]
    status, reason, message = said(plan, "RevisionAccepted")
    assert (status, reason) == (False, "RevisionRejected")
    for part in (
        'Revision 2 is rejected: evaluation "errors" is Failed: m: ',
        "0.5 is below min 1",
        "AgentRevision home/triage-2",
    ):
        assert part in message
    assert desk.settle(most=1).requeue_after is None, "nothing is measured any more"


def test_it_ends_with_the_rollout_and_what_was_measured_is_its_verdict() -> None:
    desk = employed(ANALYSED, WATCH)
    edited(desk)
    order(desk, OrderKind.PROMOTE)
    assert desk.states() == {"triage-1": "Superseded", "triage-2": "Stable"}
    assert phases(desk, "errors") == [Phase.SUCCESSFUL]
    assert desk.settle(most=1).measure == ()


def test_freeze_leaves_all_as_it_is_for_a_person() -> None:
    desk = employed({**ANALYSED, "onFailure": "Freeze"}, WATCH)
    desk.answer = lambda *_: "F"
    plan = edited(desk)
    assert pods(desk) == {"triage-1": 3, "triage-2": 1}
    status, reason, message = said(plan, "WorkloadReady")
    assert (status, reason) == (False, "RolloutStopped")
    assert 'evaluation "errors" is Failed: m: 1 failed, failureLimit is 0: 0.5 is below min 1' in message
    plan = order(desk, OrderKind.PROMOTE)
    assert outcome(desk)[0] is True
    assert said(plan, "WorkloadReady")[1] == "RolloutPaused", "the pause is still to come to its end"
    order(desk, OrderKind.PROMOTE, "two")
    assert desk.states()["triage-2"] == "Stable"


def test_a_verdict_counts_for_one_rollout_only() -> None:
    desk = employed(ANALYSED, WATCH)
    desk.answer = lambda *_: "I"
    edited(desk)
    assert desk.status["rollout"]["waitsFor"] == "Person"
    first = runs(desk, "errors")
    # Other work is asked for, and then this one again: it is the same revision, but another rollout.
    desk.answer = lambda *_: "S"
    edited(desk, ONE)
    assert pods(desk) == {"triage-1": 4}
    desk.later(1)
    plan = edited(desk)
    assert said(plan, "WorkloadReady")[1] == "RolloutPaused"
    assert runs(desk, "errors")[0].key == first[0].key
    assert phases(desk, "errors") == [Phase.INCONCLUSIVE, Phase.RUNNING]


def test_one_that_is_under_way_ends_when_other_work_is_asked_for() -> None:
    desk = employed(ANALYSED, WATCH)
    edited(desk)
    edited(desk, THREE)
    assert phases(desk, "errors") == [Phase.SUCCESSFUL, Phase.RUNNING]
    assert [facts(child).revision for child in runs(desk, "errors")] == [2, 3]


def test_nothing_is_measured_in_a_suspension_and_afterwards_it_begins_anew() -> None:
    desk = employed(ANALYSED, WATCH)
    edited(desk)
    desk.spec["suspended"] = True
    plan = desk.settle()
    assert plan.measure == ()
    assert phases(desk, "errors") == [Phase.SUCCESSFUL]
    desk.later(3600)
    assert desk.settle(most=1).measure == ()
    desk.spec["suspended"] = False
    desk.settle()
    assert phases(desk, "errors") == [Phase.SUCCESSFUL, Phase.RUNNING]
    assert desk.status["rollout"]["waitsFor"] == "Person"


def test_a_record_that_somebody_removed_is_made_again() -> None:
    desk = employed(ANALYSED, WATCH)
    edited(desk)
    (record,) = runs(desk, "errors")
    del desk.bodies[record.key]
    desk.settle()
    assert [child.key for child in runs(desk, "errors")] == [record.key]
    assert phases(desk, "errors") == [Phase.RUNNING]


def test_a_record_that_is_refused_holds_the_rollout_and_says_so() -> None:
    desk = employed({**ANALYSED, "steps": [{"weight": 25}, {"weight": 75}]}, WATCH)
    refused: dict[ObjectKey, Failure] = {}
    desk.facts["failures"] = refused
    desk.spec["handbook"] = TWO
    plan = desk.decide()
    while not (new := [w for w in plan.writes if w.key.kind is ChildKind.AGENT_EVALUATION]):
        for write in plan.writes:
            desk.write(write)
        desk.status |= plan.status
        plan = desk.decide()
    refused[new[0].key] = Failure(new[0].digest, Reason.REFUSED_BY_API, "quota exceeded")
    for _ in range(3):
        plan = desk.decide()
        desk.status |= plan.status
        assert [w for w in plan.writes if w.key.kind is ChildKind.DEPLOYMENT] == []
    status, reason, message = said(plan, "WorkloadReady")
    assert (status, reason) == (False, "EvaluationInvalid")
    assert "triage-2 is not given more before it is measured: quota exceeded" in message
    assert pods(desk) == {"triage-1": 3, "triage-2": 1}
    order(desk, OrderKind.ABORT)
    assert desk.states()["triage-2"] == "Rejected"


def test_records_do_not_pile_up() -> None:
    desk = employed(ANALYSED, WATCH)
    for _ in range(20):
        edited(desk)
        desk.later(1)
        edited(desk, ONE)
    edited(desk)
    assert len(runs(desk, "errors")) == 17
    assert phases(desk, "errors")[-1] is Phase.RUNNING
    assert desk.settle(most=1).writes == ()


def test_a_rollout_that_is_taken_out_of_the_spec_leaves_a_gate() -> None:
    desk = employed(ANALYSED, template("errors"))
    desk.answer = lambda *_: ""
    edited(desk)
    desk.spec["retraining"] = {"evaluations": [template("errors")]}
    plan = desk.settle()
    assert said(plan, "RevisionAccepted")[1] == "Evaluating"
    assert pods(desk) == {"triage-1": 4}
    assert [(facts(c).purpose, facts(c).phase) for c in runs(desk, "errors")] == [
        ("Promotion", Phase.PENDING),
        ("Analysis", Phase.INCONCLUSIVE),
    ]


def test_a_rollback_takes_no_evaluation() -> None:
    desk = employed(ANALYSED, WATCH)
    edited(desk)
    order(desk, OrderKind.PROMOTE)
    before = runs(desk, "errors")
    desk.facts["rollback"] = RollbackOrder("back", "back", "AgentAction back by ann", None)
    desk.settle()
    assert desk.states()["triage-1"] == "Stable"
    assert runs(desk, "errors") == before


def test_what_has_names_of_its_own_is_told_apart() -> None:
    run = analysing.Run("errors", None, 0)
    names = {
        analysing.occasion(began, each).suffix
        for began in ("2026-11-02T09:00:00.000000Z", "2026-11-02T09:00:00.000001Z")
        for each in (
            run,
            analysing.Run("errors", None, 1),
            analysing.Run("errors", 1, 0),
            analysing.Run("errors", 3, 0),
        )
    }
    assert len(names) == 8


# Steps ---------------------------------------------------------------------------------------------------------------


def test_a_step_waits_for_its_job_and_goes_on() -> None:
    desk = employed(MEASURED, by_job("held-out"))
    plan = edited(desk)
    assert desk.status["rollout"]["waitsFor"] == "Evaluation"
    assert 'evaluation "held-out" is Pending' in said(plan, "WorkloadReady")[2]
    (job,) = desk.of(ChildKind.JOB)
    assert job.startswith("triage-2-eval-held-out-")
    assert pods(desk) == {"triage-1": 3, "triage-2": 1}
    desk.finish(job, GOOD)
    desk.settle()
    assert desk.states() == {"triage-1": "Superseded", "triage-2": "Stable"}
    assert desk.of(ChildKind.JOB) == {}
    assert phases(desk, "held-out") == [Phase.SUCCESSFUL]


def test_a_step_whose_job_is_in_error_rolls_back() -> None:
    desk = employed(MEASURED, by_job("held-out"))
    edited(desk)
    (job,) = desk.of(ChildKind.JOB)
    desk.finish(job, "no tickets there", failed=True)
    plan = desk.settle()
    assert desk.states()["triage-2"] == "Rejected"
    assert 'evaluation "held-out" is Error' in said(plan, "RevisionAccepted")[2]
    assert "no tickets there" in said(plan, "RevisionAccepted")[2]


def test_full_passes_over_a_step_and_its_job_goes() -> None:
    desk = employed(MEASURED, by_job("held-out"))
    edited(desk)
    order(desk, OrderKind.PROMOTE_FULL)
    assert desk.states()["triage-2"] == "Stable"
    assert phases(desk, "held-out") == [Phase.INCONCLUSIVE]
    assert desk.of(ChildKind.JOB) == {}


def test_the_same_evaluation_in_two_steps_runs_twice() -> None:
    steps = [{"weight": 25}, {"evaluation": {"name": "a"}}, {"weight": 50}, {"evaluation": {"name": "a"}}]
    desk = employed({"strategy": "Canary", "steps": steps}, template("a"))
    edited(desk)
    assert desk.states()["triage-2"] == "Stable"
    assert phases(desk, "a") == [Phase.SUCCESSFUL, Phase.SUCCESSFUL]


def test_an_evaluation_that_is_no_step_is_a_gate_before_the_rollout() -> None:
    desk = employed(MEASURED, by_job("held-out"), template("live"))
    desk.answer = lambda *_: ""
    plan = edited(desk)
    assert said(plan, "RevisionAccepted")[1] == "Evaluating"
    assert pods(desk) == {"triage-1": 4}
    desk.answer = lambda *_: "S"
    desk.settle()
    assert desk.status["rollout"]["waitsFor"] == "Evaluation"


# A gate that is Inconclusive -----------------------------------------------------------------------------------------


def unclear(*evaluations: Manifest, **spec: Any) -> Desk:
    """An agent whose revision 2 waits for a person."""
    desk = Desk(permission("refund"), retraining={"evaluations": list(evaluations or (template("live"),))}, **spec)
    desk.settle()
    desk.answer = lambda *_: "I"
    plan = edited(desk)
    assert said(plan, "RevisionAccepted")[1] == "EvaluationInconclusive"
    assert "AgentAction Promote lets it pass" in said(plan, "RevisionAccepted")[2]
    return desk


def test_promote_lets_it_pass_and_that_is_on_record() -> None:
    desk = unclear()
    plan = order(desk, OrderKind.PROMOTE)
    assert desk.states() == {"triage-1": "Superseded", "triage-2": "Stable"}
    assert said(plan, "Ready")[0] is True
    assert outcome(desk) == (True, 'revision 2 goes on in spite of evaluation "live", which is Inconclusive')
    assert desk.of(ChildKind.AGENT_REVISION)["triage-2"]["status"]["overruled"] == [
        {"evaluation": "live", "order": "one", "message": "AgentAction one by ann (why not)"}
    ]
    assert phases(desk, "live")[-1] is Phase.INCONCLUSIVE, "the record is not whitewashed"


def test_that_holds_when_the_order_has_gone_before_anything_followed_from_it() -> None:
    desk = unclear()
    desk.facts["steering"] = (RolloutOrder("one", OrderKind.PROMOTE, "AgentAction one by ann"),)
    plan = desk.decide()
    (write,) = plan.writes
    assert write.key.kind is ChildKind.AGENT_REVISION
    assert not (plan.status["rollout"] or {}).get("orders"), "it is not said to be done before it is"
    desk.write(write)
    desk.facts["steering"] = ()
    desk.settle()
    assert desk.states()["triage-2"] == "Stable"


def test_a_first_revision_passes_by_promote_too() -> None:
    desk = Desk(permission("refund"), retraining={"evaluations": [template("live")]})
    desk.answer = lambda *_: "I"
    desk.settle()
    assert not desk.of(ChildKind.ROLE_BINDING)
    assert said(order(desk, OrderKind.PROMOTE), "Ready")[0] is True
    assert outcome(desk)[0] is True
    assert desk.of(ChildKind.ROLE_BINDING)


def test_one_promote_passes_the_gate_and_no_pause_after_it() -> None:
    desk = employed({"strategy": "Canary", "steps": [{"weight": 25}, {"pause": {}}]}, template("live"))
    desk.answer = lambda *_: "I"
    edited(desk)
    plan = order(desk, OrderKind.PROMOTE)
    assert outcome(desk)[0] is True
    assert said(plan, "WorkloadReady")[1] == "RolloutPaused"
    order(desk, OrderKind.PROMOTE, "two")
    assert desk.states()["triage-2"] == "Stable"


def test_promote_waits_for_no_verdict_and_overrules_no_failure() -> None:
    desk = unclear(template("live"), template("slow"))
    desk.answer = lambda name, _: "I" if name == "live" else ""
    edited(desk, THREE)
    plan = order(desk, OrderKind.PROMOTE)
    assert outcome(desk)[0] is False
    assert "revision 3 has evaluations to pass" in outcome(desk)[1]
    assert said(plan, "RevisionAccepted")[1] == "Evaluating"
    desk.answer = lambda *_: "F"
    plan = order(desk, OrderKind.PROMOTE, "two")
    assert desk.states()["triage-3"] == "Rejected"
    plan = order(desk, OrderKind.PROMOTE, "three")
    assert outcome(desk, "three")[0] is False
    assert desk.states()["triage-3"] == "Rejected"
    assert said(plan, "RevisionAccepted")[1] == "EvaluationFailed"


def test_abort_gives_up_what_waits_at_the_gate_and_that_is_on_record() -> None:
    desk = unclear()
    plan = order(desk, OrderKind.ABORT)
    assert desk.states() == {"triage-1": "Stable", "triage-2": "Rejected"}
    assert outcome(desk) == (True, "revision 2 is rejected before it served")
    assert said(plan, "RevisionAccepted")[1] == "RevisionRejected"
    assert "AgentAction one by ann (why not)" in said(plan, "RevisionAccepted")[2]
    assert desk.of(ChildKind.AGENT_REVISION)["triage-2"]["status"]["abortedBy"] == "one"
    # Another one is about what it finds, and there is nothing any more; other work comes to the gate as ever.
    order(desk, OrderKind.ABORT, "two")
    assert outcome(desk, "two")[0] is False
    desk.facts["steering"] = ()
    desk.answer = lambda *_: "S"
    edited(desk, THREE)
    assert desk.states()["triage-3"] == "Stable"


def test_that_is_told_also_when_other_work_is_asked_for_in_between() -> None:
    desk = unclear()
    desk.facts["steering"] = (RolloutOrder("one", OrderKind.ABORT, "AgentAction one by ann"),)
    (write,) = desk.decide().writes
    desk.write(write)
    edited(desk, THREE)
    assert outcome(desk) == (True, "revision 2 is rejected before it served")
    assert desk.states() == {"triage-1": "Stable", "triage-2": "Rejected", "triage-3": "Candidate"}


def test_abort_wins_over_promote_at_the_gate() -> None:
    desk = unclear()
    desk.facts["steering"] = (
        RolloutOrder("a", OrderKind.PROMOTE, "AgentAction a by ann"),
        RolloutOrder("b", OrderKind.ABORT, "AgentAction b by bob"),
    )
    desk.settle()
    assert desk.states() == {"triage-1": "Stable", "triage-2": "Rejected"}
    assert outcome(desk, "b")[0] is True
    assert outcome(desk, "a")[0] is False


def test_a_first_revision_cannot_be_given_up() -> None:
    desk = Desk(permission("refund"), retraining={"evaluations": [template("live")]})
    desk.answer = lambda *_: "I"
    desk.settle()
    order(desk, OrderKind.ABORT)
    assert desk.states() == {"triage-1": "Candidate"}
    assert outcome(desk)[0] is False
    assert "Suspend stops the agent" in outcome(desk)[1]


def test_an_evaluation_that_comes_later_is_not_overruled() -> None:
    desk = unclear()
    desk.ready = False
    order(desk, OrderKind.PROMOTE)
    desk.facts["steering"] = ()
    desk.spec["retraining"] = {"evaluations": [template("live"), template("new")]}
    plan = desk.settle()
    assert said(plan, "RevisionAccepted")[1] == "EvaluationInconclusive"
    desk.ready = True
    order(desk, OrderKind.PROMOTE, "two")
    assert desk.states()["triage-2"] == "Stable"
    found = desk.of(ChildKind.AGENT_REVISION)["triage-2"]["status"]["overruled"]
    assert [(each["evaluation"], each["order"]) for each in found] == [("live", "one"), ("new", "two")]


def test_a_suspended_agent_is_resumed_first() -> None:
    desk = unclear()
    desk.spec["suspended"] = True
    desk.settle()
    order(desk, OrderKind.PROMOTE)
    assert outcome(desk) == (
        False,
        "the agent is suspended, and revision 2 waits: resume it, then order Promote again",
    )
    assert ObjectKey(ChildKind.DEPLOYMENT, HOME, "triage-2") not in desk.bodies
