"""The image of one container of an adopted workload, where it is the agent's work: set, kept, and given back.

It goes in by server-side apply, and stays the operator's in managedFields, so that others who set it are told of a
conflict by the API server, or are seen. What stood there before the operator first changed it is recorded on the
workload, and restored when the agent leaves or names another container.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiagent_operator.api import meta
from aiagent_operator.api.workload import OnConflict
from aiagent_operator.core.objects import AgentIdentity, Manifest
from aiagent_operator.core.targets import managed_fields
from aiagent_operator.core.targets.seen import PRIOR_IMAGE, Conflict, Patch, PatchType, name_of, notes

Image = tuple[str, str]
"""Name of a container, and its image."""


@dataclass(frozen=True, slots=True)
class Take:
    """The image may be set: `force` takes it from another manager, `prior` are annotations for the way back."""

    force: bool
    prior: Mapping[str, str]


def current(live: Mapping[str, Any], container: str) -> str | None:
    """The image of a container; None where there is no such container."""
    return next((c.get("image", "") for c in _containers(live) if c["name"] == container), None)


def with_image(template: Manifest, image: Image) -> Manifest:
    """A pod template with the image in the container of that name."""
    name, wanted = image
    containers = [each | {"image": wanted} if each["name"] == name else each for each in template["spec"]["containers"]]
    return template | {"spec": template["spec"] | {"containers": containers}}


def missing(live: Mapping[str, Any], container: str) -> str:
    """What to say of a container that is not there."""
    names = ", ".join(each["name"] for each in _containers(live))
    return (
        f"{name_of(live)} has no container {container}, named by spec.workload.container: name one of {names}, or add "
        "it to the workload"
    )


def prior(live: Mapping[str, Any]) -> Image | None:
    """Container and image that were recorded for the way back."""
    recorded = notes(live, (meta.ANNOTATION_PRIOR_IMAGE,)).get(meta.ANNOTATION_PRIOR_IMAGE, "")
    container, found, image = recorded.partition("=")
    return (container, image) if found and image else None


def take(live: Mapping[str, Any], agent: AgentIdentity, image: Image, on_conflict: OnConflict) -> Take | Conflict:
    """How the image of this container comes to be as it is wanted."""
    container, wanted = image
    now, recorded = current(live, container), notes(live, PRIOR_IMAGE)
    if now == wanted:
        return Take(force=False, prior=recorded)
    setters = managed_fields.image_setters(live, container)
    if setters and (recorded or on_conflict is OnConflict.REFUSE):
        return _conflict(live, agent, image, setters[-1].manager, taken=bool(recorded))
    if not recorded:
        recorded = {meta.ANNOTATION_PRIOR_IMAGE: f"{container}={now}"}
        if setters:
            recorded[meta.ANNOTATION_PRIOR_IMAGE_MANAGER] = setters[-1].manager
    return Take(force=bool(setters), prior=recorded)


def _conflict(live: Mapping[str, Any], agent: AgentIdentity, image: Image, manager: str, *, taken: bool) -> Conflict:
    container, wanted = image
    field = f".spec.template.spec.containers[{container}].image"
    history = " It was taken over once, and it is not taken a second time." if taken else ""
    choice = "" if taken else ", or set onConflict: TakeOver in the targetRef"
    message = (
        f'{name_of(live)}: {field} is {current(live, container)}, set by manager "{manager}"; AIAgent '
        f"{agent.namespace}/{agent.name} needs {wanted}.{history} Set it to that in the manifests of manager "
        f'"{manager}", or let that manager leave the field alone{choice}'
    )
    return Conflict(field, manager, message)


def give_back(live: Mapping[str, Any], keep: str = "") -> Patch | None:
    """The next step by which the image of any other container than the one to keep becomes its owner's again.

    First what was recorded is restored, where nobody else has set the image since, and then the ownership is given up:
    a required field that only the operator owns would otherwise go with it.
    """
    found = prior(live)
    version = live["metadata"]["resourceVersion"]
    if notes(live, PRIOR_IMAGE) and (found is None or found[0] != keep):
        body: Manifest = {"metadata": {"resourceVersion": version, "annotations": dict.fromkeys(PRIOR_IMAGE)}}
        if containers := restored(live):
            body["spec"] = {"template": {"spec": {"containers": containers}}}
        manager = notes(live, PRIOR_IMAGE).get(meta.ANNOTATION_PRIOR_IMAGE_MANAGER)
        return Patch(PatchType.MERGE, body, manager=manager or managed_fields.UNKNOWN_MANAGER)
    if managed_fields.held_images(live) - {keep}:
        return disown(live, keep)
    return None


def disown(live: Mapping[str, Any], keep: str = "") -> Patch:
    """Gives up what the operator owns in the containers, but for the image of the one to keep. No pod restarts.

    managedFields may be written (Kubernetes: "Server-Side Apply", clearing managedFields); values stay.
    """
    version = live["metadata"]["resourceVersion"]
    entries = managed_fields.without_containers(live, keep)
    return Patch(PatchType.MERGE, {"metadata": {"resourceVersion": version, "managedFields": entries}})


def restored(live: Mapping[str, Any]) -> list[Manifest] | None:
    """The containers with the recorded image put back; None where there is nothing to put back."""
    found = prior(live)
    if found is None or managed_fields.image_setters(live, found[0]) or current(live, found[0]) in (None, found[1]):
        return None
    return [each | {"image": found[1]} if each["name"] == found[0] else each for each in _containers(live)]


def _containers(live: Mapping[str, Any]) -> list[Manifest]:
    found: list[Manifest] = live["spec"]["template"]["spec"]["containers"]
    return found
