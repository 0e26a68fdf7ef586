"""A canary within a StatefulSet, among pods that come, go, fail and are scaled in any order."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from aiagent_operator.core.rollout import partition
from aiagent_operator.core.rollout.course import course, weight_at
from aiagent_operator.core.rollout.decide import decide
from aiagent_operator.core.rollout.decision import Decision, RolloutStatus, Transition, WaitsFor
from aiagent_operator.core.rollout.facts import Facts, OrderKind, RolloutOrder
from support.rollouts import BEGIN, FINISHED, spec
from support.statefulset import Pod, StatefulSet, running

OLD, NEW = "stable", "candidate"
WEIGHTS = st.integers(0, 100)
STEPS: list[dict[str, Any]] = [{"weight": 20}, {"pause": {}}, {"weight": 50}, {"pause": {"duration": "10m"}}]


@given(replicas=st.integers(0, 50), weight=WEIGHTS)
def test_the_share_is_the_nearest_with_a_pod_of_each_revision(replicas: int, weight: int) -> None:
    count = partition.part(replicas, weight)
    assert 0 <= count <= replicas
    if weight in {0, 100}:
        assert count == replicas * weight // 100
    elif replicas > 1:
        assert 0 < count < replicas
        off = {each: abs(Fraction(each * 100, replicas) - weight) for each in range(1, replicas)}
        assert off[count] == min(off.values())
        assert all(off[each] > off[count] for each in range(1, count)), "the smaller one of two"
    else:
        assert count == 0, "a single pod is not the candidate's before the end"


@given(replicas=st.integers(0, 50), weights=st.tuples(WEIGHTS, WEIGHTS).map(sorted))
def test_a_higher_weight_never_means_fewer_pods(replicas: int, weights: list[int]) -> None:
    assert partition.part(replicas, weights[0]) <= partition.part(replicas, weights[1])


class World:
    """A StatefulSet of somebody's, a clock, and the decisions about a candidate in it."""

    def __init__(self, count: int, **fields: Any) -> None:
        self.set = running(count, OLD)
        self.spec = spec(**{"steps": STEPS} | fields)
        self.status, self.now = RolloutStatus(), BEGIN
        self.orders: tuple[RolloutOrder, ...] = ()
        self.suspended = False
        self.replicas = count

    def facts(self) -> Facts:
        target, landed = self.set.facts(4, "router"), self.set.template == NEW
        candidate = partition.candidate(target, self.set.partition, 5, "triage-5", landed=landed)
        return Facts(
            self.spec,
            self.replicas,
            target,
            candidate,
            self.status,
            self.now,
            orders=self.orders,
            suspended=self.suspended,
            landed=landed,
            within=True,
        )

    def decide(self) -> Decision:
        facts = self.facts()
        decision = decide(facts)
        assert decide(replace(facts, status=decision.status)) == decision, "the status, fed back, changes the decision"
        assert decision.wait.text or decision.transition in FINISHED
        return decision

    def write(self, decision: Decision) -> None:
        self.status = decision.status
        if decision.transition in FINISHED:
            return
        staged = self.replicas - decision.candidate if decision.lands else 0
        self.set.change(decision.stable, NEW if decision.lands else OLD, staged)

    def order(self, kind: OrderKind) -> None:
        name = f"order-{len(self.orders)}"
        self.orders = (*self.orders, RolloutOrder(name, kind, f"AgentAction {name} by ann@corp.example"))

    def settle(self) -> Decision:
        """Until nothing happens any more by itself, while time stands still."""
        for _ in range(400):
            decision = self.decide()
            before = (self.facts(), self.status)
            self.write(decision)
            self.set.run()
            if decision.transition in FINISHED or before == (self.facts(), self.status):
                return decision
        raise AssertionError(f"never settled: {self.decide()}, {self.set}")

    def end(self) -> Decision:
        """Pauses pass; whatever waits for a person is promoted."""
        for _ in range(100):
            decision = self.settle()
            if decision.transition in FINISHED:
                return decision
            if decision.wait.what is WaitsFor.PERSON:
                self.order(OrderKind.PROMOTE)
            else:
                assert decision.requeue_after is not None, f"nothing ends this wait: {decision}"
                self.now += timedelta(seconds=decision.requeue_after)
        raise AssertionError(f"never over: {self.decide()}, {self.set}")


def test_the_last_pods_are_the_candidates_and_the_others_keep_what_they_have() -> None:
    world = World(10)
    decision = world.settle()
    assert decision.wait.what is WaitsFor.PERSON
    assert [pod.work for pod in world.set.pods] == [OLD] * 8 + [NEW] * 2
    assert (world.status.weight, world.set.partition) == (20, 8)
    world.order(OrderKind.PROMOTE)
    world.settle()
    assert (world.set.having(NEW), world.set.partition) == (5, 5)
    assert world.end().transition is Transition.PROMOTE
    assert (world.set.having(NEW), world.set.partition) == (10, 0)


def test_an_abort_gives_all_pods_the_stable_work_again_and_no_partition_is_left() -> None:
    world = World(10)
    world.settle()
    world.order(OrderKind.ABORT)
    assert world.settle().transition is Transition.ROLL_BACK
    assert (world.set.having(OLD), world.set.partition, world.set.template) == (10, 0, OLD)


def test_it_does_not_begin_in_the_middle_of_the_targets_own_update() -> None:
    world = World(4)
    world.set.pods[1] = Pod("older", ready=True)
    decision = world.decide()
    assert (decision.lands, decision.wait.what) == (False, WaitsFor.PODS)
    world.settle()
    assert [pod.work for pod in world.set.pods] == [OLD, OLD, OLD, NEW]


def test_where_scaling_up_gives_the_candidate_too_much_it_begins_anew() -> None:
    world = World(4)
    world.settle()
    assert world.set.having(NEW) == 1
    world.replicas = world.set.wanted = 8
    world.set.seen = False
    world.set.run()
    assert world.set.having(NEW) == 5, "all beyond the partition"
    seen = set()
    for _ in range(60):
        world.write(world.decide())
        world.set.control()
        world.set.become_ready()
        seen.add(world.set.template)
    assert seen == {OLD, NEW}
    assert (world.set.having(NEW), world.set.partition) == (2, 6)


def test_pods_that_never_become_ready_are_given_up_at_the_deadline() -> None:
    world = World(4, progressDeadlineSeconds=60)
    world.set.broken = {NEW}
    decision = world.settle()
    assert (world.set.having(NEW), decision.wait.what, decision.requeue_after) == (1, WaitsFor.PODS, 60)
    world.now += timedelta(seconds=60)
    decision = world.settle()
    assert decision.status.aborted_at is not None
    assert "not replace a pod that is not ready" in decision.wait.text
    assert world.set.having(NEW) == 1, "Kubernetes does not replace it"
    world.set.delete_unready()
    assert world.settle().transition is Transition.ROLL_BACK
    assert world.set.having(OLD) == 4


def test_a_suspended_agent_comes_back_as_it_was() -> None:
    world = World(10)
    world.settle()
    world.suspended = True
    world.settle()
    assert not world.set.pods
    world.suspended = False
    world.settle()
    assert [pod.work for pod in world.set.pods] == [OLD] * 8 + [NEW] * 2


class Canaries(RuleBasedStateMachine):
    """Anything that can happen around one. A crash is a decision of which nothing but the status is written."""

    def __init__(self) -> None:
        super().__init__()
        self.world: World
        self.allowed = 0
        self.over = False

    @initialize(count=st.integers(0, 9), weights=st.lists(st.integers(1, 99), max_size=3, unique=True).map(sorted))
    def begin(self, count: int, weights: list[int]) -> None:
        steps = [part for weight in weights for part in ({"weight": weight}, {"pause": {}})]
        self.world = World(count, steps=steps)

    @rule(crash=st.booleans())
    def operate(self, crash: bool) -> None:
        if self.over:
            return
        decision = self.world.decide()
        status = decision.status
        steps = course(self.world.spec)
        weight = 100 if status.full else weight_at(steps, min(status.step, len(steps) - 1))
        if status.aborted_at is None:
            self.allowed = max(self.allowed, partition.part(self.world.replicas, weight))
        if crash:
            self.world.status = status
        else:
            self.world.write(decision)
        self.over = decision.transition in FINISHED

    @rule()
    def control(self) -> None:
        self.world.set.control()

    @rule()
    def ready(self) -> None:
        self.world.set.become_ready()

    @rule(which=st.integers(0, 8))
    def fails(self, which: int) -> None:
        if which < len(self.world.set.pods):
            self.world.set.pods[which].ready = False

    @rule(kind=st.sampled_from(OrderKind))
    def order(self, kind: OrderKind) -> None:
        if len(self.world.orders) < 4:
            self.world.order(kind)

    @rule(suspended=st.booleans())
    def suspend(self, suspended: bool) -> None:
        self.world.suspended = suspended

    @invariant()
    def never_more_pods_than_its_step_gives_it(self) -> None:
        if hasattr(self, "world"):
            assert self.world.set.having(NEW) <= self.allowed

    def teardown(self) -> None:
        if not hasattr(self, "world") or self.over:
            return
        self.world.suspended = False
        decision = self.world.end()
        work = NEW if decision.transition is Transition.PROMOTE else OLD
        # What serves has its pods back where an agent was suspended meanwhile.
        assert (self.world.set.template, self.world.set.partition) == (work, 0)
        self.world.set.change(self.world.replicas, work, 0)
        self.world.set.run()
        assert self.world.set.having(work) == len(self.world.set.pods) == self.world.replicas


TestCanaries = Canaries.TestCase
TestCanaries.settings = settings(deadline=None)


def test_what_is_read_of_a_target_that_is_not_seen_yet_says_nothing_of_the_candidate() -> None:
    fresh = StatefulSet(4, NEW, OLD, partition=3, pods=[Pod(OLD, ready=True) for _ in range(4)], seen=False)
    found = partition.candidate(fresh.facts(4, "router"), 3, 5, "triage-5", landed=True)
    assert (found.wanted, found.observed) == (1, False)
