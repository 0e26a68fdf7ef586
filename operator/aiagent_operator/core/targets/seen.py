"""An adopted workload as it is seen: what of it is the operator's, who has it, and the requests that change it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from aiagent_operator.api import meta
from aiagent_operator.core.objects import Manifest, digest
from aiagent_operator.core.targets import managed_fields

LABELS: Final = (meta.LABEL_AGENT, meta.LABEL_AGENT_NAMESPACE, meta.LABEL_AGENT_UID)
POD_LABELS: Final = (*LABELS, meta.LABEL_REVISION)
PRIOR_ACCOUNT: Final = (meta.ANNOTATION_PRIOR_ACCOUNT, meta.ANNOTATION_PRIOR_MANAGER)
PRIOR_IMAGE: Final = (meta.ANNOTATION_PRIOR_IMAGE, meta.ANNOTATION_PRIOR_IMAGE_MANAGER)

_RESTARTED: Final = "kubectl.kubernetes.io/restartedAt"
_LISTED: Final = frozenset({"containers", "initContainers", "volumes"})


class PatchType(StrEnum):
    """Content types of a PATCH request."""

    MERGE = "application/merge-patch+json"
    APPLY = "application/apply-patch+yaml"


@dataclass(frozen=True, slots=True)
class Patch:
    """One PATCH of the target. The body names a resourceVersion: it changes what was looked at, or nothing (409)."""

    type: PatchType
    body: Manifest
    manager: str = meta.MANAGER
    force: bool = False

    @property
    def apply(self) -> bool:
        """Whether it is a server-side apply."""
        return self.type is PatchType.APPLY


@dataclass(frozen=True, slots=True)
class Conflict:
    """Somebody else sets a field that the agent needs; nothing is written."""

    field: str
    manager: str
    message: str


def claim(live: Mapping[str, Any]) -> str:
    """UID of the agent that has the target; empty when none has."""
    return str((live["metadata"].get("annotations") or {}).get(meta.ANNOTATION_CLAIMED_BY, ""))


def is_template_made(live: Mapping[str, Any]) -> bool:
    """Whether the workload is the operator's own, made from a template. Its selector says so, which nobody can edit."""
    return meta.LABEL_AGENT_UID in (live["spec"]["selector"].get("matchLabels") or {})


def is_ours(entry: Mapping[str, Any]) -> bool:
    """Whether a volume, or a mount of one, is the operator's: the prefix is reserved for it."""
    return str(entry.get("name", "")).startswith(meta.VOLUME_PREFIX)


def own_volumes(live: Mapping[str, Any]) -> list[Manifest]:
    """The operator's volumes in the target."""
    return [volume for volume in live["spec"]["template"]["spec"].get("volumes") or () if is_ours(volume)]


def own_mounts(container: Mapping[str, Any]) -> list[Manifest]:
    """The operator's mounts in a container, sorted by path."""
    return sorted(mounts_of(container), key=lambda mount: str(mount["mountPath"]))


def mounts_of(container: Mapping[str, Any]) -> list[Manifest]:
    """Our mounts in the order in which they stand: to apply them in another one would restart the pods."""
    return [mount for mount in container.get("volumeMounts") or () if is_ours(mount)]


def notes(live: Mapping[str, Any], names: Iterable[str]) -> dict[str, str]:
    """Those of the annotations that the target has."""
    found = live["metadata"].get("annotations") or {}
    return {name: found[name] for name in names if name in found}


def pod_labels(live: Mapping[str, Any]) -> dict[str, str]:
    """Labels of the pods, without that of the revision where it is not the operator's: not every target has it."""
    found = dict((live["spec"]["template"].get("metadata") or {}).get("labels") or {})
    setters = managed_fields.owners(live, "spec", "template", "metadata", "labels", meta.LABEL_REVISION)
    if all(owner.manager != meta.MANAGER for owner in setters):
        found.pop(meta.LABEL_REVISION, None)
    return found


def owners_part(live: Mapping[str, Any]) -> str:
    """Digest of what a target's owner says of its pods: all but images, and what the operator puts in. A restart, as
    kubectl asks for it, says nothing of them."""
    own = template_of(live)
    metadata, spec = own["metadata"], own["spec"]
    kept = {name: value for name, value in spec.items() if name not in _LISTED}
    containers = [[_without_own(each) for each in spec.get(field) or ()] for field in ("initContainers", "containers")]
    words = {name: value for name, value in metadata["annotations"].items() if name != _RESTARTED}
    return digest([metadata["labels"], words, kept, containers, spec["volumes"]])


def _without_own(container: Mapping[str, Any]) -> Manifest:
    return {name: value for name, value in _unmounted(container).items() if name != "image"}


def template_of(live: Mapping[str, Any]) -> Manifest:
    """The pod template of a target, without what the operator has put into it."""
    template = live["spec"]["template"]
    metadata, spec = template.get("metadata") or {}, template["spec"]
    labels = {name: value for name, value in (metadata.get("labels") or {}).items() if name not in POD_LABELS}
    kept = {name: value for name, value in spec.items() if name not in ("serviceAccountName", "serviceAccount")}
    volumes = [volume for volume in spec.get("volumes") or () if not is_ours(volume)]
    containers = [_unmounted(each) for each in spec["containers"]]
    return {
        "metadata": {"labels": labels, "annotations": dict(metadata.get("annotations") or {})},
        "spec": kept | {"containers": containers, "volumes": volumes},
    }


def _unmounted(container: Mapping[str, Any]) -> Manifest:
    mounts = [mount for mount in container.get("volumeMounts") or () if not is_ours(mount)]
    return {**container, "volumeMounts": mounts}


def name_of(live: Mapping[str, Any]) -> str:
    """The target as people name it."""
    metadata = live["metadata"]
    return f"{live.get('kind', 'target')} {metadata['namespace']}/{metadata['name']}"


def head(live: Mapping[str, Any]) -> Manifest:
    """Identity of the target for a patch: exactly this version of exactly this object."""
    metadata = live["metadata"]
    return {name: metadata[name] for name in ("name", "namespace", "uid", "resourceVersion")}
