"""What a scan of foreign bindings, network policies and pods found, ready to be asked agent by agent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, TypeVar

from aiagent_operator.api import meta
from aiagent_operator.core.objects import AgentIdentity
from aiagent_operator.core.rights.exposure import MOST, Exposure, RoleFacts, Way, selects

_ACCOUNT_USER: Final = "system:serviceaccount:"

# Groups that agents are in, like everybody or every account.
_EVERYBODY: Final = ("system:authenticated", "system:serviceaccounts")
_NAMESPACE_GROUP: Final = "system:serviceaccounts:"

# What Kubernetes itself, and this operator's chart, give to everybody: discovery, and one's own name.
_HARMLESS: Final = frozenset(
    {
        "system:basic-user",
        "system:discovery",
        "system:public-info-viewer",
        "system:service-account-issuer-discovery",
        "workforce-roles-view",
    }
)
_SYSTEM_GROUPS: Final = frozenset({"system:masters", "system:nodes"})
_NO_SYSTEM_USERS: Final = (_ACCOUNT_USER, "system:anonymous")


class Holder(NamedTuple):
    """A subject of a binding: `key` is the same for one account named as ServiceAccount or as User."""

    key: str
    text: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One power that a subject holds, in a namespace or (namespace empty) in all."""

    holder: Holder
    exposure: Exposure
    names: frozenset[str] | None
    users: bool

    def concerns(self, agent: AgentIdentity) -> bool:
        """Whether it reaches this agent: not where names leave it out, and not where the agent itself holds it."""
        if self.holder.key == meta.username(agent.namespace, agent.name):
            return False
        if self.names is None:
            return True
        wanted = meta.username(agent.namespace, agent.name) if self.users else meta.account_name(agent.name)
        return wanted in self.names


@dataclass(slots=True)
class Scope:
    """What foreign bindings of one namespace (or of the whole cluster) give."""

    entries: list[Entry] = field(default_factory=list)
    authors: set[str] = field(default_factory=set)


class Facts:
    """Findings of one scan. Filled by `Collector`, then only read."""

    def __init__(self) -> None:
        self.cluster = Scope()
        self.namespaces: dict[str, Scope] = {}
        self.named: dict[str, list[Exposure]] = {}
        self.groups: dict[str, list[Exposure]] = {}
        self.policies: dict[str, list[tuple[Exposure, Mapping[str, Any]]]] = {}
        self.selected: dict[tuple[str, str], list[Exposure]] = {}
        self.borrowed: dict[str, list[Exposure]] = {}
        self._merged: dict[str, tuple[Entry, ...]] = {}

    def for_agent(self, agent: AgentIdentity) -> tuple[Exposure, ...]:
        """How the agent is exposed: gravest first, at most MOST."""
        user = meta.username(agent.namespace, agent.name)
        found = {entry.exposure for entry in self._entries(agent.namespace) if entry.concerns(agent)}
        found.update(
            self.borrowed.get(user, ()), self.named.get(user, ()), self.selected.get((agent.namespace, agent.uid), ())
        )
        for group in meta.user_groups(agent.namespace):
            found.update(self.groups.get(group, ()))
        found.update(exposure for exposure, selector in self.policies.get(agent.namespace, ()) if not selector)
        return tuple(sorted(found, key=lambda exposure: exposure.order)[:MOST])

    def changed(self, other: Facts) -> set[str] | None:
        """Namespaces whose agents may be judged differently than by the other facts; None: all of them."""
        if self.cluster != other.cluster or self._everybody() != other._everybody():
            return None
        changed = _differing(self.namespaces, other.namespaces) | _differing(self.policies, other.policies)
        changed |= {group.removeprefix(_NAMESPACE_GROUP) for group in _differing(self.groups, other.groups)}
        changed |= {namespace for namespace, _ in _differing(self.selected, other.selected)}
        users = _differing(self.named, other.named) | _differing(self.borrowed, other.borrowed)
        changed |= {user.removeprefix(_ACCOUNT_USER).partition(":")[0] for user in users}
        return changed

    def _everybody(self) -> list[list[Exposure]]:
        return [self.groups.get(group, []) for group in _EVERYBODY]

    def _entries(self, namespace: str) -> tuple[Entry, ...]:
        """All powers in the namespace; those to change workloads not where their holder writes the AIAgents anyway."""
        if namespace not in self._merged:
            own = self.namespaces.get(namespace) or Scope()
            authors = self.cluster.authors | own.authors
            entries = (*self.cluster.entries, *own.entries)
            self._merged[namespace] = tuple(
                e for e in entries if e.exposure.way is not Way.WORKLOAD or e.holder.key not in authors
            )
        return self._merged[namespace]


K = TypeVar("K")


def _differing(one: Mapping[K, Any], other: Mapping[K, Any]) -> set[K]:
    return {key for key in one.keys() | other.keys() if one.get(key) != other.get(key)}


class Collector:
    """Reduces what a scan reads, object by object, to Facts. Roles must be told before the bindings that name them."""

    def __init__(self, operator_username: str) -> None:
        self.facts = Facts()
        self._operator = operator_username
        self._roles: dict[tuple[str, str], RoleFacts] = {}

    def role(self, namespace: str, name: str, facts: RoleFacts) -> None:
        """A Role, or (namespace empty) a ClusterRole. Those that grant nothing of interest need no memory."""
        if not facts.empty:
            self._roles[namespace, name] = facts

    def binding(self, binding: Mapping[str, Any]) -> None:
        """A RoleBinding or ClusterRoleBinding; it must not be the operator's own."""
        namespace = binding["metadata"].get("namespace", "")
        ref = binding["roleRef"]
        role = self._roles.get(("" if ref["kind"] == "ClusterRole" else namespace, ref["name"]))
        if role is None:
            return
        kind, where = ("RoleBinding", f"{namespace}/") if namespace else ("ClusterRoleBinding", "")
        source = f"{kind} {where}{binding['metadata']['name']} to {ref['kind']} {ref['name']}"
        for subject in binding.get("subjects") or ():
            holder = _holder(subject, namespace)
            self._reaching(holder, source, ref["name"])
            if not self._is_system(subject, holder) and not _is_administrator(subject, role, namespace):
                self._held(holder, role, source, namespace)

    def _reaching(self, holder: Holder, source: str, role: str) -> None:
        """Rights that come to agents: to an account by name, or to a group that accounts are in."""
        group = holder.key.removeprefix("group:")
        if (
            holder.key != group
            and role not in _HARMLESS
            and (group in _EVERYBODY or group.startswith(_NAMESPACE_GROUP))
        ):
            self.facts.groups.setdefault(group, []).append(Exposure(Way.GROUP, "", group, source))
        elif holder.key.startswith(_ACCOUNT_USER) and f":{meta.ACCOUNT_PREFIX}" in holder.key:
            self.facts.named.setdefault(holder.key, []).append(Exposure(Way.NAMED, "", "", source))

    def _held(self, holder: Holder, role: RoleFacts, source: str, namespace: str) -> None:
        if not role.author and not role.powers:
            return
        scope = self.facts.namespaces.setdefault(namespace, Scope()) if namespace else self.facts.cluster
        if role.author:
            scope.authors.add(holder.key)
        for power in role.powers:
            # A RoleBinding gives no right to what has no namespace (users, nodes).
            if power.namespaced or not namespace:
                exposure = Exposure(power.way, holder.text, power.right, source)
                scope.entries.append(Entry(holder, exposure, power.names, power.right.endswith(" users")))

    def _is_system(self, subject: Mapping[str, Any], holder: Holder) -> bool:
        """The operator, and components of Kubernetes: who has these has the cluster."""
        name = subject["name"]
        if subject["kind"] == "Group":
            return name in _SYSTEM_GROUPS or name == f"{_NAMESPACE_GROUP}kube-system"
        if holder.key == self._operator or holder.key.startswith(f"{_ACCOUNT_USER}kube-system:"):
            return True
        return subject["kind"] == "User" and name.startswith("system:") and not name.startswith(_NO_SYSTEM_USERS)

    def network_policy(self, policy: Mapping[str, Any]) -> None:
        """A NetworkPolicy that is not the operator's. One without any rule allows nothing, and so widens nothing."""
        spec = policy.get("spec") or {}
        widened = [part for part in ("egress", "ingress") if spec.get(part)]
        if not widened:
            return
        namespace, name = policy["metadata"]["namespace"], policy["metadata"]["name"]
        exposure = Exposure(Way.NETWORK, "", " and ".join(widened), f"NetworkPolicy {namespace}/{name}")
        selector = {key: value for key, value in (spec.get("podSelector") or {}).items() if value}
        self.facts.policies.setdefault(namespace, []).append((exposure, selector))

    def selectors(self, namespace: str) -> list[tuple[Exposure, Mapping[str, Any]]]:
        """The namespace's foreign network policies that select by labels: whether an agent's pods, only these tell."""
        return [(exposure, selector) for exposure, selector in self.facts.policies.get(namespace, ()) if selector]

    def agent_pod(self, namespace: str, labels: Mapping[str, str]) -> None:
        """The labels of an agent's pod, for the policies that select by labels; these must be told before."""
        for exposure, selector in self.selectors(namespace):
            found = self.facts.selected.setdefault((namespace, labels[meta.LABEL_AGENT_UID]), [])
            if selects(selector, labels) and exposure not in found:
                found.append(exposure)

    def pod(self, namespace: str, name: str, account: str) -> None:
        """A pod without an agent's labels."""
        if account.startswith(meta.ACCOUNT_PREFIX):
            found = self.facts.borrowed.setdefault(f"{_ACCOUNT_USER}{namespace}:{account}", [])
            found.append(Exposure(Way.BORROWED, "", "", f"Pod {namespace}/{name}"))

    def finish(self) -> Facts:
        """The facts in an order of their own, so that two scans of the same cluster compare equal."""
        for scope in (self.facts.cluster, *self.facts.namespaces.values()):
            scope.entries.sort(key=lambda entry: (*entry.exposure.order, sorted(entry.names or ())))
        for exposures in _lists(self.facts):
            exposures.sort(key=lambda exposure: exposure.order)
        for policies in self.facts.policies.values():
            policies.sort(key=lambda pair: pair[0].order)
        return self.facts


def _lists(facts: Facts) -> Iterator[list[Exposure]]:
    for by_key in (facts.named, facts.groups, facts.selected, facts.borrowed):
        yield from by_key.values()


def _holder(subject: Mapping[str, Any], namespace: str) -> Holder:
    kind, name = subject["kind"], subject["name"]
    if kind == "ServiceAccount":
        where = subject.get("namespace") or namespace
        return Holder(f"{_ACCOUNT_USER}{where}:{name}", f"ServiceAccount {where}/{name}")
    return Holder(f"group:{name}" if kind == "Group" else name, f'{kind} "{name}"')


def _is_administrator(subject: Mapping[str, Any], role: RoleFacts, namespace: str) -> bool:
    """Whether the subject may do everything in the cluster, the admission policies included: their keeper, no exposure.

    A group that everybody is in is no administrator, whatever is bound to it.
    """
    broad = subject["kind"] == "Group" and subject["name"].startswith(
        ("system:authenticated", "system:serviceaccounts")
    )
    anonymous = subject["name"] in {"system:anonymous", "system:unauthenticated"}
    return role.everything and not namespace and not broad and not anonymous
