"""Who set a field: what metadata.managedFields tells (Kubernetes: "Server-Side Apply", field management)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiagent_operator.api import meta

APPLY: Final = "Apply"

# Kubernetes' own name for whoever set what no manager is known for.
UNKNOWN_MANAGER: Final = "before-first-apply"


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
