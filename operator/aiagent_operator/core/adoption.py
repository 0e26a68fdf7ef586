"""Adoption of a Deployment or StatefulSet that somebody else owns: what is put in, and when it is not.

All goes in by server-side apply, so that the API server keeps apart what is the operator's and what is the owner's.
Then the operator disowns what it has put into the containers: an item of a list stays in the object as long as anybody
owns a part of it, so that an owner who applies the list without a container would be left with one that has no image,
and be refused (422). What nobody owns stays where it is, and goes with its container.
The way back and suspension are in release.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiagent_operator.api import meta
from aiagent_operator.api.workload import OnConflict
from aiagent_operator.core import managed_fields
from aiagent_operator.core.injection import Injection
from aiagent_operator.core.objects import AgentIdentity, Manifest, digest
from aiagent_operator.core.targets import (
    LABELS,
    PRIOR,
    Conflict,
    Patch,
    PatchType,
    claim,
    head,
    is_ours,
    is_template_made,
    name_of,
)

__all__ = [
    "Adoption", "Apply", "Claimed", "Conflict", "Converged", "Disown", "Patch", "PatchType", "claim",
    "conflict_message", "desired_digest", "is_ours", "owned", "plan",
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
    """Write this. A 409 answer goes to `conflict_message`."""

    body: Manifest
    force: bool

    @property
    def patch(self) -> Patch:
        """The request."""
        return Patch(PatchType.APPLY, self.body, force=self.force)


@dataclass(frozen=True, slots=True)
class Disown:
    """All is in place; what remains is to give up the ownership of what is in the containers. No pod restarts."""

    patch: Patch


Adoption = Converged | Claimed | Conflict | Apply | Disown


def desired_digest(agent: AgentIdentity, injection: Injection) -> str:
    """What `owned` of a target is that has all that the agent needs."""
    return digest([_wanted(agent, injection), False])


def owned(live: Mapping[str, Any]) -> str:
    """Digest of all that adoption puts into a target, whoever put it there, with the containers disowned or not."""
    return digest([_present(live), managed_fields.holds_containers(live)])


def _wanted(agent: AgentIdentity, injection: Injection) -> list[Any]:
    labels = meta.child_labels(agent.name, agent.namespace, agent.uid)
    mounts = _own_mounts({"volumeMounts": injection.mounts})
    return _comparable((labels, injection.labels), agent.uid, (injection.account,) * 2, injection.volumes, [mounts])


def _present(live: Mapping[str, Any]) -> list[Any]:
    """The mounts are taken as the set of lists that occur, so that names and number of the containers do not matter."""
    metadata, template = live["metadata"], live["spec"]["template"]
    spec = template["spec"]
    mounts = [_own_mounts(container) for container in spec["containers"]]
    return _comparable(
        (metadata.get("labels") or {}, (template.get("metadata") or {}).get("labels") or {}),
        claim(live),
        (spec.get("serviceAccountName"), spec.get("serviceAccount")),
        _own_volumes(live),
        [own for index, own in enumerate(mounts) if own not in mounts[:index]],
    )


def _comparable(
    labels: tuple[Mapping[str, str], Mapping[str, str]],
    claimed_by: str,
    accounts: tuple[str | None, ...],
    volumes: Iterable[Manifest],
    mounts: list[list[Manifest]],
) -> list[Any]:
    return [
        [[some.get(label) for label in LABELS] for some in labels],
        claimed_by,
        list(accounts),
        sorted(volumes, key=lambda volume: str(volume["name"])),
        mounts,
    ]


def _own_volumes(live: Mapping[str, Any]) -> list[Manifest]:
    return [volume for volume in live["spec"]["template"]["spec"].get("volumes") or () if is_ours(volume)]


def _own_mounts(container: Mapping[str, Any]) -> list[Manifest]:
    return sorted(_in_place(container), key=lambda mount: str(mount["mountPath"]))


def _in_place(container: Mapping[str, Any]) -> list[Manifest]:
    """Our mounts in the order in which they stand: to apply them in another one would restart the pods."""
    return [mount for mount in container.get("volumeMounts") or () if is_ours(mount)]


def plan(live: Mapping[str, Any], agent: AgentIdentity, injection: Injection, on_conflict: OnConflict) -> Adoption:
    """What to do about the target. Apply and Disown write; the others stay until the target or the agent changes."""
    if claimed := _claimed(live, agent):
        return claimed
    if _present(live) == _wanted(agent, injection):
        return Disown(_disowning(live)) if managed_fields.holds_containers(live) else Converged()
    if collision := _collision(live, injection):
        return collision
    account = live["spec"]["template"]["spec"].get("serviceAccountName") or ""
    prior = _prior(live) if account == injection.account else {}
    # A field that only the operator holds is its own, from an agent that is no more.
    setters = managed_fields.others(live, *_ACCOUNT_PATH)
    ours = not setters and bool(managed_fields.owners(live, *_ACCOUNT_PATH))
    if account in ("", injection.account) or ours:
        return Apply(_body(live, agent, injection, prior), force=False)
    manager = setters[-1].manager if setters else ""
    if on_conflict is OnConflict.REFUSE or _prior(live):
        return _account_conflict(live, agent, account, manager)
    prior = {meta.ANNOTATION_PRIOR_ACCOUNT: account}
    if manager:
        prior[meta.ANNOTATION_PRIOR_MANAGER] = manager
    return Apply(_body(live, agent, injection, prior), force=True)


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
    taken = bool(_prior(live))
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


def _prior(live: Mapping[str, Any]) -> dict[str, str]:
    annotations = live["metadata"].get("annotations") or {}
    return {name: annotations[name] for name in PRIOR if name in annotations}


def _body(live: Mapping[str, Any], agent: AgentIdentity, injection: Injection, prior: Mapping[str, str]) -> Manifest:
    """What is applied. Mounts to be removed must be owned to go: where they are disowned, they are first taken back,
    as they are, and the volumes with them; the next step is then made from that."""
    taking_back = bool(_leftover(live, injection) - managed_fields.held_mounts(live))
    spec: Manifest = {
        # The alias too: the API server keeps both alike, and a field that is not applied is not owned.
        "serviceAccountName": injection.account,
        "serviceAccount": injection.account,
        "volumes": _own_volumes(live) if taking_back else list(injection.volumes),
        "containers": [
            {"name": container["name"], "volumeMounts": _in_place(container) if taking_back else injection.mounts}
            for container in live["spec"]["template"]["spec"]["containers"]
        ],
    }
    metadata = {
        "labels": meta.child_labels(agent.name, agent.namespace, agent.uid),
        "annotations": {meta.ANNOTATION_CLAIMED_BY: agent.uid, **prior},
    }
    return {
        "apiVersion": live["apiVersion"],
        "kind": live["kind"],
        "metadata": head(live) | metadata,
        "spec": {"template": {"metadata": {"labels": dict(injection.labels)}, "spec": spec}},
    }


def _leftover(live: Mapping[str, Any], injection: Injection) -> set[tuple[str, str]]:
    """Container and path of our mounts that are no longer wanted."""
    wanted = {mount["mountPath"] for mount in injection.mounts}
    return {
        (container["name"], mount["mountPath"])
        for container in live["spec"]["template"]["spec"]["containers"]
        for mount in _own_mounts(container)
        if mount["mountPath"] not in wanted
    }


def _disowning(live: Mapping[str, Any]) -> Patch:
    """managedFields may be written (Kubernetes: "Server-Side Apply", clearing managedFields); values stay."""
    version = live["metadata"]["resourceVersion"]
    entries = managed_fields.without_containers(live)
    return Patch(PatchType.MERGE, {"metadata": {"resourceVersion": version, "managedFields": entries}})


def conflict_message(error: Mapping[str, Any], target: Mapping[str, Any]) -> Conflict | None:
    """The conflict that a 409 answer to an Apply reports. `error` is the answer, `target` what was applied.

    None when no field is in dispute: the target has changed since it was looked at, so look again.
    """
    found = list(_conflicts(error))
    if not found:
        return None
    fields = sorted({field for field, _ in found})
    managers = sorted({manager for _, manager in found})
    named = ", ".join(f'"{manager}"' for manager in managers)
    message = (
        f"{name_of(target)}: {', '.join(fields)} set by {named}: take these fields out of the manifests of "
        "that manager, or set onConflict: TakeOver in the targetRef"
    )
    return Conflict(", ".join(fields), ", ".join(managers), message)


def _conflicts(error: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for cause in (error.get("details") or {}).get("causes") or ():
        if cause.get("reason") == "FieldManagerConflict":
            # The text is: conflict with "manager" [with subresource "x"] using apps/v1 [at time]
            parts = str(cause.get("message", "")).split('"')
            yield str(cause.get("field", "")), parts[1] if len(parts) > 2 else "a manager that is not known"
