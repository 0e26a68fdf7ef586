"""What the API server says of fields that two managers set (Kubernetes: "Server-Side Apply", conflicts)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from aiagent_operator.core.targets.seen import Conflict, name_of


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
