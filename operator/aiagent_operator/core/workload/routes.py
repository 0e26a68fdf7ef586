"""Weights of an HTTPRoute: those of the backendRefs in rules that name both Services of a Canary, and no others.

Source of the fields: Gateway API v1, HTTPRouteRule and BackendRef; a weight that is left out is 1.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from aiagent_operator.core.objects import Manifest

Weights = dict[str, int]


def weights(route: Mapping[str, Any], services: Collection[str]) -> Weights:
    """The weight of each Service; -1 where rules differ. Empty where no rule names all of them."""
    found: dict[str, set[int]] = {}
    for name, ref in _refs(route, services):
        found.setdefault(name, set()).add(ref.get("weight", 1))
    return {name: values.pop() if len(values) == 1 else -1 for name, values in sorted(found.items())}


def changed(route: Mapping[str, Any], wanted: Mapping[str, int]) -> Manifest:
    """The merge patch by which the Services have these weights, on the very version that was read.

    A merge patch replaces lists whole, so all rules stand in it as they were read.
    """
    rules = {"metadata": route["metadata"], "spec": {"rules": copy.deepcopy(route["spec"]["rules"])}}
    for name, ref in _refs(rules, wanted):
        ref["weight"] = wanted[name]
    metadata = {"resourceVersion": route["metadata"]["resourceVersion"], "uid": route["metadata"]["uid"]}
    return {"metadata": metadata, "spec": rules["spec"]}


def _refs(route: Mapping[str, Any], services: Collection[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    home = route["metadata"].get("namespace")
    for rule in route["spec"].get("rules") or ():
        ours = [(ref["name"], ref) for ref in rule.get("backendRefs") or () if _is_ours(ref, services, home)]
        if {name for name, _ in ours} == set(services):
            yield from ours


def _is_ours(ref: Mapping[str, Any], services: Collection[str], home: str | None) -> bool:
    """Whether it refers to one of the Services in the route's own namespace."""
    kind = (ref.get("group", ""), ref.get("kind", "Service"), ref.get("namespace", home))
    return ref["name"] in services and kind == ("", "Service", home)
