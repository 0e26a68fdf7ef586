"""The rule algebra against the API server: what a ceiling covers is what the escalation check lets its holder grant."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

import pytest

from aiagent_operator.core.rights.rules import Ceiling, Right, Rule, intersection, normalise, rights
from support.kube import ApiError, Kube, wait_for

RBAC = "rbac.authorization.k8s.io"
GRANTING = Rule((RBAC,), ("roles",), ("create",))
GROUPS, VERBS, NAMES = ("", "apps", "*"), ("get", "update", "use", "*"), ("a", "b", "")
RESOURCES = ("pods", "deployments", "pods/status", "deployments/scale", "*/status", "*")


@dataclass(frozen=True)
class Pair:
    """What a user holds, and what it tries to grant."""

    user: str
    ceiling: tuple[Rule, ...]
    wanted: tuple[Rule, ...]


def _rule(random: Random) -> Rule:
    def some(values: tuple[str, ...]) -> list[str]:
        return random.sample(values, random.randint(1, 2))

    names = some(NAMES) if random.random() < 0.35 else []
    wire = {"apiGroups": some(GROUPS), "resources": some(RESOURCES), "verbs": some(VERBS), "resourceNames": names}
    return Rule.from_wire(wire)


def _pair(seed: int) -> Pair:
    """Half of what is wanted is a part of the ceiling, else hardly anything would be covered."""
    random = Random(seed)
    ceiling = (GRANTING, *(_rule(random) for _ in range(random.randint(1, 4))))
    fresh = tuple(_rule(random) for _ in range(random.randint(1, 2)))
    return Pair(f"granter-{seed}", ceiling, intersection(fresh, ceiling) or fresh if seed % 2 else fresh)


def _role(namespace: str, name: str, rules: tuple[Rule, ...]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": f"{RBAC}/v1", "kind": "Role", "metadata": metadata, "rules": [r.to_wire() for r in rules]}


def _binding(namespace: str, name: str, user: str) -> dict[str, Any]:
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": name, "namespace": namespace},
        "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": name},
        "subjects": [{"apiGroup": RBAC, "kind": "User", "name": user}],
    }


def _may_grant(user: Kube, role: dict[str, Any]) -> bool:
    """Whether the API server lets the user write the Role; refusals for any other reason are raised."""
    try:
        user.create(role, dry_run=True)
    except ApiError as error:
        if error.status == 403 and "attempting to grant RBAC permissions not currently held" in error.message:
            return False
        raise
    return True


def _wait_until_known(admin: Kube, namespace: str, user: str) -> None:
    wait_for(
        lambda: admin.allowed(user, "create", "roles", group=RBAC, namespace=namespace),
        what=f"the API server to know the binding of {user}",
    )


@pytest.mark.cluster
def test_the_escalation_check_agrees_with_the_ceiling(admin: Kube, namespace: str) -> None:
    pairs = [_pair(seed) for seed in range(120)]
    for pair in pairs:
        admin.create(_role(namespace, pair.user, pair.ceiling))
        admin.create(_binding(namespace, pair.user, pair.user))

    answers = []
    for pair in pairs:
        _wait_until_known(admin, namespace, pair.user)
        granted = _may_grant(admin.as_user(pair.user), _role(namespace, "wanted", pair.wanted))
        assert granted == (not Ceiling(pair.ceiling).missing(pair.wanted)), pair
        answers.append(granted)
    assert 20 <= sum(answers) <= 100, "the pairs no longer try both answers"


@pytest.mark.cluster
def test_the_api_server_allows_by_a_normal_form_what_it_allows_by_the_rules(admin: Kube, namespace: str) -> None:
    random = Random(7)
    raw = (*(_rule(random) for _ in range(3)), Rule(("batch",), ("jobs",), ("get", "list"), ("a", "b")))
    for name, rules in (("raw", raw), ("normal", normalise(raw))):
        admin.create(_role(namespace, name, (GRANTING, *rules)))
        admin.create(_binding(namespace, name, name))
        _wait_until_known(admin, namespace, name)

    def asked(user: str, right: Right) -> bool:
        resource, _, sub = right.resource.partition("/")
        return admin.allowed(
            user,
            right.verb,
            resource,
            group=right.group,
            subresource=sub,
            name=right.name or "",
            namespace=namespace,
        )

    requests = sorted(
        {
            Right(group, resource, verb, name)
            for group in ("", "apps", "batch")
            for resource in ("pods", "jobs", "pods/status", "jobs/scale")
            for verb in ("get", "use", "list")
            for name in ("", "a", "other")
        }
    )
    answers = {request: asked("raw", request) for request in requests}
    assert answers == {request: asked("normal", request) for request in requests}
    assert set(answers.values()) == {True, False}
    assert rights(normalise(raw)) <= rights(raw)
