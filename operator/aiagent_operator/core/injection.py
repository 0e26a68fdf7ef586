"""What an agent's pods get: its account, labels, bound API token, handbook, and files of its connections.

All values are spelled out with the API server's defaults, so that what is read back equals what was written.

All containers get the mounts. Init containers do not: they prepare the pod, end before the agent begins, and those of
an adopted workload are the owner's alone. One that needs a file, a sidecar say, names the volume in its own mounts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiagent_operator.api import meta
from aiagent_operator.api.connections import Connection
from aiagent_operator.core.objects import AgentIdentity, Manifest

TOKEN_VOLUME: Final = f"{meta.VOLUME_PREFIX}token"
HANDBOOK_VOLUME: Final = f"{meta.VOLUME_PREFIX}handbook"
CONNECTION_VOLUME_PREFIX: Final = f"{meta.VOLUME_PREFIX}conn-"

# Seconds. The kubelet renews a token at 80 % of its life; the API server accepts nothing under 600.
TOKEN_SECONDS: Final = 3600
_MODE: Final = 0o644


@dataclass(frozen=True, slots=True)
class Injection:
    """What is put into a pod template. The dictionaries are shared: copy before a change."""

    account: str
    labels: Mapping[str, str]
    volumes: tuple[Manifest, ...]
    mounts: tuple[Manifest, ...]


def build(agent: AgentIdentity, handbook: str | None, connections: Iterable[Connection]) -> Injection:
    """What the pods of the agent get. `handbook` is the name of its ConfigMap; None leaves the mount out."""
    parts = [(_token_volume(), meta.TOKEN_MOUNT)]
    if handbook is not None:
        parts.append((_handbook_volume(handbook), meta.HANDBOOK_MOUNT))
    parts += [
        (_connection_volume(connection), f"{meta.CONNECTIONS_MOUNT}/{connection.name}")
        for connection in sorted(connections, key=lambda connection: connection.name)
        if connection.secret_ref or connection.audience
    ]
    return Injection(
        account=meta.account_name(agent.name),
        labels=meta.child_labels(agent.name, agent.namespace, agent.uid),
        volumes=tuple(volume for volume, _ in parts),
        mounts=tuple({"mountPath": path, "name": volume["name"], "readOnly": True} for volume, path in parts),
    )


def _token_volume() -> Manifest:
    """The API token where clients look for it (Kubernetes: "Bound service account tokens")."""
    return _projected(
        TOKEN_VOLUME,
        [
            {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}},
            {"configMap": {"items": [{"key": "ca.crt", "path": "ca.crt"}], "name": "kube-root-ca.crt"}},
            {
                "downwardAPI": {
                    "items": [
                        {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}, "path": "namespace"}
                    ]
                }
            },
        ],
    )


def _handbook_volume(config_map: str) -> Manifest:
    return {"configMap": {"defaultMode": _MODE, "name": config_map}, "name": HANDBOOK_VOLUME}


def _connection_volume(connection: Connection) -> Manifest:
    """The keys of the secret as files, then the token: where both have the file `token`, the issued one stands."""
    sources: list[Manifest] = []
    if connection.secret_ref:
        sources.append({"secret": {"name": connection.secret_ref.name}})
    if connection.audience:
        token = {"audience": connection.audience, "expirationSeconds": TOKEN_SECONDS, "path": "token"}
        sources.append({"serviceAccountToken": token})
    return _projected(f"{CONNECTION_VOLUME_PREFIX}{connection.name}", sources)


def _projected(name: str, sources: list[Manifest]) -> Manifest:
    return {"name": name, "projected": {"defaultMode": _MODE, "sources": sources}}


def into(pod_spec: Mapping[str, Any], injection: Injection) -> Manifest:
    """The pod spec with all of the injection; for pods that are wholly the operator's. Does not change its argument."""
    return {
        **pod_spec,
        "containers": [_mounted(container, injection) for container in pod_spec["containers"]],
        "serviceAccountName": injection.account,
        "serviceAccount": injection.account,
        # The token comes as a volume of ours; Kubernetes' own would be there a second time, in init containers too.
        "automountServiceAccountToken": False,
        "volumes": [*(pod_spec.get("volumes") or ()), *injection.volumes],
    }


def _mounted(container: Manifest, injection: Injection) -> Manifest:
    return container | {"volumeMounts": [*(container.get("volumeMounts") or ()), *injection.mounts]}
