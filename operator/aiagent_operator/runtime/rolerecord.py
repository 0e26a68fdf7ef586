"""A role as it was last seen, made ready for decisions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from aiagent_operator.api.agentrole import AgentRole
from aiagent_operator.api.fields import unreadable
from aiagent_operator.core.objects import Manifest
from aiagent_operator.core.rights.compiled_role import CompiledRole


@dataclass(frozen=True, slots=True)
class RoleRecord:
    """A role as it was last seen; `compiled` is None where it cannot be read, with the reason in `problem`."""

    raw: Manifest
    compiled: CompiledRole | None
    problem: str = ""


def read(body: Mapping[str, Any]) -> RoleRecord:
    """The role, made ready for decisions; one that cannot be read grants nothing and says why."""
    slim = {
        "metadata": {k: v for k, v in body["metadata"].items() if k != "managedFields"},
        "status": body.get("status"),
    }
    try:
        return RoleRecord(slim, CompiledRole.of(AgentRole.model_validate(body)))
    except ValidationError as error:
        return RoleRecord(slim, None, unreadable(error))
