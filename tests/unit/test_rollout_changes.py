"""What changes under a rollout: the agent is suspended, clocks go back, its author writes other steps."""

from __future__ import annotations

from datetime import timedelta

from aiagent_operator.api import durations
from aiagent_operator.core.rollout import course
from aiagent_operator.core.rollout.decision import Transition, WaitsFor
from aiagent_operator.core.rollout.facts import OrderKind
from aiagent_operator.core.rollout.run import Run
from support.rollouts import (
    ANALYSIS,
    ROUTING,
    SECOND,
    STEPS,
    canary,
    spec,
)


class TestSuspension:
    def test_neither_pause_nor_deadline_runs(self) -> None:
        it = canary(steps=[{"weight": 20}, {"pause": {"duration": "10m"}}])
        assert it.settle().requeue_after == 600
        it.now += 240 * SECOND
        it.suspended = True
        assert it.settle().wait.what is WaitsFor.RESUME
        it.now += timedelta(days=3)
        it.suspended = False
        it.candidate.healthy = False
        assert it.settle().requeue_after == 600
        it.candidate.healthy = True
        assert it.settle().requeue_after == 360

    def test_what_had_passed_of_a_deadline_is_forgotten(self) -> None:
        it = canary(healthy=False)
        it.settle()
        it.now += 590 * SECOND
        it.suspended = True
        it.settle()
        it.now += timedelta(days=3)
        it.suspended = False
        assert it.decide().requeue_after == 600

    def test_traffic_is_the_stable_revisions_until_the_weight_is_in_effect_again(self) -> None:
        it = canary(trafficRouting=ROUTING)
        it.settle()
        assert dict(it.traffic.weights if it.traffic else ())["triage-canary"] == 20
        it.suspended = True
        assert dict(it.settle().traffic.weights)["triage-canary"] == 0
        it.suspended, it.candidate.healthy = False, False
        assert dict(it.settle().traffic.weights)["triage-canary"] == 0
        it.candidate.healthy = True
        assert dict(it.settle().traffic.weights)["triage-canary"] == 20

    def test_one_that_was_aborted_is_over_when_its_pods_are_gone(self) -> None:
        it = canary()
        it.settle()
        it.suspended = True
        it.order(OrderKind.ABORT)
        it.write(it.decide())
        assert it.decide().transition is Transition.NONE
        it.candidate.control()
        assert it.decide().transition is Transition.ROLL_BACK


class TestClock:
    def test_a_clock_that_goes_back_makes_no_wait_longer(self) -> None:
        it = canary(steps=[{"weight": 20}, {"pause": {"duration": "10m"}}])
        it.settle()
        it.now -= timedelta(days=365)
        assert it.decide().requeue_after == 600
        late = canary(healthy=False)
        late.settle()
        late.now -= timedelta(days=365)
        assert late.decide().requeue_after == 600

    def test_a_pause_that_is_too_long_to_be_read_is_the_longest(self) -> None:
        found = course.course(spec(steps=[{"pause": {"duration": "9" * 30 + "h"}}]))
        assert found[0] == course.Pause(durations.LONGEST)


class TestSteps:
    def test_others_do_not_bring_back_what_is_being_rolled_back(self) -> None:
        it = canary()
        it.settle()
        it.order(OrderKind.ABORT)
        it.write(it.decide())
        it.spec = spec(steps=[{"pause": {}}])
        assert it.end().transition is Transition.ROLL_BACK

    def test_others_begin_at_the_first_one_from_the_weight_in_effect(self) -> None:
        it = canary(trafficRouting=ROUTING)
        it.settle()
        it.spec = spec(trafficRouting=ROUTING, steps=[{"weight": 10}, {"pause": {}}, {"weight": 20}])
        found = it.decide()
        assert (found.status.step, found.status.weight, dict(found.traffic.weights)["triage-canary"]) == (0, 20, 10)
        assert it.settle().status.step == 1

    def test_what_no_step_means_changes_none(self) -> None:
        it = canary()
        it.settle()
        it.spec = spec(steps=STEPS, analysis=ANALYSIS, onFailure="Freeze", progressDeadlineSeconds=9)
        found = it.settle()
        assert (found.status.step, found.status.round, found.runs) == (1, 0, (Run("error-rate"),))
