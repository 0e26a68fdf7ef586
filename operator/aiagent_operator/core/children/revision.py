"""The record of one version of an agent's work: numbered, immutable, and enough to run it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import orjson

from aiagent_operator.api.agentrevision import TRAININGS, RevisionState, Trigger
from aiagent_operator.core.children import common
from aiagent_operator.core.objects import (
    AgentIdentity,
    ChildKind,
    Curricula,
    Desired,
    Learned,
    Manifest,
    ObjectKey,
    RevisionFacts,
    Training,
    digest,
)

Images = tuple[tuple[str, str], ...]
_STATES: Mapping[str, RevisionState] = {state.value: state for state in RevisionState}
_TRAININGS = frozenset(trigger.value for trigger in TRAININGS)
_LONGEST = 512


@dataclass(frozen=True)
class Work:
    """What an agent is: the author's pod template, or images of an adopted target, and the handbook.

    Of a target whose `container` the spec names, the image of that one; else all, which are their owner's. `target`
    identifies what its owner has made of the rest, in a record of that.

    `handbook` is that ConfigMap's name, `handbook_digest` the digest of its content, `knowledge` that of what it
    teaches. Number of pods, rights and connections are not work: they change at once, and in place.
    """

    template: Manifest | None
    images: Images
    handbook: str
    handbook_digest: str
    model: Manifest | None = None
    knowledge: str = ""
    container: str = ""
    target: str = ""

    @cached_property
    def digest(self) -> str:
        """What identifies it: the same work is the same revision. Over the whole template, and asked often: once."""
        what = self.images if self.template is None else self.template
        return f"sha256:{digest([what, self.handbook_digest])}"

    def to_wire(self) -> Manifest:
        """As a revision holds it; the template beside it."""
        handbook = {"configMap": self.handbook, "digest": self.handbook_digest}
        images = [{"container": container, "image": image} for container, image in self.images]
        said = _said(container=self.container, target=self.target, knowledge=self.knowledge)
        return {"images": images, "handbook": handbook, "digest": self.digest, **said}


def canonical(template: Manifest) -> str:
    """The template as a revision holds it: one text, since the API server's rules cannot see into open fields."""
    return orjson.dumps(template, option=orjson.OPT_SORT_KEYS).decode()


def with_image(template: Manifest, image: str) -> Manifest:
    """The template with the image in its first container, which is the agent's; as it is where there is no image."""
    if not image:
        return template
    first, *others = template["spec"]["containers"]
    return template | {"spec": template["spec"] | {"containers": [first | {"image": image}, *others]}}


def first_image(template: Mapping[str, Any]) -> str:
    """The image of the first container: the one that a training may replace."""
    found: str = template["spec"]["containers"][0].get("image", "")
    return found


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


@dataclass(frozen=True, slots=True)
class Origin:
    """How a revision came about. `permissions` is the digest of what is granted now, `parent` the one that serves.

    `learned` is what earlier trainings have left; `base_image` and `base_model` what the spec says itself, for a
    training. `order` is the AgentAction (name, UID) by which it is trained, `curricula` what policies demand of that.
    """

    trigger: Trigger
    permissions: str
    parent: int | None = None
    learned: Learned | None = None
    base_image: str = ""
    base_model: Manifest | None = None
    order: tuple[str, str] | None = None
    curricula: Curricula = ()


def build(agent: AgentIdentity, number: int, work: Work, origin: Origin) -> Desired:
    """The AgentRevision."""
    manifest = common.header(ChildKind.AGENT_REVISION, agent, agent.namespace, name_of(agent, number))
    what = work.to_wire()
    if work.template is not None:
        what["template"] = canonical(work.template)
    if work.model:
        what["model"] = work.model
    manifest["spec"] = {
        "agentRef": {"name": agent.name, "uid": agent.uid},
        "number": number,
        "trigger": origin.trigger.value,
        "permissions": origin.permissions,
        "work": what,
        **_said(parent=origin.parent, learned=_learned(origin.learned), curricula=_wire(origin.curricula)),
    }
    if origin.trigger in TRAININGS or origin.learned:
        manifest["spec"]["base"] = _said(image=origin.base_image, model=origin.base_model)
    if origin.order:
        manifest["spec"]["order"] = {"name": origin.order[0], "uid": origin.order[1]}
    # Not our labels' digest: a refusal is about this work, and other work under the same number is worth another try.
    return common.desired(manifest, work.digest)


def _said(**fields: Any) -> Manifest:
    """Those of the fields that say something."""
    return {name: value for name, value in fields.items() if value}


def _learned(learned: Learned | None) -> Manifest | None:
    if learned is None:
        return None
    what = _said(
        image=learned.image,
        model=learned.model,
        artifact=learned.artifact,
        knowledge=learned.knowledge,
        curricula=_wire(learned.curricula),
    )
    return {"revision": learned.by, "time": learned.at} | what


def _wire(curricula: Curricula) -> list[Manifest]:
    return [{"policy": policy, "version": version} for policy, version in curricula]


def _curricula(wire: Mapping[str, Any]) -> Curricula:
    return tuple(sorted((each["policy"], each["version"]) for each in wire.get("curricula") or ()))


def owned(live: Mapping[str, Any]) -> str:
    """Digest of our labels: the rest is immutable."""
    return common.owned_digest(live)


def template(live: Mapping[str, Any]) -> Manifest:
    """The pod template of a revision, from the whole object. Raises KeyError for that of a target."""
    trained = ((live.get("status") or {}).get("work") or {}).get("template")
    found: Manifest = orjson.loads(trained or live["spec"]["work"]["template"])
    return found


def facts(live: Mapping[str, Any]) -> RevisionFacts:
    """What decisions read of it. A state of a newer version counts as Superseded: it is kept, and not rolled out."""
    spec, status = live["spec"], live.get("status") or {}
    order = status.get("order") or {}
    state = _STATES.get(status.get("state", RevisionState.CANDIDATE.value), RevisionState.SUPERSEDED)
    training = _training(live) if spec["trigger"] in _TRAININGS else None
    work = spec["work"] if training is None else status.get("work") or {}
    if training and not work and state is RevisionState.CANDIDATE:
        state = RevisionState.TRAINING
    book, adopted = (work or spec["work"])["handbook"], "template" not in spec["work"]
    return RevisionFacts(
        number=spec["number"],
        work=work.get("digest", ""),
        handbook=book["configMap"],
        handbook_digest=book["digest"],
        state=state,
        promotion=status.get("promotion", 0),
        order=order.get("uid", ""),
        instead=order.get("insteadOf", ""),
        adopted=adopted,
        images=tuple((each["container"], each["image"]) for each in work.get("images") or ()) if adopted else (),
        container=work.get("container", "") if adopted else "",
        target=work.get("target", "") if adopted else "",
        by_owner=spec["trigger"] == Trigger.TARGET_CHANGED.value,
        learned=_has_learned(spec, status),
        training=training,
        message=status.get("message", "")[:_LONGEST] if state is RevisionState.REJECTED else "",
        aborted_by=status.get("abortedBy") or "",
        overruled=tuple((each["evaluation"], each["order"]) for each in status.get("overruled") or ()),
        knowledge=(work or spec["work"]).get("knowledge", ""),
    )


def _training(live: Mapping[str, Any]) -> Training:
    spec, status = live["spec"], live.get("status") or {}
    base = spec.get("base") or {}
    return Training(
        trigger=spec["trigger"],
        began=live["metadata"].get("creationTimestamp", ""),
        ended=status.get("completionTime", ""),
        made=status.get("state") == RevisionState.TRAINING.value,
        order=(spec.get("order") or {}).get("uid", ""),
        base_image=base.get("image", ""),
        base_model=base.get("model"),
        curricula=_curricula(spec),
    )


def _has_learned(spec: Mapping[str, Any], status: Mapping[str, Any]) -> Learned | None:
    """What is in force in the revision: of its own training where that has ended well, of earlier ones beneath it."""
    before, result, base = spec.get("learned") or {}, status.get("result") or {}, spec.get("base") or {}
    if not before and not result:
        return None
    what = {**before, **result}
    # A training has learned from what it began with, whatever the handbook has become meanwhile.
    taught = {"knowledge": spec["work"].get("knowledge"), "curricula": spec.get("curricula")} if result else before
    return Learned(
        by=spec["number"] if result else before["revision"],
        at=status.get("completionTime", "") if result else before["time"],
        image=what.get("image", ""),
        model=what.get("model"),
        artifact=what.get("artifact", ""),
        base_image=base.get("image", ""),
        base_model=base.get("model"),
        knowledge=taught.get("knowledge") or "",
        curricula=_curricula(taught),
    )
