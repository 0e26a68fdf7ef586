"""The algebra of rules, against an authoriser written from the documentation of RBAC and nothing else."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiagent_operator.api.permissions import PolicyRule
from aiagent_operator.core.rights.rules import (
    Ceiling,
    Right,
    Rule,
    count,
    covers,
    intersection,
    normalise,
    overlaps,
    read,
    rights,
    subset,
)


class Request(NamedTuple):
    group: str
    resource: str
    subresource: str
    verb: str
    name: str


# No rule below names the "other" values, so that a wildcard is never mistaken for the list of all that rules name.
REQUESTS = [
    Request(*values)
    for values in itertools.product(
        ("", "apps", "other.example"),
        ("pods", "jobs", "others"),
        ("", "status", "exec", "other"),
        ("get", "create", "other"),
        ("", "a", "b", "other"),
    )
]


def matches(rule: Rule, request: Request) -> bool:
    """RBAC as documented: one rule must match all of the request."""
    whole = f"{request.resource}/{request.subresource}" if request.subresource else request.resource
    matching = {"*", whole} | ({f"*/{request.subresource}"} if request.subresource else set())
    return bool(
        {"*", request.group} & set(rule.api_groups)
        and matching & set(rule.resources)
        and {"*", request.verb} & set(rule.verbs)
        and (not rule.resource_names or request.name in rule.resource_names)
    )


@cache
def allowed_by(rule: Rule) -> frozenset[Request]:
    return frozenset(request for request in REQUESTS if matches(rule, request))


def allowed(rules: Iterable[Rule]) -> frozenset[Request]:
    """Rules are additive."""
    return frozenset[Request]().union(*map(allowed_by, rules))


def some(values: tuple[str, ...], *, least: int = 1) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(values), min_size=least, max_size=3).map(lambda found: tuple(sorted(set(found))))


RULE = st.builds(
    Rule,
    some(("", "apps", "*")),
    some(("pods", "jobs", "pods/status", "jobs/exec", "*/status", "*")),
    some(("get", "create", "*")),
    st.one_of(st.just(()), some(("a", "b", ""))),
)
RULES = st.lists(RULE, max_size=4).map(tuple)


def one(right: Right) -> Rule:
    return Rule((right.group,), (right.resource,), (right.verb,), () if right.name is None else (right.name,))


@settings(max_examples=300, deadline=None)
@given(RULES, RULES)
def test_covers_names_exactly_the_rights_beyond(ceiling: tuple[Rule, ...], wanted: tuple[Rule, ...]) -> None:
    within = allowed(ceiling)
    expected = {right for right in rights(wanted) if not allowed([one(right)]) <= within}
    assert set(covers(ceiling, wanted)) == expected
    assert subset(wanted, ceiling) == (allowed(wanted) <= within)


@settings(max_examples=300, deadline=None)
@given(RULES)
def test_normal_form_allows_the_same(rules: tuple[Rule, ...]) -> None:
    assert allowed(normalise(rules)) == allowed(rules)
    assert normalise(normalise(rules)) == normalise(rules)
    assert count(normalise(rules)) == len(rights(normalise(rules))) <= count(rules)


@settings(max_examples=300, deadline=None)
@given(RULES, st.randoms())
def test_normal_form_is_one_however_the_rights_are_divided(rules: tuple[Rule, ...], random: object) -> None:
    atoms = [one(right) for right in rights(rules)] * 2
    random.shuffle(atoms)  # type: ignore[attr-defined]
    assert normalise(atoms) == normalise(rules)


@settings(max_examples=300, deadline=None)
@given(RULES, RULES)
def test_equal_rights_have_equal_normal_forms(left: tuple[Rule, ...], right: tuple[Rule, ...]) -> None:
    assert (normalise(left) == normalise(right)) == (allowed(left) == allowed(right))


@settings(max_examples=300, deadline=None)
@given(RULES, RULES)
def test_intersection_allows_what_both_allow(live: tuple[Rule, ...], desired: tuple[Rule, ...]) -> None:
    assert allowed(intersection(live, desired)) == allowed(live) & allowed(desired)
    assert overlaps(live, desired) == bool(allowed(live) & allowed(desired))


@settings(max_examples=300, deadline=None)
@given(RULES)
def test_wire_round_trip(rules: tuple[Rule, ...]) -> None:
    assert tuple(Rule.from_wire(rule.to_wire()) for rule in rules) == rules
    assert read([rule.to_wire() for rule in rules]) == normalise(rules)


def test_live_rules_are_put_in_order() -> None:
    live = {"apiGroups": ["apps", "", "apps"], "resources": ["pods", "jobs"], "verbs": ["watch", "get", "get"]}
    assert Rule.from_wire(live) == Rule(("", "apps"), ("jobs", "pods"), ("get", "watch"))
    assert read([{"nonResourceURLs": ["/metrics"], "verbs": ["get"]}, {**live, "resourceNames": None}]) == (
        Rule.from_wire(live),
    )
    assert read(None) == ()


def test_rules_of_agents_and_of_roles_on_the_wire_agree() -> None:
    rule = PolicyRule(api_groups=("apps", ""), resources=("pods",), verbs=("list", "get"), resource_names=("b", "a"))
    wire = {"apiGroups": ["", "apps"], "resources": ["pods"], "verbs": ["get", "list"], "resourceNames": ["a", "b"]}
    assert Rule.of(rule).to_wire() == wire
    assert "resourceNames" not in Rule(("",), ("pods",), ("get",)).to_wire()


def test_a_huge_live_role_is_compared_without_being_expanded() -> None:
    many = [f"x{number}" for number in range(2000)]
    live = read([{"apiGroups": [*many, ""], "resources": [*many, "pods"], "verbs": [*many, "get"]}])
    desired = (Rule(("",), ("pods",), ("get", "list")),)
    assert live != desired
    assert intersection(live, desired) == (Rule(("",), ("pods",), ("get",)),)


def test_a_resource_may_be_spread_over_several_rules_of_a_ceiling() -> None:
    ceiling = Ceiling([Rule(("",), ("pods",), ("get",)), Rule(("",), ("pods",), ("list",), ("a",))])
    assert ceiling.missing([Rule(("",), ("pods",), ("get",))]) == ()
    assert ceiling.missing([Rule(("",), ("pods",), ("get", "list"))]) == (Right("", "pods", "list"),)


@pytest.mark.parametrize(
    ("right", "text"),
    [
        (Right("", "pods", "get"), "get pods"),
        (Right("apps", "deployments", "patch", "web"), 'patch deployments.apps "web"'),
        (Right("apps", "deployments/scale", "patch"), "patch deployments.apps/scale"),
    ],
)
def test_rights_read_as_kubectl_writes_them(right: Right, text: str) -> None:
    assert str(right) == text
