"""Who has to hear of a change: agents by what they depend on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping
from typing import Any, Generic, TypeVar

from aiagent_operator.core import succession, written

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
    facts: dict[Hashable, None] = {("role", written.text(spec, "roleRef", "name")): None, ("namespace", home): None}
    for permission in written.items(spec, "permissions"):
        for namespace in written.items(permission, "namespaces"):
            facts["namespace", str(namespace)] = None
    if source := written.text(spec, "handbook", "instructions", "configMapKeyRef", "name"):
        facts["ConfigMap", home, source] = None
    if target := written.text(spec, "workload", "targetRef", "name"):
        facts[written.text(spec, "workload", "targetRef", "kind"), home, target] = None
    for kin in filter(None, succession.named(spec)):
        facts["AIAgent", home, kin] = None
    return tuple(facts)
