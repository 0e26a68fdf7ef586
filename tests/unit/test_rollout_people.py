"""What stops and releases a rollout: orders and evaluations; and the words for it."""

from __future__ import annotations

from dataclasses import replace

from aiagent_operator.api.agentevaluation import Phase
from aiagent_operator.api.rolloutstatus import PausedFor
from aiagent_operator.core.rollout import course, traffic
from aiagent_operator.core.rollout.decide import decide
from aiagent_operator.core.rollout.decision import RolloutStatus, Transition, WaitsFor
from aiagent_operator.core.rollout.facts import OrderKind
from aiagent_operator.core.rollout.run import Run
from support.rollouts import (
    ANALYSIS,
    BEGIN,
    BLUE_GREEN,
    FINISHED,
    SECOND,
    STEPS,
    Deployment,
    World,
    canary,
    running,
    spec,
)


class TestOrders:
    def test_one_acts_once_and_its_outcome_stays_until_it_is_finished(self) -> None:
        it = canary()
        it.settle()
        it.order(OrderKind.PROMOTE, "one")
        assert it.end().transition is Transition.PROMOTE
        it = canary(steps=[{"weight": 20}, {"pause": {}}, {"weight": 50}, {"pause": {}}])
        it.settle()
        it.order(OrderKind.PROMOTE, "one")
        found = it.end()
        assert (found.status.step, found.wait.what) == (3, WaitsFor.PERSON)
        assert [(carried.uid, carried.done) for carried in found.status.orders] == [("one", True)]
        it.orders = ()
        assert it.decide().status.orders == ()

    def test_a_promote_without_a_pause_fails_and_releases_no_later_one(self) -> None:
        it = canary()
        it.order(OrderKind.PROMOTE, "early")
        found = it.end()
        assert (found.status.step, found.wait.what) == (1, WaitsFor.PERSON)
        (carried,) = found.status.orders
        assert not carried.done
        assert "there is no pause to release at step 0, which waits for pods or traffic" in carried.text

    def test_a_promote_from_before_the_rollout_releases_no_pause(self) -> None:
        it = canary(steps=[{"pause": {}}])
        it.order(OrderKind.PROMOTE)
        assert it.settle().wait.what is WaitsFor.PERSON
        assert [carried.done for carried in it.status.orders] == [False]

    def test_one_that_waits_for_an_evaluation_is_told_so(self) -> None:
        it = canary(steps=[{"evaluation": {"name": "accuracy"}}])
        assert it.settle().runs == (Run("accuracy", 0),)
        it.order(OrderKind.PROMOTE)
        (carried,) = it.decide().status.orders
        assert "waits for an evaluation" in carried.text

    def test_several_at_once_are_one(self) -> None:
        it = canary(steps=[{"weight": 20}, {"pause": {}}, {"pause": {}}])
        it.settle()
        it.order(OrderKind.PROMOTE, "a")
        it.order(OrderKind.PROMOTE, "b")
        found = it.decide()
        assert found.status.step == 2
        assert [carried.done for carried in found.status.orders] == [True, True]

    def test_one_that_has_acted_does_not_act_on_other_steps(self) -> None:
        it = canary()
        it.settle()
        it.order(OrderKind.PROMOTE)
        it.write(it.decide())
        it.spec = spec(steps=[{"pause": {}}])
        found = it.settle()
        assert (found.status.step, found.wait.what) == (0, WaitsFor.PERSON)
        assert [carried.done for carried in found.status.orders] == [True]

    def test_abort_wins_and_says_who(self) -> None:
        it = canary()
        it.settle()
        it.order(OrderKind.PROMOTE_FULL, "a-full")
        it.order(OrderKind.PROMOTE, "b-promote")
        it.order(OrderKind.ABORT, "c-abort")
        it.order(OrderKind.ABORT, "d-abort")
        found = it.decide()
        assert {carried.uid: carried.done for carried in found.status.orders} == {
            "a-full": False, "b-promote": False, "c-abort": True, "d-abort": True,
        }  # fmt: skip
        assert found.status.reason == "AgentAction c-abort by ann@corp.example"
        assert it.end().transition is Transition.ROLL_BACK

    def test_full_passes_over_everything_but_readiness(self) -> None:
        it = canary(steps=[{"weight": 20}, {"evaluation": {"name": "accuracy"}}, {"pause": {}}], analysis=ANALYSIS)
        it.settle()
        it.verdicts = {Run("error-rate"): Phase.INCONCLUSIVE}
        assert it.decide().status.paused_for is PausedFor.INCONCLUSIVE
        it.write(it.decide())
        it.verdicts = {Run("error-rate"): Phase.FAILED, Run("accuracy", 1): Phase.FAILED}
        it.write(decide(replace(it.facts(), verdicts={})))
        it.order(OrderKind.PROMOTE_FULL)
        it.write(decide(replace(it.facts(), verdicts={})))
        it.candidate.pods = [False, False]
        assert (it.decide().wait.what, it.decide().runs) == (WaitsFor.PODS, ())
        assert it.end().transition is Transition.PROMOTE

    def test_in_a_suspension_promote_fails(self) -> None:
        it = canary()
        it.settle()
        it.suspended = True
        it.order(OrderKind.PROMOTE)
        (carried,) = it.decide().status.orders
        assert not carried.done
        assert "the agent is suspended" in carried.text


class TestEvaluations:
    def test_those_in_the_background_run_from_the_first_weight_on_and_while_others_are_waited_for(self) -> None:
        it = canary(steps=[{"pause": {}}, {"weight": 20}, {"pause": {}}], analysis=ANALYSIS)
        assert it.settle().runs == ()
        it.order(OrderKind.PROMOTE, "one")
        it.candidate.healthy = False
        assert it.settle().runs == ()
        it.candidate.healthy = True
        assert it.settle().runs == (Run("error-rate"),)
        it.order(OrderKind.PROMOTE, "two")
        it.candidate.healthy = False
        waiting = it.settle()
        assert (waiting.wait.what, waiting.runs) == (WaitsFor.PODS, (Run("error-rate"),))
        it.verdicts = {Run("error-rate"): Phase.ERROR}
        assert 'evaluation "error-rate" is Error' in it.decide().status.reason

    def test_one_that_a_person_overruled_does_not_stop_it_again(self) -> None:
        it = canary(analysis=[*ANALYSIS, {"name": "latency"}])
        it.settle()
        it.verdicts = {Run("error-rate"): Phase.INCONCLUSIVE}
        it.write(it.decide())
        # It went bad while the rollout stood: who promotes sees both.
        it.verdicts |= {Run("latency"): Phase.INCONCLUSIVE}
        it.order(OrderKind.PROMOTE, "one")
        found = it.decide()
        assert set(found.status.released) == {"analysis error-rate", "analysis latency"}
        it.write(found)
        it.order(OrderKind.PROMOTE, "two")
        assert it.end().transition is Transition.PROMOTE

    def test_what_paused_it_is_overruled_also_when_its_object_is_gone(self) -> None:
        it = canary(analysis=ANALYSIS)
        it.settle()
        it.verdicts = {Run("error-rate"): Phase.INCONCLUSIVE}
        it.write(it.decide())
        it.verdicts = {}
        assert it.decide().wait.what is WaitsFor.PERSON
        it.order(OrderKind.PROMOTE)
        assert it.decide().status.released == ("analysis error-rate",)

    def test_a_step_that_failed_is_passed_over_when_a_person_says_so(self) -> None:
        it = canary(steps=[{"evaluation": {"name": "accuracy"}}, {"weight": 20}, {"pause": {}}], onFailure="Freeze")
        it.settle()
        it.verdicts = {Run("accuracy", 0): Phase.FAILED}
        frozen = it.settle()
        assert (frozen.transition, frozen.candidate) == (Transition.FREEZE, 0)
        it.order(OrderKind.PROMOTE)
        found = it.settle()
        assert (found.status.step, found.status.released) == (2, ("step 0: accuracy",))

    def test_other_steps_and_a_suspension_begin_new_ones(self) -> None:
        it = canary(analysis=ANALYSIS)
        it.settle()
        it.verdicts = {Run("error-rate"): Phase.SUCCESSFUL}
        it.spec = spec(steps=STEPS[:2], analysis=ANALYSIS)
        assert it.settle().runs == (Run("error-rate", None, 1),)
        it.suspended = True
        assert it.settle().runs == ()
        it.suspended = False
        assert it.settle().runs == (Run("error-rate", None, 2),)

    def test_a_frozen_rollout_goes_back_when_its_author_says_rollback(self) -> None:
        it = canary(analysis=ANALYSIS, onFailure="Freeze")
        it.settle()
        it.verdicts = {Run("error-rate"): Phase.FAILED}
        it.write(it.decide())
        it.spec = spec(steps=STEPS, analysis=ANALYSIS)
        assert it.end().transition is Transition.ROLL_BACK
        assert it.status.reason == 'evaluation "error-rate" is Failed'

    def test_blue_green_without_analysis_or_pause_is_switched_at_once(self) -> None:
        it = World(spec(strategy="BlueGreen", blueGreen=BLUE_GREEN), 3, running(4, 3))
        assert it.end().transition is Transition.PROMOTE
        assert it.now == BEGIN

    def test_blue_green_is_analysed_from_when_its_pods_are_ready(self) -> None:
        author = spec(strategy="BlueGreen", blueGreen=BLUE_GREEN, analysis=ANALYSIS)
        it = World(author, 3, running(4, 3), Deployment(5, healthy=False))
        assert it.settle().runs == ()
        it.candidate.healthy = True
        assert it.settle().runs == (Run("error-rate"),)

    def test_blue_green_waits_for_its_seconds(self) -> None:
        it = World(spec(strategy="BlueGreen", blueGreen=BLUE_GREEN | {"autoPromotionSeconds": 90}), 3, running(4, 3))
        found = it.settle()
        assert (found.wait.what, found.requeue_after) == (WaitsFor.TIME, 90)
        assert it.end().transition is Transition.PROMOTE

    def test_an_active_candidate_stays_active_while_one_of_its_pods_comes_back(self) -> None:
        it = World(spec(strategy="BlueGreen", blueGreen=BLUE_GREEN), 3, running(4, 3), running(5, 3))
        it.status = RolloutStatus(course=course.fingerprint(it.spec), step=1, weight=100)
        it.traffic = traffic.blue_green(it.spec, 5, 5)
        it.candidate.pods[0] = False
        found = it.decide()
        assert (found.wait.what, dict(found.traffic.selectors)["triage"]) == (WaitsFor.PODS, 5)


def test_every_wait_names_what_is_waited_for() -> None:
    it = canary(
        steps=[{"weight": 20}, {"pause": {"duration": "10m"}}, {"evaluation": {"name": "accuracy"}}, {"pause": {}}]
    )
    seen = {}
    for _ in range(200):
        found = it.decide()
        seen.setdefault(found.wait.what, found.wait.text)
        if found.transition in FINISHED or found.wait.what is WaitsFor.PERSON:
            break
        found = it.settle()
        seen.setdefault(found.wait.what, found.wait.text)
        it.verdicts = dict.fromkeys(found.runs, Phase.SUCCESSFUL)
        it.now += (found.requeue_after or 0) * SECOND
    assert seen == {
        WaitsFor.PODS: (
            "Waiting for pods: Deployment triage-5 has 0 pods, 0 of them ready, of 2 asked for and Deployment triage-4 "
            "has 10 pods, 10 of them ready, of 10 asked for; fails without progress for 10m"
        ),
        WaitsFor.TIME: (
            "Step 1 of triage-5 pauses until 2026-11-02T09:10:00Z; an AgentAction Promote goes on, Abort goes back to "
            "the stable revision"
        ),
        WaitsFor.EVALUATION: (
            'Waiting for verdicts on triage-5: evaluation "accuracy" is Pending; an AgentAction Promote with full '
            "passes over them"
        ),
        WaitsFor.PERSON: (
            "Step 3 of triage-5 pauses for a person: an AgentAction Promote goes on, Abort goes back to the stable "
            "revision"
        ),
    }
