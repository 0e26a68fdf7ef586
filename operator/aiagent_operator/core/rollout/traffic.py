"""Who gets requests where the author names Services for it. Without, all pods of the agent answer alike."""

from __future__ import annotations

from collections.abc import Collection

from aiagent_operator.api.rollout import RolloutSpec
from aiagent_operator.core.rollout.decision import Traffic


def steady(spec: RolloutSpec, revision: int) -> Traffic:
    """Where no rollout is under way: every named Service selects the stable revision."""
    if spec.blue_green is not None:
        return blue_green(spec, revision, revision)
    return weighted(spec, revision, revision, 0)


def weighted(spec: RolloutSpec, stable: int, candidate: int, weight: int) -> Traffic:
    """A Service for each revision, and the candidate's weight, in percent, in the route."""
    routing = spec.traffic_routing
    if routing is None:
        return Traffic()
    selectors = sorted({routing.stable_service: stable, routing.canary_service: candidate}.items())
    weights = sorted({routing.stable_service: 100 - weight, routing.canary_service: weight}.items())
    return Traffic(tuple(selectors), routing.http_route.name, tuple(weights))


def blue_green(spec: RolloutSpec, active: int, preview: int) -> Traffic:
    """What the active Service selects, and the preview Service where there is one."""
    if spec.blue_green is None:
        return Traffic()
    selectors = {spec.blue_green.active_service: active}
    if spec.blue_green.preview_service is not None:
        selectors[spec.blue_green.preview_service] = preview
    return Traffic(tuple(sorted(selectors.items())))


def turned(now: Traffic | None, wanted: Traffic, able: Collection[int]) -> Traffic:
    """What is wanted; or all as it is now, where a Service would begin to get requests for a revision that is not among
    those able to answer. None, which is not known, cannot be kept."""
    if now is None:
        return wanted
    selects, selected, gets = dict(wanted.selectors), dict(now.selectors), dict(now.weights)
    begin = (name for name, weight in wanted.weights if weight and not gets.get(name))
    change = (name for name, weight in wanted.weights if weight and selected.get(name) != selects[name])
    return wanted if all(selects[name] in able for name in (*begin, *change)) else now


def named(traffic: Traffic) -> str:
    """The objects that carry it, for messages."""
    services = ", ".join(f"Service {name} selects revision {revision}" for name, revision in traffic.selectors)
    weights = " and ".join(f"{name} {weight}" for name, weight in traffic.weights)
    return f"{services}; HTTPRoute {traffic.route} has the weights {weights}" if traffic.route else services
