"""Rights that no agent may hold: the list refuses them, and it is the admission policy's list."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from aiagent_operator.core.rights import forbidden
from aiagent_operator.core.rights.rules import Rule

POLICY = Path(__file__).parents[2] / "charts/aiagent-operator/templates/policies/operator-rights.yaml"


def test_ordinary_rights_pass() -> None:
    assert forbidden.refused(Rule(("", "apps"), ("pods", "pods/log", "deployments/scale"), ("get", "patch"))) is None


@pytest.mark.parametrize(
    ("rule", "named"),
    [
        (Rule(("", "workforce.dev"), ("pods",), ("get",)), 'API group "workforce.dev"'),
        (Rule(("*",), ("pods",), ("get",)), 'API group "*"'),
        (Rule(("",), ("pods",), ("escalate", "get")), 'verb "escalate"'),
        (Rule(("",), ("users",), ("impersonate-on",)), 'verb "impersonate-on"'),
        (Rule(("",), ("pods", "pods/exec"), ("create",)), 'resource "pods/exec"'),
        (Rule(("",), ("services/proxy",), ("get",)), 'resource "services/proxy"'),
        (Rule(("",), ("*/status",), ("get",)), 'resource "*/status"'),
        (Rule(("",), ("*",), ("get",)), 'resource "*"'),
        (Rule(("metrics.k8s.io",), ("nodes",), ("get",)), 'resource "nodes"'),
    ],
)
def test_the_reason_names_what_is_wrong(rule: Rule, named: str) -> None:
    reason = forbidden.refused(rule)
    assert reason is not None
    assert reason.startswith(named + ": ")


@pytest.mark.parametrize(
    ("variable", "listed"),
    [
        ("forbiddenGroups", forbidden.GROUPS),
        ("forbiddenVerbs", forbidden.VERBS),
        ("forbiddenVerbPrefixes", forbidden.VERB_PREFIXES),
        ("forbiddenResources", forbidden.RESOURCES),
        ("forbiddenResourceParts", forbidden.RESOURCE_PARTS),
    ],
)
def test_the_admission_policy_holds_the_same_list(variable: str, listed: Iterable[str]) -> None:
    found = re.search(rf"- name: {variable}\n\s+expression: [^\[]*\[([^\]]*)\]", POLICY.read_text(encoding="utf-8"))
    assert found, f"{POLICY.name} has no variable {variable}"
    assert set(re.findall(r"'([^']*)'", found[1])) == set(listed)
