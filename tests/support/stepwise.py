"""An agent with spec.retraining.rollout in a cluster whose pods and Services do what they are asked to."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from aiagent_operator.api.agentrevision import RevisionState
from aiagent_operator.core import onboarding
from aiagent_operator.core.objects import Child, ChildKind, ObjectKey, TrafficKind
from aiagent_operator.core.plan import Observed, Plan
from aiagent_operator.core.rollout.facts import OrderKind, RolloutOrder
from aiagent_operator.core.versions.revisions import RollbackOrder, facts
from support import agents
from support.decisions import after, observed, said

BEGIN = datetime(2026, 11, 2, 9, tzinfo=UTC)
CANARY = {"strategy": "Canary", "steps": [{"weight": 20}, {"pause": {}}]}


@dataclass
class Agent:
    """One agent in a cluster whose Deployments do what they are asked to, unless their pods are broken."""

    rollout: dict[str, Any] | None
    replicas: int = 10
    text: str = "Be kind."
    suspended: bool = False
    children: dict[ObjectKey, Child] = field(default_factory=dict)
    status: dict[str, Any] = field(default_factory=dict)
    bodies: dict[ObjectKey, Any] = field(default_factory=dict)
    now: datetime = BEGIN
    broken: set[str] = field(default_factory=set)
    orders: tuple[RolloutOrder, ...] = ()
    rollback: RollbackOrder | None = None
    fewest: int = 10_000
    versions: int = 0
    """The most revisions that had pods at the same time."""

    def observe(self) -> Observed:
        spec: dict[str, Any] = {
            "handbook": {"instructions": {"inline": self.text}},
            "workload": agents.template(replicas=self.replicas),
            "suspended": self.suspended,
        }
        if self.rollout:
            spec["retraining"] = {"rollout": self.rollout}
        return observed(
            spec=spec,
            status=self.status,
            children=self.children.values(),
            live=self.bodies | self._traffic(),
            steering=self.orders,
            rollback=self.rollback,
            moment=self.now,
        )

    def _traffic(self) -> dict[ObjectKey, Any]:
        wanted = {"triage", "preview", *self.services}
        route: Any = self.route
        if self.route:
            refs = [{"name": name, "weight": weight} for name, weight in self.route.items()]
            metadata = {"namespace": "home", "resourceVersion": "1", "uid": "route"}
            route = {"metadata": metadata, "spec": {"rules": [{"backendRefs": refs}]}}
        return {ObjectKey(TrafficKind.HTTP_ROUTE, "home", "triage"): route} | {
            ObjectKey(TrafficKind.SERVICE, "home", name): {
                "metadata": {"resourceVersion": "1", "uid": name},
                "spec": {"selector": dict(self.services[name])},
            }
            if name in self.services
            else None
            for name in wanted
        }

    def settle(self) -> Plan:
        """Rounds until nothing is left to write and no pod moves."""
        plan = Plan()
        for _ in range(80):
            plan = onboarding.decide(self.observe())
            if missing := plan.needs - self.bodies.keys() - self._traffic().keys():
                raise AssertionError(f"nobody knows {missing}")
            before = (self.children, dict(self.services))
            self._write(plan)
            self.children = {key: self._pods(child) for key, child in self.children.items()}
            serving = sum(child.rollout.ready for child in self.children.values() if child.rollout)
            running = [child for child in self.children.values() if child.rollout and child.rollout.replicas]
            self.fewest, self.versions = min(self.fewest, serving), max(self.versions, len(running))
            self._answered()
            if not plan.writes and (self.children, self.services) == before:
                return plan
        raise AssertionError(f"not settled: {plan.writes}")

    def _write(self, plan: Plan) -> None:
        self.status |= {key: value for key, value in plan.status.items() if key in {"rollout", "revision", "services"}}
        for write in plan.writes:
            if write.key.kind is ChildKind.AGENT_REVISION and write.body and "spec" in write.body:
                self.bodies[write.key] = write.body
            if write.key.kind is TrafficKind.HTTP_ROUTE and write.body:
                self.route = {ref["name"]: ref["weight"] for ref in write.body["spec"]["rules"][0]["backendRefs"]}
            if write.key.kind is TrafficKind.SERVICE and write.body:
                selector = {**self.services[write.key.name], **write.body["spec"]["selector"]}
                self.services[write.key.name] = {key: value for key, value in selector.items() if value is not None}
        ours = replace(plan, writes=tuple(w for w in plan.writes if isinstance(w.key.kind, ChildKind)))
        self.children = after(self.children, ours, ready=False)

    def _answered(self) -> None:
        """Nobody is asked who has no ready pod, once a Service selects a revision."""
        weights = self.route or {"triage": 100}
        for name, selector in self.services.items():
            if (number := selector.get("workforce.dev/revision")) and weights.get(name):
                self.unanswered += not self.ready.get(f"triage-{number}")

    def _pods(self, child: Child) -> Child:
        """What the controllers have done meanwhile: one more pod is ready, in each Deployment."""
        its = child.rollout
        if its is None:
            return child
        known = self.ready.get(child.key.name, 0)
        able = 0 if child.key.name in self.broken else min(its.wanted, known + 1)
        self.ready[child.key.name] = able
        return replace(child, rollout=replace(its, replicas=its.wanted, updated=its.wanted, ready=able))

    ready: dict[str, int] = field(default_factory=dict)
    services: dict[str, dict[str, str]] = field(default_factory=dict)
    route: dict[str, int] | None = None
    """Weights of the route's one rule; empty where the cluster has no HTTPRoutes."""
    unanswered: int = 0

    def order(self, kind: OrderKind) -> None:
        uid = f"uid-{len(self.orders)}"
        self.orders = (*self.orders, RolloutOrder(uid, kind, f"AgentAction {uid} by ann"))

    @property
    def pods(self) -> dict[str, int]:
        return {c.key.name: c.rollout.wanted for c in self.children.values() if c.rollout}

    @property
    def states(self) -> dict[int, RevisionState]:
        found = [facts(child) for child in self.children.values() if child.revision]
        return {each.number: each.state for each in sorted(found, key=lambda its: its.number)}

    @property
    def kept(self) -> dict[str, Any]:
        return self.status.get("rollout") or {}

    def outcome(self, uid: str) -> tuple[bool, str]:
        return next((o["done"], o["message"]) for o in self.kept["orders"] if o["uid"] == uid)


def employed(rollout: dict[str, Any] | None, **fields: Any) -> Agent:
    agent = Agent(rollout, **fields)
    plan = agent.settle()
    assert said(plan, "Ready")[0] is True
    assert (agent.kept, agent.states) == ({}, {1: RevisionState.STABLE})
    agent.text = "Be brief."
    agent.fewest, agent.versions = 10_000, 0
    return agent
