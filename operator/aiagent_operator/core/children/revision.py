"""The record of one version of an agent's work: numbered, immutable, and enough to run it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from aiagent_operator.api.agentrevision import RevisionState, Trigger
from aiagent_operator.core.children import common
from aiagent_operator.core.objects import AgentIdentity, ChildKind, Desired, Manifest, ObjectKey, RevisionFacts, digest

Images = tuple[tuple[str, str], ...]
_STATES: Mapping[str, RevisionState] = {state.value: state for state in RevisionState}


@dataclass(frozen=True, slots=True)
class Work:
    """What an agent is: the author's pod template, or the images of an adopted target, and the handbook.

    `handbook` is that ConfigMap's name, `handbook_digest` the digest of its content. Number of pods, rights and
    connections are not work: they change at once, and in place.
    """

    template: Manifest | None
    images: Images
    handbook: str
    handbook_digest: str
    model: Manifest | None = None

    @property
    def digest(self) -> str:
        """What identifies it: the same work is the same revision."""
        what = self.images if self.template is None else self.template
        return f"sha256:{digest([what, self.handbook_digest])}"


def images(pod_spec: Mapping[str, Any]) -> Images:
    """Container and image of each container, those that start first in front."""
    containers = (*(pod_spec.get("initContainers") or ()), *pod_spec["containers"])
    return tuple((container["name"], container.get("image", "")) for container in containers)


def name_of(agent: AgentIdentity, number: int) -> str:
    """Name of the revision and of its Deployment. Only one agent can have it: a number follows the last dash."""
    return f"{agent.name}-{number}"


def key_of(agent: AgentIdentity, number: int) -> ObjectKey:
    """Where the revision is."""
    return ObjectKey(ChildKind.AGENT_REVISION, agent.namespace, name_of(agent, number))


def build(
    agent: AgentIdentity, number: int, work: Work, *, trigger: Trigger, parent: int | None, permissions: str
) -> Desired:
    """The AgentRevision. `permissions` is the digest of what is granted now."""
    manifest = common.header(ChildKind.AGENT_REVISION, agent, agent.namespace, name_of(agent, number))
    handbook = {"configMap": work.handbook, "digest": work.handbook_digest}
    what: Manifest = {
        "images": [{"container": container, "image": image} for container, image in work.images],
        "handbook": handbook,
        "digest": work.digest,
    }
    if work.template is not None:
        what["template"] = orjson.dumps(work.template, option=orjson.OPT_SORT_KEYS).decode()
    if work.model:
        what["model"] = work.model
    manifest["spec"] = {
        "agentRef": {"name": agent.name, "uid": agent.uid},
        "number": number,
        "trigger": trigger.value,
        "permissions": permissions,
        "work": what,
    } | ({"parent": parent} if parent else {})
    # Not our labels' digest: a refusal is about this work, and other work under the same number is worth another try.
    return common.desired(manifest, work.digest)


def owned(live: Mapping[str, Any]) -> str:
    """Digest of our labels: the rest is immutable."""
    return common.owned_digest(live)


def template(live: Mapping[str, Any]) -> Manifest:
    """The pod template of a revision, from the whole object. Raises KeyError for that of a target."""
    found: Manifest = orjson.loads(live["spec"]["work"]["template"])
    return found


def facts(live: Mapping[str, Any]) -> RevisionFacts:
    """What decisions read of it. A state of a newer version counts as Superseded: it is kept, and not rolled out."""
    spec, status = live["spec"], live.get("status") or {}
    order = status.get("order") or {}
    state = status.get("state", RevisionState.CANDIDATE.value)
    return RevisionFacts(
        number=spec["number"],
        work=spec["work"]["digest"],
        handbook=spec["work"]["handbook"]["configMap"],
        handbook_digest=spec["work"]["handbook"]["digest"],
        state=_STATES.get(state, RevisionState.SUPERSEDED),
        promotion=status.get("promotion", 0),
        order=order.get("uid", ""),
        instead=order.get("insteadOf", ""),
        adopted="template" not in spec["work"],
    )
