"""The partition of an adopted StatefulSet: the ordinal from which on its pods have the candidate's work.

It goes in with the work, in one write, so that no pod has it before its turn, and is left out of what is applied when
nothing takes over: the API server then puts it back to 0, and all pods follow the pod template again.
Kubernetes: "StatefulSets", partitioned rolling updates.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from aiagent_operator.core.objects import AgentIdentity, Manifest
from aiagent_operator.core.targets import managed_fields
from aiagent_operator.core.targets.seen import Conflict, name_of

FIELD: Final = ".spec.updateStrategy.rollingUpdate.partition"
_PATH: Final = ("spec", "updateStrategy", "rollingUpdate", "partition")


def current(live: Mapping[str, Any]) -> int:
    """The partition of a workload; 0 where there is none."""
    strategy = live["spec"].get("updateStrategy") or {}
    return (strategy.get("rollingUpdate") or {}).get("partition") or 0


def held(live: Mapping[str, Any]) -> int | None:
    """The partition that the operator has set; None where it is its owner's."""
    return current(live) if managed_fields.holds(live, *_PATH) else None


def unfit(live: Mapping[str, Any]) -> str:
    """Why no part of the pods can have the candidate's work, and what to do about it; empty where one can."""
    name = name_of(live)
    ways = "use strategy Recreate, or leave spec.retraining.rollout out; what serves goes on serving"
    if (live["spec"].get("updateStrategy") or {}).get("type") == "OnDelete":
        return f"{name} has the update strategy OnDelete, which knows no partition: give it RollingUpdate, {ways}"
    if current(live) and held(live) is None:
        return f"{name} has {FIELD} {current(live)}, by which its owner holds pods back: set it to 0, {ways}"
    if live["spec"].get("replicas", 1) == 1:
        return f"{name} has one pod, of which no part can be the candidate's: give it two or more, {ways}"
    return ""


def conflict(live: Mapping[str, Any], agent: AgentIdentity, wanted: int | None, *, force: bool) -> Conflict | None:
    """Who else sets the partition, where another one is needed; `force`: it may be taken over from them."""
    if wanted is None or current(live) == wanted or force:
        return None
    if not contested(live):
        return None
    manager = managed_fields.others(live, *_PATH)[-1].manager
    message = (
        f'{name_of(live)}: {FIELD} is {current(live)}, set by manager "{manager}"; AIAgent {agent.namespace}/'
        f"{agent.name} needs {wanted} while a revision takes over. Take the partition out of the manifests of manager "
        f'"{manager}", or have that manager ignore the field'
    )
    return Conflict(FIELD, manager, message)


def contested(live: Mapping[str, Any]) -> bool:
    """Whether another manager sets it."""
    return bool(managed_fields.others(live, *_PATH))


def applied(wanted: int | None) -> Manifest:
    """The part of a spec that sets it; nothing where it is its owner's."""
    return {} if wanted is None else {"updateStrategy": {"rollingUpdate": {"partition": wanted}}}
