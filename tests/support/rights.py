"""What an agent may and may not do, asked of the API server."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from support.kube import Kube, Object

CHANGES = ("update", "create", "delete")
NEVER = (("", "secrets", "get"), ("rbac.authorization.k8s.io", "rolebindings", "create"), ("", "pods/exec", "create"))
MOST_REFUSED = 12


@dataclass(frozen=True, order=True)
class Right:
    """One verb on one resource in one namespace; an empty name is every object."""

    namespace: str
    group: str
    resource: str
    verb: str
    name: str = ""

    @property
    def target(self) -> str:
        """What it is about, without the verb."""
        kind = f"{self.resource}.{self.group}" if self.group else self.resource
        return f"{kind}{f' {self.name}' if self.name else ''} in {self.namespace}"


@dataclass(frozen=True)
class Answer:
    """What was expected from the agent's status, and what the API server says."""

    right: Right
    why: str
    expected: bool
    allowed: bool

    @property
    def agrees(self) -> bool:
        """Whether the agent's status tells the truth."""
        return self.expected == self.allowed


def full_name(agent: Object) -> str:
    """namespace/name."""
    return f"{agent['metadata']['namespace']}/{agent['metadata']['name']}"


def granted(agent: Object) -> dict[Right, str]:
    """Each right that the agent's status says it has, with the permission it comes from."""
    return {
        right: permission["name"]
        for permission in agent.get("status", {}).get("permissions", [])
        if permission["state"] == "Granted"
        for right in _rights(permission.get("rules", []), permission.get("namespaces", []))
    }


def questions(agent: Object, others: Iterable[Object]) -> dict[Right, tuple[bool, str]]:
    """What to ask about an agent: all that it has, and what is near to it and must be refused."""
    own = granted(agent)
    asked = {right: (True, f"permission {name}") for right, name in own.items()}
    refused = [(right, why) for right, why in _near(agent, own, others) if not _covered(right, own)]
    for right, why in refused[:MOST_REFUSED]:
        asked.setdefault(right, (False, why))
    return asked


def ask(admin: Kube, agent: Object, asked: Mapping[Right, tuple[bool, str]]) -> list[Answer]:
    """One SubjectAccessReview for each, as the agent's ServiceAccount with the groups that its token carries."""
    namespace = agent["metadata"]["namespace"]
    user = f"system:serviceaccount:{namespace}:{agent['status']['serviceAccount']}"
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
    answers = []
    for right, (expected, why) in asked.items():
        resource, _, subresource = right.resource.partition("/")
        allowed = admin.allowed(
            user,
            right.verb,
            resource,
            groups=groups,
            group=right.group,
            namespace=right.namespace,
            name=right.name,
            subresource=subresource,
        )
        answers.append(Answer(right, why, expected, allowed))
    return answers


def _rights(rules: Iterable[Object], namespaces: Iterable[str]) -> Iterator[Right]:
    for namespace in namespaces:
        for rule in rules:
            for group in rule["apiGroups"]:
                for resource in rule["resources"]:
                    for verb in rule["verbs"]:
                        for name in rule.get("resourceNames") or [""]:
                            yield Right(namespace, group, resource, verb, name)


def _near(agent: Object, own: Mapping[Right, str], others: Iterable[Object]) -> Iterator[tuple[Right, str]]:
    namespace = agent["metadata"]["namespace"]
    for permission in agent.get("status", {}).get("permissions", []):
        if permission["state"] != "Granted":
            for right in _rights(permission.get("rules", []), permission.get("namespaces", [])):
                yield right, f"{permission['name']} is {permission['state']}"
    for group, resource, verb in NEVER:
        yield Right(namespace, group, resource, verb), "never asked for"
    for other in others:
        theirs = next(iter(granted(other)), None)
        if theirs is not None and full_name(other) != full_name(agent):
            yield theirs, f"it is {other['metadata']['name']}'s"
    seen: set[str] = set()
    for right in own:
        if right.name:
            yield replace(right, name=""), f"only {right.name} is granted"
        missing = [verb for verb in CHANGES if not _covered(replace(right, verb=verb), own)]
        if missing and right.target not in seen:
            seen.add(right.target)
            yield replace(right, verb=missing[0]), "not granted"


def _covered(right: Right, own: Mapping[Right, str]) -> bool:
    return right in own or replace(right, name="") in own
