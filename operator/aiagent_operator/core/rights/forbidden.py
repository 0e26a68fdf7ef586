"""Rights that no agent may ever hold, whoever grants them, each with the reason.

The admission policy `operator-roles.workforce.dev` refuses the same in the operator's Roles, so that it holds without
this code; here it is refused beforehand, with a reason. A test keeps the two lists equal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from aiagent_operator.core.rights.rules import ALL, Rule

_UNKNOWN: Final = "a wildcard includes what nobody has looked at; name what is needed"
_ACCOUNT: Final = "what runs in a pod acts as the pod's account"

VERBS: Final[Mapping[str, str]] = {
    ALL: _UNKNOWN,
    "bind": "it lets the agent bind roles that hold more than it has",
    "escalate": "it lets the agent write roles that hold more than it has",
}

VERB_PREFIXES: Final[Mapping[str, str]] = {
    "impersonate": "it lets the agent act as somebody else",
}

GROUPS: Final[Mapping[str, str]] = {
    ALL: _UNKNOWN,
    "admissionregistration.k8s.io": "admission policies and webhooks fence agents, so no agent may change them",
    "apiextensions.k8s.io": "a definition holds all objects of its kind, so no agent may change one",
    "apiregistration.k8s.io": "whoever registers an API reads what is sent to it",
    "authentication.k8s.io": "it issues and checks identities",
    "authorization.k8s.io": "it tells what others may do",
    "certificates.k8s.io": "a signed certificate is another identity",
    "rbac.authorization.k8s.io": "an agent may not change who holds which rights",
    "workforce.dev": "an agent may not change agents, their roles or itself",
}

RESOURCES: Final[Mapping[str, str]] = {
    "nodes": "nodes belong to the cluster, not to a namespace that an agent works in",
    "pods/attach": _ACCOUNT,
    "pods/ephemeralcontainers": _ACCOUNT,
    "pods/exec": _ACCOUNT,
    "pods/portforward": "it reaches ports that network policies close",
    "serviceaccounts/token": "a token of another account is another identity",
}

RESOURCE_PARTS: Final[Mapping[str, str]] = {
    ALL: _UNKNOWN,
    "/proxy": "requests through a proxy reach pods and kubelets past network policies and RBAC",
}


def refused(rule: Rule) -> str | None:
    """The first of the rule's groups, verbs and resources that no agent may hold, and why; None where there is none."""
    for group in rule.api_groups:
        if reason := GROUPS.get(group):
            return f'API group "{group}": {reason}'
    for verb in rule.verbs:
        if reason := VERBS.get(verb) or _first(VERB_PREFIXES, verb.startswith):
            return f'verb "{verb}": {reason}'
    for resource in rule.resources:
        if reason := RESOURCES.get(resource) or _first(RESOURCE_PARTS, resource.__contains__):
            return f'resource "{resource}": {reason}'
    return None


def _first(reasons: Mapping[str, str], matches: Callable[[str], bool]) -> str | None:
    return next((reason for part, reason in reasons.items() if matches(part)), None)
