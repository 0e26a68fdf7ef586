"""Who set a field: what metadata.managedFields tells (Kubernetes: "Server-Side Apply", field management)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from aiagent_operator.api import meta

APPLY: Final = "Apply"

# Kubernetes' own name for whoever set what no manager is known for.
UNKNOWN_MANAGER: Final = "before-first-apply"

_CONTAINERS: Final = "f:containers"
_IMAGE: Final = "f:image"
# What is owned of a container where only its image is: the item itself, its key, and the image.
_IMAGE_ALONE: Final = frozenset({".", "f:name", _IMAGE})


@dataclass(frozen=True, slots=True)
class Owner:
    """One entry of managedFields that holds a field."""

    manager: str
    operation: str


def owners(live: Mapping[str, Any], *path: str) -> tuple[Owner, ...]:
    """Who owns the field at the path (field names, no lists), oldest entry first."""
    return tuple(
        Owner(entry.get("manager", ""), entry.get("operation", ""))
        for entry in live["metadata"].get("managedFields") or ()
        if _holds(entry.get("fieldsV1") or {}, path)
    )


def holds(live: Mapping[str, Any], *path: str) -> bool:
    """Whether the operator owns the field."""
    return any(owner.manager == meta.MANAGER for owner in owners(live, *path))


def others(live: Mapping[str, Any], *path: str) -> tuple[Owner, ...]:
    """Who beside the operator owns the field."""
    return tuple(owner for owner in owners(live, *path) if owner.manager != meta.MANAGER)


def applied(live: Mapping[str, Any], manager: str = meta.MANAGER) -> bool:
    """Whether the manager has a set of applied fields on the object."""
    entries = live["metadata"].get("managedFields") or ()
    return any(entry.get("manager") == manager and entry.get("operation") == APPLY for entry in entries)


def _holds(fields: Mapping[str, Any], path: tuple[str, ...]) -> bool:
    node: Mapping[str, Any] | None = fields
    for name in path:
        node = node.get(f"f:{name}") if node is not None else None
    return node is not None


def holds_containers(live: Mapping[str, Any]) -> bool:
    """Whether the operator owns something within the containers beside images."""
    return any(
        set(fields) - _IMAGE_ALONE or _IMAGE not in fields
        for spec in _own_pod_specs(live)
        for _, fields in _items(spec.get(_CONTAINERS), "name")
    )


def held_images(live: Mapping[str, Any]) -> frozenset[str]:
    """The containers whose image the operator owns."""
    return frozenset(
        name
        for spec in _own_pod_specs(live)
        for name, fields in _items(spec.get(_CONTAINERS), "name")
        if _IMAGE in fields
    )


def image_setters(live: Mapping[str, Any], container: str) -> tuple[Owner, ...]:
    """Who beside the operator owns the image of a container, oldest entry first."""
    return tuple(
        Owner(entry.get("manager", ""), entry.get("operation", ""))
        for entry in live["metadata"].get("managedFields") or ()
        if not _is_own(entry)
        and any(
            name == container and _IMAGE in fields for name, fields in _items(_pod_spec(entry).get(_CONTAINERS), "name")
        )
    )


def held_mounts(live: Mapping[str, Any]) -> frozenset[tuple[str, str]]:
    """Container and path of the mounts that the operator owns."""
    return frozenset(
        (name, path)
        for spec in _own_pod_specs(live)
        for name, container in _items(spec.get(_CONTAINERS), "name")
        for path, _ in _items(container.get("f:volumeMounts"), "mountPath")
    )


def without_containers(live: Mapping[str, Any], keep: str = "") -> list[dict[str, Any]]:
    """The managedFields of the object, with the operator owning nothing within the containers but the image of the one
    to keep, as far as it does."""
    entries: list[dict[str, Any]] = orjson.loads(orjson.dumps(live["metadata"].get("managedFields") or []))
    for spec in map(_pod_spec, filter(_is_own, entries)):
        containers = spec.pop(_CONTAINERS, None) or {}
        kept = {
            key: {field: value for field, value in item.items() if field in _IMAGE_ALONE}
            for key, item in containers.items()
            if key.startswith("k:") and orjson.loads(key[2:]) == {"name": keep} and _IMAGE in item
        }
        if kept:
            spec[_CONTAINERS] = kept
    return entries


def _is_own(entry: Mapping[str, Any]) -> bool:
    return entry.get("manager") == meta.MANAGER


def _own_pod_specs(live: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [_pod_spec(entry) for entry in live["metadata"].get("managedFields") or () if _is_own(entry)]


def _pod_spec(entry: Mapping[str, Any]) -> dict[str, Any]:
    node: dict[str, Any] = entry.get("fieldsV1") or {}
    for name in ("f:spec", "f:template", "f:spec"):
        node = node.get(name) or {}
    return node


def _items(fields: Mapping[str, Any] | None, key: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The items of a list with keys, each by the value of its key (FieldsV1: `k:{"name":"app"}`)."""
    for name, item in (fields or {}).items():
        if name.startswith("k:"):
            yield str(orjson.loads(name[2:])[key]), item
