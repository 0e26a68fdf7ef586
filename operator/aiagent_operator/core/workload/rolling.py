"""How many pods of each version run while one takes over from another.

Pods go over as within one Deployment with maxUnavailable 0 and maxSurge 25 %: never fewer are ready than are wanted,
and never more than a quarter are too many. All of it follows from what is observed, so that pods of the new version
that fail bring the old ones back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pods:
    """Pods of one version: asked for, existing, and ready."""

    asked: int = 0
    existing: int = 0
    ready: int = 0


@dataclass(frozen=True, slots=True)
class Split:
    """Pods to ask for of the version that serves and of the one that takes over, and former ones that may go."""

    stable: int
    target: int
    gone: frozenset[str] = frozenset()


def surge(wanted: int) -> int:
    """Pods that may be too many: a quarter, at least one (Kubernetes: Deployment, maxSurge)."""
    return max(1, -(-wanted // 4))


def split(wanted: int, stable: Pods | None, target: Pods | None, former: Mapping[str, Pods]) -> Split:
    """Pods of the version that serves and of the one that takes over; `former` are older ones that still run, by name.

    Without one of the two the other has all. A former one goes when those that stay have as many ready as are wanted,
    or when none of its own is ready. While several versions have followed one another faster than pods come and go, a
    quarter too many is allowed for the newest all the same: else none would ever get room.
    """
    kept = wanted if target is None else max(0, wanted - target.ready)
    ready = min(stable.ready, kept) if stable else 0
    ready += target.ready if target else 0
    gone = frozenset(name for name, pods in former.items() if pods.ready == 0 or ready >= wanted)
    if target is None or stable is None:
        return Split(wanted if stable else 0, wanted if target else 0, gone)
    others = (stable, *(pods for name, pods in former.items() if name not in gone))
    taken = sum(max(pods.asked, pods.existing) for pods in others)
    room = max(wanted + surge(wanted) - taken, surge(wanted) if taken > wanted else 0)
    return Split(kept, min(wanted, max(target.asked, room)), gone)
