"""Which agents a policy selects: Kubernetes' label selectors, compared with a naive reading of the documentation."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagent_operator.core.policies.compiled import Subject
from support.policies import SUBJECT, policy

KEYS = ("app", "tier", "corp.example/team")
VALUES = ("", "a", "b", "gold")
LABELS = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES))


@st.composite
def requirements(draw: st.DrawFn) -> dict[str, Any]:
    operator = draw(st.sampled_from(("In", "NotIn", "Exists", "DoesNotExist")))
    requirement: dict[str, Any] = {"key": draw(st.sampled_from(KEYS)), "operator": operator}
    if operator in ("In", "NotIn"):
        requirement["values"] = draw(st.lists(st.sampled_from(VALUES), min_size=1, unique=True))
    return requirement


@st.composite
def selectors(draw: st.DrawFn) -> dict[str, Any]:
    """On the wire, empty fields included or left out."""
    selector: dict[str, Any] = {}
    if draw(st.booleans()):
        selector["matchLabels"] = draw(LABELS)
    if draw(st.booleans()):
        selector["matchExpressions"] = draw(st.lists(requirements(), max_size=3))
    return selector


def meets(labels: dict[str, str], selector: dict[str, Any]) -> bool:
    """The documentation, sentence by sentence: everything that is named must hold."""
    sentences = [(key, "In", [value]) for key, value in (selector.get("matchLabels") or {}).items()]
    sentences += [(r["key"], r["operator"], r.get("values", [])) for r in selector.get("matchExpressions") or []]
    for key, operator, values in sentences:
        if operator == "Exists" and key not in labels:
            return False
        if operator == "DoesNotExist" and key in labels:
            return False
        if operator == "In" and not (key in labels and labels[key] in values):
            return False
        if operator == "NotIn" and key in labels and labels[key] in values:
            return False
    return True


@given(
    st.none() | selectors(),
    st.none() | selectors(),
    st.none() | st.lists(st.sampled_from(("support", "triage")), unique=True),
    LABELS,
    LABELS,
    st.sampled_from(("support", "triage", "other")),
)
def test_all_that_is_named_must_hold(
    namespaces: dict[str, Any] | None,
    agents: dict[str, Any] | None,
    roles: list[str] | None,
    labels: dict[str, str],
    namespace_labels: dict[str, str],
    role: str,
) -> None:
    parts = {"namespaceSelector": namespaces, "agentSelector": agents, "roles": roles}
    selector = {name: part for name, part in parts.items() if part is not None}
    found = policy(selector=selector)
    assert not found.problem
    expected = (
        (namespaces is None or meets(namespace_labels, namespaces))
        and (agents is None or meets(labels, agents))
        and (not roles or role in roles)
    )
    assert found.scope.covers(Subject(role, labels, namespace_labels)) is expected


ON = {"tier": "gold"}
OFF: dict[str, str] = {}


@pytest.mark.parametrize(
    ("expression", "labels", "selected"),
    [
        ({"operator": "In", "values": ["gold", "silver"]}, ON, True),
        ({"operator": "In", "values": ["silver"]}, ON, False),
        ({"operator": "In", "values": ["gold"]}, OFF, False),
        ({"operator": "In", "values": [""]}, OFF, False),
        ({"operator": "In", "values": [""]}, {"tier": ""}, True),
        ({"operator": "NotIn", "values": ["gold"]}, ON, False),
        ({"operator": "NotIn", "values": ["silver"]}, ON, True),
        ({"operator": "NotIn", "values": ["gold"]}, OFF, True),
        ({"operator": "Exists"}, ON, True),
        ({"operator": "Exists"}, {"tier": ""}, True),
        ({"operator": "Exists"}, OFF, False),
        ({"operator": "DoesNotExist"}, ON, False),
        ({"operator": "DoesNotExist"}, OFF, True),
    ],
)
def test_operators(expression: dict[str, Any], labels: dict[str, str], selected: bool) -> None:
    selector = {"matchExpressions": [{"key": "tier"} | expression]}
    found = policy(selector={"agentSelector": selector})
    assert found.scope.covers(Subject("support", labels, {})) is selected
    found = policy(selector={"namespaceSelector": selector})
    assert found.scope.covers(Subject("support", {}, labels)) is selected


@pytest.mark.parametrize("empty", [{}, {"matchLabels": {}}, {"matchExpressions": []}])
def test_an_empty_selector_selects_all(empty: dict[str, Any]) -> None:
    assert policy(selector={"agentSelector": empty, "namespaceSelector": empty, "roles": []}).scope.covers(SUBJECT)


def test_an_agent_in_a_namespace_that_is_not_known_is_selected() -> None:
    """Its namespace may have the labels; the other parts still tell."""
    selector = {"namespaceSelector": {"matchLabels": {"env": "prod"}}, "roles": ["support"]}
    found = policy(selector=selector)
    assert found.scope.covers(Subject("support", {}, None))
    assert not found.scope.covers(Subject("support", {}, {}))
    assert not found.scope.covers(Subject("triage", {}, None))
