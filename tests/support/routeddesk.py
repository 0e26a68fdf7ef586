"""A target whose revisions Services tell apart: pods that come and go one by one, and who is asked at every moment."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

from aiagent_operator.core.objects import ChildKind, Manifest, ObjectKey, TrafficKind, digest
from aiagent_operator.core.plan import Plan, Verb, Write
from support.agents import permission
from support.decisions import HOME, said
from support.targetdesk import KEY, TargetDesk, _merged

ROUTING = {"httpRoute": {"name": "triage"}, "stableService": "stable", "canaryService": "canary"}
CANARY = {"strategy": "Canary", "steps": [{"weight": 20}, {"pause": {}}], "trafficRouting": ROUTING}
BESIDE = "router-canary"
ROUTE = ObjectKey(TrafficKind.HTTP_ROUTE, HOME, "triage")


def service(name: str) -> ObjectKey:
    """Where a Service is."""
    return ObjectKey(TrafficKind.SERVICE, HOME, name)


@dataclass
class Pod:
    """A pod with the labels, and the digest, of the template that it was made from."""

    template: str
    labels: dict[str, str]
    ready: bool = False


class UnansweredError(AssertionError):
    """A Service gets requests, and selects no ready pod."""


class RoutedDesk(TargetDesk):
    """The agent, its target, the Services `stable` and `canary` with their route, and `theirs` of the owner's."""

    def __init__(self, rollout: dict[str, Any], *, replicas: int = 10, **spec: Any) -> None:
        self.running: dict[str, list[Pod]] = {}
        self.endpoints: dict[str, list[Pod]] = {}
        """Those that are known to be behind a Service: of a new selector, others learn later."""
        self.watched = False
        super().__init__(permission("refund"), retraining={"rollout": rollout}, **spec)
        ours = {"workforce.dev/agent": "triage"}
        for name, selector in (("stable", ours), ("canary", ours), ("theirs", {"app": "router"})):
            metadata = {"name": name, "namespace": HOME, "uid": name, "resourceVersion": "1"}
            self.bodies[service(name)] = {"kind": "Service", "metadata": metadata, "spec": {"selector": dict(selector)}}
        refs = [{"name": "stable", "weight": 1}, {"name": "canary", "weight": 1}]
        metadata = {"name": "triage", "namespace": HOME, "uid": "route", "resourceVersion": "1"}
        route = {"kind": "HTTPRoute", "metadata": metadata, "spec": {"rules": [{"backendRefs": refs}]}}
        self.bodies[ROUTE] = route
        self.body["spec"]["selector"] = {"matchLabels": {"app": "router"}}
        self.body["spec"]["replicas"] = replicas

    # What is there ----------------------------------------------------------------------------------------------------

    @property
    def weights(self) -> tuple[int, int]:
        """What `stable` and `canary` get."""
        refs = self.bodies[ROUTE]["spec"]["rules"][0]["backendRefs"]
        found = {ref["name"]: ref.get("weight", 1) for ref in refs}
        return found["stable"], found["canary"]

    @property
    def selected(self) -> tuple[str, str]:
        """The revisions that `stable` and `canary` select."""
        stable, canary = (
            self.bodies[service(name)]["spec"]["selector"].get("workforce.dev/revision", "")
            for name in ("stable", "canary")
        )
        return stable, canary

    @property
    def label(self) -> str:
        """The revision that the target's pods bear."""
        found: str = self.body["spec"]["template"]["metadata"]["labels"].get("workforce.dev/revision", "")
        return found

    def behind(self, name: str) -> int:
        """Ready pods that requests to a Service reach."""
        there = [id(pod) for each in self.running.values() for pod in each]
        return sum(pod.ready and id(pod) in there for pod in self.endpoints.get(name, []))

    def learn(self) -> None:
        """Of pods and selectors."""
        pods = [pod for each in self.running.values() for pod in each]
        for name in ("stable", "canary", "theirs"):
            selector = self.bodies[service(name)]["spec"]["selector"].items()
            self.endpoints[name] = [pod for pod in pods if selector <= pod.labels.items()]

    def check(self) -> None:
        """Whoever is asked has a pod that answers; and the owner's own Service sends the pods beside it nothing."""
        if not self.watched or self.spec.get("suspended"):
            return
        answering = sum(pod.ready for pods in self.running.values() for pod in pods)
        for name, weight in zip(("stable", "canary"), self.weights, strict=True):
            if weight and not self.behind(name) and answering:
                raise UnansweredError(f"{name} gets {weight} and selects {self.selected}: {self.running}")
        assert not set(map(id, self.endpoints.get("theirs", []))) & set(map(id, self.running.get(BESIDE, [])))

    # What happens -----------------------------------------------------------------------------------------------------

    def settle(self, *, most: int = 200) -> Plan:
        """Passes at this moment, and what controllers do between them, until nothing is left to write, to ask, or to
        move."""
        plan, measured = Plan(), dict[Any, Any]()
        for _ in range(most):
            plan = self.step(measured)
            measured = self.measured(plan)
            if self.tick() or plan.writes or measured:
                continue
            if not self._unlearned():
                return plan
            # Others learn of the candidate's pods before they get requests.
            self.later(30)
        raise AssertionError(f"not settled in {most} passes: {self.states()}, {said(plan, 'WorkloadReady')}")

    def _unlearned(self) -> bool:
        """Whether nothing but time keeps ready pods of the candidate from their requests."""
        standing = self.status.get("rollout") or {}
        pods = self.running.get(BESIDE, [])
        own = all(pod.ready and pod.labels["workforce.dev/revision"] == str(standing.get("revision")) for pod in pods)
        waits = standing.get("waitsFor") == "Traffic" and not standing.get("abortedAt")
        turned = self.selected[1] == str(standing.get("revision"))
        return bool(pods) and own and waits and turned and self.watched and not self.weights[1]

    def step(self, measured: dict[Any, Any] | None = None) -> Plan:
        """One pass."""
        plan = self.decide(measured or {})
        self.status |= plan.status
        for write in plan.writes:
            self.write(write)
            self.check()
        return plan

    def write(self, write: Write) -> None:
        """The write takes effect."""
        if isinstance(write.key.kind, TrafficKind):
            body = copy.deepcopy(dict(write.body or {}))
            assert body["metadata"]["resourceVersion"] == self.bodies[write.key]["metadata"]["resourceVersion"]
            before = self.weights
            _merged(self.bodies[write.key], body)
            version = int(self.bodies[write.key]["metadata"]["resourceVersion"]) + 1
            self.bodies[write.key]["metadata"]["resourceVersion"] = str(version)
            if self.watched and not before[0] and self.weights[0] and not self.spec.get("suspended"):
                beside = sum(pod.ready for pod in self.running.get(BESIDE, []))
                assert self.behind("stable") >= min(self.body["spec"]["replicas"], beside), (
                    "fewer than were asked before"
                )
            return
        super().write(write)
        if write.key.kind is ChildKind.DEPLOYMENT and write.verb is Verb.DELETE:
            self.running.pop(write.key.name, None)

    def tick(self) -> bool:
        """What the controllers do meanwhile; False where nothing is left to do."""
        moved = False
        for name, body in self.of(ChildKind.DEPLOYMENT).items():
            before = copy.deepcopy((self.running.get(name), body["status"]))
            self.running[name] = self._controlled(name, body, self.running.get(name, []))
            self._report(name, body, body["metadata"]["generation"])
            moved |= before != (self.running[name], body["status"])
            self.check()
        self.learn()
        return moved

    def _controlled(self, name: str, body: Manifest, pods: list[Pod]) -> list[Pod]:
        """A rolling update with maxSurge 1 and maxUnavailable 0."""
        wanted, template = body["spec"]["replicas"], body["spec"]["template"]
        mark = digest(template)
        own = [pod for pod in pods if pod.template == mark]
        old = [pod for pod in pods if pod.template != mark]
        for pod in own:
            pod.ready = pod.ready or name not in self.broken
        if len(own) > wanted:
            own = own[:wanted]
        while old and (not wanted or not old[-1].ready or sum(p.ready for p in own) + len(old) > wanted):
            old.pop()
            if wanted:
                break
        new = wanted - len(own) if not old else min(wanted - len(own), wanted + 1 - len(own) - len(old))
        return old + own + [Pod(mark, dict(template["metadata"]["labels"])) for _ in range(new)]

    def _run(self, body: Manifest) -> None:
        """The controller has yet to see what was written."""
        self._report(body["metadata"]["name"], body, body["metadata"].get("generation", 1) - 1)

    def _report(self, name: str, body: Manifest, seen: int) -> None:
        pods, mark = self.running.get(name, []), digest(body["spec"]["template"])
        body["status"] = {
            "observedGeneration": seen,
            "replicas": len(pods),
            "updatedReplicas": sum(pod.template == mark for pod in pods),
            "readyReplicas": sum(pod.ready for pod in pods),
        }


def at_work(rollout: dict[str, Any] | None = None, **fields: Any) -> RoutedDesk:
    """An agent whose first revision serves, whose Services select it, and whose owner has let go of the image."""
    desk = RoutedDesk(rollout or CANARY, **fields)
    desk.tick()
    desk.tick()
    assert said(desk.settle(), "Ready")[0] is True
    desk.owner_lets_go()
    desk.watched = True
    desk.check()
    return desk


__all__ = ["BESIDE", "CANARY", "KEY", "ROUTE", "ROUTING", "RoutedDesk", "UnansweredError", "at_work", "service"]
