"""Giving an adopted workload back to its owner, and scaling it while its agent is suspended."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from aiagent_operator.api import meta
from aiagent_operator.core.objects import AgentIdentity, Manifest
from aiagent_operator.core.targets import managed_fields, partition, target_image
from aiagent_operator.core.targets.seen import (
    LABELS,
    POD_LABELS,
    PRIOR_ACCOUNT,
    PRIOR_IMAGE,
    Conflict,
    Patch,
    PatchType,
    claim,
    head,
    is_ours,
    name_of,
    pod_labels,
)

_REPLICAS_FIELD: Final = ".spec.replicas"
# Number, and the manager that had set it: "3 argocd-controller".
_PRIOR_REPLICAS: Final = re.compile(r"(\d{1,9})(?: (.+))?")


def release(live: Mapping[str, Any], agent: AgentIdentity) -> tuple[Patch, ...]:
    """The next step on the way back; empty when nothing of the agent is left. Ask again with what the step returned.

    Each step stands alone, so a crash between two costs nothing:
    1. the pod template gets back its account and image and loses labels, volumes and mounts, all in one rollout, which
       no partition of ours holds up;
    2. replicas taken by a suspension come back, now to pods without the agent's account;
    3. the ownership of an image is given up, which would go with it;
    4. what is applied is withdrawn, and with it the labels, the claim and the entry in managedFields;
    5. labels or a claim that somebody else has come to own as well are removed.
    Labels and claim last that long so that the target is still found as the agent's after a crash.
    """
    # A label that contradicts the claim was put there by a stranger: the claim's holder keeps the target.
    disputed = claim(live) not in ("", agent.uid)
    whole = (_template_step, _replicas_step, _image_step, _withdraw_step, _metadata_step)
    for step in (_label_step,) if disputed else whole:
        if patch := step(live, agent):
            return (patch,)
    return ()


def _template_step(live: Mapping[str, Any], agent: AgentIdentity) -> Patch | None:
    template = live["spec"]["template"]
    annotations = live["metadata"].get("annotations") or {}
    found = pod_labels(live)
    labels = _null({label: found.get(label) for label in POD_LABELS})
    spec = _without_ours(template["spec"], target_image.restored(live))
    if template["spec"].get("serviceAccountName") == meta.account_name(agent.name):
        prior = _prior_account(annotations)
        spec |= {"serviceAccountName": prior, "serviceAccount": prior}
    recorded = _null({name: annotations.get(name) for name in (*PRIOR_ACCOUNT, *PRIOR_IMAGE)})
    if not (labels or spec or recorded):
        return None
    metadata = {"resourceVersion": live["metadata"]["resourceVersion"], "annotations": recorded}
    body: Manifest = {"metadata": metadata, "spec": {"template": {"metadata": {"labels": labels}, "spec": spec}}}
    if partition.held(live):
        body["spec"] |= partition.applied(0)
    # In the name of the manager that had set what comes back, so that it owns the field again.
    before = (annotations.get(name) for name in (meta.ANNOTATION_PRIOR_MANAGER, meta.ANNOTATION_PRIOR_IMAGE_MANAGER))
    return Patch(PatchType.MERGE, body, manager=next(filter(None, before), managed_fields.UNKNOWN_MANAGER))


def _prior_account(annotations: Mapping[str, str]) -> str | None:
    """The account that was recorded; None, which is the namespace's default, where there was none.

    An agent's account was never there before: whoever annotates the workload so wants it to run as that agent.
    """
    recorded = annotations.get(meta.ANNOTATION_PRIOR_ACCOUNT)
    return None if recorded is None or recorded.startswith(meta.ACCOUNT_PREFIX) else recorded


def _own_labels(metadata: Mapping[str, Any]) -> dict[str, None]:
    """A merge patch that removes our labels."""
    return _null({label: (metadata.get("labels") or {}).get(label) for label in LABELS})


def _null(found: Mapping[str, str | None]) -> dict[str, None]:
    """A merge patch that removes what was found."""
    return {name: None for name, value in found.items() if value is not None}


def _without_ours(pod_spec: Mapping[str, Any], restored: list[Manifest] | None) -> Manifest:
    """The lists of the pod spec that hold something of ours, without it; `restored` are containers with an image of
    before."""
    spec: Manifest = {}
    volumes = pod_spec.get("volumes") or []
    if any(map(is_ours, volumes)):
        spec["volumes"] = [volume for volume in volumes if not is_ours(volume)] or None
    containers = restored or pod_spec["containers"]
    if restored or any(is_ours(mount) for container in containers for mount in container.get("volumeMounts") or ()):
        spec["containers"] = [_unmounted(container) for container in containers]
    return spec


def _unmounted(container: Manifest) -> Manifest:
    kept = [mount for mount in container.get("volumeMounts") or () if not is_ours(mount)]
    rest = {name: value for name, value in container.items() if name != "volumeMounts"}
    return rest | ({"volumeMounts": kept} if kept else {})


def _replicas_step(live: Mapping[str, Any], _: AgentIdentity) -> Patch | None:
    return scale(live, suspended=False)


def _image_step(live: Mapping[str, Any], _: AgentIdentity) -> Patch | None:
    return target_image.give_back(live)


def _withdraw_step(live: Mapping[str, Any], _: AgentIdentity) -> Patch | None:
    if not managed_fields.applied(live):
        return None
    return Patch(PatchType.APPLY, {"apiVersion": live["apiVersion"], "kind": live["kind"], "metadata": head(live)})


def _metadata_step(live: Mapping[str, Any], _: AgentIdentity) -> Patch | None:
    metadata = live["metadata"]
    labels = _own_labels(metadata)
    annotations = _null({meta.ANNOTATION_CLAIMED_BY: claim(live) or None})
    if not (labels or annotations):
        return None
    version = metadata["resourceVersion"]
    return Patch(
        PatchType.MERGE, {"metadata": {"resourceVersion": version, "labels": labels, "annotations": annotations}}
    )


def _label_step(live: Mapping[str, Any], agent: AgentIdentity) -> Patch | None:
    metadata = live["metadata"]
    if (metadata.get("labels") or {}).get(meta.LABEL_AGENT_UID) != agent.uid:
        return None
    body = {"metadata": {"resourceVersion": metadata["resourceVersion"], "labels": _own_labels(metadata)}}
    return Patch(PatchType.MERGE, body)


def scale(live: Mapping[str, Any], suspended: bool) -> Patch | None:
    """Takes the replicas of a suspended agent, once, and gives them back; None when there is nothing to write.

    Who sets the replicas again meanwhile, as a GitOps tool may, is not fought: `scale_conflict` says so.
    """
    annotations = live["metadata"].get("annotations") or {}
    replicas = live["spec"].get("replicas", 1)
    recorded = annotations.get(meta.ANNOTATION_PRIOR_REPLICAS)
    if suspended:
        if recorded is not None or replicas == 0:
            return None
        setters = managed_fields.others(live, "spec", "replicas")
        return _scaled(live, " ".join([str(replicas), *(owner.manager for owner in setters[-1:])]), 0)
    if recorded is None:
        return None
    if replicas != 0:
        return _scaled(live, None, None)
    parsed = _PRIOR_REPLICAS.fullmatch(recorded)
    # An annotation that somebody has made unreadable: Kubernetes' own default is the best guess.
    count, manager = (int(parsed[1]), parsed[2]) if parsed else (1, None)
    return _scaled(live, None, count, manager=manager or managed_fields.UNKNOWN_MANAGER)


def _scaled(live: Mapping[str, Any], recorded: str | None, replicas: int | None, manager: str = meta.MANAGER) -> Patch:
    metadata = {
        "resourceVersion": live["metadata"]["resourceVersion"],
        "annotations": {meta.ANNOTATION_PRIOR_REPLICAS: recorded},
    }
    body: Manifest = {"metadata": metadata}
    if replicas is not None:
        body["spec"] = {"replicas": replicas}
    return Patch(PatchType.MERGE, body, manager=manager)


def prior_replicas(live: Mapping[str, Any]) -> int | None:
    """How many replicas a target had that was scaled to 0; None where it was not, or nobody can read how many."""
    annotations = live["metadata"].get("annotations") or {}
    parsed = _PRIOR_REPLICAS.fullmatch(annotations.get(meta.ANNOTATION_PRIOR_REPLICAS, ""))
    return int(parsed[1]) if parsed else None


def scale_conflict(live: Mapping[str, Any]) -> Conflict | None:
    """Who has scaled up the target of a suspended agent again; None when nobody has."""
    annotations = live["metadata"].get("annotations") or {}
    replicas = live["spec"].get("replicas", 1)
    if meta.ANNOTATION_PRIOR_REPLICAS not in annotations or replicas == 0:
        return None
    setters = managed_fields.others(live, "spec", "replicas")
    manager = setters[-1].manager if setters else ""
    who = f'manager "{manager}"' if manager else "a manager that is not known"
    message = (
        f"{name_of(live)} was scaled to 0, because its agent is suspended or a revision takes over by Recreate, and "
        f"{who} has set {replicas} replicas again. Scale it down where that manager takes its replicas from; pods of a "
        "suspended agent run without rights."
    )
    return Conflict(_REPLICAS_FIELD, manager, message)
