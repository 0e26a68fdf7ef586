"""Vocabulary of the core: children by kind, as they are observed and as they should be."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson

from aiagent_operator.api import meta
from aiagent_operator.api.agentevaluation import Phase, Provider, Purpose
from aiagent_operator.api.agentrevision import RevisionState
from aiagent_operator.core.rights.rules import Rule
from aiagent_operator.core.runs.facts import JobFacts

Manifest = dict[str, Any]
Curricula = tuple[tuple[str, str], ...]
"""Policy and version of each curriculum, in the order of the policies' names."""


class ChildKind(StrEnum):
    """Kinds of object that belong to agents, with what a request needs to know of each."""

    SERVICE_ACCOUNT = "ServiceAccount"
    ROLE = "Role"
    ROLE_BINDING = "RoleBinding"
    NETWORK_POLICY = "NetworkPolicy"
    CONFIG_MAP = "ConfigMap"
    DEPLOYMENT = "Deployment"
    STATEFUL_SET = "StatefulSet"
    AGENT_REVISION = "AgentRevision"
    AGENT_EVALUATION = "AgentEvaluation"
    JOB = "Job"

    @property
    def api_version(self) -> str:
        """API version in which the operator reads and writes the kind."""
        return _RESOURCES[self][0]

    @property
    def plural(self) -> str:
        """Name of the resource in paths."""
        return _RESOURCES[self][1]


class TrafficKind(StrEnum):
    """Kinds of object that are somebody else's, and say who gets requests, or how many pods there are.

    They are read when a decision needs them, and not followed. In the first two the operator sets one field.
    """

    SERVICE = "Service"
    HTTP_ROUTE = "HTTPRoute"
    AUTOSCALER = "HorizontalPodAutoscaler"

    @property
    def api_version(self) -> str:
        """API version in which the operator reads and writes the kind."""
        return _TRAFFIC[self][0]

    @property
    def plural(self) -> str:
        """Name of the resource in paths."""
        return _TRAFFIC[self][1]


_TRAFFIC: Mapping[TrafficKind, tuple[str, str]] = {
    TrafficKind.SERVICE: ("v1", "services"),
    TrafficKind.HTTP_ROUTE: ("gateway.networking.k8s.io/v1", "httproutes"),
    TrafficKind.AUTOSCALER: ("autoscaling/v2", "horizontalpodautoscalers"),
}
_RESOURCES: Mapping[ChildKind, tuple[str, str]] = {
    ChildKind.SERVICE_ACCOUNT: ("v1", "serviceaccounts"),
    ChildKind.ROLE: ("rbac.authorization.k8s.io/v1", "roles"),
    ChildKind.ROLE_BINDING: ("rbac.authorization.k8s.io/v1", "rolebindings"),
    ChildKind.NETWORK_POLICY: ("networking.k8s.io/v1", "networkpolicies"),
    ChildKind.CONFIG_MAP: ("v1", "configmaps"),
    ChildKind.DEPLOYMENT: ("apps/v1", "deployments"),
    ChildKind.STATEFUL_SET: ("apps/v1", "statefulsets"),
    ChildKind.AGENT_REVISION: (meta.API_VERSION, "agentrevisions"),
    ChildKind.AGENT_EVALUATION: (meta.API_VERSION, "agentevaluations"),
    ChildKind.JOB: ("batch/v1", "jobs"),
}


@dataclass(frozen=True, slots=True, order=True)
class ObjectKey:
    """Where an object is; without a name, where all of the kind are listed."""

    kind: ChildKind | TrafficKind
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class AgentIdentity:
    """Which agent: a name can come back, a UID does not."""

    namespace: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class Rollout:
    """How far a Deployment or StatefulSet is (its status, as kstatus reads it)."""

    replicas: int
    wanted: int
    updated: int
    ready: int
    observed_generation: int
    failure: str = ""
    terminating: int = 0

    def complete(self, generation: int) -> bool:
        """Whether the controller has seen this generation, all pods are ready, and none too many or old is left."""
        seen = self.observed_generation >= generation
        return seen and self.wanted == self.replicas == self.updated == self.ready


@dataclass(frozen=True, slots=True)
class Learned:
    """What a training has left, and a revision has in force.

    `by`: number of the revision that was trained, `at`: when its training ended (RFC 3339). `image`, `model` and
    `artifact` are empty where the training said nothing of them. `base_image`, `base_model`: what the spec said itself.
    `knowledge`: digest of what the handbook taught; empty where that is not known. `curricula`: what policies demanded.
    """

    by: int
    at: str
    image: str = ""
    model: Manifest | None = None
    artifact: str = ""
    base_image: str = ""
    base_model: Manifest | None = None
    knowledge: str = ""
    curricula: Curricula = ()


@dataclass(frozen=True, slots=True)
class Training:
    """The training that made a revision, or will. Times are RFC 3339; `ended` is empty while it is under way.

    `made`: its Job has been made. `order`: UID of the AgentAction by which it is trained. `base_image`, `base_model`:
    what the spec said itself when it began. `curricula`: what policies demanded then.
    """

    trigger: str
    began: str
    ended: str = ""
    made: bool = False
    order: str = ""
    base_image: str = ""
    base_model: Manifest | None = None
    curricula: Curricula = ()


@dataclass(frozen=True, slots=True)
class RevisionFacts:
    """What decisions read of an AgentRevision.

    `work` is the digest of what the agent is in it, empty before a training has made it; `handbook` the name of its
    ConfigMap, `handbook_digest` that of its content, `promotion` 0 where it never served, `order` the UID of the
    AgentAction by which it serves or is to, `instead` the digest of the work that the spec asked for then. `adopted`:
    the work was a target of somebody else's; `images` are those of its containers, `container` that whose image is the
    revision's own, empty where all were its owner's. `target`: it is no work of the agent's, but puts on record what
    the owner has made of the rest of the target. `by_owner`: the owner's edit made it. `message`: why it is Rejected.
    `overruled`: evaluations whose verdict a person has passed over, each with the UID of the order. `knowledge`: digest
    of what its handbook teaches; empty where that is not known.
    """

    number: int
    work: str
    handbook: str
    handbook_digest: str
    state: RevisionState
    promotion: int = 0
    order: str = ""
    instead: str = ""
    adopted: bool = False
    by_owner: bool = False
    images: tuple[tuple[str, str], ...] = ()
    container: str = ""
    target: str = ""
    learned: Learned | None = None
    training: Training | None = None
    message: str = ""
    overruled: tuple[tuple[str, str], ...] = ()
    aborted_by: str = ""
    knowledge: str = ""


@dataclass(frozen=True, slots=True)
class EvaluationFacts:
    """What decisions read of an AgentEvaluation; a run that is not over is read whole when it is carried on.

    `message` is kept where the phase is not Successful: what decided it, or what it waits for. `role`: the AgentRole
    that the agent is to be hired as, empty unless that is what it is for. Of reviews and bias audits: `scheduled` is
    the planned time, `completed` when the verdict was there, `groups` the extremes among the groups where it is not
    Successful; `released` is the UID of the order by which it holds up nothing, carried out at `released_at`, and
    `released_by` who gave it. Times are RFC 3339 in UTC, to the second.
    """

    revision: int
    name: str
    purpose: Purpose | None
    provider: Provider
    phase: Phase
    message: str = ""
    role: str = ""
    scheduled: str = ""
    completed: str = ""
    groups: str = ""
    released: str = ""
    released_at: str = ""
    released_by: str = ""


@dataclass(frozen=True, slots=True)
class Child:
    """A child as it was last observed; just what decisions need, since ten thousand agents have seventy thousand.

    `images` of the containers, and the digest `template` of what else their owner says of the pods, are kept of adopted
    workloads alone: those of others stand in their revision. `job` is of the Job of a training or evaluation run.
    """

    key: ObjectKey
    uid: str
    resource_version: str
    agent_uid: str
    digest: str
    generation: int = 0
    deleting: bool = False
    rules: tuple[Rule, ...] = ()
    rollout: Rollout | None = None
    claimed_by: str = ""
    images: tuple[tuple[str, str], ...] = ()
    template: str = ""
    revision: RevisionFacts | None = None
    evaluation: EvaluationFacts | None = None
    job: JobFacts | None = None


@dataclass(frozen=True, slots=True)
class Desired:
    """A child as it should be: the whole manifest, and the digest that an observed child has when it is so."""

    key: ObjectKey
    manifest: Manifest
    digest: str


def digest(value: Any) -> str:
    """SHA-256 of the canonical JSON of a value, in hex; equal values have equal digests whatever the order of keys."""
    return hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).hexdigest()
