"""Agents whose spec this version cannot read whole: they stay as they are, and where they are to go, they go."""

from __future__ import annotations

import asyncio
import datetime as dt
from dataclasses import replace
from typing import Any

import pytest

from aiagent_operator.api import meta
from aiagent_operator.api.archive import GapReason
from aiagent_operator.core import agent_reading, leaving, offboarding
from aiagent_operator.core.objects import ChildKind
from aiagent_operator.core.plan import Observed
from aiagent_operator.runtime.gather import Gatherer, InvalidSpecError, parse
from aiagent_operator.runtime.rolerecord import RoleRecord
from aiagent_operator.runtime.store import AgentKey, Store
from support import agents
from support.agents import permission
from support.decisions import ENVIRONMENT, HOME, compiled, kinds, observed
from support.decisions import after as children_after

KEY = AgentKey(HOME, "triage")
RETIREMENT = {"drainTimeout": "90s", "memory": {"claimName": "notes"}, "successorRef": {"name": "new"}}


def store(status: Any = None, **spec: Any) -> Store:
    found = Store(lambda _: None)
    body = agents.agent(HOME, "triage", "support", permission("refund"), **spec)
    body["metadata"] |= {"uid": "0a1b", "resourceVersion": "1", "finalizers": [meta.FINALIZER]}
    found.observe_agent({**body, "status": status or {}})
    found.observe_role("support", RoleRecord({}, compiled(), ""))
    return found


def given(found: Store, **how: Any) -> None:
    spec = {"action": "Offboard", "agentRef": {"name": "triage"}, "requestedBy": "ann", "reason": "A test"}
    metadata = {"namespace": HOME, "name": "bye", "uid": "u", "resourceVersion": "2"}
    metadata |= {"creationTimestamp": "2026-01-01T00:00:00Z"}
    found.orders.observe({"metadata": metadata, "spec": {**spec, "offboarding": {"reason": "Replaced", **how}}})


class Unasked:
    """Of what others train: nothing."""

    def slot(self, _: str) -> None:
        return None

    def admitted(self, *_: object) -> bool:
        return False


def look(found: Store) -> Observed:
    """What is known of the agent, where the API server is not asked anything."""
    none: Any = None
    gatherer = Gatherer(
        none,
        found,
        Unasked(),  # type: ignore[arg-type]
        environment=lambda: ENVIRONMENT,
        exposures=lambda _: (),
        generations={},
        room=lambda _: None,
    )
    return asyncio.run(
        gatherer.observe(
            KEY,
            found.agents[KEY],
            failures={},
            live={},
            proof=None,
            pods=lambda _: {},
            measured={},
            pod_problems=(),
            running=None,
            since=0.0,
        )
    )


UNREADABLE: list[dict[str, Any]] = [
    {"supervision": {"drift": "often"}},
    {"roleRef": {"name": "Support of today"}},
    {"owners": [{"name": "product", "function": "Astrology"}]},
    {"workload": {"targetRef": {"apiVersion": "wasm.example/v1", "kind": "Module", "name": "triage"}}},
    {"purpose": None, "connections": 4, "retraining": {"rollout": {"strategy": "Rainbow"}}},
]


@pytest.mark.parametrize("spec", UNREADABLE)
def test_one_that_is_to_go_goes_and_any_other_stays_as_it_is(spec: dict[str, Any]) -> None:
    found = store(retirement=RETIREMENT, **spec)
    with pytest.raises(InvalidSpecError, match=next(iter(spec))):
        look(found)
    given(found)
    o = look(found)
    leave = leaving.look(o)
    assert leave is not None
    assert leave.rights_end - leave.began == dt.timedelta(seconds=90)
    assert o.agent.spec.retirement is not None
    assert o.agent.spec.retirement.memory is not None
    plan = offboarding.decide(replace(o, children=bound(), moment=leave.rights_end))
    assert kinds(plan) == [("delete", "RoleBinding", "home")]
    assert agent_reading.unread(o) == ()


def bound() -> Any:
    """Its binding, as it was made while its spec could be read."""
    from aiagent_operator.core import onboarding  # noqa: PLC0415

    o = observed(permission("refund"), status={"hiredAs": "support"})
    children: Any = {}
    for _ in range(8):
        children = children_after(children, onboarding.decide(replace(o, children=children)))
    return {key: child for key, child in children.items() if key.kind is ChildKind.ROLE_BINDING}


def test_what_has_ended_stays_so_though_its_order_has_gone() -> None:
    o = look(store(status={"journal": {"closed": True}}, owners=4))
    assert leaving.look(o) is not None


def test_its_role_counts_where_it_can_be_read() -> None:
    found = store(supervision=4)
    given(found)
    assert look(found).role is not None
    found = store(roleRef={"name": "Support of today"})
    found.observe_role(agent_reading.UNKNOWN, RoleRecord({}, compiled(), ""))
    given(found)
    assert look(found).role is None, "another role of the name that stands in"


@pytest.mark.parametrize(
    ("retirement", "lost", "drain"),
    [
        ({**RETIREMENT, "memory": {"bucket": "notes"}}, ["memory.tar"], "90s"),
        ({**RETIREMENT, "drainTimeout": 90, "decisionLog": "decisions"}, ["decisions"], None),
        ({"drainTimeout": ["90s"], "retention": 4}, [], None),
    ],
)
def test_what_its_spec_names_and_nobody_can_read_is_missing(retirement: Any, lost: list[str], drain: Any) -> None:
    found = store(retirement=retirement)
    given(found)
    o = look(found)
    gaps = agent_reading.unread(o)
    assert [gap.path for gap in gaps] == lost
    assert {gap.reason for gap in gaps} <= {GapReason.UNREADABLE}
    assert (o.agent.spec.retirement.drain_timeout if o.agent.spec.retirement else None) == drain


def test_the_error_says_where() -> None:
    found = store(owners=4)
    with pytest.raises(InvalidSpecError, match=r"cannot read spec\.owners"):
        parse(found.agents[KEY].packed)
