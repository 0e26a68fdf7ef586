"""Specs of any version and form: what cannot be read is as good as not there, and nobody falls over it."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiagent_operator.api.memory import Memory
from aiagent_operator.core import succession, written
from aiagent_operator.core.children import memory
from aiagent_operator.runtime.store import AgentKey, Key, Store
from support import agents
from support.agents import permission

SPEC = {"a": {"b": {"c": "text"}}, "many": [1, 2], "none": None}
# As the API server has them: its integers have 64 bits, and JSON knows no infinity.
NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | NUMBERS | st.text(max_size=5)
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ((), SPEC),
        (("a", "b", "c"), "text"),
        (("a", "b"), {"c": "text"}),
        (("a", "x", "c"), None),
        (("a", "b", "c", "d"), None),
        (("many", "a"), None),
        (("none", "a"), None),
    ],
)
def test_what_is_not_there_or_within_no_object_is_none(fields: tuple[str, ...], found: object) -> None:
    assert written.at(SPEC, *fields) == found


def test_another_form_than_the_one_asked_for_is_not_there() -> None:
    assert written.text(SPEC, "a", "b", "c") == "text"
    assert written.text(SPEC, "a", "b") == ""
    assert list(written.items(SPEC, "many")) == [1, 2]
    assert list(written.items(SPEC, "a")) == []
    assert list(written.items(SPEC, "a", "b", "c")) == []


def full() -> dict[str, Any]:
    """A spec that names all that others go by."""
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "desk"}
    body = agents.agent("crm", "triage", "support", permission("refund", "billing"))
    body["spec"] |= {
        "suspended": False,
        "succession": {"predecessorRef": {"name": "old"}},
        "retirement": {"successorRef": {"name": "new"}},
        "handbook": {"instructions": {"configMapKeyRef": {"name": "rules", "key": "text"}}},
    }
    body["spec"]["workload"] = {**body["spec"]["workload"], "targetRef": target}
    body["metadata"] |= {"uid": "u", "resourceVersion": "1"}
    return body


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where there is something in it."""
    yield at
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield from places(each, (*at, key))


def put(body: dict[str, Any], at: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """A copy with this in that place of its spec."""
    copied = copy.deepcopy(body)
    *way, last = ("spec", *at)
    inner: Any = copied
    for each in way:
        inner = inner[each]
    inner[last] = value
    return copied


@given(at=st.sampled_from(list(places(full()["spec"]))), value=ANYTHING)
def test_an_agent_with_anything_anywhere_in_its_spec_is_known(at: tuple[Any, ...], value: Any) -> None:
    told: list[Key] = []
    store = Store(told.append)
    body = put(full(), at, value)
    assert store.observe_agent(body)
    assert told == [AgentKey("crm", "triage")]
    assert store.agents[AgentKey("crm", "triage")].uid == "u"
    spec = body["spec"]
    assert all(isinstance(name, str) for name in succession.named(spec))
    assert memory.owner(Memory.model_validate({"claimName": "notes"}), spec).user > 0


def test_what_can_be_read_is_what_others_hear_of() -> None:
    store = Store(lambda _: None)
    store.observe_agent(full())
    known = [AgentKey("crm", "triage")]
    facts = [("role", "support"), ("namespace", "crm"), ("namespace", "billing"), ("ConfigMap", "crm", "rules")]
    facts += [("Deployment", "crm", "desk"), ("AIAgent", "crm", "old"), ("AIAgent", "crm", "new")]
    assert [fact for fact in facts if list(store.dependents.of(fact)) != known] == []
