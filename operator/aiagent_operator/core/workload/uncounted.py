"""Pods beside a target that only named Services select: the target's own selector does not.

Where Services tell revisions apart, the pods beside a target lack the labels that the target's selector asks for. So
its autoscaler does not count them, and the owner's other Services send them nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiagent_operator.api import meta
from aiagent_operator.api.rollout import TrafficRouting
from aiagent_operator.core.objects import AgentIdentity, Manifest, ObjectKey, TrafficKind
from aiagent_operator.core.targets.seen import name_of, template_of


def template_beside(live: Mapping[str, Any]) -> Manifest:
    """The pod template of the target, without what the operator has put into it and the labels by which the target
    selects its pods."""
    template = template_of(live)
    asked = _keys(live["spec"]["selector"])
    labels = {name: value for name, value in template["metadata"]["labels"].items() if name not in asked}
    return template | {"metadata": template["metadata"] | {"labels": labels}}


def hindrance(agent: AgentIdentity, live: Mapping[str, Any]) -> str:
    """What to say of a target whose selector selects the pods beside it all the same; empty where it does not."""
    if not _selects(live["spec"]["selector"], _labels(agent, live)):
        return ""
    return (
        f"the spec.selector of {name_of(live)} asks for no label that a candidate's pods beside it could do without, "
        "and would count them as its own: use strategy Recreate, leave spec.retraining.rollout out, or make the "
        "workload anew with a label in spec.selector.matchLabels; what serves goes on serving"
    )


def misfit(agent: AgentIdentity, live: Mapping[str, Any], routing: TrafficRouting, service: Manifest) -> str:
    """What to say of a canaryService that does not select the pods beside the target; empty where it does."""
    labels = _labels(agent, live)
    selector = service["spec"].get("selector") or {}
    wrong = [
        f"{name}: {value}"
        for name, value in sorted(selector.items())
        if name != meta.LABEL_REVISION and labels.get(name) != value
    ]
    if not wrong:
        return ""
    key = ObjectKey(TrafficKind.SERVICE, agent.namespace, routing.canary_service)
    return (
        f"{key}, the canaryService of spec.retraining.rollout.trafficRouting, selects by {', '.join(wrong)}, which the "
        f"candidate's pods beside {name_of(live)} do not bear: they have the labels of its pods but for those of its "
        f"spec.selector. Take that out of the Service's selector; {meta.LABEL_AGENT}: {agent.name} is enough"
    )


def _labels(agent: AgentIdentity, live: Mapping[str, Any]) -> dict[str, str]:
    """Labels of the pods beside the target, but for the number of their revision."""
    own = meta.child_labels(agent.name, agent.namespace, agent.uid) | {meta.LABEL_CANARY: "true"}
    return {**template_beside(live)["metadata"]["labels"], **own}


def _keys(selector: Mapping[str, Any]) -> frozenset[str]:
    each = (requirement["key"] for requirement in selector.get("matchExpressions") or ())
    return frozenset((*(selector.get("matchLabels") or {}), *each))


def _selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """As Kubernetes reads a selector (Labels and Selectors)."""
    wanted = (selector.get("matchLabels") or {}).items()
    return all(labels.get(name) == value for name, value in wanted) and all(
        _meets(requirement, labels) for requirement in selector.get("matchExpressions") or ()
    )


def _meets(requirement: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    value, values = labels.get(requirement["key"]), requirement.get("values") or ()
    match requirement["operator"]:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case _:
            return value is None
