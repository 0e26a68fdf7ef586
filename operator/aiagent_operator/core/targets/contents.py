"""What adoption puts into a target, wanted and present, as values that can be compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from aiagent_operator.api import meta
from aiagent_operator.core.injection import Injection
from aiagent_operator.core.objects import AgentIdentity, Manifest, digest
from aiagent_operator.core.targets import managed_fields, partition
from aiagent_operator.core.targets.seen import LABELS, POD_LABELS, claim, own_mounts, own_volumes, pod_labels


def desired_digest(agent: AgentIdentity, injection: Injection, container: str = "", staged: int | None = None) -> str:
    """What `owned` of a target is that has all that the agent needs. The image of the container is the operator's, and
    so is the partition, where one is given."""
    return digest([wanted(agent, injection), False, [container] if container else [], staged])


def owned(live: Mapping[str, Any]) -> str:
    """Digest of all that adoption puts into a target, whoever put it there, with the containers disowned or not, and
    of which images, and whether the partition, are the operator's. What the images are is not part of it."""
    images = sorted(managed_fields.held_images(live))
    return digest([present(live), managed_fields.holds_containers(live), images, partition.held(live)])


def wanted(agent: AgentIdentity, injection: Injection) -> list[Any]:
    """What `present` of a target is that has labels, claim, account, volumes and mounts as the agent needs them."""
    labels = meta.child_labels(agent.name, agent.namespace, agent.uid)
    mounts = own_mounts({"volumeMounts": injection.mounts})
    return _comparable((labels, injection.labels), agent.uid, (injection.account,) * 2, injection.volumes, [mounts])


def present(live: Mapping[str, Any]) -> list[Any]:
    """What a target has of that, whoever put it there.

    The mounts are taken as the set of lists that occur, so that names and number of the containers do not matter.
    """
    metadata, spec = live["metadata"], live["spec"]["template"]["spec"]
    mounts = [own_mounts(container) for container in spec["containers"]]
    return _comparable(
        (metadata.get("labels") or {}, pod_labels(live)),
        claim(live),
        (spec.get("serviceAccountName"), spec.get("serviceAccount")),
        own_volumes(live),
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
        [[some.get(label) for label in names] for some, names in zip(labels, (LABELS, POD_LABELS), strict=True)],
        claimed_by,
        list(accounts),
        sorted(volumes, key=lambda volume: str(volume["name"])),
        mounts,
    ]
