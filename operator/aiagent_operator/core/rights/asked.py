"""Questions to the API server about what an agent may still do, and what it answered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from aiagent_operator.core.rights.rules import Right


@dataclass(frozen=True, slots=True)
class Asking:
    """One question to the API server: may the agent still do this? `reason` is what it said, in its own words."""

    namespace: str
    right: Right
    revoked_at: datetime
    asked_at: datetime
    allowed: bool
    reason: str = ""
