"""What commands read of an agent. Raw objects on purpose: a newer operator's words must be shown, not fail to parse."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from aiagent_operator.api.conditions import Type


def condition(obj: Mapping[str, Any], kind: Type) -> Mapping[str, Any]:
    """The condition of that type; empty where there is none."""
    conditions = (obj.get("status") or {}).get("conditions") or ()
    return next((entry for entry in conditions if entry.get("type") == kind.value), {})


def stale(obj: Mapping[str, Any]) -> bool:
    """Whether the operator has yet to act on the present spec."""
    seen = (obj.get("status") or {}).get("observedGeneration")
    return bool(seen != obj["metadata"].get("generation"))


def age(timestamp: str | None, now: datetime | None = None) -> str:
    """Time since an RFC 3339 timestamp, as kubectl prints it (apimachinery/pkg/util/duration.HumanDuration).

    The condition that an object is born with bears the beginning of the epoch, which is no time at which it changed.
    """
    if not timestamp or timestamp.startswith("1970-01-01"):
        return "<unknown>"
    since = (now or datetime.now(UTC)) - datetime.fromisoformat(timestamp)
    seconds = int(since.total_seconds())
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    years = days // 365
    steps = (
        (seconds < 0, "0s"),
        (seconds < 120, f"{seconds}s"),
        (minutes < 10, _two(minutes, "m", seconds % 60, "s")),
        (minutes < 180, f"{minutes}m"),
        (hours < 8, _two(hours, "h", minutes % 60, "m")),
        (hours < 48, f"{hours}h"),
        (hours < 192, _two(days, "d", hours % 24, "h")),
        (days < 730, f"{days}d"),
        (days < 2920, _two(years, "y", days % 365, "d")),
    )
    return next((text for holds, text in steps if holds), f"{years}y")


def _two(large: int, unit: str, small: int, part: str) -> str:
    return f"{large}{unit}{small}{part}" if small else f"{large}{unit}"
