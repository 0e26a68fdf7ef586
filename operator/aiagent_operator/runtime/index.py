"""Who has to hear of a change: agents by what they depend on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping
from typing import Any, Generic, TypeVar

from aiagent_operator.core import succession

K = TypeVar("K", bound=Hashable)


class Index(Generic[K]):
    """Many-to-many between agents and what they depend on."""

    def __init__(self) -> None:
        self._dependents: dict[Hashable, set[K]] = defaultdict(set)
        self._facts: dict[K, tuple[Hashable, ...]] = {}

    def set(self, key: K, facts: Iterable[Hashable]) -> None:
        """The agent depends on these, and on nothing else any more."""
        new = tuple(facts)
        old = self._facts.get(key, ())
        if new == old:
            return
        for fact in old:
            dependents = self._dependents.get(fact)
            if dependents is not None:
                dependents.discard(key)
                if not dependents:
                    del self._dependents[fact]
        for fact in new:
            self._dependents[fact].add(key)
        if new:
            self._facts[key] = new
        else:
            self._facts.pop(key, None)

    def of(self, fact: Hashable) -> tuple[K, ...]:
        """Agents that depend on it."""
        return tuple(self._dependents.get(fact, ()))

    def of_kind(self, kind: str) -> tuple[K, ...]:
        """Agents that depend on any object of the kind."""
        return tuple(
            {
                key
                for fact, keys in self._dependents.items()
                if isinstance(fact, tuple) and fact[0] == kind
                for key in keys
            }
        )


def dependencies(home: str, spec: Mapping[str, Any]) -> tuple[Hashable, ...]:
    """What the agent must hear of: its role, namespaces, handbook source and target."""
    facts: dict[Hashable, None] = {
        ("role", (spec.get("roleRef") or {}).get("name")): None,
        ("namespace", home): None,
    }
    for permission in spec.get("permissions") or ():
        for namespace in permission.get("namespaces") or ():
            facts["namespace", namespace] = None
    source = ((spec.get("handbook") or {}).get("instructions") or {}).get("configMapKeyRef") or {}
    if source:
        facts["ConfigMap", home, source.get("name")] = None
    target = (spec.get("workload") or {}).get("targetRef") or {}
    if target:
        facts[target.get("kind"), home, target.get("name")] = None
    for kin in filter(None, succession.named(spec)):
        facts["AIAgent", home, kin] = None
    return tuple(facts)
