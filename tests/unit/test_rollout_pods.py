"""Pods of rollouts: shares, deadlines, sizes, first revisions, and the former one's retirement."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagent_operator.api.rollout import RolloutSpec
from aiagent_operator.api.rolloutstatus import PausedFor
from aiagent_operator.core.rollout import course, traffic
from aiagent_operator.core.rollout.decide import decide
from aiagent_operator.core.rollout.decision import Decision, RolloutStatus, Transition, WaitsFor
from aiagent_operator.core.rollout.facts import Facts, OrderKind, Pods
from aiagent_operator.core.rollout.replicas import Counts, share, split, surge
from aiagent_operator.core.rollout.retire import Retirement, retire
from support.rollouts import (
    BEGIN,
    BLUE_GREEN,
    ROUTING,
    SECOND,
    STEPS,
    Deployment,
    World,
    canary,
    running,
    spec,
)


class TestShares:
    @pytest.mark.parametrize(
        ("replicas", "weight", "candidate", "stable"),
        [
            (1, 1, 1, 1), (1, 99, 1, 1), (1, 0, 0, 1), (1, 100, 1, 0),
            (2, 50, 1, 1), (2, 99, 2, 1), (2, 100, 2, 0),
            (3, 10, 1, 3), (3, 25, 1, 3), (3, 33, 1, 2), (3, 34, 1, 2), (3, 49, 2, 2), (3, 50, 2, 2),
            (10, 0, 0, 10), (10, 1, 1, 10), (10, 18, 2, 9), (10, 19, 2, 9), (10, 20, 2, 8), (10, 23, 2, 8),
            (10, 24, 3, 8), (10, 25, 3, 8), (10, 99, 10, 1), (10, 100, 10, 0),
        ],
    )  # fmt: skip
    def test_they_are_those_of_argo_rollouts(self, replicas: int, weight: int, candidate: int, stable: int) -> None:
        assert split(replicas, weight) == Counts(stable, candidate)

    @given(st.integers(1, 1000), st.integers(1, 99))
    def test_both_have_pods_and_no_split_of_as_many_is_nearer(self, replicas: int, weight: int) -> None:
        found = split(replicas, weight)
        total = found.stable + found.candidate
        assert min(found.stable, found.candidate) >= 1
        assert total in {replicas, replicas + 1}
        others = (Counts(replicas - candidate, candidate) for candidate in range(1, replicas))
        assert all(abs(share(found) - weight) <= abs(share(other) - weight) for other in others)

    @given(st.integers(0, 1000))
    def test_a_rollout_of_any_size_has_room(self, replicas: int) -> None:
        assert (surge(replicas) > 0) is (replicas > 0)
        assert 4 * surge(replicas) - replicas in range(4)


class TestDeadline:
    def test_progress_begins_it_anew_and_pods_that_come_and_go_are_none(self) -> None:
        it = canary(progressDeadlineSeconds=100)
        it.candidate.healthy = False
        assert it.settle().requeue_after == 100
        it.now += 60 * SECOND
        it.candidate.pods = [True, False]
        assert it.settle().requeue_after == 100
        for ready in ([False, False], [True, False]):
            it.now += 20 * SECOND
            it.candidate.pods = ready
            found = it.settle()
        assert (found.requeue_after, found.wait.what) == (60, WaitsFor.PODS)
        it.now += 60 * SECOND
        assert it.decide().status.aborted_at == it.now

    def test_the_reason_names_the_deployment_its_pods_and_what_its_controller_says(self) -> None:
        it = canary(healthy=False)
        it.settle()
        it.now += 600 * SECOND
        failing = replace(it.candidate.facts, failure="FailedCreate: exceeded quota: pods")
        found = decide(replace(it.facts(), candidate=failing))
        assert "no progress for 10m: Deployment triage-5 has 2 pods, 0 of them ready" in found.status.reason
        assert "FailedCreate: exceeded quota: pods" in found.status.reason
        assert len(decide(replace(it.facts(), candidate=replace(failing, failure="x" * 9999))).status.reason) == 512

    def test_another_number_of_replicas_begins_it_anew(self) -> None:
        it = canary(healthy=False)
        it.settle()
        it.now += 599 * SECOND
        it.replicas = 100
        assert it.decide().requeue_after == 600

    def test_what_others_have_to_do_to_services_has_none(self) -> None:
        it = canary(trafficRouting=ROUTING)
        for _ in range(10):
            it.write(it.decide(), ("stable", "candidate"))
            it.candidate.control()
            it.candidate.become_ready()
        it.now += timedelta(days=1)
        found = it.decide()
        assert (found.wait.what, found.requeue_after, found.status.waiting) == (WaitsFor.TRAFFIC, None, None)
        assert "Service triage-canary selects revision 5" in found.wait.text
        assert "HTTPRoute triage has the weights triage-canary 20 and triage-stable 80" in found.wait.text

    def test_pods_of_a_template_that_is_being_changed_are_not_ready_for_a_step(self) -> None:
        it = canary()
        it.settle()
        it.order(OrderKind.PROMOTE)
        for pods in (replace(it.candidate.facts, updated=1), replace(it.candidate.facts, observed=False)):
            assert decide(replace(it.facts(), candidate=pods, orders=())).wait.what is WaitsFor.PODS

    @pytest.mark.parametrize("which", ["stable", "candidate"])
    def test_a_weight_is_in_effect_when_the_pods_that_are_too_many_are_gone(self, which: str) -> None:
        it = canary()
        it.settle()
        assert it.decide().wait.what is WaitsFor.PERSON
        facts = it.facts()
        pods = {"stable": facts.stable, "candidate": facts.candidate}[which]
        assert pods is not None
        more = replace(facts, **{which: replace(pods, replicas=pods.replicas + 1, updated=pods.updated + 1)})
        assert decide(more).wait.what is WaitsFor.PODS

    def test_after_a_freeze_a_person_gives_another_one(self) -> None:
        it = canary(healthy=False, onFailure="Freeze")
        frozen = it.end()
        assert (frozen.transition, frozen.status.paused_for) == (Transition.FREEZE, PausedFor.FAILED)
        it.order(OrderKind.PROMOTE)
        again = it.decide()
        assert (again.transition, again.wait.what, again.requeue_after) == (Transition.NONE, WaitsFor.PODS, 600)
        it.candidate.healthy = True
        it.write(again)
        assert it.settle().status.step == 1


class TestSizes:
    @pytest.mark.parametrize("strategy", [{}, {"trafficRouting": ROUTING}])
    @pytest.mark.parametrize("count", [0, 1, 2, 1000])
    def test_it_ends_whatever_the_size(self, count: int, strategy: dict[str, Any]) -> None:
        it = canary(count, **strategy)
        assert it.end().wait.what is WaitsFor.PERSON
        it.order(OrderKind.PROMOTE)
        assert it.end().transition is Transition.PROMOTE
        assert it.now == BEGIN + timedelta(minutes=10)

    def test_one_pod_has_the_other_one_beside_it(self) -> None:
        it = canary(1)
        found = it.settle()
        assert (found.stable, found.candidate) == (1, 1)
        it.stable.pods = [False]
        it.order(OrderKind.ABORT)
        aborted = it.decide()
        assert (aborted.stable, aborted.candidate) == (1, 1)

    def test_steps_that_end_in_100_do_not_begin_it_again(self) -> None:
        it = canary(steps=[{"weight": 100}, {"pause": {}}])
        found = it.settle()
        assert (found.stable, found.candidate, found.wait.what) == (0, 10, WaitsFor.PERSON)
        assert course.course(spec(steps=[{"weight": 100}])) == (course.EVERYTHING,)

    def test_a_stable_revision_that_is_broken_can_be_replaced(self) -> None:
        it = canary()
        it.stable.pods, it.stable.healthy = [False] * 10, False
        assert it.settle().wait.what is WaitsFor.PERSON
        it.order(OrderKind.PROMOTE)
        assert it.end().transition is Transition.PROMOTE

    def test_recreate_waits_for_pods_that_are_still_ending(self) -> None:
        it = World(spec(strategy="Recreate"), 3, Deployment(4))
        ending = replace(it.stable.facts, terminating=1)
        found = decide(replace(it.facts(), stable=ending))
        assert (found.candidate, found.status.waiting and found.status.waiting.missing) == (0, 7)
        assert decide(replace(it.facts(), stable=replace(it.stable.facts, observed=False))).candidate == 0
        assert it.decide().candidate == 3

    def test_recreate_cannot_be_frozen_even_where_nothing_refused_it(self) -> None:
        it = World(spec(strategy="Recreate", onFailure="Freeze"), 3, running(4, 3), Deployment(5, healthy=False))
        assert it.end().transition is Transition.ROLL_BACK


class TestRequests:
    def test_a_lower_weight_takes_pods_only_when_requests_are_seen_to_have_moved(self) -> None:
        it = canary(trafficRouting=ROUTING, steps=[{"weight": 50}, {"pause": {}}])
        assert it.settle().candidate == 5
        it.spec = spec(trafficRouting=ROUTING, steps=[{"weight": 20}, {"pause": {}}])
        found = it.decide()
        assert (found.candidate, dict(found.traffic.weights)["triage-canary"]) == (5, 20)
        it.write(found)
        assert it.decide().candidate == 2

    def test_a_candidate_that_is_rolled_back_keeps_pods_as_long_as_it_gets_requests(self) -> None:
        it = canary(trafficRouting=ROUTING)
        it.settle()
        it.order(OrderKind.ABORT)
        it.write(it.decide(), ("stable", "candidate"))
        it.now += timedelta(hours=1)
        found = it.decide()
        assert (found.candidate, found.wait.what) == (2, WaitsFor.TRAFFIC)
        assert it.end().transition is Transition.ROLL_BACK


class TestFirstRevision:
    def alone(self, candidate: Pods, author: RolloutSpec | None = None, **fields: Any) -> Decision:
        return decide(Facts(author or spec(steps=STEPS), 3, None, candidate, RolloutStatus(), BEGIN, **fields))

    def test_it_gets_everything_at_once(self) -> None:
        assert self.alone(Pods(1, "triage-1")).candidate == 3
        assert self.alone(Pods(1, "triage-1", 3, 3, 3, 3)).transition is Transition.PROMOTE

    def test_it_is_waited_for_without_deadline(self) -> None:
        first = self.alone(Pods(1, "triage-1", 3, 3, 3, 2))
        facts = Facts(
            spec(steps=STEPS), 3, None, Pods(1, "triage-1", 3, 3, 3, 2), first.status, BEGIN + timedelta(days=1)
        )
        found = decide(facts)
        assert (found.candidate, found.wait.what, found.requeue_after) == (3, WaitsFor.PODS, None)
        assert "there is no earlier revision to go back to" in found.wait.text

    def test_orders_about_it_fail(self) -> None:
        order = World(spec(), 1, running(4, 1))
        order.order(OrderKind.ABORT)
        found = self.alone(Pods(1, "triage-1", 3, 3, 3, 2), orders=order.orders)
        assert not found.status.orders[0].done
        assert found.status.aborted_at is None

    @pytest.mark.parametrize("author", [spec(trafficRouting=ROUTING), spec(strategy="BlueGreen", blueGreen=BLUE_GREEN)])
    def test_its_services_select_it(self, author: RolloutSpec) -> None:
        ready = Pods(1, "triage-1", 3, 3, 3, 3)
        found = self.alone(ready, author)
        assert (found.transition, found.wait.what) == (Transition.NONE, WaitsFor.TRAFFIC)
        assert {revision for _, revision in found.traffic.selectors} == {1}
        assert self.alone(ready, author, traffic=found.traffic).transition is Transition.PROMOTE


class TestRetirement:
    ROUTED = spec(steps=STEPS, trafficRouting=ROUTING)

    def retired(self, author: RolloutSpec = ROUTED, **fields: Any) -> Retirement:
        given_ = {
            "former": running(4, 10).facts,
            "stable": running(5, 10).facts,
            "replicas": 10,
            "promoted_at": BEGIN,
            "observed": traffic.steady(author, 5),
            "now": BEGIN + timedelta(minutes=5),
        } | fields
        return retire(spec=author, **given_)

    def test_its_pods_go_when_traffic_has_moved_and_the_delay_is_over(self) -> None:
        assert self.retired() == Retirement(0)
        assert self.retired(observed=traffic.weighted(self.ROUTED, 4, 5, 100)) == Retirement(10)
        assert self.retired(observed=None) == Retirement(10)
        assert self.retired(now=BEGIN + 10 * SECOND) == Retirement(10, 20)
        assert self.retired(now=BEGIN - timedelta(days=1)) == Retirement(10, 30)
        at_once = spec(steps=STEPS, trafficRouting=ROUTING, scaleDownDelaySeconds=0)
        assert self.retired(at_once, now=BEGIN) == Retirement(0)

    def test_none_goes_that_the_new_one_does_not_make_up_for(self) -> None:
        weak = replace(running(5, 10).facts, ready=7)
        assert self.retired(stable=weak) == Retirement(3)
        assert self.retired(spec(), stable=weak, former=running(4, 2).facts) == Retirement(2)
        assert self.retired(spec()) == Retirement(0)

    def test_an_agent_that_wants_no_pods_has_none_of_it(self) -> None:
        assert self.retired(replicas=0, observed=None) == Retirement(0)
        assert self.retired(former=Pods(4, "triage-4"), now=BEGIN) == Retirement(0)

    @given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50))
    def test_it_never_grows(self, former: int, stable: int, replicas: int) -> None:
        found = self.retired(
            spec(), former=running(4, former).facts, stable=running(5, stable).facts, replicas=replicas
        )
        assert found.replicas <= former
        assert found.replicas + stable >= min(replicas, former + stable)
