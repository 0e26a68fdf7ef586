"""Adoption of a Deployment or StatefulSet that somebody else owns: what is put in, and when it is not.

All goes in by server-side apply, so that the API server keeps apart what is the operator's and what is the owner's.
Then the operator disowns what it has put into the containers: an item of a list stays in the object as long as anybody
owns a part of it, so that an owner who applies the list without a container would be left with one that has no image,
and be refused (422). What nobody owns stays where it is, and goes with its container.
What a target has of it is in contents.py, the way back and suspension are in release.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from aiagent_operator.api import meta
from aiagent_operator.api.workload import OnConflict
from aiagent_operator.core.injection import Injection
from aiagent_operator.core.objects import AgentIdentity, Manifest
from aiagent_operator.core.targets import contents, managed_fields, partition, target_image
from aiagent_operator.core.targets.seen import (
    PRIOR_ACCOUNT,
    PRIOR_IMAGE,
    Conflict,
    Patch,
    PatchType,
    claim,
    head,
    is_ours,
    is_template_made,
    mounts_of,
    name_of,
    notes,
    own_mounts,
    own_volumes,
)
from aiagent_operator.core.targets.target_image import Image, Take

__all__ = [
    "Adoption", "Apply", "Claimed", "Conflict", "Converged", "Disown", "NoContainer", "Patch", "PatchType", "claim",
    "is_ours", "plan",
]  # fmt: skip

ACCOUNT_FIELD: Final = ".spec.template.spec.serviceAccountName"
_ACCOUNT_PATH: Final = ("spec", "template", "spec", "serviceAccountName")
# kubectl apply leaves the old value under the alias when only the name is taken out of a manifest.
_CLEAR_ACCOUNT: Final = '{"spec":{"template":{"spec":{"serviceAccountName":null,"serviceAccount":null}}}}'


@dataclass(frozen=True, slots=True)
class Converged:
    """The target has all it should have."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """Another agent has the target. `uid` is that agent's, `by` its namespace and name."""

    by: str
    uid: str
    message: str


@dataclass(frozen=True, slots=True)
class Apply:
    """Write this. A 409 answer goes to `disputes.conflict_message`."""

    body: Manifest
    force: bool

    @property
    def patch(self) -> Patch:
        """The request."""
        return Patch(PatchType.APPLY, self.body, force=self.force)


@dataclass(frozen=True, slots=True)
class Disown:
    """What is in the containers is to become the owner's again: the image of one that is not the agent's any more, or,
    when all else is in place, the ownership of what was put in, by which no pod restarts."""

    patch: Patch


@dataclass(frozen=True, slots=True)
class NoContainer:
    """The target has no container of the name whose image is the agent's work."""

    message: str


Adoption = Converged | Claimed | Conflict | NoContainer | Apply | Disown


def plan(
    live: Mapping[str, Any],
    agent: AgentIdentity,
    injection: Injection,
    on_conflict: OnConflict,
    image: Image | None = None,
    *,
    staged: int | None = None,
) -> Adoption:
    """What to do about the target. Apply and Disown write; the others stay until the target or the agent changes.

    `image` is that of the container whose image is the agent's work; None leaves all of them to their owner. `staged`:
    the partition of a StatefulSet while a revision takes over in it; None leaves that to its owner.
    """
    if claimed := _claimed(live, agent):
        return claimed
    container = image[0] if image else ""
    if image and target_image.current(live, container) is None:
        return NoContainer(target_image.missing(live, container))
    if back := target_image.give_back(live, container):
        return Disown(back)
    if (
        contents.present(live) == contents.wanted(agent, injection)
        and _has(live, image)
        and partition.held(live) == staged
    ):
        more = managed_fields.holds_containers(live)
        return Disown(target_image.disown(live, container)) if more else Converged()
    return _collision(live, injection) or _put_in(live, agent, injection, on_conflict, image, staged)


def _has(live: Mapping[str, Any], image: Image | None) -> bool:
    """Whether the image is as it is wanted, and the operator's."""
    if image is None:
        return True
    return target_image.current(live, image[0]) == image[1] and image[0] in managed_fields.held_images(live)


def _put_in(  # noqa: PLR0917 - what goes in, each thing of its own type
    live: Mapping[str, Any],
    agent: AgentIdentity,
    injection: Injection,
    on_conflict: OnConflict,
    image: Image | None,
    staged: int | None,
) -> Conflict | Apply:
    taken = target_image.take(live, agent, image, on_conflict) if image else Take(force=False, prior={})
    if isinstance(taken, Conflict):
        return taken
    # It is taken over with the work, and not a second time: then all pods would have the work already.
    begun = contents.present(live) == contents.wanted(agent, injection) and _has(live, image)
    may = on_conflict is OnConflict.TAKE_OVER and not begun
    if contested := partition.conflict(live, agent, staged, force=may):
        return contested
    taken = replace(taken, force=taken.force or (staged is not None and partition.contested(live)))
    account = live["spec"]["template"]["spec"].get("serviceAccountName") or ""
    prior = notes(live, PRIOR_ACCOUNT)
    # A field that only the operator holds is its own, from an agent that is no more.
    setters = managed_fields.others(live, *_ACCOUNT_PATH)
    ours = not setters and bool(managed_fields.owners(live, *_ACCOUNT_PATH))
    if account in ("", injection.account) or ours:
        kept = prior if account == injection.account else {}
        return Apply(_body(live, agent, injection, kept, taken, image, staged), force=taken.force)
    manager = setters[-1].manager if setters else ""
    if on_conflict is OnConflict.REFUSE or prior:
        return _account_conflict(live, agent, account, manager)
    prior = {meta.ANNOTATION_PRIOR_ACCOUNT: account}
    if manager:
        prior[meta.ANNOTATION_PRIOR_MANAGER] = manager
    return Apply(_body(live, agent, injection, prior, taken, image, staged), force=True)


def _claimed(live: Mapping[str, Any], agent: AgentIdentity) -> Claimed | None:
    labels = live["metadata"].get("labels") or {}
    holder = claim(live) or labels.get(meta.LABEL_AGENT_UID, "")
    named = meta.LABEL_AGENT in labels and meta.LABEL_AGENT_NAMESPACE in labels
    by = f"{labels[meta.LABEL_AGENT_NAMESPACE]}/{labels[meta.LABEL_AGENT]}" if named else f"with UID {holder}"
    if is_template_made(live):
        message = f"{name_of(live)} is made from the template of AIAgent {by}: name another workload in targetRef."
        return Claimed(by, holder, message)
    if holder in ("", agent.uid):
        return None
    message = (
        f"{name_of(live)} belongs to AIAgent {by}: name another workload in targetRef, or take this one out of "
        f"that agent's spec. If that agent no longer exists, remove annotation {meta.ANNOTATION_CLAIMED_BY} and label "
        f"{meta.LABEL_AGENT_UID} from the workload."
    )
    return Claimed(by, holder, message)


def _collision(live: Mapping[str, Any], injection: Injection) -> Conflict | None:
    """A mount of the owner's where one of ours belongs. It is never taken: there would be no way back."""
    paths = {mount["mountPath"] for mount in injection.mounts}
    for container in live["spec"]["template"]["spec"]["containers"]:
        for mount in container.get("volumeMounts") or ():
            if mount["mountPath"] in paths and not is_ours(mount):
                where = f".spec.template.spec.containers[{container['name']}].volumeMounts[{mount['mountPath']}]"
                return Conflict(
                    where,
                    "",
                    f"{name_of(live)} mounts volume {mount['name']} at {mount['mountPath']} in container "
                    f"{container['name']}, where the agent's own files belong: mount it elsewhere.",
                )
    return None


def _account_conflict(live: Mapping[str, Any], agent: AgentIdentity, account: str, manager: str) -> Conflict:
    taken = bool(notes(live, PRIOR_ACCOUNT))
    who = f'manager "{manager}"' if manager else "a manager that is not known"
    history = " It was taken over once and has been set back, and it is not taken a second time." if taken else ""
    choice = "" if taken else ", or set onConflict: TakeOver in the targetRef"
    kind = str(live["kind"]).lower()
    message = (
        f"{name_of(live)}: {ACCOUNT_FIELD} is {account}, set by {who}; AIAgent {agent.namespace}/{agent.name} needs "
        f"{meta.account_name(agent.name)}.{history} Take serviceAccountName out of the manifests of {who}{choice}. "
        f"Where the value stays after that, clear it: kubectl -n {agent.namespace} patch {kind} "
        f"{live['metadata']['name']} --type=merge -p '{_CLEAR_ACCOUNT}'"
    )
    return Conflict(ACCOUNT_FIELD, manager, message)


def _body(  # noqa: PLR0917 - what goes in, each thing of its own type
    live: Mapping[str, Any],
    agent: AgentIdentity,
    injection: Injection,
    prior: Mapping[str, str],
    taken: Take,
    image: Image | None,
    staged: int | None,
) -> Manifest:
    """What is applied. Mounts to be removed must be owned to go: where they are disowned, they are first taken back,
    as they are, and volumes, image and partition with them; the next step is then made from that."""
    taking_back = bool(_leftover(live, injection) - managed_fields.held_mounts(live))
    of_image = taken.prior
    if taking_back:
        held = image[0] if image and image[0] in managed_fields.held_images(live) else ""
        image = (held, target_image.current(live, held) or "") if held else None
        of_image, staged = notes(live, PRIOR_IMAGE), partition.held(live)
    spec: Manifest = {
        # The alias too: the API server keeps both alike, and a field that is not applied is not owned.
        "serviceAccountName": injection.account,
        "serviceAccount": injection.account,
        "volumes": own_volumes(live) if taking_back else list(injection.volumes),
        "containers": [
            {"name": container["name"], "volumeMounts": mounts_of(container) if taking_back else injection.mounts}
            | ({"image": image[1]} if image and image[0] == container["name"] else {})
            for container in live["spec"]["template"]["spec"]["containers"]
        ],
    }
    metadata = {
        "labels": meta.child_labels(agent.name, agent.namespace, agent.uid),
        "annotations": {meta.ANNOTATION_CLAIMED_BY: agent.uid, **prior, **of_image},
    }
    return {
        "apiVersion": live["apiVersion"],
        "kind": live["kind"],
        "metadata": head(live) | metadata,
        "spec": {"template": {"metadata": {"labels": dict(injection.labels)}, "spec": spec}}
        | partition.applied(staged),
    }


def _leftover(live: Mapping[str, Any], injection: Injection) -> set[tuple[str, str]]:
    """Container and path of our mounts that are no longer wanted."""
    wanted = {mount["mountPath"] for mount in injection.mounts}
    return {
        (container["name"], mount["mountPath"])
        for container in live["spec"]["template"]["spec"]["containers"]
        for mount in own_mounts(container)
        if mount["mountPath"] not in wanted
    }
