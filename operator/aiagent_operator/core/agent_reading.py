"""Agents whose spec this version of the operator cannot read whole, of which one has to go all the same.

What can be read of it holds: how long it drains, what of it is archived, who comes after it. What cannot is left out,
and the archive says so where something is missing for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError

from aiagent_operator.api.aiagent import AIAgent
from aiagent_operator.api.archive import Gap, GapReason
from aiagent_operator.core import written
from aiagent_operator.core.archive import layout, manifest
from aiagent_operator.core.plan import Observed

UNKNOWN: Final = "unknown"
"""Name of the role, where that cannot be read."""

# What every spec has, in place of what cannot be read. Who leaves is asked for none of it but the role.
_STAND_INS: Final[Mapping[str, Any]] = {
    "roleRef": {"name": UNKNOWN},
    "purpose": UNKNOWN,
    "owners": [
        {
            "name": UNKNOWN,
            "function": "IT",
            "responsibility": "Accountable",
            "subject": {"kind": "Group", "name": UNKNOWN},
        }
    ],
    "workload": {"targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": UNKNOWN}},
}
_RETIREMENT: Final = "retirement"
_CAPTURED: Final = {"memory": layout.MEMORY, "decisionLog": layout.DECISIONS}


def readable(raw: Mapping[str, Any], error: ValidationError) -> AIAgent:
    """The agent with what can be read of its spec, which gave that error when it was read whole."""
    given = raw.get("spec")
    spec = dict(given) if isinstance(given, Mapping) else {}
    retirement = spec.get(_RETIREMENT)
    spec |= {_RETIREMENT: dict(retirement)} if isinstance(retirement, Mapping) else {}
    for each in error.errors(include_url=False, include_input=False):
        field, *inner = each["loc"][1:] or ("",)
        if field == _RETIREMENT and inner:
            spec[_RETIREMENT].pop(inner[0], None)
        else:
            spec.pop(str(field), None)
    return AIAgent.model_validate({**raw, "spec": {**_STAND_INS, **spec}})


def unread(o: Observed) -> tuple[Gap, ...]:
    """What its spec names, and this version cannot read: it is not archived."""
    named = written.at(o.raw_spec, _RETIREMENT)
    known = o.agent.spec.retirement.model_dump(by_alias=True, exclude_none=True) if o.agent.spec.retirement else {}
    lost = [field for field in _CAPTURED if isinstance(named, Mapping) and named.get(field) and field not in known]
    return tuple(
        manifest.gap(
            _CAPTURED[field],
            GapReason.UNREADABLE,
            f"this version of the operator could not read spec.{_RETIREMENT}.{field}",
        )
        for field in sorted(lost)
    )
