"""Algebra of RBAC rules, with the semantics of Kubernetes (component-helpers/auth/rbac/validation, rbac/v1 helpers).

A rule is a product of API groups, resources, verbs and names; an atomic right is one element of it. A right covers
another when every request that the other allows is allowed by it: `*` covers any group, verb or resource (subresources
too), `*/sub` covers the subresource of any resource, and a right without a name covers every name. `pods/*` is no
wildcard.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NamedTuple

from aiagent_operator.api.permissions import PolicyRule

ALL: Final = "*"

# A live Role of a few kilobytes can hold thousands of millions of atomic rights. What an agent holds has at most 512,
# so a Role beyond this bound differs from any desired one and needs no canonical form to say so.
_EXPANSION_LIMIT: Final = 8192


class Right(NamedTuple):
    """One atomic right. `name` is None where it holds for every name and for requests without one (list, create)."""

    group: str
    resource: str
    verb: str
    name: str | None = None

    def __str__(self) -> str:
        group = f".{self.group}" if self.group else ""
        name = "" if self.name is None else f' "{self.name}"'
        resource, slash, sub = self.resource.partition("/")
        return f"{self.verb} {resource}{group}{slash}{sub}{name}"


@dataclass(frozen=True, slots=True, order=True)
class Rule:
    """A rule of a Role in normal order: each field sorted, without duplicates. Empty resource_names: every name."""

    api_groups: tuple[str, ...]
    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    resource_names: tuple[str, ...] = ()

    @classmethod
    def of(cls, rule: PolicyRule) -> Rule:
        """The rule of an agent or a role."""
        return cls(_set(rule.api_groups), _set(rule.resources), _set(rule.verbs), _set(rule.resource_names))

    @classmethod
    def from_wire(cls, rule: Mapping[str, Any]) -> Rule:
        """The rule of a live Role or ClusterRole. nonResourceURLs are dropped: a Role cannot hold them."""
        return cls(
            _set(rule.get("apiGroups") or ()),
            _set(rule.get("resources") or ()),
            _set(rule.get("verbs") or ()),
            _set(rule.get("resourceNames") or ()),
        )

    def to_wire(self) -> dict[str, Any]:
        """The rule as in rbac.authorization.k8s.io/v1."""
        wire: dict[str, Any] = {
            "apiGroups": list(self.api_groups),
            "resources": list(self.resources),
            "verbs": list(self.verbs),
        }
        if self.resource_names:
            wire["resourceNames"] = list(self.resource_names)
        return wire

    @property
    def size(self) -> int:
        """Number of its atomic rights; 0 for a rule that grants nothing, such as one of nonResourceURLs only."""
        return len(self.api_groups) * len(self.resources) * len(self.verbs) * (len(self.resource_names) or 1)

    def rights(self) -> Iterator[Right]:
        """Its atomic rights; wildcards stay wildcards."""
        names: tuple[str | None, ...] = self.resource_names or (None,)
        for group in self.api_groups:
            for resource in self.resources:
                for verb in self.verbs:
                    for name in names:
                        yield Right(group, resource, verb, name)


def _set(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(values)))


def rights(rules: Iterable[Rule]) -> frozenset[Right]:
    """The atomic rights of all the rules; wildcards stay wildcards."""
    return frozenset(right for rule in rules for right in rule.rights())


def count(rules: Iterable[Rule]) -> int:
    """Number of atomic rights, each counted once per rule: exact for normalised rules, else an upper bound.

    It does not expand the rules, so that it can stand before whatever does.
    """
    return sum(rule.size for rule in rules)


def read(rules: Iterable[Mapping[str, Any]] | None) -> tuple[Rule, ...]:
    """The rules of a live Role in normal form, shared between equal Roles; beyond 8192 rights only sorted."""
    parsed = tuple(rule for rule in map(Rule.from_wire, rules or ()) if rule.size)
    return normalise(parsed) if count(parsed) <= _EXPANSION_LIMIT else tuple(sorted(parsed))


class _Entry(NamedTuple):
    """Part of a ceiling for one group and resource. `names` is None where every name is allowed."""

    verbs: frozenset[str]
    names: frozenset[str] | None


class Ceiling:
    """An indexed set of rules, for asking often what of other rules lies beyond it.

    The answer is that of the API server's escalation check: a right is within the ceiling when one rule covers it.
    """

    __slots__ = ("_index", "_wild", "rules")

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = tuple(rules)
        self._index: dict[tuple[str, str], tuple[_Entry, ...]] = {}
        for rule in self.rules:
            entry = _Entry(frozenset(rule.verbs), frozenset(rule.resource_names) if rule.resource_names else None)
            for group in rule.api_groups:
                for resource in rule.resources:
                    self._index[group, resource] = (*self._index.get((group, resource), ()), entry)
        self._wild = any(group == ALL or resource.startswith(ALL) for group, resource in self._index)

    def _entries(self, group: str, resource: str) -> tuple[_Entry, ...]:
        exact = self._index.get((group, resource), ())
        if not self._wild:
            return exact
        return sum((self._index.get(key, ()) for key in _wider(group, resource)), exact)

    def missing(self, rules: Iterable[Rule]) -> tuple[Right, ...]:
        """The rights that lie beyond the ceiling, sorted; empty when all are within it."""
        beyond: set[Right] = set()
        for rule in rules:
            for group in rule.api_groups:
                for resource in rule.resources:
                    beyond.update(_uncovered(rule, group, resource, self._entries(group, resource)))
        return tuple(sorted(beyond, key=_order))


def _wider(group: str, resource: str) -> Iterator[tuple[str, str]]:
    """The groups and resources with wildcards that cover this pair, without the pair itself."""
    resources = {resource, ALL}
    _, slash, sub = resource.partition("/")
    if slash:
        resources.add(f"{ALL}/{sub}")
    return ((g, r) for g in {group, ALL} for r in resources if (g, r) != (group, resource))


def _uncovered(rule: Rule, group: str, resource: str, entries: tuple[_Entry, ...]) -> Iterator[Right]:
    names: tuple[str | None, ...] = rule.resource_names or (None,)
    for verb in rule.verbs:
        allowing = [entry.names for entry in entries if verb in entry.verbs or ALL in entry.verbs]
        if None in allowing:
            continue
        for name in names:
            if name is None or not any(name in allowed for allowed in allowing if allowed is not None):
                yield Right(group, resource, verb, name)


def _order(right: Right) -> tuple[str, str, str, str]:
    return (right.group, right.resource, right.verb, right.name or "")


def covers(ceiling: Iterable[Rule], wanted: Iterable[Rule]) -> tuple[Right, ...]:
    """The atomic rights of `wanted` that no rule of `ceiling` covers; empty when all are covered."""
    return Ceiling(ceiling).missing(wanted)


def subset(inner: Iterable[Rule], outer: Iterable[Rule]) -> bool:
    """Whether every request that `inner` allows is allowed by `outer`."""
    return not covers(outer, inner)


@lru_cache(maxsize=4096)
def _normalise(rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
    return _merge(_maximal(rules))


def normalise(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """Canonical form: rules that allow the same requests have the same one, whatever their order or division.

    Rights that another one covers are left out; what remains is merged over verbs, then resources, then groups.
    Equal forms are shared, since thousands of agents of one role hold the same rights.
    """
    return _normalise(tuple(rules))


# Names allowed per group, resource and verb. None: every name.
_Names = dict[tuple[str, str, str], set[str] | None]


def _maximal(rules: Iterable[Rule]) -> _Names:
    """The rights that no other right covers."""
    held: _Names = {}
    for right in rights(rules):
        key = right[:3]
        names = held.setdefault(key, set())
        if right.name is None:
            held[key] = None
        elif names is not None:
            names.add(right.name)
    wild = [key for key in held if key[0] == ALL or key[1].startswith(ALL) or key[2] == ALL]
    return _without_covered(held) if wild else held


def _without_covered(held: _Names) -> _Names:
    kept: _Names = {}
    for (group, resource, verb), names in held.items():
        pairs = (*_wider(group, resource), (group, resource))
        wider = [
            key for pair in pairs for v in {verb, ALL} if (key := (*pair, v)) != (group, resource, verb) and key in held
        ]
        covering = [held[key] for key in wider]
        if None in covering:
            continue
        rest = None if names is None else names.difference(*(c for c in covering if c is not None))
        if rest is None or rest:
            kept[group, resource, verb] = rest
    return kept


def _merge(held: _Names) -> tuple[Rule, ...]:
    """Rules for the rights, merged one dimension after the other; sorted, so that the result has one form."""
    verbs: dict[tuple[str, str, tuple[str, ...]], set[str]] = {}
    for (group, resource, verb), names in held.items():
        verbs.setdefault((group, resource, () if names is None else _set(names)), set()).add(verb)
    resources: dict[tuple[str, tuple[str, ...], tuple[str, ...]], set[str]] = {}
    for (group, resource, limit), some in verbs.items():
        resources.setdefault((group, _set(some), limit), set()).add(resource)
    groups: dict[tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]], set[str]] = {}
    for (group, some_verbs, limit), some in resources.items():
        groups.setdefault((_set(some), some_verbs, limit), set()).add(group)
    return tuple(sorted(Rule(_set(some), *rest) for rest, some in groups.items()))


def intersection(live: Iterable[Rule], desired: Iterable[Rule]) -> tuple[Rule, ...]:
    """Rules, in normal form, that allow exactly the requests that both allow.

    Works on whole rules (the meet of two products is the product of the meets), so that a huge live Role costs little
    when the desired one is small.
    """
    others = tuple(desired)
    return normalise(meet for a in live for b in others if (meet := _meet(a, b)) is not None)


def overlaps(left: Iterable[Rule], right: Iterable[Rule]) -> bool:
    """Whether there is a request that both allow."""
    others = tuple(right)
    return any(_meet(a, b) is not None for a in left for b in others)


def _meet(a: Rule, b: Rule) -> Rule | None:
    names = _meet_names(a.resource_names, b.resource_names)
    if names is None:
        return None
    groups, verbs = _meet_plain(a.api_groups, b.api_groups), _meet_plain(a.verbs, b.verbs)
    met = Rule(groups, _meet_resources(a.resources, b.resources), verbs, names)
    return met if met.size else None


def _meet_names(a: tuple[str, ...], b: tuple[str, ...]) -> tuple[str, ...] | None:
    """Names that both allow; () for every name, None for none."""
    if not a or not b:
        return a or b
    return _set(set(a) & set(b)) or None


def _meet_plain(a: tuple[str, ...], b: tuple[str, ...]) -> tuple[str, ...]:
    both = set(a) & set(b)
    return _set(both.union(b if ALL in a else (), a if ALL in b else ()))


def _meet_resources(a: tuple[str, ...], b: tuple[str, ...]) -> tuple[str, ...]:
    met = set(_meet_plain(a, b))
    for wild, plain in ((a, b), (b, a)):
        subs = {resource[2:] for resource in wild if resource.startswith("*/")}
        met.update(resource for resource in plain if "/" in resource and resource.partition("/")[2] in subs)
    return _set(met)
