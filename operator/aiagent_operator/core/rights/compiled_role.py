"""A role as decisions read it: everything that follows from the role alone, computed once for all its agents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from aiagent_operator.api.agentrole import AgentRole, ForbiddenCombination
from aiagent_operator.api.permissions import Permission, PolicyRule
from aiagent_operator.core.rights.forbidden import refused
from aiagent_operator.core.rights.rules import Ceiling, Rule, count, overlaps


@dataclass(frozen=True, slots=True)
class Duty:
    """One duty of a forbidden combination, by their names."""

    combination: str
    duty: str


@dataclass(frozen=True, slots=True)
class Combination:
    """A forbidden combination: no agent holds something of each duty."""

    name: str
    description: str
    duties: Mapping[str, tuple[Rule, ...]]


@dataclass(frozen=True, slots=True)
class Bundle:
    """Rules that are granted together or not at all, with what can be said of them before anybody asks.

    `size` is the number of atomic rights in one namespace; `refused` is the reason why no agent may hold them.
    """

    rules: tuple[Rule, ...]
    size: int
    refused: str | None
    duties: frozenset[Duty]


@dataclass(frozen=True, slots=True)
class Ask:
    """A permission asked for, and the field where it stands. Bundle None: the role has no set of its name."""

    name: str
    namespaces: tuple[str, ...]
    inline: bool
    bundle: Bundle | None
    field: str


@dataclass(frozen=True, slots=True, eq=False)
class CompiledRole:
    """An AgentRole with its permission sets, ceiling and combinations prepared."""

    role: AgentRole
    sets: Mapping[str, Bundle]
    ceiling: Ceiling
    combinations: Mapping[str, Combination]

    @classmethod
    def of(cls, role: AgentRole) -> CompiledRole:
        """Prepares the role. Keep the result until the role changes."""
        spec = role.spec
        combinations = {combination.name: _combination(combination) for combination in spec.forbidden_combinations}
        sets = {named.name: _bundle(named.rules, combinations.values()) for named in spec.permission_sets}
        ceiling = Ceiling((*map(Rule.of, spec.ceiling), *(rule for bundle in sets.values() for rule in bundle.rules)))
        return cls(role, sets, ceiling, combinations)

    @property
    def name(self) -> str:
        """Name of the AgentRole."""
        return self.role.metadata.name

    def asks(self, permissions: Iterable[Permission]) -> tuple[Ask, ...]:
        """The permissions of an agent, or the role's defaults where it asks for none."""
        own = tuple(self._ask(permission, "spec.permissions") for permission in permissions)
        if own:
            return own
        where = f'AgentRole "{self.name}" spec.defaults.permissions'
        return tuple(self._ask(permission, where) for permission in self.role.spec.defaults.permissions)

    def _ask(self, permission: Permission, where: str) -> Ask:
        inline = bool(permission.rules)
        bundle = _bundle(permission.rules, self.combinations.values()) if inline else self.sets.get(permission.name)
        namespaces = tuple(sorted(set(permission.namespaces)))
        return Ask(permission.name, namespaces, inline, bundle, f"{where}[{permission.name}]")


def _combination(combination: ForbiddenCombination) -> Combination:
    duties = {duty.name: tuple(map(Rule.of, duty.rules)) for duty in combination.duties}
    return Combination(combination.name, combination.description, duties)


def _bundle(rules: Iterable[PolicyRule], combinations: Iterable[Combination]) -> Bundle:
    # In one order, so that nothing depends on the order in which an author wrote the rules.
    ordered = tuple(sorted({Rule.of(rule) for rule in rules}))
    duties = frozenset(
        Duty(combination.name, name)
        for combination in combinations
        for name, duty in combination.duties.items()
        if overlaps(ordered, duty)
    )
    return Bundle(ordered, count(ordered), next(filter(None, map(refused, ordered)), None), duties)
