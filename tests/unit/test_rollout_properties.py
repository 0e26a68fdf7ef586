"""A rollout among pods that come, go and fail in any order, with orders, suspensions and crashes in between.

Whatever happens: the same facts give the same decision, its status changes nothing when it is fed back, no ready pod
that is needed is given up, no more pods are asked for than there is room for, and in the end it is over, or waits for
somebody who is named.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from aiagent_operator.api.agentevaluation import Phase
from aiagent_operator.api.rollout import RolloutSpec, Strategy
from aiagent_operator.api.rolloutstatus import PausedFor
from aiagent_operator.core.rollout.decide import decide
from aiagent_operator.core.rollout.decision import Decision, Transition, WaitsFor
from aiagent_operator.core.rollout.facts import OrderKind
from aiagent_operator.core.rollout.replicas import part, surge
from support.rollouts import BLUE_GREEN, FINISHED, ROUTING, Deployment, World, running, spec

COUNTS = st.sampled_from((0, 1, 2, 3, 7, 10, 33, 1000))
WEIGHTS = st.lists(st.integers(0, 100), min_size=1, max_size=4, unique=True).map(sorted)
PARTS = st.sets(st.sampled_from(("stable", "candidate", "traffic")))
NAMES = ("error-rate", "latency")


@st.composite
def specs(draw: st.DrawFn) -> RolloutSpec:
    """Every kind of rollout."""
    fields: dict[str, Any] = {"progressDeadlineSeconds": draw(st.sampled_from((1, 600)))}
    strategy = draw(st.sampled_from(Strategy))
    if strategy is not Strategy.RECREATE:
        fields["onFailure"] = draw(st.sampled_from(("Rollback", "Freeze")))
        fields["analysis"] = [{"name": name} for name in draw(st.sets(st.sampled_from(NAMES)))]
    if strategy is Strategy.CANARY:
        fields["steps"] = draw(steps())
        fields |= {"trafficRouting": ROUTING} if draw(st.booleans()) else {}
    if strategy is Strategy.BLUE_GREEN:
        auto = draw(st.sampled_from(({}, {"autoPromotionEnabled": False}, {"autoPromotionSeconds": 60})))
        fields["blueGreen"] = BLUE_GREEN | auto
    return spec(strategy=strategy.value, **fields)


@st.composite
def steps(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Rising weights with pauses and evaluations between them."""
    between = st.sampled_from(({"pause": {}}, {"pause": {"duration": "10m"}}, {"evaluation": {"name": "accuracy"}}))
    found: list[dict[str, Any]] = draw(st.lists(between, max_size=1))
    for weight in draw(WEIGHTS):
        found += [{"weight": weight}, *draw(st.lists(between, max_size=2))]
    return found


def checked(world: World) -> Decision:
    """The decision, and what must hold of every one."""
    facts = world.facts()
    decision = decide(facts)
    assert decide(facts) == decision
    again = decide(replace(facts, status=decision.status))
    assert again == decision, "the status, fed back, changes the decision"
    assert (decision.requeue_after or 1) > 0
    assert decision.wait.text or decision.transition in FINISHED
    _gets_nothing_more_unseen(world, decision)
    if not world.suspended:
        _keeps_capacity(world, decision)
        _keeps_within_room(world, decision)
    else:
        assert (decision.stable, decision.candidate) == (0, 0)
    return decision


def _keeps_capacity(world: World, decision: Decision) -> None:
    stable, candidate = world.stable.facts, world.candidate.facts
    if world.spec.strategy is Strategy.RECREATE:
        return
    if world.spec.strategy is Strategy.BLUE_GREEN or world.spec.traffic_routing is not None:
        assert decision.stable == world.replicas
        if decision.candidate < candidate.wanted and world.traffic is not None:
            assert decision.candidate >= min(candidate.wanted, part(world.replicas, _weight(world)))
        return
    for new_stable in {stable.wanted, decision.stable}:
        for new_candidate in {candidate.wanted, decision.candidate}:
            after = min(stable.serving, new_stable) + min(candidate.serving, new_candidate)
            assert after >= min(world.replicas, stable.serving + candidate.serving)


def _gets_nothing_more_unseen(world: World, decision: Decision) -> None:
    """While evaluations that are needed do not run, the candidate gets neither pods nor requests."""
    if world.unmeasured and decision.runs and decision.transition not in FINISHED:
        assert decision.candidate <= world.candidate.wanted


def _weight(world: World) -> int:
    """The candidate's share of requests that the cluster's objects give it."""
    assert world.traffic is not None
    if world.spec.blue_green is not None:
        return 100 if dict(world.traffic.selectors)["triage"] == world.candidate.revision else 0
    return dict(world.traffic.weights)["triage-canary"]


def _keeps_within_room(world: World, decision: Decision) -> None:
    stable, candidate = world.stable.facts, world.candidate.facts
    if world.spec.strategy is not Strategy.CANARY:
        assert decision.stable <= world.replicas
        assert decision.candidate <= max(world.replicas, candidate.wanted)
    elif world.spec.traffic_routing is None:
        most = max(stable.present, decision.stable) + max(candidate.present, decision.candidate)
        # What stands still may have pods that fail, for which the stable revision makes up.
        if decision.status.paused_for not in {PausedFor.FAILED, PausedFor.INCONCLUSIVE} and not world.unmeasured:
            assert most <= max(world.replicas + surge(world.replicas), stable.present + candidate.present)


class Rollouts(RuleBasedStateMachine):
    """Anything that can happen around a rollout."""

    def __init__(self) -> None:
        super().__init__()
        self.world: World
        self.over = False
        self.disturbed = False

    @initialize(spec=specs(), count=COUNTS, healthy=st.booleans())
    def begin(self, spec: RolloutSpec, count: int, healthy: bool) -> None:
        self.world = World(spec, count, running(4, count), Deployment(5, healthy=healthy))

    @rule(what=PARTS)
    def operate(self, what: set[str]) -> None:
        """A decision, of which not all may have been written."""
        if not self.over:
            decision = checked(self.world)
            self.world.write(decision, what)
            self.over = decision.transition in FINISHED

    @rule()
    def operate_wholly(self) -> None:
        self.operate({"stable", "candidate", "traffic"})

    @rule(which=st.booleans())
    def control(self, which: bool) -> None:
        (self.world.stable if which else self.world.candidate).control()

    @rule(which=st.booleans(), most=st.integers(1, 1000))
    def pods_become_ready(self, which: bool, most: int) -> None:
        (self.world.stable if which else self.world.candidate).become_ready(most)

    @rule(which=st.booleans(), index=st.integers(0, 999))
    def a_pod_fails(self, which: bool, index: int) -> None:
        pods = (self.world.stable if which else self.world.candidate).pods
        if index < len(pods):
            pods[index] = False
            self.disturbed = True

    @rule(seconds=st.sampled_from((-3600, -1, 1, 30, 600, 86_400)))
    def time_passes(self, seconds: int) -> None:
        self.world.now += timedelta(seconds=seconds)

    @rule(verdict=st.sampled_from(Phase), index=st.integers(0, 3))
    def an_evaluation_says(self, verdict: Phase, index: int) -> None:
        for run in self.world.decide().runs[index : index + 1]:
            self.world.verdicts[run] = verdict

    @precondition(lambda self: len(self.world.orders) < 6)
    @rule(kind=st.sampled_from(OrderKind))
    def an_order_is_given(self, kind: OrderKind) -> None:
        self.world.order(kind, f"order-{kind}-{len(self.world.orders)}")

    @rule()
    def orders_are_finished(self) -> None:
        done = {carried.uid for carried in self.world.status.orders}
        self.world.orders = tuple(order for order in self.world.orders if order.uid not in done)

    @rule(count=COUNTS)
    def replicas_change(self, count: int) -> None:
        self.disturbed |= count > self.world.replicas
        self.world.replicas = count

    @rule()
    def suspend_or_resume(self) -> None:
        self.world.suspended = not self.world.suspended
        self.disturbed = True

    @rule(why=st.sampled_from(("", "quota exceeded")))
    def evaluations_can_run_or_not(self, why: str) -> None:
        self.world.unmeasured = why

    @rule(changed=steps())
    def steps_change(self, changed: list[dict[str, Any]]) -> None:
        if self.world.spec.strategy is Strategy.CANARY:
            whole = self.world.spec.model_dump(by_alias=True, exclude_none=True) | {"steps": changed}
            self.world.spec = RolloutSpec.model_validate(whole)

    @invariant()
    def recreate_never_runs_both(self) -> None:
        world = getattr(self, "world", None)
        if world and world.spec.strategy is Strategy.RECREATE:
            assert not (world.stable.pods and world.candidate.pods)

    @invariant()
    def what_was_ready_and_is_needed_stays(self) -> None:
        """Counted in the pods that there are, not in what was asked for: as many as wanted serve at every moment."""
        world = getattr(self, "world", None)
        if world is None or self.disturbed or world.spec.strategy is Strategy.RECREATE:
            return
        by_pods = world.spec.strategy is Strategy.CANARY and world.spec.traffic_routing is None
        assert sum(world.stable.pods) + by_pods * sum(world.candidate.pods) >= world.replicas

    def teardown(self) -> None:
        """Left alone, it comes to an end, or to a person, and each order of that person leads to an end."""
        world = getattr(self, "world", None)
        if world is None or self.over:
            return
        world.suspended, world.unmeasured = False, ""
        decision = world.end()
        for number in range(40):
            if decision.transition in FINISHED:
                break
            assert decision.wait.what is WaitsFor.PERSON
            assert "Promote" in decision.wait.text
            assert "Abort" in decision.wait.text
            world.order(OrderKind.PROMOTE if number < 35 else OrderKind.ABORT, f"last-{number}")
            decision = world.end()
        _is_over(world, decision)


def _is_over(world: World, decision: Decision) -> None:
    if decision.transition is Transition.PROMOTE:
        assert world.candidate.facts.serving >= world.replicas
    else:
        assert decision.transition is Transition.ROLL_BACK
        assert decision.status.reason
        assert world.candidate.wanted == 0
        assert world.stable.wanted == world.replicas


Rollouts.TestCase.settings = settings(
    max_examples=100, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestRollouts = Rollouts.TestCase


@settings(max_examples=100, deadline=None)
@given(specs(), COUNTS, st.booleans())
def test_left_alone_every_rollout_comes_to_its_end(spec: RolloutSpec, count: int, healthy: bool) -> None:
    world = World(spec, count, running(4, count), Deployment(5, healthy=healthy))
    decision = world.end()
    while decision.transition not in FINISHED:
        assert decision.wait.what is WaitsFor.PERSON
        frozen = decision.transition is Transition.FREEZE
        world.order(OrderKind.ABORT if frozen else OrderKind.PROMOTE)
        decision = world.end()
    # Where no pod is asked for, none can fail.
    assert (decision.transition is Transition.PROMOTE) is (healthy or count == 0)
    _is_over(world, decision)
