"""Ways in which somebody else can act as an agent, or change what it may do or reach.

Admission policies keep agents' accounts out of strangers' workloads, bindings and tokens. What no policy can stop is
judged here from RBAC itself: impersonation, and everything that leads into a running pod.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from aiagent_operator.core.rights.rules import ALL

MOST: Final = 64
"""Exposures kept for one agent; more of them say nothing new."""


class Way(StrEnum):
    """How an agent is exposed. The order of the members is that of gravity."""

    IMPERSONATE = "may impersonate"
    EXEC = "may run commands in its pods"
    ATTACH = "may attach to its pods"
    DEBUG = "may add containers to its pods"
    NODE = "may run commands in its pods through the kubelet"
    WORKLOAD = "may change its workload"
    BORROWED = "runs as its account"
    NAMED = "gives rights to its account"
    GROUP = "gives rights to its group"
    NETWORK = "widens what its pods may reach or who reaches them"

    @property
    def takes_identity(self) -> bool:
        """Whether somebody can act as the agent; else the agent itself can do more than was granted."""
        return self not in _ON_AGENT


_ON_AGENT: Final = frozenset({Way.NAMED, Way.GROUP, Way.NETWORK})
_GRAVITY: Final = {way: rank for rank, way in enumerate(Way)}


@dataclass(frozen=True, slots=True)
class Exposure:
    """One way, by one subject, through one object. `source` names the object to change; `subject` may be empty."""

    way: Way
    subject: str
    right: str
    source: str

    def __str__(self) -> str:
        right = f" ({self.right})" if self.right else ""
        if self.subject:
            return f"{self.subject} {self.way}{right}, by {self.source}"
        return f"{self.source} {self.way}{right}"

    @property
    def order(self) -> tuple[int, str, str, str]:
        """Gravest first, then by name: the same facts read the same in every status."""
        return (_GRAVITY[self.way], self.source, self.subject, self.right)


@dataclass(frozen=True, slots=True)
class Power:
    """One way that a role opens. `names`: the accounts or users that it is limited to, None for all."""

    way: Way
    right: str
    names: frozenset[str] | None = None
    namespaced: bool = True


@dataclass(frozen=True, slots=True)
class RoleFacts:
    """What matters of a Role or ClusterRole, whose rules may be long: some hundred bytes at most.

    author: may write AIAgents, and so decides about their workload anyway. everything: a cluster administrator's.
    empty: grants nothing.
    """

    powers: tuple[Power, ...] = ()
    author: bool = False
    everything: bool = False
    empty: bool = True


_EMPTY: Final = RoleFacts()
_PLAIN: Final = RoleFacts(empty=False)

_WRITE = ("update", "patch")
_IMPERSONATION = ("", "authentication.k8s.io")  # the second: constrained impersonation (Kubernetes 1.35, KEP-5284)

# (way, groups, resources, verbs, namespaced). Any of the verbs is enough: exec over a websocket was a GET until 1.35.
_TABLE: Final = (
    (Way.IMPERSONATE, _IMPERSONATION, ("serviceaccounts",), ("impersonate", "impersonate:serviceaccount"), True),
    (Way.IMPERSONATE, _IMPERSONATION, ("users",), ("impersonate", "impersonate:user-info"), False),
    (Way.EXEC, ("",), ("pods/exec",), ("create", "get"), True),
    (Way.ATTACH, ("",), ("pods/attach",), ("create", "get"), True),
    (Way.DEBUG, ("",), ("pods/ephemeralcontainers",), _WRITE, True),
    (Way.NODE, ("",), ("nodes/proxy",), ("create", "get"), False),
    (Way.WORKLOAD, ("",), ("pods",), _WRITE, True),
    (Way.WORKLOAD, ("apps",), ("deployments", "statefulsets", "replicasets"), _WRITE, True),
)
_AUTHOR: Final = (("workforce.dev",), ("aiagents",), ("create", "update", "patch"))


def role_facts(rules: Iterable[Mapping[str, Any]] | None) -> RoleFacts:
    """The facts of a role, from its rules as on the wire."""
    given = [
        rule for rule in rules or () if rule.get("verbs") and (rule.get("resources") or rule.get("nonResourceURLs"))
    ]
    if not given:
        return _EMPTY
    # One power per way says enough; the first in order, so that equal roles have equal facts.
    ordered = sorted(set(_powers(given)), key=lambda p: (_GRAVITY[p.way], p.right, sorted(p.names or ())))
    powers = {(p.way, p.names, p.namespaced): p for p in reversed(ordered)}.values()
    author = any(_match(rule, *_AUTHOR) for rule in given)
    everything = any(_is_everything(rule) for rule in given)
    if not powers and not author and not everything:
        return _PLAIN
    return RoleFacts(tuple(reversed(powers)), author, everything, empty=False)


def _powers(rules: Iterable[Mapping[str, Any]]) -> Iterable[Power]:
    for rule in rules:
        limit = frozenset(rule["resourceNames"]) if rule.get("resourceNames") else None
        for way, groups, resources, verbs, namespaced in _TABLE:
            found = _match(rule, groups, resources, verbs)
            if found:
                # Names of pods and workloads change; those of accounts and users do not.
                yield Power(way, found, limit if way is Way.IMPERSONATE else None, namespaced)


def _match(rule: Mapping[str, Any], groups: tuple[str, ...], resources: tuple[str, ...], verbs: tuple[str, ...]) -> str:
    """The first verb and resource of the table that the rule holds, wildcards included; empty where there is none."""
    held_groups = rule.get("apiGroups") or ()
    if ALL not in held_groups and not any(group in held_groups for group in groups):
        return ""
    verb = _first(verbs, rule["verbs"])
    resource = next((name for name in resources if _holds(rule.get("resources") or (), name)), "")
    return f"{verb} {resource}" if verb and resource else ""


def _first(wanted: tuple[str, ...], held: Iterable[str]) -> str:
    owned = set(held)
    return next((value for value in wanted if value in owned or ALL in owned), "")


def _holds(held: Iterable[str], resource: str) -> bool:
    _, slash, sub = resource.partition("/")
    return any(name in (ALL, resource) or (slash and name == f"*/{sub}") for name in held)


def _is_everything(rule: Mapping[str, Any]) -> bool:
    return all(ALL in (rule.get(part) or ()) for part in ("apiGroups", "resources", "verbs")) and not rule.get(
        "resourceNames"
    )


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a metav1.LabelSelector selects the labels; an empty one selects all, an unknown operator nothing."""
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_meets(requirement, labels) for requirement in selector.get("matchExpressions") or ())


def _meets(requirement: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    value = labels.get(requirement["key"])
    values = requirement.get("values") or ()
    match requirement.get("operator"):
        case "In":
            return value is not None and value in values
        case "NotIn":
            return value is None or value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case _:
            return False
