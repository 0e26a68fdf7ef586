"""What an agent's status says it may do, in the form in which the journal tells it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from aiagent_operator.api.agentstatus import PermissionState
from aiagent_operator.core.journal import data as contents
from aiagent_operator.core.objects import digest

_ROOM: Final = contents.MOST_BYTES // 2
"""Bytes of rules in one event: names and namespaces have to fit beside them."""


@dataclass(frozen=True, slots=True)
class Permitted:
    """One permission in force: its rules as in a Role (rbac.authorization.k8s.io/v1), and where they hold."""

    namespaces: tuple[str, ...]
    rules: tuple[Mapping[str, Any], ...]

    def parts(self) -> list[list[dict[str, Any]]]:
        """The rules, as many together as one event holds; at least one part."""
        parts: list[list[dict[str, Any]]] = [[]]
        size = 0
        for rule in map(_told, self.rules):
            more = len(orjson.dumps(rule))
            if parts[-1] and size + more > _ROOM:
                parts.append([])
                size = 0
            parts[-1].append(rule)
            size += more
        return parts


def permitted(status: Mapping[str, Any], namespace: str) -> dict[str, Permitted]:
    """The permissions that are in force, by name. `namespace`: the agent's own, where an entry names none."""
    return {
        entry["name"]: Permitted(tuple(entry.get("namespaces") or (namespace,)), tuple(entry["rules"]))
        for entry in status.get("permissions") or ()
        if entry.get("rules") and entry.get("state") != PermissionState.REFUSED
    }


def _told(rule: Mapping[str, Any]) -> dict[str, Any]:
    """The rule as a record may have it.

    Names of objects may be anything that a path may hold, and many: where they do not fit they are told by how many
    they are and by their digest, and so, if need be, is everything else.
    """
    told = dict(rule)
    if _fits(told):
        return told
    for field in ("resourceNames", "resources", "apiGroups", "verbs"):
        if field in told:
            values = told.pop(field)
            told |= {f"{field}Count": len(values), f"{field}Digest": f"sha256:{digest(values)}"}
        if _fits(told):
            return told
    return {"digest": f"sha256:{digest(dict(rule))}"}


def _fits(rule: dict[str, Any]) -> bool:
    if len(orjson.dumps(rule)) > _ROOM:
        return False
    try:
        contents.check_value(rule, "rule")
    except contents.DataError:
        return False
    return True
