"""Agents with evaluations, for tests of decisions: everything that exists, as it is read back after each write."""

from __future__ import annotations

import copy
import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from aiagent_operator.api.agentevaluation import Measurement, Phase
from aiagent_operator.core import onboarding, texts
from aiagent_operator.core.children import observe
from aiagent_operator.core.evaluation.asking import AskedFor
from aiagent_operator.core.objects import Child, ChildKind, Manifest, ObjectKey
from aiagent_operator.core.plan import Observed, Plan, Verb, Write
from aiagent_operator.core.runs.facts import PodFacts
from support.decisions import observed

BEGIN = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
ROUNDS = 24


def template(name: str, **metric: Any) -> Manifest:
    """An evaluation by Prometheus with one metric `m`."""
    return {"name": name, "prometheus": {}, "metrics": [{"name": "m", "query": "up", "min": "1", **metric}]}


def by_job(name: str, **metric: Any) -> Manifest:
    """An evaluation by a Job with one metric `m`."""
    pod = {"containers": [{"name": "measure", "image": "registry.example/measure:1"}]}
    job = {"metadata": {"labels": {"queue": "q"}}, "spec": {"template": {"spec": pod}}}
    return {"name": name, "job": job, "metrics": [{"name": "m", "min": "1", **metric}]}


class Desk:
    """One agent, all its objects, and a clock; `answer` is what Prometheus says to a metric of an evaluation."""

    def __init__(self, *permissions: Manifest, **spec: Any) -> None:
        self.permissions, self.spec = permissions, spec
        self.bodies: dict[ObjectKey, Manifest] = {}
        self.status: dict[str, Any] = {}
        self.at = BEGIN
        self.answer: Callable[[str, str], str] = lambda evaluation, metric: "S"
        self.facts: dict[str, Any] = {}
        self.ready = True
        self.pods: dict[str, tuple[PodFacts, ...]] = {}
        self._version = 0

    # What is there ----------------------------------------------------------------------------------------------------

    def of(self, kind: ChildKind) -> dict[str, Manifest]:
        """Objects of a kind by name."""
        return {key.name: body for key, body in self.bodies.items() if key.kind is kind}

    def phases(self) -> dict[str, str]:
        """Phases of the evaluations by name."""
        found = self.of(ChildKind.AGENT_EVALUATION)
        return {name: body.get("status", {}).get("phase", "Pending") for name, body in found.items()}

    def states(self) -> dict[str, str]:
        """States of the revisions by name."""
        found = self.of(ChildKind.AGENT_REVISION)
        return {name: body.get("status", {}).get("state", "Candidate") for name, body in found.items()}

    def children(self) -> dict[ObjectKey, Child]:
        """As decisions see them."""
        kept = ((key, key.kind, body) for key, body in self.bodies.items())
        return {key: observe(kind, body) for key, kind, body in kept if isinstance(kind, ChildKind)}

    # What happens -----------------------------------------------------------------------------------------------------

    def look(self, live: Mapping[ObjectKey, Manifest | None], measured: Mapping[AskedFor, Measurement]) -> Observed:
        """What is known of the agent now."""
        now: dict[str, Any] = {"time": texts.moment(self.at), "moment": self.at}
        o = observed(*self.permissions, status=self.status, spec=self.spec, **now, **self.facts)
        pods = {key: self.pods.get(key.name, ()) for key in self.bodies if key.kind is ChildKind.JOB}
        return replace(o, children=self.children(), live=dict(live), measured=dict(measured), pods=pods)

    def decide(self, measured: Mapping[AskedFor, Measurement] | None = None) -> Plan:
        """One decision, when all that it needs is read."""
        live: dict[ObjectKey, Manifest | None] = {}
        for _ in range(ROUNDS):
            plan = onboarding.decide(self.look(live, measured or {}))
            missing = plan.needs - live.keys()
            if not missing:
                return plan
            live.update({key: copy.deepcopy(self.bodies.get(key)) for key in missing})
        raise AssertionError("what is needed is never read")

    def settle(self, *, most: int = ROUNDS) -> Plan:
        """Passes at this moment until there is nothing to write and nothing to ask."""
        measured: dict[AskedFor, Measurement] = {}
        for _ in range(most):
            plan = self.decide(measured)
            for write in plan.writes:
                self.write(write)
            self.status |= plan.status
            measured = self.measured(plan)
            if not plan.writes and not measured:
                return plan
        raise AssertionError(f"not settled in {most} passes: {self.states()}, {self.phases()}")

    def later(self, seconds: float) -> None:
        """Time passes."""
        self.at += dt.timedelta(seconds=seconds)

    def write(self, write: Write) -> None:
        """The write takes effect."""
        self._version += 1
        if write.verb is Verb.DELETE:
            del self.bodies[write.key]
            return
        body = copy.deepcopy(dict(write.body or {}))
        if write.verb is Verb.MERGE:  # of one field of the spec, such as replicas
            old = self.bodies[write.key]
            body = old | {"spec": {**old["spec"], **body["spec"]}}
        if write.verb is Verb.REPORT:
            old = self.bodies[write.key]
            status = {**old.get("status", {}), **body["status"]}
            body = old | {"status": {name: value for name, value in status.items() if value is not None}}
        metadata = {
            "uid": f"uid-{write.key}",
            "creationTimestamp": texts.moment(self.at),
            "generation": 1,
            **body["metadata"],
        }
        self.bodies[write.key] = body | {"metadata": metadata | {"resourceVersion": str(self._version)}}
        if write.key.kind is ChildKind.DEPLOYMENT:
            self._run(self.bodies[write.key])

    def finish(self, job: str, message: str = "", *, failed: bool = False) -> None:
        """The Job ends with one pod that left this message."""
        body = next(body for key, body in self.bodies.items() if key.kind is ChildKind.JOB and key.name == job)
        kind = {"type": "Failed", "reason": "BackoffLimitExceeded"} if failed else {"type": "Complete"}
        body["status"] = {"conditions": [{**kind, "status": "True", "lastTransitionTime": texts.moment(self.at)}]}
        why = 'container "measure" ended with exit code 1 (Error)' if failed else ""
        pod = PodFacts(f"{job}-x", self.at, succeeded=not failed, finished=self.at, message=message, why=why)
        self.pods[job] = (pod,)

    def _run(self, body: Manifest) -> None:
        wanted = body["spec"]["replicas"]
        body["status"] = {
            "observedGeneration": 1,
            "replicas": wanted,
            "updatedReplicas": wanted,
            "readyReplicas": wanted if self.ready else 0,
        }

    def measured(self, plan: Plan) -> dict[AskedFor, Measurement]:
        """The answers to what a plan asks."""
        names = {body["metadata"]["uid"]: body["spec"]["template"]["name"] for body in self.bodies.values()
                 if body["kind"] == ChildKind.AGENT_EVALUATION.value}  # fmt: skip
        phases = {"S": Phase.SUCCESSFUL, "F": Phase.FAILED, "I": Phase.INCONCLUSIVE, "E": Phase.ERROR}
        return {
            (each.uid, metric.name, number): Measurement(
                phase=phases[self.answer(names[each.uid], metric.name)],
                value="0.5",
                message="0.5 is below min 1",
                finished_at=texts.moment(self.at),
            )
            for each in plan.measure
            for metric, number in each.metrics
            if self.answer(names[each.uid], metric.name)
        }
