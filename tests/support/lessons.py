"""An agent whose decisions are carried out one after the other, on paper: for tests of what a training comes to.

What a plan writes is kept as a whole manifest and read back as the operator reads it. Jobs and their pods do what a
test says.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from aiagent_operator.api.aiagent import AIAgent
from aiagent_operator.core import offboarding, onboarding
from aiagent_operator.core.children import observe
from aiagent_operator.core.objects import ChildKind, Manifest, ObjectKey
from aiagent_operator.core.plan import Failure, Observed, Plan, Verb, Write
from aiagent_operator.core.runs import facts
from support.decisions import observed

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
ARTIFACT = "s3://models/triage/1"
_WORK = (ChildKind.DEPLOYMENT, ChildKind.STATEFUL_SET)


def job_template(**spec: Any) -> Manifest:
    """A Job that trains."""
    container = {"name": "train", "image": "registry.example/train:1"}
    return {"spec": {"template": {"spec": {"containers": [container]}}, **spec}}


def retraining(**fields: Any) -> Manifest:
    """A spec.retraining that is due every hour."""
    return {"every": "1h", "jobTemplate": job_template(), **fields}


def result(**fields: Any) -> str:
    """What a training leaves."""
    return json.dumps({"artifact": ARTIFACT, **fields})


@dataclass
class Desk:
    """The agent's objects, and the clock. `pods` of its Jobs are manifests by the Job's name; `log`: what they said."""

    spec: Manifest = field(default_factory=lambda: {"retraining": retraining()})
    now: datetime = BEGIN
    manifests: dict[ObjectKey, Manifest] = field(default_factory=dict)
    pods: dict[str, list[Manifest]] = field(default_factory=dict)
    log: str = ""
    status: Manifest = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    failures: dict[ObjectKey, Failure] = field(default_factory=dict)
    written: list[Write] = field(default_factory=list)
    _version: int = 0

    # The clock and the writes -----------------------------------------------------------------------------------------

    def observed(self) -> Observed:
        """What the operator sees now."""
        kept = [(key.kind, manifest) for key, manifest in self.manifests.items()]
        children = [observe(kind, manifest) for kind, manifest in kept if isinstance(kind, ChildKind)]
        jobs = [child for child in children if child.job]
        pods = {
            child.key: tuple(
                replace(pod, log=self.log) for pod in facts.observe_pods(child.job, self.pods.get(child.key.name, ()))
            )
            for child in jobs
            if child.job
        }
        found = observed(
            children=children,
            status=self.status,
            spec=self.spec,
            time=f"{self.now:%Y-%m-%dT%H:%M:%SZ}",
            live=dict(self.manifests),
            pods=pods,
            failures=self.failures,
            **{"admitted": True, **self.facts},
        )
        born = found.agent.metadata.model_copy(update={"creation_timestamp": f"{BEGIN:%Y-%m-%dT%H:%M:%SZ}"})
        return replace(found, agent=found.agent.model_copy(update={"metadata": born}))

    def plan(self) -> Plan:
        """What the operator would do now."""
        return onboarding.decide(self.observed())

    def leave(self) -> None:
        """The agent is deleted, and goes as far as it can on paper: until nothing of it is left."""
        for _ in range(20):
            gone = replace(self.observed(), agent=self._deleted())
            plan = offboarding.decide(gone)
            for write in plan.writes:
                self.take(write)
            if not self.manifests:
                return
        raise AssertionError(f"left behind: {sorted(self.manifests)}")

    def _deleted(self) -> AIAgent:
        agent = self.observed().agent
        metadata = agent.metadata.model_copy(update={"deletion_timestamp": f"{self.now:%Y-%m-%dT%H:%M:%SZ}"})
        return agent.model_copy(update={"metadata": metadata})

    def settle(self, until: Callable[[], bool] = lambda: False) -> Plan:
        """Carries plans out until nothing is left to write, or until something is so."""
        for _ in range(40):
            plan = self.plan()
            if not plan.writes or until():
                self.status = {**self.status, **plan.status}
                return plan
            for write in plan.writes:
                self.take(write)
        raise AssertionError("not settled in forty rounds")

    def take(self, write: Write) -> None:
        """One write takes effect."""
        self.written.append(write)
        self._version += 1
        if write.verb is Verb.DELETE:
            del self.manifests[write.key]
            return
        if write.verb is Verb.REPORT:
            assert write.body is not None
            live = self.manifests[write.key]
            status = {**live.get("status", {}), **write.body["status"]}
            live["status"] = {key: value for key, value in status.items() if value is not None}
            live["metadata"]["resourceVersion"] = str(self._version)
            return
        body = copy.deepcopy(write.body)
        assert body is not None
        if write.verb is Verb.MERGE:  # of work without its role or handbook: to no pods
            live = self.manifests[write.key]
            body = {**live, "spec": {**live["spec"], **body["spec"]}}
        made = {"uid": f"uid-{write.key.name}", "creationTimestamp": f"{self.now:%Y-%m-%dT%H:%M:%SZ}", "generation": 1}
        body["metadata"] = {**made, **body["metadata"], "resourceVersion": str(self._version)}
        if write.key.kind in _WORK:
            wanted = body["spec"]["replicas"]
            counts = {"replicas": wanted, "updatedReplicas": wanted, "readyReplicas": wanted}
            body["status"] = {"observedGeneration": 1, **counts}
        self.manifests[write.key] = body

    def later(self, **by: float) -> None:
        """Time passes."""
        self.now += timedelta(**by)

    # Jobs -------------------------------------------------------------------------------------------------------------

    def jobs(self) -> list[Manifest]:
        """The Jobs that exist."""
        return [manifest for key, manifest in self.manifests.items() if key.kind is ChildKind.JOB]

    def end(self, message: str = "", *, failed: str = "") -> None:
        """The one Job ends: with a message, or as failed for a reason."""
        (job,) = self.jobs()
        name, spec = job["metadata"]["name"], job["spec"]["template"]["spec"]
        code = 1 if failed else 0
        when = f"{self.now:%Y-%m-%dT%H:%M:%SZ}"
        terminated = {"exitCode": code, "message": message, "finishedAt": when}
        self.pods[name] = [
            {
                "metadata": {
                    "name": f"{name}-x",
                    "creationTimestamp": when,
                    "ownerReferences": [{"uid": job["metadata"]["uid"], "controller": True}],
                },
                "spec": {"serviceAccountName": spec["serviceAccountName"]},
                "status": {
                    "phase": "Failed" if failed else "Succeeded",
                    "containerStatuses": [
                        {"name": spec["containers"][0]["name"], "state": {"terminated": terminated}},
                    ],
                },
            }
        ]
        kind = "Failed" if failed else "Complete"
        condition = {
            "type": kind,
            "status": "True",
            "reason": failed or "CompletionsReached",
            "lastTransitionTime": when,
        }
        job["status"] = {"conditions": [condition]} | ({} if failed else {"completionTime": when})
        self._version += 1
        job["metadata"]["resourceVersion"] = str(self._version)

    # Revisions --------------------------------------------------------------------------------------------------------

    def revision(self, number: int) -> Manifest:
        """A revision as it is."""
        found = (m for k, m in self.manifests.items() if k.kind is ChildKind.AGENT_REVISION)
        return next(each for each in found if each["spec"]["number"] == number)

    def states(self) -> dict[int, str]:
        """States of the revisions by number."""
        found = [m for k, m in self.manifests.items() if k.kind is ChildKind.AGENT_REVISION]
        return {m["spec"]["number"]: m.get("status", {}).get("state", "Candidate") for m in found}

    def deployment(self) -> Manifest:
        """The one Deployment."""
        (found,) = [manifest for key, manifest in self.manifests.items() if key.kind is ChildKind.DEPLOYMENT]
        return found

    def handbook(self) -> Manifest:
        """The handbook that the pods read."""
        volumes = self.deployment()["spec"]["template"]["spec"]["volumes"]
        name = next(v["configMap"]["name"] for v in volumes if "configMap" in v)
        (book,) = [m for k, m in self.manifests.items() if k.kind is ChildKind.CONFIG_MAP and k.name == name]
        found: Manifest = json.loads(book["data"]["handbook.json"])
        return found
