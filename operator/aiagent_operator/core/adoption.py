"""Adoption of a Deployment or StatefulSet that somebody else owns: what is put in, and when it is not.

All goes in by server-side apply, so that the API server keeps apart what is the operator's and what is the owner's.
The way back and suspension are in release.py, and offered here too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiagent_operator.api import meta
from aiagent_operator.api.workload import OnConflict
from aiagent_operator.core import managed_fields
from aiagent_operator.core.injection import Injection, agent_containers
from aiagent_operator.core.objects import AgentIdentity, Manifest, digest
from aiagent_operator.core.release import release, scale, scale_conflict
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
    "Adoption", "Apply", "Claimed", "Conflict", "Converged", "Patch", "PatchType", "claim", "conflict_message",
    "desired_digest", "is_template_made", "owned", "plan", "release", "scale", "scale_conflict",
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


Adoption = Converged | Claimed | Conflict | Apply


def desired_digest(agent: AgentIdentity, injection: Injection) -> str:
    """What `owned` of a target is that has all that the agent needs."""
    labels = meta.child_labels(agent.name, agent.namespace, agent.uid)
    accounts = (injection.account, injection.account)
    return _digest(
        (labels, injection.labels),
        agent.uid,
        accounts,
        injection.volumes,
        [_own_mounts({"volumeMounts": injection.mounts})],
    )


def owned(live: Mapping[str, Any]) -> str:
    """Digest of all that adoption puts into a target, whoever put it there.

    The mounts are taken as the set of lists that occur, so that neither the names nor the number of containers matter.
    """
    metadata, template = live["metadata"], live["spec"]["template"]
    spec = template["spec"]
    mounts = [_own_mounts(container) for _, container in agent_containers(spec)]
    return _digest(
        (metadata.get("labels") or {}, (template.get("metadata") or {}).get("labels") or {}),
        claim(live),
        (spec.get("serviceAccountName"), spec.get("serviceAccount")),
        [volume for volume in spec.get("volumes") or () if is_ours(volume)],
        [own for index, own in enumerate(mounts) if own not in mounts[:index]],
    )


def _digest(
    labels: tuple[Mapping[str, str], Mapping[str, str]],
    claimed_by: str,
    accounts: tuple[str | None, str | None],
    volumes: Any,
    mounts: list[list[Manifest]],
) -> str:
    return digest(
        [
            [[some.get(label) for label in LABELS] for some in labels],
            claimed_by,
            accounts,
            sorted(volumes, key=lambda volume: str(volume["name"])),
            mounts,
        ]
    )


def _own_mounts(container: Mapping[str, Any]) -> list[Manifest]:
    mounts = [mount for mount in container.get("volumeMounts") or () if is_ours(mount)]
    return sorted(mounts, key=lambda mount: str(mount["mountPath"]))


def plan(live: Mapping[str, Any], agent: AgentIdentity, injection: Injection, on_conflict: OnConflict) -> Adoption:
    """What to do about the target. Only Apply writes; the others stay until the target or the agent changes."""
    if claimed := _claimed(live, agent):
        return claimed
    if owned(live) == desired_digest(agent, injection):
        return Converged()
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
    for field, container in agent_containers(live["spec"]["template"]["spec"]):
        for mount in container.get("volumeMounts") or ():
            if mount["mountPath"] in paths and not is_ours(mount):
                where = f".spec.template.spec.{field}[{container['name']}].volumeMounts[{mount['mountPath']}]"
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
    labels = meta.child_labels(agent.name, agent.namespace, agent.uid)
    spec: Manifest = {
        # The alias too: the API server keeps both alike, and a field that is not applied is not owned.
        "serviceAccountName": injection.account,
        "serviceAccount": injection.account,
        "volumes": list(injection.volumes),
    }
    for field, container in agent_containers(live["spec"]["template"]["spec"]):
        spec.setdefault(field, []).append({"name": container["name"], "volumeMounts": list(injection.mounts)})
    return {
        "apiVersion": live["apiVersion"],
        "kind": live["kind"],
        "metadata": head(live) | {"labels": labels, "annotations": {meta.ANNOTATION_CLAIMED_BY: agent.uid, **prior}},
        "spec": {"template": {"metadata": {"labels": dict(injection.labels)}, "spec": spec}},
    }


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
