"""Standing orders that this version of the operator cannot read whole.

A newer version, run here before, may have known words that this one does not. Where that kept an order from being in
force, an agent that it keeps out would get its rights back, and an archive that it holds could be destroyed. So what
can be read of it holds, and of the rest the strictest that it can mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError

from aiagent_operator.api.agentaction import Action, AgentActionSpec
from aiagent_operator.api.archive import LeaveReason, Mode
from aiagent_operator.api.holds import Ground
from aiagent_operator.api.offboarding import Offboarding

_STANDING: Final = (Action.SUSPEND.value, Action.OFFBOARD.value, Action.HOLD.value)
# What every order says; without these nobody knows about whom it is, or whose it is.
_NEEDED: Final = ("action", "agentRef", "selector", "archiveRef", "requestedBy", "reason")
# What stands in for what cannot be read: no notice, no drain, and a reason that claims nothing.
_STRICTEST: Final = {"reason": LeaveReason.BUSINESS.value, "mode": Mode.EMERGENCY.value}


def strictest(spec: Mapping[str, Any]) -> AgentActionSpec | None:
    """The order as far as it can be read; None where it is no standing one, or nobody can say about whom it is."""
    if spec.get("action") not in _STANDING:
        return None
    known = {field: spec[field] for field in _NEEDED if field in spec}
    if spec["action"] == Action.OFFBOARD.value:
        asked = spec.get("offboarding")
        asked = asked if isinstance(asked, Mapping) else {"mode": None, "reason": None}
        if asked.get("dryRun"):
            return None
        known["offboarding"] = {field: asked[field] for field in asked if _readable(field, asked)} | {
            field: value for field, value in _STRICTEST.items() if field in asked and not _readable(field, asked)
        }
    if spec["action"] == Action.HOLD.value:
        ground = spec.get("ground")
        known["ground"] = ground if ground in list(Ground) else Ground.LEGAL_OBLIGATION.value
    try:
        return AgentActionSpec.model_validate(known)
    except ValidationError:
        return None


def _readable(field: str, asked: Mapping[str, Any]) -> bool:
    try:
        Offboarding.model_validate({"reason": LeaveReason.BUSINESS.value, field: asked[field]})
    except ValidationError:
        return False
    return True
