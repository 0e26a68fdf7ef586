"""A rollout followed step by step: two Deployments whose pods come and go, Services, a clock, and the decisions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from aiagent_operator.api.agentevaluation import Phase
from aiagent_operator.api.rollout import RolloutSpec
from aiagent_operator.core.rollout import traffic
from aiagent_operator.core.rollout.decide import decide
from aiagent_operator.core.rollout.decision import Decision, RolloutStatus, Traffic, Transition, WaitsFor
from aiagent_operator.core.rollout.facts import Facts, OrderKind, Pods, RolloutOrder
from aiagent_operator.core.rollout.run import Run

BEGIN = datetime(2026, 11, 2, 9, tzinfo=UTC)
SECOND = timedelta(seconds=1)
FINISHED = (Transition.PROMOTE, Transition.ROLL_BACK)


def spec(**fields: Any) -> RolloutSpec:
    """A spec as an author writes it; a Canary where nothing else is said."""
    return RolloutSpec.model_validate({"strategy": "Canary"} | fields)


ROUTING = {"httpRoute": {"name": "triage"}, "stableService": "triage-stable", "canaryService": "triage-canary"}
BLUE_GREEN = {"activeService": "triage", "previewService": "triage-preview"}
STEPS: list[dict[str, Any]] = [{"weight": 20}, {"pause": {}}, {"weight": 50}, {"pause": {"duration": "10m"}}]
ANALYSIS = [{"name": "error-rate"}]


@dataclass
class Deployment:
    """A Deployment and its controller. Pods are ready or not; those of a broken revision never become ready."""

    revision: int
    wanted: int = 0
    pods: list[bool] = field(default_factory=list)
    healthy: bool = True

    def control(self) -> None:
        """What the controller does: makes what is missing, and removes what is too much, the unready first."""
        self.pods += [False] * (self.wanted - len(self.pods))
        if len(self.pods) > self.wanted:
            self.pods = sorted(self.pods, reverse=True)[: self.wanted]

    def become_ready(self, most: int | None = None) -> None:
        """Pods that are not ready become so, as many as are said."""
        if not self.healthy:
            return
        left = len(self.pods) if most is None else most
        for index, ready in enumerate(self.pods):
            if not ready and left > 0:
                self.pods[index] = True
                left -= 1

    @property
    def facts(self) -> Pods:
        """As the operator observes it."""
        count = len(self.pods)
        return Pods(self.revision, f"triage-{self.revision}", self.wanted, count, count, sum(self.pods))


def running(revision: int, count: int) -> Deployment:
    """A Deployment all of whose pods are ready."""
    return Deployment(revision, count, [True] * count)


@dataclass
class World:
    """Everything around the decisions."""

    spec: RolloutSpec
    replicas: int
    stable: Deployment
    candidate: Deployment = field(default_factory=lambda: Deployment(5))
    status: RolloutStatus = field(default_factory=RolloutStatus)
    now: datetime = BEGIN
    verdicts: dict[Run, Phase] = field(default_factory=dict)
    orders: tuple[RolloutOrder, ...] = ()
    traffic: Traffic | None = None
    suspended: bool = False
    unmeasured: str = ""

    def __post_init__(self) -> None:
        if self.traffic is None:
            self.traffic = traffic.steady(self.spec, self.stable.revision)

    def facts(self) -> Facts:
        return Facts(
            self.spec,
            self.replicas,
            self.stable.facts,
            self.candidate.facts,
            self.status,
            self.now,
            dict(self.verdicts),
            self.orders,
            self.traffic,
            self.suspended,
            unmeasured=self.unmeasured,
        )

    def decide(self) -> Decision:
        """The decision as it would be made now."""
        return decide(self.facts())

    def write(self, decision: Decision, what: Iterable[str] = ("stable", "candidate", "traffic")) -> None:
        """The status first; of the rest, what is said: the operator may have ended in between."""
        self.status = decision.status
        wanted = set(what)
        if "stable" in wanted:
            self.stable.wanted = decision.stable
        if "candidate" in wanted:
            self.candidate.wanted = decision.candidate
        if "traffic" in wanted:
            self.traffic = decision.traffic

    def order(self, kind: OrderKind, uid: str = "") -> None:
        """One more order."""
        name = uid or f"order-{len(self.orders)}"
        self.orders = (*self.orders, RolloutOrder(name, kind, f"AgentAction {name} by ann@corp.example"))

    def settle(self, most: int = 400) -> Decision:
        """Everything that can happen by itself happens, but time stands still: until nothing changes any more."""
        for _ in range(most):
            before = (self.stable.facts, self.candidate.facts, self.status, self.traffic)
            decision = self.decide()
            self.write(decision)
            if decision.transition in FINISHED:
                return decision
            for deployment in (self.stable, self.candidate):
                deployment.control()
                deployment.become_ready()
            if before == (self.stable.facts, self.candidate.facts, self.status, self.traffic):
                return decision
        raise AssertionError(f"not settled after {most} decisions: {self.decide()}")

    def end(self, *, verdict: Phase = Phase.SUCCESSFUL, most: int = 200) -> Decision:
        """Time passes, evaluations end: until it is over or only a person can go on."""
        for _ in range(most):
            decision = self.settle()
            if decision.transition in FINISHED or decision.wait.what is WaitsFor.PERSON:
                return decision
            if decision.wait.what is WaitsFor.EVALUATION:
                unfinished = {None, Phase.PENDING, Phase.RUNNING}
                self.verdicts |= {run: verdict for run in decision.runs if self.verdicts.get(run) in unfinished}
            else:
                assert decision.requeue_after is not None, f"nothing ends this wait: {decision}"
                self.now += timedelta(seconds=decision.requeue_after)
        raise AssertionError(f"not over after {most} waits: {self.decide()}")


def canary(count: int = 10, *, healthy: bool = True, **fields: Any) -> World:
    """A Canary of two weights and two pauses that has just begun."""
    return World(spec(**{"steps": STEPS} | fields), count, running(4, count), Deployment(5, healthy=healthy))
